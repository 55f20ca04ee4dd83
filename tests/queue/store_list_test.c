#include "store_fixture.h"

struct listing {
    char text[8192]; /* "id/number id/number" */
    size_t count;
    struct queue_row last; /* its strings are not valid any more */
    char last_reply[100];
};

static void
note_row(void *ctx, const struct queue_row *row)
{
    struct listing *l = ctx;
    size_t len = strlen(l->text);

    (void)snprintf(l->text + len, sizeof(l->text) - len, "%s%llu/%u",
                   len ? " " : "", (unsigned long long)row->id, row->number);
    (void)snprintf(l->last_reply, sizeof(l->last_reply), "%s",
                   row->last ? row->last : "");
    l->last = *row;
    l->count++;
}

/* In pages of `page`, until the end. */
static void
list(struct fixture *f, const struct queue_filter *filter, size_t page,
     struct listing *l)
{
    struct queue_cursor cursor = {0};
    bool end = false;

    *l = (struct listing){0};
    while (!end) {
        struct queue_cursor before = cursor;
        size_t count = l->count;

        OK(f, queue_store_list(f->s, filter, &cursor, page, note_row, l, &end,
                               &f->err));
        assert_true(l->count - count <= page);
        assert_true(end || cursor.id != before.id ||
                    cursor.number != before.number);
    }
}

static void
finds(struct fixture *f, struct queue_filter filter, const char *want)
{
    struct listing l;
    uint64_t n;

    list(f, &filter, 100, &l);
    assert_string_equal(l.text, want);
    OK(f, change_all(f->s, QUEUE_CHANGE_HOLD, &filter, true, &n, &f->err));
    assert_int_equal(n, l.count);
}

static void
every_page_size_shows_every_row_once(void **state)
{
    struct fixture *f = *state;
    const struct queue_filter all = {0};
    struct listing whole, l;

    ENQUEUE(f, true, "a@b.example", "b@c.example", "c@d.example");
    ENQUEUE(f, false, "a@b.example");
    ENQUEUE(f, false, "a@b.example", "b@b.example");
    list(f, &all, 100, &whole);
    assert_string_equal(whole.text,
                        "1001/0 1001/1 1001/2 1002/0 1003/0 1003/1");
    for (size_t page = 1; page < 8; page++) {
        list(f, &all, page, &l);
        assert_string_equal(l.text, whole.text);
    }
}

static void
an_empty_store_ends_at_once(void **state)
{
    struct fixture *f = *state;

    finds(f, (struct queue_filter){0}, "");
}

static void
the_last_full_page_knows_that_it_is_the_last(void **state)
{
    struct fixture *f = *state;
    const struct queue_filter all = {0};
    struct listing l = {0};
    bool end;

    ENQUEUE(f, false, "a@b.example", "b@b.example");
    OK(f, queue_store_list(f->s, &all, &(struct queue_cursor){0}, 2, note_row,
                           &l, &end, &f->err));
    assert_true(end);
    OK(f, queue_store_list(f->s, &all, &(struct queue_cursor){0}, 1, note_row,
                           &l, &end, &f->err));
    assert_false(end);
}

static void
a_row_tells_all(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");
    struct listing l;

    settle(f, id, 0, QUEUE_DEFERRED);
    list(f, &(struct queue_filter){0}, 5, &l);
    assert_int_equal(l.last.id, id);
    assert_int_equal(l.last.arrived_ms, NOW);
    assert_int_equal(l.last.size, 100);
    assert_int_equal(l.last.attempts, 1);
    assert_int_equal(l.last.next_ms, NOW + 60000);
    assert_int_equal(l.last.state, QUEUE_STATE_DEFERRED);
    assert_string_equal(l.last_reply, "250 2.0.0 ok");
}

static void
check_strings(void *ctx, const struct queue_row *row)
{
    (void)ctx;
    assert_string_equal(row->from, "app@sender.example");
    assert_string_equal(row->to, "a@b.example");
    assert_string_equal(row->destination, "b.example");
    assert_string_equal(row->message_id, "<1@sender.example>");
    assert_string_equal(row->origin, "127.0.0.1 (app)");
    assert_null(row->last);
}

static void
strings_are_good_during_the_call(void **state)
{
    struct fixture *f = *state;
    bool end;

    ENQUEUE(f, false, "a@b.example");
    OK(f, queue_store_list(f->s, &(struct queue_filter){0},
                           &(struct queue_cursor){0}, 5, check_strings, NULL,
                           &end, &f->err));
}

/* 1001: two, of app@sender.example; 1002: one held, of other@x.example, ten
 * later; 1003: one deferred; 1004: one claimed, of the null sender. */
static void
fill(struct fixture *f)
{
    const char *rcpt[] = {"two@c.example"};
    const struct queue_filter second = {.id = 1002};
    struct queue_message *m;
    uint64_t n;

    ENQUEUE(f, false, "One@b.example", "two@c.example");
    m = message_to(f, rcpt, 1, 10);
    free(m->envelope.from);
    m->envelope.from = mem_text("other@x.example");
    m->arrived_ms = NOW + 10;
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    queue_message_free(&m);
    OK(f, change_all(f->s, QUEUE_CHANGE_HOLD, &second, false, &n, &f->err));
    settle(f, ENQUEUE(f, true, "x@sub.b.example"), 0, QUEUE_DEFERRED);
    m = message_to(f, rcpt, 1, 10);
    m->envelope.from[0] = '\0';
    OK(f, queue_store_enqueue(f->s, m, true, &f->err));
    queue_message_free(&m);
}

static void
filters_let_through_what_they_say(void **state)
{
    struct fixture *f = *state;

    fill(f);
    finds(f, (struct queue_filter){0}, "1001/0 1001/1 1002/0 1003/0 1004/0");
    finds(f, (struct queue_filter){.id = 1001}, "1001/0 1001/1");
    finds(f, (struct queue_filter){.id = 1004}, "1004/0");
    finds(f, (struct queue_filter){.id = 4711}, "");
    finds(f, (struct queue_filter){.id = UINT64_MAX}, "");
    finds(f, (struct queue_filter){.domain = "c.example"},
          "1001/1 1002/0 1004/0");
    finds(f, (struct queue_filter){.domain = "C.Example"},
          "1001/1 1002/0 1004/0");
    finds(f, (struct queue_filter){.domain = "example"}, "");
    finds(f, (struct queue_filter){.to = "one@B.example"}, "1001/0");
    finds(f, (struct queue_filter){.to = "@b.example"}, "1001/0");
    finds(f, (struct queue_filter){.to = "@sub.b.example"}, "1003/0");
    finds(f, (struct queue_filter){.to = "b.example"}, "");
    finds(f, (struct queue_filter){.from = "Other@x.example"}, "1002/0");
    finds(f, (struct queue_filter){.from = "@x.example"}, "1002/0");
    finds(f, (struct queue_filter){.from = "@sender.example"},
          "1001/0 1001/1 1003/0");
    finds(f, (struct queue_filter){.from = ""}, "1004/0");
    finds(f, (struct queue_filter){.state = QUEUE_STATE_QUEUED},
          "1001/0 1001/1");
    finds(f, (struct queue_filter){.state = QUEUE_STATE_DEFERRED}, "1003/0");
    finds(f, (struct queue_filter){.state = QUEUE_STATE_HELD}, "1002/0");
    finds(f, (struct queue_filter){.state = QUEUE_STATE_ACTIVE}, "1004/0");
    finds(f, (struct queue_filter){.older_than_ms = NOW + 1},
          "1001/0 1001/1 1003/0 1004/0");
    finds(f, (struct queue_filter){.older_than_ms = NOW}, "");
}

static void
filters_are_and_ed(void **state)
{
    struct fixture *f = *state;

    fill(f);
    finds(f,
          (struct queue_filter){.domain = "c.example",
                                .from = "@sender.example",
                                .older_than_ms = NOW + 1},
          "1001/1");
    finds(f, (struct queue_filter){.id = 1001, .state = QUEUE_STATE_DEFERRED},
          "");
    finds(f, (struct queue_filter){.id = 1001, .to = "@c.example"}, "1001/1");
}

static void
filters_are_plain_text(void **state)
{
    struct fixture *f = *state;
    static const char *const strings[] = {
        "' OR 1=1 --",  "%",          "_",       "*", "@%", "@", "", "\"",
        "a@b.example'", "@' OR ''='", "\xff\xfe"};

    fill(f);
    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
        finds(f, (struct queue_filter){.domain = strings[i]}, "");
        finds(f, (struct queue_filter){.to = strings[i]}, "");
        if (strings[i][0])
            finds(f, (struct queue_filter){.from = strings[i]}, "");
    }
}

static uint64_t
change(struct fixture *f, enum queue_change what, struct queue_filter filter)
{
    uint64_t dry, n;

    OK(f, change_all(f->s, what, &filter, true, &dry, &f->err));
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, change_all(f->s, what, &filter, false, &n, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(dry, n);
    return n;
}

static void
a_dry_change_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const struct queue_filter all = {0};
    uint64_t n;

    ENQUEUE(f, false, "a@b.example", "b@b.example");
    for (int what = QUEUE_CHANGE_HOLD; what <= QUEUE_CHANGE_DELETE; what++)
        OK(f,
           change_all(f->s, (enum queue_change)what, &all, true, &n, &f->err));
    assert_int_equal(n, 2);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_QUEUED], 2);
    assert_int_equal(claim(f, "b.example"), 2);
}

static void
hold_and_release(void **state)
{
    struct fixture *f = *state;

    ENQUEUE(f, false, "a@b.example", "b@c.example");
    assert_int_equal(
        change(f, QUEUE_CHANGE_HOLD, (struct queue_filter){.to = "@b.example"}),
        1);
    reopen(f);
    assert_int_equal(claim(f, "b.example"), 0);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1);
    assert_int_equal(change(f, QUEUE_CHANGE_RETRY, (struct queue_filter){0}),
                     1); /* what is held stays so */
    assert_int_equal(claim(f, "b.example"), 0);
    assert_int_equal(change(f, QUEUE_CHANGE_RELEASE, (struct queue_filter){0}),
                     1); /* the other was never held */
    assert_int_equal(claim(f, "b.example"), 1);
    check_counts(f);
}

static void
retry_makes_what_is_deferred_due(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");

    settle(f, id, 0, QUEUE_DEFERRED);
    assert_int_equal(claim(f, "b.example"), 0);
    assert_int_equal(change(f, QUEUE_CHANGE_RETRY, (struct queue_filter){0}),
                     1);
    assert_int_equal(claim(f, "b.example"), 1);
    assert_int_equal(change(f, QUEUE_CHANGE_RETRY, (struct queue_filter){0}),
                     1); /* under way already */
    check_counts(f);
}

static void
delete_takes_recipient_body_and_leaves_a_trace(void **state)
{
    struct fixture *f = *state;

    ENQUEUE(f, false, "a@b.example", "b@c.example");
    ENQUEUE(f, false, "a@b.example");
    assert_int_equal(change(f, QUEUE_CHANGE_DELETE,
                            (struct queue_filter){.to = "@b.example"}),
                     2);
    assert_int_equal(counts(f).messages, 1);
    assert_int_equal(counts(f).recipients, 1);
    assert_int_equal(change(f, QUEUE_CHANGE_DELETE, (struct queue_filter){0}),
                     1);
    assert_int_equal(change(f, QUEUE_CHANGE_DELETE, (struct queue_filter){0}),
                     0);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt WHERE reason LIKE"
                            " 'deleted%' AND rcpt LIKE '_@_.example'"),
                     3);
    check_counts(f);
}

static void
bounce_moves_it_to_where_nothing_is_tried(void **state)
{
    struct fixture *f = *state;
    struct queue_message *m;
    uint64_t id = ENQUEUE(f, false, "a@b.example", "b@b.example");

    assert_int_equal(change(f, QUEUE_CHANGE_HOLD,
                            (struct queue_filter){.to = "b@b.example"}),
                     1);
    assert_int_equal(
        change(f, QUEUE_CHANGE_BOUNCE, (struct queue_filter){.id = id}), 2);
    reopen(f); /* it is found again after an end in between */
    assert_int_equal(claim(f, "b.example"), 0);
    assert_int_equal(claim_at(f, QUEUE_ENDED, NOW, &m), 2);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 0);
    assert_string_equal(m->rcpt[0].destination, QUEUE_ENDED);
    queue_message_free(&m);
    settle(f, id, 0, QUEUE_FAILED);
    settle(f, id, 1, QUEUE_FAILED);
    assert_int_equal(counts(f).messages, 0);
    check_counts(f);
}

static void
bounce_takes_effect_when_an_attempt_fails(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@b.example", "c@b.example");
    struct queue_result r = result_of(0, QUEUE_DEFERRED);
    struct mail_rcpt rcpt = {.address = (char *)"a@b.example",
                             .domain = (char *)"b.example"};
    struct queue_settlement x = {.id = id, .results = &r, .result_count = 1};
    const uint32_t third = 2;

    assert_int_equal(
        change(f, QUEUE_CHANGE_BOUNCE, (struct queue_filter){.id = id}), 3);
    r.destination = "elsewhere.example"; /* also where routes have changed */
    r.rcpt = &rcpt;
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    settle(f, id, 1, QUEUE_DELIVERED);
    queue_store_release(f->s, id, &third, 1); /* it was not tried */
    assert_int_equal(claim_at(f, "b.example", NOW + 99999, NULL), 0);
    assert_int_equal(claim_at(f, "elsewhere.example", NOW + 99999, NULL), 0);
    assert_int_equal(claim(f, QUEUE_ENDED), 2);
    check_counts(f);
}

static const char *
route_elsewhere(void *ctx, const char *from, const char *address,
                const char *domain)
{
    (void)ctx;
    (void)from;
    (void)address;
    (void)domain;
    return "route:new";
}

static void
routes_that_change_leave_what_was_given_up(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, false, "a@b.example");

    (void)ENQUEUE(f, false, "b@b.example");
    assert_int_equal(
        change(f, QUEUE_CHANGE_BOUNCE, (struct queue_filter){.id = id}), 1);
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_reroute(f->s, "other", route_elsewhere, NULL, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(claim(f, QUEUE_ENDED), 1);
    assert_int_equal(claim(f, "route:new"), 1);
}

static void
a_change_reaches_behind_the_first_page(void **state)
{
    struct fixture *f = *state;
    const struct queue_filter all = {0};

    OK(f, queue_store_begin(f->s, &f->err));
    for (int i = 0; i < 1300; i++) {
        const char *rcpt[] = {"a@b.example"};
        struct queue_message *m = message_to(f, rcpt, 1, 10);

        OK(f, queue_store_enqueue(f->s, m, false, &f->err));
        queue_message_free(&m);
    }
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(change(f, QUEUE_CHANGE_HOLD, all), 1300);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1300);
    assert_int_equal(change(f, QUEUE_CHANGE_RELEASE, all), 1300);
    assert_int_equal(change(f, QUEUE_CHANGE_DELETE, all), 1300);
    assert_int_equal(counts(f).messages, 0);
    check_counts(f);
}

static void
a_bulk_change_goes_on_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    struct queue_bulk b = {.change = QUEUE_CHANGE_HOLD, .now_ms = NOW};
    struct queue_bulk delete = {.change = QUEUE_CHANGE_DELETE, .now_ms = NOW};

    for (int i = 0; i < 5; i++)
        ENQUEUE(f, false, "a@b.example", "b@c.example");
    for (uint64_t n = 3; !b.end; n += 3) {
        OK(f, queue_store_bulk(f->s, &b, 3, &f->err));
        assert_int_equal(b.count, n < 10 ? n : 10);
        assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], b.count);
        assert_true(n < 30);
    }
    OK(f, queue_store_bulk(f->s, &b, 3, &f->err));
    assert_int_equal(b.count, 10);
    while (!delete.end)
        OK(f, queue_store_bulk(f->s, &delete, 1, &f->err));
    assert_int_equal(delete.count, 10);
    assert_int_equal(counts(f).messages, 0);
}

/* A row that nobody asks for is looked at all the same. */
static void
a_turn_ends_whether_it_found_something_or_not(void **state)
{
    struct fixture *f = *state;
    struct queue_filter nobody = {.domain = "nobody.example"};
    struct queue_filter old = {.older_than_ms = 1};
    struct queue_bulk b = {.change = QUEUE_CHANGE_HOLD, .filter = nobody};
    struct queue_cursor cursor = {0}, again = {0};
    struct listing l = {0};
    bool end;

    for (int i = 0; i <= QUEUE_LOOKED_MAX / 1000; i++) {
        const char *rcpt[1000];
        struct queue_message *m;

        for (size_t k = 0; k < 1000; k++)
            rcpt[k] = "a@b.example";
        m = message_to(f, rcpt, 1000, 10);
        OK(f, queue_store_begin(f->s, &f->err));
        OK(f, queue_store_enqueue(f->s, m, false, &f->err));
        OK(f, queue_store_commit(f->s, &f->err));
        queue_message_free(&m);
    }
    OK(f, queue_store_list(f->s, &nobody, &cursor, 5, note_row, &l, &end,
                           &f->err));
    assert_false(end);
    OK(f, queue_store_list(f->s, &old, &again, 5, note_row, &l, &end, &f->err));
    assert_false(end);
    assert_int_equal(cursor.id, again.id);
    assert_int_equal(cursor.number, again.number);
    OK(f, queue_store_bulk(f->s, &b, SIZE_MAX, &f->err));
    assert_false(b.end);
    assert_int_equal(cursor.id, b.cursor.id);
    assert_int_equal(cursor.number, b.cursor.number);
    OK(f, queue_store_list(f->s, &nobody, &cursor, 5, note_row, &l, &end,
                           &f->err));
    assert_true(end);
    OK(f, queue_store_bulk(f->s, &b, SIZE_MAX, &f->err));
    assert_true(b.end);
    assert_int_equal(l.count + b.count, 0);
}

static void
counts_tell_the_oldest(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(counts(f).oldest_ms, 0);
    fill(f);
    assert_int_equal(counts(f).oldest_ms, NOW);
    assert_int_equal(counts(f).messages, 4);
    assert_int_equal(counts(f).recipients, 5);
    assert_int_equal(counts(f).octets, 100 + 10 + 100 + 10);
    change(f, QUEUE_CHANGE_DELETE, (struct queue_filter){.id = 1001});
    assert_int_equal(counts(f).oldest_ms, NOW + 10);
}

static int64_t
oldest(struct fixture *f, enum queue_state state)
{
    int64_t arrived_ms[QUEUE_STATE_ACTIVE + 1];

    OK(f, queue_store_oldest(f->s, arrived_ms, &f->err));
    return arrived_ms[state];
}

/* Arrived so long after NOW. */
static uint64_t
enqueue_at(struct fixture *f, bool claim, int64_t ms)
{
    const char *const rcpt[] = {"a@b.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 10);

    m->arrived_ms = NOW + ms;
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, claim, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    queue_message_free(&m);
    return f->id;
}

static void
each_state_has_its_oldest(void **state)
{
    static const enum queue_state states[] = {
        QUEUE_STATE_QUEUED, QUEUE_STATE_DEFERRED, QUEUE_STATE_HELD,
        QUEUE_STATE_ACTIVE};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        assert_int_equal(oldest(f, states[i]), 0);
    change(f, QUEUE_CHANGE_HOLD,
           (struct queue_filter){.id = enqueue_at(f, false, 1)});
    settle(f, enqueue_at(f, true, 2), 0, QUEUE_DEFERRED);
    (void)enqueue_at(f, true, 3);
    (void)enqueue_at(f, false, 4);
    (void)enqueue_at(f, false, 5);
    (void)enqueue_at(f, true, 6);
    assert_int_equal(oldest(f, QUEUE_STATE_HELD), NOW + 1);
    assert_int_equal(oldest(f, QUEUE_STATE_DEFERRED), NOW + 2);
    assert_int_equal(oldest(f, QUEUE_STATE_ACTIVE), NOW + 3);
    assert_int_equal(oldest(f, QUEUE_STATE_QUEUED), NOW + 4);
}

static void
a_state_deep_in_the_queue_is_told_as_older_than_it_is(void **state)
{
    struct fixture *f = *state;

    OK(f, queue_store_begin(f->s, &f->err));
    for (int i = 0; i < QUEUE_OLDEST_ROWS; i++) {
        const char *const rcpt[] = {"a@b.example"};
        struct queue_message *m = message_to(f, rcpt, 1, 10);

        m->arrived_ms = NOW + i;
        m->rcpt[0].held = true;
        OK(f, queue_store_enqueue(f->s, m, false, &f->err));
        queue_message_free(&m);
    }
    OK(f, queue_store_commit(f->s, &f->err));
    (void)enqueue_at(f, false, QUEUE_OLDEST_ROWS + 100);
    assert_int_equal(oldest(f, QUEUE_STATE_HELD), NOW);
    assert_int_equal(oldest(f, QUEUE_STATE_QUEUED),
                     NOW + QUEUE_OLDEST_ROWS - 1);
}

static void
listing_works_with_no_relay_running(void **state)
{
    struct fixture *f = *state;
    struct listing l;

    fill(f);
    queue_store_close(&f->s);
    f->s = queue_store_open_read(f->dir.path, &f->err);
    OK(f, f->s);
    list(f, &(struct queue_filter){0}, 2, &l);
    assert_int_equal(l.count, 5);
    assert_int_equal(counts(f).messages, 4);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_page_size_shows_every_row_once),
        TEST(an_empty_store_ends_at_once),
        TEST(the_last_full_page_knows_that_it_is_the_last),
        TEST(a_row_tells_all),
        TEST(strings_are_good_during_the_call),
        TEST(filters_let_through_what_they_say),
        TEST(filters_are_and_ed),
        TEST(filters_are_plain_text),
        TEST(a_dry_change_changes_nothing),
        TEST(hold_and_release),
        TEST(retry_makes_what_is_deferred_due),
        TEST(delete_takes_recipient_body_and_leaves_a_trace),
        TEST(a_turn_ends_whether_it_found_something_or_not),
        TEST(bounce_moves_it_to_where_nothing_is_tried),
        TEST(bounce_takes_effect_when_an_attempt_fails),
        TEST(routes_that_change_leave_what_was_given_up),
        TEST(a_change_reaches_behind_the_first_page),
        TEST(a_bulk_change_goes_on_where_it_stopped),
        TEST(counts_tell_the_oldest),
        TEST(each_state_has_its_oldest),
        TEST(a_state_deep_in_the_queue_is_told_as_older_than_it_is),
        TEST(listing_works_with_no_relay_running),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
