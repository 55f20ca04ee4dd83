#include "relay/daemon/token_grant.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct token_grant_ask by_client = {
    .client_id = "id",
    .client_secret = "a b&c=d+e/\xc3\xa9",
    .refresh_token = "",
    .scope = "https://x.example/.default"};
static const struct token_grant_ask by_refresh = {.client_id = "id",
                                                  .client_secret = "",
                                                  .refresh_token =
                                                      "0.AXYA-b_c.d",
                                                  .scope = ""};

/* RFC 6749 sections 4.4.2 and 6 */
static void
a_form_says_which_grant_and_escapes_its_values(void **state)
{
    scoped(buf_free) struct buf out = {0};

    (void)state;
    token_grant_form(&by_client, &out);
    assert_string_equal(buf_text(&out),
                        "grant_type=client_credentials&client_id=id&"
                        "client_secret=a%20b%26c%3Dd%2Be%2F%C3%A9&"
                        "scope=https%3A%2F%2Fx.example%2F.default");
    buf_clear(&out);
    token_grant_form(&by_refresh, &out);
    assert_string_equal(buf_text(&out), "grant_type=refresh_token&client_id=id&"
                                        "refresh_token=0.AXYA-b_c.d");
}

static void
an_answer_gives_a_token(void **state)
{
    static const struct {
        const char *json, *access, *refresh;
        int64_t life_s;
    } cases[] = {
        {"{\"access_token\":\"a.b-c\",\"token_type\":\"Bearer\","
         "\"expires_in\":3599,\"ext_expires_in\":3599}",
         "a.b-c", NULL, 3599},
        {" {\"token_type\":\"bearer\",\"access_token\":\"x\","
         "\"refresh_token\":\"y\",\"scope\":[]} ",
         "x", "y", TOKEN_GRANT_LIFE_S},
        {"{\"token_type\":\"BEARER\",\"access_token\":\"x\","
         "\"expires_in\":\"60\"}",
         "x", NULL, 60},
        {"{\"token_type\":\"Bearer\",\"access_token\":\"x\","
         "\"expires_in\":null}",
         "x", NULL, TOKEN_GRANT_LIFE_S},
        {"{\"token_type\":\"Bearer\",\"access_token\":\"x\","
         "\"expires_in\":9223372036854775807}",
         "x", NULL, TOKEN_GRANT_LIFE_MAX_S},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(token_grant_done) struct token_grant g = {0};
        struct err err;

        assert_true(token_grant_read(slice_of(cases[i].json), &g, &err));
        assert_string_equal(g.access, cases[i].access);
        assert_int_equal(g.life_s, cases[i].life_s);
        assert_int_equal(g.refresh != NULL, cases[i].refresh != NULL);
        if (g.refresh)
            assert_string_equal(g.refresh, cases[i].refresh);
    }
}

#define TYPE "\"token_type\":\"Bearer\""
#define TOKEN "\"access_token\":\"x\""

static void
what_is_no_such_answer_gives_none(void **state)
{
    static const struct {
        const char *json, *why;
    } cases[] = {
        {"", "no JSON object"},
        {"null", "no JSON object"},
        {"[]", "no JSON object"},
        {"{" TYPE "," TOKEN "} x", "no JSON object"},
        {"{" TYPE "," TOKEN "," TOKEN "}", "no JSON object"},
        {"{" TYPE "," TOKEN, "no JSON object"},
        {"{" TOKEN "}", "type Bearer"},
        {"{\"token_type\":\"mac\"," TOKEN "}", "type Bearer"},
        {"{\"token_type\":7," TOKEN "}", "type Bearer"},
        {"{" TYPE "}", "no access_token"},
        {"{" TYPE ",\"access_token\":\"\"}", "no access_token"},
        {"{" TYPE ",\"access_token\":{}}", "no access_token"},
        {"{" TYPE ",\"access_token\":\"a b\"}", "characters"},
        {"{" TYPE ",\"access_token\":\"a\\u0001b\"}", "characters"},
        {"{" TYPE ",\"access_token\":\"a\\r\\nMAIL\"}", "characters"},
        {"{" TYPE ",\"access_token\":\"\\u00e9\"}", "characters"},
        {"{" TYPE "," TOKEN ",\"refresh_token\":\"a\\nb\"}", "characters"},
        {"{" TYPE "," TOKEN ",\"refresh_token\":7}", "no refresh_token"},
        {"{" TYPE "," TOKEN ",\"expires_in\":0}", "expires_in"},
        {"{" TYPE "," TOKEN ",\"expires_in\":-5}", "expires_in"},
        {"{" TYPE "," TOKEN ",\"expires_in\":1.5}", "expires_in"},
        {"{" TYPE "," TOKEN ",\"expires_in\":\"soon\"}", "expires_in"},
        {"{" TYPE "," TOKEN ",\"expires_in\":{}}", "expires_in"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct token_grant g = {0};
        struct err err = {0};

        if (token_grant_read(slice_of(cases[i].json), &g, &err) ||
            !strstr(err.text, cases[i].why))
            fail_msg("%s: %s", cases[i].json, err.text);
        assert_null(g.access);
    }
}

static void
an_answer_cut_anywhere_gives_none(void **state)
{
    static const char json[] =
        "{" TYPE "," TOKEN ",\"expires_in\":3599,\"refresh_token\":\"y\"}";

    (void)state;
    for (size_t n = 0; n + 1 < sizeof(json); n++) {
        struct token_grant g = {0};
        struct err err;

        assert_false(token_grant_read((struct slice){json, n}, &g, &err));
    }
}

static void
a_token_that_is_too_long_is_none(void **state)
{
    scoped(buf_free) struct buf json = {0};
    struct token_grant g = {0};
    struct err err;

    (void)state;
    buf_add_text(&json, "{" TYPE ",\"access_token\":\"");
    for (size_t i = 0; i < TOKEN_GRANT_MAX + 1; i++)
        buf_add_byte(&json, 'x');
    buf_add_text(&json, "\"}");
    assert_false(token_grant_read(buf_slice(&json), &g, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void
a_refusal_is_told_without_secrets(void **state)
{
    static const struct token_grant_ask ask = {.client_id = "id",
                                               .client_secret =
                                                   "hunter2-hunter2",
                                               .refresh_token = "0.refresh-me",
                                               .scope = ""};
    static const struct {
        const char *json, *said;
    } cases[] = {
        {"{\"error\":\"invalid_grant\"}", "invalid_grant"},
        {"{\"error\":\"invalid_client\",\"error_description\":"
         "\"AADSTS7000215: Invalid client secret\\r\\nTrace ID: x\"}",
         "invalid_client: AADSTS7000215: Invalid client secret??Trace ID: x"},
        {"{\"error_description\":\"only\"}", "only"},
        {"{\"error\":{\"code\":401}}", ""},
        {"{\"error\":\"no hunter2-hunter2\",\"error_description\":"
         "\"nor 0.refresh-me\"}",
         "no ***: nor ***"},
        {"{\"error\":\"\\u001b[31m\\u202e\"}", "?[31m?"},
        {"oops", ""},
        {"[]", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(buf_free) struct buf out = {0};

        token_grant_refusal(slice_of(cases[i].json), &ask, &out);
        assert_string_equal(buf_text(&out), cases[i].said);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_says_which_grant_and_escapes_its_values),
        cmocka_unit_test(an_answer_gives_a_token),
        cmocka_unit_test(what_is_no_such_answer_gives_none),
        cmocka_unit_test(an_answer_cut_anywhere_gives_none),
        cmocka_unit_test(a_token_that_is_too_long_is_none),
        cmocka_unit_test(a_refusal_is_told_without_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
