#include "queue/scheduler.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct queue_limits limits = {
    .workers = 2,
    .per_destination = 8,
    .in_all = 100,
    .schedule = {.step_ms = {60000}, .steps = 1, .expire_ms = 432000000},
};

static void
add(struct queue_scheduler *s, uint64_t id)
{
    struct queue_message *m = queue_message_new();
    struct mail_rcpt *r = mail_envelope_add(&m->envelope);

    m->id = id;
    r->address = mem_text("user@a.example");
    r->domain = mem_text("a.example");
    m->envelope.from = mem_text("");
    queue_message_number(m);
    m->rcpt[0].destination = mem_text("a.example");
    queue_scheduler_add(s, m);
}

static struct queue_order *
next_order(struct queue_scheduler *s, int64_t now)
{
    struct queue_do what;

    while (queue_scheduler_next(s, now, &what)) {
        if (what.kind == QUEUE_DO_ORDER)
            return what.order;
        assert_int_equal(what.kind, QUEUE_DO_SCAN);
        queue_scheduler_found_all(s, INT64_MAX, now);
    }
    return NULL;
}

static void
end(struct queue_scheduler *s, struct queue_order *order)
{
    for (size_t i = 0; i < order->count; i++)
        queue_scheduler_job_done(s, order->jobs[i]);
    queue_scheduler_order_done(s, &order);
}

/* One that can be reached, and has `jobs` waiting. */
static struct queue_scheduler *
busy(size_t jobs)
{
    struct queue_scheduler *s = queue_scheduler_new(&limits, 1);
    struct queue_do what;

    assert_true(queue_scheduler_next(s, 0, &what));
    queue_scheduler_found_all(s, INT64_MAX, 0);
    add(s, 1);
    queue_scheduler_reached(s, "a.example");
    end(s, next_order(s, 0));
    for (size_t i = 0; i < jobs; i++)
        add(s, 2 + i);
    return s;
}

static void
look(void *ctx, const struct queue_destination_row *row)
{
    *(unsigned *)ctx = row->eased;
}

static unsigned
eased_to(const struct queue_scheduler *s)
{
    unsigned n = 0;

    queue_scheduler_each(s, look, &n);
    return n;
}

/* How many orders are given now; they are ended. */
static unsigned
lanes(struct queue_scheduler *s, int64_t now)
{
    struct queue_order *orders[20];
    unsigned n = 0;

    while (n < 20 && (orders[n] = next_order(s, now)) != NULL)
        n++;
    for (unsigned i = 0; i < n; i++)
        end(s, orders[i]);
    return n;
}

static bool
ease(struct queue_scheduler *s, int64_t now)
{
    return queue_scheduler_ease(s, "a.example", "421 4.7.0 slow", true, now);
}

static void
too_much_halves_the_orders_behind_a_pause(void **state)
{
    struct queue_scheduler *s = busy(300);

    (void)state;
    for (int i = 0; i < 1000; i++)
        queue_scheduler_reached(s, "a.example");
    assert_true(ease(s, 1000));
    assert_int_equal(eased_to(s), 4);
    assert_int_equal(lanes(s, 1000 + QUEUE_EASE_MS - 1), 0);
    assert_int_equal(queue_scheduler_wait_ms(s, 1000), QUEUE_EASE_MS);
    assert_int_equal(lanes(s, 1000 + QUEUE_EASE_MS), 4);
    queue_scheduler_free(&s);
}

static void
words_of_the_same_moment_count_once(void **state)
{
    struct queue_scheduler *s = busy(300);

    (void)state;
    assert_true(ease(s, 1000));
    assert_false(ease(s, 1001));
    assert_false(ease(s, 1000));
    assert_int_equal(eased_to(s), 4);
    queue_scheduler_free(&s);
}

/* Jobs given from `now` on for `ms`, all of which get through. */
static size_t
sent(struct queue_scheduler *s, int64_t now, int64_t ms)
{
    size_t n = 0;

    for (int64_t at = now; at < now + ms; at += 50) {
        struct queue_order *order;

        while ((order = next_order(s, at)) != NULL) {
            for (size_t i = 0; i < order->count; i++)
                queue_scheduler_reached(s, "a.example");
            n += order->count;
            end(s, order);
        }
    }
    return n;
}

static void
somewhat_less_than_what_got_through_goes_out(void **state)
{
    struct queue_scheduler *s = busy(900);
    size_t n;

    (void)state;
    for (int i = 0; i < 19; i++)
        queue_scheduler_reached(s, "a.example");
    assert_true(ease(s, 1000)); /* twenty in a second, with the first */
    n = sent(s, 1000, QUEUE_EASE_MS + 5000);
    assert_in_range(n, 14 * 4, 14 * 6); /* seven tenths, and a bucket full */
    queue_scheduler_free(&s);
}

static void
without_a_word_it_gets_more_again_until_the_limits_hold(void **state)
{
    struct queue_scheduler *s = busy(10);
    int64_t now = 1000;

    (void)state;
    assert_true(ease(s, now));
    for (int i = 0; i < 100 && eased_to(s) > 0; i++) {
        now += QUEUE_EASE_STEP_MS;
        add(s, (uint64_t)(1000 + i));
        (void)lanes(s, now);
    }
    assert_int_equal(eased_to(s), 0);
    assert_true(now < 20 * QUEUE_EASE_STEP_MS);
    queue_scheduler_free(&s);
}

static void
nothing_that_gets_through_means_a_longer_wait_each_time(void **state)
{
    struct queue_scheduler *s = busy(300);
    int64_t now = 100000, pause = QUEUE_EASE_MS;

    (void)state;
    (void)ease(s, now - 120000); /* behind it nothing gets through */
    for (size_t i = 0; i < 20; i++) {
        assert_true(ease(s, now));
        pause = pause * 2 < QUEUE_EASE_MAX_MS ? pause * 2 : QUEUE_EASE_MAX_MS;
        assert_int_equal(lanes(s, now + pause - 1), 0);
        assert_true(lanes(s, now + pause) > 0);
        assert_true(eased_to(s) >= 1);
        now += pause + 120000;
    }
    queue_scheduler_free(&s);
}

static void
a_host_that_is_there_but_busy_is_not_blocked(void **state)
{
    struct queue_scheduler *s = busy(300);
    const char *why;

    (void)state;
    assert_true(ease(s, 1));
    queue_scheduler_unreached(s, "a.example", "421 busy", 1);
    assert_int_equal(queue_scheduler_failures(s, "a.example", &why), 0);
    assert_string_equal(why, "421 4.7.0 slow");
    assert_true(lanes(s, 1 + QUEUE_EASE_MS) > 0);
    queue_scheduler_free(&s);
}

static void
what_was_never_reached_is_blocked_and_not_eased(void **state)
{
    struct queue_scheduler *s = queue_scheduler_new(&limits, 1);

    (void)state;
    assert_false(queue_scheduler_ease(s, "b.example", "421", false, 1));
    queue_scheduler_unreached(s, "b.example", "421", 1);
    assert_int_equal(eased_to(s), 0);
    queue_scheduler_free(&s);
}

static void
the_first_message_that_is_too_much_opens_the_destination(void **state)
{
    struct queue_scheduler *s = queue_scheduler_new(&limits, 1);

    (void)state;
    assert_true(queue_scheduler_ease(s, "b.example", "450 4.7.1", true, 1));
    assert_int_equal(eased_to(s), 4);
    queue_scheduler_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_much_halves_the_orders_behind_a_pause),
        cmocka_unit_test(words_of_the_same_moment_count_once),
        cmocka_unit_test(somewhat_less_than_what_got_through_goes_out),
        cmocka_unit_test(
            without_a_word_it_gets_more_again_until_the_limits_hold),
        cmocka_unit_test(
            nothing_that_gets_through_means_a_longer_wait_each_time),
        cmocka_unit_test(a_host_that_is_there_but_busy_is_not_blocked),
        cmocka_unit_test(what_was_never_reached_is_blocked_and_not_eased),
        cmocka_unit_test(
            the_first_message_that_is_too_much_opens_the_destination),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
