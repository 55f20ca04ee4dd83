#include "relay/mail/trace_parent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define ZERO "00000000000000000000000000000000"

static void
a_trace_is_read(void **state)
{
    static const char *const good[] = {
        "00-" TRACE "-" PARENT "-01",
        "00-" TRACE "-" PARENT "-00",
        "cc-" TRACE "-" PARENT "-01",
        "01-" TRACE "-" PARENT "-01-what-will-be",
    };
    char out[MAIL_TRACE_ID_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(mail_trace_id(slice_of(good[i]), out));
        assert_string_equal(out, TRACE);
    }
}

static void
what_is_none_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "-",
        "---",
        TRACE,
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-",
        "00-" TRACE "-" PARENT "-1",
        "00-" TRACE "-" PARENT "-0g",
        "00-" TRACE "-" PARENT "-01-more",
        "00-" TRACE "-" PARENT "-011",
        "01-" TRACE "-" PARENT "-011",
        "ff-" TRACE "-" PARENT "-01",
        "0-" TRACE "-" PARENT "-01",
        "00-" ZERO "-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-" PARENT "-01",
        "00-" TRACE "4-" PARENT "-01",
        " 00-" TRACE "-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
    };
    char out[MAIL_TRACE_ID_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (mail_trace_id(slice_of(bad[i]), out))
            fail_msg("%s: %s", bad[i], out);
}

static void
what_is_cut_is_none(void **state)
{
    static const char whole[] = "00-" TRACE "-" PARENT "-01";
    char out[MAIL_TRACE_ID_SIZE];

    (void)state;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        char *copy = malloc(len ? len : 1);

        memcpy(copy, whole, len);
        assert_false(mail_trace_id((struct slice){copy, len}, out));
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_is_read),
        cmocka_unit_test(what_is_none_is_none),
        cmocka_unit_test(what_is_cut_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
