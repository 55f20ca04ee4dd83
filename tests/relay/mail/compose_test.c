/* RFC 2045, RFC 2046 and, for names of files, RFC 2231. */
#include "relay/mail/compose.h"

#include "relay/base/own.h"
#include "relay/mail/parameter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mail_compose_mailbox
box(const char *name, const char *address)
{
    struct mail_compose_mailbox b = {.name = slice_of(name)};
    struct err err;

    assert_true(mail_address_parse(slice_of(address), true, &b.address, &err));
    return b;
}

static void
compose(const struct mail_compose *c, struct buf *out)
{
    buf_clear(out);
    mail_compose(c, out);
}

static void
text_alone_is_one_part(void **state)
{
    struct mail_compose_mailbox to[] = {box("", "a@b.test"),
                                        box("C", "c@d.test")};
    struct mail_compose c = {.from = box("Shop", "s@h.test"),
                             .to = {to, 2},
                             .has_subject = true,
                             .subject = slice_of("hi"),
                             .has_text = true,
                             .text = slice_of("one\r\n\rtwo\n"),
                             .date = "DATE",
                             .message_id = "<id>",
                             .boundary = "B"};
    scoped(buf_free) struct buf out = {0};

    (void)state;
    compose(&c, &out);
    assert_string_equal(buf_text(&out),
                        "Date: DATE\r\nFrom: Shop <s@h.test>\r\n"
                        "To: a@b.test,\r\n C <c@d.test>\r\nSubject: hi\r\n"
                        "Message-ID: <id>\r\nMIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: 7bit\r\n\r\n"
                        "one\r\n\r\ntwo\r\n");
    c.text = slice_of("no end");
    compose(&c, &out);
    assert_non_null(strstr(buf_text(&out), "\r\n\r\nno end\r\n"));
    c.text = slice_of("");
    compose(&c, &out);
    assert_memory_equal(out.p + out.len - 6, "\r\n\r\n\r\n", 6);
}

/* RFC 2046 section 5.1: the line end before a boundary is the boundary's. */
static void
parts_stand_between_their_boundaries(void **state)
{
    struct mail_compose_file files[] = {
        {.type = "image/png", .content_id = "i@x", .base64 = slice_of("QQ==")},
        {.type = "text/plain",
         .name = slice_of("n"),
         .base64 = slice_of("QUJD")},
    };
    struct mail_compose c = {.from = box("", "s@h.test"),
                             .has_text = true,
                             .text = slice_of("t"),
                             .has_html = true,
                             .html = slice_of("h\n"),
                             .files = files,
                             .file_count = 2,
                             .boundary = "B"};
    scoped(buf_free) struct buf out = {0};
    const char *body;

    (void)state;
    compose(&c, &out);
    body = strstr(buf_text(&out), "MIME-Version");
    assert_string_equal(
        body,
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed;\r\n\tboundary=\"=_mB\"\r\n\r\n"
        "--=_mB\r\n"
        "Content-Type: multipart/alternative;\r\n\tboundary=\"=_aB\"\r\n\r\n"
        "--=_aB\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n\r\nt\r\n"
        "--=_aB\r\n"
        "Content-Type: multipart/related; type=\"text/html\";\r\n"
        "\tboundary=\"=_rB\"\r\n\r\n"
        "--=_rB\r\n"
        "Content-Type: text/html; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n\r\nh\r\n\r\n"
        "--=_rB\r\n"
        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: inline\r\nContent-ID: <i@x>\r\n\r\nQQ==\r\n"
        "--=_rB--\r\n"
        "--=_aB--\r\n"
        "--=_mB\r\n"
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment;\r\n\tfilename=\"n\"\r\n\r\nQUJD\r\n"
        "--=_mB--\r\n");
}

/* RFC 2045 section 6: what can't go as it is goes encoded. */
static void
the_encoding_is_the_least_that_does(void **state)
{
    static const struct {
        const char *text, *encoding;
    } rows[] = {
        {"plain\n", "7bit"},
        {"mostly plain, with one \xc3\xbc\n", "quoted-printable"},
        {"\xe6\xa0\xaa\xe6\xa0\xaa\n", "base64"},
        {"\x7f and so on\n", "quoted-printable"},
    };
    scoped(buf_free) struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mail_compose c = {.from = box("", "s@h.test"),
                                 .has_text = true,
                                 .text = slice_of(rows[i].text),
                                 .boundary = "B"};

        compose(&c, &out);
        if (!strstr(buf_text(&out), rows[i].encoding))
            fail_msg("%s: %s", rows[i].text, buf_text(&out));
        for (size_t k = 0; k < out.len; k++)
            assert_true((unsigned char)out.p[k] < 0x7f);
    }
}

static void
only_fields_of_the_author_s_are_taken(void **state)
{
    static const char *const good[] = {"X-A",     "Message-ID",  "Date",
                                       "List-Id", "In-Reply-To", "x"};
    static const char *const bad[] = {"",
                                      "a b",
                                      "a:",
                                      "a\r\nb",
                                      "from",
                                      "TO",
                                      "content-x",
                                      "Bcc",
                                      "Received",
                                      "ARC-Seal",
                                      "dkim-signature",
                                      "\xc3\xbc"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!mail_compose_is_field(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (mail_compose_is_field(bad[i]))
            fail_msg("%s", bad[i]);
}

static void
a_type_is_a_type(void **state)
{
    static const char *const good[] = {"a/b", "text/csv; charset=utf-8",
                                       "application/vnd.x+json"};
    static const char *const bad[] = {
        "",          "a",       "a/",           "/b",          "a/b/c",
        "a/b c",     "a/b\r\n", "a/b;\r\nX: y", "multipart/x", "MESSAGE/rfc822",
        "a/\xc3\xbc"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!mail_compose_is_type(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (mail_compose_is_type(bad[i]))
            fail_msg("%s", bad[i]);
}

static void
base64_is_checked_across_its_pieces(void **state)
{
    scoped(buf_free) struct buf text = {0};

    (void)state;
    memset(buf_room(&text, 9000), 'A', 9000);
    text.len = 9000;
    assert_true(mail_compose_is_base64(buf_slice(&text)));
    text.p[4095] = '=';
    assert_false(mail_compose_is_base64(buf_slice(&text)));
    text.p[4095] = 'A';
    text.p[8999] = '=';
    assert_true(mail_compose_is_base64(buf_slice(&text)));
    assert_false(mail_compose_is_base64(slice_first(buf_slice(&text), 8998)));
    assert_true(mail_compose_is_base64(slice_of("")));
    assert_false(mail_compose_is_base64(slice_of("QQ\r\n==")));
}

/* RFC 2231 section 3 and 4. */
static void
names_of_files_are_in_any_language_and_of_any_length(void **state)
{
    static const struct {
        const char *value, *out;
    } rows[] = {
        {"a.txt", ";\r\n\tfilename=\"a.txt\""},
        {"a \"b\"\\", ";\r\n\tfilename=\"a \\\"b\\\"\\\\\""},
        {"\xc3\xbc*'%", ";\r\n\tfilename*0*=utf-8''%C3%BC%2A%27%25"},
        {"a\r\nb", ";\r\n\tfilename*0*=utf-8''a%0D%0Ab"},
    };
    scoped(buf_free) struct buf name = {0};
    scoped(buf_free) struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&out);
        mail_parameter_add("filename", slice_of(rows[i].value), &out);
        assert_string_equal(buf_text(&out), rows[i].out);
    }
    buf_clear(&out);
    for (int i = 0; i < 40; i++)
        buf_add_text(&name, "\xe6\xa0\xaa");
    mail_parameter_add("filename", buf_slice(&name), &out);
    assert_non_null(strstr(buf_text(&out), ";\r\n\tfilename*5*=%E6%A0%AA"));
    assert_null(strstr(buf_text(&out), "%E6%A0;"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_alone_is_one_part),
        cmocka_unit_test(parts_stand_between_their_boundaries),
        cmocka_unit_test(the_encoding_is_the_least_that_does),
        cmocka_unit_test(only_fields_of_the_author_s_are_taken),
        cmocka_unit_test(a_type_is_a_type),
        cmocka_unit_test(base64_is_checked_across_its_pieces),
        cmocka_unit_test(names_of_files_are_in_any_language_and_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
