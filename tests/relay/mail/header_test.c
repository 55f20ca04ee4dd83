#include "relay/mail/header.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct mail_header_scan
scan_cut(struct slice message, size_t cut)
{
    struct mail_header_scan s = {0};

    mail_header_scan_feed(&s, slice_first(message, cut));
    mail_header_scan_feed(&s, slice_from(message, cut));
    mail_header_scan_end(&s);
    return s;
}

static struct mail_header_scan
scan(const char *message)
{
    return scan_cut(slice_of(message), 0);
}

static const struct {
    const char *message;
    unsigned received;
    bool has_bcc, has_message_id, is_signed, tls_required_no;
    const char *message_id;
} cases[] = {
    {"", 0, 0, 0, 0, 0, ""},
    {"\r\n", 0, 0, 0, 0, 0, ""},
    {"Bcc: x\r\nDKIM-Signature: a@b\r\nMessage-ID: <a@b>\r\n\r\n", 0, 1, 1, 1,
     0, "<a@b>"},
    {"BCC:\r\ndkim-signature :\r\nmessage-id\t: <a@b> \r\n\r\n", 0, 1, 1, 1, 0,
     "<a@b>"},
    {"Message-ID:\r\n <a@b>\r\n\r\n", 0, 0, 1, 0, 0, "<a@b>"},
    {"Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\n", 0, 0, 1, 0, 0, "<a@b>"},
    {"Message-ID: <a\x1b\xff@b>\r\n\r\n", 0, 0, 1, 0, 0, "<a??@b>"},
    {"Message-ID:\r\n\r\n", 0, 0, 1, 0, 0, ""},
    {"Received: a\r\n b\r\nreceived:c\r\nRECEIVED : d\r\n\r\nReceived: e\r\n",
     3, 0, 0, 0, 0, ""},
    {"X-Received: a\r\nReceivedx: b\r\nReceive: c\r\n\r\n", 0, 0, 0, 0, 0, ""},
    {"X: a\r\n Received: b\r\n\tBcc: c\r\n\r\n", 0, 0, 0, 0, 0, ""},
    {"TLS-Required: No\r\n\r\n", 0, 0, 0, 0, 1, ""},
    {"tls-required:no\r\n\r\n", 0, 0, 0, 0, 1, ""},
    {"TLS-Required:\r\n\t NO \r\n\r\n", 0, 0, 0, 0, 1, ""},
    {"TLS-Required: No\r\nTLS-Required: No\r\n\r\n", 0, 0, 0, 0, 1, ""},
    {"TLS-Required: No\r\nTLS-Required: Yes\r\n\r\n", 0, 0, 0, 0, 0, ""},
    {"TLS-Required: Yes\r\nTLS-Required: No\r\n\r\n", 0, 0, 0, 0, 0, ""},
    {"TLS-Required: No\r\n thing\r\n\r\n", 0, 0, 0, 0, 0, ""},
    {"TLS-Required:\r\n\r\n", 0, 0, 0, 0, 0, ""},
    {"X: a\r\n\r\nTLS-Required: No\r\n", 0, 0, 0, 0, 0, ""},
    {"X: a\r\n TLS-Required: No\r\n\r\n", 0, 0, 0, 0, 0, ""},
    /* The last line counts without its end, and needs its colon. */
    {"Bcc: x", 0, 1, 0, 0, 0, ""},
    {"Bcc:", 0, 1, 0, 0, 0, ""},
    {"Bcc", 0, 0, 0, 0, 0, ""},
    {"Bcc: x\r", 0, 1, 0, 0, 0, ""},
    {"Bcc: x\r\n", 0, 1, 0, 0, 0, ""},
    {"Bcc: x\r\n\r", 0, 1, 0, 0, 0, ""},
    /* What is no field ends the section. */
    {"hello\r\nBcc: x\r\n", 0, 0, 0, 0, 0, ""},
    {"hello world: x\r\nBcc: x\r\n", 0, 0, 0, 0, 0, ""},
    {" Bcc: x\r\nBcc: x\r\n", 0, 0, 0, 0, 0, ""},
    {": x\r\nBcc: x\r\n", 0, 0, 0, 0, 0, ""},
    {"gr\xc3\xbc\xc3\x9f: x\r\nBcc: x\r\n", 0, 0, 0, 0, 0, ""},
    {"DKIM-Signature: a\r\n\rBcc: x\r\n", 0, 0, 0, 1, 0, ""},
    {"DKIM-Signature: a\r\n\r\xff", 0, 0, 0, 1, 0, ""},
    {"Bcc: x\r\n\r\n\xc3\xbc", 0, 1, 0, 0, 0, ""},
    {"Subject: \xc3\xbc\r\n\r\n", 0, 0, 0, 0, 0, ""},
    /* The first line of a mailbox file is passed over, only as the first. */
    {"From a@b Mon Jan 1\r\nBcc: x\r\n\r\n", 0, 1, 0, 0, 0, ""},
    {">From a@b\r\nBcc: x\r\n\r\n", 0, 1, 0, 0, 0, ""},
    {"X: a\r\nFrom b\r\nBcc: x\r\n\r\n", 0, 0, 0, 0, 0, ""},
    {"From a\r\n Bcc: x\r\nBcc: y\r\n", 0, 0, 0, 0, 0, ""},
    /* Bare LF ends a line too. */
    {"Bcc: x\nDKIM-Signature: a\n\nMessage-ID: <a@b>\n", 0, 1, 0, 1, 0, ""},
    {"DKIM-Signature: a\rBcc: b\r\n\r\n", 0, 0, 0, 1, 0, ""},
};

static void
tells_the_same_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice message = slice_of(cases[i].message);

        for (size_t cut = 0; cut <= message.len; cut++) {
            struct mail_header_scan s = scan_cut(message, cut);

            if (s.received != cases[i].received ||
                s.has_bcc != cases[i].has_bcc ||
                s.has_message_id != cases[i].has_message_id ||
                s.is_signed != cases[i].is_signed ||
                s.tls_required_no != cases[i].tls_required_no)
                fail_msg("case %zu, cut at %zu: %s", i, cut, cases[i].message);
            assert_string_equal(s.message_id, cases[i].message_id);
            assert_true(s.ended);
        }
    }
}

static void
counts_received_exactly(void **state)
{
    (void)state;
    for (unsigned n = 49; n <= 101; n++) {
        scoped(buf_free) struct buf b = {0};

        for (unsigned i = 0; i < n; i++)
            buf_add_text(&b, "Received: x\r\n\tby y\r\n");
        buf_add_text(&b, "\r\nReceived: x\r\n");
        assert_int_equal(scan(buf_text(&b)).received, n);
    }
}

static void
knows_when_it_is_at_the_end(void **state)
{
    struct mail_header_scan s = {0};

    (void)state;
    mail_header_scan_feed(&s, slice_of("Bcc: x\r\n\r"));
    assert_false(s.ended);
    mail_header_scan_feed(&s, slice_of("\n"));
    assert_true(s.ended);
    mail_header_scan_feed(&s, slice_of("DKIM-Signature: a\r\n"));
    assert_false(s.is_signed);
}

/* What is in front of the mark. */
static void
knows_where_the_fields_end(void **state)
{
    static const char *const marked[] = {
        "Bcc: x\r\n|\r\nbody",
        "Bcc: x\r\n y\r\n\t\r\n|\r\n",
        "Bcc: x\r\n|no field\r\nTo: y\r\n",
        "Bcc: x\r\n|: no name\r\n",
        "Bcc: x\r\n|",
        "Bcc: x\r\nTo: y\r\n|",
        "From a@b Thu\r\nTo: y\r\n|\r\n",
        "To: \xc3\xa4\r\n|\r\n",
        "|\r\nTo: y\r\n",
        "| folded\r\nTo: y\r\n",
        "|",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(marked) / sizeof(marked[0]); i++) {
        scoped(buf_free) struct buf b = {0};
        struct slice behind = slice_of(marked[i]);
        struct slice front = slice_cut(&behind, '|');
        struct mail_header_scan s = {0};

        buf_add(&b, front);
        buf_add(&b, behind);
        for (size_t cut = 0; cut <= b.len; cut++) {
            s = (struct mail_header_scan){0};
            mail_header_scan_feed(&s, slice_first(buf_slice(&b), cut));
            mail_header_scan_feed(&s, slice_from(buf_slice(&b), cut));
            mail_header_scan_end(&s);
            assert_int_equal(s.section, front.len);
            assert_false(s.is_cut);
        }
    }
}

static void
looks_no_further_than_its_budget(void **state)
{
    scoped(buf_free) struct buf b = {0};
    struct mail_header_scan s;

    (void)state;
    buf_add_text(&b, "Bcc: x\r\nX: ");
    while (b.len < MAIL_HEADER_BUDGET - 21)
        buf_add_byte(&b, 'x');
    buf_add_text(&b, "\r\nDKIM-Signature: abc");
    assert_int_equal(b.len, MAIL_HEADER_BUDGET);
    buf_add_text(&b, "\r\nReceived: x\r\n\xff\r\n");
    s = scan(buf_text(&b));
    assert_true(s.has_bcc);
    assert_true(s.is_signed);
    assert_int_equal(s.received, 0);
    assert_int_equal(s.seen, MAIL_HEADER_BUDGET);
    assert_true(s.is_cut);
    assert_int_equal(s.section, 0);
}

static void
believes_no_value_that_was_cut(void **state)
{
    scoped(buf_free) struct buf b = {0};
    struct mail_header_scan s;

    (void)state;
    buf_add_text(&b, "TLS-Required: No");
    for (int i = 0; i < 600; i++)
        buf_add_byte(&b, ' ');
    buf_add_text(&b, "t\r\nMessage-ID: ");
    for (int i = 0; i < 600; i++)
        buf_add_byte(&b, 'x');
    buf_add_text(&b, "\r\n");
    for (int i = 0; i < 600; i++)
        buf_add_byte(&b, 'y');
    buf_add_text(&b, ": x\r\nBcc: x\r\n\r\n");
    s = scan(buf_text(&b));
    assert_false(s.tls_required_no);
    assert_int_equal(strlen(s.message_id), MAIL_HEADER_ID_MAX);
    assert_true(s.has_bcc);
}

static void
check_received(const struct mail_received *r, const char *want)
{
    scoped(buf_free) struct buf b = {0};

    mail_header_received(&b, r);
    assert_string_equal(buf_text(&b), want);
}

static void
writes_a_trace_field(void **state)
{
    struct mail_received r = {
        .helo = "client.example",
        .client_ip = "192.0.2.1",
        .by = "relay.example",
        .with = "ESMTPS",
        .tls_version = "TLSv1.3",
        .tls_cipher = "TLS_AES_256_GCM_SHA384",
        .id = "0123456789",
        .rcpt = "a@b.example",
        .unix_ms = 1795439045123,
    };

    (void)state;
    check_received(&r, "Received: from client.example ([192.0.2.1]) "
                       "by relay.example with ESMTPS\r\n"
                       "\t(TLSv1.3 TLS_AES_256_GCM_SHA384) id 0123456789 "
                       "for <a@b.example>;\r\n"
                       "\tMon, 23 Nov 2026 13:04:05 +0000\r\n");
    r.tls_version = NULL;
    r.rcpt = NULL;
    r.client_ip = "2001:db8::1";
    check_received(&r, "Received: from client.example ([IPv6:2001:db8::1]) "
                       "by relay.example\r\n"
                       "\twith ESMTPS id 0123456789; "
                       "Mon, 23 Nov 2026 13:04:05 +0000\r\n");
    r.client_ip = NULL;
    r.helo = NULL;
    check_received(&r, "Received: by relay.example with ESMTPS id 0123456789;"
                       "\r\n\tMon, 23 Nov 2026 13:04:05 +0000\r\n");
}

static void
a_clients_certificate_is_named_in_a_comment(void **state)
{
    struct mail_received r = {
        .helo = "app.example.com",
        .client_ip = "192.0.2.7",
        .by = "relay.example.org",
        .with = "ESMTPS",
        .tls_version = "TLSv1.3",
        .tls_client = "CN=a (b) \\",
        .id = "3j2k",
    };

    (void)state;
    check_received(&r, "Received: from app.example.com ([192.0.2.7]) by "
                       "relay.example.org\r\n"
                       "\twith ESMTPS (TLSv1.3) (client certificate CN=a "
                       "?b? ?) id 3j2k;\r\n"
                       "\tThu, 01 Jan 1970 00:00:00 +0000\r\n");
}

static void
writes_nothing_a_client_made_up(void **state)
{
    struct mail_received r = {
        .helo = "a\r\nX-Evil: (b) <\xc3\xbc>;",
        .client_ip = "192.0.2.1",
        .by = "relay.example",
        .with = "ESMTP",
        .id = "0123456789",
        .rcpt = "a\r\nb@c.example",
    };
    char helo[3000];

    (void)state;
    check_received(&r, "Received: from a??X-Evil:??b??????? ([192.0.2.1]) "
                       "by relay.example\r\n"
                       "\twith ESMTP id 0123456789 for <a??b@c.example>;\r\n"
                       "\tThu, 01 Jan 1970 00:00:00 +0000\r\n");
    memset(helo, 'a', sizeof(helo));
    helo[sizeof(helo) - 1] = '\0';
    r.helo = helo;
    {
        scoped(buf_free) struct buf b = {0};

        mail_header_received(&b, &r);
        assert_in_range(b.len, 255, 600);
    }
    r.helo = "";
    r.rcpt = NULL;
    check_received(&r, "Received: from unknown ([192.0.2.1]) "
                       "by relay.example with ESMTP\r\n"
                       "\tid 0123456789; Thu, 01 Jan 1970 00:00:00 +0000\r\n");
}

/* Our own trace field is one field, and nothing else, to our own scanner. */
static void
reads_back_its_own_trace_field(void **state)
{
    scoped(buf_free) struct buf b = {0};
    struct mail_received r = {.helo = "x",
                              .client_ip = "192.0.2.1",
                              .by = "relay.example",
                              .with = "ESMTP",
                              .id = "0123456789",
                              .rcpt = "\"Date: \\\" x\"@b.example"};

    (void)state;
    mail_header_received(&b, &r);
    mail_header_received(&b, &r);
    buf_add_text(&b, "\r\n");
    assert_int_equal(scan(buf_text(&b)).received, 2);
    assert_false(scan(buf_text(&b)).has_bcc);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_same_however_cut),
        cmocka_unit_test(counts_received_exactly),
        cmocka_unit_test(knows_when_it_is_at_the_end),
        cmocka_unit_test(knows_where_the_fields_end),
        cmocka_unit_test(looks_no_further_than_its_budget),
        cmocka_unit_test(believes_no_value_that_was_cut),
        cmocka_unit_test(writes_a_trace_field),
        cmocka_unit_test(a_clients_certificate_is_named_in_a_comment),
        cmocka_unit_test(writes_nothing_a_client_made_up),
        cmocka_unit_test(reads_back_its_own_trace_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
