#include "queue/claims.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int
set_up(void **state)
{
    *state = queue_claims_new();
    return 0;
}

static int
tear_down(void **state)
{
    struct queue_claims *c = *state;

    queue_claims_free(&c);
    return 0;
}

static void
put(struct queue_claims *c, uint64_t id, uint32_t number,
    enum queue_state beneath)
{
    struct queue_claim claim = {.id = id, .number = number, .state = beneath};

    queue_claims_put(c, &claim);
}

static void
what_is_put_is_found_until_it_is_dropped(void **state)
{
    struct queue_claims *c = *state;

    assert_null(queue_claims_find(c, 1, 0));
    put(c, 1, 0, QUEUE_STATE_QUEUED);
    put(c, 1, 1, QUEUE_STATE_DEFERRED);
    assert_int_equal(queue_claims_find(c, 1, 1)->state, QUEUE_STATE_DEFERRED);
    assert_null(queue_claims_find(c, 0, 1));
    assert_null(queue_claims_find(c, 1, 2));
    queue_claims_drop(c, 1, 0);
    queue_claims_drop(c, 1, 0);
    assert_null(queue_claims_find(c, 1, 0));
    assert_non_null(queue_claims_find(c, 1, 1));
}

static void
large_identifiers_do_not_meet(void **state)
{
    struct queue_claims *c = *state;
    const uint64_t id = (1ULL << 49) - 1;

    put(c, id, 16383, QUEUE_STATE_QUEUED);
    assert_non_null(queue_claims_find(c, id, 16383));
    assert_null(queue_claims_find(c, id, 0));
    assert_null(queue_claims_find(c, id - 1, 16383));
}

static void
claims_are_counted_by_the_state_beneath(void **state)
{
    struct queue_claims *c = *state;
    struct queue_claim bad = {
        .id = 9, .state = QUEUE_STATE_HELD, .is_bad = true};

    put(c, 1, 0, QUEUE_STATE_QUEUED);
    put(c, 2, 0, QUEUE_STATE_QUEUED);
    put(c, 3, 0, QUEUE_STATE_DEFERRED);
    queue_claims_put(c, &bad);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_QUEUED), 2);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_DEFERRED), 1);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_HELD), 0);
    put(c, 1, 0, QUEUE_STATE_HELD);
    queue_claims_drop(c, 3, 0);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_QUEUED), 1);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_HELD), 1);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_DEFERRED), 0);
}

static void
rollback_undoes_what_was_put_changed_and_dropped(void **state)
{
    struct queue_claims *c = *state;

    put(c, 1, 0, QUEUE_STATE_QUEUED);
    put(c, 2, 0, QUEUE_STATE_QUEUED);
    queue_claims_begin(c);
    put(c, 1, 0, QUEUE_STATE_HELD);
    put(c, 1, 0, QUEUE_STATE_DEFERRED);
    queue_claims_drop(c, 2, 0);
    put(c, 2, 0, QUEUE_STATE_HELD);
    put(c, 3, 0, QUEUE_STATE_QUEUED);
    queue_claims_drop(c, 3, 0);
    put(c, 4, 0, QUEUE_STATE_QUEUED);
    queue_claims_rollback(c);
    assert_int_equal(queue_claims_find(c, 1, 0)->state, QUEUE_STATE_QUEUED);
    assert_int_equal(queue_claims_find(c, 2, 0)->state, QUEUE_STATE_QUEUED);
    assert_null(queue_claims_find(c, 3, 0));
    assert_null(queue_claims_find(c, 4, 0));
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_QUEUED), 2);
}

static void
a_commit_leaves_nothing_to_undo(void **state)
{
    struct queue_claims *c = *state;

    queue_claims_begin(c);
    put(c, 1, 0, QUEUE_STATE_QUEUED);
    queue_claims_commit(c);
    queue_claims_begin(c);
    queue_claims_rollback(c);
    assert_non_null(queue_claims_find(c, 1, 0));
    put(c, 2, 0, QUEUE_STATE_QUEUED); /* outside of any transaction */
    queue_claims_begin(c);
    queue_claims_rollback(c);
    assert_non_null(queue_claims_find(c, 2, 0));
}

static void
bad_rows_stay_aside_after_a_rollback(void **state)
{
    struct queue_claims *c = *state;
    struct queue_claim bad = {
        .id = 1, .state = QUEUE_STATE_HELD, .is_bad = true};

    queue_claims_begin(c);
    queue_claims_put(c, &bad);
    put(c, 2, 0, QUEUE_STATE_QUEUED);
    queue_claims_rollback(c);
    assert_true(queue_claims_find(c, 1, 0)->is_bad);
    assert_null(queue_claims_find(c, 2, 0));
}

static void
a_long_transaction_is_undone_whole(void **state)
{
    struct queue_claims *c = *state;

    queue_claims_begin(c);
    for (uint32_t i = 0; i < 10000; i++)
        put(c, 1 + i / 100, i % 100, QUEUE_STATE_QUEUED);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_QUEUED), 10000);
    queue_claims_rollback(c);
    assert_int_equal(queue_claims_count(c, QUEUE_STATE_QUEUED), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_found_until_it_is_dropped),
        TEST(large_identifiers_do_not_meet),
        TEST(claims_are_counted_by_the_state_beneath),
        TEST(rollback_undoes_what_was_put_changed_and_dropped),
        TEST(a_commit_leaves_nothing_to_undo),
        TEST(bad_rows_stay_aside_after_a_rollback),
        TEST(a_long_transaction_is_undone_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
