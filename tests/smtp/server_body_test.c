/* Bodies by DATA and BDAT: what ends them, what spoils them, how much of them
 * is taken. */
#include "tests/smtp/server_dialog.h"

#define QUEUED(body) "! end " body "\n250 2.0.0 queued\n"
#define BARE_LF "! drop malformed\n550 5.6.0 Message has a LF without CR\n"
#define BARE_CR "! drop malformed\n550 5.6.0 Message has a CR without LF\n"
#define NUL_OCTET "! drop malformed\n550 5.6.0 Message has a NUL octet\n"
#define TOO_LARGE(limit) "552 5.3.4 Message larger than " limit " octets\n"

/* What follows a message, to see that nothing of it is left over. */
#define AND_ON SAYS("RCPT TO:<c@d.example>\r\n", "503 5.5.1 MAIL first\n"), MAIL

static void
only_crlf_dot_crlf_ends_a_message(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, DATA,
            SAYS("Subject: a\r\n\r\nb\r\n.\r\n", QUEUED("Subject: a||b|")),
            AND_ON});
    DIALOG({EHLO, MAIL, RCPT, DATA,
            SAYS("b\r\n. \r\nc\r\n.\t\r\n.\r\n", QUEUED("b| |c|\\x09|")),
            AND_ON});
    DIALOG({EHLO, MAIL, RCPT, DATA,
            SAYS("b\r\n..\r\n...\r\n..x\r\n.\r\n", QUEUED("b|.|..|.x|")),
            AND_ON});
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS(".\r\n", QUEUED("")), AND_ON});
}

/* The reply comes at the real end, so that a sender hears it. */
#define SPOILT(octets, reply)                                                  \
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("Subject: a\r\n\r\nb" octets, ""),    \
            SAYS("c\r\n.\r\n", reply), AND_ON})

/* As SPOILT where the refusal of the body is known before its end. */
#define SPOILT_AT_ONCE(octets, drop, reply)                                    \
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("Subject: a\r\n\r\nb" octets, drop),  \
            SAYS("c\r\n.\r\n", reply), AND_ON})

#define DROP "! drop malformed\n"
#define LF_REPLY "550 5.6.0 Message has a LF without CR\n"
#define CR_REPLY "550 5.6.0 Message has a CR without LF\n"

static void
no_other_sequence_ends_it_and_most_spoil_it(void **state)
{
    (void)state;
    SPOILT_AT_ONCE("\n.\n", DROP, LF_REPLY);
    SPOILT_AT_ONCE("\n.\r\n", DROP, LF_REPLY);
    SPOILT_AT_ONCE("\r\n.\n", DROP, LF_REPLY);
    SPOILT_AT_ONCE("\r.\n", DROP, LF_REPLY);
    SPOILT_AT_ONCE("\n.\r", DROP, LF_REPLY);
    SPOILT_AT_ONCE("\r.\r\n", DROP, CR_REPLY);
    SPOILT_AT_ONCE("\r\n.\rX", DROP, CR_REPLY);
    SPOILT_AT_ONCE("\r\n.\r\r\n", DROP, CR_REPLY);
    SPOILT_AT_ONCE("\r\r\n.\r\r\n", DROP, CR_REPLY);
    SPOILT_AT_ONCE("\r\n\0.\r\n", DROP, "550 5.6.0 Message has a NUL octet\n");
    SPOILT_AT_ONCE("\nBcc: v@x.example\r\n", DROP, LF_REPLY);
    SPOILT("\r", BARE_CR);
    SPOILT("\r\n.\r", BARE_CR);
}

static void
what_went_before_354_is_no_line_end(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("\n.\r\n", DROP),
            SAYS(".\r\n", LF_REPLY), AND_ON});
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("\r.\r\n", DROP),
            SAYS(".\r\n", CR_REPLY), AND_ON});
}

#define SMUGGLED                                                               \
    "MAIL FROM:<x@a.example>\r\nRCPT TO:<y@b.example>\r\nDATA\r\n"             \
    "X: 1\r\n\r\nhi\r\n.\r\n"
#define SMUGGLE(end, reply)                                                    \
    DIALOG({EHLO, MAIL, RCPT, DATA,                                            \
            SAYS("Subject: a\r\n\r\nb" end SMUGGLED, reply), AND_ON})

static void
nothing_is_smuggled_behind_a_false_end(void **state)
{
    (void)state;
    SMUGGLE("\n.\n", BARE_LF);
    SMUGGLE("\n.\r\n", BARE_LF);
    SMUGGLE("\r\n.\n", BARE_LF);
    SMUGGLE("\r.\n", BARE_LF);
    SMUGGLE("\n.\r", BARE_LF);
    SMUGGLE("\r.\r", BARE_CR);
    SMUGGLE("\r.\r\n", BARE_CR);
    SMUGGLE("\r\n.\r", BARE_CR);
    SMUGGLE("\r\n.\r\r\n", BARE_CR);
    SMUGGLE("\r\r\n.\r\r\n", BARE_CR);
    SMUGGLE("\r\n\0.\r\n", NUL_OCTET);
    SMUGGLE("\r\n.\0\r\n", NUL_OCTET);
    SMUGGLE("\r\n. \r\n", QUEUED("Subject: a||b| |MAIL FROM:<x@a.example>|"
                                 "RCPT TO:<y@b.example>|DATA|X: 1||hi|"));
}

static void
a_message_without_its_end_is_none(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("b\r\n", "")});
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("b\r\n.", "")});
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("b\r\n.\r", "")});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 10 LAST\r\nb\r\n", "! data\n")});
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 3\r\nb\r\n", "! data\n250 2.0.0 Chunk received\n")});
}

static void
a_timeout_in_a_body_drops_it(void **state)
{
    static const struct dialog d = {.config = {0}};
    struct play p = {.d = &d, .s = new_server(&d.config)};

    (void)state;
    ehlo_reply(p.s);
    hear(&p, slice_of("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
                      "DATA\r\n"));
    hear(&p, slice_of("b\r\n."));
    assert_true(smtp_server_is_in_body(p.s));
    assert_int_equal(smtp_server_wait_ms(p.s), 30 * 60 * 1000);
    buf_clear(&p.log);
    smtp_server_timeout(p.s);
    attend(&p, (struct slice){0});
    assert_string_equal(buf_text(&p.log), "! drop timeout\n! over timeout\n"
                                          "421 4.4.2 Timeout\n");
    assert_int_equal(smtp_server_feed(p.s, slice_of("\r\n")), 0);
    buf_free(&p.body);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

/* The session behind 354, and a log that is empty. */
static struct play
start_body(const struct dialog *d)
{
    struct play p = {.d = d, .s = new_server(&d->config)};

    ehlo_reply(p.s);
    hear(&p, slice_of("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
                      "DATA\r\n"));
    buf_clear(&p.log);
    return p;
}

static void
end_body(struct play *p, const char *log)
{
    assert_string_equal(buf_text(&p->log), log);
    buf_free(&p->body);
    buf_free(&p->log);
    smtp_server_free(&p->s);
}

static void
lines_are_taken_up_to_the_limit(void **state)
{
    static const struct dialog d = {.config = {.size_max = 1000000}};
    static const size_t lens[] = {998, 1000, 1001, 2048, 65536};
    char *line = mem_array(char, SMTP_SERVER_LINE_MAX + 1);

    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct play p = start_body(&d);

        memset(line, 'x', SMTP_SERVER_LINE_MAX);
        memcpy(line + lens[i] - 2, "\r\n", 2);
        hear(&p, (struct slice){line, lens[i]});
        assert_int_equal(p.body.len, lens[i]);
        assert_string_equal(buf_text(&p.log), "");
        hear(&p, slice_of(".\r\n"));
        assert_memory_equal(p.log.p + p.log.len - 17, "250 2.0.0 queued\n", 17);
        buf_free(&p.body);
        buf_free(&p.log);
        smtp_server_free(&p.s);
    }
    memset(line, 'x', SMTP_SERVER_LINE_MAX + 1);
    memcpy(line + SMTP_SERVER_LINE_MAX - 1, "\r\n", 2);
    {
        struct play p = start_body(&d);

        hear(&p, (struct slice){line, SMTP_SERVER_LINE_MAX + 1});
        hear(&p, slice_of(".\r\n"));
        end_body(&p, "! drop malformed\n550 5.6.0 Message has a line longer "
                     "than 65536 octets\n");
    }
    free(line);
}

static void
a_line_without_end_takes_no_memory(void **state)
{
    static const struct dialog d = {.config = {.size_max = 25 << 20}};
    struct play p = start_body(&d);
    char *line = mem_array(char, 1 << 20);
    size_t n;

    (void)state;
    memset(line, 'x', 1 << 20);
    for (n = 0; n < 100 && !p.is_over; n++) {
        hear(&p, (struct slice){line, 1 << 20});
        assert_int_equal(p.body.len, 0);
    }
    assert_int_equal(n, 51); /* twice the limit, and one more */
    free(line);
    end_body(&p, "! drop malformed\n! over message far too large\n" TOO_LARGE(
                     "26214400"));
}

static void
messages_are_taken_up_to_the_limit(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("12345678\r\n", ""),
            SAYS(".\r\n", QUEUED("12345678|")), AND_ON},
           .config = {.size_max = 10});
    DIALOG({EHLO, MAIL, RCPT, DATA,
            SAYS("..2345678\r\n.\r\n", QUEUED(".2345678|")), AND_ON},
           .config = {.size_max = 10});
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("123456789\r\n", "! drop too large\n"),
            SAYS("234567\r\n.\r\n", TOO_LARGE("10")), AND_ON},
           .config = {.size_max = 10});
    DIALOG({EHLO, MAIL, RCPT, DATA,
            SAYS("123456789012345678\r\n.\r\n",
                 "! drop too large\n" TOO_LARGE("10")),
            AND_ON},
           .config = {.size_max = 10});
}

static void
twice_the_limit_ends_the_session(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, DATA, SAYS("123456789\r\n", "! drop too large\n"),
            SAYS("12345678\r\n.\r\n",
                 "! over message far too large\n" TOO_LARGE("10"))},
           .config = {.size_max = 10});
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 21 LAST\r\n",
                 "! over message far too large\n" TOO_LARGE("10"))},
           .config = {.size_max = 10});
}

static void
a_declared_size_promises_nothing(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("MAIL FROM:<a@b.example> SIZE=1\r\n",
                 "! mail a@b.example 1\n250 2.1.0 yes\n"),
            RCPT, DATA, SAYS("123456789\r\n", "! drop too large\n"),
            SAYS(".\r\n", TOO_LARGE("10")), AND_ON},
           .config = {.size_max = 10});
}

#define CHUNK "250 2.0.0 Chunk received\n"

/* RFC 3030 section 2 */
static void
chunks_make_a_message(void **state)
{
    (void)state;
    DIALOG(
        {EHLO, MAIL, RCPT,
         SAYS("BDAT 10 LAST\r\nx\r\n.\r\n..\r\n", "! data\n" QUEUED("x|.|..|")),
         AND_ON});
    DIALOG({EHLO, SAYS("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
                       "BDAT 4\r\na\r\nbBDAT 2\r\n\r\nbdat 0\r\n"
                       "BDAT  3  LAST\r\nc\r\nRSET\r\n",
                       "! mail a@b.example\n250 2.1.0 yes\n"
                       "! rcpt c@d.example\n250 2.1.0 yes\n"
                       "! data\n" CHUNK CHUNK CHUNK QUEUED(
                           "a|b|c|") "250 2.0.0 OK\n")});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 2\r\na\r", "! data\n" CHUNK),
            SAYS("BDAT 1\r\n\n", CHUNK), SAYS("BDAT 0 LAST\r\n", QUEUED("a|")),
            AND_ON});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 0 LAST\r\n", "! data\n" QUEUED("")),
            AND_ON});
}

static void
a_last_line_cut_short_is_completed(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 4 LAST\r\na\r\nb", "! data\n" QUEUED("a|b|")), AND_ON});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 1\r\na", "! data\n" CHUNK),
            SAYS("BDAT 0 LAST\r\n", QUEUED("a|")), AND_ON});
}

static void
chunks_are_spoilt_like_lines(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 5 LAST\r\na\nb\r\n", "! data\n" BARE_LF), AND_ON});
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 5 LAST\r\na\rb\r\n", "! data\n" BARE_CR), AND_ON});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 2 LAST\r\na\r", "! data\n" BARE_CR),
            AND_ON});
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 5 LAST\r\na\0b\r\n", "! data\n" NUL_OCTET), AND_ON});
    /* The rest of the flight is counted out and refused. */
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 2\r\na\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
                 "! data\n" BARE_LF "503 5.5.1 MAIL first\n250 2.0.0 OK\n"),
            AND_ON});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 2\r\na\r", "! data\n" CHUNK),
            SAYS("BDAT 1\r\nb", BARE_CR),
            SAYS("DATA\r\n", "503 5.5.1 MAIL first\n"), AND_ON});
}

static void
a_refused_chunk_is_counted_out(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("BDAT 6\r\nQUIT\r\nNOOP\r\n",
                 "503 5.5.1 MAIL first\n250 2.0.0 OK\n"),
            MAIL,
            SAYS("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
                 "503 5.5.1 No valid recipient\n250 2.0.0 OK\n"),
            RCPT, SAYS("BDAT 3 LAST\r\nx\r\n", "! data\n" QUEUED("x|"))});
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
                 "! data\n452 4.3.1 full\n503 5.5.1 MAIL first\n"
                 "250 2.0.0 OK\n"),
            AND_ON},
           .refuses_data = true);
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 8\r\n123456\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n",
                 "! data\n" CHUNK
                 "! drop too large\n" TOO_LARGE("10") "250 2.0.0 OK\n"),
            AND_ON},
           .config = {.size_max = 10});
}

#define UNCOUNTED(line)                                                        \
    DIALOG({EHLO, MAIL, RCPT,                                                  \
            SAYS(line "\r\nQUIT\r\n",                                          \
                 "! over malformed BDAT\n"                                     \
                 "501 5.5.4 BDAT wants a size, then LAST\n")})

static void
the_size_of_one_message_is_not_held_against_the_next(void **state)
{
    (void)state;
    DIALOG(
        {EHLO, MAIL, RCPT, DATA, SAYS("12345678\r\n.\r\n", QUEUED("12345678|")),
         SAYS("BDAT 15\r\n123456789012345NOOP\r\n",
              "503 5.5.1 MAIL first\n250 2.0.0 OK\n"),
         MAIL, RCPT,
         SAYS("BDAT 10 LAST\r\n12345678\r\n", "! data\n" QUEUED("12345678|"))},
        .config = {.size_max = 10});
}

static void
a_chunk_of_unknown_size_ends_the_session(void **state)
{
    (void)state;
    UNCOUNTED("BDAT");
    UNCOUNTED("BDAT x");
    UNCOUNTED("BDAT -1");
    UNCOUNTED("BDAT +1");
    UNCOUNTED("BDAT 18446744073709551616");
    UNCOUNTED("BDAT 1 LAS");
    UNCOUNTED("BDAT 1 LAST LAST");
    UNCOUNTED("BDAT 1LAST");
    UNCOUNTED("BDAT LAST");
    DIALOG({EHLO, MAIL, RCPT,
            SAYS("BDAT 18446744073709551615\r\n",
                 "! over message far too large\n" TOO_LARGE("100000"))});
    DIALOG({SAYS("HELO c\r\n", "250 mx.example\n"), MAIL, RCPT,
            SAYS("BDAT 5 LAST\r\nQUIT\n", "! over BDAT without EHLO\n"
                                          "502 5.5.1 CHUNKING wants EHLO\n")});
}

static void
chunks_and_data_do_not_mix(void **state)
{
    (void)state;
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 3\r\nx\r\n", "! data\n" CHUNK),
            SAYS("DATA\r\n", "! drop DATA behind BDAT\n503 5.5.1 MAIL first\n"),
            AND_ON});
}

static void
a_transaction_in_chunks_takes_only_chunks(void **state)
{
    (void)state;
    DIALOG(
        {EHLO, MAIL, RCPT, SAYS("BDAT 3\r\nx\r\n", "! data\n" CHUNK),
         SAYS("MAIL FROM:<a@b.example>\r\n",
              "503 5.5.1 A message is under way\n"),
         SAYS("RCPT TO:<c@d.example>\r\n", "503 5.5.1 Chunks are under way\n"),
         SAYS("NOOP\r\n", "250 2.0.0 OK\n"),
         SAYS("BDAT 3 LAST\r\ny\r\n", QUEUED("x|y|")), AND_ON});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 3\r\nx\r\n", "! data\n" CHUNK),
            SAYS("RSET\r\n", "! drop RSET\n250 2.0.0 OK\n"), AND_ON});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 3\r\nx\r\n", "! data\n" CHUNK),
            SAYS("EHLO d\r\n", "! drop EHLO\n250 CHUNKING\n"), AND_ON});
    DIALOG({EHLO, MAIL, RCPT, SAYS("BDAT 3\r\nx\r\n", "! data\n" CHUNK),
            SAYS("QUIT\r\n", "! drop quit\n! over quit\n221 2.0.0 Bye\n")});
}

static void
empty_chunks_are_junk(void **state)
{
    static const struct dialog d = {.config = {0}};
    struct play p = {.d = &d, .s = new_server(&d.config)};
    size_t n;

    (void)state;
    ehlo_reply(p.s);
    hear(&p, slice_of("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"));
    for (n = 0; n < 1000 && !p.is_over; n++)
        hear(&p, slice_of("BDAT 0\r\n"));
    assert_in_range(n, SMTP_SERVER_JUNK_MAX - 1, SMTP_SERVER_JUNK_MAX);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

static void
the_envelope_moves_out_at_the_end(void **state)
{
    struct smtp_server *s = new_server(&(struct smtp_server_config){0});
    struct mail_envelope e;
    struct mail_status yes;
    struct smtp_server_event ev;
    static const char *const lines[] = {
        "MAIL FROM:<a@b.example> RET=HDRS ENVID=x+2By BODY=8BITMIME\r\n",
        "RCPT TO:<c@D.example> NOTIFY=NEVER ORCPT=rfc822;e@f.example\r\n",
        "RCPT TO:<c@[192.0.2.1]>\r\n",
        "RCPT TO:<postmaster>\r\n",
        "BDAT 0 LAST\r\n",
    };

    (void)state;
    mail_status_set(&yes, 250, "2.0.0", "yes");
    ehlo_reply(s);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        smtp_server_feed(s, slice_of(lines[i]));
        assert_true(smtp_server_next(s, &ev));
        smtp_server_answer(s, &yes);
    }
    assert_true(smtp_server_next(s, &ev));
    assert_int_equal(ev.kind, SMTP_SERVER_END);
    smtp_server_take_envelope(s, &e);
    assert_string_equal(e.from, "a@b.example");
    assert_string_equal(e.envid, "x+y");
    assert_int_equal(e.ret, MAIL_RET_HDRS);
    assert_true(e.body_8bit && !e.smtputf8 && !e.requiretls);
    assert_int_equal(e.rcpt_count, 3);
    assert_string_equal(e.rcpt[0].address, "c@d.example");
    assert_string_equal(e.rcpt[0].domain, "d.example");
    assert_string_equal(e.rcpt[0].orcpt, "rfc822;e@f.example");
    assert_int_equal(e.rcpt[0].notify, MAIL_NOTIFY_NEVER);
    assert_string_equal(e.rcpt[1].domain, "[192.0.2.1]");
    assert_null(e.rcpt[1].orcpt);
    assert_string_equal(e.rcpt[2].address, "postmaster@mx.example");
    assert_null(smtp_server_envelope(s)->from);
    smtp_server_answer(s, &yes);
    assert_true(smtp_server_is_idle(s));
    mail_envelope_done(&e);
    smtp_server_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_crlf_dot_crlf_ends_a_message),
        cmocka_unit_test(no_other_sequence_ends_it_and_most_spoil_it),
        cmocka_unit_test(what_went_before_354_is_no_line_end),
        cmocka_unit_test(nothing_is_smuggled_behind_a_false_end),
        cmocka_unit_test(a_message_without_its_end_is_none),
        cmocka_unit_test(a_timeout_in_a_body_drops_it),
        cmocka_unit_test(lines_are_taken_up_to_the_limit),
        cmocka_unit_test(a_line_without_end_takes_no_memory),
        cmocka_unit_test(messages_are_taken_up_to_the_limit),
        cmocka_unit_test(twice_the_limit_ends_the_session),
        cmocka_unit_test(a_declared_size_promises_nothing),
        cmocka_unit_test(chunks_make_a_message),
        cmocka_unit_test(a_last_line_cut_short_is_completed),
        cmocka_unit_test(chunks_are_spoilt_like_lines),
        cmocka_unit_test(a_refused_chunk_is_counted_out),
        cmocka_unit_test(the_size_of_one_message_is_not_held_against_the_next),
        cmocka_unit_test(a_chunk_of_unknown_size_ends_the_session),
        cmocka_unit_test(chunks_and_data_do_not_mix),
        cmocka_unit_test(a_transaction_in_chunks_takes_only_chunks),
        cmocka_unit_test(empty_chunks_are_junk),
        cmocka_unit_test(the_envelope_moves_out_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
