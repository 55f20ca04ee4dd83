#include "queue/bounce.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char original[] = "From: a@one.example\r\n"
                               "Subject: hello\r\n"
                               "\r\n"
                               "The body.\r\n";

/* A message to two recipients, one of which failed. */
struct fixture {
    struct queue_message *message;
    struct queue_bounce_rcpt rcpt[2];
    struct queue_bounce b;
    struct queue_message *notice;
};

static void
init(struct fixture *f)
{
    struct mail_rcpt *rcpt;

    *f = (struct fixture){.message = queue_message_new()};
    f->message->id = 12345678901;
    f->message->arrived_ms = 1795000000000;
    f->message->message_id = mem_text("<m1@one.example>");
    f->message->envelope.from = mem_text("a@one.example");
    for (int i = 0; i < 2; i++) {
        rcpt = mail_envelope_add(&f->message->envelope);
        rcpt->address = mem_text(i == 0 ? "b@two.example" : "c@two.example");
        rcpt->domain = mem_text("two.example");
    }
    for (size_t i = 0; i < 2; i++) {
        f->rcpt[i].rcpt = &f->message->envelope.rcpt[i];
        f->rcpt[i].remote_mta = "mx.two.example";
        f->rcpt[i].attempted_ms = 1795000100000;
        mail_status_set(&f->rcpt[i].status, 550, "5.1.1", "no such user");
    }
    f->b = (struct queue_bounce){.action = QUEUE_ACTION_FAILED,
                                 .hostname = "relay.one.example",
                                 .id = 12345678999,
                                 .now_ms = 1795000200000,
                                 .steady_ms = 1795000200001,
                                 .boundary = 0xABCDEF,
                                 .message = f->message,
                                 .original = slice_of(original),
                                 .original_is_whole = true,
                                 .rcpt = f->rcpt,
                                 .rcpt_count = 1};
}

static void
done(struct fixture *f)
{
    queue_message_free(&f->message);
    queue_message_free(&f->notice);
}

/* Builds the notice and lets a mail library read it. */
static const char *
notice(struct fixture *f, int parts)
{
    char command[200];
    FILE *to;

    queue_message_free(&f->notice);
    f->notice = queue_bounce_new(&f->b);
    (void)snprintf(command, sizeof(command),
                   "/usr/bin/python3 queue/bounce_parse.py %d %zu", parts,
                   f->b.rcpt_count);
    to = popen(command, "w");
    assert_non_null(to);
    (void)fwrite(f->notice->body.p, 1, f->notice->body.len, to);
    if (pclose(to) != 0)
        fail_msg("not well formed:\n%s", buf_text(&f->notice->body));
    return buf_text(&f->notice->body);
}

#define HAS(text, part) assert_non_null(strstr((text), (part)))
#define LACKS(text, part) assert_null(strstr((text), (part)))

/* RFC 3461 section 4.1; never to a null sender, RFC 5321 section 4.5.5. */
static void
who_wants_a_notice_gets_one(void **state)
{
    static const struct {
        enum queue_action action;
        const char *from;
        uint8_t notify;
        bool want;
    } rows[] = {
        {QUEUE_ACTION_FAILED, "a@b.example", 0, true},
        {QUEUE_ACTION_FAILED, "a@b.example", MAIL_NOTIFY_FAILURE, true},
        {QUEUE_ACTION_FAILED, "a@b.example", MAIL_NOTIFY_SUCCESS, false},
        {QUEUE_ACTION_FAILED, "a@b.example", MAIL_NOTIFY_DELAY, false},
        {QUEUE_ACTION_FAILED, "a@b.example", MAIL_NOTIFY_NEVER, false},
        {QUEUE_ACTION_FAILED, "", 0, false},
        {QUEUE_ACTION_FAILED, "", MAIL_NOTIFY_FAILURE, false},
        {QUEUE_ACTION_DELAYED, "a@b.example", 0, true},
        {QUEUE_ACTION_DELAYED, "a@b.example", MAIL_NOTIFY_DELAY, true},
        {QUEUE_ACTION_DELAYED, "a@b.example", MAIL_NOTIFY_FAILURE, false},
        {QUEUE_ACTION_DELAYED, "a@b.example", MAIL_NOTIFY_NEVER, false},
        {QUEUE_ACTION_DELAYED, "", 0, false},
        {QUEUE_ACTION_RELAYED, "a@b.example", 0, false},
        {QUEUE_ACTION_RELAYED, "a@b.example", MAIL_NOTIFY_SUCCESS, true},
        {QUEUE_ACTION_RELAYED, "a@b.example", MAIL_NOTIFY_NEVER, false},
        {QUEUE_ACTION_RELAYED, "", MAIL_NOTIFY_SUCCESS, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct mail_rcpt rcpt = {.notify = rows[i].notify};
        struct queue_message m = {0};

        m.envelope.from = mem_text(rows[i].from);
        assert_int_equal(queue_bounce_is_wanted(rows[i].action, &m, &rcpt),
                         rows[i].want);
        free(m.envelope.from);
    }
}

/* RFC 3464 section 2 */
static void
a_failure_says_who_what_and_why(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    text = notice(&f, 3);
    HAS(text, "To: <a@one.example>\r\n");
    HAS(text, "<MAILER-DAEMON@relay.one.example>\r\n");
    HAS(text, "Subject: Your message could not be delivered\r\n");
    HAS(text, "Auto-Submitted: auto-replied\r\n");
    HAS(text, "References: <m1@one.example>\r\n");
    HAS(text, "\r\n<b@two.example>\r\n");
    HAS(text, "    mx.two.example answered: 550 5.1.1 no such user\r\n");
    HAS(text, "Reporting-MTA: dns; relay.one.example\r\n");
    HAS(text, "Final-Recipient: rfc822; b@two.example\r\n");
    HAS(text, "Action: failed\r\n");
    HAS(text, "Status: 5.1.1\r\n");
    HAS(text, "Remote-MTA: dns; mx.two.example\r\n");
    HAS(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n");
    HAS(text, "Last-Attempt-Date: ");
    LACKS(text, "Will-Retry-Until");
    LACKS(text, "c@two.example");
    LACKS(text, "TLS-Required");
}

static void
the_notice_is_ready_for_the_queue(void **state)
{
    scoped(done) struct fixture f;

    (void)state;
    init(&f);
    (void)notice(&f, 3);
    assert_int_equal(f.notice->id, 12345678999);
    assert_int_equal(f.notice->arrived_ms, 1795000200001);
    assert_string_equal(f.notice->envelope.from, "");
    assert_int_equal(f.notice->envelope.rcpt_count, 1);
    assert_string_equal(f.notice->envelope.rcpt[0].address, "a@one.example");
    assert_string_equal(f.notice->envelope.rcpt[0].domain, "one.example");
    assert_non_null(f.notice->rcpt);
    assert_null(f.notice->rcpt[0].destination);
    assert_int_equal(f.notice->size, f.notice->body.len);
    assert_false(f.notice->has_8bit);
    assert_false(f.notice->envelope.smtputf8);
    assert_false(queue_bounce_is_wanted(QUEUE_ACTION_FAILED, f.notice,
                                        &f.notice->envelope.rcpt[0]));
}

static void
a_policy_that_was_not_met_is_explained(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    f.rcpt[0].remote_mta = NULL;
    f.rcpt[0].explanation =
        "MTA-STS policy of two.example (mode enforce): the certificate of "
        "mx.two.example is for other.example, expected mx.two.example.";
    mail_status_set(&f.rcpt[0].status, 550, "5.7.10",
                    "connection does not meet the policy of two.example");
    text = notice(&f, 3);
    HAS(text, "MTA-STS policy of two.example (mode enforce)");
    HAS(text, "not as secure as");
    HAS(text, "Status: 5.7.10\r\n");
    HAS(text,
        "Diagnostic-Code: X-Sealpost; connection does not meet the policy "
        "of\r\n two.example\r\n");
    LACKS(text, "Remote-MTA");
    LACKS(text, "answered:");
}

static void
a_delay_says_until_when(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    f.b.action = QUEUE_ACTION_DELAYED;
    f.b.retry_until_ms = 1795400000000;
    f.message->envelope.ret = MAIL_RET_FULL;
    mail_status_set(&f.rcpt[0].status, 451, NULL, "try later");
    text = notice(&f, 3);
    HAS(text, "Subject: Your message is delayed\r\n");
    HAS(text, "Action: delayed\r\n");
    HAS(text, "Status: 4.0.0\r\n");
    HAS(text, "Diagnostic-Code: smtp; 451 try later\r\n");
    HAS(text, "Will-Retry-Until: ");
    HAS(text, "It will give up on ");
    LACKS(text, "The body.");
}

static void
a_relayed_message_is_confirmed(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    f.b.action = QUEUE_ACTION_RELAYED;
    mail_status_set(&f.rcpt[0].status, 250, "2.0.0", "queued as X");
    text = notice(&f, 3);
    HAS(text, "Action: relayed\r\n");
    HAS(text, "    Passed on to mx.two.example.\r\n");
}

static void
recipients_of_one_outcome_share_a_notice(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    f.b.rcpt_count = 2;
    text = notice(&f, 3);
    HAS(text, "Final-Recipient: rfc822; b@two.example\r\n");
    HAS(text, "Final-Recipient: rfc822; c@two.example\r\n");
}

static void
what_the_client_asked_for_comes_back(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    f.message->envelope.envid = mem_text("order 66+7");
    f.message->envelope.rcpt[0].orcpt = mem_text("rfc822;B+x@two.example");
    f.message->tls_required_no = true;
    text = notice(&f, 3);
    HAS(text, "Original-Envelope-Id: order 66+7\r\n");
    HAS(text, "Original-Recipient: rfc822;B+x@two.example\r\n");
    HAS(text, "TLS-Required: No\r\n");
    assert_true(f.notice->tls_required_no);
}

/* RFC 3461 section 4.3, RFC 8689 section 5 */
static void
the_message_comes_back_only_when_asked_for_and_small(void **state)
{
    static const struct {
        enum mail_ret ret;
        bool whole, requiretls, large, want;
    } rows[] = {
        {MAIL_RET_FULL, true, false, false, true},
        {MAIL_RET_NONE, true, false, false, false},
        {MAIL_RET_HDRS, true, false, false, false},
        {MAIL_RET_FULL, false, false, false, false},
        {MAIL_RET_FULL, true, true, false, false},
        {MAIL_RET_FULL, true, false, true, false},
    };
    struct buf large = {0};

    (void)state;
    buf_add_text(&large, original);
    while (large.len <= QUEUE_BOUNCE_RETURN_MAX)
        buf_add_text(&large, "The body.\r\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(done) struct fixture f;
        const char *text;

        init(&f);
        f.message->envelope.ret = rows[i].ret;
        f.message->envelope.requiretls = rows[i].requiretls;
        f.message->size = rows[i].large ? large.len : sizeof(original) - 1;
        f.b.original_is_whole = rows[i].whole;
        if (rows[i].large)
            f.b.original = buf_slice(&large);
        text = notice(&f, 3);
        HAS(text, "Subject: hello\r\n");
        assert_int_equal(strstr(text, "message/rfc822\r\n") != NULL,
                         rows[i].want);
        assert_int_equal(strstr(text, "text/rfc822-headers\r\n") == NULL,
                         rows[i].want);
        assert_int_equal(strstr(text, "The body.") != NULL, rows[i].want);
    }
    buf_free(&large);
}

/* RFC 3461 section 4.3 */
static void
no_more_is_read_than_may_come_back(void **state)
{
    static const struct {
        enum mail_ret ret;
        bool requiretls;
        uint64_t size;
        size_t max;
    } rows[] = {
        {MAIL_RET_FULL, false, 1000, QUEUE_BOUNCE_RETURN_MAX},
        {MAIL_RET_FULL, false, QUEUE_BOUNCE_RETURN_MAX,
         QUEUE_BOUNCE_RETURN_MAX},
        {MAIL_RET_FULL, false, QUEUE_BOUNCE_RETURN_MAX + 1,
         QUEUE_BOUNCE_HEADERS_MAX},
        {MAIL_RET_FULL, true, 1000, QUEUE_BOUNCE_HEADERS_MAX},
        {MAIL_RET_HDRS, false, 1000, QUEUE_BOUNCE_HEADERS_MAX},
        {MAIL_RET_NONE, false, 1000, QUEUE_BOUNCE_HEADERS_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct queue_message m = {.size = rows[i].size};

        m.envelope.ret = rows[i].ret;
        m.envelope.requiretls = rows[i].requiretls;
        assert_int_equal(queue_bounce_original_max(&m), rows[i].max);
    }
}

/* RFC 8689 section 5 */
static void
a_notice_asks_for_requiretls_where_its_message_did(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        scoped(done) struct fixture f;

        init(&f);
        f.message->envelope.requiretls = i == 1;
        (void)notice(&f, 3);
        assert_int_equal(f.notice->envelope.requiretls, i == 1);
        assert_false(mail_envelope_demands_requiretls(&f.notice->envelope));
    }
}

static void
without_the_message_there_are_two_parts(void **state)
{
    scoped(done) struct fixture f;

    (void)state;
    init(&f);
    f.b.original = slice_of("");
    f.b.original_is_whole = false;
    (void)notice(&f, 2);
}

static void
headers_that_are_cut_end_with_a_whole_line(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof(original); len++) {
        scoped(done) struct fixture f;
        bool has_line = len >= 21;
        const char *text;

        init(&f);
        f.b.original = (struct slice){original, len};
        f.b.original_is_whole = false;
        if (len % 7 != 0 && len != 20 && len != 21)
            continue;
        text = notice(&f, has_line ? 3 : 2);
        assert_int_equal(strstr(text, "From: a@one.example\r\n") != NULL,
                         has_line);
        LACKS(text, "Subject: hel\r\n");
    }
}

/* RFC 6533 section 3 */
static void
addresses_in_utf8_are_reported_in_utf8(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    free(f.message->envelope.rcpt[0].address);
    f.message->envelope.rcpt[0].address = mem_text("j\xc3\xbcrgen@b\xc3\xbc"
                                                   "cher.example");
    f.message->envelope.smtputf8 = true;
    mail_status_set(&f.rcpt[0].status, 550, "5.1.1", "niemand hei\xc3\x9ft so");
    text = notice(&f, 3);
    HAS(text, "Content-Type: message/global-delivery-status\r\n");
    HAS(text, "Content-Type: text/rfc822-headers\r\n");
    HAS(text, "Diagnostic-Code: smtp; 550 5.1.1 niemand hei\xc3\x9ft so\r\n");
    HAS(text, "Final-Recipient: utf-8; j\xc3\xbcrgen@b\xc3\xbc"
              "cher.example\r\n");
    assert_true(f.notice->has_8bit && f.notice->envelope.body_8bit);
    /* Its own header section is ASCII, so it can go to any server. */
    assert_false(f.notice->envelope.smtputf8);
}

/* RFC 6533 sections 3 and 4: ASCII keeps the old forms, whatever the client
 * declared. */
static void
only_what_has_utf8_takes_its_forms(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    f.message->envelope.smtputf8 = true;
    text = notice(&f, 3);
    HAS(text, "Content-Type: message/delivery-status\r\n");
    HAS(text, "Content-Type: text/rfc822-headers\r\n");
    HAS(text, "Final-Recipient: rfc822; b@two.example\r\n");
}

static void
headers_in_utf8_come_back_as_they_were(void **state)
{
    static const char utf8[] = "Subject: gr\xc3\xbc\xc3\x9f"
                               "e\r\n\r\nbody\r\n";
    (void)state;
    for (int full = 0; full < 2; full++) {
        scoped(done) struct fixture f;
        const char *text;

        init(&f);
        f.message->envelope.smtputf8 = true;
        f.message->envelope.ret = full ? MAIL_RET_FULL : MAIL_RET_HDRS;
        f.message->size = sizeof(utf8) - 1;
        f.b.original = slice_of(utf8);
        text = notice(&f, 3);
        HAS(text, full ? "Content-Type: message/global\r\n"
                       : "Content-Type: message/global-headers\r\n");
        HAS(text, "gr\xc3\xbc\xc3\x9f");
    }
}

static void
a_sender_in_utf8_needs_smtputf8(void **state)
{
    scoped(done) struct fixture f;

    (void)state;
    init(&f);
    free(f.message->envelope.from);
    f.message->envelope.from = mem_text("j\xc3\xbcrgen@one.example");
    f.message->envelope.smtputf8 = true;
    HAS(notice(&f, 3), "To: <j\xc3\xbcrgen@one.example>\r\n");
    assert_true(f.notice->envelope.smtputf8);
}

static void
without_utf8_the_report_stays_ascii(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    mail_status_set(&f.rcpt[0].status, 550, "5.1.1", "niemand hei\xc3\x9ft so");
    text = notice(&f, 3);
    HAS(text, "Diagnostic-Code: smtp; 550 5.1.1 niemand hei??t so\r\n");
    HAS(text, "Content-Type: message/delivery-status\r\n");
    HAS(text, "hei\xc3\x9ft so\r\n"); /* to people as it was */
    assert_false(f.notice->envelope.smtputf8);
    assert_true(f.notice->envelope.body_8bit);
}

static void
a_boundary_in_the_message_is_not_ours(void **state)
{
    scoped(done) struct fixture f;
    const char *text;

    (void)state;
    init(&f);
    f.message->envelope.ret = MAIL_RET_FULL;
    f.b.original = slice_of("Subject: x\r\n\r\n"
                            "--sealpost-0000000000abcdef-report--\r\n"
                            "--sealpost-0000000000abcdf0-report\r\n");
    text = notice(&f, 3);
    HAS(text, "boundary=\"sealpost-0000000000abcdf1-report\"");
}

static void
hostile_texts_stay_inside_their_field(void **state)
{
    static const char *const texts[] = {
        "--sealpost-0000000000abcdef-report--",
        "Content-Type: text/html",
        "<script>alert(1)</script>",
        "\"},{\"x\":\"",
        "' OR 1=1--",
        "%n%s%n",
        "a\r\nSubject: injected\r\n\r\ninjected",
        "a\nBcc: injected",
        "\x1b[2J\x07\x7f",
        "\xe2\x80\xae reversed \xc2\x9b",
        "\xff\xfe",
        "=?utf-8?q?x?=",
        "",
    };
    char large[1100];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (size_t i = 0; i <= sizeof(texts) / sizeof(*texts); i++) {
        const char *hostile =
            i < sizeof(texts) / sizeof(*texts) ? texts[i] : large;
        scoped(done) struct fixture f;
        const char *text;

        init(&f);
        mail_status_set(&f.rcpt[0].status, 550, NULL, "%s", hostile);
        f.rcpt[0].explanation = hostile;
        f.rcpt[0].remote_mta = hostile;
        f.message->envelope.envid = mem_text(hostile);
        free(f.message->message_id);
        f.message->message_id = mem_text(hostile);
        text = notice(&f, 3);
        LACKS(text, "\r\nSubject: injected");
        LACKS(text, "\r\nBcc: ");
        LACKS(text, "\x1b");
        LACKS(text, "\x7f");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_wants_a_notice_gets_one),
        cmocka_unit_test(a_failure_says_who_what_and_why),
        cmocka_unit_test(the_notice_is_ready_for_the_queue),
        cmocka_unit_test(a_policy_that_was_not_met_is_explained),
        cmocka_unit_test(a_delay_says_until_when),
        cmocka_unit_test(a_relayed_message_is_confirmed),
        cmocka_unit_test(recipients_of_one_outcome_share_a_notice),
        cmocka_unit_test(what_the_client_asked_for_comes_back),
        cmocka_unit_test(the_message_comes_back_only_when_asked_for_and_small),
        cmocka_unit_test(no_more_is_read_than_may_come_back),
        cmocka_unit_test(a_notice_asks_for_requiretls_where_its_message_did),
        cmocka_unit_test(without_the_message_there_are_two_parts),
        cmocka_unit_test(headers_that_are_cut_end_with_a_whole_line),
        cmocka_unit_test(addresses_in_utf8_are_reported_in_utf8),
        cmocka_unit_test(only_what_has_utf8_takes_its_forms),
        cmocka_unit_test(headers_in_utf8_come_back_as_they_were),
        cmocka_unit_test(a_sender_in_utf8_needs_smtputf8),
        cmocka_unit_test(without_utf8_the_report_stays_ascii),
        cmocka_unit_test(a_boundary_in_the_message_is_not_ours),
        cmocka_unit_test(hostile_texts_stay_inside_their_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
