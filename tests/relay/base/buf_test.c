#include "relay/base/buf.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
grows_as_it_is_filled(void **state)
{
    scoped(buf_free) struct buf b = {0};

    (void)state;
    assert_string_equal(buf_text(&b), "");
    buf_add_text(&b, "ab");
    buf_add_byte(&b, 'c');
    buf_add(&b, (struct slice){"\0d", 2});
    buf_add(&b, (struct slice){0});
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.p, "abc\0d", 5);
    for (int i = 0; i < 10000; i++)
        buf_add_byte(&b, (char)i);
    assert_int_equal(b.len, 10005);
    assert_memory_equal(b.p, "abc\0d", 5);
    assert_int_equal(b.p[5 + 9999], (char)9999);
}

static void
takes_bytes_in_front(void **state)
{
    scoped(buf_free) struct buf b = {0};

    (void)state;
    buf_put_front(&b, (struct slice){0});
    assert_int_equal(b.len, 0);
    buf_put_front(&b, slice_of("cd"));
    buf_put_front(&b, (struct slice){0});
    buf_put_front(&b, (struct slice){"a\0b", 3});
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.p, "a\0bcd", 5);
    for (int i = 0; i < 1000; i++)
        buf_put_front(&b, slice_of("xyz"));
    assert_int_equal(b.len, 3005);
    assert_memory_equal(b.p, "xyzxyz", 6);
    assert_memory_equal(b.p + 3000, "a\0bcd", 5);
}

static void
formats(void **state)
{
    scoped(buf_free) struct buf b = {0};

    (void)state;
    buf_printf(&b, "%s-%d", "x", 7);
    buf_printf(&b, "%*d", 1000, 1);
    assert_int_equal(b.len, 1003);
    assert_memory_equal(b.p, "x-7 ", 4);
    buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 1003);
}

static void
drops_from_the_front(void **state)
{
    scoped(buf_free) struct buf b = {0};

    (void)state;
    buf_drop(&b, 0);
    buf_add_text(&b, "abcdef");
    buf_drop(&b, 2);
    assert_string_equal(buf_text(&b), "cdef");
    buf_drop(&b, 4);
    assert_string_equal(buf_text(&b), "");
}

static void
has_the_room_it_was_asked_for(void **state)
{
    scoped(buf_free) struct buf b = {0};

    (void)state;
    buf_add_text(&b, "x");
    memset(buf_room(&b, 5000), 'y', 5000);
    assert_int_equal(b.len, 1);
    b.len += 5000;
    assert_int_equal(b.p[5000], 'y');
    assert_true(buf_slice(&b).len == 5001);
}

static void
is_empty_again(void **state)
{
    struct buf b = {0};
    const char *memory;

    (void)state;
    buf_add_text(&b, "x");
    memory = b.p;
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    buf_add_text(&b, "y");
    assert_ptr_equal(b.p, memory);
    buf_free(&b);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_as_it_is_filled),
        cmocka_unit_test(takes_bytes_in_front),
        cmocka_unit_test(formats),
        cmocka_unit_test(drops_from_the_front),
        cmocka_unit_test(has_the_room_it_was_asked_for),
        cmocka_unit_test(is_empty_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
