#include "store_fixture.h"

/* The names that are due, joined by spaces. */
static const char *
due(struct fixture *f, int64_t now, int64_t *next)
{
    static char text[4096];
    char *names[3];
    char after[256] = "";
    size_t count;
    bool end = false;

    text[0] = '\0';
    *next = INT64_MAX;
    while (!end) {
        OK(f, queue_store_due(f->s, after, now, 3, names, &count, next, &end,
                              &f->err));
        assert_true(count == 3 || end);
        for (size_t i = 0; i < count; i++) {
            size_t len = strlen(text);

            (void)snprintf(text + len, sizeof(text) - len, "%s%s",
                           len ? " " : "", names[i]);
            (void)snprintf(after, sizeof(after), "%s", names[i]);
            free(names[i]);
        }
    }
    return text;
}

static uint64_t
enqueue_at(struct fixture *f, const char *address, int64_t next_ms)
{
    struct queue_message *m = message_to(f, &address, 1, 100);

    m->rcpt[0].next_ms = next_ms;
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    queue_message_free(&m);
    return f->id;
}

static void
an_empty_store_has_nothing_due(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    assert_string_equal(due(f, NOW, &next), "");
    assert_true(next == INT64_MAX);
    assert_int_equal(claim(f, "dest.example"), 0);
}

static void
destinations_come_in_order_of_name_in_pages(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    ENQUEUE(f, false, "a@e.example", "a@b.example", "a@d.example",
            "a@a.example", "b@b.example", "a@c.example", "a@f.example");
    assert_string_equal(due(f, NOW, &next),
                        "a.example b.example c.example d.example e.example"
                        " f.example");
    assert_true(next == INT64_MAX);
}

static void
later_work_is_told_by_its_time(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    enqueue_at(f, "a@b.example", NOW + 500);
    enqueue_at(f, "a@b.example", NOW + 200);
    enqueue_at(f, "a@c.example", NOW);
    enqueue_at(f, "a@d.example", NOW + 300);
    assert_string_equal(due(f, NOW, &next), "c.example");
    assert_int_equal(next, NOW + 200);
    assert_string_equal(due(f, NOW + 200, &next), "b.example c.example");
    assert_int_equal(next, NOW + 300);
}

static void
later_work_of_one_that_is_due_is_told_too(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    enqueue_at(f, "a@b.example", NOW);
    enqueue_at(f, "a@b.example", NOW + 300);
    enqueue_at(f, "a@b.example", NOW + 200);
    assert_string_equal(due(f, NOW, &next), "b.example");
    assert_int_equal(next, NOW + 200);
}

static void
an_earlier_time_that_is_known_is_kept(void **state)
{
    struct fixture *f = *state;
    char *names[1];
    size_t count;
    int64_t next = NOW + 100;
    bool end;

    enqueue_at(f, "a@b.example", NOW + 500);
    OK(f,
       queue_store_due(f->s, "", NOW, 1, names, &count, &next, &end, &f->err));
    assert_int_equal(next, NOW + 100);
    assert_int_equal(count, 0);
    assert_true(end);
}

static void
claimed_rows_are_looked_past(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    enqueue_at(f, "a@b.example", NOW);
    assert_int_equal(claim(f, "b.example"), 1);
    assert_string_equal(due(f, NOW, &next), "");
    assert_true(next == INT64_MAX);
    enqueue_at(f, "a@b.example", NOW + 50);
    assert_string_equal(due(f, NOW, &next), "");
    assert_int_equal(next, NOW + 50);
    enqueue_at(f, "a@b.example", NOW + 10);
    assert_string_equal(due(f, NOW + 20, &next), "b.example");
    assert_int_equal(claim_at(f, "b.example", NOW + 20, NULL), 1);
    assert_string_equal(due(f, NOW + 20, &next), "");
    assert_int_equal(next, NOW + 50);
}

static void
held_rows_are_never_due(void **state)
{
    struct fixture *f = *state;
    const struct queue_filter all = {0};
    uint64_t n;
    int64_t next;

    enqueue_at(f, "a@b.example", NOW);
    OK(f, change_all(f->s, QUEUE_CHANGE_HOLD, &all, false, &n, &f->err));
    assert_string_equal(due(f, INT64_MAX - 1, &next), "");
    assert_true(next == INT64_MAX);
    assert_int_equal(claim_at(f, "b.example", INT64_MAX, NULL), 0);
}

static void
the_oldest_next_attempt_is_claimed_first(void **state)
{
    struct fixture *f = *state;
    struct queue_message *out[2];
    uint64_t late = enqueue_at(f, "a@b.example", NOW - 10);
    uint64_t first = enqueue_at(f, "a@b.example", NOW - 30);
    uint64_t second = enqueue_at(f, "a@b.example", NOW - 20);
    size_t count, budget = 0;
    bool more;

    OK(f, queue_store_claim(f->s, "b.example", NOW, 2, &budget, out, &count,
                            &more, &f->err));
    assert_int_equal(count, 2);
    assert_true(more);
    assert_int_equal(out[0]->id, first);
    assert_int_equal(out[1]->id, second);
    queue_message_free(&out[0]);
    queue_message_free(&out[1]);
    OK(f, queue_store_claim(f->s, "b.example", NOW, 2, &budget, out, &count,
                            &more, &f->err));
    assert_int_equal(count, 1);
    assert_false(more);
    assert_int_equal(out[0]->id, late);
    queue_message_free(&out[0]);
}

static void
recipients_of_one_message_come_together(void **state)
{
    struct fixture *f = *state;
    struct queue_message *m;

    ENQUEUE(f, false, "a@b.example", "x@c.example", "b@b.example");
    assert_int_equal(claim_at(f, "b.example", NOW, &m), 2);
    assert_int_equal(m->rcpt[0].number, 0);
    assert_int_equal(m->rcpt[1].number, 2);
    assert_string_equal(m->envelope.rcpt[1].address, "b@b.example");
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 2);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_QUEUED], 1);
    queue_message_free(&m);
}

static void
a_claim_of_nothing_says_whether_there_is_more(void **state)
{
    struct fixture *f = *state;
    struct queue_message *out[1];
    size_t count, budget = 0;
    bool more;

    enqueue_at(f, "a@b.example", NOW);
    OK(f, queue_store_claim(f->s, "b.example", NOW, 0, &budget, out, &count,
                            &more, &f->err));
    assert_int_equal(count, 0);
    assert_true(more);
}

static void
bodies_come_along_while_the_budget_lasts(void **state)
{
    struct fixture *f = *state;
    struct queue_message *out[5];
    size_t count, budget = 250, with = 0;
    bool more;

    for (int i = 0; i < 5; i++)
        enqueue_at(f, "a@b.example", NOW);
    OK(f, queue_store_claim(f->s, "b.example", NOW, 5, &budget, out, &count,
                            &more, &f->err));
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        with += out[i]->body.len == 100;
        assert_int_equal(out[i]->size, 100);
        queue_message_free(&out[i]);
    }
    assert_int_equal(with, 2);
    assert_int_equal(budget, 50);
}

static void
released_claims_are_due_again(void **state)
{
    struct fixture *f = *state;
    const uint32_t numbers[] = {0, 1, 7};
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@b.example");

    queue_store_release(f->s, id, numbers, 3);
    assert_int_equal(claim(f, "b.example"), 2);
    queue_store_release(f->s, id, numbers, 1);
    assert_int_equal(claim(f, "b.example"), 1);
}

static void
rollback_undoes_claims_and_releases(void **state)
{
    struct fixture *f = *state;
    const uint32_t number = 0;
    uint64_t id = ENQUEUE(f, false, "a@b.example");

    OK(f, queue_store_begin(f->s, &f->err));
    assert_int_equal(claim(f, "b.example"), 1);
    queue_store_rollback(f->s);
    assert_int_equal(claim(f, "b.example"), 1);
    OK(f, queue_store_begin(f->s, &f->err));
    queue_store_release(f->s, id, &number, 1);
    queue_store_rollback(f->s);
    assert_int_equal(claim(f, "b.example"), 0);
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, settle_in(f, id, 0, QUEUE_DEFERRED));
    queue_store_rollback(f->s);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 1);
    assert_int_equal(claim_at(f, "b.example", NOW * 2LL, NULL), 0);
}

static void
a_restart_knows_no_claims(void **state)
{
    struct fixture *f = *state;

    ENQUEUE(f, true, "a@b.example");
    reopen(f);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 0);
    assert_int_equal(claim(f, "b.example"), 1);
}

static void
a_backlog_is_claimed_in_runs_without_loss_or_repetition(void **state)
{
    struct fixture *f = *state;
    size_t total = 0;
    bool more = true;

    OK(f, queue_store_begin(f->s, &f->err));
    for (int i = 0; i < 2500; i++) {
        const char *rcpt[] = {"a@b.example"};
        struct queue_message *m = message_to(f, rcpt, 1, 10);

        OK(f, queue_store_enqueue(f->s, m, false, &f->err));
        queue_message_free(&m);
    }
    OK(f, queue_store_commit(f->s, &f->err));
    while (more) {
        struct queue_message *out[70];
        size_t count, budget = 0;

        OK(f, queue_store_claim(f->s, "b.example", NOW, 70, &budget, out,
                                &count, &more, &f->err));
        total += count;
        for (size_t i = 0; i < count; i++)
            queue_message_free(&out[i]);
    }
    assert_int_equal(total, 2500);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 2500);
}

/* --- damaged rows --- */

static void
damage(struct fixture *f, const char *sql)
{
    (void)ask(f, sql);
}

/* The first claim tells, the next one gets on with the rest. */
static void
is_set_aside(struct fixture *f, const char *sql)
{
    struct queue_message *out[10];
    uint64_t bad = ENQUEUE(f, false, "a@b.example");
    uint64_t good = ENQUEUE(f, false, "a@b.example");
    size_t count, budget = 1000;
    bool more;

    damage(f, sql);
    OK(f, queue_store_begin(f->s, &f->err));
    assert_false(queue_store_claim(f->s, "b.example", NOW, 10, &budget, out,
                                   &count, &more, &f->err));
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_int_equal(count, 0);
    assert_int_equal(budget, 1000);
    queue_store_rollback(f->s);
    OK(f, queue_store_claim(f->s, "b.example", NOW, 10, &budget, out, &count,
                            &more, &f->err));
    assert_int_equal(count, 1);
    assert_int_equal(out[0]->id, good);
    assert_true(bad != good);
    queue_message_free(&out[0]);
}

static void
a_recipient_with_another_address_is_never_delivered(void **state)
{
    is_set_aside(*state, "UPDATE recipient SET address = 'b@b.example'"
                         " WHERE message = 1001");
}

static void
a_recipient_with_another_domain_is_never_delivered(void **state)
{
    is_set_aside(*state, "UPDATE recipient SET domain = 'c.example'"
                         " WHERE message = 1001");
}

static void
a_recipient_without_address_is_never_delivered(void **state)
{
    is_set_aside(*state, "UPDATE recipient SET address = x'00'"
                         " WHERE message = 1001");
}

static void
a_message_with_another_flag_is_never_delivered(void **state)
{
    is_set_aside(*state, "UPDATE message SET flags = flags + 4"
                         " WHERE id = 1001");
}

static void
a_message_with_another_sender_is_never_delivered(void **state)
{
    is_set_aside(*state, "UPDATE message SET sender = 'x@sender.example'"
                         " WHERE id = 1001");
}

static void
a_recipient_without_message_is_never_delivered(void **state)
{
    is_set_aside(*state, "DELETE FROM message WHERE id = 1001");
}

static void
a_message_without_body_is_never_delivered(void **state)
{
    is_set_aside(*state, "DELETE FROM body WHERE id = 1001 << 14");
}

static void
a_body_with_another_octet_is_never_delivered(void **state)
{
    is_set_aside(*state, "UPDATE body SET octets ="
                         " substr(octets, 1, 99) || x'00'"
                         " WHERE id = 1001 << 14");
}

static void
a_body_that_was_cut_is_never_delivered(void **state)
{
    struct fixture *f = *state;
    struct buf out = {0};

    is_set_aside(f, "UPDATE body SET octets = substr(octets, 1, 99)"
                    " WHERE id = 1001 << 14");
    assert_false(queue_store_read(f->s, 1001, 0, &out, &f->err));
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void
a_lost_piece_is_not_the_end_of_the_message(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@b.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 3 * QUEUE_CHUNK);
    struct buf out = {0};

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    damage(f, "DELETE FROM body WHERE id = (1001 << 14) + 2");
    OK(f, queue_store_read(f->s, m->id, 1, &out, &f->err));
    assert_false(queue_store_read(f->s, m->id, 2, &out, &f->err));
    assert_int_equal(f->err.kind, ERR_INPUT);
    damage(f, "DELETE FROM body WHERE id = 1001 << 14");
    assert_false(queue_store_read(f->s, m->id, 0, &out, &f->err));
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_false(queue_store_read(f->s, 4711, 0, &out, &f->err));
    assert_int_equal(f->err.kind, ERR_MISSING);
    buf_free(&out);
    queue_message_free(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_store_has_nothing_due),
        TEST(destinations_come_in_order_of_name_in_pages),
        TEST(later_work_is_told_by_its_time),
        TEST(later_work_of_one_that_is_due_is_told_too),
        TEST(an_earlier_time_that_is_known_is_kept),
        TEST(claimed_rows_are_looked_past),
        TEST(held_rows_are_never_due),
        TEST(the_oldest_next_attempt_is_claimed_first),
        TEST(recipients_of_one_message_come_together),
        TEST(a_claim_of_nothing_says_whether_there_is_more),
        TEST(bodies_come_along_while_the_budget_lasts),
        TEST(released_claims_are_due_again),
        TEST(rollback_undoes_claims_and_releases),
        TEST(a_restart_knows_no_claims),
        TEST(a_backlog_is_claimed_in_runs_without_loss_or_repetition),
        TEST(a_recipient_with_another_address_is_never_delivered),
        TEST(a_recipient_with_another_domain_is_never_delivered),
        TEST(a_recipient_without_address_is_never_delivered),
        TEST(a_message_with_another_flag_is_never_delivered),
        TEST(a_message_with_another_sender_is_never_delivered),
        TEST(a_recipient_without_message_is_never_delivered),
        TEST(a_message_without_body_is_never_delivered),
        TEST(a_body_with_another_octet_is_never_delivered),
        TEST(a_body_that_was_cut_is_never_delivered),
        TEST(a_lost_piece_is_not_the_end_of_the_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
