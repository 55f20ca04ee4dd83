#include "relay/admin/inject.h"

#include "queue/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static char key[QUEUE_RECEIPT_KEY_MAX + 1];

static void
a_key_is_a_string_or_bare(void **state)
{
    static const char *const table[][2] = {
        {"\"8e03978e-40d5\"", "8e03978e-40d5"},
        {"8e03978e-40d5", "8e03978e-40d5"},
        {"\"a \\\"b\\\" \\\\c\"", "a \"b\" \\c"},
        {"a b;c=d", "a b;c=d"},
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (!admin_inject_key(table[i][0], key, &err))
            fail_msg("%s: %s", table[i][0], err.text);
        assert_string_equal(key, table[i][1]);
    }
}

static void
what_is_no_key_is_refused(void **state)
{
    static const char *const bad[] = {
        "",         "\"\"",      "\"",       "\"a",  "a\"",          "a\"b",
        "\"a\"b\"", "\"a\\\"",   "\"a\\b\"", "a\\b", "\"\xc3\xa9\"", "\xc3\xa9",
        "a\tb",     "\"a\x7f\"",
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (admin_inject_key(bad[i], key, &err))
            fail_msg("%s", bad[i]);
}

static void
a_key_has_its_limit(void **state)
{
    char text[QUEUE_RECEIPT_KEY_MAX + 2];
    struct err err;

    (void)state;
    memset(text, 'k', sizeof(text));
    text[QUEUE_RECEIPT_KEY_MAX] = '\0';
    assert_true(admin_inject_key(text, key, &err));
    assert_int_equal(strlen(key), QUEUE_RECEIPT_KEY_MAX);
    text[QUEUE_RECEIPT_KEY_MAX] = 'k';
    text[QUEUE_RECEIPT_KEY_MAX + 1] = '\0';
    assert_false(admin_inject_key(text, key, &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_a_string_or_bare),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(a_key_has_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
