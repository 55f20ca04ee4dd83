#include "store_fixture.h"

#include "relay/base/id.h"

struct found {
    char text[2048];
    size_t count;
};

static void
note(void *ctx, const struct queue_found *m)
{
    struct found *x = ctx;
    size_t len = strlen(x->text);

    x->count++;
    (void)snprintf(x->text + len, sizeof(x->text) - len,
                   "%llu to %s: %llu wait, %llu went, %llu failed\n",
                   (unsigned long long)m->id, m->to ? m->to : "-",
                   (unsigned long long)m->waiting,
                   (unsigned long long)m->delivered,
                   (unsigned long long)m->failed);
    assert_string_equal(m->from, "app@sender.example");
    assert_int_equal(m->size, 100);
}

static const char *
search(struct fixture *f, const char *address, struct found *x)
{
    uint64_t before = 0;
    bool end = false;

    *x = (struct found){0};
    OK(f,
       queue_store_search(f->s, address, 50, note, x, &before, &end, &f->err));
    assert_true(end);
    return x->text;
}

static void
finish(struct fixture *f, uint64_t id, const char *address,
       enum queue_outcome outcome)
{
    struct queue_result r = result_of(0, outcome);
    struct queue_settlement x = {.id = id, .results = &r, .result_count = 1};

    r.address = address;
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_settle(f->s, &x, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
}

static void
a_message_is_found_by_each_of_its_addresses(void **state)
{
    struct fixture *f = *state;
    struct found x;

    ENQUEUE(f, false, "a@x.example", "b@y.example");
    assert_string_equal(search(f, "B@Y.example", &x),
                        "1001 to b@y.example: 2 wait, 0 went, 0 failed\n");
    assert_string_equal(search(f, "a@x.example", &x),
                        "1001 to a@x.example: 2 wait, 0 went, 0 failed\n");
    (void)search(f, "app@sender.example", &x);
    assert_int_equal(x.count, 1);
}

static void
finished_messages_are_found_too(void **state)
{
    struct fixture *f = *state;
    struct found x;

    finish(f, ENQUEUE(f, true, "a@x.example"), "a@x.example", QUEUE_DELIVERED);
    finish(f, ENQUEUE(f, true, "a@x.example"), "a@x.example", QUEUE_FAILED);
    assert_string_equal(search(f, "a@x.example", &x),
                        "1002 to a@x.example: 0 wait, 0 went, 1 failed\n"
                        "1001 to a@x.example: 0 wait, 1 went, 0 failed\n");
}

static void
a_domain_stands_for_everybody_there_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct found x;

    ENQUEUE(f, false, "a@x.example");
    ENQUEUE(f, false, "b@sub.x.example");
    ENQUEUE(f, false, "c@X.Example");
    assert_string_equal(search(f, "@x.example", &x),
                        "1003 to c@X.Example: 1 wait, 0 went, 0 failed\n"
                        "1001 to a@x.example: 1 wait, 0 went, 0 failed\n");
    (void)search(f, "@sender.example", &x);
    assert_int_equal(x.count, 3);
}

static void
other_addresses_are_not_found(void **state)
{
    static const char *const others[] = {
        "@example", "a@x.exampl",           "%", "@%", "_@x.example",
        "@",        "x' OR 1=1--@x.example"};
    struct fixture *f = *state;
    struct found x;

    ENQUEUE(f, false, "a@x.example");
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_string_equal(search(f, others[i], &x), "");
}

static void
without_an_address_all_are_told_the_newest_first(void **state)
{
    struct fixture *f = *state;
    struct found x;

    ENQUEUE(f, false, "a@x.example");
    ENQUEUE(f, false, "b@x.example");
    assert_string_equal(search(f, NULL, &x),
                        "1002 to b@x.example: 1 wait, 0 went, 0 failed\n"
                        "1001 to a@x.example: 1 wait, 0 went, 0 failed\n");
}

/* However little is found, so many messages are looked at and no more. */
static void
a_search_goes_back_in_bounded_steps(void **state)
{
    struct fixture *f = *state;
    struct found x = {0};
    uint64_t before = 0;
    bool end;

    ENQUEUE(f, false, "first@x.example");
    for (int i = 0; i < QUEUE_SEARCH_MAX; i++)
        ENQUEUE(f, false, "b@y.example");
    OK(f, queue_store_search(f->s, "@x.example", 50, note, &x, &before, &end,
                             &f->err));
    assert_false(end);
    assert_int_equal(x.count, 0);
    OK(f, queue_store_search(f->s, "@x.example", 50, note, &x, &before, &end,
                             &f->err));
    assert_true(end);
    assert_int_equal(x.count, 1);
    before = 0;
    OK(f, queue_store_search(f->s, "@y.example", 2, note, &x, &before, &end,
                             &f->err));
    assert_false(end);
    assert_int_equal(before, 1000 + QUEUE_SEARCH_MAX);
    assert_int_equal(x.count, 3);
}

/* Nobody else waits for the search among many recipients. */
static void
a_step_is_shorter_where_messages_have_many_recipients(void **state)
{
    enum { MESSAGES = 50, RECIPIENTS = 1000 };
    struct fixture *f = *state;
    const char *rcpt[RECIPIENTS];
    struct found x = {0};
    uint64_t before = 0;
    bool end = false;
    unsigned calls = 0;

    ENQUEUE(f, false, "first@x.example");
    for (size_t i = 0; i < RECIPIENTS; i++)
        rcpt[i] = "a@b.example";
    OK(f, queue_store_begin(f->s, &f->err));
    for (int i = 0; i < MESSAGES; i++) {
        struct queue_message *m = message_to(f, rcpt, RECIPIENTS, 10);

        OK(f, queue_store_enqueue(f->s, m, false, &f->err));
        queue_message_free(&m);
    }
    OK(f, queue_store_commit(f->s, &f->err));
    for (; !end; calls++)
        OK(f, queue_store_search(f->s, "@x.example", 50, note, &x, &before,
                                 &end, &f->err));
    assert_in_range(calls, 2, MESSAGES);
    assert_int_equal(x.count, 1);
}

static void
ages_are_counted_between_their_borders(void **state)
{
    struct fixture *f = *state;
    const int64_t base = INT64_C(1700000000000);
    const int64_t borders[] = {base, base + 1000};
    uint64_t out[3];

    f->id = id_at(base - 5) - 1;
    ENQUEUE(f, false, "a@x.example", "b@x.example");
    f->id = id_at(base) - 1;
    ENQUEUE(f, false, "a@x.example");
    f->id = id_at(base + 1000) - 1;
    ENQUEUE(f, true, "a@x.example");
    ENQUEUE(f, false, "a@x.example");
    OK(f, queue_store_ages(f->s, borders, 2, out, &f->err));
    assert_int_equal(out[0], 2);
    assert_int_equal(out[1], 1);
    assert_int_equal(out[2], 2);
}

static void
a_backlog_is_that_of_one_destination(void **state)
{
    struct fixture *f = *state;
    uint64_t n;

    ENQUEUE(f, true, "a@x.example", "b@x.example", "c@y.example");
    OK(f, queue_store_backlog(f->s, "x.example", &n, &f->err));
    assert_int_equal(n, 2);
    OK(f, queue_store_backlog(f->s, "z.example", &n, &f->err));
    assert_int_equal(n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_found_by_each_of_its_addresses),
        TEST(finished_messages_are_found_too),
        TEST(a_domain_stands_for_everybody_there_and_nobody_else),
        TEST(other_addresses_are_not_found),
        TEST(without_an_address_all_are_told_the_newest_first),
        TEST(a_search_goes_back_in_bounded_steps),
        TEST(a_step_is_shorter_where_messages_have_many_recipients),
        TEST(ages_are_counted_between_their_borders),
        TEST(a_backlog_is_that_of_one_destination),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
