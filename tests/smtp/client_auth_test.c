#include "tests/smtp/dialog.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"

#include <stdlib.h>

/* The sessions have TLS from the start, as behind an implicit port. */

enum {
    BY_PASSWORD = SMTP_SASL_BIT(SMTP_SASL_PLAIN) |
                  SMTP_SASL_BIT(SMTP_SASL_LOGIN) |
                  SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256),
    BY_TOKEN =
        SMTP_SASL_BIT(SMTP_SASL_XOAUTH2) | SMTP_SASL_BIT(SMTP_SASL_OAUTHBEARER),
};

#define ACCOUNT(set)                                                           \
    {                                                                          \
        .mechanisms = (set), .user = "user", .secret = "pencil",               \
        .host = "mx.example.net", .port = 587, .nonce = "rOprNGfwEbeRWgbNEkqO" \
    }

static const struct smtp_sasl_account
    any = ACCOUNT(BY_PASSWORD),
    plain = ACCOUNT(SMTP_SASL_BIT(SMTP_SASL_PLAIN)),
    login = ACCOUNT(SMTP_SASL_BIT(SMTP_SASL_LOGIN)),
    scram = ACCOUNT(SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256)),
    tokens = ACCOUNT(BY_TOKEN),
    xoauth2 = ACCOUNT(SMTP_SASL_BIT(SMTP_SASL_XOAUTH2)),
    bearer = ACCOUNT(SMTP_SASL_BIT(SMTP_SASL_OAUTHBEARER));

#define HELLO(mechanisms)                                                      \
    "S: 220 hi\n"                                                              \
    "C: EHLO us\n"                                                             \
    "S: 250-mx\n"                                                              \
    "S: 250 AUTH " mechanisms "\n"
#define YES                                                                    \
    "S: 235 2.7.0 welcome\n"                                                   \
    "! ready\n"                                                                \
    "C: QUIT\n"                                                                \
    "S: 221 bye\n"                                                             \
    "! over quit\n"
#define PLAIN "C: AUTH PLAIN AHVzZXIAcGVuY2ls\n"

/* RFC 4954 section 4, RFC 4616 section 2 */
static void
plain_goes_along_with_the_command(void **state)
{
    (void)state;
    DIALOG(.account = &plain, .script = HELLO("LOGIN PLAIN") PLAIN YES);
}

static void
the_best_that_is_offered_is_taken(void **state)
{
    static const struct {
        const char *offered, *sent;
    } cases[] = {
        {"PLAIN LOGIN", "PLAIN"},
        {"login", "LOGIN"},
        {"LOGIN SCRAM-SHA-256 PLAIN", "SCRAM-SHA-256"},
        {"XOAUTH2 OAUTHBEARER PLAIN CRAM-MD5", "PLAIN"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct smtp_client *c = smtp_client_new("us", SMTP_CLIENT_TLS_NEVER);
        struct smtp_client_event ev;
        scoped(own_free) char *ehlo =
            mem_printf("250-mx\r\n250 AUTH %s\r\n", cases[i].offered);
        scoped(own_free) char *want = mem_printf("AUTH %s", cases[i].sent);

        smtp_client_authenticate(c, &any);
        (void)smtp_client_feed(c, slice_of("220 hi\r\n"));
        buf_clear(smtp_client_output(c));
        for (struct slice in = slice_of(ehlo); in.len > 0;)
            in = slice_from(in, smtp_client_feed(c, in));
        assert_false(smtp_client_next(c, &ev));
        assert_memory_equal(smtp_client_output(c)->p, want, strlen(want));
        smtp_client_free(&c);
    }
}

static void
login_answers_whatever_it_is_asked(void **state)
{
    (void)state;
    DIALOG(.account = &login, .script = HELLO("LOGIN") "C: AUTH LOGIN\n"
                                                       "S: 334 VXNlcm5hbWU6\n"
                                                       "C: dXNlcg==\n"
                                                       "S: 334 Secret, please\n"
                                                       "C: cGVuY2ls\n" YES);
}

/* RFC 7677 section 3; the last challenge is answered by an empty line. */
#define SCRAM_FIRST                                                            \
    HELLO("SCRAM-SHA-256")                                                     \
    "C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\n"
#define SCRAM_SECOND                                                           \
    "S: 334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5s"  \
    "RiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=\n"                   \
    "! derive\n"                                                               \
    "C: Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxq"  \
    "KWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZR" \
    "PQ==\n"

static void
scram_shows_no_password_and_checks_the_server(void **state)
{
    (void)state;
    DIALOG(.account = &scram,
           .script = SCRAM_FIRST SCRAM_SECOND
           "S: 334 "
           "dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\n"
           "C: \n" YES);
}

static void
a_server_that_does_not_know_the_password_is_left(void **state)
{
    (void)state;
    DIALOG(.account = &scram,
           .script = SCRAM_FIRST SCRAM_SECOND
           "S: 334 dj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE"
           "9\n"
           "! over no-auth: SCRAM: the server does not know the password: its "
           "signature is wrong\n"
           "C: *\n");
    DIALOG(.account = &scram,
           .script = SCRAM_FIRST SCRAM_SECOND
           "S: 235 welcome\n"
           "! over no-auth: SCRAM: the server said yes without its "
           "signature\n");
    DIALOG(.account = &scram,
           .script = SCRAM_FIRST
           "S: 235 welcome\n"
           "! over no-auth: SCRAM: the server said yes without its "
           "signature\n");
}

static void
scram_s_own_word_for_no_leads_to_the_reply(void **state)
{
    (void)state;
    DIALOG(.account = &scram,
           .script = SCRAM_FIRST SCRAM_SECOND
           "S: 334 ZT1pbnZhbGlkLXByb29m\n" /* e=invalid-proof */
           "C: \n"
           "S: 535 5.7.8 no\n"
           "! over auth AUTH 535: AUTH SCRAM-SHA-256: 535 no\n");
}

/* What a server could say instead of its first message. */
static void
a_scram_server_that_goes_wrong_is_left(void **state)
{
#define NONCE "r=rOprNGfwEbeRWgbNEkqOx"
#define MALFORMED "SCRAM: the server's first message is malformed"
    static const struct {
        const char *message, *why;
    } cases[] = {
        {"", MALFORMED},
        {"v=AAAA", MALFORMED},
        {"m=x," NONCE ",s=AAAA,i=4096", MALFORMED},
        {"s=AAAA," NONCE ",i=4096", MALFORMED},
        {NONCE ",s=AAAA", MALFORMED},
        {NONCE ",s=,i=4096", MALFORMED},
        {NONCE ",s=AA\r\nAA,i=4096", MALFORMED},
        {NONCE "\x80,s=AAAA,i=4096", MALFORMED},
        {"r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096",
         "SCRAM: the server's nonce is not built on ours"},
        {"r=other,s=AAAA,i=4096",
         "SCRAM: the server's nonce is not built on ours"},
        {NONCE ",s=AAA,i=4096", "SCRAM: the salt is malformed"},
        {NONCE ",s=AAAA,i=4095", "SCRAM: the number of iterations is not from "
                                 "4096 to 1000000"},
        {NONCE ",s=AAAA,i=1000001",
         "SCRAM: the number of iterations is not from 4096 to 1000000"},
        {NONCE ",s=AAAA,i=-1",
         "SCRAM: the number of iterations is not from 4096 to 1000000"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(buf_free) struct buf script = {0};

        buf_add_text(&script, SCRAM_FIRST "S: 334 ");
        base64_add(slice_of(cases[i].message), &script);
        buf_printf(&script, "\n! over no-auth: %s\nC: *\n", cases[i].why);
        DIALOG(.account = &scram, .script = buf_text(&script));
    }
    DIALOG(.account = &scram,
           .script = SCRAM_FIRST
           "S: 334 no base64\n"
           "! over no-auth: SCRAM: a challenge that is no base64\n"
           "C: *\n");
}

/* "user=user^Aauth=Bearer pencil^A^A" */
#define XOAUTH2 "C: AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHBlbmNpbAEB\n"

static void
xoauth2_sends_its_token(void **state)
{
    (void)state;
    DIALOG(.account = &tokens, .script = HELLO("XOAUTH2 PLAIN") XOAUTH2 YES);
}

static void
xoauth2_s_error_is_answered_by_an_empty_line(void **state)
{
    (void)state;
    DIALOG(.account = &xoauth2,
           .script = HELLO("XOAUTH2") XOAUTH2
           /* {"status":"401","schemes":"bearer"} */
           "S: 334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIn0=\n"
           "C: \n"
           "S: 535 5.7.8 not accepted\n"
           "! over auth AUTH 535: AUTH XOAUTH2: 535 not accepted; status "
           "401\n");
}

/* RFC 7628 section 3.2.3 */
static void
oauthbearer_s_error_is_answered_by_one_octet(void **state)
{
    (void)state;
    /* n,a=user,^Ahost=mx.example.net^Aport=587^Aauth=Bearer pencil^A^A */
    DIALOG(.account = &tokens,
           .script = HELLO(
               "XOAUTH2 OAUTHBEARER") "C: AUTH OAUTHBEARER "
                                      "bixhPXVzZXIsAWhvc3Q9bXguZXhhbXBsZS5uZXQB"
                                      "cG9ydD"
                                      "01ODcBYXV0aD1CZWFyZXIgcGVuY2lsAQE=\n"
                                      "S: 334 "
                                      "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\n"
                                      "C: AQ==\n"
                                      "S: 535 5.7.8 not accepted\n"
                                      "! over auth AUTH 535: AUTH OAUTHBEARER: "
                                      "535 not accepted\n");
}

/* RFC 4954 section 4: a command has at most 512 octets, a line of the exchange
 * 12288. */
static void
what_the_command_has_no_room_for_is_sent_behind_it(void **state)
{
    static char token[12000];
    struct smtp_sasl_account long_one = ACCOUNT(BY_TOKEN);
    scoped(buf_free) struct buf plain_text = {0}, base64 = {0}, script = {0};

    (void)state;
    memset(token, 't', 2000);
    long_one.secret = token;
    buf_printf(&plain_text, "user=user\1auth=Bearer %s\1\1", token);
    base64_add(buf_slice(&plain_text), &base64);
    buf_printf(&script,
               HELLO("XOAUTH2") "C: AUTH XOAUTH2\nS: 334 \nC: %s\n" YES,
               buf_text(&base64));
    DIALOG(.account = &long_one, .script = buf_text(&script),
           .is_by_segment = true);

    memset(token, 't', sizeof(token) - 1);
    DIALOG(.account = &long_one, .is_by_segment = true,
           .script = HELLO("XOAUTH2") "C: AUTH XOAUTH2\n"
                                      "S: 334 \n"
                                      "! over no-auth: AUTH XOAUTH2: what is "
                                      "to be said has more than 12288 octets\n"
                                      "C: *\n");
}

static void
a_server_without_what_is_wanted_is_left_with_a_clear_reason(void **state)
{
    (void)state;
    DIALOG(.account = &scram,
           .script = HELLO("PLAIN LOGIN") "! over no-auth: the server offers "
                                          "AUTH PLAIN LOGIN, and the route "
                                          "needs one of SCRAM-SHA-256\n");
    DIALOG(.account = &any,
           .script = HELLO("GSSAPI NTLM") "! over no-auth: the server offers "
                                          "AUTH by unknown mechanisms, and "
                                          "the route needs one of PLAIN LOGIN "
                                          "SCRAM-SHA-256\n");
    DIALOG(.account = &any, .script = "S: 220 hi\n"
                                      "C: EHLO us\n"
                                      "S: 250 mx\n"
                                      "! over no-auth: the server offers no "
                                      "AUTH\n");
    DIALOG(.account = &any, .script = "S: 220 hi\n"
                                      "C: EHLO us\n"
                                      "S: 500 what\n"
                                      "C: HELO us\n"
                                      "S: 250 mx\n"
                                      "! over no-auth: the server offers no "
                                      "AUTH\n");
}

static void
nothing_is_said_before_tls(void **state)
{
    (void)state;
    DIALOG(.account = &plain, .tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = HELLO("PLAIN") "! over no-starttls: the server does not "
                                    "offer STARTTLS\n");
    DIALOG(.account = &plain, .tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = "S: 220 hi\n"
                     "C: EHLO us\n"
                     "S: 250-mx\n"
                     "S: 250-AUTH PLAIN\n"
                     "S: 250 STARTTLS\n"
                     "C: STARTTLS\n"
                     "S: 454 later\n"
                     "! over no-starttls STARTTLS 454: STARTTLS: 454 later\n");
    /* What was offered in clear is forgotten. */
    DIALOG(.account = &plain, .tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = "S: 220 hi\n"
                     "C: EHLO us\n"
                     "S: 250-mx\n"
                     "S: 250-AUTH PLAIN\n"
                     "S: 250 STARTTLS\n"
                     "C: STARTTLS\n"
                     "S: 220 go\n"
                     "! start-tls\n"
                     "C: EHLO us\n"
                     "S: 250 mx\n"
                     "! over no-auth: the server offers no AUTH\n");
    DIALOG(.account = &plain, .tls = SMTP_CLIENT_TLS_REQUIRED,
           .script = "S: 220 hi\n"
                     "C: EHLO us\n"
                     "S: 250-mx\n"
                     "S: 250 STARTTLS\n"
                     "C: STARTTLS\n"
                     "S: 220 go\n"
                     "! start-tls\n"
                     "C: EHLO us\n"
                     "S: 250-mx\n"
                     "S: 250 AUTH PLAIN\n" PLAIN YES);
}

static void
each_refusal_is_told_by_its_code(void **state)
{
    static const int codes[] = {432, 454, 500, 501, 504, 530, 534, 535, 538};

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        scoped(own_free) char *script =
            mem_printf(HELLO("PLAIN") PLAIN
                       "S: %d no\n! over auth AUTH %d: AUTH PLAIN: %d no\n",
                       codes[i], codes[i], codes[i]);

        DIALOG(.account = &plain, .script = script);
    }
    DIALOG(.account = &plain, .script = HELLO("PLAIN") PLAIN
                              "S: 421 too many\n"
                              "! over refused AUTH 421: AUTH: 421 too many\n");
    DIALOG(.account = &plain,
           .script = HELLO("PLAIN") PLAIN
           "S: 250 ok\n"
           "! over protocol: AUTH: 250 is no answer to it\n");
}

static void
a_server_that_asks_too_often_is_left(void **state)
{
    (void)state;
    DIALOG(.account = &plain,
           .script = HELLO("PLAIN") PLAIN
           "S: 334 \n"
           "! over no-auth: PLAIN: the server asks once too often\n"
           "C: *\n");
    DIALOG(.account = &login, .script = HELLO("LOGIN") "C: AUTH LOGIN\n"
                                                       "S: 334 \n"
                                                       "C: dXNlcg==\n"
                                                       "S: 334 \n"
                                                       "C: cGVuY2ls\n"
                                                       "S: 334 \n"
                                                       "! over no-auth: LOGIN: "
                                                       "the server asks once "
                                                       "too often\n"
                                                       "C: *\n");
    DIALOG(.account = &xoauth2,
           .script = HELLO("XOAUTH2") XOAUTH2
           "S: 334 e30=\n"
           "C: \n"
           "S: 334 e30=\n"
           "! over no-auth: XOAUTH2: the server asks once too often\n"
           "C: *\n");
}

/* Whatever form it comes back in, it goes no further. */
static void
what_a_server_echoes_is_scrubbed(void **state)
{
    (void)state;
    DIALOG(.account = &plain,
           .script = HELLO("PLAIN") PLAIN
           "S: 535 5.7.8 wrong: AHVzZXIAcGVuY2ls (pencil)\n"
           "! over auth AUTH 535: AUTH PLAIN: 535 wrong: *** (***)\n");
    DIALOG(.account = &login,
           .script = HELLO("LOGIN") "C: AUTH LOGIN\n"
                                    "S: 334 \n"
                                    "C: dXNlcg==\n"
                                    "S: 334 \n"
                                    "C: cGVuY2ls\n"
                                    "S: 421-cGVuY2ls\n"
                                    "S: 421 no\n"
                                    "! over refused AUTH 421: AUTH: 421 *** "
                                    "no\n");
    DIALOG(.account = &bearer,
           .script = HELLO(
               "OAUTHBEARER") "C: AUTH OAUTHBEARER "
                              "bixhPXVzZXIsAWhvc3Q9bXguZXhhbXBsZS5uZXQBcG9ydD"
                              "01ODcBYXV0aD1CZWFyZXIgcGVuY2lsAQE=\n"
                              "S: 501 what is ydD01ODcBYXV0aD1CZWFyZX?\n"
                              "! over auth AUTH 501: AUTH OAUTHBEARER: 501 "
                              "what is ***?\n");
}

static void
names_with_commas_and_equals_signs_are_written_otherwise(void **state)
{
    struct smtp_sasl_account odd = ACCOUNT(BY_PASSWORD);
    scoped(buf_free) struct buf script = {0};

    (void)state;
    odd.user = "a=b,c";
    buf_add_text(&script, HELLO("SCRAM-SHA-256") "C: AUTH SCRAM-SHA-256 ");
    base64_add(slice_of("n,,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO"), &script);
    buf_add_text(&script, "\n");
    DIALOG(.account = &odd, .script = buf_text(&script));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_goes_along_with_the_command),
        cmocka_unit_test(the_best_that_is_offered_is_taken),
        cmocka_unit_test(login_answers_whatever_it_is_asked),
        cmocka_unit_test(scram_shows_no_password_and_checks_the_server),
        cmocka_unit_test(a_server_that_does_not_know_the_password_is_left),
        cmocka_unit_test(scram_s_own_word_for_no_leads_to_the_reply),
        cmocka_unit_test(a_scram_server_that_goes_wrong_is_left),
        cmocka_unit_test(xoauth2_sends_its_token),
        cmocka_unit_test(xoauth2_s_error_is_answered_by_an_empty_line),
        cmocka_unit_test(oauthbearer_s_error_is_answered_by_one_octet),
        cmocka_unit_test(what_the_command_has_no_room_for_is_sent_behind_it),
        cmocka_unit_test(
            a_server_without_what_is_wanted_is_left_with_a_clear_reason),
        cmocka_unit_test(nothing_is_said_before_tls),
        cmocka_unit_test(each_refusal_is_told_by_its_code),
        cmocka_unit_test(a_server_that_asks_too_often_is_left),
        cmocka_unit_test(what_a_server_echoes_is_scrubbed),
        cmocka_unit_test(
            names_with_commas_and_equals_signs_are_written_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
