/* What a client may take of us: commands, recipients, time; and how a session
 * is ended from our side. */
#include "tests/smtp/server_dialog.h"

static void
a_line_without_end_is_not_waited_for(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    struct smtp_server_event ev;
    char line[SMTP_SERVER_COMMAND_MAX];

    (void)state;
    ehlo_reply(s);
    buf_clear(smtp_server_output(s));
    memset(line, 'x', sizeof(line));
    assert_int_equal(smtp_server_feed(s, (struct slice){line, sizeof(line)}),
                     sizeof(line));
    assert_false(smtp_server_next(s, &ev));
    smtp_server_feed(s, slice_of("x"));
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_OVER);
    assert_string_equal(buf_text(smtp_server_output(s)),
                        "500 5.5.2 Line too long\r\n");
    smtp_server_free(&s);
}

static void
recipients_are_limited(void **state)
{
    (void)state;
    DIALOG(
        {EHLO, MAIL, RCPT, RCPT,
         SAYS("RCPT TO:<no@d.example>\r\n",
              "! rcpt no@d.example\n550 5.7.1 no\n"),
         RCPT,
         SAYS("RCPT TO:<c@d.example>\r\n", "452 4.5.3 Too many recipients\n"),
         SAYS("RCPT TO:<c@d.example>\r\n", "452 4.5.3 Too many recipients\n"),
         DATA, SAYS(".\r\n", "! end \n250 2.0.0 queued\n"), MAIL, RCPT});
}

static size_t
count_until_over(struct smtp_server *s, const char *line, const char *why)
{
    struct smtp_server_event ev;
    size_t n = 0;

    while (!smtp_server_next(s, &ev)) {
        assert_true(smtp_server_feed(s, slice_of(line)) > 0);
        n++;
    }
    assert_int_equal(ev.kind, SMTP_SERVER_OVER);
    assert_string_equal(ev.why, why);
    return n;
}

static void
patience_with_errors_and_junk_has_an_end(void **state)
{
    static const struct {
        const char *line, *why;
        size_t limit;
    } cases[] = {
        {"X\r\n", "errors", SMTP_SERVER_ERRORS_MAX},
        {"RCPT TO:<a@b.example>\r\n", "errors", SMTP_SERVER_ERRORS_MAX},
        {"MAIL FROM:<>SIZE=1\r\n", "errors", SMTP_SERVER_ERRORS_MAX},
        {"BDAT 0\r\n", "errors", SMTP_SERVER_ERRORS_MAX},
        {"NOOP\r\n", "junk commands", SMTP_SERVER_JUNK_MAX},
        {"RSET\r\n", "junk commands", SMTP_SERVER_JUNK_MAX},
        {"VRFY x\r\n", "junk commands", SMTP_SERVER_JUNK_MAX},
        {"HELP\r\n", "junk commands", SMTP_SERVER_JUNK_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct smtp_server *s = new_server(&(struct smtp_server_config){0});
        size_t n;

        ehlo_reply(s);
        n = count_until_over(s, cases[i].line, cases[i].why);
        assert_in_range(n, cases[i].limit - 1, cases[i].limit);
        assert_int_equal(smtp_server_feed(s, slice_of("NOOP\r\n")), 0);
        smtp_server_free(&s);
    }
}

static void
a_message_that_is_taken_renews_patience(void **state)
{
    struct dialog d = {
        .steps = {MAIL, RCPT, DATA,
                  SAYS("x\r\n.\r\n", "! end x|\n250 2.0.0 queued\n")}};
    struct play p = {.d = &d, .s = new_server(&d.config)};

    (void)state;
    ehlo_reply(p.s);
    buf_clear(smtp_server_output(p.s));
    for (size_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < SMTP_SERVER_ERRORS_MAX - 1; i++)
            hear(&p, slice_of("X\r\n"));
        for (size_t i = 0; i < SMTP_SERVER_JUNK_MAX / 2; i++)
            hear(&p, slice_of("NOOP\r\n"));
        for (const struct step *step = d.steps; step->in; step++) {
            buf_clear(&p.log);
            hear(&p, (struct slice){step->in, step->len});
            assert_string_equal(buf_text(&p.log), step->log);
        }
    }
    buf_free(&p.body);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

/* The driver rearms its timer when, and only when, wait_turn changes. */
static void
time_is_given_for_a_command_not_for_an_octet(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    unsigned turn;

    (void)state;
    assert_int_equal(smtp_server_wait_ms(s), 0);
    smtp_server_greet(s, NULL);
    turn = smtp_server_wait_turn(s);
    assert_int_equal(smtp_server_wait_ms(s), 60 * 1000);
    smtp_server_feed(s, slice_of("NOOP\r\n"));
    smtp_server_feed(s, slice_of("EHLO"));
    assert_int_equal(smtp_server_wait_turn(s), turn);
    assert_int_equal(smtp_server_wait_ms(s), 60 * 1000);

    smtp_server_feed(s, slice_of(" x\r\n"));
    assert_int_not_equal(smtp_server_wait_turn(s), turn);
    assert_int_equal(smtp_server_wait_ms(s), 300 * 1000);
    turn = smtp_server_wait_turn(s);
    smtp_server_feed(s, slice_of("NOOP\r\n"));
    assert_int_not_equal(smtp_server_wait_turn(s), turn);
    assert_int_equal(smtp_server_wait_ms(s), 300 * 1000);

    smtp_server_feed(s, slice_of("N"));
    assert_int_equal(smtp_server_wait_ms(s), 60 * 1000);
    turn = smtp_server_wait_turn(s);
    smtp_server_feed(s, slice_of("OO"));
    assert_int_equal(smtp_server_wait_turn(s), turn);
    smtp_server_feed(s, slice_of("P\r\n"));
    assert_int_not_equal(smtp_server_wait_turn(s), turn);
    smtp_server_free(&s);
}

static void
we_wait_without_limit_only_for_ourselves(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    struct smtp_server_event ev;

    (void)state;
    ehlo_reply(s);
    smtp_server_feed(s, slice_of("MAIL FROM:<a@b.example>\r\n"));
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(smtp_server_wait_ms(s), 0);
    smtp_server_timeout(s); /* a stray one */
    assert_false(smtp_server_next(s, &ev));
    smtp_server_free(&s);
}

static void
a_timeout_ends_the_session_wherever_it_is(void **state)
{
    static const struct dialog d = {.config = {0}};
    static const struct {
        const char *before, *log;
    } cases[] = {
        {"", "! over timeout\n421 4.4.2 Timeout\n"},
        {"EHLO", "! over timeout\n421 4.4.2 Timeout\n"},
        {"EHLO c\r\n", "! over timeout\n421 4.4.2 Timeout\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play p = {.d = &d, .s = new_server(&d.config)};

        smtp_server_greet(p.s, NULL);
        hear(&p, slice_of(cases[i].before));
        attend(&p, (struct slice){0});
        buf_clear(&p.log);
        smtp_server_timeout(p.s);
        attend(&p, (struct slice){0});
        assert_string_equal(buf_text(&p.log), cases[i].log);
        smtp_server_timeout(p.s);
        assert_false(smtp_server_is_idle(p.s));
        buf_free(&p.log);
        smtp_server_free(&p.s);
    }
}

static void
shut(struct play *p)
{
    struct mail_status status;

    mail_status_set(&status, 421, "4.3.2", "Closing");
    smtp_server_shut(p->s, &status, "drain");
    smtp_server_shut(p->s, &status, "again");
    attend(p, (struct slice){0});
}

/* Tells to shut behind `before`, then goes on with `after`. */
static void
check_shut(const char *before, const char *at_once, const char *after,
           const char *then)
{
    static const struct dialog d = {.config = {0}};
    struct play p = {.d = &d, .s = new_server(&d.config)};

    smtp_server_greet(p.s, NULL);
    hear(&p, slice_of("EHLO c\r\n"));
    hear(&p, slice_of(before));
    attend(&p, (struct slice){0});
    buf_clear(&p.log);
    shut(&p);
    assert_string_equal(buf_text(&p.log), at_once);
    buf_clear(&p.log);
    hear(&p, slice_of(after));
    assert_string_equal(buf_text(&p.log), then);
    buf_free(&p.body);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

#define CLOSING "! over drain\n421 4.3.2 Closing\n"
#define SENT "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define TAKEN SENT "BDAT 3 LAST\r\nx\r\n"

static void
shutting_waits_for_what_is_under_way(void **state)
{
    (void)state;
    check_shut("", CLOSING, "NOOP\r\n", "");
    check_shut("NO", "", "OP\r\nNOOP\r\n", CLOSING);
    check_shut(SENT, CLOSING, "", "");
    check_shut("QU", "", "IT\r\n", "! over quit\n221 2.0.0 Bye\n");
    check_shut(SENT "DATA\r\n", "", "x\r\n.\r\nNOOP\r\n",
               "! end x|\n250 2.0.0 queued\n" CLOSING);
    check_shut(SENT "BDAT 3\r\nx\r", "", "\nBDAT 3 LAST\r\ny\r\nNOOP\r\n",
               "250 2.0.0 Chunk received\n"
               "! end x|y|\n250 2.0.0 queued\n" CLOSING);
    check_shut(SENT "BDAT 3\r\nx\r\n", "", "RSET\r\n",
               "! drop RSET\n! over drain\n250 2.0.0 OK\n421 4.3.2 Closing\n");
}

/* A client that hears 421 there may take it for the word on its message. */
static void
shutting_lets_a_client_quit_behind_its_message(void **state)
{
    (void)state;
    check_shut(TAKEN, "", "QUIT\r\n", "! over quit\n221 2.0.0 Bye\n");
    check_shut(TAKEN, "", "qu", "");
    check_shut(TAKEN, "", SENT, CLOSING);
    check_shut(TAKEN "NOOP\r\n", CLOSING, "", "");
    check_shut(SENT "DATA\r\n", "", "x\r\n.\r\nQUIT\r\n",
               "! end x|\n250 2.0.0 queued\n! over quit\n221 2.0.0 Bye\n");
}

static void
shutting_waits_a_second_for_that(void **state)
{
    static const struct dialog d = {.config = {0}};
    struct play p = {.d = &d, .s = new_server(&d.config)};
    unsigned turn;

    (void)state;
    smtp_server_greet(p.s, NULL);
    hear(&p, slice_of("EHLO c\r\n"));
    hear(&p, slice_of(TAKEN));
    attend(&p, (struct slice){0});
    assert_int_equal(smtp_server_wait_ms(p.s), 300 * 1000);
    turn = smtp_server_wait_turn(p.s);
    shut(&p);
    assert_int_equal(smtp_server_wait_ms(p.s), 1000);
    assert_int_not_equal(smtp_server_wait_turn(p.s), turn);
    buf_clear(&p.log);
    smtp_server_timeout(p.s);
    attend(&p, (struct slice){0});
    assert_string_equal(buf_text(&p.log), CLOSING);
    buf_free(&p.body);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

static void
shutting_lets_an_answer_come_first(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    struct smtp_server_event ev;
    struct mail_status bye, yes;

    (void)state;
    mail_status_set(&bye, 421, "4.3.2", "Closing");
    mail_status_set(&yes, 250, "2.1.0", "yes");
    ehlo_reply(s);
    buf_clear(smtp_server_output(s));
    smtp_server_feed(s, slice_of("MAIL FROM:<a@b.example>\r\n"));
    assert_true(smtp_server_next(s, &ev));
    smtp_server_shut(s, &bye, "drain");
    assert_false(smtp_server_next(s, &ev));
    smtp_server_answer(s, &yes);
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_OVER);
    assert_string_equal(buf_text(smtp_server_output(s)),
                        "250 2.1.0 yes\r\n421 4.3.2 Closing\r\n");
    smtp_server_answer(s, &yes); /* too late, and no harm done */
    smtp_server_free(&s);
}

/* RFC 2034 section 4: the enhanced code stands in front of the text. */
static void
replies_are_ascii_and_one_short_line(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    struct smtp_server_event ev;
    struct mail_status status;
    struct buf *out = smtp_server_output(s);

    (void)state;
    mail_status_set(&status, 550, "5.7.1", "\xc3\xbc%0900d", 1);
    ehlo_reply(s);
    buf_clear(out);
    smtp_server_feed(s, slice_of("MAIL FROM:<a@b.example>\r\n"));
    assert_true(smtp_server_next(s, &ev));
    smtp_server_answer(s, &status);
    assert_true(out->len <= 512 && out->len > 400);
    assert_memory_equal(out->p, "550 5.7.1 ??000", 15);
    assert_memory_equal(out->p + out->len - 2, "\r\n", 2);
    smtp_server_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_without_end_is_not_waited_for),
        cmocka_unit_test(recipients_are_limited),
        cmocka_unit_test(patience_with_errors_and_junk_has_an_end),
        cmocka_unit_test(a_message_that_is_taken_renews_patience),
        cmocka_unit_test(time_is_given_for_a_command_not_for_an_octet),
        cmocka_unit_test(we_wait_without_limit_only_for_ourselves),
        cmocka_unit_test(a_timeout_ends_the_session_wherever_it_is),
        cmocka_unit_test(shutting_waits_for_what_is_under_way),
        cmocka_unit_test(shutting_lets_a_client_quit_behind_its_message),
        cmocka_unit_test(shutting_waits_a_second_for_that),
        cmocka_unit_test(shutting_lets_an_answer_come_first),
        cmocka_unit_test(replies_are_ascii_and_one_short_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
