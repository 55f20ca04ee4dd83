#include "relay/daemon/router.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *
load(const char *text)
{
    char path[] = "/tmp/router-test-XXXXXX";
    int fd = mkstemp(path);
    struct config_errors errs = {0};
    struct config *c = NULL;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    own_close(&fd);
    if (!config_load(path, &c, &errs))
        fail_msg("%s", errs.text[0]);
    config_errors_done(&errs);
    (void)unlink(path);
    return c;
}

static const char three_routes[] =
    "hostname = \"relay.example\"\n"
    "route \"vip\" { from = {\"boss@here.example\"} to = {\"*\"}\n"
    "  via = {\"smart.example:587\"} }\n"
    "route \"partner\" { to = {\"@partner.example\"} via = {\"10.0.0.1:25\"}\n"
    "  tls = \"required\" }\n"
    "route \"one\" { to = {\"just@one.example\"} via = {\"mx:hub.example\"} "
    "}\n";

static void
expect(const struct config *c, const char *from, const char *to,
       const char *want)
{
    char *got = router_destination(c, from, to, strchr(to, '@') + 1);

    assert_string_equal(got, want);
    free(got);
}

static void
the_first_route_that_fits_wins(void **state)
{
    struct config *c = load(three_routes);

    (void)state;
    expect(c, "boss@here.example", "a@partner.example", "route:vip");
    expect(c, "x@here.example", "a@partner.example", "route:partner");
    expect(c, "", "just@one.example", "route:one");
    config_free(&c);
}

static void
without_a_route_the_domain_is_the_destination(void **state)
{
    struct config *c = load(three_routes);

    (void)state;
    expect(c, "x@here.example", "other@one.example", "one.example");
    expect(c, "x@here.example", "a@sub.partner.example", "sub.partner.example");
    config_free(&c);
}

static void
a_route_is_found_by_its_destination_or_is_gone(void **state)
{
    struct config *c = load(three_routes);
    bool gone = true;

    (void)state;
    assert_string_equal(router_route(c, "route:partner", &gone)->name,
                        "partner");
    assert_false(gone);
    assert_null(router_route(c, "partner.example", &gone));
    assert_false(gone);
    assert_null(router_route(c, "route:former", &gone));
    assert_true(gone);
    config_free(&c);
}

static void
a_plan_gets_what_is_demanded_of_its_destination(void **state)
{
    static const struct {
        const char *destination;
        enum policy_level level;
        unsigned port;
        bool is_route, implicit_tls;
        enum policy_dane_rule dane;
    } rows[] = {
        {"route:vip", POLICY_LEVEL_VERIFIED, 465, true, true,
         POLICY_DANE_HEEDED},
        {"bank.example", POLICY_LEVEL_VERIFIED, 2500, false, false,
         POLICY_DANE_REQUIRED},
        {"lab.example", POLICY_LEVEL_OPPORTUNISTIC, 2500, false, false,
         POLICY_DANE_IGNORED},
        {"else.example", POLICY_LEVEL_REQUIRED, 2500, false, false,
         POLICY_DANE_REQUIRED},
    };
    struct config *c =
        load("hostname = \"relay.example\"\n"
             "delivery { port = 2500 }\n"
             "policy { tls = \"required\" dane = \"required\" }\n"
             "domain \"bank.example\" { tls = \"verified\" }\n"
             "domain \"lab.example\" { tls = \"opportunistic\" dane = false\n"
             "  requiretls = \"opportunistic\" reason = \"lab\" until = "
             "\"2099-01-31\" }\n"
             "route \"vip\" { to = {\"@vip.example\"}\n"
             "  via = {\"smart.example:465\"} }\n");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct policy_inputs in =
            router_inputs(c, rows[i].destination, NULL, 1795000000000);

        assert_int_equal(in.level, rows[i].level);
        assert_int_equal(in.port, rows[i].port);
        assert_int_equal(in.is_route, rows[i].is_route);
        assert_int_equal(in.implicit_tls, rows[i].implicit_tls);
        assert_int_equal(in.dane, rows[i].dane);
        assert_string_equal(in.anchors, "");
        assert_int_equal(in.may_lose_requiretls,
                         strcmp(rows[i].destination, "lab.example") == 0);
        assert_false(in.requiretls || in.tls_required_no || in.report_only);
    }
    config_free(&c);
}

static void
the_fingerprint_changes_with_what_routes_take(void **state)
{
    struct config *a = load(three_routes), *b = load(three_routes);
    struct config *other =
        load("hostname = \"relay.example\"\n"
             "route \"vip\" { to = {\"*\"} via = {\"smart.example:587\"} }\n");
    char *x = router_fingerprint(a), *y = router_fingerprint(b),
         *z = router_fingerprint(other);

    (void)state;
    assert_string_equal(x, y);
    assert_string_not_equal(x, z);
    free(x);
    free(y);
    free(z);
    config_free(&a);
    config_free(&b);
    config_free(&other);
}

static const char to_one[] = "hostname = \"relay.example\"\n"
                             "mode = \"redirect\"\n"
                             "redirect_to = \"all@stage.example\"\n";

static void
add(struct mail_envelope *e, const char *address, uint8_t notify)
{
    struct mail_rcpt *rcpt = mail_envelope_add(e);

    rcpt->address = mem_text(address);
    rcpt->domain = mem_text("x.example");
    rcpt->notify = notify;
}

/* RFC 3461 section 4.2 */
static void
redirected_mail_has_one_recipient_and_keeps_the_first(void **state)
{
    struct config *c = load(to_one);

    (void)state;
    for (int given = 0; given < 3; given++) {
        struct mail_envelope e = {0};

        add(&e, given == 2 ? "b\xc3\xbcro@x.example" : "a@x.example", 0);
        add(&e, "b@x.example", 0);
        if (given == 1)
            e.rcpt[0].orcpt = mem_text("rfc822;old@x.example");
        router_redirect(c, &e);
        assert_int_equal(e.rcpt_count, 1);
        assert_string_equal(e.rcpt[0].address, "all@stage.example");
        assert_string_equal(e.rcpt[0].domain, "stage.example");
        assert_string_equal(e.rcpt[0].orcpt,
                            given == 0   ? "rfc822;a@x.example"
                            : given == 1 ? "rfc822;old@x.example"
                                         : "utf-8;b\xc3\xbcro@x.example");
        mail_envelope_done(&e);
    }
    config_free(&c);
}

static void
redirected_mail_is_reported_as_any_of_them_wanted(void **state)
{
    static const uint8_t rows[][3] = {
        {MAIL_NOTIFY_NEVER, MAIL_NOTIFY_NEVER, MAIL_NOTIFY_NEVER},
        {MAIL_NOTIFY_NEVER, MAIL_NOTIFY_FAILURE, MAIL_NOTIFY_FAILURE},
        {MAIL_NOTIFY_SUCCESS, MAIL_NOTIFY_DELAY,
         MAIL_NOTIFY_SUCCESS | MAIL_NOTIFY_DELAY},
        {MAIL_NOTIFY_NEVER, 0, 0},
        {0, MAIL_NOTIFY_SUCCESS, 0},
    };
    struct config *c = load(to_one);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct mail_envelope e = {0};

        add(&e, "a@x.example", rows[i][0]);
        add(&e, "b@x.example", rows[i][1]);
        router_redirect(c, &e);
        assert_int_equal(e.rcpt[0].notify, rows[i][2]);
        mail_envelope_done(&e);
    }
    config_free(&c);
}

static void
redirected_mail_names_its_recipients_in_ascii(void **state)
{
    struct config *c = load(to_one), *live = load(three_routes);
    struct mail_envelope e = {0};
    struct buf out = {0};

    (void)state;
    add(&e, "a@x.example", 0);
    add(&e, "b\xc3\xbcro@x.example", 0);
    router_add_originals(live, &e, &out);
    assert_int_equal(out.len, 0);
    router_add_originals(c, &e, &out);
    assert_string_equal(buf_text(&out),
                        "X-Original-To: a@x.example\r\n"
                        "X-Original-To: b\\x{FC}ro@x.example\r\n");
    while (e.rcpt_count < ROUTER_ORIGINALS_MAX + 7)
        add(&e, "c@x.example", 0);
    buf_clear(&out);
    router_add_originals(c, &e, &out);
    assert_non_null(strstr(buf_text(&out), "\r\nX-Original-To-Others: 7\r\n"));
    buf_free(&out);
    mail_envelope_done(&e);
    config_free(&c);
    config_free(&live);
}

static void
in_mode_redirect_nobody_else_gets_mail(void **state)
{
    struct config *c = load(to_one), *live = load(three_routes);

    (void)state;
    assert_true(router_may_mail(c, "all@stage.example"));
    assert_false(router_may_mail(c, "boss@stage.example"));
    assert_false(router_may_mail(c, "all@stage.example.org"));
    assert_true(router_may_mail(live, "boss@stage.example"));
    config_free(&c);
    config_free(&live);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirected_mail_has_one_recipient_and_keeps_the_first),
        cmocka_unit_test(redirected_mail_is_reported_as_any_of_them_wanted),
        cmocka_unit_test(redirected_mail_names_its_recipients_in_ascii),
        cmocka_unit_test(in_mode_redirect_nobody_else_gets_mail),
        cmocka_unit_test(the_first_route_that_fits_wins),
        cmocka_unit_test(without_a_route_the_domain_is_the_destination),
        cmocka_unit_test(a_route_is_found_by_its_destination_or_is_gone),
        cmocka_unit_test(a_plan_gets_what_is_demanded_of_its_destination),
        cmocka_unit_test(the_fingerprint_changes_with_what_routes_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
