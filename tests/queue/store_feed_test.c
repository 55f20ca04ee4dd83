#include "store_fixture.h"

static char *both[] = {"app", "crm", NULL};
static char *app[] = {"app", NULL};
static char *crm[] = {"crm", NULL};

/* Settles one recipient, which `feeds` are to be told of. */
static void
settle_for(struct fixture *f, uint64_t id, enum queue_outcome outcome,
           char *const *feeds, int64_t now_ms)
{
    const struct queue_attempt a = {.at_ms = 7,
                                    .took_ms = 5,
                                    .host = "mx.example",
                                    .step = "end of data",
                                    .tls_version = "TLSv1.3"};
    struct queue_result r = result_of(0, outcome);
    struct queue_settlement x = {.id = id,
                                 .results = &r,
                                 .result_count = 1,
                                 .attempts = &a,
                                 .attempt_count = 1,
                                 .now_ms = now_ms};

    r.attempt = 0;
    r.feeds = feeds;
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
}

static uint64_t
send(struct fixture *f, char *const *feeds, int64_t now_ms)
{
    uint64_t id = ENQUEUE(f, true, "somebody@dest.example");

    settle_for(f, id, QUEUE_DELIVERED, feeds, now_ms);
    return id;
}

struct seen {
    uint64_t id[10], number[10];
    size_t count;
};

static void
see(void *ctx, const struct queue_feed_row *row)
{
    struct seen *s = ctx;

    assert_true(s->count < 10);
    s->id[s->count] = row->message.id;
    s->number[s->count++] = row->number;
}

static struct seen
look(struct fixture *f, const char *name, uint64_t last, size_t max)
{
    struct seen s = {0};

    OK(f, queue_store_feed_list(f->s, name, last, max, see, &s, &f->err));
    return s;
}

static uint64_t
count_of(struct fixture *f, const char *name)
{
    uint64_t n = 99;

    OK(f, queue_store_feed_count(f->s, name, &n, &f->err));
    return n;
}

static void
check_row(void *ctx, const struct queue_feed_row *row)
{
    unsigned *rows = ctx;

    (*rows)++;
    assert_int_equal(row->at_ms, 1234);
    assert_int_equal(row->sequence, 0);
    assert_string_equal(row->message.from, "app@sender.example");
    assert_string_equal(row->message.message_id, "<1@sender.example>");
    assert_int_equal(row->message.arrived_ms, NOW);
    assert_string_equal(row->result->address, "somebody@dest.example");
    assert_int_equal(row->result->outcome, QUEUE_DELIVERED);
    assert_string_equal(row->result->reason, "250 2.0.0 ok");
    assert_string_equal(row->attempt->host, "mx.example");
    assert_string_equal(row->attempt->tls_version, "TLSv1.3");
}

static void
a_row_tells_the_history_of_its_result(void **state)
{
    struct fixture *f = *state;
    unsigned rows = 0;

    send(f, app, 1234);
    OK(f, queue_store_feed_list(f->s, "app", UINT64_MAX, 10, check_row, &rows,
                                &f->err));
    assert_int_equal(rows, 1);
}

static void
each_feed_has_its_own_in_their_order(void **state)
{
    struct fixture *f = *state;
    uint64_t one = send(f, app, 1), two = send(f, both, 1);
    uint64_t three = send(f, app, 1);
    struct seen s = look(f, "app", UINT64_MAX, 10);

    send(f, NULL, 1);
    assert_int_equal(s.count, 3);
    assert_true(s.id[0] == one && s.id[1] == two && s.id[2] == three);
    assert_true(s.number[0] < s.number[1] && s.number[1] < s.number[2]);
    assert_int_equal(look(f, "crm", UINT64_MAX, 10).count, 1);
    assert_int_equal(look(f, "other", UINT64_MAX, 10).count, 0);
    assert_int_equal(look(f, "app", UINT64_MAX, 2).count, 2);
    assert_int_equal(look(f, "app", s.number[1], 10).count, 2);
}

static void
what_was_told_goes_and_what_comes_is_behind_it(void **state)
{
    struct fixture *f = *state;
    struct seen before, after;

    send(f, both, 1);
    send(f, both, 1);
    before = look(f, "app", UINT64_MAX, 10);
    OK(f, queue_store_feed_drop(f->s, "app", before.number[0], &f->err));
    assert_int_equal(count_of(f, "app"), 1);
    assert_int_equal(count_of(f, "crm"), 2);
    reopen(f);
    send(f, app, 1);
    after = look(f, "app", UINT64_MAX, 10);
    assert_int_equal(after.count, 2);
    assert_true(after.number[0] == before.number[1]);
    assert_true(after.number[1] > after.number[0]);
}

static void
an_undone_transaction_tells_nobody(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "somebody@dest.example");
    struct queue_result r = result_of(0, QUEUE_DELIVERED);
    struct queue_settlement x = {.id = id, .results = &r, .result_count = 1};

    r.feeds = app;
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    queue_store_rollback(f->s);
    assert_int_equal(count_of(f, "app"), 0);
    settle_for(f, id, QUEUE_DELIVERED, app, 1);
    assert_int_equal(count_of(f, "app"), 1);
}

static void
a_recipient_that_is_gone_is_not_told_of(void **state)
{
    struct fixture *f = *state;
    uint64_t id = send(f, NULL, 1);

    settle_for(f, id, QUEUE_DELIVERED, app, 1);
    assert_int_equal(count_of(f, "app"), 0);
}

static void
history_stays_until_it_was_told(void **state)
{
    struct fixture *f = *state;
    bool more = true;

    send(f, app, 1);
    OK(f, queue_store_purge(f->s, INT64_MAX, 0, &more, &f->err));
    assert_int_equal(look(f, "app", UINT64_MAX, 10).count, 1);
    OK(f, queue_store_feed_drop(f->s, "app", INT64_MAX, &f->err));
    OK(f, queue_store_purge(f->s, INT64_MAX, 0, &more, &f->err));
    assert_int_equal(
        queue_store_history(f->s, f->id, NULL, NULL, NULL, &f->err), false);
}

static uint64_t
trim(struct fixture *f, int64_t before_ms, uint64_t rows_max)
{
    uint64_t n = 99;

    OK(f, queue_store_feed_trim(f->s, "app", before_ms, rows_max, &n, &f->err));
    return n;
}

static void
the_oldest_are_given_up(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(trim(f, INT64_MAX, 0), 0);
    for (int64_t i = 1; i <= 6; i++)
        send(f, both, i);
    assert_int_equal(trim(f, 1, 6), 0);
    assert_int_equal(trim(f, 3, 6), 2);
    assert_int_equal(trim(f, 0, 3), 1);
    assert_int_equal(count_of(f, "app"), 3);
    assert_int_equal(trim(f, 100, 3), 3);
    assert_int_equal(count_of(f, "crm"), 6);
}

static void
only_feeds_that_are_named_are_kept(void **state)
{
    struct fixture *f = *state;

    send(f, both, 1);
    send(f, crm, 1);
    OK(f, queue_store_feed_keep(f->s, both, 2, &f->err));
    assert_int_equal(count_of(f, "app"), 1);
    OK(f, queue_store_feed_keep(f->s, crm, 1, &f->err));
    assert_int_equal(count_of(f, "app"), 0);
    assert_int_equal(count_of(f, "crm"), 2);
    OK(f, queue_store_feed_keep(f->s, NULL, 0, &f->err));
    assert_int_equal(count_of(f, "crm"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_tells_the_history_of_its_result),
        TEST(each_feed_has_its_own_in_their_order),
        TEST(what_was_told_goes_and_what_comes_is_behind_it),
        TEST(an_undone_transaction_tells_nobody),
        TEST(a_recipient_that_is_gone_is_not_told_of),
        TEST(history_stays_until_it_was_told),
        TEST(the_oldest_are_given_up),
        TEST(only_feeds_that_are_named_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
