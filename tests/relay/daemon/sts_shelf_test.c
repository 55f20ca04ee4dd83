#include "relay/daemon/sts_shelf.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct policy_sts_entry
entry(void)
{
    struct policy_sts_entry e = {
        .domain = {"example.com"},
        .id = "20261123T1",
        .text = mem_text("version: STSv1\r\nmode: enforce\r\n"),
        .fetched_ms = 1000,
        .expires_ms = 604801000,
        .used_ms = 2000,
        .checked_ms = 3000,
        .failed_id = "20261124",
        .backoff_ms = 303000,
        .failure = mem_text("HTTP status 404"),
    };

    return e;
}

static void
what_is_put_comes_back(void **state)
{
    struct policy_sts_entry in = entry(), out = {0};
    struct buf text = {0};
    struct err err;

    (void)state;
    sts_shelf_format(&in, &text);
    assert_true(sts_shelf_parse("example.com", buf_slice(&text), &out, &err));
    assert_string_equal(out.domain.text, "example.com");
    assert_string_equal(out.id, in.id);
    assert_string_equal(out.text, in.text);
    assert_int_equal(out.fetched_ms, in.fetched_ms);
    assert_int_equal(out.expires_ms, in.expires_ms);
    assert_int_equal(out.used_ms, in.used_ms);
    assert_int_equal(out.checked_ms, in.checked_ms);
    assert_string_equal(out.failed_id, in.failed_id);
    assert_int_equal(out.backoff_ms, in.backoff_ms);
    assert_string_equal(out.failure, in.failure);
    policy_sts_entry_done(&in);
    policy_sts_entry_done(&out);
    buf_free(&text);
}

static void
no_policy_is_kept_apart_from_an_empty_one(void **state)
{
    struct policy_sts_entry in = {.domain = {"example.com"}}, out = {0};
    struct buf text = {0};
    struct err err;

    (void)state;
    sts_shelf_format(&in, &text);
    assert_true(sts_shelf_parse("example.com", buf_slice(&text), &out, &err));
    assert_null(out.text);
    assert_null(out.failure);
    policy_sts_entry_done(&out);
    buf_free(&text);
}

static void
damaged_text_is_refused_wherever_it_is_cut(void **state)
{
    struct policy_sts_entry in = entry();
    struct buf text = {0};

    (void)state;
    sts_shelf_format(&in, &text);
    for (size_t n = 0; n < text.len; n++) {
        struct policy_sts_entry out = {0};
        char *cut = mem_copy(slice_first(buf_slice(&text), n));
        struct err err;

        if (sts_shelf_parse("example.com", slice_of(cut), &out, &err))
            policy_sts_entry_done(&out);
        free(cut);
    }
    policy_sts_entry_done(&in);
    buf_free(&text);
}

static void
bad_values_name_their_key(void **state)
{
    static const char *const bad[] = {
        "fetched: x\n", "expires: -1\n", "used: 99999999999999999999\n",
        "id: 123456789012345678901234567890123\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct policy_sts_entry out = {0};
        struct err err = {0};

        assert_false(
            sts_shelf_parse("example.com", slice_of(bad[i]), &out, &err));
        assert_int_equal(err.kind, ERR_INPUT);
        assert_non_null(strstr(err.text, "policy cache of example.com"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_back),
        cmocka_unit_test(no_policy_is_kept_apart_from_an_empty_one),
        cmocka_unit_test(damaged_text_is_refused_wherever_it_is_cut),
        cmocka_unit_test(bad_values_name_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
