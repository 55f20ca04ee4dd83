#include "relay/cli/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *
nearest(const char *word)
{
    static const char *const known[] = {"list",    "show",   "retry", "release",
                                        "explain", "delete", NULL};
    static struct cli_nearest n;

    cli_nearest_init(&n, word, strlen(word));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        cli_nearest_consider(&n, known[i]);
    return n.best;
}

static void
a_slip_of_the_finger_is_understood(void **state)
{
    static const char *const slips[][2] = {
        {"lst", "list"},         {"lsit", "list"},       {"shwo", "show"},
        {"reslease", "release"}, {"explian", "explain"}, {"delet", "delete"},
        {"retries", "retry"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++)
        assert_string_equal(nearest(slips[i][0]), slips[i][1]);
}

static void
something_else_is_near_nothing(void **state)
{
    static const char *const words[] = {"", "x", "qq", "frobnicate", "status"};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_string_equal(nearest(words[i]), "");
}

static void
a_word_of_any_length_may_be_asked_for(void **state)
{
    char word[4096];

    (void)state;
    memset(word, 'l', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_string_equal(nearest(word), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_the_finger_is_understood),
        cmocka_unit_test(something_else_is_near_nothing),
        cmocka_unit_test(a_word_of_any_length_may_be_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
