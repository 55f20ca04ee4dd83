/* Commands and states; limits, time and shutting are in server_limits_test.c,
 * bodies in server_body_test.c, addresses in server_address_test.c. */
#include "tests/smtp/server_dialog.h"

#define NOT_READY(command) SAYS(command "\r\n", "503 5.5.1 EHLO first\n")

static void
a_message_goes_through(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, DATA,
            SAYS("Subject: x\r\n\r\nhi\r\n.\r\n",
                 "! end Subject: x||hi|\n250 2.0.0 queued\n"),
            MAIL, QUIT});
}

/* RFC 2920 section 3.1 */
static void
commands_may_come_in_one_flight(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("MAIL FROM:<a@b.example>\r\nRCPT TO:<no@d.example>\r\n"
                 "RCPT TO:<c@d.example>\r\nDATA\r\n",
                 "! mail a@b.example\n250 2.1.0 yes\n"
                 "! rcpt no@d.example\n550 5.7.1 no\n"
                 "! rcpt c@d.example\n250 2.1.0 yes\n"
                 "! data\n354 End with CRLF.CRLF\n"),
            SAYS("x\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nQUIT\r\n",
                 "! end x|\n250 2.0.0 queued\n"
                 "250 2.0.0 OK\n"
                 "! mail \n250 2.1.0 yes\n"
                 "! over quit\n221 2.0.0 Bye\n")});
}

static void
helo_gets_one_line_and_no_extensions(void **state)
{
    (void)state;
    DIALOG({SAYS("HELO c.example\r\n", "250 mx.example\n"),
            SAYS("MAIL FROM:<a@b.example> SIZE=1\r\n",
                 "555 5.5.4 Parameters want EHLO\n"),
            MAIL,
            SAYS("RCPT TO:<c@d.example> NOTIFY=NEVER\r\n",
                 "555 5.5.4 Parameters want EHLO\n"),
            RCPT, DATA, SAYS("x\r\n.\r\n", "! end x|\n250 2.0.0 queued\n"),
            QUIT});
}

static void
ehlo_offers_what_there_is(void **state)
{
    static const struct smtp_server_config configs[] = {
        {.size_max = 5, .offer_starttls = true, .offer_requiretls = true},
        {.size_max = 5, .is_tls = true, .offer_starttls = true},
        {.size_max = 5, .is_tls = true, .offer_requiretls = true},
        {.size_max = 5, .is_private = true, .offer_requiretls = true},
        {.size_max = 5, .is_private = true},
    };
    static const char *const extra[] = {
        "250-STARTTLS\r\n", "", "250-REQUIRETLS\r\n", "250-REQUIRETLS\r\n", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        struct smtp_server *s = new_server(&configs[i]);
        char *want = mem_printf("250-mx.example\r\n250-PIPELINING\r\n"
                                "250-SIZE 5\r\n250-8BITMIME\r\n"
                                "250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
                                "250-DSN\r\n%s250 CHUNKING\r\n",
                                extra[i]);

        assert_string_equal(ehlo_reply(s), want);
        assert_true(smtp_server_is_esmtp(s));
        free(want);
        smtp_server_free(&s);
    }
}

static void
a_client_may_be_sent_away_at_the_door(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    struct smtp_server_event ev;
    struct mail_status status;

    (void)state;
    mail_status_set(&status, 421, "4.7.0", "Too many connections");
    smtp_server_greet(s, &status);
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_OVER);
    assert_string_equal(buf_text(smtp_server_output(s)),
                        "421 4.7.0 Too many connections\r\n");
    assert_int_equal(smtp_server_feed(s, slice_of("QUIT\r\n")), 0);
    smtp_server_free(&s);
}

static void
verbs_have_no_case_and_bear_trailing_spaces(void **state)
{
    (void)state;
    DIALOG({SAYS("ehlo c.example \r\n", "250 CHUNKING\n"),
            SAYS("mail from: <a@b.example> \r\n",
                 "! mail a@b.example\n250 2.1.0 yes\n"),
            SAYS("Rcpt  To:<c@d.example>\r\n",
                 "! rcpt c@d.example\n250 2.1.0 yes\n"),
            SAYS("rset \r\n", "250 2.0.0 OK\n"),
            SAYS("quit \r\n", "! over quit\n221 2.0.0 Bye\n")});
}

static void
what_is_no_command_is_said_to_be_none(void **state)
{
    (void)state;
    DIALOG(
        {EHLO, SAYS("\r\n", "500 5.5.1 Unknown command\n"),
         SAYS("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
              "500 5.5.1 Unknown command\n"),
         SAYS("XCLIENT ADDR=127.0.0.1\r\n", "500 5.5.1 Unknown command\n"),
         SAYS("XFORWARD ADDR=127.0.0.1\r\n", "500 5.5.1 Unknown command\n"),
         SAYS("MAILFROM:<a@b.example>\r\n", "500 5.5.1 Unknown command\n"),
         SAYS("TURN\r\n", "500 5.5.1 Unknown command\n"),
         SAYS("EXPN all\r\n", "502 5.5.1 There are no lists here\n"),
         SAYS("VRFY c\r\n", "252 2.1.5 Send mail to find out\n"),
         SAYS("VRFY\r\n", "501 5.5.4 VRFY wants an address\n"),
         SAYS("HELP\r\n", "214 2.0.0 RFC 5321 has it all\n"),
         SAYS("NOOP whatever\r\n", "250 2.0.0 OK\n"),
         SAYS("EHLO\r\n", "501 5.5.4 EHLO wants your host name\n"),
         SAYS("HELO \r\n", "501 5.5.4 HELO wants your host name\n"),
         SAYS("RSET now\r\n", "501 5.5.4 The command takes no arguments\n")});
}

static void
the_name_of_the_client_is_kept_but_not_believed(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});

    (void)state;
    ehlo_reply(s);
    assert_string_equal(smtp_server_helo(s), "c");
    smtp_server_feed(s, slice_of("EHLO [127.0.0.1]\r\n"));
    assert_string_equal(smtp_server_helo(s), "[127.0.0.1]");
    smtp_server_feed(s, slice_of("EHLO a b\xc3\xbc,c\r\n"));
    assert_string_equal(smtp_server_helo(s), "a?b?"
                                             "?,c");
    smtp_server_feed(s, slice_of("EHLO mx.example\r\n"));
    assert_string_equal(smtp_server_helo(s), "mx.example");
    smtp_server_free(&s);
}

/* A command line that isn't one: what follows can't be trusted. */
static void
lines_that_end_in_anything_else_end_the_session(void **state)
{
    (void)state;
    DIALOG({EHLO, SAYS("NOOP\nQUIT\r\n", "! over bare CR or LF in a command\n"
                                         "500 5.5.2 Lines end in CRLF\n")});
    DIALOG(
        {EHLO, SAYS("NO\rOP\r\nQUIT\r\n", "! over bare CR or LF in a command\n"
                                          "500 5.5.2 Lines end in CRLF\n")});
    DIALOG(
        {EHLO,
         SAYS("MAIL FROM:<a\0@b.example>\r\n",
              "501 5.5.2 Control character in the command\n"),
         SAYS("NOOP\tx\r\n", "501 5.5.2 Control character in the command\n")});
}

static void
what_does_not_start_like_smtp_is_sent_away(void **state)
{
    (void)state;
    DIALOG({SAYS("POST / HTTP/1.1\r\nHost: h\r\n\r\nMAIL FROM:<a@b>\r\n",
                 "! over HTTP\n554 5.5.1 This is SMTP\n")});
    DIALOG(
        {SAYS("GET / HTTP/1.1\r\n", "! over HTTP\n554 5.5.1 This is SMTP\n")});
    DIALOG({SAYS("CONNECT mx:25 HTTP/1.1\r\n",
                 "! over HTTP\n554 5.5.1 This is SMTP\n")});
    DIALOG({EHLO, SAYS("PUT / HTTP/1.1\r\n",
                       "! over HTTP\n554 5.5.1 This is SMTP\n")});
    DIALOG({SAYS("\x16\x03\x01", "! over no SMTP\n554 5.5.1 This is SMTP\n")});
    DIALOG(
        {SAYS("\r\nEHLO x\r\n", "! over no SMTP\n554 5.5.1 This is SMTP\n")});
    DIALOG({EHLO, SAYS(" NOOP\r\n", "500 5.5.1 Unknown command\n")});
}

/* RFC 2920 section 3.1; the cut that makes it right makes it another dialog. */
static void
nothing_may_follow_what_ends_a_group(void **state)
{
    static const char wait[] = "! over pipelining where it is not allowed\n"
                               "503 5.5.0 Wait for the reply first\n";

    (void)state;
    DIALOG({SAYS("EHLO x\r\nMAIL FROM:<a@b.example>\r\n", wait)},
           .is_rude = true);
    DIALOG({SAYS("HELO x\r\nMAIL FROM:<a@b.example>\r\n", wait)},
           .is_rude = true);
    DIALOG({EHLO, MAIL, RCPT, SAYS("DATA\r\nSubject: x\r\n", wait)},
           .is_rude = true);
    DIALOG({EHLO, SAYS("DATA\r\nRSET\r\n", wait)}, .is_rude = true);
}

static void
a_body_that_comes_before_354_ends_the_session(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    struct mail_status yes;
    struct smtp_server_event ev;

    (void)state;
    mail_status_set(&yes, 250, "2.0.0", "yes");
    ehlo_reply(s);
    smtp_server_feed(s, slice_of("MAIL FROM:<a@b.example>\r\n"));
    assert_true(smtp_server_next(s, &ev));
    smtp_server_answer(s, &yes);
    smtp_server_feed(s, slice_of("RCPT TO:<c@d.example>\r\n"));
    assert_true(smtp_server_next(s, &ev));
    smtp_server_answer(s, &yes);
    smtp_server_feed(s, slice_of("DATA\r\n"));
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(smtp_server_feed(s, slice_of("x")), 0);
    buf_clear(smtp_server_output(s));
    smtp_server_answer(s, &yes);
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_DROP);
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_OVER);
    assert_string_equal(buf_text(smtp_server_output(s)),
                        "503 5.5.0 Wait for the reply first\r\n");
    smtp_server_free(&s);
}

/* RFC 3207 section 4.2 */
static void
starttls_forgets_what_was_said_in_clear(void **state)
{
    (void)state;
    DIALOG({EHLO, SAYS("STARTTLS\r\n", "! start-tls\n220 2.0.0 Go ahead\n"),
            NOT_READY("MAIL FROM:<a@b.example>"),
            NOT_READY("RCPT TO:<c@d.example>"), EHLO,
            SAYS("RCPT TO:<c@d.example>\r\n", "503 5.5.1 MAIL first\n"),
            SAYS("STARTTLS\r\n", "503 5.5.1 TLS is there already\n"), MAIL},
           .config = {.offer_starttls = true});
    DIALOG({EHLO, SAYS("STARTTLS\r\n", "! start-tls\n220 2.0.0 Go ahead\n"),
            SAYS("BDAT 5\r\n", "! over BDAT without EHLO\n"
                               "502 5.5.1 CHUNKING wants EHLO\n")},
           .config = {.offer_starttls = true});
}

static void
starttls_is_refused_where_it_makes_no_sense(void **state)
{
    (void)state;
    DIALOG(
        {NOT_READY("STARTTLS"), EHLO,
         SAYS("STARTTLS x\r\n", "501 5.5.4 The command takes no arguments\n"),
         MAIL, SAYS("STARTTLS\r\n", "503 5.5.1 A message is under way\n"), RCPT,
         SAYS("STARTTLS\r\n", "503 5.5.1 A message is under way\n"), DATA},
        .config = {.offer_starttls = true});
    DIALOG({EHLO, SAYS("STARTTLS\r\n", "502 5.5.1 STARTTLS is not offered\n"),
            MAIL});
    DIALOG({EHLO, SAYS("STARTTLS\r\n", "503 5.5.1 TLS is there already\n")},
           .config = {.offer_starttls = true, .is_tls = true});
}

static void
octets_behind_starttls_are_never_carried_out(void **state)
{
    static const char over[] = "! over octets behind STARTTLS\n"
                               "554 5.5.1 Octets behind STARTTLS\n";

    (void)state;
    DIALOG({EHLO, SAYS("STARTTLS\r\nEHLO evil\r\n", over)},
           .config = {.offer_starttls = true}, .is_rude = true);
    DIALOG({EHLO, SAYS("STARTTLS\r\nNOOP\r\n", over)},
           .config = {.offer_starttls = true}, .is_rude = true);
    DIALOG({EHLO, SAYS("STARTTLS\r\n\x16\x03\x01", over)},
           .config = {.offer_starttls = true}, .is_rude = true);
    DIALOG({EHLO, SAYS("STARTTLS\r\nEHLO evil\r\n", over)}, .is_rude = true);
}

static void
octets_fed_before_the_handshake_end_the_session(void **state)
{
    struct smtp_server *s =
        new_server(&(struct smtp_server_config){.offer_starttls = true});
    struct smtp_server_event ev;

    (void)state;
    ehlo_reply(s);
    smtp_server_feed(s, slice_of("STARTTLS\r\n"));
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_START_TLS);
    assert_int_equal(smtp_server_wait_ms(s), 30 * 1000);
    assert_int_equal(smtp_server_feed(s, slice_of("EHLO evil\r\n")), 0);
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_OVER);
    smtp_server_tls_up(s);
    assert_false(smtp_server_is_tls(s));
    assert_int_equal(smtp_server_feed(s, slice_of("EHLO evil\r\n")), 0);
    smtp_server_free(&s);
}

static void
mail_in_clear_is_refused_where_tls_is_a_must(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("MAIL FROM:<a@b.example>\r\n",
                 "530 5.7.0 No mail in clear: turn on STARTTLS\n"),
            SAYS("STARTTLS\r\n", "! start-tls\n220 2.0.0 Go ahead\n"), EHLO,
            MAIL},
           .config = {.offer_starttls = true, .require_tls = true});
}

/* What each command leads to from each state: N(ew), R(eady), M(ail), rC(pt),
 * B(dat); 'x' is a refusal that changes nothing. */
static const struct {
    const char *line, *next;
} moves[] = {
    {"EHLO c\r\n", "RRRRR"},
    {"HELO c\r\n", "RRRRR"},
    {"MAIL FROM:<a@b.example>\r\n", "xMxxx"},
    {"MAIL FROM:<no@b.example>\r\n", "xxxxx"},
    {"RCPT TO:<a@b.example>\r\n", "xxCCx"},
    {"RCPT TO:<no@b.example>\r\n", "xxxxx"},
    {"DATA\r\n", "xxxDR"},      /* D: C, but in the body */
    {"BDAT 2\r\nx\n", "xxxRR"}, /* a bare LF spoils it */
    {"BDAT 3\r\nx\r\n", "xxxBB"},
    {"BDAT 3 LAST\r\nx\r\n", "xxxRR"},
    {"RSET\r\n", "NRRRR"},
    {"NOOP\r\n", "NRMCB"},
    {"VRFY \xc3\xbc@x\r\n", "NRMCB"},
    {"HELP\r\n", "NRMCB"},
    {"EXPN x\r\n", "xxxxx"},
    {"STARTTLS\r\n", "xNxxx"},
    {"WHAT\r\n", "xxxxx"},
};

enum { MOVES = sizeof(moves) / sizeof(moves[0]) };

static char
state_of(const struct smtp_server *s)
{
    const struct mail_envelope *e = smtp_server_envelope(s);

    if (smtp_server_is_in_body(s))
        return 'B';
    if (e->rcpt_count > 0)
        return 'C';
    if (e->from)
        return 'M';
    assert_true(smtp_server_is_idle(s));
    return smtp_server_helo(s)[0] ? 'R' : 'N';
}

static void
make_move(struct play *p, size_t which)
{
    static const char states[] = "NRMCB";
    char before = state_of(p->s), after;
    const char *line = moves[which].line;
    bool may_bdat = smtp_server_is_esmtp(p->s);

    after = moves[which].next[strchr(states, before) - states];
    if (strncmp(line, "STARTTLS", 8) == 0 && smtp_server_is_tls(p->s))
        after = 'x';
    hear(p, slice_of(line));
    if (strncmp(line, "BDAT", 4) == 0 && !may_bdat) {
        assert_true(p->is_over);
        return;
    }
    assert_false(p->is_over);
    if (after == 'D') {
        hear(p, slice_of("x\r\n.\r\n"));
        after = 'R';
    }
    assert_int_equal(state_of(p->s), after == 'x' ? before : after);
}

static void
try_triple(const char *start, size_t a, size_t b, size_t c)
{
    static const struct dialog d = {.config = {.offer_starttls = true}};
    const size_t triple[] = {a, b, c};
    struct play p = {.d = &d, .s = new_server(&d.config)};

    smtp_server_greet(p.s, NULL);
    attend(&p, (struct slice){0});
    if (start) {
        hear(&p, slice_of("EHLO c\r\n"));
        hear(&p, slice_of(start));
    }
    for (size_t i = 0; i < 3 && !p.is_over; i++)
        make_move(&p, triple[i]);
    buf_free(&p.body);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

static void
every_command_is_legal_where_it_is_and_nowhere_else(void **state)
{
    static const char *const starts[] = {
        NULL,
        "",
        "MAIL FROM:<a@b.example>\r\n",
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
        "BDAT 1\r\nx",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        for (size_t n = 0; n < (size_t)MOVES * MOVES * MOVES; n++)
            try_triple(starts[i], n % MOVES, n / MOVES % MOVES,
                       n / MOVES / MOVES);
}

static void
a_refused_end_of_data_leaves_nothing(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, DATA,
            SAYS("x\r\n.\r\n", "! end x|\n554 5.4.6 loop\n"),
            SAYS("RCPT TO:<c@d.example>\r\n", "503 5.5.1 MAIL first\n"),
            SAYS("DATA\r\n", "503 5.5.1 MAIL first\n"), MAIL,
            SAYS("DATA\r\n", "503 5.5.1 No valid recipient\n")},
           .refuses_end = true);
    DIALOG({EHLO, MAIL, RCPT, SAYS("DATA\r\n", "! data\n452 4.3.1 full\n"),
            SAYS("RCPT TO:<c@d.example>\r\n", "503 5.5.1 MAIL first\n"), MAIL,
            SAYS("DATA\r\n", "503 5.5.1 No valid recipient\n")},
           .refuses_data = true);
}

static void
vrfy_does_not_touch_the_transaction(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("VRFY \xc3\xbc@x\r\n", "252 2.1.5 Send mail to find out\n"),
            DATA, SAYS("x\r\n.\r\n", "! end x|\n250 2.0.0 queued\n")});
}

static void
data_without_recipients_gets_no_354(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("MAIL FROM:<a@b.example>\r\nRCPT TO:<no@d.example>\r\n"
                 "DATA\r\n",
                 "! mail a@b.example\n250 2.1.0 yes\n"
                 "! rcpt no@d.example\n550 5.7.1 no\n"
                 "503 5.5.1 No valid recipient\n"),
            RCPT, DATA});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_through),
        cmocka_unit_test(commands_may_come_in_one_flight),
        cmocka_unit_test(helo_gets_one_line_and_no_extensions),
        cmocka_unit_test(ehlo_offers_what_there_is),
        cmocka_unit_test(a_client_may_be_sent_away_at_the_door),
        cmocka_unit_test(verbs_have_no_case_and_bear_trailing_spaces),
        cmocka_unit_test(what_is_no_command_is_said_to_be_none),
        cmocka_unit_test(the_name_of_the_client_is_kept_but_not_believed),
        cmocka_unit_test(lines_that_end_in_anything_else_end_the_session),
        cmocka_unit_test(what_does_not_start_like_smtp_is_sent_away),
        cmocka_unit_test(nothing_may_follow_what_ends_a_group),
        cmocka_unit_test(a_body_that_comes_before_354_ends_the_session),
        cmocka_unit_test(starttls_forgets_what_was_said_in_clear),
        cmocka_unit_test(starttls_is_refused_where_it_makes_no_sense),
        cmocka_unit_test(octets_behind_starttls_are_never_carried_out),
        cmocka_unit_test(octets_fed_before_the_handshake_end_the_session),
        cmocka_unit_test(mail_in_clear_is_refused_where_tls_is_a_must),
        cmocka_unit_test(every_command_is_legal_where_it_is_and_nowhere_else),
        cmocka_unit_test(a_refused_end_of_data_leaves_nothing),
        cmocka_unit_test(vrfy_does_not_touch_the_transaction),
        cmocka_unit_test(data_without_recipients_gets_no_354),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
