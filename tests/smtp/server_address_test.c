/* What MAIL and RCPT accept, and what they say to the rest. */
#include "tests/smtp/server_dialog.h"

#define SENDER_OK(path, text)                                                  \
    SAYS("MAIL FROM:" path "\r\n", "! mail " text "\n250 2.1.0 yes\n")
#define RCPT_OK(path, text)                                                    \
    SAYS("RCPT TO:" path "\r\n", "! rcpt " text "\n250 2.1.0 yes\n")

/* The codes that refuse `line` in state READY, or behind MAIL for RCPT. */
static void
check_refused(const char *before, const char *line, const char *codes)
{
    static const struct dialog d = {.config = {0}};
    struct play p = {.d = &d, .s = new_server(&d.config)};
    const struct mail_envelope *e;
    size_t rcpts;

    ehlo_reply(p.s);
    buf_clear(smtp_server_output(p.s));
    hear(&p, slice_of(before));
    e = smtp_server_envelope(p.s);
    rcpts = e->rcpt_count;
    buf_clear(&p.log);
    hear(&p, slice_of(line));
    hear(&p, slice_of("\r\n"));
    if (strncmp(buf_text(&p.log), codes, strlen(codes)) != 0)
        fail_msg("%s: %s", line, buf_text(&p.log));
    assert_int_equal(smtp_server_envelope(p.s)->rcpt_count, rcpts);
    if (!before[0])
        assert_null(smtp_server_envelope(p.s)->from);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

#define TO_MAIL ""
#define TO_RCPT "MAIL FROM:<a@b.example>\r\n"

/* A statement, a shell and an option are only letters here. */
static void
addresses_are_text_and_nothing_more(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SENDER_OK("<\"x'/**/UNION/**/SELECT/**/X'00'--\"@a.example>",
                      "\"x'/**/UNION/**/SELECT/**/X'00'--\"@a.example"),
            RCPT_OK("<${run{/bin/id}}@x.example>", "${run{/bin/id}}@x.example"),
            RCPT_OK("<|id@x.example>", "|id@x.example"),
            RCPT_OK("<`id`@x.example>", "`id`@x.example")});
    DIALOG({EHLO, MAIL, RCPT_OK("<-oQ/tmp/x@y.example>", "-oQ/tmp/x@y.example"),
            RCPT_OK("<\"a\\\"b\"@x.example>", "\"a\\\"b\"@x.example"),
            RCPT_OK("<\"a@b\"@c.example>", "\"a@b\"@c.example")});
    DIALOG({EHLO, MAIL, RCPT_OK("<a%b@c.example>", "a%b@c.example"),
            RCPT_OK("<a!b@c.example>", "a!b@c.example"),
            RCPT_OK("<@a.example,@b.example:c@d.example>", "c@d.example")});
    DIALOG({EHLO, MAIL, RCPT_OK("<a@x.example.>", "a@x.example"),
            RCPT_OK("<a@[192.0.2.1]>", "a@[192.0.2.1]"),
            RCPT_OK("<a@X.EXAMPLE>", "a@x.example")});
}

static void
no_line_end_gets_into_an_address(void **state)
{
    (void)state;
    DIALOG({EHLO, SAYS("MAIL FROM:<\"a\r\nRCPT TO:<v@w.example>\"@x>\r\n",
                       "501 5.5.4 the address has no closing bracket\n"
                       "503 5.5.1 MAIL first\n")});
    DIALOG({EHLO, SAYS("MAIL FROM:<\"a\nb\"@x.example>\r\n",
                       "! over bare CR or LF in a command\n"
                       "500 5.5.2 Lines end in CRLF\n")});
}

static void
what_is_no_address_is_refused(void **state)
{
    static const char *const paths[] = {
        "<a@b@c.example>",
        "<a@localhost>",
        "<a@.>",
        "<a@x..y>",
        "<@x.example>",
        "<a@>",
        "<a@-x.example>",
        "<a@*.x.example>",
        "<a>",
        "<;id;@x.example>",
        "<\"a\\\"@x.example>",
        "<\"a@x.example>",
        "a@x.example",
        "<a@x.example",
        "<a@x.example>SIZE=1",
        "<a b@x.example>",
        "<@a:>",
        "< >",
        "<a@[192.0.2.999]>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char *mail = mem_printf("MAIL FROM:%s", paths[i]);
        char *rcpt = mem_printf("RCPT TO:%s", paths[i]);

        check_refused(TO_MAIL, mail, "501 5.");
        check_refused(TO_RCPT, rcpt, "501 5.");
        free(mail);
        free(rcpt);
    }
    check_refused(TO_MAIL, "MAIL", "501 5.5.4");
    check_refused(TO_MAIL, "MAIL TO:<a@b.example>", "501 5.5.4");
    check_refused(TO_RCPT, "RCPT", "501 5.5.4");
    check_refused(TO_RCPT, "RCPT FROM:<a@b.example>", "501 5.5.4");
}

static void
empty_paths_and_postmaster_have_their_places(void **state)
{
    (void)state;
    DIALOG({EHLO, SENDER_OK("<>", ""),
            SAYS("RCPT TO:<>\r\n", "501 5.1.3 A recipient can't be empty\n"),
            RCPT_OK("<PostMaster>", "postmaster@mx.example")});
    check_refused(TO_MAIL, "MAIL FROM:<postmaster>", "501 5.1.7");
    DIALOG({EHLO, SENDER_OK("<postmaster@b.example>", "postmaster@b.example")});
}

static char *
address_with(size_t local, size_t labels, size_t label_len)
{
    struct buf b = {0};
    char *text;

    buf_add_text(&b, "RCPT TO:<");
    for (size_t i = 0; i < local; i++)
        buf_add_byte(&b, 'l');
    buf_add_byte(&b, '@');
    for (size_t i = 0; i < labels; i++) {
        for (size_t j = 0; j < label_len; j++)
            buf_add_byte(&b, 'd');
        buf_add_text(&b, i + 1 < labels ? "." : ">\r\n");
    }
    text = mem_copy(buf_slice(&b));
    buf_free(&b);
    return text;
}

/* RFC 5321 section 4.5.3.1, RFC 1035 section 2.3.4 */
static void
lengths_are_taken_up_to_the_limit(void **state)
{
    static const struct {
        size_t local, labels, label_len;
        bool is_ok;
    } cases[] = {
        {64, 2, 3, true},   {65, 2, 3, false},  {1000, 2, 3, false},
        {1, 2, 63, true},   {1, 2, 64, false},  {1, 127, 1, true},
        {1, 128, 1, false}, {1, 2, 126, false}, {64, 4, 62, true},
    };
    static const struct dialog d = {.config = {0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play p = {.d = &d, .s = new_server(&d.config)};
        char *line =
            address_with(cases[i].local, cases[i].labels, cases[i].label_len);

        ehlo_reply(p.s);
        hear(&p, slice_of(TO_RCPT));
        hear(&p, slice_of(line));
        if (smtp_server_envelope(p.s)->rcpt_count != cases[i].is_ok)
            fail_msg("%s", line);
        free(line);
        buf_free(&p.log);
        smtp_server_free(&p.s);
    }
}

/* RFC 6531 section 3.5 */
static void
utf8_wants_smtputf8(void **state)
{
    (void)state;
    check_refused(TO_MAIL, "MAIL FROM:<\xc3\xbc@x.example>", "553 5.6.7");
    check_refused(TO_RCPT, "RCPT TO:<\xc3\xbc@x.example>", "553 5.6.7");
    check_refused(TO_RCPT, "RCPT TO:<a@\xe2\x93\x94xample.com>", "553 5.6.7");
    DIALOG({EHLO,
            SAYS("MAIL FROM:<\xc3\xbc@x.example> SMTPUTF8\r\n",
                 "! mail \xc3\xbc@x.example\n250 2.1.0 yes\n"),
            RCPT_OK("<\xc3\xa4@x.example>", "\xc3\xa4@x.example"),
            SAYS("RSET\r\n", "250 2.0.0 OK\n"), MAIL,
            SAYS("RCPT TO:<\xc3\xa4@x.example>\r\n",
                 "553 5.6.7 The recipient wants SMTPUTF8\n")});
}

static void
utf8_must_be_well_formed_all_the_same(void **state)
{
    static const char *const locals[] = {
        "\xff",         "\xc3",         "\xc0\xaf",
        "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\x80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
        char *line = mem_printf("MAIL FROM:<%s@x.example> SMTPUTF8", locals[i]);

        check_refused(TO_MAIL, line, "501 5.1.7");
        free(line);
    }
    check_refused(TO_MAIL, "MAIL FROM:<a@xn--\xc3\xbc.example> SMTPUTF8",
                  "501 5.1.7");
}

static void
parameters_are_understood_or_refused(void **state)
{
    (void)state;
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> SIZE=", "501 5.5.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> SIZE=-1", "501 5.5.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> SIZE=100001", "552 5.3.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> SIZE=1 SIZE=1",
                  "501 5.5.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> BODY=BINARYMIME",
                  "555 5.5.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> FOO=1", "555 5.5.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> RET=X", "501 5.5.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> AUTH=<>", "555 5.5.4");
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> ENVID=a RET=X",
                  "501 5.5.4");
    check_refused(TO_RCPT, "RCPT TO:<a@b.example> NOTIFY=NEVER,SUCCESS",
                  "501 5.5.4");
    check_refused(TO_RCPT, "RCPT TO:<a@b.example> ORCPT=rfc822;a NOTIFY=X",
                  "501 5.5.4");
    DIALOG({EHLO, SAYS("MAIL FROM:<a@b.example> SIZE=100000 BODY=8BITMIME\r\n",
                       "! mail a@b.example 100000\n250 2.1.0 yes\n")});
}

/* RFC 8689 section 4.1 */
static void
requiretls_is_never_half_taken(void **state)
{
    (void)state;
    check_refused(TO_MAIL, "MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4");
    DIALOG({EHLO, SAYS("MAIL FROM:<a@b.example> REQUIRETLS\r\n",
                       "555 5.5.4 REQUIRETLS is not offered\n")},
           .config = {.is_tls = true});
    DIALOG({EHLO, SAYS("MAIL FROM:<a@b.example> REQUIRETLS\r\n",
                       "530 5.7.0 REQUIRETLS wants STARTTLS first\n")},
           .config = {.offer_requiretls = true});
    DIALOG({EHLO,
            SAYS("MAIL FROM:<a@b.example> REQUIRETLS=1\r\n",
                 "501 5.5.4 The parameter takes no value\n"),
            SAYS("MAIL FROM:<a@b.example> REQUIRETLS REQUIRETLS\r\n",
                 "501 5.5.4 The same parameter twice\n"),
            SAYS("MAIL FROM:<a@b.example> REQUIRETLS\r\n",
                 "! mail a@b.example\n250 2.1.0 yes\n")},
           .config = {.is_tls = true, .offer_requiretls = true});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_text_and_nothing_more),
        cmocka_unit_test(no_line_end_gets_into_an_address),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(empty_paths_and_postmaster_have_their_places),
        cmocka_unit_test(lengths_are_taken_up_to_the_limit),
        cmocka_unit_test(utf8_wants_smtputf8),
        cmocka_unit_test(utf8_must_be_well_formed_all_the_same),
        cmocka_unit_test(parameters_are_understood_or_refused),
        cmocka_unit_test(requiretls_is_never_half_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
