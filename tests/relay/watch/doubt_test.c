#include "relay/watch/doubt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    size_t entries, numbers;
    uint64_t message;
    uint32_t last;
};

static void
see(void *ctx, uint64_t message, const uint32_t *numbers, size_t count)
{
    struct seen *s = ctx;

    s->entries++;
    s->numbers += count;
    s->message = message;
    s->last = count > 0 ? numbers[count - 1] : 0;
}

static void
who_was_added_is_seen_until_dropped(void **state)
{
    struct doubt *d = doubt_new();
    uint32_t numbers[] = {3, 5};
    struct doubt_entry *a = doubt_add(d, 7, numbers, 2);
    struct doubt_entry *b = doubt_add(d, 8, numbers, 1);
    struct seen s = {0};

    (void)state;
    memset(numbers, 0, sizeof(numbers)); /* they were copied */
    doubt_each(d, see, &s);
    assert_int_equal(s.entries, 2);
    assert_int_equal(s.numbers, 3);
    doubt_drop(d, &b);
    assert_null(b);
    s = (struct seen){0};
    doubt_each(d, see, &s);
    assert_int_equal(s.entries, 1);
    assert_int_equal(s.message, 7);
    assert_int_equal(s.last, 5);
    doubt_drop(d, &a);
    s = (struct seen){0};
    doubt_each(d, see, &s);
    assert_int_equal(s.entries, 0);
    doubt_free(&d);
}

static void
nobody_can_be_dropped(void **state)
{
    struct doubt *d = doubt_new();
    struct doubt_entry *none = NULL;

    (void)state;
    doubt_drop(d, &none);
    doubt_free(&d);
    doubt_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_added_is_seen_until_dropped),
        cmocka_unit_test(nobody_can_be_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
