#include "relay/daemon/token_shelf.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct token_fetch_place place = {
    .host = "login.example", .port = 443, .path = "/token"};
static const struct token_grant_ask ask = {.client_id = "id",
                                           .client_secret = "hunter2",
                                           .refresh_token = "first",
                                           .scope = "mail"};

static void
what_is_kept_comes_back(void **state)
{
    for (int with = 0; with < 4; with++) {
        scoped(token_shelf_done) struct token_shelf in = {0}, out = {0};
        scoped(buf_free) struct buf text = {0};
        struct err err;

        (void)state;
        token_shelf_source(&place, &ask, in.source);
        in.obtained_ms = 1000;
        in.expires_ms = 3600000;
        in.access = with & 1 ? mem_text("a.b-c") : NULL;
        in.refresh = with & 2 ? mem_text("second") : NULL;
        token_shelf_format(&in, &text);
        assert_null(strstr(buf_text(&text), "hunter2"));
        assert_true(token_shelf_parse(buf_slice(&text), &out, &err));
        assert_string_equal(out.source, in.source);
        assert_int_equal(out.obtained_ms, 1000);
        assert_int_equal(out.expires_ms, 3600000);
        assert_int_equal(out.access != NULL, with & 1);
        assert_int_equal(out.refresh != NULL, with >> 1);
    }
}

static void
each_setting_makes_another_source_but_the_secret_does_not(void **state)
{
    char first[TOKEN_SHELF_SOURCE_SIZE], other[TOKEN_SHELF_SOURCE_SIZE];
    struct token_fetch_place places[4] = {place, place, place, place};
    struct token_grant_ask asks[4] = {ask, ask, ask, ask};

    (void)state;
    token_shelf_source(&place, &ask, first);
    assert_int_equal(strlen(first), TOKEN_SHELF_SOURCE_SIZE - 1);
    places[0].host = "other.example";
    places[1].port = 8443;
    places[2].path = "/other";
    asks[0].client_id = "other";
    asks[1].scope = "other";
    asks[2].refresh_token = "other";
    asks[3].client_secret = "other";
    for (size_t i = 0; i < 3; i++) {
        token_shelf_source(&places[i], &ask, other);
        assert_string_not_equal(other, first);
        token_shelf_source(&place, &asks[i], other);
        assert_string_not_equal(other, first);
    }
    token_shelf_source(&place, &asks[3], other);
    assert_string_equal(other, first);
}

#define SOURCE                                                                 \
    "source: 0123456789abcdef0123456789abcdef"                                 \
    "0123456789abcdef0123456789abcdef\n"

static void
what_is_damaged_is_not_used(void **state)
{
    static const char *const bad[] = {
        "",
        "nonsense",
        "source: short\n",
        SOURCE "obtained: x\n",
        SOURCE "obtained: 5\nexpires: 4\n",
        SOURCE "access: \n",
        SOURCE "access: a\naccess: b\n",
        "obtained: 1\nexpires: 2\naccess: a\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct token_shelf t = {0};
        struct err err;

        if (token_shelf_parse(slice_of(bad[i]), &t, &err))
            fail_msg("taken: %s", bad[i]);
        assert_null(t.access);
    }
}

static void
what_a_later_version_adds_is_passed_over(void **state)
{
    scoped(token_shelf_done) struct token_shelf t = {0};
    struct err err;

    (void)state;
    assert_true(token_shelf_parse(
        slice_of(SOURCE "kind: x\naccess: a\nobtained: 1\nexpires: 2\n"), &t,
        &err));
    assert_string_equal(t.access, "a");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_comes_back),
        cmocka_unit_test(
            each_setting_makes_another_source_but_the_secret_does_not),
        cmocka_unit_test(what_is_damaged_is_not_used),
        cmocka_unit_test(what_a_later_version_adds_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
