#include "relay/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The key 00 01 .. 0f of the vectors that the authors publish. */
static const struct hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

static void
the_published_values_come_out(void **state)
{
    static const struct {
        size_t len;
        uint64_t want;
    } rows[] = {
        {0, 0x726fdb47dd0e0e31},
        {1, 0x74f839c593dc67fd},
        {8, 0x93f5f5799a932462},
        {15, 0xa129ca6149be45e5},
    };
    char bytes[16];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(hash_keyed(&key, (struct slice){bytes, rows[i].len}),
                         rows[i].want);
}

static void
another_key_gives_another_value(void **state)
{
    struct hash_key other = key;

    (void)state;
    other.half[1]++;
    assert_int_not_equal(hash_keyed(&key, slice_of("a@b.example")),
                         hash_keyed(&other, slice_of("a@b.example")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_values_come_out),
        cmocka_unit_test(another_key_gives_another_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
