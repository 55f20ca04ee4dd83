#include "tests/smtp/dialog.h"

static struct mail_rcpt two_rcpts[] = {
    {.address = "a@example.net", .domain = "example.net"},
    {.address = "b@example.net", .domain = "example.net"},
};
static const struct mail_envelope two = {
    .from = "s@example.org", .rcpt = two_rcpts, .rcpt_count = 2};
static const size_t both[] = {0, 1}, second[] = {1};
static const struct smtp_client_mail to_two = {
    .envelope = &two, .rcpt = both, .rcpt_count = 2, .size = 12};
static const struct smtp_client_mail to_second = {
    .envelope = &two, .rcpt = second, .rcpt_count = 1, .size = 12};

#define HELLO                                                                  \
    "S: 220 hi\n"                                                              \
    "C: EHLO us\n"                                                             \
    "S: 250-mx\n"
#define PIPELINED HELLO "S: 250 PIPELINING\n! ready\n"
#define CHUNKED HELLO "S: 250-PIPELINING\nS: 250 CHUNKING\n! ready\n"
#define FLIGHT                                                                 \
    "C: MAIL FROM:<s@example.org>\n"                                           \
    "C: RCPT TO:<a@example.net>\n"                                             \
    "C: RCPT TO:<b@example.net>\n"                                             \
    "C: DATA\n"
#define CHUNKED_FLIGHT                                                         \
    "C: MAIL FROM:<s@example.org>\n"                                           \
    "C: RCPT TO:<a@example.net>\n"                                             \
    "C: RCPT TO:<b@example.net>\n"
#define BYE                                                                    \
    "C: QUIT\n"                                                                \
    "S: 221 bye\n"                                                             \
    "! over quit\n"

/* RFC 2920 section 3.1 */
static void
all_goes_in_one_flight_where_pipelining_is_offered(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1, .pieces = {"a: b\r\n\r\n.x\r\n"},
           .script = PIPELINED FLIGHT "S: 250 ok\n"
                                      "S: 250 ok\n"
                                      "S: 452 later\n"
                                      "S: 354 go\n"
                                      "! rcpt 0 RCPT 250\n"
                                      "! rcpt 1 RCPT 452\n"
                                      "! body\n"
                                      "C: a: b\n"
                                      "C: \n"
                                      "C: ..x\n"
                                      "C: .\n"
                                      "S: 250-taken\n"
                                      "S: 250 really\n"
                                      "! verdict end of data 250\n"
                                      "! ready\n" BYE);
}

static void
each_command_waits_where_it_is_not(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1, .pieces = {"a: b\r\n", "\r\nx"},
           .script = HELLO "S: 250 8BITMIME\n"
                           "! ready\n"
                           "C: MAIL FROM:<s@example.org>\n"
                           "S: 250 ok\n"
                           "C: RCPT TO:<a@example.net>\n"
                           "S: 550 5.1.1 who\n"
                           "! rcpt 0 RCPT 550\n"
                           "C: RCPT TO:<b@example.net>\n"
                           "S: 251 forwarded\n"
                           "! rcpt 1 RCPT 251\n"
                           "C: DATA\n"
                           "S: 354 go\n"
                           "! body\n"
                           "C: a: b\n"
                           "C: \n"
                           "C: x\n"
                           "C: .\n"
                           "S: 250 taken\n"
                           "! verdict end of data 250\n"
                           "! ready\n" BYE);
}

static void
chunking_without_pipelining_is_left_alone(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 1, .pieces = {"x\r\n"},
           .script = HELLO "S: 250 CHUNKING\n"
                           "! ready\n"
                           "C: MAIL FROM:<s@example.org>\n"
                           "S: 250 ok\n"
                           "C: RCPT TO:<b@example.net>\n"
                           "S: 250 ok\n"
                           "! rcpt 0 RCPT 250\n"
                           "C: DATA\n"
                           "S: 354 go\n"
                           "! body\n"
                           "C: x\n"
                           "C: .\n"
                           "S: 250 taken\n"
                           "! verdict end of data 250\n"
                           "! ready\n" BYE);
}

static void
one_session_carries_several_messages(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 2, .pieces = {".\r\n"},
           .script = PIPELINED "C: MAIL FROM:<s@example.org>\n"
                               "C: RCPT TO:<b@example.net>\n"
                               "C: DATA\n"
                               "S: 250 ok\n"
                               "S: 250 ok\n"
                               "S: 354 go\n"
                               "! rcpt 0 RCPT 250\n"
                               "! body\n"
                               "C: ..\n"
                               "C: .\n"
                               "S: 554 no\n"
                               "! verdict end of data 554\n"
                               "! ready\n"
                               "C: MAIL FROM:<s@example.org>\n"
                               "C: RCPT TO:<b@example.net>\n"
                               "C: DATA\n"
                               "S: 250 ok\n"
                               "S: 250 ok\n"
                               "S: 354 go\n"
                               "! rcpt 0 RCPT 250\n"
                               "! body\n"
                               "C: ..\n"
                               "C: .\n"
                               "S: 250 taken\n"
                               "! verdict end of data 250\n"
                               "! ready\n" BYE);
}

/* RFC 3030 section 2 */
static void
a_message_in_one_piece_is_one_chunk(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1, .pieces = {".x\r\n"},
           .script = CHUNKED CHUNKED_FLIGHT "S: 250 ok\n"
                                            "S: 550 who\n"
                                            "S: 250 ok\n"
                                            "! rcpt 0 RCPT 550\n"
                                            "! rcpt 1 RCPT 250\n"
                                            "! body\n"
                                            "C: BDAT 4 LAST\n"
                                            "C: .x\n"
                                            "S: 250 taken\n"
                                            "! verdict BDAT LAST 250\n"
                                            "! ready\n" BYE);
}

static void
pieces_are_chunks_and_the_last_of_them_is_last(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1, .pieces = {"a\r\n", "bc\r\n", "d\r\n"},
           .script = CHUNKED CHUNKED_FLIGHT "S: 250 ok\n"
                                            "S: 250 ok\n"
                                            "S: 250 ok\n"
                                            "! rcpt 0 RCPT 250\n"
                                            "! rcpt 1 RCPT 250\n"
                                            "! body\n"
                                            "C: BDAT 3\n"
                                            "C: a\n"
                                            "C: BDAT 4\n"
                                            "C: bc\n"
                                            "C: BDAT 3 LAST\n"
                                            "C: d\n"
                                            "S: 250 3 octets\n"
                                            "S: 250 4 octets\n"
                                            "S: 250 taken\n"
                                            "! verdict BDAT LAST 250\n"
                                            "! ready\n" BYE);
}

static void
a_message_of_nothing_is_an_empty_last_chunk(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 1,
           .script = CHUNKED "C: MAIL FROM:<s@example.org>\n"
                             "C: RCPT TO:<b@example.net>\n"
                             "S: 250 ok\n"
                             "S: 250 ok\n"
                             "! rcpt 0 RCPT 250\n"
                             "! body\n"
                             "C: BDAT 0 LAST\n"
                             "S: 250 taken\n"
                             "! verdict BDAT LAST 250\n"
                             "! ready\n" BYE);
}

static void
a_refused_chunk_is_the_verdict_and_needs_rset(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 1, .pieces = {"a\r\n", "b\r\n"},
           .script = CHUNKED "C: MAIL FROM:<s@example.org>\n"
                             "C: RCPT TO:<b@example.net>\n"
                             "S: 250 ok\n"
                             "S: 250 ok\n"
                             "! rcpt 0 RCPT 250\n"
                             "! body\n"
                             "C: BDAT 3\n"
                             "C: a\n"
                             "C: BDAT 3 LAST\n"
                             "C: b\n"
                             "S: 552 too much\n"
                             "! verdict BDAT 552\n"
                             "S: 503 no\n"
                             "C: RSET\n"
                             "S: 250 ok\n"
                             "! ready\n" BYE);
}

static void
a_chunk_refused_in_mid_body_ends_the_body(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 1, .pieces = {"a\r\n", "b\r\n"},
           .stalls = true,
           .script = CHUNKED "C: MAIL FROM:<s@example.org>\n"
                             "C: RCPT TO:<b@example.net>\n"
                             "S: 250 ok\n"
                             "S: 250 ok\n"
                             "! rcpt 0 RCPT 250\n"
                             "! body\n"
                             "C: BDAT 3\n"
                             "C: a\n"
                             "S: 452 no room\n"
                             "! verdict BDAT 452\n"
                             "C: RSET\n"
                             "S: 250 ok\n"
                             "! ready\n" BYE);
}

static void
a_refused_last_chunk_needs_rset_too(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 1, .pieces = {"a\r\n"},
           .script = CHUNKED "C: MAIL FROM:<s@example.org>\n"
                             "C: RCPT TO:<b@example.net>\n"
                             "S: 250 ok\n"
                             "S: 250 ok\n"
                             "! rcpt 0 RCPT 250\n"
                             "! body\n"
                             "C: BDAT 3 LAST\n"
                             "C: a\n"
                             "S: 554 spam\n"
                             "! verdict BDAT LAST 554\n"
                             "C: RSET\n"
                             "S: 250 ok\n"
                             "! ready\n" BYE);
}

static void
a_refused_sender_is_one_verdict(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1,
           .script = PIPELINED FLIGHT "S: 550 5.7.1 not you\n"
                                      "S: 503 no\n"
                                      "S: 503 no\n"
                                      "S: 503 no\n"
                                      "! verdict MAIL 550\n"
                                      "C: RSET\n"
                                      "S: 250 ok\n"
                                      "! ready\n" BYE);
    DIALOG(.mail = &to_two, .mails = 1,
           .script = HELLO "S: 250 HELP\n"
                           "! ready\n"
                           "C: MAIL FROM:<s@example.org>\n"
                           "S: 451 not now\n"
                           "! verdict MAIL 451\n"
                           "C: RSET\n"
                           "S: 250 ok\n"
                           "! ready\n" BYE);
    DIALOG(.mail = &to_two, .mails = 1,
           .script = CHUNKED CHUNKED_FLIGHT "S: 550 not you\n"
                                            "S: 250 careless\n"
                                            "S: 503 no\n"
                                            "! verdict MAIL 550\n"
                                            "C: RSET\n"
                                            "S: 250 ok\n"
                                            "! ready\n" BYE);
}

/* No VERDICT: each recipient has its own refusal, there is nobody to tell. */
static void
refused_recipients_do_not_stall(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1,
           .script = PIPELINED FLIGHT "S: 250 ok\n"
                                      "S: 550 who\n"
                                      "S: 451 later\n"
                                      "S: 554 nobody\n"
                                      "! rcpt 0 RCPT 550\n"
                                      "! rcpt 1 RCPT 451\n"
                                      "C: RSET\n"
                                      "S: 250 ok\n"
                                      "! ready\n" BYE);
    DIALOG(.mail = &to_second, .mails = 1,
           .script = HELLO "S: 250 HELP\n"
                           "! ready\n"
                           "C: MAIL FROM:<s@example.org>\n"
                           "S: 250 ok\n"
                           "C: RCPT TO:<b@example.net>\n"
                           "S: 550 who\n"
                           "! rcpt 0 RCPT 550\n"
                           "C: RSET\n"
                           "S: 250 ok\n"
                           "! ready\n" BYE);
    DIALOG(.mail = &to_second, .mails = 1,
           .script = CHUNKED "C: MAIL FROM:<s@example.org>\n"
                             "C: RCPT TO:<b@example.net>\n"
                             "S: 250 ok\n"
                             "S: 550 who\n"
                             "! rcpt 0 RCPT 550\n"
                             "C: RSET\n"
                             "S: 250 ok\n"
                             "! ready\n" BYE);
}

static void
refused_data_is_the_verdict_of_who_was_accepted(void **state)
{
    (void)state;
    DIALOG(.mail = &to_two, .mails = 1,
           .script = PIPELINED FLIGHT "S: 250 ok\n"
                                      "S: 250 ok\n"
                                      "S: 550 who\n"
                                      "S: 451 no room\n"
                                      "! rcpt 0 RCPT 250\n"
                                      "! rcpt 1 RCPT 550\n"
                                      "! verdict DATA 451\n"
                                      "C: RSET\n"
                                      "S: 250 ok\n"
                                      "! ready\n" BYE);
}

static void
what_the_server_cannot_carry_is_refused_here(void **state)
{
    static const struct smtp_client_mail large = {
        .envelope = &two, .rcpt = both, .rcpt_count = 2, .size = 101};

    (void)state;
    DIALOG(.mail = &large, .mails = 1,
           .script = HELLO "S: 250 SIZE 100\n"
                           "! ready\n"
                           "! verdict ours MAIL 552\n"
                           "! ready\n" BYE);
}

static void
a_server_without_ehlo_gets_helo(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 1, .pieces = {"x\r\n"},
           .tls = SMTP_CLIENT_TLS_OFFERED,
           .script = "S: 220 hi\n"
                     "C: EHLO us\n"
                     "S: 502 what\n"
                     "C: HELO us\n"
                     "S: 250-mx\n"
                     "S: 250-PIPELINING\n"
                     "S: 250 STARTTLS\n"
                     "! ready\n"
                     "C: MAIL FROM:<s@example.org>\n"
                     "S: 250 ok\n"
                     "C: RCPT TO:<b@example.net>\n"
                     "S: 250 ok\n"
                     "! rcpt 0 RCPT 250\n"
                     "C: DATA\n"
                     "S: 354 go\n"
                     "! body\n"
                     "C: x\n"
                     "C: .\n"
                     "S: 250 taken\n"
                     "! verdict end of data 250\n"
                     "! ready\n" BYE);
}

/* RFC 3207 section 4.2: only what is said inside TLS counts. */
static void
what_was_offered_in_clear_is_forgotten(void **state)
{
    (void)state;
    DIALOG(.mail = &to_second, .mails = 1, .pieces = {"x\r\n"},
           .tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = HELLO "S: 250-PIPELINING\n"
                           "S: 250-SIZE 1\n"
                           "S: 250 STARTTLS\n"
                           "C: STARTTLS\n"
                           "S: 220 go\n"
                           "! start-tls\n"
                           "C: EHLO us\n"
                           "S: 250 mx\n"
                           "! ready\n"
                           "C: MAIL FROM:<s@example.org>\n"
                           "S: 250 ok\n"
                           "C: RCPT TO:<b@example.net>\n"
                           "S: 250 ok\n"
                           "! rcpt 0 RCPT 250\n"
                           "C: DATA\n"
                           "S: 354 go\n"
                           "! body\n"
                           "C: x\n"
                           "C: .\n"
                           "S: 250 taken\n"
                           "! verdict end of data 250\n"
                           "! ready\n" BYE);
}

static void
inside_tls_it_is_not_started_again(void **state)
{
    (void)state;
    DIALOG(.tls = SMTP_CLIENT_TLS_REQUIRED, .script = HELLO "S: 250 STARTTLS\n"
                                                            "C: STARTTLS\n"
                                                            "S: 220 go\n"
                                                            "! start-tls\n"
                                                            "C: EHLO us\n"
                                                            "S: 250-mx\n"
                                                            "S: 250 STARTTLS\n"
                                                            "! ready\n" BYE);
    /* nor does a server without EHLO lose what TLS gave */
    DIALOG(.tls = SMTP_CLIENT_TLS_REQUIRED, .script = HELLO "S: 250 STARTTLS\n"
                                                            "C: STARTTLS\n"
                                                            "S: 220 go\n"
                                                            "! start-tls\n"
                                                            "C: EHLO us\n"
                                                            "S: 500 what\n"
                                                            "C: HELO us\n"
                                                            "S: 250 mx\n"
                                                            "! ready\n" BYE);
}

static void
tls_is_taken_as_asked(void **state)
{
    (void)state;
    DIALOG(.tls = SMTP_CLIENT_TLS_NEVER,
           .script = HELLO "S: 250 STARTTLS\n! ready\n" BYE);
    DIALOG(.tls = SMTP_CLIENT_TLS_OFFERED,
           .script = HELLO "S: 250 HELP\n! ready\n" BYE);
    DIALOG(.tls = SMTP_CLIENT_TLS_OFFERED, .script = HELLO "S: 250 STARTTLS\n"
                                                           "C: STARTTLS\n"
                                                           "S: 454 not now\n"
                                                           "! ready\n" BYE);
    DIALOG(.tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = HELLO "S: 250 HELP\n"
                           "! over no-starttls: the server does not offer "
                           "STARTTLS\n");
    DIALOG(.tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = HELLO "S: 250 STARTTLS\n"
                           "C: STARTTLS\n"
                           "S: 454 4.7.0 not now\n"
                           "! over no-starttls STARTTLS 454: STARTTLS: 454 "
                           "not now\n");
    DIALOG(.tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = "S: 220 hi\n"
                     "C: EHLO us\n"
                     "S: 502 what\n"
                     "! over no-starttls EHLO 502: EHLO: 502 what\n");
    DIALOG(.tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = "S: 220 hi\n"
                     "C: EHLO us\n"
                     "S: 550 go away\n"
                     "! over refused EHLO 550: EHLO: 550 go away\n");
}

/* Cuts by hand what the dialogs do not show. */
static void
hear(struct smtp_client *c, const char *bytes)
{
    struct slice in = slice_of(bytes);
    struct smtp_client_event ev;

    while (in.len > 0) {
        in = slice_from(in, smtp_client_feed(c, in));
        while (smtp_client_next(c, &ev))
            continue;
    }
}

/* RFC 5321 section 4.5.3.2 */
static void
says_how_long_and_for_what_it_waits(void **state)
{
    struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_OFFERED);
    unsigned turn;

    (void)state;
    assert_int_equal(smtp_client_wait_s(c), 300);
    assert_string_equal(smtp_client_step(c), "greeting");
    turn = smtp_client_wait_turn(c);
    hear(c, "220 ");
    assert_int_equal(smtp_client_wait_turn(c), turn);
    hear(c, "hi\r\n");
    assert_int_not_equal(smtp_client_wait_turn(c), turn);
    assert_string_equal(smtp_client_step(c), "EHLO");
    hear(c, "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
    assert_int_equal(smtp_client_wait_s(c), 120);
    hear(c, "220 go\r\n");
    assert_int_equal(smtp_client_wait_s(c), 60);
    assert_string_equal(smtp_client_step(c), "TLS handshake");
    assert_true(smtp_client_capability(c)->pipelining);
    smtp_client_tls_up(c);
    assert_false(smtp_client_capability(c)->pipelining);
    hear(c, "250-mx\r\n250 PIPELINING\r\n");
    assert_int_equal(smtp_client_wait_s(c), 0);
    assert_string_equal(smtp_client_step(c), "idle");
    smtp_client_mail(c, &to_second);
    assert_string_equal(smtp_client_step(c), "MAIL");
    hear(c, "250 ok\r\n");
    assert_string_equal(smtp_client_step(c), "RCPT");
    hear(c, "250 ok\r\n");
    assert_int_equal(smtp_client_wait_s(c), 120);
    hear(c, "354 go\r\n");
    assert_int_equal(smtp_client_wait_s(c), 180);
    assert_string_equal(smtp_client_step(c), "body");
    assert_false(smtp_client_is_in_doubt(c));
    smtp_client_body_end(c);
    assert_int_equal(smtp_client_wait_s(c), 600);
    assert_true(smtp_client_is_in_doubt(c));
    hear(c, "250 ok\r\n");
    assert_false(smtp_client_is_in_doubt(c));
    smtp_client_quit(c);
    assert_int_equal(smtp_client_wait_s(c), 2);
    hear(c, "221 bye\r\n");
    assert_string_equal(smtp_client_step(c), "end");
    assert_int_equal(smtp_client_wait_s(c), 0);
    smtp_client_free(&c);
    smtp_client_free(&c);
}

static void
shows_what_the_server_offers(void **state)
{
    struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_NEVER);

    (void)state;
    hear(c, "220 hi\r\n");
    hear(c, "250-mx.example.net at your service\r\n250 SIZE 7\r\n");
    assert_string_equal(smtp_client_capability(c)->name, "mx.example.net");
    assert_int_equal(smtp_client_capability(c)->size_max, 7);
    assert_false(smtp_client_capability(c)->pipelining);
    smtp_client_free(&c);
}

/* A peer that swallows chunks and never answers costs a counter. */
static void
unanswered_chunks_take_no_memory(void **state)
{
    struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_NEVER);

    (void)state;
    hear(c, "220 hi\r\n");
    hear(c, "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
    smtp_client_mail(c, &to_second);
    hear(c, "250 ok\r\n250 ok\r\n");
    for (int i = 0; i < 5000; i++) {
        smtp_client_body(c, slice_of("x\r\n"));
        buf_clear(smtp_client_output(c));
    }
    smtp_client_body_end(c);
    for (int i = 0; i < 4999; i++)
        hear(c, "250 ok\r\n");
    assert_true(smtp_client_is_in_doubt(c));
    hear(c, "250 taken\r\n");
    assert_false(smtp_client_is_in_doubt(c));
    assert_string_equal(smtp_client_step(c), "idle");
    smtp_client_free(&c);
}

static void
a_hundred_recipients_go_in_one_flight(void **state)
{
    struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_NEVER);
    size_t rcpt[SMTP_CLIENT_RCPT_MAX] = {0};
    struct smtp_client_mail m = to_two;

    (void)state;
    m.rcpt = rcpt;
    m.rcpt_count = SMTP_CLIENT_RCPT_MAX;
    hear(c, "220 hi\r\n");
    hear(c, "250-mx\r\n250 PIPELINING\r\n");
    smtp_client_mail(c, &m);
    hear(c, "250 ok\r\n");
    for (int i = 0; i < SMTP_CLIENT_RCPT_MAX; i++)
        hear(c, i % 2 ? "250 ok\r\n" : "550 who\r\n");
    assert_string_equal(smtp_client_step(c), "DATA");
    hear(c, "354 go\r\n");
    assert_string_equal(smtp_client_step(c), "body");
    smtp_client_free(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_goes_in_one_flight_where_pipelining_is_offered),
        cmocka_unit_test(each_command_waits_where_it_is_not),
        cmocka_unit_test(chunking_without_pipelining_is_left_alone),
        cmocka_unit_test(one_session_carries_several_messages),
        cmocka_unit_test(a_message_in_one_piece_is_one_chunk),
        cmocka_unit_test(pieces_are_chunks_and_the_last_of_them_is_last),
        cmocka_unit_test(a_message_of_nothing_is_an_empty_last_chunk),
        cmocka_unit_test(a_refused_chunk_is_the_verdict_and_needs_rset),
        cmocka_unit_test(a_chunk_refused_in_mid_body_ends_the_body),
        cmocka_unit_test(a_refused_last_chunk_needs_rset_too),
        cmocka_unit_test(a_refused_sender_is_one_verdict),
        cmocka_unit_test(refused_recipients_do_not_stall),
        cmocka_unit_test(refused_data_is_the_verdict_of_who_was_accepted),
        cmocka_unit_test(what_the_server_cannot_carry_is_refused_here),
        cmocka_unit_test(a_server_without_ehlo_gets_helo),
        cmocka_unit_test(what_was_offered_in_clear_is_forgotten),
        cmocka_unit_test(inside_tls_it_is_not_started_again),
        cmocka_unit_test(tls_is_taken_as_asked),
        cmocka_unit_test(says_how_long_and_for_what_it_waits),
        cmocka_unit_test(shows_what_the_server_offers),
        cmocka_unit_test(unanswered_chunks_take_no_memory),
        cmocka_unit_test(a_hundred_recipients_go_in_one_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
