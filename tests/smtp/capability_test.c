#include "smtp/capability.h"

#include "relay/base/buf.h"
#include "relay/base/own.h"
#include "smtp/sasl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *text;
    struct smtp_capability is;
} cases[] = {
    {"", {.name = ""}},
    {"mx", {.name = "mx"}},
    {"mx.example.net at your service", {.name = "mx.example.net"}},
    {"mx\nSTARTTLS\nPIPELINING\n8BITMIME\nSMTPUTF8\nDSN\nCHUNKING\n"
     "REQUIRETLS\nENHANCEDSTATUSCODES\nSIZE 1000",
     {.name = "mx",
      .starttls = true,
      .pipelining = true,
      .eightbitmime = true,
      .smtputf8 = true,
      .dsn = true,
      .chunking = true,
      .requiretls = true,
      .enhanced_codes = true,
      .size = true,
      .size_max = 1000}},
    {"mx\npipelining\nSize 7", /* RFC 5321 section 2.4: in any case */
     {.name = "mx", .pipelining = true, .size = true, .size_max = 7}},
    {"mx\nPIPELINING \nSIZE  7 ",
     {.name = "mx", .pipelining = true, .size = true, .size_max = 7}},
    /* the first line is the greeting: no keyword */
    {"PIPELINING", {.name = "PIPELINING"}},
    {"mx SIZE 5\nDSN", {.name = "mx", .dsn = true}},
    {"\nDSN", {.name = "", .dsn = true}},
    {"mx\n\n\nDSN\n", {.name = "mx", .dsn = true}},

    /* RFC 1870 section 3 */
    {"mx\nSIZE", {.name = "mx", .size = true}},
    {"mx\nSIZE 0", {.name = "mx", .size = true}},
    {"mx\nSIZE 18446744073709551615",
     {.name = "mx", .size = true, .size_max = UINT64_MAX}},
    {"mx\nSIZE 18446744073709551616", {.name = "mx", .size = true}},
    {"mx\nSIZE 99999999999999999999", {.name = "mx", .size = true}},
    {"mx\nSIZE -1", {.name = "mx"}},
    {"mx\nSIZE +1", {.name = "mx"}},
    {"mx\nSIZE 1 OR 1=1", {.name = "mx"}},
    {"mx\nSIZE 0x10", {.name = "mx"}},
    {"mx\nSIZE 1k", {.name = "mx"}},
    {"mx\nSIZE=1000", {.name = "mx"}},
    {"mx\nSIZE 10\nSIZE junk", {.name = "mx", .size = true, .size_max = 10}},

    /* RFC 4954 section 3 */
    {"mx\nAUTH", {.name = "mx", .has_auth = true}},
    {"mx\nAUTH GSSAPI NTLM", {.name = "mx", .has_auth = true}},
    {"mx\nauth plain  LOGIN x\nAUTH SCRAM-SHA-256",
     {.name = "mx",
      .has_auth = true,
      .auth = SMTP_SASL_BIT(SMTP_SASL_PLAIN) | SMTP_SASL_BIT(SMTP_SASL_LOGIN) |
              SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256)}},
    {"mx\nAUTH=LOGIN XOAUTH2 OAUTHBEARER",
     {.name = "mx",
      .has_auth = true,
      .auth = SMTP_SASL_BIT(SMTP_SASL_LOGIN) |
              SMTP_SASL_BIT(SMTP_SASL_XOAUTH2) |
              SMTP_SASL_BIT(SMTP_SASL_OAUTHBEARER)}},
    {"mx\nAUTHPLAIN\nXAUTH PLAIN", {.name = "mx"}},
    {"mx\nAUTH PLAIN-CLIENTTOKEN SCRAM-SHA-256-PLUS",
     {.name = "mx", .has_auth = true}},

    /* RFC 9422 section 4 */
    {"mx\nLIMITS", {.name = "mx"}},
    {"mx\nLIMITS RCPTMAX=20", {.name = "mx", .rcpt_max = 20}},
    {"mx\nlimits mailmax=1 rcptmax=2 rcptdomainmax=3 other=4",
     {.name = "mx", .mail_max = 1, .rcpt_max = 2, .rcpt_domain_max = 3}},
    {"mx\nLIMITS  MAILMAX=5   RCPTMAX=0",
     {.name = "mx", .mail_max = 5, .rcpt_max = 0}},
    {"mx\nLIMITS MAILMAX=999999", {.name = "mx", .mail_max = 999999}},
    {"mx\nLIMITS MAILMAX=1000000", {.name = "mx"}},
    {"mx\nLIMITS MAILMAX=-1 RCPTMAX=x RCPTDOMAINMAX=", {.name = "mx"}},
    {"mx\nLIMITS MAILMAX RCPTMAX= =5", {.name = "mx"}},

    /* parameters where there are none */
    {"mx\nPIPELINING yes\nCHUNKING 1\nDSN x\n8BITMIME x\nREQUIRETLS x",
     {.name = "mx"}},
    {"mx\nSTARTTLS now", {.name = "mx", .starttls = true}},
    {"mx\nSTARTTLS\nSTARTTLS", {.name = "mx", .starttls = true}},
    {"mx\nSMTPUTF8 x", {.name = "mx", .smtputf8 = true}},

    /* near misses */
    {"mx\nXPIPELINING\nPIPELININGX\nSTART TLS\nSTARTTLS-\n8BIT",
     {.name = "mx"}},
    {"mx\n\tDSN", {.name = "mx", .dsn = true}},
    {"m\x1b\x9b\tx", {.name = "m???x"}},
};

static void
takes_what_is_offered_and_passes_over_the_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct smtp_capability *is = &cases[i].is;
        struct smtp_capability got;

        memset(&got, 0xff, sizeof(got));
        smtp_capability_parse(slice_of(cases[i].text), &got);
        assert_string_equal(got.name, is->name);
        assert_int_equal(got.starttls, is->starttls);
        assert_int_equal(got.pipelining, is->pipelining);
        assert_int_equal(got.eightbitmime, is->eightbitmime);
        assert_int_equal(got.smtputf8, is->smtputf8);
        assert_int_equal(got.dsn, is->dsn);
        assert_int_equal(got.chunking, is->chunking);
        assert_int_equal(got.requiretls, is->requiretls);
        assert_int_equal(got.enhanced_codes, is->enhanced_codes);
        assert_int_equal(got.size, is->size);
        assert_true(got.size_max == is->size_max);
        assert_int_equal(got.has_auth, is->has_auth);
        assert_int_equal(got.auth, is->auth);
        assert_int_equal(got.mail_max, is->mail_max);
        assert_int_equal(got.rcpt_max, is->rcpt_max);
        assert_int_equal(got.rcpt_domain_max, is->rcpt_domain_max);
    }
}

static void
a_long_name_is_cut(void **state)
{
    scoped(buf_free) struct buf b = {0};
    struct smtp_capability got;

    (void)state;
    memset(buf_room(&b, 5000), 'a', 5000);
    b.len += 5000;
    buf_add_text(&b, "\nDSN");
    smtp_capability_parse(buf_slice(&b), &got);
    assert_int_equal(strlen(got.name), sizeof(got.name) - 1);
    assert_true(got.dsn);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_offered_and_passes_over_the_rest),
        cmocka_unit_test(a_long_name_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
