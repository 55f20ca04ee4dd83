#include "store_fixture.h"

struct trace {
    char text[4096];
    size_t rows;
};

static void
note_message(void *ctx, const struct queue_history_message *m)
{
    struct trace *t = ctx;

    (void)snprintf(t->text, sizeof(t->text), "%llu %llu %s %s %s %s\n",
                   (unsigned long long)m->id, (unsigned long long)m->size,
                   m->from, m->origin, m->message_id,
                   m->envid ? m->envid : "-");
    assert_true(m->arrived_ms > 0);
}

static const char *
or_dash(const char *text)
{
    return text ? text : "-";
}

static void
note_row(void *ctx, const struct queue_attempt *a, const struct queue_result *r)
{
    struct trace *t = ctx;
    size_t len = strlen(t->text);

    (void)snprintf(t->text + len, sizeof(t->text) - len,
                   "<%s> %s: %s | %s %s %s %s %s %s %s %s %s\n", r->address,
                   queue_outcome_name(r->outcome), or_dash(r->reason),
                   a ? or_dash(a->host) : "none", a ? or_dash(a->address) : "",
                   a ? or_dash(a->policy) : "", a ? or_dash(a->proof) : "",
                   a ? or_dash(a->tls_version) : "",
                   a ? or_dash(a->tls_cipher) : "",
                   a ? or_dash(a->verdict) : "", a ? or_dash(a->reply) : "",
                   a ? or_dash(a->step) : "");
    t->rows++;
}

static const char *
trace(struct fixture *f, uint64_t id, struct trace *t)
{
    *t = (struct trace){0};
    OK(f, queue_store_history(f->s, id, note_message, note_row, t, &f->err));
    return t->text;
}

static void
count_message(void *ctx, const struct queue_history_message *m)
{
    *(uint64_t *)ctx = m->left_off;
}

static void
count_row(void *ctx, const struct queue_attempt *a,
          const struct queue_result *r)
{
    (void)a, (void)r;
    *(uint64_t *)ctx += 1000000;
}

static void
of_a_very_long_story_the_end_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example"), seen = 0;
    static struct queue_attempt tries[QUEUE_HISTORY_MAX + 1];
    struct queue_result sent = {.address = "a@b.example",
                                .outcome = QUEUE_DELIVERED,
                                .attempt = SIZE_MAX};
    struct queue_settlement x = {id,   &sent, 1, tries, QUEUE_HISTORY_MAX + 1,
                                 NULL, 0,     0, NULL};

    for (size_t i = 0; i < QUEUE_HISTORY_MAX + 1; i++)
        tries[i] = (struct queue_attempt){.at_ms = NOW, .host = "mx"};
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    OK(f,
       queue_store_history(f->s, id, count_message, count_row, &seen, &f->err));
    assert_int_equal(seen, QUEUE_HISTORY_MAX * UINT64_C(1000000) + 2);
}

static void
the_whole_story_is_told_in_order(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example", "b@b.example");
    struct queue_attempt tries[] = {
        {.at_ms = NOW, .host = "mx1", .reply = "refused", .step = "connect"},
        {.at_ms = NOW + 1,
         .took_ms = 2,
         .host = "mx2",
         .address = "192.0.2.1:25",
         .policy = "dane",
         .proof = "dane",
         .tls_version = "TLSv1.3",
         .tls_cipher = "AES",
         .verdict = "verified",
         .reply = "250 ok",
         .step = "DATA"},
    };
    struct queue_result results[] = {
        {.number = 0,
         .address = "a@b.example",
         .outcome = QUEUE_DELIVERED,
         .reason = "250 ok",
         .attempt = 1},
        {.number = 1,
         .address = "b@b.example",
         .outcome = QUEUE_DEFERRED,
         .next_ms = NOW + 5,
         .reason = "451 no",
         .attempt = 1},
    };
    struct queue_settlement x = {id, results, 2, tries, 2, NULL, 0, 0, NULL};
    struct trace t;

    OK(f, queue_store_settle(f->s, &x, &f->err));
    settle(f, id, 1, QUEUE_EXPIRED);
    reopen(f);
    assert_string_equal(
        trace(f, id, &t),
        "1001 100 app@sender.example 127.0.0.1 (app) <1@sender.example> -\n"
        "<> deferred: - | mx1 - - - - - - refused connect\n"
        "<a@b.example> delivered: 250 ok | mx2 192.0.2.1:25 dane dane"
        " TLSv1.3 AES verified 250 ok DATA\n"
        "<b@b.example> deferred: 451 no | mx2 192.0.2.1:25 dane dane"
        " TLSv1.3 AES verified 250 ok DATA\n"
        "<somebody@dest.example> expired: 250 2.0.0 ok | none        \n");
}

static void
a_message_that_was_never_tried_has_a_short_story(void **state)
{
    struct fixture *f = *state;
    struct trace t;

    (void)trace(f, ENQUEUE(f, true, "a@b.example"), &t);
    assert_int_equal(t.rows, 0);
}

static void
an_unknown_message_is_missing(void **state)
{
    struct fixture *f = *state;
    static const uint64_t ids[] = {0, 4711, UINT64_MAX};
    struct trace t;

    for (size_t i = 0; i < 3; i++) {
        assert_false(queue_store_history(f->s, ids[i], note_message, note_row,
                                         &t, &f->err));
        assert_int_equal(f->err.kind, ERR_MISSING);
    }
}

static void
replies_are_kept_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");
    struct queue_result r = result_of(0, QUEUE_FAILED);
    struct queue_settlement x = {.id = id, .results = &r, .result_count = 1};
    struct trace t;

    r.reason = "550 ' OR 1=1-- <script> %n%s \xc3\xa9";
    OK(f, queue_store_settle(f->s, &x, &f->err));
    assert_non_null(strstr(trace(f, id, &t), r.reason));
}

/* --- purging --- */

static uint64_t
finished(struct fixture *f, int64_t arrived_ms)
{
    const char *rcpt[] = {"a@b.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 10);

    m->arrived_ms = arrived_ms;
    OK(f, queue_store_enqueue(f->s, m, true, &f->err));
    queue_message_free(&m);
    settle(f, f->id, 0, QUEUE_DELIVERED);
    return f->id;
}

static bool
purge(struct fixture *f, int64_t before_ms, uint64_t rows_max)
{
    bool more;

    OK(f, queue_store_purge(f->s, before_ms, rows_max, &more, &f->err));
    return more;
}

static bool
is_known(struct fixture *f, uint64_t id)
{
    struct trace t = {0};

    if (queue_store_history(f->s, id, note_message, note_row, &t, &f->err))
        return true;
    assert_int_equal(f->err.kind, ERR_MISSING);
    return false;
}

static void
old_stories_are_forgotten(void **state)
{
    struct fixture *f = *state;
    uint64_t before = finished(f, NOW - 1), at = finished(f, NOW);

    assert_false(purge(f, NOW, 100));
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 1);
    assert_false(is_known(f, before));
    assert_true(is_known(f, at));
}

static void
what_is_pending_is_never_forgotten(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");

    settle(f, id, 0, QUEUE_DEFERRED);
    assert_false(purge(f, INT64_MAX, 0));
    assert_true(is_known(f, id));
    assert_int_equal(claim_at(f, "b.example", NOW + 60000, NULL), 1);
}

static void
a_story_is_as_old_as_its_end(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");
    struct queue_attempt a = {.at_ms = NOW + 5000};
    struct queue_result r = result_of(0, QUEUE_EXPIRED);
    struct queue_settlement x = {.id = id,
                                 .results = &r,
                                 .result_count = 1,
                                 .attempts = &a,
                                 .attempt_count = 1};

    r.attempt = 0;
    OK(f, queue_store_settle(f->s, &x, &f->err));
    assert_false(purge(f, NOW + 4000, 100));
    assert_true(is_known(f, id));
    assert_false(purge(f, NOW + 5001, 100));
    assert_false(is_known(f, id));
}

static void
the_oldest_go_when_there_are_too_many(void **state)
{
    struct fixture *f = *state;
    uint64_t first = finished(f, NOW), pending, last;

    pending = ENQUEUE(f, false, "a@b.example");
    for (int i = 0; i < 8; i++)
        (void)finished(f, NOW);
    last = finished(f, NOW);
    assert_false(purge(f, 0, 4));
    assert_false(is_known(f, first));
    assert_true(is_known(f, pending));
    assert_true(is_known(f, last));
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 4);
    assert_false(purge(f, 0, 4)); /* the number was kept up */
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 4);
}

static void
long_stories_are_forgotten_few_at_a_time(void **state)
{
    struct fixture *f = *state;
    static struct queue_attempt tries[6000];
    int rounds = 1;

    for (int i = 0; i < 5; i++) {
        uint64_t id = ENQUEUE(f, true, "a@b.example");
        struct queue_result sent = {.address = "a@b.example",
                                    .outcome = QUEUE_DELIVERED,
                                    .attempt = SIZE_MAX};
        struct queue_settlement x = {id,   &sent, 1, tries, 6000,
                                     NULL, 0,     0, NULL};

        OK(f, queue_store_begin(f->s, &f->err));
        OK(f, queue_store_settle(f->s, &x, &f->err));
        OK(f, queue_store_commit(f->s, &f->err));
    }
    for (; purge(f, 0, 0); rounds++)
        assert_int_equal(ask(f, "SELECT count(*) FROM message"),
                         5 - 2 * rounds);
    assert_int_equal(rounds, 3);
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 0);
}

static void
a_purge_does_a_bounded_amount_at_a_time(void **state)
{
    struct fixture *f = *state;
    int rounds = 1;

    OK(f, queue_store_begin(f->s, &f->err));
    for (int i = 0; i < 1200; i++) {
        const char *rcpt[] = {"a@b.example"};
        struct queue_message *m = message_to(f, rcpt, 1, 10);

        m->arrived_ms = 5;
        OK(f, queue_store_enqueue(f->s, m, true, &f->err));
        if (i % 2)
            OK(f, settle_in(f, m->id, 0, QUEUE_DELIVERED));
        queue_message_free(&m);
    }
    OK(f, queue_store_commit(f->s, &f->err));
    while (purge(f, NOW, 1000000))
        rounds++;
    assert_int_equal(rounds, 3);
    assert_int_equal(ask(f, "SELECT count(*) FROM message"), 600);
    assert_int_equal(ask(f, "SELECT count(*) FROM attempt"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_whole_story_is_told_in_order),
        TEST(of_a_very_long_story_the_end_is_told),
        TEST(a_message_that_was_never_tried_has_a_short_story),
        TEST(an_unknown_message_is_missing),
        TEST(replies_are_kept_byte_for_byte),
        TEST(old_stories_are_forgotten),
        TEST(what_is_pending_is_never_forgotten),
        TEST(a_story_is_as_old_as_its_end),
        TEST(the_oldest_go_when_there_are_too_many),
        TEST(long_stories_are_forgotten_few_at_a_time),
        TEST(a_purge_does_a_bounded_amount_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
