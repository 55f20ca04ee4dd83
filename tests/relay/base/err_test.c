#include "relay/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

static void
fails_in_one_statement(void **state)
{
    struct err err = {0};

    (void)state;
    assert_false(err_set(&err, ERR_LIMIT, "%s %d", "line", 7));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "line 7");
}

static void
names_the_error_of_the_system(void **state)
{
    struct err err;

    (void)state;
    errno = ENOENT;
    assert_false(err_errno(&err, "open %s", "x"));
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_string_equal(err.text, "open x: No such file or directory");
    errno = ENOSPC;
    assert_false(err_errno(&err, "write"));
    assert_int_equal(err.kind, ERR_SPACE);
    errno = EDQUOT;
    assert_false(err_errno(&err, "write"));
    assert_int_equal(err.kind, ERR_SPACE);
}

static void
puts_context_in_front(void **state)
{
    struct err err;

    (void)state;
    (void)err_set(&err, ERR_TLS, "expired");
    assert_false(err_in(&err, "STARTTLS"));
    assert_false(err_in(&err, "%s", "mx1.example"));
    assert_int_equal(err.kind, ERR_TLS);
    assert_string_equal(err.text, "mx1.example: STARTTLS: expired");
}

static void
cuts_what_is_too_long(void **state)
{
    char text[1000];
    struct err err;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)err_set(&err, ERR_INPUT, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    (void)err_in(&err, "%s", text);
    assert_in_range(strlen(err.text), 200, sizeof(err.text) - 1);
    errno = EIO;
    (void)err_errno(&err, "%s", text);
    assert_non_null(strstr(err.text, "Input/output error"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fails_in_one_statement),
        cmocka_unit_test(names_the_error_of_the_system),
        cmocka_unit_test(puts_context_in_front),
        cmocka_unit_test(cuts_what_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
