#include "store_fixture.h"

/* --- a clock that jumped --- */

static void
waits(struct fixture *f, const char *address, uint32_t attempts,
      int64_t next_ms)
{
    struct queue_message *m = message_to(f, &address, 1, 10);

    m->rcpt[0].next_ms = next_ms;
    m->rcpt[0].attempts = attempts;
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    queue_message_free(&m);
}

static void
deferred_to(struct fixture *f, const char *address, int64_t next_ms)
{
    waits(f, address, 1, next_ms);
}

static void
what_waits_for_a_time_that_never_comes_becomes_due(void **state)
{
    struct fixture *f = *state;
    const struct queue_filter held = {.to = "held@b.example"};
    uint64_t n;

    deferred_to(f, "a@b.example", NOW + 100);
    deferred_to(f, "b@b.example", NOW + 101);
    deferred_to(f, "c@c.example", NOW * 100LL);
    deferred_to(f, "held@b.example", NOW);
    OK(f, change_all(f->s, QUEUE_CHANGE_HOLD, &held, false, &n, &f->err));
    OK(f, queue_store_unjam(f->s, NOW, NOW + 100, NOW + 100, &f->err));
    assert_int_equal(claim(f, "b.example"), 1);
    assert_int_equal(claim(f, "c.example"), 1);
    assert_int_equal(claim_at(f, "b.example", NOW + 100, NULL), 1);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1);
}

static void
a_first_attempt_may_have_been_put_off_longer(void **state)
{
    struct fixture *f = *state;

    waits(f, "a@b.example", 0, NOW + 200);
    waits(f, "b@b.example", 0, NOW + 201);
    waits(f, "c@b.example", 1, NOW + 200);
    OK(f, queue_store_unjam(f->s, NOW, NOW + 100, NOW + 200, &f->err));
    assert_int_equal(claim(f, "b.example"), 2);
    assert_int_equal(claim_at(f, "b.example", NOW + 200, NULL), 1);
}

static void
an_empty_store_is_not_jammed(void **state)
{
    struct fixture *f = *state;

    OK(f, queue_store_unjam(f->s, NOW, NOW, NOW, &f->err));
}

/* --- routes --- */

struct routing {
    const char *to;
    size_t asked;
};

static const char *
route(void *ctx, const char *from, const char *address, const char *domain)
{
    struct routing *r = ctx;

    assert_string_equal(from, "app@sender.example");
    assert_non_null(strstr(address, domain));
    r->asked++;
    return r->to ? r->to : domain;
}

static size_t
reroute(struct fixture *f, const char *fingerprint, const char *to)
{
    struct routing r = {.to = to};

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_reroute(f->s, fingerprint, route, &r, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    return r.asked;
}

static void
new_routes_move_what_waits(void **state)
{
    struct fixture *f = *state;
    struct queue_message *m;

    ENQUEUE(f, false, "a@b.example", "b@c.example");
    ENQUEUE(f, false, "c@b.example");
    assert_int_equal(reroute(f, "one", "route:smarthost"), 3);
    assert_int_equal(claim(f, "b.example"), 0);
    assert_int_equal(reroute(f, "one", NULL), 0);
    reopen(f);
    assert_int_equal(reroute(f, "one", NULL), 0);
    assert_int_equal(claim_at(f, "route:smarthost", NOW, &m), 3);
    assert_string_equal(m->rcpt[0].destination, "route:smarthost");
    assert_string_equal(m->envelope.rcpt[0].domain, "b.example");
    queue_message_free(&m);
    reopen(f);
    assert_int_equal(reroute(f, "two", NULL), 3);
    assert_int_equal(claim(f, "route:smarthost"), 0);
    assert_int_equal(claim(f, "b.example"), 2);
    assert_int_equal(claim(f, "c.example"), 1);
}

static void
what_is_under_way_keeps_its_route(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@b.example");

    ENQUEUE(f, false, "a@b.example");
    assert_int_equal(reroute(f, "one", "route:x"), 1);
    settle(f, id, 0, QUEUE_DEFERRED);
    assert_int_equal(claim_at(f, "b.example", NOW + 60000, NULL), 1);
    assert_int_equal(claim(f, "route:x"), 1);
}

static void
routes_of_a_long_queue_change_in_one_go(void **state)
{
    struct fixture *f = *state;

    OK(f, queue_store_begin(f->s, &f->err));
    for (int i = 0; i < 1001; i++) {
        const char *rcpt[] = {"a@b.example"};
        struct queue_message *m = message_to(f, rcpt, 1, 10);

        OK(f, queue_store_enqueue(f->s, m, false, &f->err));
        queue_message_free(&m);
    }
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(reroute(f, "one", "route:x"), 1001);
    assert_int_equal(ask(f, "SELECT count(*) FROM recipient"
                            " WHERE destination = 'route:x'"),
                     1001);
    assert_int_equal(ask(f, "SELECT count(DISTINCT sum) FROM recipient"), 1001);
}

static void
a_damaged_row_is_not_made_good_by_a_new_route(void **state)
{
    struct fixture *f = *state;
    size_t count, budget = 0;
    struct queue_message *out[1];
    bool more;

    ENQUEUE(f, false, "a@b.example");
    (void)ask(f, "UPDATE recipient SET address = 'x@b.example'");
    assert_int_equal(reroute(f, "one", "route:x"), 0);
    assert_false(queue_store_claim(f->s, "b.example", NOW, 1, &budget, out,
                                   &count, &more, &f->err));
    assert_int_equal(f->err.kind, ERR_INPUT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_for_a_time_that_never_comes_becomes_due),
        TEST(a_first_attempt_may_have_been_put_off_longer),
        TEST(an_empty_store_is_not_jammed),
        TEST(new_routes_move_what_waits),
        TEST(what_is_under_way_keeps_its_route),
        TEST(routes_of_a_long_queue_change_in_one_go),
        TEST(a_damaged_row_is_not_made_good_by_a_new_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
