#include "relay/watch/recent.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void
add(struct recent *r, const char *where, enum queue_outcome outcome, int64_t at,
    const char *reason, const char *policy)
{
    struct queue_attempt a = {.policy = policy, .proof = "pkix"};

    recent_add(r, where,
               &(struct queue_result){.outcome = outcome, .reason = reason},
               policy ? &a : NULL, at);
}

static void
write_row(void *ctx, const struct recent_row *row)
{
    buf_printf(ctx, "%s %d/%d/%d at %d/%d/%d %s %s\n", row->destination,
               (int)row->sent, (int)row->deferred, (int)row->bounced,
               (int)row->last_ms, (int)row->sent_ms, (int)row->trouble_ms,
               row->trouble ? row->trouble : "-",
               row->policy ? row->policy : "-");
}

static void
each_destination_is_told_of_the_last_one_first(void **state)
{
    struct recent *r = recent_new();
    struct buf text scoped(buf_free) = {0};

    (void)state;
    add(r, "a.example", QUEUE_DEFERRED, 1, "451 later", "mta-sts enforce");
    add(r, "b.example", QUEUE_EXPIRED, 2, "too long", NULL);
    add(r, "b.example", QUEUE_FAILED, 3, "550 no", NULL);
    add(r, "a.example", QUEUE_DELIVERED, 4, "250 ok", NULL);
    recent_each(r, write_row, &text);
    assert_string_equal(buf_text(&text),
                        "a.example 1/1/0 at 4/4/1 451 later mta-sts enforce\n"
                        "b.example 0/0/2 at 3/0/3 550 no -\n");
    recent_free(&r);
    assert_null(r);
}

static void
count_row(void *ctx, const struct recent_row *row)
{
    size_t *n = ctx;

    (*n)++;
    assert_string_not_equal(row->destination, "d1.example");
}

static void
the_one_that_was_silent_longest_is_forgotten_first(void **state)
{
    struct recent *r = recent_new();
    size_t n = 0;

    (void)state;
    for (int i = 0; i <= RECENT_MAX; i++) {
        char *name scoped(own_free) = mem_printf("d%d.example", i);

        add(r, name, QUEUE_DELIVERED, i, "250 ok", NULL);
        add(r, "d0.example", QUEUE_DELIVERED, i, "250 ok", NULL);
    }
    recent_each(r, count_row, &n);
    assert_int_equal(n, RECENT_MAX);
    recent_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_destination_is_told_of_the_last_one_first),
        cmocka_unit_test(the_one_that_was_silent_longest_is_forgotten_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
