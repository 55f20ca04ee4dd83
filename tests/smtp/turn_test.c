/* Servers that are hostile or broken. */
#include "tests/smtp/dialog.h"

static struct mail_rcpt two_rcpts[] = {
    {.address = "a@example.net", .domain = "example.net"},
    {.address = "b@example.net", .domain = "example.net"},
};
static const struct mail_envelope two = {
    .from = "s@example.org", .rcpt = two_rcpts, .rcpt_count = 2};
static const size_t both[] = {0, 1};
static const struct smtp_client_mail to_two = {
    .envelope = &two, .rcpt = both, .rcpt_count = 2};
static const struct smtp_client_mail to_one = {
    .envelope = &two, .rcpt = both, .rcpt_count = 1};

#define HELLO                                                                  \
    "S: 220 hi\n"                                                              \
    "C: EHLO us\n"                                                             \
    "S: 250-mx\n"
#define PIPELINED HELLO "S: 250 PIPELINING\n! ready\n"
#define CHUNKED HELLO "S: 250-PIPELINING\nS: 250 CHUNKING\n! ready\n"
#define MAIL_TO_ONE                                                            \
    "C: MAIL FROM:<s@example.org>\n"                                           \
    "C: RCPT TO:<a@example.net>\n"
#define FLIGHT_TO_ONE MAIL_TO_ONE "C: DATA\n"
#define FLIGHT_TO_TWO MAIL_TO_ONE "C: RCPT TO:<b@example.net>\nC: DATA\n"
#define IN_BODY                                                                \
    PIPELINED FLIGHT_TO_ONE "S: 250 ok\n"                                      \
                            "S: 250 ok\n"                                      \
                            "S: 354 go\n"                                      \
                            "! rcpt 0 RCPT 250\n"                              \
                            "! body\n"
#define BEHIND_DOT                                                             \
    IN_BODY                                                                    \
    "C: x\n"                                                                   \
    "C: .\n"
#define IN_CHUNKS                                                              \
    CHUNKED MAIL_TO_ONE "S: 250 ok\n"                                          \
                        "S: 250 ok\n"                                          \
                        "! rcpt 0 RCPT 250\n"                                  \
                        "! body\n"                                             \
                        "C: BDAT 3\n"                                          \
                        "C: x\n"                                               \
                        "C: BDAT 3 LAST\n"                                     \
                        "C: y\n"
#define BYE                                                                    \
    "C: QUIT\n"                                                                \
    "S: 221 bye\n"                                                             \
    "! over quit\n"
#define NO_SMTP(step)                                                          \
    "! over protocol: " step ": the server does not speak SMTP"
#define TOO_EARLY "! over protocol: the server spoke out of turn\n"
#define TOO_EARLY_IN_DOUBT                                                     \
    "! over protocol: the server spoke out of turn (in doubt)\n"

/* A dialog of three parts, of which the middle one varies. */
static void
vary(struct dialog d, const char *before, const char *between,
     const char *after)
{
    scoped(buf_free) struct buf script = {0};

    buf_printf(&script, "%s%s%s", before, between, after);
    d.script = buf_text(&script);
    dialog(&d);
}

static void
a_greeting_that_is_no_welcome_ends_the_session(void **state)
{
    (void)state;
    DIALOG(.script = "S: 421 4.3.2 busy\n"
                     "! over refused greeting 421: greeting: 421 busy\n");
    DIALOG(.script = "S: 554-no\nS: 554 mail here\n"
                     "! over refused greeting 554: greeting: 554 no mail "
                     "here\n");
    DIALOG(.script = "S: 500 x\n"
                     "! over refused greeting 500: greeting: 500 x\n");
    DIALOG(.script = "S: 221 bye\n! over protocol: greeting: 221 bye\n");
    DIALOG(.script = "S: 250 hi\n! over protocol: greeting: 250 hi\n");
    DIALOG(.script = "S: 354 go\n! over protocol: greeting: 354 go\n");
}

static void
what_is_no_smtp_ends_the_session(void **state)
{
    static const char *const others[] = {
        "R: HTTP/1.1 400 Bad^~\n",
        "R: SSH-2.0-x^~\n",
        "R: \x16\x03\x01\n",
        "R: @\n",
        "R: EHLO us^~\n",
        "R: 25^~\n",
        "R: 220~\n",
        "R: 2200 x^~\n",
        "R:  220 x^~\n",
        "R: +220\n",
        "R: -20\n",
        "R: 220_x^~\n",
        "R: 220\tx^~\n",
        "R: 999 x^~\n",
        "R: 000 x^~\n",
        "R: 220 a^b^~\n",
        "R: 220-a^~550 b^~\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        vary((struct dialog){0}, "", others[i], NO_SMTP("greeting") "\n");
}

static void
a_reply_cut_short_is_waited_for(void **state)
{
    (void)state;
    DIALOG(.script = "R: 220\n");
    DIALOG(.script = "R: 220 hi^\n");
    DIALOG(.script = "R: 220-hi^~220-there^~\n");
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "R: 250 taken^\n");
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "R: 250-taken^~\n");
}

static void
what_may_answer_ehlo(void **state)
{
    (void)state;
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 250\n! ready\n" BYE);
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 421 busy\n"
                     "! over refused EHLO 421: EHLO: 421 busy\n");
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 450 later\n"
                     "! over refused EHLO 450: EHLO: 450 later\n");
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 220 x\n"
                     "! over protocol: EHLO: 220 x\n");
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 221 x\n"
                     "! over protocol: EHLO: 221 x\n");
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 354 x\n"
                     "! over protocol: EHLO: 354 x\n");
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 550 x\nC: HELO us\n"
                     "S: 250 mx\n! ready\n" BYE);
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 500 x\nC: HELO us\n"
                     "S: 550 no\n"
                     "! over refused HELO 550: HELO: 550 no\n");
    DIALOG(.script = "S: 220 hi\nC: EHLO us\nS: 504 x\nC: HELO us\n"
                     "S: 354 no\n! over protocol: HELO: 354 no\n");
}

static void
an_endless_offer_ends_the_session(void **state)
{
    scoped(buf_free) struct buf lines = {0};

    (void)state;
    for (int i = 0; i <= SMTP_REPLY_LINES_MAX; i++)
        buf_add_text(&lines, "S: 250-X\n");
    vary((struct dialog){.is_by_segment = true}, "S: 220 hi\nC: EHLO us\n",
         buf_text(&lines), NO_SMTP("EHLO") "\n");
}

static void
octets_behind_starttls_end_the_session(void **state)
{
    static const char *const injected[] = {
        "S: 250-mx\nS: 250 AUTH LOGIN\n",
        "R: \x16\x03\x03\n", /* the server must wait for our hello */
        "R: 2\n",
        "S: 421 bye\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(injected) / sizeof(injected[0]); i++)
        vary((struct dialog){.tls = SMTP_CLIENT_TLS_OFFERED,
                             .is_by_segment = true},
             HELLO "S: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n", injected[i],
             TOO_EARLY);
}

/* The same in a segment of its own, between the reply and the handshake. */
static void
octets_during_the_handshake_end_the_session(void **state)
{
    struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_REQUIRED);
    static const char *const heard[] = {
        "220 hi\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n", "421"};
    struct smtp_client_event ev = {.kind = SMTP_CLIENT_READY};

    (void)state;
    for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++) {
        (void)smtp_client_feed(c, slice_of(heard[i]));
        while (smtp_client_next(c, &ev))
            continue;
    }
    assert_int_equal(ev.kind, SMTP_CLIENT_OVER);
    assert_int_equal(ev.end, SMTP_CLIENT_END_PROTOCOL);
    buf_clear(smtp_client_output(c));
    smtp_client_tls_up(c); /* too late */
    assert_int_equal(smtp_client_output(c)->len, 0);
    smtp_client_free(&c);
}

static void
what_may_answer_starttls(void **state)
{
    (void)state;
    DIALOG(.tls = SMTP_CLIENT_TLS_OFFERED,
           .script = HELLO "S: 250 STARTTLS\nC: STARTTLS\nS: 250 ok\n"
                           "! over protocol: STARTTLS: 250 ok\n");
    DIALOG(.tls = SMTP_CLIENT_TLS_OFFERED,
           .script = HELLO "S: 250 STARTTLS\nC: STARTTLS\nS: 354 ok\n"
                           "! over protocol: STARTTLS: 354 ok\n");
    DIALOG(.tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = HELLO "S: 250 STARTTLS\nC: STARTTLS\nS: 421 bye\n"
                           "! over refused STARTTLS 421: STARTTLS: 421 bye\n");
}

static void
replies_before_their_commands_end_the_session(void **state)
{
    (void)state;
    DIALOG(.is_by_segment = true, .mail = &to_one, .mails = 1,
           .script = "S: 220 a\n"
                     "S: 250 b\n"
                     "S: 250 c\n"
                     "S: 250 d\n"
                     "S: 354 e\n"
                     "S: 250 f\n" TOO_EARLY);
    DIALOG(.is_by_segment = true, .mail = &to_one, .mails = 1,
           .script = HELLO "S: 250 HELP\nS: 250 MAIL\n" TOO_EARLY);
    /* without PIPELINING each reply is the only one that can be there */
    DIALOG(.is_by_segment = true, .mail = &to_one, .mails = 1,
           .script = HELLO "S: 250 HELP\n! ready\n"
                           "C: MAIL FROM:<s@example.org>\n"
                           "S: 250 MAIL\nS: 250 RCPT\n" TOO_EARLY);
    DIALOG(.stays = true,
           .script = HELLO "S: 250 HELP\n! ready\n--\nR: 2\n" TOO_EARLY);
}

static void
a_verdict_before_the_dot_is_none(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1, .stalls = true, .is_by_segment = true,
           .script = PIPELINED FLIGHT_TO_ONE "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "S: 354 go\n"
                                             "S: 250 queued\n"
                                             "! rcpt 0 RCPT 250\n" TOO_EARLY);
    DIALOG(.mail = &to_one, .mails = 1, .stalls = true,
           .script = IN_BODY "--\nS: 250 queued\n" TOO_EARLY);
    DIALOG(.mail = &to_one, .mails = 1, .stalls = true,
           .script = IN_BODY "--\nS: 554 spam\n" TOO_EARLY);
}

static void
a_chunk_not_sent_is_not_answered(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1, .stalls = true, .is_by_segment = true,
           .pieces = {"x\r\n", "y\r\n"},
           .script = CHUNKED MAIL_TO_ONE "S: 250 ok\n"
                                         "S: 250 ok\n"
                                         "! rcpt 0 RCPT 250\n"
                                         "! body\n"
                                         "C: BDAT 3\n"
                                         "C: x\n"
                                         "S: 250 ok\n"
                                         "S: 250 taken\n" TOO_EARLY);
}

static void
garbage_for_a_verdict_leaves_doubt(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: what\nS: 250 ok\nS: 221 bye\n" NO_SMTP(
               "end of data") " (in doubt)\n");
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 221 bye\n"
                                "! over protocol: end of data: 221 bye "
                                "(in doubt)\n");
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 354 go\n"
                                "! over protocol: end of data: 354 go "
                                "(in doubt)\n");
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT
           "R: 150 ok^~\n" NO_SMTP("end of data") " (in doubt)\n");
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n", "y\r\n"},
           .script = IN_CHUNKS "S: 250 ok\nS: 354 go\n"
                               "! over protocol: BDAT LAST: 354 go "
                               "(in doubt)\n");
}

static void
only_2yz_is_success(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 451 later\n"
                                "! verdict end of data 451\n! ready\n" BYE);
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 552 no\n"
                                "! verdict end of data 552\n! ready\n" BYE);
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 250\n"
                                "! verdict end of data 250\n! ready\n" BYE);
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 251-a\nS: 251 b\n"
                                "! verdict end of data 251\n! ready\n" BYE);
    /* the code rules, whatever the enhanced code says */
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 550 2.0.0 x\n"
                                "! verdict end of data 550\n! ready\n" BYE);
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .script = BEHIND_DOT "S: 421 bye\n"
                                "! over refused end of data 421: end of data: "
                                "421 bye\n");
}

static void
a_chunk_is_taken_by_2yz_alone(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n", "y\r\n"},
           .script = IN_CHUNKS "S: 354 more\n"
                               "! over protocol: BDAT: 354 more (in doubt)\n");
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n", "y\r\n"},
           .script = IN_CHUNKS "S: 421 bye\n"
                               "! over refused BDAT 421: BDAT: 421 bye "
                               "(in doubt)\n");
    /* what is taken behind a hole is no message */
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n", "y\r\n"},
           .script = IN_CHUNKS "S: 452 no room\n"
                               "! verdict BDAT 452\n"
                               "S: 250 taken\n"
                               "C: RSET\n"
                               "S: 250 ok\n"
                               "! ready\n" BYE);
}

static void
a_missing_reply_is_waited_for(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1,
           .script = PIPELINED FLIGHT_TO_TWO "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "! rcpt 0 RCPT 250\n"
                                             "! rcpt 1 RCPT 250\n");
    /* or shifts the rest, which does not fit then */
    DIALOG(.mail = &to_two, .mails = 1,
           .script = PIPELINED FLIGHT_TO_TWO "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "S: 354 go\n"
                                             "! rcpt 0 RCPT 250\n"
                                             "! over protocol: RCPT: 354 go\n");
}

static void
an_extra_reply_ends_the_session(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1,
           .script = PIPELINED FLIGHT_TO_TWO "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "! rcpt 0 RCPT 250\n"
                                             "! rcpt 1 RCPT 250\n"
                                             "! over protocol: DATA: 250 ok\n");
    /* The first of the two may have been early, and the second be the answer:
     * not to know is better than to lose. */
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"},
           .is_by_segment = true,
           .script = BEHIND_DOT "S: 250 ok\nS: 550 no\n" TOO_EARLY_IN_DOUBT);
}

static void
a_goodbye_may_come_unasked(void **state)
{
    (void)state;
    DIALOG(.stays = true, .script = HELLO
                          "S: 250 HELP\n! ready\n--\nS: 421 4.4.2 idle\n"
                          "! over refused goodbye 421: goodbye: 421 idle\n");
    DIALOG(.mail = &to_one, .mails = 1, .stalls = true,
           .script = IN_BODY "--\nS: 421 bye\n"
                             "! over refused goodbye 421: goodbye: 421 bye\n");
    /* right behind the verdict, which stands */
    DIALOG(.mail = &to_one, .mails = 1, .pieces = {"x\r\n"}, .stays = true,
           .script = BEHIND_DOT "S: 250 taken\n"
                                "S: 421 one is enough\n"
                                "! verdict end of data 250\n"
                                "! ready\n"
                                "! over refused goodbye 421: goodbye: 421 one "
                                "is enough\n");
    DIALOG(.mail = &to_one, .mails = 2, .pieces = {"x\r\n"},
           .is_by_segment = true,
           .script = BEHIND_DOT "S: 250 taken\n"
                                "S: 421 bye\n"
                                "! verdict end of data 250\n"
                                "! ready\n"
                                "! over refused goodbye 421: goodbye: 421 "
                                "bye\n");
    /* what only begins like one is none */
    DIALOG(.stays = true, .script = HELLO
                          "S: 250 HELP\n! ready\n--\nS: 421-a\nS: 250 b\n"
                          "! over protocol: goodbye: the server does not "
                          "speak SMTP\n");
}

/* The driver does not know of the goodbye yet, and need not. */
static void
nothing_is_sent_into_a_goodbye(void **state)
{
    struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_NEVER);
    struct smtp_client_event ev;

    (void)state;
    (void)smtp_client_feed(c, slice_of("220 hi\r\n"));
    (void)smtp_client_feed(c, slice_of("250 mx\r\n"));
    assert_true(smtp_client_next(c, &ev));
    buf_clear(smtp_client_output(c));
    (void)smtp_client_feed(c, slice_of("42"));
    smtp_client_mail(c, &to_one);
    smtp_client_body(c, slice_of("x\r\n"));
    smtp_client_body_end(c);
    smtp_client_quit(c);
    assert_int_equal(smtp_client_output(c)->len, 0);
    assert_false(smtp_client_next(c, &ev));
    assert_int_equal(smtp_client_wait_s(c), 10);
    (void)smtp_client_feed(c, slice_of("1 bye\r\n"));
    assert_true(smtp_client_next(c, &ev));
    assert_int_equal(ev.kind, SMTP_CLIENT_OVER);
    assert_int_equal(ev.end, SMTP_CLIENT_END_REFUSED);
    assert_false(smtp_client_next(c, &ev));
    smtp_client_free(&c);
}

static void
a_421_ends_the_session_anywhere(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE
           "S: 421 bye\n! over refused MAIL 421: MAIL: 421 bye\n");
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE
           "S: 250 ok\nS: 421 bye\n"
           "! over refused RCPT 421: RCPT: 421 bye\n");
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE
           "S: 250 ok\nS: 250 ok\nS: 421 bye\n"
           "! rcpt 0 RCPT 250\n"
           "! over refused DATA 421: DATA: 421 bye\n");
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE
           "S: 250 ok\nS: 550 ok\nS: 503 no\n"
           "! rcpt 0 RCPT 550\nC: RSET\nS: 421 bye\n"
           "! over refused RSET 421: RSET: 421 bye\n");
}

/* RFC 2920 section 3.1 */
static void
data_for_nobody_gets_a_lone_dot(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1,
           .script = PIPELINED FLIGHT_TO_TWO "S: 250 ok\n"
                                             "S: 550 a\n"
                                             "S: 450 b\n"
                                             "S: 354 odd\n"
                                             "! rcpt 0 RCPT 550\n"
                                             "! rcpt 1 RCPT 450\n"
                                             "C: .\n"
                                             "S: 250 thank you\n"
                                             "! ready\n" BYE);
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE "S: 550 no\n"
                                             "S: 503 no\n"
                                             "S: 354 odd\n"
                                             "! verdict MAIL 550\n"
                                             "C: .\n"
                                             "S: 554 none\n"
                                             "! ready\n" BYE);
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE "S: 250 ok\n"
                                             "S: 550 no\n"
                                             "S: 354 odd\n"
                                             "! rcpt 0 RCPT 550\n"
                                             "C: .\n"
                                             "S: 354 odder\n"
                                             "! over protocol: end of no data: "
                                             "354 odder\n");
}

static void
a_dot_never_mails_nothing_to_somebody(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE "S: 550 not you\n"
                                             "S: 250 ok\n"
                                             "S: 354 go\n"
                                             "! verdict MAIL 550\n"
                                             "! over protocol: DATA: 354 go\n");
}

static void
commands_get_no_reply_of_another_kind(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "S: 250 ok\n"
                                             "! rcpt 0 RCPT 250\n"
                                             "! over protocol: DATA: 250 ok\n");
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE "S: 354 go\n"
                                             "! over protocol: MAIL: 354 go\n");
    DIALOG(.mail = &to_one, .mails = 1,
           .script =
               PIPELINED FLIGHT_TO_ONE "S: 250 ok\n"
                                       "S: 221 bye\n"
                                       "! over protocol: RCPT: 221 bye\n");
    DIALOG(.mail = &to_one, .mails = 1,
           .script = PIPELINED FLIGHT_TO_ONE
           "S: 550 no\nS: 503 no\nS: 503 no\n"
           "! verdict MAIL 550\nC: RSET\nS: 502 what\n"
           "! over protocol RSET 502: RSET: 502 what\n");
}

/* The text goes to logs and reports. */
static void
what_a_server_says_is_cleaned_for_people(void **state)
{
    struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_NEVER);
    static const char bytes[] = "554 \x1b[2J\x9b%n%s\0\x7f\r\n";
    struct slice in = {bytes, sizeof(bytes) - 1};
    struct smtp_client_event ev;

    (void)state;
    (void)smtp_client_feed(c, in);
    assert_true(smtp_client_next(c, &ev));
    assert_non_null(strstr(ev.err->text, "%n%s"));
    for (const char *p = ev.err->text; *p; p++)
        assert_true(*p >= ' ' && *p != 0x7f);
    smtp_client_free(&c);
}

static void
quit_ends_whatever_the_answer(void **state)
{
    (void)state;
    DIALOG(.script = HELLO "S: 250 HELP\n! ready\nC: QUIT\n"
                           "S: 421 bye\n! over quit\n");
    DIALOG(.script = HELLO "S: 250 HELP\n! ready\nC: QUIT\n"
                           "S: 500 what\nS: more\n! over quit\n");
    DIALOG(.script = HELLO "S: 250 HELP\n! ready\nC: QUIT\n"
                           "R: what\n! over quit\n");
}

static void
what_comes_behind_the_end_is_swallowed(void **state)
{
    (void)state;
    DIALOG(.mail = &to_one, .mails = 1,
           .script = "S: 554 no\n"
                     "! over refused greeting 554: greeting: 554 no\n"
                     "--\n"
                     "S: 250 ok\n"
                     "S: 250 ok\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_that_is_no_welcome_ends_the_session),
        cmocka_unit_test(what_is_no_smtp_ends_the_session),
        cmocka_unit_test(a_reply_cut_short_is_waited_for),
        cmocka_unit_test(what_may_answer_ehlo),
        cmocka_unit_test(an_endless_offer_ends_the_session),
        cmocka_unit_test(octets_behind_starttls_end_the_session),
        cmocka_unit_test(octets_during_the_handshake_end_the_session),
        cmocka_unit_test(what_may_answer_starttls),
        cmocka_unit_test(replies_before_their_commands_end_the_session),
        cmocka_unit_test(a_verdict_before_the_dot_is_none),
        cmocka_unit_test(a_chunk_not_sent_is_not_answered),
        cmocka_unit_test(garbage_for_a_verdict_leaves_doubt),
        cmocka_unit_test(only_2yz_is_success),
        cmocka_unit_test(a_chunk_is_taken_by_2yz_alone),
        cmocka_unit_test(a_missing_reply_is_waited_for),
        cmocka_unit_test(an_extra_reply_ends_the_session),
        cmocka_unit_test(a_goodbye_may_come_unasked),
        cmocka_unit_test(nothing_is_sent_into_a_goodbye),
        cmocka_unit_test(a_421_ends_the_session_anywhere),
        cmocka_unit_test(data_for_nobody_gets_a_lone_dot),
        cmocka_unit_test(a_dot_never_mails_nothing_to_somebody),
        cmocka_unit_test(commands_get_no_reply_of_another_kind),
        cmocka_unit_test(what_a_server_says_is_cleaned_for_people),
        cmocka_unit_test(quit_ends_whatever_the_answer),
        cmocka_unit_test(what_comes_behind_the_end_is_swallowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
