#include "smtp/request.h"

#include "relay/base/own.h"
#include "smtp/client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct smtp_capability nothing = {.size = false},
                                    all = {.size = true,
                                           .size_max = 1000,
                                           .eightbitmime = true,
                                           .smtputf8 = true,
                                           .dsn = true,
                                           .requiretls = true};
static const size_t first[] = {0};

static void
check_mail(const struct smtp_capability *offer, const struct mail_envelope *e,
           bool has_8bit, const char *line)
{
    scoped(buf_free) struct buf out = {0};
    struct smtp_client_mail m = {.envelope = e,
                                 .rcpt = first,
                                 .rcpt_count = e->rcpt_count,
                                 .size = 77,
                                 .has_8bit = has_8bit};

    smtp_request_add_mail(offer, &m, &out);
    assert_string_equal(buf_text(&out), line);
}

static void
check_rcpt(const struct smtp_capability *offer, const struct mail_rcpt *rcpt,
           const char *line)
{
    scoped(buf_free) struct buf out = {0};

    smtp_request_add_rcpt(offer, rcpt, &out);
    assert_string_equal(buf_text(&out), line);
}

static void
asks_for_nothing_that_is_not_offered(void **state)
{
    const struct mail_envelope e = {.from = "s@example.org",
                                    .envid = "x",
                                    .ret = MAIL_RET_FULL,
                                    .body_8bit = true,
                                    .smtputf8 = true,
                                    .requiretls = true};
    const struct mail_rcpt rcpt = {.address = "a@example.net",
                                   .orcpt = "rfc822;a@example.net",
                                   .notify = MAIL_NOTIFY_NEVER};

    (void)state;
    check_mail(&nothing, &e, true, "MAIL FROM:<s@example.org>\r\n");
    check_rcpt(&nothing, &rcpt, "RCPT TO:<a@example.net>\r\n");
}

static void
asks_for_nothing_that_is_not_wanted(void **state)
{
    const struct mail_envelope e = {.from = ""};
    const struct mail_rcpt rcpt = {.address = "a@example.net"};

    (void)state;
    check_mail(&all, &e, false, "MAIL FROM:<> SIZE=77\r\n");
    check_rcpt(&all, &rcpt, "RCPT TO:<a@example.net>\r\n");
}

static void
asks_for_all_that_is_wanted_and_offered(void **state)
{
    const struct mail_envelope e = {.from = "s@example.org",
                                    .envid = "a+b=c d",
                                    .ret = MAIL_RET_HDRS,
                                    .body_8bit = true,
                                    .smtputf8 = true,
                                    .requiretls = true};

    (void)state;
    check_mail(&all, &e, false,
               "MAIL FROM:<s@example.org> SIZE=77 BODY=8BITMIME SMTPUTF8 "
               "REQUIRETLS RET=HDRS ENVID=a+2Bb+3Dc+20d\r\n");
}

static void
eight_bit_octets_are_declared(void **state)
{
    const struct mail_envelope e = {.from = "s@example.org"};
    const struct smtp_capability offer = {.eightbitmime = true};

    (void)state;
    check_mail(&offer, &e, true, "MAIL FROM:<s@example.org> BODY=8BITMIME\r\n");
    check_mail(&offer, &e, false, "MAIL FROM:<s@example.org>\r\n");
}

/* RFC 3461 section 4.1 */
static void
notify_is_passed_on(void **state)
{
    static const struct {
        uint8_t notify;
        const char *line;
    } words[] = {
        {MAIL_NOTIFY_NEVER, " NOTIFY=NEVER"},
        {MAIL_NOTIFY_SUCCESS, " NOTIFY=SUCCESS"},
        {MAIL_NOTIFY_FAILURE | MAIL_NOTIFY_DELAY, " NOTIFY=FAILURE,DELAY"},
        {MAIL_NOTIFY_SUCCESS | MAIL_NOTIFY_FAILURE | MAIL_NOTIFY_DELAY,
         " NOTIFY=SUCCESS,FAILURE,DELAY"},
        {MAIL_NOTIFY_NEVER | MAIL_NOTIFY_SUCCESS, " NOTIFY=NEVER"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        scoped(buf_free) struct buf line = {0};
        const struct mail_rcpt rcpt = {.address = "a@example.net",
                                       .notify = words[i].notify};

        buf_printf(&line, "RCPT TO:<a@example.net>%s\r\n", words[i].line);
        check_rcpt(&all, &rcpt, buf_text(&line));
    }
}

/* RFC 3461 section 4.2, RFC 6533 section 3 */
static void
orcpt_is_encoded_for_its_type(void **state)
{
    static const struct {
        const char *orcpt, *line;
    } words[] = {
        {"rfc822;a@example.net", " ORCPT=rfc822;a@example.net"},
        {"rfc822;\"a b\"+c@example.net",
         " ORCPT=rfc822;\"a+20b\"+2Bc@example.net"},
        {"rfc822;a;b", " ORCPT=rfc822;a;b"},
        {"utf-8;\xc3\xa4@example.net", " ORCPT=utf-8;\\x{E4}@example.net"},
        {"UTF-8;a+=\\ b@\xe2\x82\xac\xf0\x9f\x93\xa7",
         " ORCPT=UTF-8;a\\x{2B}\\x{3D}\\x{5C}\\x{20}b@\\x{20AC}\\x{1F4E7}"},
        {"utf-8;\xc3", " ORCPT=utf-8;\\x{FFFD}"},
        {"utf-8;\xe2\x82", " ORCPT=utf-8;\\x{FFFD}\\x{FFFD}"},
        {"utf-8;\xff\x80z", " ORCPT=utf-8;\\x{FFFD}\\x{FFFD}z"},
        {"no type", ""},
        {"rfc822;", ""},
        {";a@example.net", ""},
        {"rfc822;a\r\nDATA", " ORCPT=rfc822;a+0D+0ADATA"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        scoped(buf_free) struct buf line = {0};
        char orcpt[64];
        const struct mail_rcpt rcpt = {.address = "a@example.net",
                                       .orcpt = orcpt};

        assert_true(strlen(words[i].orcpt) < sizeof(orcpt));
        memcpy(orcpt, words[i].orcpt, strlen(words[i].orcpt) + 1);
        buf_printf(&line, "RCPT TO:<a@example.net>%s\r\n", words[i].line);
        check_rcpt(&all, &rcpt, buf_text(&line));
    }
}

static void
check_obstacle(const struct smtp_capability *offer,
               const struct smtp_client_mail *m, const char *text)
{
    const struct smtp_request_obstacle *why =
        smtp_request_find_obstacle(offer, m);

    if (!text) {
        assert_null(why);
        return;
    }
    assert_non_null(why);
    assert_memory_equal(why->text, text, strlen(text));
}

/* RFC 1870 section 4 */
static void
a_message_over_the_limit_is_not_tried(void **state)
{
    const struct mail_envelope e = {.from = "s@example.org"};
    struct smtp_client_mail m = {.envelope = &e, .size = 1000};
    const struct smtp_capability no_limit = {.size = true, .size_max = 0};
    const struct smtp_capability not_offered = {.size_max = 10};

    (void)state;
    check_obstacle(&all, &m, NULL);
    m.size = 1001;
    check_obstacle(&all, &m, "5.3.4 ");
    check_obstacle(&no_limit, &m, NULL);
    check_obstacle(&not_offered, &m, NULL);
}

/* RFC 6531 section 3.2 */
static void
an_international_message_needs_smtputf8(void **state)
{
    struct mail_rcpt ascii = {.address = "a@example.net"};
    struct mail_rcpt utf8 = {.address = "\xc3\xa4@example.net"};
    struct mail_envelope e = {
        .from = "s@example.org", .rcpt = &ascii, .rcpt_count = 1};
    struct smtp_client_mail m = {
        .envelope = &e, .rcpt = first, .rcpt_count = 1, .size = 1};

    (void)state;
    check_obstacle(&nothing, &m, NULL);
    m.has_8bit = true;
    check_obstacle(&nothing, &m, NULL);
    e.smtputf8 = true;
    check_obstacle(&nothing, &m, "5.6.7 ");
    check_obstacle(&all, &m, NULL);
    m.has_8bit = false; /* all of it is ASCII */
    check_obstacle(&nothing, &m, NULL);

    e.smtputf8 = false;
    e.rcpt = &utf8;
    check_obstacle(&nothing, &m, "5.6.7 ");
    check_mail(&all, &e, false,
               "MAIL FROM:<s@example.org> SIZE=77 SMTPUTF8\r\n");
    e.rcpt = &ascii;
    e.from = "\xc3\xa4@example.org";
    check_obstacle(&nothing, &m, "5.6.7 ");
    check_obstacle(&all, &m, NULL);
}

/* RFC 6531 section 3.2 */
static void
a_domain_alone_needs_no_smtputf8(void **state)
{
    struct mail_rcpt rcpt = {.address = "\"a b\"@b\xc3\xbc"
                                        "cher.example"};
    struct mail_envelope e = {.from = "s@b\xc3\xbc"
                                      "cher.example",
                              .smtputf8 = true,
                              .rcpt = &rcpt,
                              .rcpt_count = 1};
    struct smtp_client_mail m = {
        .envelope = &e, .rcpt = first, .rcpt_count = 1, .size = 1};

    (void)state;
    check_obstacle(&nothing, &m, NULL);
    check_mail(&nothing, &e, false, "MAIL FROM:<s@xn--bcher-kva.example>\r\n");
    check_rcpt(&nothing, &rcpt, "RCPT TO:<\"a b\"@xn--bcher-kva.example>\r\n");
    check_mail(&all, &e, false,
               "MAIL FROM:<s@b\xc3\xbc"
               "cher.example> SIZE=77 SMTPUTF8\r\n");
    check_rcpt(&all, &rcpt,
               "RCPT TO:<\"a b\"@b\xc3\xbc"
               "cher.example>\r\n");
    rcpt.address = "\xc3\xa4@b\xc3\xbc"
                   "cher.example";
    check_obstacle(&nothing, &m, "5.6.7 ");
}

/* A body with octets above 127 needs 8BITMIME, not this. */
static void
only_a_header_section_in_utf8_needs_smtputf8(void **state)
{
    struct mail_rcpt rcpt = {.address = "a@example.net"};
    struct mail_envelope e = {.from = "s@example.org",
                              .smtputf8 = true,
                              .rcpt = &rcpt,
                              .rcpt_count = 1};
    struct smtp_client_mail m = {.envelope = &e,
                                 .rcpt = first,
                                 .rcpt_count = 1,
                                 .size = 1,
                                 .has_8bit = true};

    (void)state;
    check_obstacle(&nothing, &m, "5.6.7 ");
    m.is_header_ascii = true;
    check_obstacle(&nothing, &m, NULL);
}

/* RFC 6152 section 3 */
static void
what_cant_be_converted_needs_8bitmime(void **state)
{
    struct mail_rcpt rcpt = {.address = "a@example.net"};
    struct mail_envelope e = {
        .from = "s@example.org", .rcpt = &rcpt, .rcpt_count = 1};
    struct smtp_client_mail m = {.envelope = &e,
                                 .rcpt = first,
                                 .rcpt_count = 1,
                                 .size = 1,
                                 .has_8bit = true};

    (void)state;
    check_obstacle(&nothing, &m, NULL);
    m.is_unconvertible = true;
    check_obstacle(&nothing, &m, "5.6.3 ");
    check_obstacle(&all, &m, NULL);
}

/* RFC 8689 section 4.2.1 */
static void
requiretls_is_not_sent_on_without_it(void **state)
{
    const struct mail_envelope e = {.from = "s@example.org",
                                    .requiretls = true};
    const struct smtp_client_mail m = {.envelope = &e, .size = 1};

    (void)state;
    check_obstacle(&nothing, &m, "5.7.30 ");
    check_obstacle(&all, &m, NULL);
}

static const struct smtp_capability only_dsn = {.dsn = true};

/* RFC 8689 section 5: what can't be asked of the server is, as far as its
 * notices go, that they don't hold the body. */
static void
where_requiretls_may_be_lost_it_goes_for_headers_only(void **state)
{
    const struct mail_envelope e = {
        .from = "s@example.org", .requiretls = true, .ret = MAIL_RET_FULL};
    const struct smtp_client_mail m = {
        .envelope = &e, .rcpt = first, .may_lose_requiretls = true};
    struct buf out scoped(buf_free) = {0};

    (void)state;
    check_obstacle(&nothing, &m, NULL);
    smtp_request_add_mail(&only_dsn, &m, &out);
    assert_string_equal(buf_text(&out),
                        "MAIL FROM:<s@example.org> RET=HDRS\r\n");
    buf_clear(&out);
    smtp_request_add_mail(&all, &m, &out);
    assert_string_equal(buf_text(&out),
                        "MAIL FROM:<s@example.org> REQUIRETLS RET=FULL\r\n");
}

/* RFC 8689 section 5 */
static void
a_notice_asks_for_requiretls_where_it_can_be_had(void **state)
{
    const size_t rcpt[] = {0};
    const struct mail_envelope e = {.from = "", .requiretls = true};
    const struct smtp_client_mail m = {.envelope = &e, .rcpt = rcpt, .size = 1};
    struct buf out = {0};

    (void)state;
    check_obstacle(&nothing, &m, NULL);
    smtp_request_add_mail(&nothing, &m, &out);
    assert_string_equal(buf_text(&out), "MAIL FROM:<>\r\n");
    buf_clear(&out);
    smtp_request_add_mail(&all, &m, &out);
    assert_string_equal(buf_text(&out), "MAIL FROM:<> SIZE=1 REQUIRETLS\r\n");
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_nothing_that_is_not_offered),
        cmocka_unit_test(asks_for_nothing_that_is_not_wanted),
        cmocka_unit_test(asks_for_all_that_is_wanted_and_offered),
        cmocka_unit_test(eight_bit_octets_are_declared),
        cmocka_unit_test(notify_is_passed_on),
        cmocka_unit_test(orcpt_is_encoded_for_its_type),
        cmocka_unit_test(a_message_over_the_limit_is_not_tried),
        cmocka_unit_test(an_international_message_needs_smtputf8),
        cmocka_unit_test(what_cant_be_converted_needs_8bitmime),
        cmocka_unit_test(a_domain_alone_needs_no_smtputf8),
        cmocka_unit_test(only_a_header_section_in_utf8_needs_smtputf8),
        cmocka_unit_test(requiretls_is_not_sent_on_without_it),
        cmocka_unit_test(where_requiretls_may_be_lost_it_goes_for_headers_only),
        cmocka_unit_test(a_notice_asks_for_requiretls_where_it_can_be_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
