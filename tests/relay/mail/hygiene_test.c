#include "relay/mail/hygiene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct mail_hygiene full = {
    .date = "DATE",
    .message_id = "<ID>",
    .from = "a@b.example",
    .strip_received = true,
    .hostname = "relay.example",
    .rewrite = {.from_domain = "n.example", .hostname = "relay.example"},
};

static const struct mail_hygiene least = {.hostname = "relay.example"};

#define WHOLE "Date: d\r\nFrom: x@n.example\r\nMessage-ID: <m>\r\n"

static const struct {
    const char *section;
    const char *expect; /* NULL: stays as it is */
} table[] = {
    {WHOLE, NULL},
    {"", "Date: DATE\r\nFrom: a@b.example\r\nMessage-ID: <ID>\r\n"},
    {"Date: d\r\nMessage-ID: <m>\r\nX: y\r\n",
     "From: a@b.example\r\nDate: d\r\nMessage-ID: <m>\r\nX: y\r\n"},
    {"FROM : x@n.example\r\ndate:\r\nMESSAGE-ID:\r\n <m>\r\n", NULL},
    /* Behind a mailbox line the fields go on. */
    {"From x@y Thu Jan 1 00:00:00 1970\r\n" WHOLE, NULL},
    /* What a DKIM signature may have signed as absent stays absent. */
    {"DKIM-Signature: v=1\r\nTo: y@z.example\r\n", NULL},
    /* Blind copies */
    {WHOLE "Bcc: v@x\r\n", WHOLE},
    {"bcc : v@x,\r\n\tw@x\r\n y@x\r\n" WHOLE "Resent-BCC:\r\nX: y\r\n",
     WHOLE "X: y\r\n"},
    {"DKIM-Signature: v=1\r\nBcc: v@x\r\n", "DKIM-Signature: v=1\r\n"},
    {WHOLE "X-Bcc: v@x\r\nBccs: y\r\n", NULL},
    /* Received */
    {"Received: from a by b.example; d\r\n" WHOLE, WHOLE},
    {"Received: from a (relay.example) by b (by\r\n relay.example); "
     "d\r\n" WHOLE,
     WHOLE},
    {"Received: from a\r\n\tby (b) RELAY.example with SMTP; d\r\n" WHOLE, NULL},
    {"X-Received: by b.example\r\n" WHOLE, NULL},
    /* Senders */
    {"Date: d\r\nFrom: \"x@y.example\" <x@y.example>\r\nMessage-ID: <m>\r\n",
     "Date: d\r\nFrom: \"x@y.example\" <x@n.example>\r\nMessage-ID: <m>\r\n"},
    {WHOLE "Sender: q@y.example\r\nReply-To: q@y.example\r\n"
           "To: q@y.example\r\nResent-From: q@y.example\r\n",
     WHOLE "Sender: q@n.example\r\nReply-To: q@y.example\r\n"
           "To: q@y.example\r\nResent-From: q@n.example\r\n"},
    {"DKIM-Signature: d=y.example\r\nFrom: x@y.example\r\n",
     "DKIM-Signature: d=y.example\r\nFrom: x@n.example\r\n"},
};

static void
each_rule_changes_what_it_is_about(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        scoped(buf_free) struct buf out = {0};
        bool changed = mail_hygiene(slice_of(table[i].section), &full, &out);

        assert_string_equal(buf_text(&out), table[i].expect ? table[i].expect
                                                            : table[i].section);
        assert_int_equal(changed, table[i].expect != NULL);
    }
}

static void
without_rules_only_blind_copies_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        scoped(buf_free) struct buf out = {0};
        struct slice section = slice_of(table[i].section);
        bool has_bcc = strcasestr(table[i].section, "\nBcc:") ||
                       strncasecmp(table[i].section, "Bcc", 3) == 0;

        assert_int_equal(mail_hygiene(section, &least, &out), has_bcc);
        if (!has_bcc)
            assert_string_equal(buf_text(&out), table[i].section);
    }
}

/* Odd fields on all sides of one that changes. */
static void
every_other_octet_stays(void **state)
{
    static const char *const odd[] = {
        "X:y\r\n",
        "X\t : \xff\xfe\r\n\t \r\n z\r\n",
        "From x@y: z\r\n",
        "Subject: =?utf-8?q?=C3=A4?= \r\n",
        "List-Post: <mailto:a@b.example>\r\n",
        "To: \"open <a@b.example>\r\n",
        "DKIM-Signature: a=b; h=from:bcc:to\r\n",
    };
    size_t count = sizeof(odd) / sizeof(odd[0]);

    (void)state;
    for (size_t i = 0; i < count * count; i++) {
        scoped(buf_free) struct buf in = {0}, out = {0}, expect = {0};

        buf_printf(&in, WHOLE "%sBcc: v\r\n%s", odd[i / count], odd[i % count]);
        buf_printf(&expect, WHOLE "%s%s", odd[i / count], odd[i % count]);
        assert_true(mail_hygiene(buf_slice(&in), &full, &out));
        assert_string_equal(buf_text(&out), buf_text(&expect));
    }
}

static void
what_was_done_once_is_not_done_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        scoped(buf_free) struct buf once = {0}, twice = {0};

        (void)mail_hygiene(slice_of(table[i].section), &full, &once);
        /* An added From has the envelope's sender, which is rewritten ahead
         * of it. */
        if (strstr(buf_text(&once), "From: a@b.example"))
            continue;
        assert_false(mail_hygiene(buf_slice(&once), &full, &twice));
        assert_string_equal(buf_text(&once), buf_text(&twice));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_changes_what_it_is_about),
        cmocka_unit_test(without_rules_only_blind_copies_go),
        cmocka_unit_test(every_other_octet_stays),
        cmocka_unit_test(what_was_done_once_is_not_done_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
