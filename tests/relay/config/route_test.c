#include "relay/config/config.h"

#include "relay/base/mem.h"
#include "smtp/sasl.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUTE "to = {\"*\"} via = {\"h.example:587\"} "
#define LOGIN "user = \"u\" password = \"hunter2-hunter2\" "
#define OAUTH                                                                  \
    "token_url = \"https://login.example/t\" client_id = \"c\" "               \
    "client_secret = \"hunter3-hunter3\" "

struct fixture {
    struct scratch dir;
    mode_t mode; /* of the configuration; 0: ours alone */
    struct config *c;
    struct config_errors errs;
};

static void
clear(struct fixture *f)
{
    config_free(&f->c);
    config_errors_done(&f->errs);
}

static void
done(struct fixture *f)
{
    clear(f);
    scratch_remove(&f->dir);
}

static bool
load(struct fixture *f, const char *text)
{
    if (f->dir.path[0] == '\0')
        scratch_make(&f->dir);
    clear(f);
    scratch_write(&f->dir, "conf", text, strlen(text));
    (void)chmod(f->dir.file, f->mode ? f->mode : 0600);
    return config_load(f->dir.file, &f->c, &f->errs);
}

static char *
printed(const struct config *c, bool json)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    config_print(c, json, out);
    (void)fclose(out);
    return text;
}

/* A file that only its owner may read; the text is good until the next. */
static const char *
secret_file(struct fixture *f, const char *name, const char *content)
{
    if (f->dir.path[0] == '\0')
        scratch_make(&f->dir);
    scratch_write(&f->dir, name, content, strlen(content));
    (void)chmod(f->dir.file, 0600);
    return f->dir.file;
}

static void
a_user_and_a_password_are_all_it_takes(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_true(load(&f, "route \"r\" { " ROUTE "}"));
    assert_int_equal(f.c->route[0].mechanisms, 0);
    assert_true(load(&f, "route \"r\" { " ROUTE LOGIN "}"));
    assert_int_equal(f.c->route[0].mechanisms,
                     SMTP_SASL_BIT(SMTP_SASL_PLAIN) |
                         SMTP_SASL_BIT(SMTP_SASL_LOGIN) |
                         SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256));
    assert_string_equal(f.c->route[0].password, "hunter2-hunter2");
    assert_int_equal(f.errs.warning_count, 0);
    assert_true(load(&f, "route \"r\" { " ROUTE LOGIN "auth = \"login\" }"));
    assert_int_equal(f.c->route[0].mechanisms, SMTP_SASL_BIT(SMTP_SASL_LOGIN));
}

static void
tokens_come_by_an_oauth_section(void **state)
{
    scoped(done) struct fixture f = {0};
    const struct config_oauth *o;

    (void)state;
    assert_true(load(&f, "route \"r\" { " ROUTE "user = \"u\" oauth { "
                         "token_url = \"https://Login.Example:8443/a/b?c=d\" "
                         "client_id = \"c\" refresh_token = \"x\" } }"));
    o = &f.c->route[0].oauth;
    assert_int_equal(f.c->route[0].mechanisms,
                     SMTP_SASL_BIT(SMTP_SASL_XOAUTH2) |
                         SMTP_SASL_BIT(SMTP_SASL_OAUTHBEARER));
    assert_string_equal(o->host.name, "login.example");
    assert_int_equal(o->host.port, 8443);
    assert_string_equal(o->path, "/a/b?c=d");
    assert_string_equal(o->scope, "");
}

static void
a_preset_fills_in_what_is_left_out(void **state)
{
    scoped(done) struct fixture f = {0};
    const struct config_route *r;

    (void)state;
    assert_true(load(&f, "route \"m\" { to = {\"*\"} user = \"u\" oauth { "
                         "preset = \"microsoft365\" tenant = \"corp.example\" "
                         "client_id = \"c\" client_secret = \"s\" } }"));
    r = &f.c->route[0];
    assert_string_equal(r->via[0].host, "smtp.office365.com");
    assert_int_equal(r->via[0].port, 587);
    assert_int_equal(r->level, POLICY_LEVEL_VERIFIED);
    assert_string_equal(r->oauth.host.name, "login.microsoftonline.com");
    assert_int_equal(r->oauth.host.port, 443);
    assert_string_equal(r->oauth.path, "/corp.example/oauth2/v2.0/token");
    assert_string_equal(r->oauth.scope,
                        "https://outlook.office365.com/.default");

    assert_true(load(&f, "route \"m\" { to = {\"*\"} user = \"u\" oauth { "
                         "preset = \"microsoft365\" tenant = \"t\" "
                         "client_id = \"c\" refresh_token = \"r\" } }"));
    assert_string_equal(f.c->route[0].oauth.scope,
                        "https://outlook.office.com/SMTP.Send offline_access");

    assert_true(load(&f, "route \"g\" { to = {\"*\"} user = \"u\" via = "
                         "{\"smtp-relay.gmail.com:587\"} oauth { "
                         "preset = \"google\" scope = \"mine\" "
                         "client_id = \"c\" refresh_token = \"r\" } }"));
    r = &f.c->route[0];
    assert_int_equal(r->via_count, 1);
    assert_string_equal(r->via[0].host, "smtp-relay.gmail.com");
    assert_string_equal(r->oauth.host.name, "oauth2.googleapis.com");
    assert_string_equal(r->oauth.scope, "mine");
}

static void
what_does_not_fit_is_an_error(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {ROUTE LOGIN "tls = \"none\"", "route.r.tls: does not go with auth"},
        {ROUTE LOGIN "tls = \"opportunistic\"",
         "route.r.tls: does not go with auth"},
        {ROUTE "auth = \"plain\"", "route.r.user: is missing"},
        {ROUTE "password = \"x\"", "route.r.user: is missing"},
        {ROUTE "user = \"u\"", "route.r.password_file: is missing"},
        {ROUTE LOGIN "auth = \"xoauth2\"", "route.r.auth: needs an oauth"},
        {ROUTE LOGIN "auth = \"cram-md5\"", "\"cram-md5\" is none of auto"},
        {ROUTE "user = \"u\" auth = \"plain\" oauth { " OAUTH "}",
         "route.r.auth: does not go with an oauth section"},
        {ROUTE LOGIN "oauth { " OAUTH "}",
         "route.r.password_file: does not go with tokens"},
        {ROUTE "oauth { " OAUTH "}", "route.r.user: is missing"},
        {ROUTE "user = \"u\" oauth { client_id = \"c\" }",
         "route.r.oauth.token_url: is missing"},
        {ROUTE "user = \"u\" oauth { token_url = \"https://a.example/\" }",
         "route.r.oauth.client_id: is missing"},
        {ROUTE "user = \"u\" oauth { client_id = \"c\" "
               "token_url = \"https://a.example/\" }",
         "route.r.oauth.client_secret_file: is missing"},
        {ROUTE "user = \"u\" oauth { client_id = \"c\" client_secret = \"s\" "
               "token_url = \"http://a.example/\" }",
         "route.r.oauth.token_url: does not begin with https://"},
        {ROUTE "user = \"u\" oauth { client_id = \"c\" client_secret = \"s\" "
               "token_url = \"https://a.example\" }",
         "route.r.oauth.token_url: has no path"},
        {ROUTE "user = \"u\" oauth { client_id = \"c\" client_secret = \"s\" "
               "token_url = \"https://a.example/#x\" }",
         "route.r.oauth.token_url: has no path, or one with a #"},
        {ROUTE "user = \"u\" oauth { client_id = \"c\" client_secret = \"s\" "
               "token_url = \"https://a.example:0/\" }",
         "route.r.oauth.token_url: a port is from 1"},
        {ROUTE "user = \"u\" oauth { client_id = \"c\" client_secret = \"s\" "
               "token_url = \"https://u@a.example/\" }",
         "route.r.oauth.token_url: "},
        {ROUTE "user = \"u\" oauth { preset = \"microsoft365\" "
               "client_id = \"c\" client_secret = \"s\" }",
         "route.r.oauth.tenant: is missing"},
        {ROUTE "user = \"u\" oauth { preset = \"google\" client_id = \"c\" "
               "client_secret = \"s\" }",
         "route.r.oauth.refresh_token_file: is missing"},
        {ROUTE "user = \"u\" oauth { preset = \"yahoo\" }",
         "\"yahoo\" is none of"},
        {ROUTE LOGIN "password_file = \"/nowhere\"",
         "route.r.password_file: /nowhere"},
        {ROUTE "certificate = \"/dev/null\"", "is not a regular file"},
        {ROUTE "tls = \"none\" fingerprint = {\"sha256:"
               "00000000000000000000000000000000"
               "00000000000000000000000000000000\"}",
         "route.r.tls: \"none\" does not go with certificates"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(done) struct fixture f = {0};
        scoped(own_free) char *text =
            mem_printf("route \"r\" { %s }", cases[i].text);
        bool is_said = false;

        assert_false(load(&f, text));
        for (size_t k = 0; k < f.errs.count; k++) {
            is_said |= strstr(f.errs.text[k], cases[i].error) != NULL;
            assert_null(strstr(f.errs.text[k], "hunter"));
        }
        if (!is_said)
            fail_msg("%s: not \"%s\", but \"%s\"", text, cases[i].error,
                     f.errs.text[0]);
    }
}

static void
secrets_for_whoever_answers_are_warned_of(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_true(load(&f, "route \"r\" { " ROUTE LOGIN "tls = \"required\" }"));
    assert_int_equal(f.errs.warning_count, 1);
    assert_non_null(strstr(f.errs.warning[0], "route.r.tls: \"required\""));
    assert_true(load(&f, "route \"r\" { " ROUTE LOGIN
                         "tls = \"required\" fingerprint = {\"sha256:"
                         "00000000000000000000000000000000"
                         "00000000000000000000000000000000\"} }"));
    assert_int_equal(f.errs.warning_count, 0);
    assert_int_equal(f.c->route[0].fingerprint_count, 1);
}

static void
a_secret_in_a_file_that_everybody_may_read_is_warned_of(void **state)
{
    scoped(done) struct fixture f = {.mode = 0644};

    (void)state;
    assert_true(load(&f, "route \"r\" { " ROUTE LOGIN "}"));
    assert_int_equal(f.errs.warning_count, 1);
    assert_non_null(strstr(f.errs.warning[0],
                           "conf:1: route.r.password: everybody may read"));
    assert_null(strstr(f.errs.warning[0], "hunter"));
    f.mode = 0640;
    assert_true(load(&f, "route \"r\" { " ROUTE LOGIN "}"));
    assert_int_equal(f.errs.warning_count, 0);
    f.mode = 0644;
    assert_true(load(&f, "route \"r\" { " ROUTE "password = \"\" }"));
    assert_int_equal(f.errs.warning_count, 0);
}

static void
a_file_with_a_secret_holds_one_line(void **state)
{
    static const struct {
        const char *content;
        bool is_good;
    } cases[] = {
        {"with spaces, and = signs\n", true},
        {"x", true},
        {"x\r\n", true},
        {"", false},
        {"\n", false},
        {"two\nlines\n", false},
        {"tab\there", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(done) struct fixture f = {0};
        scoped(own_free) char *text = mem_printf(
            "route \"r\" { " ROUTE "user = \"u\" password_file = \"%s\" }",
            secret_file(&f, "secret", cases[i].content));

        assert_int_equal(load(&f, text), cases[i].is_good);
        if (!cases[i].is_good)
            assert_non_null(strstr(f.errs.text[0], "route.r.password_file: "));
    }
}

static void
what_is_printed_shows_no_secret(void **state)
{
    scoped(done) struct fixture f = {0};
    scoped(own_free) char *plain = NULL;
    scoped(own_free) char *json = NULL;

    (void)state;
    assert_true(load(&f, "route \"a\" { " ROUTE LOGIN "}\n"
                         "route \"b\" { " ROUTE "user = \"u\" oauth { " OAUTH
                         "refresh_token = \"hunter4-hunter4\" } }"));
    plain = printed(f.c, false);
    json = printed(f.c, true);
    assert_null(strstr(plain, "hunter"));
    assert_null(strstr(json, "hunter"));
    assert_non_null(strstr(plain, "    password = \"***\""));
    assert_non_null(strstr(plain, "    oauth {\n        preset = \"\""));
    assert_non_null(strstr(plain, "        client_secret = \"***\""));
    assert_non_null(strstr(json, "\"route.b.oauth.refresh_token\": {\"value\": "
                                 "\"***\""));
    assert_null(strstr(json, "route.a.oauth"));
}

static void
what_is_printed_can_be_read_again(void **state)
{
    scoped(done) struct fixture f = {0};
    scoped(own_free) char *first = NULL;
    scoped(own_free) char *file = mem_text(secret_file(&f, "secret", "x"));
    scoped(own_free) char *text = mem_printf(
        "route \"r\" { " ROUTE "user = \"u\" oauth { preset = \"google\" "
        "client_id = \"c\" refresh_token_file = \"%s\" } }",
        file);

    (void)state;
    assert_true(load(&f, text));
    first = printed(f.c, false);
    assert_true(load(&f, first));
    assert_string_equal(f.c->route[0].oauth.refresh_token_file, file);
    assert_string_equal(f.c->route[0].oauth.path, "/token");
}

static void
the_environment_sets_them_too(void **state)
{
    static const char *const set[][2] = {
        {"SEALPOST_ROUTE__OUT__TO", "*"},
        {"SEALPOST_ROUTE__OUT__VIA", "h.example:587"},
        {"SEALPOST_ROUTE__OUT__USER", "u"},
        {"SEALPOST_ROUTE__OUT__OAUTH__TOKEN_URL", "https://a.example/t"},
        {"SEALPOST_ROUTE__OUT__OAUTH__CLIENT_ID", "c"},
        {"SEALPOST_ROUTE__OUT__OAUTH__CLIENT_SECRET", "s"},
        {"RELAYHOST", "smtp.example:587"},
        {"RELAYHOST_USERNAME", "me@x.example"},
        {"XOAUTH2_CLIENT_ID", "id"},
        {"XOAUTH2_SECRET", "hunter2"},
        {"XOAUTH2_TOKEN_ENDPOINT", "https://b.example/token"},
        {"XOAUTH2_INITIAL_REFRESH_TOKEN", "refresh"},
    };
    scoped(done) struct fixture f = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
        (void)setenv(set[i][0], set[i][1], 1);
    assert_true(load(&f, ""));
    for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
        (void)unsetenv(set[i][0]);
    assert_int_equal(f.c->route_count, 2);
    assert_string_equal(f.c->route[0].name, "out");
    assert_string_equal(f.c->route[0].oauth.client_secret, "s");
    assert_string_equal(f.c->route[1].name, "relayhost");
    assert_string_equal(f.c->route[1].user, "me@x.example");
    assert_string_equal(f.c->route[1].oauth.host.name, "b.example");
    assert_string_equal(f.c->route[1].oauth.refresh_token, "refresh");

    (void)setenv("SEALPOST_ROUTE__LOST__OAUTH__CLIENT_ID", "c", 1);
    assert_false(load(&f, ""));
    (void)unsetenv("SEALPOST_ROUTE__LOST__OAUTH__CLIENT_ID");
    assert_non_null(strstr(f.errs.text[0], "there is no such route"));
}

static void
credentials_of_routes_are_looked_up(void **state)
{
    scoped(done) struct fixture f = {0};
    scoped(own_free) char *want = NULL;

    (void)state;
    want = mem_text(secret_file(&f, "route.Out.password", "hunter2\n"));
    (void)setenv("CREDENTIALS_DIRECTORY", f.dir.path, 1);
    assert_true(load(&f, "route \"Out\" { " ROUTE "user = \"u\" }"));
    assert_string_equal(f.c->route[0].password_file, want);
    assert_false(load(&f, "route \"Out\" { " ROUTE LOGIN "}"));
    assert_non_null(strstr(f.errs.text[0], "is set in two ways"));
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_and_a_password_are_all_it_takes),
        cmocka_unit_test(tokens_come_by_an_oauth_section),
        cmocka_unit_test(a_preset_fills_in_what_is_left_out),
        cmocka_unit_test(what_does_not_fit_is_an_error),
        cmocka_unit_test(secrets_for_whoever_answers_are_warned_of),
        cmocka_unit_test(
            a_secret_in_a_file_that_everybody_may_read_is_warned_of),
        cmocka_unit_test(a_file_with_a_secret_holds_one_line),
        cmocka_unit_test(what_is_printed_shows_no_secret),
        cmocka_unit_test(what_is_printed_can_be_read_again),
        cmocka_unit_test(the_environment_sets_them_too),
        cmocka_unit_test(credentials_of_routes_are_looked_up),
    };

    (void)clearenv();
    (void)setenv("STATE_DIRECTORY", "/tmp/sealpost-state", 1);
    (void)setenv("SEALPOST_HOSTNAME", "relay.example.com", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
