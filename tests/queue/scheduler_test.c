#include "queue/scheduler.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct queue_limits limits = {
    .workers = 2,
    .per_destination = 4,
    .in_all = 6,
    .schedule = {.step_ms = {60000, 300000},
                 .steps = 2,
                 .expire_ms = 432000000},
};

static struct queue_message *
message(uint64_t id, const char *const *destinations, size_t count)
{
    struct queue_message *m = queue_message_new();

    m->id = id;
    for (size_t i = 0; i < count; i++) {
        struct mail_rcpt *r = mail_envelope_add(&m->envelope);

        r->address = mem_printf("user@%s", destinations[i]);
        r->domain = mem_text(destinations[i]);
    }
    m->envelope.from = mem_text("");
    queue_message_number(m);
    for (size_t i = 0; i < count; i++)
        m->rcpt[i].destination = mem_text(destinations[i]);
    return m;
}

static void
add(struct queue_scheduler *s, uint64_t id, const char *destination)
{
    queue_scheduler_add(s, message(id, &destination, 1));
}

/* The scan that every scheduler begins with, answered with nothing. */
static struct queue_scheduler *
scheduler(void)
{
    struct queue_scheduler *s = queue_scheduler_new(&limits, 1);
    struct queue_do what;

    assert_true(queue_scheduler_next(s, 0, &what));
    assert_int_equal(what.kind, QUEUE_DO_SCAN);
    queue_scheduler_found_all(s, INT64_MAX, 0);
    return s;
}

static struct queue_order *
next_order(struct queue_scheduler *s, int64_t now)
{
    struct queue_do what;

    if (!queue_scheduler_next(s, now, &what))
        return NULL;
    assert_int_equal(what.kind, QUEUE_DO_ORDER);
    return what.order;
}

static void
end(struct queue_scheduler *s, struct queue_order *order)
{
    for (size_t i = 0; i < order->count; i++)
        queue_scheduler_job_done(s, order->jobs[i]);
    queue_scheduler_order_done(s, &order);
}

/* Makes a destination known as one that can be reached. */
static void
open_destination(struct queue_scheduler *s, const char *name)
{
    struct queue_order *order;

    add(s, 1, name);
    order = next_order(s, 1);
    assert_non_null(order);
    queue_scheduler_reached(s, name);
    end(s, order);
}

static void
begins_by_looking_for_due_work(void **state)
{
    struct queue_scheduler *s = queue_scheduler_new(&limits, 1);
    struct queue_do what;

    (void)state;
    assert_true(queue_scheduler_next(s, 0, &what));
    assert_int_equal(what.kind, QUEUE_DO_SCAN);
    assert_false(queue_scheduler_next(s, 0, &what));
    queue_scheduler_free(&s);
}

static void
probes_an_unknown_destination_with_one_job(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;

    (void)state;
    for (uint64_t id = 1; id <= 10; id++)
        add(s, id, "a.example");
    order = next_order(s, 1);
    assert_non_null(order);
    assert_true(order->is_probe);
    assert_int_equal(order->count, 1);
    assert_null(next_order(s, 1));
    queue_scheduler_reached(s, "a.example");
    end(s, order);
    order = next_order(s, 1);
    assert_false(order->is_probe);
    assert_int_equal(order->count, 3); /* nine jobs over four lanes */
    end(s, order);
    queue_scheduler_free(&s);
}

static void
keeps_the_limit_of_a_destination_and_the_limit_of_all(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *orders[10];
    size_t n = 0;

    (void)state;
    open_destination(s, "a.example");
    open_destination(s, "b.example");
    for (uint64_t id = 1; id <= 100; id++)
        add(s, id, id % 2 ? "a.example" : "b.example");
    while ((orders[n] = next_order(s, 1)) != NULL)
        n++;
    assert_int_equal(n, 6);
    assert_int_equal(queue_scheduler_active(s), 6);
    while (n > 0)
        end(s, orders[--n]);
    queue_scheduler_free(&s);
}

static void
lets_destinations_take_turns(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *first, *second;

    (void)state;
    open_destination(s, "a.example");
    open_destination(s, "b.example");
    for (uint64_t id = 1; id <= 200; id++)
        add(s, id, "a.example");
    add(s, 500, "b.example");
    first = next_order(s, 1);
    second = next_order(s, 1);
    assert_string_equal(first->destination, "a.example");
    assert_string_equal(second->destination, "b.example");
    end(s, first);
    end(s, second);
    queue_scheduler_free(&s);
}

static void
gives_the_backlog_of_a_dead_destination_back(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;
    struct queue_do what;
    const char *why;

    (void)state;
    for (uint64_t id = 1; id <= 3; id++)
        add(s, id, "dead.example");
    order = next_order(s, 1);
    queue_scheduler_unreached(s, "dead.example", "451 nobody there", 1);
    end(s, order);
    for (int i = 0; i < 2; i++) {
        assert_true(queue_scheduler_next(s, 1, &what));
        assert_int_equal(what.kind, QUEUE_DO_RELEASE);
        assert_int_equal(what.count, 1);
        free(what.numbers);
    }
    assert_false(queue_scheduler_next(s, 1, &what));
    assert_int_equal(queue_scheduler_failures(s, "dead.example", &why), 1);
    assert_string_equal(why, "451 nobody there");
    assert_int_equal(queue_scheduler_held(s), 0);
    queue_scheduler_free(&s);
}

static void
gives_new_mail_for_a_blocked_destination_back_at_once(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;
    struct queue_do what;

    (void)state;
    add(s, 1, "dead.example");
    order = next_order(s, 1);
    queue_scheduler_unreached(s, "dead.example", "why", 1);
    end(s, order);
    add(s, 2, "dead.example");
    assert_true(queue_scheduler_next(s, 2, &what));
    assert_int_equal(what.kind, QUEUE_DO_RELEASE);
    assert_int_equal(what.id, 2);
    free(what.numbers);
    queue_scheduler_free(&s);
}

static void
probes_a_blocked_destination_when_its_time_is_up(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;
    struct queue_do what;

    (void)state;
    add(s, 1, "dead.example");
    add(s, 2, "dead.example");
    order = next_order(s, 1);
    queue_scheduler_unreached(s, "dead.example", "why", 1);
    end(s, order);
    assert_true(queue_scheduler_next(s, 2, &what)); /* the release */
    free(what.numbers);
    assert_false(queue_scheduler_next(s, 50000, &what));
    assert_in_range(queue_scheduler_wait_ms(s, 1), 1, 66001);
    queue_scheduler_found_all(s, INT64_MAX, 60000);
    do {
        assert_true(queue_scheduler_next(s, 67000, &what));
    } while (what.kind == QUEUE_DO_SCAN);
    assert_int_equal(what.kind, QUEUE_DO_CLAIM);
    assert_string_equal(what.destination, "dead.example");
    assert_int_equal(what.max, 1);
    queue_scheduler_claimed(s, "dead.example", false);
    queue_scheduler_free(&s);
}

static void
one_bad_connection_among_good_ones_does_not_block(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *a, *b;
    const char *why;

    (void)state;
    open_destination(s, "a.example");
    for (uint64_t id = 1; id <= 100; id++)
        add(s, id, "a.example");
    a = next_order(s, 1);
    b = next_order(s, 1);
    queue_scheduler_unreached(s, "a.example", "too many connections", 1);
    end(s, a);
    assert_int_equal(queue_scheduler_failures(s, "a.example", &why), 0);
    end(s, b);
    queue_scheduler_free(&s);
}

static void
claims_more_when_the_store_has_more(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_do what;

    (void)state;
    open_destination(s, "a.example");
    queue_scheduler_found(s, "a.example");
    assert_true(queue_scheduler_next(s, 1, &what));
    assert_int_equal(what.kind, QUEUE_DO_CLAIM);
    assert_int_equal(what.max, QUEUE_CLAIM);
    assert_false(queue_scheduler_next(s, 1, &what)); /* one at a time */
    queue_scheduler_claimed(s, "a.example", true);
    assert_true(queue_scheduler_next(s, 1, &what));
    assert_int_equal(what.kind, QUEUE_DO_CLAIM);
    queue_scheduler_claimed(s, "a.example", false);
    assert_false(queue_scheduler_next(s, 1, &what));
    queue_scheduler_free(&s);
}

/* What was given back behind a claim is not what the claim has looked at. */
static void
claims_again_what_was_given_back_during_a_claim(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_do what;
    bool claims = false;

    (void)state;
    open_destination(s, "a.example");
    queue_scheduler_found(s, "a.example");
    assert_true(queue_scheduler_next(s, 1, &what));
    assert_int_equal(what.kind, QUEUE_DO_CLAIM);
    add(s, 10, "a.example");
    queue_scheduler_unreached(s, "a.example", "no route", 1);
    queue_scheduler_claimed(s, "a.example", false);
    while (queue_scheduler_next(s, 70000, &what)) {
        if (what.kind == QUEUE_DO_RELEASE)
            free(what.numbers);
        if (what.kind == QUEUE_DO_SCAN)
            queue_scheduler_found_all(s, INT64_MAX, 70000);
        claims |= what.kind == QUEUE_DO_CLAIM;
    }
    assert_true(claims);
    queue_scheduler_claimed(s, "a.example", false);
    queue_scheduler_free(&s);
}

/* The next order; what else there is to do is done. */
static struct queue_order *
next_mail(struct queue_scheduler *s, int64_t now)
{
    struct queue_do what;

    while (queue_scheduler_next(s, now, &what)) {
        if (what.kind == QUEUE_DO_ORDER)
            return what.order;
        if (what.kind == QUEUE_DO_RELEASE)
            free(what.numbers);
        if (what.kind == QUEUE_DO_CLAIM)
            queue_scheduler_claimed(s, what.destination, false);
    }
    return NULL;
}

static bool
finds_claim(struct queue_scheduler *s, const char *destination, int64_t now)
{
    struct queue_do what;
    bool claims = false;

    while (queue_scheduler_next(s, now, &what)) {
        if (what.kind == QUEUE_DO_RELEASE)
            free(what.numbers);
        if (what.kind == QUEUE_DO_CLAIM)
            claims |= strcmp(what.destination, destination) == 0;
    }
    return claims;
}

static void
what_had_no_room_is_claimed_once_a_dead_backlog_is_gone(void **state)
{
    struct queue_scheduler *s = scheduler();
    char name[32];
    int dead = 0;

    (void)state;
    open_destination(s, "late.example");
    queue_scheduler_may_run(s, false);
    while (queue_scheduler_held(s) < QUEUE_JOBS_MAX) {
        (void)snprintf(name, sizeof(name), "d%d.example", dead++);
        for (int i = 0; i < QUEUE_RUN_MAX / 2; i++)
            add(s, 10, name);
    }
    queue_scheduler_may_run(s, true);
    queue_scheduler_found(s, "late.example");
    queue_scheduler_may_run(s, false);
    while (dead-- > 0) {
        (void)snprintf(name, sizeof(name), "d%d.example", dead);
        queue_scheduler_unreached(s, name, "no route", 1);
    }
    assert_int_equal(queue_scheduler_held(s), 0);
    queue_scheduler_may_run(s, true);
    assert_true(finds_claim(s, "late.example", 2));
    queue_scheduler_free(&s);
}

/* As many as there is room for, each with a long run that takes for ever. */
static void
those_that_are_slow_leave_room_for_the_others(void **state)
{
    struct queue_scheduler *s = scheduler();
    char name[32];

    (void)state;
    open_destination(s, "quick.example");
    for (int i = 0; queue_scheduler_held(s) < QUEUE_JOBS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "slow%d.example", i);
        open_destination(s, name);
        queue_scheduler_limit(s, name, 0, 1, 3600 * 1000);
        add(s, 10, name);
        add(s, 11, name);
        end(s, next_mail(s, 2));
        assert_null(next_mail(s, 2));
        for (int n = 1; n < QUEUE_RUN_MAX; n++)
            add(s, 12, name);
    }
    add(s, 20, "quick.example");
    assert_false(finds_claim(s, "quick.example", 3)); /* it may be a moment */
    assert_true(queue_scheduler_wait_ms(s, 3) <= QUEUE_STARVED_MS);
    assert_true(finds_claim(s, "quick.example", 3 + QUEUE_STARVED_MS));
    queue_scheduler_claimed(s, "quick.example", false);
    assert_true(queue_scheduler_held(s) < QUEUE_JOBS_MAX / 2);
    queue_scheduler_free(&s);
}

static void
holds_no_more_than_a_short_run(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_do what;
    size_t released = 0;

    (void)state;
    queue_scheduler_may_run(s, false);
    for (uint64_t id = 1; id <= 3000; id++)
        add(s, id, "a.example");
    while (queue_scheduler_next(s, 1, &what)) {
        assert_int_equal(what.kind, QUEUE_DO_RELEASE);
        released += what.count;
        free(what.numbers);
    }
    assert_int_equal(queue_scheduler_held(s), QUEUE_RUN_MAX);
    assert_int_equal(released, 3000 - QUEUE_RUN_MAX);
    queue_scheduler_free(&s);
}

static void
drops_bodies_beyond_their_budget(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_message *m = NULL;
    const char *destination = "a.example";
    static char big[1 << 20];

    (void)state;
    queue_scheduler_may_run(s, false);
    for (uint64_t id = 1; id <= 17; id++) {
        m = message(id, &destination, 1);
        buf_add(&m->body, (struct slice){big, sizeof(big)});
        queue_scheduler_add(s, m);
    }
    assert_int_equal(m->body.len, 0); /* the last one; the scheduler's still */
    queue_scheduler_free(&s);
}

static void
puts_recipients_of_one_destination_into_one_job(void **state)
{
    const char *to[] = {"a.example", "b.example", "a.example"};
    struct queue_scheduler *s = scheduler();
    struct queue_order *first, *second;

    (void)state;
    queue_scheduler_add(s, message(7, to, 3));
    first = next_order(s, 1);
    second = next_order(s, 1);
    assert_int_equal(first->jobs[0]->rcpt_count, 2);
    assert_int_equal(second->jobs[0]->rcpt_count, 1);
    assert_ptr_equal(first->jobs[0]->message, second->jobs[0]->message);
    end(s, first);
    end(s, second);
    assert_int_equal(queue_scheduler_held(s), 0);
    queue_scheduler_free(&s);
}

static void
splits_a_long_list_into_several_transactions(void **state)
{
    const char *to[250];
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;

    (void)state;
    for (size_t i = 0; i < 250; i++)
        to[i] = "a.example";
    queue_scheduler_add(s, message(7, to, 250));
    assert_int_equal(queue_scheduler_held(s), 3);
    order = next_order(s, 1);
    assert_int_equal(order->jobs[0]->rcpt_count, QUEUE_JOB_RCPT_MAX);
    end(s, order);
    queue_scheduler_free(&s);
}

static void
a_job_not_tried_comes_again(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;

    (void)state;
    add(s, 1, "a.example");
    order = next_order(s, 1);
    queue_scheduler_put_back(s, "a.example", order->jobs[0]);
    queue_scheduler_order_done(s, &order);
    order = next_order(s, 1);
    assert_non_null(order);
    assert_int_equal(order->jobs[0]->message->id, 1);
    end(s, order);
    queue_scheduler_free(&s);
}

static void
gives_no_order_while_results_cant_be_recorded(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;

    (void)state;
    add(s, 1, "a.example");
    queue_scheduler_may_run(s, false);
    assert_null(next_order(s, 1));
    queue_scheduler_may_run(s, true);
    order = next_order(s, 1);
    assert_non_null(order);
    end(s, order);
    queue_scheduler_free(&s);
}

static void
looks_for_due_work_when_the_next_falls_due(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_do what;

    (void)state;
    queue_scheduler_later(s, 5000);
    assert_int_equal(queue_scheduler_wait_ms(s, 1000), 4000);
    assert_false(queue_scheduler_next(s, 4999, &what));
    assert_true(queue_scheduler_next(s, 5000, &what));
    assert_int_equal(what.kind, QUEUE_DO_SCAN);
    queue_scheduler_free(&s);
}

static void
remembers_a_bounded_number_of_destinations(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;
    char name[32];

    (void)state;
    for (unsigned i = 0; i < QUEUE_IDLE_MAX + 100; i++) {
        (void)snprintf(name, sizeof(name), "d%u.example", i);
        add(s, i, name);
        order = next_order(s, 1);
        end(s, order);
    }
    assert_int_equal(queue_scheduler_held(s), 0);
    queue_scheduler_free(&s);
}

static void
paces_a_destination_with_a_rate(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;

    (void)state;
    queue_scheduler_limit(s, "route:slow", 0, 2, 10000);
    for (uint64_t id = 1; id <= 5; id++)
        add(s, id, "route:slow");
    order = next_order(s, 1); /* the probe */
    queue_scheduler_reached(s, "route:slow");
    end(s, order);
    order = next_order(s, 1);
    assert_int_equal(order->count, 1);
    end(s, order);
    assert_null(next_order(s, 1));
    assert_int_equal(queue_scheduler_held(s), 3); /* kept, not given back */
    assert_int_equal(queue_scheduler_wait_ms(s, 1), 5000);
    assert_null(next_order(s, 5000));
    order = next_order(s, 5001);
    assert_non_null(order);
    assert_false(order->is_probe);
    end(s, order);
    queue_scheduler_free(&s);
}

static void
unblocks_on_request(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *order;
    struct queue_do what;

    const char *why;

    (void)state;
    add(s, 1, "dead.example");
    order = next_order(s, 1);
    queue_scheduler_unreached(s, "dead.example", "why", 1);
    end(s, order);
    queue_scheduler_found(s, "dead.example");
    assert_false(queue_scheduler_next(s, 2, &what));
    queue_scheduler_unblock(s, NULL);
    assert_int_equal(queue_scheduler_failures(s, "dead.example", &why), 0);
    assert_true(queue_scheduler_next(s, 1000, &what));
    assert_int_equal(what.kind, QUEUE_DO_SCAN);
    assert_true(queue_scheduler_next(s, 1000, &what));
    assert_int_equal(what.kind, QUEUE_DO_CLAIM);
    queue_scheduler_claimed(s, "dead.example", false);
    queue_scheduler_free(&s);
}

static void
a_destination_that_refuses_us_is_held_until_it_lets_us_in(void **state)
{
    struct queue_scheduler *s = scheduler();
    struct queue_order *one, *two;
    const char *why;

    (void)state;
    open_destination(s, "route:out");
    for (uint64_t id = 2; id <= 40; id++)
        add(s, id, "route:out");
    one = next_order(s, 1);
    two = next_order(s, 1);
    assert_non_null(two);
    assert_false(queue_scheduler_is_held(s, "route:out"));
    /* At once, although others of its orders are under way. */
    queue_scheduler_hold(s, "route:out", "535 no", 1);
    assert_true(queue_scheduler_is_held(s, "route:out"));
    assert_int_equal(queue_scheduler_failures(s, "route:out", &why), 1);
    assert_string_equal(why, "535 no");
    queue_scheduler_hold(s, "route:out", "535 still no", 2);
    assert_int_equal(queue_scheduler_failures(s, "route:out", &why), 1);
    assert_string_equal(why, "535 still no");
    end(s, one);
    end(s, two);
    for (struct queue_do what; queue_scheduler_next(s, 3, &what);) {
        assert_int_equal(what.kind, QUEUE_DO_RELEASE);
        free(what.numbers);
    }
    /* It stays held while it is tried again, and until it is reached. */
    queue_scheduler_unblock(s, "route:out");
    assert_true(queue_scheduler_is_held(s, "route:out"));
    queue_scheduler_reached(s, "route:out");
    assert_false(queue_scheduler_is_held(s, "route:out"));
    queue_scheduler_hold(s, "route:out", "535 no", 4);
    queue_scheduler_unblock(s, "route:out");
    queue_scheduler_unreached(s, "route:out", "no route", 5);
    assert_false(queue_scheduler_is_held(s, "route:out"));
    assert_false(queue_scheduler_is_held(s, "unknown"));
    queue_scheduler_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_by_looking_for_due_work),
        cmocka_unit_test(probes_an_unknown_destination_with_one_job),
        cmocka_unit_test(keeps_the_limit_of_a_destination_and_the_limit_of_all),
        cmocka_unit_test(lets_destinations_take_turns),
        cmocka_unit_test(gives_the_backlog_of_a_dead_destination_back),
        cmocka_unit_test(gives_new_mail_for_a_blocked_destination_back_at_once),
        cmocka_unit_test(probes_a_blocked_destination_when_its_time_is_up),
        cmocka_unit_test(one_bad_connection_among_good_ones_does_not_block),
        cmocka_unit_test(claims_more_when_the_store_has_more),
        cmocka_unit_test(claims_again_what_was_given_back_during_a_claim),
        cmocka_unit_test(
            what_had_no_room_is_claimed_once_a_dead_backlog_is_gone),
        cmocka_unit_test(those_that_are_slow_leave_room_for_the_others),
        cmocka_unit_test(holds_no_more_than_a_short_run),
        cmocka_unit_test(drops_bodies_beyond_their_budget),
        cmocka_unit_test(puts_recipients_of_one_destination_into_one_job),
        cmocka_unit_test(splits_a_long_list_into_several_transactions),
        cmocka_unit_test(a_job_not_tried_comes_again),
        cmocka_unit_test(gives_no_order_while_results_cant_be_recorded),
        cmocka_unit_test(looks_for_due_work_when_the_next_falls_due),
        cmocka_unit_test(remembers_a_bounded_number_of_destinations),
        cmocka_unit_test(paces_a_destination_with_a_rate),
        cmocka_unit_test(unblocks_on_request),
        cmocka_unit_test(
            a_destination_that_refuses_us_is_held_until_it_lets_us_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
