#include "store_fixture.h"

static void
outcomes_have_names(void **state)
{
    (void)state;
    assert_string_equal(queue_outcome_name(QUEUE_DELIVERED), "delivered");
    assert_string_equal(queue_outcome_name(QUEUE_FAILED), "failed");
    assert_string_equal(queue_outcome_name(QUEUE_EXPIRED), "expired");
    assert_string_equal(queue_outcome_name(QUEUE_DEFERRED), "deferred");
}

static void
each_end_removes_recipient_and_body(void **state)
{
    struct fixture *f = *state;
    static const enum queue_outcome ends[] = {QUEUE_DELIVERED, QUEUE_FAILED,
                                              QUEUE_EXPIRED};

    for (size_t i = 0; i < 3; i++) {
        uint64_t id = ENQUEUE(f, true, "a@b.example");

        settle(f, id, 0, ends[i]);
        assert_int_equal(counts(f).messages, 0);
        assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 0);
        assert_int_equal(counts(f).octets, 0);
    }
    assert_int_equal(ask(f, "SELECT count(*) FROM recipient"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM message"), 3);
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 3);
}

static void
the_body_stays_until_the_last_recipient_is_done(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@c.example", "c@b.example");
    struct buf body = {0};

    settle(f, id, 1, QUEUE_DELIVERED);
    settle(f, id, 0, QUEUE_FAILED);
    assert_int_equal(counts(f).messages, 1);
    assert_int_equal(counts(f).recipients, 1);
    OK(f, queue_store_read(f->s, id, 0, &body, &f->err));
    check_counts(f);
    settle(f, id, 2, QUEUE_DELIVERED);
    assert_int_equal(counts(f).messages, 0);
    assert_false(queue_store_read(f->s, id, 0, &body, &f->err));
    buf_free(&body);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
}

static void
a_deferred_recipient_comes_back_at_its_time(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");
    struct queue_message *m;

    settle(f, id, 0, QUEUE_DEFERRED);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_DEFERRED], 1);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 0);
    assert_int_equal(claim_at(f, "b.example", NOW + 59999, NULL), 0);
    assert_int_equal(claim_at(f, "b.example", NOW + 60000, &m), 1);
    assert_int_equal(m->rcpt[0].attempts, 1);
    assert_string_equal(m->rcpt[0].last, "250 2.0.0 ok");
    assert_false(m->rcpt[0].warned);
    queue_message_free(&m);
    check_counts(f);
}

static void
a_deferred_recipient_may_go_elsewhere(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");
    struct mail_rcpt rcpt = {.address = mem_text("a@b.example"),
                             .domain = mem_text("b.example")};
    struct queue_result r = {.address = rcpt.address,
                             .outcome = QUEUE_DEFERRED,
                             .next_ms = NOW,
                             .attempt = SIZE_MAX,
                             .destination = "route:new",
                             .rcpt = &rcpt};
    struct queue_settlement x = {.id = id, .results = &r, .result_count = 1};
    struct queue_message *m;

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(claim_at(f, "b.example", NOW, NULL), 0);
    assert_int_equal(claim_at(f, "route:new", NOW, &m), 1);
    assert_string_equal(m->envelope.rcpt[0].address, "a@b.example");
    queue_message_free(&m);
    free(rcpt.address);
    free(rcpt.domain);
}

static void
a_warning_is_remembered(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");
    struct queue_message *m;

    for (int i = 0; i < 3; i++) {
        struct queue_result r = result_of(0, QUEUE_DEFERRED);
        struct queue_settlement x = {
            .id = id, .results = &r, .result_count = 1};

        r.warned = i == 1;
        OK(f, queue_store_settle(f->s, &x, &f->err));
    }
    assert_int_equal(claim_at(f, "b.example", NOW + 60000, &m), 1);
    assert_true(m->rcpt[0].warned);
    assert_int_equal(m->rcpt[0].attempts, 3);
    queue_message_free(&m);
}

static void
who_is_gone_is_passed_over(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");

    settle(f, id, 0, QUEUE_DELIVERED);
    settle(f, id, 0, QUEUE_DELIVERED);
    settle(f, id, 0, QUEUE_DEFERRED);
    settle(f, id, 5, QUEUE_DELIVERED);
    settle(f, 4711, 0, QUEUE_DELIVERED);
    assert_int_equal(counts(f).messages, 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 1);
    check_counts(f);
}

static void
an_unclaimed_recipient_can_be_settled(void **state)
{
    struct fixture *f = *state;
    const struct queue_filter all = {0};
    uint64_t n, id = ENQUEUE(f, false, "a@b.example", "b@b.example");

    OK(f, change_all(f->s, QUEUE_CHANGE_HOLD, &all, false, &n, &f->err));
    settle(f, id, 0, QUEUE_FAILED);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1);
    settle(f, id, 1, QUEUE_FAILED);
    assert_int_equal(counts(f).messages, 0);
    check_counts(f);
}

static void
results_and_notices_are_one_change(void **state)
{
    struct fixture *f = *state;
    const char *to[] = {"app@sender.example"};
    uint64_t id = ENQUEUE(f, true, "a@b.example");
    struct queue_result r = result_of(0, QUEUE_FAILED);
    struct queue_message *notice = message_to(f, to, 1, 2000);
    struct queue_settlement x = {.id = id,
                                 .results = &r,
                                 .result_count = 1,
                                 .notices = &notice,
                                 .notice_count = 1};

    free(notice->envelope.from);
    notice->envelope.from = mem_text("");
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    queue_store_rollback(f->s);
    assert_int_equal(counts(f).messages, 1);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 1);
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(counts(f).messages, 1);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 0);
    assert_int_equal(claim(f, "sender.example"), 1);
    queue_message_free(&notice);
    check_counts(f);
}

/* Failing each time, it would be tried for ever, and nothing else could be
 * recorded meanwhile. */
static void
a_notice_that_is_refused_sets_aside_who_it_is_about(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "c@b.example", "e@b.example");
    struct queue_result r[] = {result_of(0, QUEUE_FAILED),
                               result_of(1, QUEUE_DELIVERED),
                               result_of(2, QUEUE_EXPIRED)};
    struct queue_message *notice = message_to(f, NULL, 0, 10);
    struct err untold = {0};
    struct queue_settlement x = {.id = id,
                                 .results = r,
                                 .result_count = 3,
                                 .notices = &notice,
                                 .notice_count = 1,
                                 .untold = &untold};

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(untold.kind, ERR_INPUT);
    assert_string_equal(untold.text, "a notice: a message without an envelope");
    assert_int_equal(counts(f).messages, 1);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 0);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 2);
    assert_int_equal(claim(f, "b.example"), 0);
    check_counts(f);
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err)); /* again is no harm */
    OK(f, queue_store_commit(f->s, &f->err));
    queue_message_free(&notice);
    check_counts(f);
}

static uint64_t
change(struct fixture *f, enum queue_change what)
{
    const struct queue_filter all = {0};
    uint64_t n;

    OK(f, change_all(f->s, what, &all, false, &n, &f->err));
    return n;
}

static void
a_hold_during_an_attempt_waits_for_its_end(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@b.example");

    assert_int_equal(change(f, QUEUE_CHANGE_HOLD), 2);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 2);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 0);
    settle(f, id, 0, QUEUE_DELIVERED);
    settle(f, id, 1, QUEUE_DEFERRED);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1);
    assert_int_equal(claim_at(f, "b.example", INT64_MAX, NULL), 0);
    assert_int_equal(change(f, QUEUE_CHANGE_RELEASE), 1);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_DEFERRED], 1);
    assert_int_equal(claim(f, "b.example"), 1);
    check_counts(f);
}

static void
a_hold_taken_back_during_an_attempt_is_forgotten(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");

    assert_int_equal(change(f, QUEUE_CHANGE_HOLD), 1);
    assert_int_equal(change(f, QUEUE_CHANGE_RELEASE), 1);
    settle(f, id, 0, QUEUE_DEFERRED);
    assert_int_equal(claim_at(f, "b.example", NOW + 60000, NULL), 1);
    check_counts(f);
}

static void
a_delete_during_an_attempt_waits_for_its_end(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@b.example");

    assert_int_equal(change(f, QUEUE_CHANGE_DELETE), 2);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 2);
    settle(f, id, 0, QUEUE_DEFERRED);
    assert_int_equal(counts(f).recipients, 1);
    settle(f, id, 1, QUEUE_DELIVERED);
    assert_int_equal(counts(f).messages, 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 3);
    check_counts(f);
}

static void
a_delete_outlives_a_crash_during_the_attempt(void **state)
{
    struct fixture *f = *state;

    ENQUEUE(f, true, "a@b.example", "b@b.example");
    assert_int_equal(change(f, QUEUE_CHANGE_DELETE), 2);
    ENQUEUE(f, true, "c@b.example");
    reopen(f);
    assert_int_equal(claim(f, "b.example"), 1);
    assert_int_equal(counts(f).messages, 1);
    assert_int_equal(counts(f).recipients, 1);
    check_counts(f);
}

static void
a_held_claim_that_is_deleted_goes(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");

    change(f, QUEUE_CHANGE_HOLD);
    change(f, QUEUE_CHANGE_DELETE);
    change(f, QUEUE_CHANGE_HOLD);
    settle(f, id, 0, QUEUE_DEFERRED);
    assert_int_equal(counts(f).messages, 0);
    check_counts(f);
}

/* A rollback must leave the counts as they were, whatever was done. */
static void
rollback_keeps_the_counts(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@b.example");
    struct queue_counts before = counts(f), after;

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, settle_in(f, id, 0, QUEUE_DELIVERED));
    OK(f, settle_in(f, id, 1, QUEUE_DEFERRED));
    change(f, QUEUE_CHANGE_HOLD);
    change(f, QUEUE_CHANGE_DELETE);
    queue_store_rollback(f->s);
    after = counts(f);
    assert_memory_equal(&before, &after, sizeof(before));
    settle(f, id, 0, QUEUE_DELIVERED);
    settle(f, id, 1, QUEUE_DELIVERED);
    assert_int_equal(counts(f).messages, 0);
    check_counts(f);
}

/* A message counts in the state of the first of those that are left. */
static void
a_message_counts_once_where_its_first_recipient_is(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@c.example", "c@d.example");

    ENQUEUE(f, false, "a@e.example");
    assert_int_equal(counts(f).led[QUEUE_STATE_QUEUED].messages, 1);
    assert_int_equal(counts(f).led[QUEUE_STATE_ACTIVE].messages, 1);
    settle(f, id, 1, QUEUE_DEFERRED);
    assert_int_equal(counts(f).led[QUEUE_STATE_ACTIVE].messages, 1);
    settle(f, id, 0, QUEUE_DELIVERED);
    assert_int_equal(counts(f).led[QUEUE_STATE_ACTIVE].messages, 0);
    assert_int_equal(counts(f).led[QUEUE_STATE_DEFERRED].messages, 1);
    assert_int_equal(counts(f).led[QUEUE_STATE_DEFERRED].octets, 100);
    settle(f, id, 1, QUEUE_DELIVERED);
    assert_int_equal(counts(f).led[QUEUE_STATE_ACTIVE].octets, 100);
    settle(f, id, 2, QUEUE_DELIVERED);
    assert_int_equal(counts(f).messages, 1);
    assert_int_equal(counts(f).octets, 100);
}

static void
who_is_in_doubt_is_not_active(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@c.example");
    const uint32_t second[] = {1, 7}, first[] = {0};
    struct queue_counts c = counts(f);

    queue_store_count_doubt(f->s, id, second, 2, &c);
    assert_int_equal(c.in_doubt, 1);
    assert_int_equal(c.by_state[QUEUE_STATE_ACTIVE], 1);
    assert_int_equal(c.led_in_doubt.messages, 0);
    queue_store_count_doubt(f->s, id, first, 1, &c);
    assert_int_equal(c.in_doubt, 2);
    assert_int_equal(c.by_state[QUEUE_STATE_ACTIVE], 0);
    assert_int_equal(c.led_in_doubt.messages, 1);
    assert_int_equal(c.led_in_doubt.octets, 100);
    assert_int_equal(c.led[QUEUE_STATE_ACTIVE].messages, 0);
    assert_int_equal(c.recipients, 2);
}

/* Random changes, some rolled back; the counts kept must be those counted. */
static void
counts_agree_with_the_tables_after_anything(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 1;

    for (int round = 0; round < 300; round++) {
        unsigned r =
            (unsigned)((seed = seed * 6364136223846793005U + 99) >> 33);
        uint64_t id = 1000 + r / 8 % (f->id - 1000 + 1);

        OK(f, queue_store_begin(f->s, &f->err));
        switch (r % 8) {
        case 0:
        case 1: {
            const char *rcpt[] = {"a@b.example", "b@c.example", "c@b.example"};
            struct queue_message *m = message_to(f, rcpt, 1 + r / 8 % 3, 50);

            m->rcpt[0].held = r / 64 % 4 == 0;
            OK(f, queue_store_enqueue(f->s, m, r / 256 % 2, &f->err));
            queue_message_free(&m);
            break;
        }
        case 2:
        case 3:
            OK(f, settle_in(f, id, r / 512 % 3, (enum queue_outcome)(r % 4)));
            OK(f, settle_in(f, id, r / 64 % 3, QUEUE_DEFERRED));
            break;
        case 4:
            (void)claim(f, r / 64 % 2 ? "b.example" : "c.example");
            break;
        case 5: {
            const struct queue_filter one = {.id = id};
            uint64_t n;

            OK(f, change_all(f->s, (enum queue_change)(r / 64 % 5), &one, false,
                             &n, &f->err));
            break;
        }
        case 6: {
            const uint32_t numbers[] = {0, 1};

            queue_store_release(f->s, id, numbers, 2);
            break;
        }
        default:
            break;
        }
        if (r / 1024 % 4 == 0)
            queue_store_rollback(f->s);
        else
            OK(f, queue_store_commit(f->s, &f->err));
        check_against_list(f);
        if (round % 30 == 0)
            check_counts(f);
    }
    check_counts(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM body WHERE id >> 14 NOT IN"
                            " (SELECT message FROM recipient)"),
                     0);
    assert_int_equal(ask(f, "SELECT count(*) FROM recipient WHERE message"
                            " NOT IN (SELECT id >> 14 FROM body)"),
                     0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(outcomes_have_names),
        TEST(each_end_removes_recipient_and_body),
        TEST(the_body_stays_until_the_last_recipient_is_done),
        TEST(a_deferred_recipient_comes_back_at_its_time),
        TEST(a_deferred_recipient_may_go_elsewhere),
        TEST(a_warning_is_remembered),
        TEST(who_is_gone_is_passed_over),
        TEST(an_unclaimed_recipient_can_be_settled),
        TEST(results_and_notices_are_one_change),
        TEST(a_notice_that_is_refused_sets_aside_who_it_is_about),
        TEST(a_hold_during_an_attempt_waits_for_its_end),
        TEST(a_hold_taken_back_during_an_attempt_is_forgotten),
        TEST(a_delete_during_an_attempt_waits_for_its_end),
        TEST(a_delete_outlives_a_crash_during_the_attempt),
        TEST(a_held_claim_that_is_deleted_goes),
        TEST(a_message_counts_once_where_its_first_recipient_is),
        TEST(who_is_in_doubt_is_not_active),
        TEST(rollback_keeps_the_counts),
        TEST(counts_agree_with_the_tables_after_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
