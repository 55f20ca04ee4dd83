#include "server_dialog.h"

#define ALL                                                                    \
    {                                                                          \
        .auth = SMTP_SASL_SERVER_ALL, .is_tls = true                           \
    }
#define PLAIN_RIGHT "AHRpbQByaWdodA==" /* \0tim\0right */
#define PLAIN_WRONG "AHRpbQB3cm9uZw==" /* \0tim\0wrong */
#define SCRAM_FIRST "biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8="
#define SCRAM_SERVER_FIRST                                                     \
    "cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGop"             \
    "aE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY="
#define SCRAM_FINAL                                                            \
    "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0Fm"             \
    "dXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empm"             \
    "TUhnc3FtbWl6N0FuZFZRPQ=="
#define SCRAM_WRONG                                                            \
    "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0Fm"             \
    "dXhGSWxqKWhObEYkazAscD1lSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empm"             \
    "TUhnc3FtbWl6N0FuZFZRPQ=="
#define SCRAM_SERVER_FINAL                                                     \
    "dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="

#define WELCOME "235 2.7.0 welcome\n"

/* --- what is offered --- */

static void
expect_offer(const struct smtp_server_config *config, const uint8_t *binding,
             const char *want)
{
    struct smtp_server *s = new_server(config);
    const char *reply, *at;

    if (binding)
        smtp_server_bind(s, binding);
    reply = ehlo_reply(s);
    at = strstr(reply, "250-AUTH");
    if (want) {
        assert_non_null(at);
        assert_int_equal(strncmp(at, want, strlen(want)), 0);
    } else {
        assert_null(at);
    }
    smtp_server_free(&s);
}

/* FAULTS A35 */
static void
auth_is_offered_only_where_it_can_be_used(void **state)
{
    static const uint8_t binding[SMTP_SASL_BINDING] = {1};
    struct smtp_server_config config = {0};

    (void)state;
    expect_offer(&config, NULL, NULL);
    config.is_tls = true;
    expect_offer(&config, NULL, NULL);
    config.auth = SMTP_SASL_SERVER_ALL;
    expect_offer(&config, NULL, "250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n");
    expect_offer(&config, binding,
                 "250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n");
    config.auth = SMTP_SASL_BIT(SMTP_SASL_PLAIN);
    expect_offer(&config, binding, "250-AUTH PLAIN\r\n");
    config.is_tls = false;
    config.offer_starttls = true;
    expect_offer(&config, NULL, NULL);
    config.auth_in_clear = true;
    expect_offer(&config, NULL, "250-AUTH PLAIN\r\n");
}

static void
auth_in_clear_is_refused_before_it_is_read(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("AUTH PLAIN !!!!\r\n",
                 "538 5.7.11 No passwords in clear: turn on STARTTLS\n"),
            SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
                 "538 5.7.11 No passwords in clear: turn on STARTTLS\n"),
            SAYS("AUTH\r\n",
                 "538 5.7.11 No passwords in clear: turn on STARTTLS\n"),
            SAYS("STARTTLS\r\n", "! start-tls\n220 2.0.0 Go ahead\n"), EHLO,
            SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
                 "! auth PLAIN tim with right\n" WELCOME)},
           .config = {.auth = SMTP_SASL_SERVER_ALL, .offer_starttls = true});
    DIALOG({EHLO, SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
                       "502 5.5.1 AUTH is not offered: set no name "
                       "and password\n")});
}

/* --- exchanges --- */

static void
plain_comes_with_the_command_or_behind_it(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
                 "! auth PLAIN tim with right\n" WELCOME),
            MAIL, RCPT, DATA,
            SAYS("x\r\n.\r\n", "! end x|\n250 2.0.0 queued\n"), QUIT},
           .config = ALL);
    DIALOG({EHLO, SAYS("auth plain\r\n", "334 \n"),
            SAYS(PLAIN_RIGHT "\r\n", "! auth PLAIN tim with right\n" WELCOME),
            QUIT},
           .config = ALL);
    DIALOG({EHLO,
            SAYS("AUTH PLAIN b3RoZXIAdGltAHJpZ2h0\r\n",
                 "! auth PLAIN tim with right, but authorization as somebody "
                 "else\n535 5.7.8 no\n")},
           .config = ALL);
}

static void
login_asks_twice(void **state)
{
    (void)state;
    DIALOG({EHLO, SAYS("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\n"),
            SAYS("dGlt\r\n", "334 UGFzc3dvcmQ6\n"),
            SAYS("cmlnaHQ=\r\n", "! auth LOGIN tim with right\n" WELCOME)},
           .config = ALL);
    DIALOG({EHLO, SAYS("AUTH LOGIN dGlt\r\n", "334 UGFzc3dvcmQ6\n"),
            SAYS("cmlnaHQ=\r\n", "! auth LOGIN tim with right\n" WELCOME)},
           .config = ALL);
}

/* RFC 7677 section 3; RFC 4954 section 4 has the last message of a server come
 * as a challenge. */
static void
scram_ends_with_an_empty_response(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("AUTH SCRAM-SHA-256 " SCRAM_FIRST "\r\n",
                 "! verifier user\n334 " SCRAM_SERVER_FIRST "\n"),
            SAYS(SCRAM_FINAL "\r\n", "334 " SCRAM_SERVER_FINAL "\n"),
            SAYS("\r\n", "! auth SCRAM-SHA-256 user proven\n" WELCOME), MAIL},
           .config = ALL);
    DIALOG({EHLO, SAYS("AUTH SCRAM-SHA-256\r\n", "334 \n"),
            SAYS(SCRAM_FIRST "\r\n",
                 "! verifier user\n334 " SCRAM_SERVER_FIRST "\n"),
            SAYS(SCRAM_FINAL "\r\n", "334 " SCRAM_SERVER_FINAL "\n"),
            SAYS("*\r\n", "501 5.7.0 Cancelled\n"), MAIL},
           .config = ALL);
    DIALOG(
        {EHLO,
         SAYS("AUTH SCRAM-SHA-256 " SCRAM_FIRST "\r\n",
              "! verifier user\n334 " SCRAM_SERVER_FIRST "\n"),
         SAYS(SCRAM_WRONG "\r\n", "! auth SCRAM-SHA-256 user\n535 5.7.8 no\n"),
         SAYS("AUTH SCRAM-SHA-256 biwsbj1sYXRlcixyPXg=\r\n",
              "! verifier later\n454 4.7.0 later\n")},
        .config = ALL);
}

static void
plus_is_there_once_tls_gives_a_binding(void **state)
{
    static const uint8_t binding[SMTP_SASL_BINDING] = {1};

    (void)state;
    DIALOG(
        {EHLO, SAYS("AUTH SCRAM-SHA-256-PLUS\r\n", "504 5.5.4 Not offered\n")},
        .config = ALL);
    DIALOG({EHLO, SAYS("STARTTLS\r\n", "! start-tls\n220 2.0.0 Go ahead\n"),
            EHLO,
            SAYS("AUTH SCRAM-SHA-256 eSwsbj11c2VyLHI9eA==\r\n",
                 "! auth SCRAM-SHA-256 , but the offer of -PLUS got lost\n"
                 "535 5.7.8 no\n"),
            SAYS("AUTH SCRAM-SHA-256-PLUS " SCRAM_FIRST "\r\n",
                 "501 5.5.2 Not a message of this mechanism\n"),
            SAYS("AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49dXNlcixyPXg="
                 "\r\n",
                 "! verifier user\n334 cj14JWh2WURwV1VhMlJhVENBZnV4RklsailoTmxG"
                 "JGswLHM9VzIyWmFKMFNOWTdzb0VzVUVqYjZnUT09LGk9NDA5Ng==\n"),
            SAYS("*\r\n", "501 5.7.0 Cancelled\n")},
           .config = {.auth = SMTP_SASL_SERVER_ALL, .offer_starttls = true},
           .binding = binding);
}

static void
an_empty_initial_response_is_an_equals_sign(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("AUTH PLAIN =\r\n",
                 "501 5.5.2 Not a message of this mechanism\n"),
            SAYS("AUTH PLAIN\r\n", "334 \n"),
            SAYS("=\r\n", "501 5.5.2 Not base64\n"),
            SAYS("AUTH PLAIN\r\n", "334 \n"),
            SAYS("\r\n", "501 5.5.2 Not a message of this mechanism\n"),
            SAYS("NOOP\r\n", "250 2.0.0 OK\n")},
           .config = ALL);
}

/* FAULTS A81, A84 */
static void
what_is_no_response_ends_the_exchange(void **state)
{
    static const char *const bad[] = {
        "====", "A", "AA", "A===", "A A=", "AA==A", "A\tA=", "Zh=="};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf line = {0};
        struct dialog d = {{EHLO,
                            SAYS("AUTH PLAIN\r\n", "334 \n"),
                            {NULL, 0, "501 5.5.2 Not base64\n"},
                            SAYS("MAIL FROM:<a@b.example>\r\n",
                                 "! mail a@b.example\n250 2.1.0 yes\n")},
                           .config = ALL};

        buf_printf(&line, "%s\r\n", bad[i]);
        d.steps[2].in = buf_text(&line);
        d.steps[2].len = line.len;
        play_all(&d);
        buf_free(&line);
    }
    DIALOG({EHLO, SAYS("AUTH\r\n", "501 5.5.4 AUTH wants a mechanism\n"),
            SAYS("AUTH CRAM-MD5\r\n", "504 5.5.4 Not offered\n"),
            SAYS("AUTH XOAUTH2 eA==\r\n", "504 5.5.4 Not offered\n"),
            SAYS("AUTH PLAIN *\r\n", "501 5.5.2 Not base64\n"),
            SAYS("AUTH PLAIN\r\n", "334 \n"),
            SAYS("*\r\n", "501 5.7.0 Cancelled\n"),
            SAYS("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\n"),
            SAYS("dGlt\r\n", "334 UGFzc3dvcmQ6\n"),
            SAYS("*\r\n", "501 5.7.0 Cancelled\n"),
            SAYS("RCPT TO:<c@d.example>\r\n", "503 5.5.1 MAIL first\n")},
           .config = ALL);
}

/* FAULTS A84 */
static void
auth_is_for_once_and_not_for_the_middle_of_a_message(void **state)
{
    (void)state;
    DIALOG(
        {SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n", "503 5.5.1 EHLO first\n"),
         SAYS("HELO c.example\r\n", "250 mx.example\n"),
         SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n", "503 5.5.1 AUTH wants EHLO\n"),
         EHLO, MAIL,
         SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
              "503 5.5.1 A message is under way\n"),
         SAYS("RSET\r\n", "250 2.0.0 OK\n"),
         SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
              "! auth PLAIN tim with right\n" WELCOME),
         SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
              "503 5.5.1 You are authenticated\n"),
         EHLO,
         SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
              "503 5.5.1 You are authenticated\n")},
        .config = ALL);
}

/* FAULTS A33: it would have to be forgotten (RFC 3207 section 4.2). */
static void
starttls_is_refused_behind_auth(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\n",
                 "! auth PLAIN tim with right\n" WELCOME),
            SAYS("STARTTLS\r\n", "503 5.5.1 You are authenticated\n")},
           .config = {.auth = SMTP_SASL_SERVER_ALL,
                      .offer_starttls = true,
                      .auth_in_clear = true});
}

static void
who_has_logged_in_is_known_until_the_end(void **state)
{
    struct smtp_server_config config = ALL;
    struct smtp_server *s = new_server(&config);
    struct dialog d = {.config = config};
    struct play p = {.d = &d, .s = s};

    (void)state;
    smtp_server_greet(s, NULL);
    hear(&p, slice_of("EHLO c\r\nAUTH PLAIN " PLAIN_WRONG "\r\n"));
    assert_true(p.is_over); /* EHLO ends a group */
    smtp_server_free(&s);
    buf_free(&p.log);

    p = (struct play){.d = &d, .s = s = new_server(&config)};
    smtp_server_greet(s, NULL);
    hear(&p, slice_of("EHLO c\r\n"));
    hear(&p, slice_of("AUTH PLAIN " PLAIN_WRONG "\r\n"));
    assert_null(smtp_server_user(s));
    hear(&p, slice_of("AUTH PLAIN " PLAIN_RIGHT "\r\n"));
    assert_string_equal(smtp_server_user(s), "tim");
    hear(&p, slice_of("RSET\r\nEHLO d\r\n"));
    assert_string_equal(smtp_server_user(s), "tim");
    smtp_server_free(&s);
    buf_free(&p.log);
}

/* --- limits --- */

static void
the_third_wrong_password_ends_the_session(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("AUTH PLAIN " PLAIN_WRONG "\r\n",
                 "! auth PLAIN tim with wrong\n535 5.7.8 no\n"),
            SAYS("AUTH PLAIN AHRpbQBsYXRlcg==\r\n",
                 "! auth PLAIN tim with later\n454 4.7.0 later\n"),
            SAYS("AUTH PLAIN " PLAIN_WRONG "\r\n",
                 "! auth PLAIN tim with wrong\n535 5.7.8 no\n"),
            SAYS("AUTH PLAIN " PLAIN_WRONG "\r\n",
                 "! auth PLAIN tim with wrong\n! over failed logins\n"
                 "535 5.7.8 no\n421 4.7.0 Too many failed logins\n")},
           .config = ALL);
    DIALOG({EHLO, SAYS("AUTH PLAIN AHRpbQBmbG9vZA==\r\n",
                       "! auth PLAIN tim with flood\n! over too many logins\n"
                       "421 4.7.0 go away\n")},
           .config = ALL);
}

static void
nothing_may_follow_the_command_before_its_reply(void **state)
{
    (void)state;
    DIALOG(
        {EHLO, SAYS("AUTH PLAIN " PLAIN_RIGHT "\r\nMAIL FROM:<a@b.example>\r\n",
                    "! over pipelining where it is not allowed\n"
                    "503 5.5.0 Wait for the reply first\n")},
        .config = ALL, .is_rude = true);
}

/* One response of this many octets, CRLF and all; the reply to it. */
static void
expect_length(size_t len, const char *want)
{
    struct smtp_server_config config = ALL;
    struct dialog d = {.config = config};
    struct play p = {.d = &d, .s = new_server(&config)};
    struct buf line = {0};

    smtp_server_greet(p.s, NULL);
    hear(&p, slice_of("EHLO c\r\n"));
    hear(&p, slice_of("AUTH PLAIN\r\n"));
    buf_clear(&p.log);
    while (line.len + 2 < len)
        buf_add_byte(&line, 'A');
    buf_add_text(&line, "\r\n");
    hear(&p, buf_slice(&line));
    if (!strstr(buf_text(&p.log), want))
        fail_msg("%zu: %s", len, buf_text(&p.log));
    buf_free(&line);
    buf_free(&p.log);
    buf_free(&p.body);
    smtp_server_free(&p.s);
}

/* FAULTS A81; RFC 4954 section 6. */
static void
a_response_has_at_most_12288_octets(void **state)
{
    (void)state;
    expect_length(12286, "501 5.5.2 Not a message of this mechanism\n");
    expect_length(12287, "501 5.5.2 Not base64\n");
    expect_length(12288, "501 5.5.2 Not base64\n");
    expect_length(12289, "! over line of AUTH too long\n500 5.5.6 ");
    expect_length(1000000, "! over line of AUTH too long\n500 5.5.6 ");
    DIALOG({EHLO, SAYS("AUTH PLAIN\r\n", "334 \n"),
            SAYS(PLAIN_RIGHT "\n", "! over bare CR or LF in AUTH\n"
                                   "500 5.5.2 Lines end in CRLF\n")},
           .config = ALL);
}

/* A name of 64 KB can't come; one of 9 KB can, and stays what it is. */
static void
a_name_is_whatever_octets_it_is(void **state)
{
    (void)state;
    DIALOG({EHLO, SAYS("AUTH PLAIN AGENCjI1MCBvawB4\r\n",
                       "! auth PLAIN a\r\n250 ok with x\n535 5.7.8 no\n")},
           .config = ALL);
}

/* A response is no body, and the time for it is that of a command. */
static void
an_exchange_has_the_time_of_a_command(void **state)
{
    struct smtp_server_config config = ALL;
    struct dialog d = {.config = config};
    struct play p = {.d = &d, .s = new_server(&config)};

    (void)state;
    smtp_server_greet(p.s, NULL);
    hear(&p, slice_of("EHLO c\r\n"));
    hear(&p, slice_of("AUTH PLAIN\r\n"));
    assert_false(smtp_server_is_in_body(p.s));
    assert_false(smtp_server_is_idle(p.s));
    assert_int_equal(smtp_server_wait_ms(p.s), 300 * 1000);
    hear(&p, slice_of("AA"));
    assert_int_equal(smtp_server_wait_ms(p.s), 60 * 1000);
    smtp_server_timeout(p.s);
    attend(&p, (struct slice){0});
    assert_true(p.is_over);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

/* --- the parameter of MAIL: RFC 4954 section 5 --- */

/* FAULTS A78 */
static void
who_is_said_to_have_written_it_is_read_and_passed_over(void **state)
{
    (void)state;
    DIALOG({EHLO,
            SAYS("MAIL FROM:<a@b.example> AUTH=<>\r\n",
                 "! mail a@b.example\n250 2.1.0 yes\n"),
            SAYS("RSET\r\n", "250 2.0.0 OK\n"),
            SAYS("MAIL FROM:<a@b.example> AUTH=e+3Dmc2@example.com\r\n",
                 "! mail a@b.example\n250 2.1.0 yes\n"),
            SAYS("RSET\r\n", "250 2.0.0 OK\n"),
            SAYS("MAIL FROM:<a@b.example> AUTH=a+0Ab\r\n",
                 "501 5.5.4 AUTH is <> or a mailbox in xtext\n"),
            SAYS("MAIL FROM:<a@b.example> AUTH=<> AUTH=<>\r\n",
                 "501 5.5.4 The same parameter twice\n"),
            SAYS("MAIL FROM:<a@b.example> AUTH\r\n",
                 "501 5.5.4 The parameter wants a value\n")},
           .config = ALL);
    DIALOG({EHLO, SAYS("MAIL FROM:<a@b.example> AUTH=<>\r\n",
                       "555 5.5.4 AUTH is not offered\n")});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_is_offered_only_where_it_can_be_used),
        cmocka_unit_test(auth_in_clear_is_refused_before_it_is_read),
        cmocka_unit_test(plain_comes_with_the_command_or_behind_it),
        cmocka_unit_test(login_asks_twice),
        cmocka_unit_test(scram_ends_with_an_empty_response),
        cmocka_unit_test(plus_is_there_once_tls_gives_a_binding),
        cmocka_unit_test(an_empty_initial_response_is_an_equals_sign),
        cmocka_unit_test(what_is_no_response_ends_the_exchange),
        cmocka_unit_test(auth_is_for_once_and_not_for_the_middle_of_a_message),
        cmocka_unit_test(starttls_is_refused_behind_auth),
        cmocka_unit_test(who_has_logged_in_is_known_until_the_end),
        cmocka_unit_test(the_third_wrong_password_ends_the_session),
        cmocka_unit_test(nothing_may_follow_the_command_before_its_reply),
        cmocka_unit_test(a_response_has_at_most_12288_octets),
        cmocka_unit_test(a_name_is_whatever_octets_it_is),
        cmocka_unit_test(an_exchange_has_the_time_of_a_command),
        cmocka_unit_test(
            who_is_said_to_have_written_it_is_read_and_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
