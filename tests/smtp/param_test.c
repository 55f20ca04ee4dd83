#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/base/mem.h"
#include "smtp/param.h"

#include <stdlib.h>

static const struct smtp_param_session clear = {0};

static const char *
parse_mail(const char *text, struct mail_envelope *e, uint64_t *size)
{
    *e = (struct mail_envelope){0};
    return smtp_param_mail(slice_of(text), &clear, e, size);
}

/* RFC 1870 section 3, RFC 3461 section 4, RFC 6152 section 2 */
static void
mail_parameters_end_in_the_envelope(void **state)
{
    struct mail_envelope e;
    uint64_t size;

    (void)state;
    assert_null(parse_mail("SIZE=1000 body=8bitmime SMTPUTF8 RET=hdrs "
                           "ENVID=QQ+2B314",
                           &e, &size));
    assert_int_equal(size, 1000);
    assert_true(e.body_8bit && e.smtputf8 && !e.requiretls);
    assert_int_equal(e.ret, MAIL_RET_HDRS);
    assert_string_equal(e.envid, "QQ+314");
    mail_envelope_done(&e);

    assert_null(parse_mail("  RET=FULL   BODY=7BIT  ", &e, &size));
    assert_int_equal(e.ret, MAIL_RET_FULL);
    assert_false(e.body_8bit);
    assert_int_equal(size, 0);

    assert_null(parse_mail("", &e, &size));
    assert_null(parse_mail("SIZE=18446744073709551615", &e, &size));
    assert_true(size == UINT64_MAX);
}

static void
what_mail_does_not_understand_it_refuses(void **state)
{
    static const struct {
        const char *params, *reply;
    } cases[] = {
        {"SIZE", "501 5.5.4"},
        {"SIZE=", "501 5.5.4"},
        {"SIZE=-1", "501 5.5.4"},
        {"SIZE=+5", "501 5.5.4"},
        {"SIZE=0x10", "501 5.5.4"},
        {"SIZE=1=2", "501 5.5.4"},
        {"SIZE=18446744073709551616", "501 5.5.4"},
        {"SIZE=99999999999999999999", "501 5.5.4"},
        {"SIZE=1 SIZE=1", "501 5.5.4"},
        {"SIZE=1 size=2", "501 5.5.4"},
        {"BODY", "501 5.5.4"},
        {"BODY=", "501 5.5.4"},
        {"BODY=9BIT", "501 5.5.4"},
        {"BODY=BINARYMIME", "555 5.5.4"},
        {"SMTPUTF8=yes", "501 5.5.4"},
        {"SMTPUTF8=", "501 5.5.4"},
        {"SMTPUTF8 SMTPUTF8", "501 5.5.4"},
        {"RET=X", "501 5.5.4"},
        {"RET=FULL RET=FULL", "501 5.5.4"},
        {"ENVID=", "501 5.5.4"},
        {"ENVID=+00", "501 5.5.4"},
        {"ENVID=a+0D+0Ab", "501 5.5.4"},
        {"ENVID=+4", "501 5.5.4"},
        {"ENVID=\xc3\xbc", "501 5.5.4"},
        {"FOO", "555 5.5.4"},
        {"FOO=1", "555 5.5.4"},
        {"AUTH=<>", "555 5.5.4"},
        {"AUTH=a+0Ab", "555 5.5.4"},
        {"NOTIFY=NEVER", "555 5.5.4"},
        {"=1", "501 5.5.4"},
        {"-X=1", "501 5.5.4"},
        {"F/O=1", "501 5.5.4"},
        {">", "501 5.5.4"},
        {"SIZE=1 FOO", "555 5.5.4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_envelope e;
        uint64_t size;
        const char *reply = parse_mail(cases[i].params, &e, &size);

        if (!reply || strncmp(reply, cases[i].reply, 9) != 0)
            fail_msg("%s: %s", cases[i].params, reply ? reply : "accepted");
        mail_envelope_done(&e);
    }
}

static void
lengths_of_dsn_values_are_limited(void **state)
{
    char text[600];
    struct mail_envelope e;
    struct mail_rcpt r = {0};
    uint64_t size;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "ENVID=", 6);
    text[6 + SMTP_PARAM_ENVID_MAX] = '\0';
    assert_null(parse_mail(text, &e, &size));
    mail_envelope_done(&e);
    text[6 + SMTP_PARAM_ENVID_MAX] = 'x';
    text[6 + SMTP_PARAM_ENVID_MAX + 1] = '\0';
    assert_non_null(parse_mail(text, &e, &size));

    memset(text, 'x', sizeof(text));
    memcpy(text, "ORCPT=rfc822;", 13);
    text[6 + SMTP_PARAM_ORCPT_MAX] = '\0';
    assert_null(smtp_param_rcpt(slice_of(text), false, &r));
    free(r.orcpt);
    text[6 + SMTP_PARAM_ORCPT_MAX] = 'x';
    text[6 + SMTP_PARAM_ORCPT_MAX + 1] = '\0';
    assert_non_null(smtp_param_rcpt(slice_of(text), false, &r));
}

/* RFC 8689 section 4.1 */
static void
requiretls_is_taken_only_inside_tls_and_where_offered(void **state)
{
    static const struct {
        struct smtp_param_session session;
        const char *params, *reply;
    } cases[] = {
        {{.is_tls = false}, "REQUIRETLS", "555 5.5.4"},
        {{.is_tls = true}, "REQUIRETLS", "555 5.5.4"},
        {{.offers_requiretls = true}, "REQUIRETLS", "530 5.7.0"},
        {{.is_tls = true, .offers_requiretls = true}, "REQUIRETLS", NULL},
        {{.is_tls = true, .offers_requiretls = true},
         "REQUIRETLS=no",
         "501 5.5.4"},
        {{.is_tls = true, .offers_requiretls = true},
         "REQUIRETLS REQUIRETLS",
         "501 5.5.4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_envelope e = {0};
        uint64_t size;
        const char *reply = smtp_param_mail(slice_of(cases[i].params),
                                            &cases[i].session, &e, &size);

        assert_int_equal(reply == NULL, cases[i].reply == NULL);
        if (reply)
            assert_memory_equal(reply, cases[i].reply, 9);
        else
            assert_true(e.requiretls);
    }
}

static void
rcpt_parameters_end_in_the_recipient(void **state)
{
    static const struct {
        const char *params;
        bool utf8;
        unsigned notify;
        const char *orcpt;
    } cases[] = {
        {"", false, 0, NULL},
        {"NOTIFY=NEVER", false, MAIL_NOTIFY_NEVER, NULL},
        {"notify=success,Failure", false,
         MAIL_NOTIFY_SUCCESS | MAIL_NOTIFY_FAILURE, NULL},
        {"NOTIFY=DELAY ORCPT=rfc822;a+2Bb@c", false, MAIL_NOTIFY_DELAY,
         "rfc822;a+b@c"},
        {"ORCPT=utf-8;\\x{FC}@c.example", false, 0, "utf-8;\xc3\xbc@c.example"},
        {"ORCPT=utf-8;\xc3\xbc@c.example", true, 0, "utf-8;\xc3\xbc@c.example"},
        {"ORCPT=x400;a;b", false, 0, "x400;a;b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_rcpt r = {0};
        const char *reply =
            smtp_param_rcpt(slice_of(cases[i].params), cases[i].utf8, &r);

        if (reply)
            fail_msg("%s: %s", cases[i].params, reply);
        assert_int_equal(r.notify, cases[i].notify);
        assert_int_equal(r.orcpt == NULL, cases[i].orcpt == NULL);
        if (r.orcpt)
            assert_string_equal(r.orcpt, cases[i].orcpt);
        free(r.orcpt);
    }
}

static void
what_rcpt_does_not_understand_it_refuses(void **state)
{
    static const struct {
        const char *params, *reply;
    } cases[] = {
        {"NOTIFY", "501 5.5.4"},
        {"NOTIFY=", "501 5.5.4"},
        {"NOTIFY=,", "501 5.5.4"},
        {"NOTIFY=SUCCESS,", "501 5.5.4"},
        {"NOTIFY=,SUCCESS", "501 5.5.4"},
        {"NOTIFY=MAYBE", "501 5.5.4"},
        {"NOTIFY=NEVER,SUCCESS", "501 5.5.4"},
        {"NOTIFY=SUCCESS,NEVER", "501 5.5.4"},
        {"NOTIFY=SUCCESS NOTIFY=DELAY", "501 5.5.4"},
        {"ORCPT=", "501 5.5.4"},
        {"ORCPT=rfc822", "501 5.5.4"},
        {"ORCPT=rfc822;", "501 5.5.4"},
        {"ORCPT=;a@b", "501 5.5.4"},
        {"ORCPT=rfc822;+0A", "501 5.5.4"},
        {"ORCPT=rfc822;a=b", "501 5.5.4"},
        {"ORCPT=rfc822;a ORCPT=rfc822;a", "501 5.5.4"},
        {"ORCPT=utf-8;\xc3\xbc@c.example", "501 5.5.4"},
        {"ORCPT=r/c;a", "501 5.5.4"},
        {"SIZE=1", "555 5.5.4"},
        {"REQUIRETLS", "555 5.5.4"},
        {"X", "555 5.5.4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_rcpt r = {0};
        const char *reply =
            smtp_param_rcpt(slice_of(cases[i].params), false, &r);

        if (!reply || strncmp(reply, cases[i].reply, 9) != 0)
            fail_msg("%s: %s", cases[i].params, reply ? reply : "accepted");
        free(r.orcpt);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_parameters_end_in_the_envelope),
        cmocka_unit_test(what_mail_does_not_understand_it_refuses),
        cmocka_unit_test(lengths_of_dsn_values_are_limited),
        cmocka_unit_test(requiretls_is_taken_only_inside_tls_and_where_offered),
        cmocka_unit_test(rcpt_parameters_end_in_the_recipient),
        cmocka_unit_test(what_rcpt_does_not_understand_it_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
