#include "relay/admin/json.h"
#include "relay/base/buf.h"
#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *
refusal(struct slice text)
{
    static struct err err;
    json_auto_t *value = NULL;

    err = (struct err){0};
    value = admin_json_read(text, &err);
    return value ? NULL : err.text;
}

/* {"a": [PART,PART,...0]} */
static const char *
refusal_of_many(const char *part, size_t count)
{
    scoped(buf_free) struct buf text = {0};

    buf_add_text(&text, "{\"a\": [");
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s,", part);
    buf_add_text(&text, "0]}");
    return refusal(buf_slice(&text));
}

static void
what_is_no_object_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "1",
        "\"a\"",
        "{",
        "{} {}",
        "{\"a\":}",
        "{'a':1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":NaN}",
        "{\"a\":1e999}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xff\"}",
        "{\"\\u0000\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (!refusal(slice_of(bad[i])))
            fail_msg("%s", bad[i]);
}

static void
many_small_values_are_refused_before_they_are_read(void **state)
{
    static const char *const parts[] = {"[]", "{}", "\"\"", "0", "{\"a\":0}"};

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        assert_string_equal(refusal_of_many(parts[i], ADMIN_JSON_VALUES),
                            "the body has more than 100000 values");
    assert_null(refusal_of_many("0", ADMIN_JSON_VALUES - 2));
}

static void
what_looks_like_many_values_in_a_text_is_one(void **state)
{
    scoped(buf_free) struct buf text = {0};

    (void)state;
    buf_add_text(&text, "{\"a\": \"\\\"");
    for (size_t i = 0; i < ADMIN_JSON_VALUES; i++)
        buf_add_text(&text, "[,{");
    buf_add_text(&text, "\"}");
    assert_null(refusal(buf_slice(&text)));
}

static void
a_deep_body_is_refused(void **state)
{
    scoped(buf_free) struct buf text = {0};

    (void)state;
    buf_add_text(&text, "{\"a\":");
    for (size_t i = 0; i < 100000; i++)
        buf_add_byte(&text, '[');
    assert_string_equal(refusal(buf_slice(&text)),
                        "the body is deeper than 16 levels");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(many_small_values_are_refused_before_they_are_read),
        cmocka_unit_test(what_looks_like_many_values_in_a_text_is_one),
        cmocka_unit_test(a_deep_body_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
