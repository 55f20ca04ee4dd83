#include "queue/sum.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
every_single_bit_counts(void **state)
{
    char octets[40];

    (void)state;
    for (size_t len = 1; len <= sizeof(octets); len++) {
        uint64_t sum;

        memset(octets, 0x5a, sizeof(octets));
        sum = queue_sum_octets(0, (struct slice){octets, len});
        for (size_t bit = 0; bit < len * 8; bit++) {
            octets[bit / 8] = (char)(octets[bit / 8] ^ 1 << bit % 8);
            assert_true(queue_sum_octets(0, (struct slice){octets, len}) !=
                        sum);
            octets[bit / 8] = (char)(octets[bit / 8] ^ 1 << bit % 8);
        }
        assert_true(queue_sum_octets(0, (struct slice){octets, len}) == sum);
    }
}

static void
the_length_counts(void **state)
{
    static const char zeros[32];

    (void)state;
    for (size_t a = 0; a < sizeof(zeros); a++)
        for (size_t b = 0; b < a; b++)
            assert_true(queue_sum_octets(0, (struct slice){zeros, a}) !=
                        queue_sum_octets(0, (struct slice){zeros, b}));
}

static void
fields_do_not_run_into_each_other(void **state)
{
    (void)state;
    assert_true(queue_sum_text(queue_sum_text(0, "ab"), "c") !=
                queue_sum_text(queue_sum_text(0, "a"), "bc"));
    assert_true(queue_sum_text(queue_sum_text(0, "a"), "b") !=
                queue_sum_text(queue_sum_text(0, "b"), "a"));
    assert_true(queue_sum_text(0, NULL) != queue_sum_text(0, ""));
    assert_true(queue_sum_number(queue_sum_number(0, 1), 2) !=
                queue_sum_number(queue_sum_number(0, 2), 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_single_bit_counts),
        cmocka_unit_test(the_length_counts),
        cmocka_unit_test(fields_do_not_run_into_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
