#include "relay/config/config.h"

#include "relay/base/mem.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* 24 octets */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"

struct fixture {
    struct scratch dir;
    char *secret; /* path */
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
    free(f->secret);
    scratch_remove(&f->dir);
}

static void
write_secret(struct fixture *f, const char *text)
{
    if (f->dir.path[0] == '\0')
        scratch_make(&f->dir);
    scratch_write(&f->dir, "secret", text, strlen(text));
    (void)chmod(f->dir.file, 0600);
    free(f->secret);
    f->secret = mem_text(f->dir.file);
}

static bool
load(struct fixture *f, const char *url, const char *more)
{
    char *text scoped(own_free) = NULL;

    if (!f->secret)
        write_secret(f, SECRET);
    text =
        mem_printf("webhook \"app\" { url = \"%s\" secret_file = \"%s\" %s }",
                   url, f->secret, more);
    clear(f);
    scratch_write(&f->dir, "conf", text, strlen(text));
    return config_load(f->dir.file, &f->c, &f->errs);
}

static void
a_url_is_taken_apart(void **state)
{
    static const struct {
        const char *url, *host;
        unsigned port;
        const char *path;
        bool is_https, is_loopback;
    } rows[] = {
        {"https://Hooks.Example", "hooks.example", 443, "/", true, false},
        {"HTTPS://hooks.example:8443/a/b?c=d&e", "hooks.example", 8443,
         "/a/b?c=d&e", true, false},
        {"https://m\xC3\xBCnchen.example?x", "xn--mnchen-3ya.example", 443,
         "/?x", true, false},
        {"https://hooks/x", "hooks", 443, "/x", true, false},
        {"https://localhost:1/", "localhost", 1, "/", true, true},
        {"http://localhost/x", "localhost", 80, "/x", false, true},
        {"http://127.0.0.9:8080", "127.0.0.9", 8080, "/", false, true},
        {"http://[::1]:8080/x", "::1", 8080, "/x", false, true},
        {"http://[::1]", "::1", 80, "/", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture f scoped(done) = {0};
        const struct config_webhook *w;

        if (!load(&f, rows[i].url, ""))
            fail_msg("%s: %s", rows[i].url, f.errs.text[0]);
        w = &f.c->webhook[0];
        assert_string_equal(w->name, "app");
        assert_string_equal(w->host, rows[i].host);
        assert_int_equal(w->port, rows[i].port);
        assert_string_equal(w->path, rows[i].path);
        assert_int_equal(w->is_https, rows[i].is_https);
        assert_int_equal(w->is_loopback, rows[i].is_loopback);
        assert_int_equal(w->key_len, 24);
        assert_int_equal(w->events, CONFIG_WEBHOOK_SENT |
                                        CONFIG_WEBHOOK_DEFERRED |
                                        CONFIG_WEBHOOK_BOUNCED);
    }
}

static void
a_url_that_leads_nowhere_good_is_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "https:/hooks.example/",
        "https://",
        "https:///x",
        "https://hooks..example/",
        "https://user:pass@hooks.example/",
        "https://user@hooks.example/",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:x/",
        "https://hooks.example/a b",
        "https://hooks.example/#x",
        "https://hooks.example/\xC3\xBC",
        "https://192.0.2.1/",
        "https://[2001:db8::1]/",
        "https://127.0.0.1/",
        "http://hooks.example/",
        "http://192.0.2.1/",
        "http://[2001:db8::1]/",
        "http://localhost.example/",
        "http://[::1/",
        "http://[::1]x/",
        "http://127.0.0.1\\t/",
        "http://0.0.0.0/",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        struct fixture f scoped(done) = {0};

        if (load(&f, urls[i], ""))
            fail_msg("%s", urls[i]);
    }
}

static void
a_secret_has_a_form_and_a_length(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {
        {SECRET, true},
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true},
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false}, /* 23 octets */
        {"whsec_", false},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", false},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nx", false},
        {"whsec_MfKQ9r8G KYqrTwjUPD8ILPZIo2LaLaSw", false},
        {"", false},
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture f scoped(done) = {0};

        write_secret(&f, rows[i].text);
        if (load(&f, "https://hooks.example/", "") != rows[i].is_good)
            fail_msg("%s", rows[i].text);
        if (rows[i].is_good)
            continue;
        assert_non_null(strstr(f.errs.text[0], "webhook.app.secret_file"));
        assert_null(strstr(f.errs.text[0], "MfKQ9r8G"));
    }
}

static void
it_wants_what_it_names(void **state)
{
    static const struct {
        const char *more;
        enum config_webhook_event event;
        const char *from, *to;
        bool wants;
    } rows[] = {
        {"", CONFIG_WEBHOOK_SENT, "a@a.example", "b@b.example", true},
        {"events = {\"bounced\"}", CONFIG_WEBHOOK_BOUNCED, "a@a.example",
         "b@b.example", true},
        {"events = {\"bounced\"}", CONFIG_WEBHOOK_SENT, "a@a.example",
         "b@b.example", false},
        {"from = {\"@a.example\"}", CONFIG_WEBHOOK_SENT, "x@A.example",
         "b@b.example", true},
        {"from = {\"@a.example\"}", CONFIG_WEBHOOK_SENT, "x@b.example",
         "b@a.example", false},
        {"to = {\"b@b.example\", \"*\"}", CONFIG_WEBHOOK_SENT, "a@a.example",
         "c@c.example", true},
        {"to = {\"b@b.example\"}", CONFIG_WEBHOOK_SENT, "a@a.example",
         "c@b.example", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture f scoped(done) = {0};

        assert_true(load(&f, "https://hooks.example/", rows[i].more));
        assert_int_equal(config_webhook_wants(&f.c->webhook[0], rows[i].event,
                                              rows[i].from, rows[i].to),
                         rows[i].wants);
    }
}

static void
events_are_three(void **state)
{
    static const char *const rows[] = {
        "events = {\"opened\"}", "events = {}", "events = {\"Sent\"}",
        "events = {\"sent\", \"sent\", \"sent\", \"sent\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture f scoped(done) = {0};

        assert_false(load(&f, "https://hooks.example/", rows[i]));
    }
}

static void
trust_anchors_have_to_be_some(void **state)
{
    struct fixture f scoped(done) = {0};
    char *more scoped(own_free) = NULL;

    (void)state;
    write_secret(&f, SECRET);
    more = mem_printf("ca = \"%s\"", f.secret); /* no certificate */
    assert_false(load(&f, "https://hooks.example/", more));
    assert_non_null(strstr(f.errs.text[0], "webhook.app.ca"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(a_url_that_leads_nowhere_good_is_refused),
        cmocka_unit_test(a_secret_has_a_form_and_a_length),
        cmocka_unit_test(it_wants_what_it_names),
        cmocka_unit_test(events_are_three),
        cmocka_unit_test(trust_anchors_have_to_be_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
