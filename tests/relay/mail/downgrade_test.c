#include "relay/mail/downgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
feed(struct mail_downgrade *d, struct slice in, size_t cut, struct buf *out)
{
    mail_downgrade_feed(d, slice_first(in, cut), out);
    mail_downgrade_feed(d, slice_from(in, cut), out);
}

/* The reason, or NULL and the message in `out`; in two pieces each time. */
static const char *
convert(struct slice in, size_t cut, struct buf *out)
{
    scoped(mail_downgrade_free) struct mail_downgrade *d = mail_downgrade_new();
    static struct err err;

    buf_clear(out);
    feed(d, in, cut, NULL);
    if (!mail_downgrade_turn(d, &err))
        return err.text;
    feed(d, in, in.len - cut, out);
    mail_downgrade_end(d, out);
    return NULL;
}

static void
becomes(const char *in, const char *expect)
{
    scoped(buf_free) struct buf out = {0};

    for (size_t cut = 0; cut <= strlen(in); cut++) {
        const char *why = convert(slice_of(in), cut, &out);

        if (why)
            fail_msg("refused: %s\n%s", why, in);
        assert_string_equal(buf_text(&out), expect);
    }
    /* What was converted needs no conversion. */
    assert_null(convert(slice_of(expect), 0, &out));
    assert_string_equal(buf_text(&out), expect);
}

static void
refused(const char *in, const char *reason)
{
    scoped(buf_free) struct buf out = {0};

    for (size_t cut = 0; cut <= strlen(in); cut++) {
        const char *why = convert(slice_of(in), cut, &out);

        if (!why)
            fail_msg("not refused:\n%s", in);
        assert_non_null(strstr(why, reason));
    }
}

#define MIME "MIME-Version: 1.0\r\n"
#define EIGHT "Content-Transfer-Encoding: 8bit\r\n"
#define QP "Content-Transfer-Encoding: quoted-printable\r\n"
#define B64 "Content-Transfer-Encoding: base64\r\n"
#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"

static void
text_becomes_quoted_printable(void **state)
{
    (void)state;
    becomes(MIME TEXT EIGHT "Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9f"
                            "e = \r\n"
                            "\ttab\t\r\n.\r\n",
            MIME TEXT "Subject: x\r\n" QP "\r\nGr=C3=BC=C3=9F"
                      "e =3D=20\r\n"
                      "\ttab=09\r\n.\r\n");
    becomes(MIME TEXT "content-transfer-encoding :\r\n\t8BIT \r\n"
                      "Subject: x\r\n y\r\n\r\n\xff\r\n",
            MIME TEXT "Subject: x\r\n y\r\n" QP "\r\n=FF\r\n");
}

static void
what_is_no_text_becomes_base64(void **state)
{
    (void)state;
    becomes(MIME "Content-Type: application/x\r\n" EIGHT "\r\n\xff\r\nab\r\n",
            MIME "Content-Type: application/x\r\n" B64 "\r\n/w0KYWINCg==\r\n");
}

/* RFC 2045 section 5.2: without a word of it, it is text. */
static void
a_message_without_mime_gets_it(void **state)
{
    (void)state;
    becomes("Subject: x\r\n\r\n\xe4\r\n",
            "Subject: x\r\n" MIME
            "Content-Type: text/plain; charset=unknown-8bit\r\n" QP
            "\r\n=E4\r\n");
    becomes("\r\n\xe4\r\n",
            MIME "Content-Type: text/plain; charset=unknown-8bit\r\n" QP
                 "\r\n=E4\r\n");
    becomes("From a@b Thu Jan 1 00:00:00\r\nX: y\r\nno field \xe4\r\n",
            "From a@b Thu Jan 1 00:00:00\r\nX: y\r\n" MIME
            "Content-Type: text/plain; charset=unknown-8bit\r\n" QP
            "\r\nno field =E4\r\n");
}

static void
what_is_ascii_stays(void **state)
{
    static const char *const same[] = {
        "Subject: x\r\n\r\nhi\r\n",
        "Subject: \xc3\xbc\r\n\r\nhi\r\n",
        MIME EIGHT "\r\nhi\r\n",
        "Subject: x\r\n",
        "",
        "\r\n",
        MIME
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        "pre\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: y\r\n\r\n\r\n--b-- \r\n"
        "post\r\n\r\n",
        MIME "Content-Type: multipart/signed; boundary=b\r\n\r\n"
             "--b\r\nX: \xc3\xbc\r\n\r\nx \r\n--b--\r\n",
        MIME "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n",
        MIME
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b--\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        becomes(same[i], same[i]);
}

#define MIXED MIME "Content-Type: multipart/mixed;\r\n boundary=\"b c\" (x)\r\n"

static void
each_part_is_converted_by_itself(void **state)
{
    (void)state;
    becomes(MIXED EIGHT "\r\npre\xff\r\n"
                        "--b c\r\n" TEXT EIGHT "\r\n\xc3\xa4\r\n\r\n"
                        "--b c \r\n\r\nascii = \r\n"
                        "--b c\r\nContent-Type: image/x\r\n\r\n\xff\r\n"
                        "--b c--\r\npost\xff\r\n",
            MIXED "Content-Transfer-Encoding: 7bit\r\n\r\npre?\r\n"
                  "--b c\r\n" TEXT QP "\r\n=C3=A4\r\n\r\n"
                  "--b c \r\n\r\nascii = \r\n"
                  "--b c\r\nContent-Type: image/x\r\n" B64 "\r\n/w==\r\n"
                  "--b c--\r\npost?\r\n");
}

static void
parts_in_parts_are_found(void **state)
{
    (void)state;
    becomes(
        MIXED "\r\n"
              "--b c\r\nContent-Type: multipart/alternative; boundary=bb\r\n"
              "\r\n--bb\r\n\r\n\xe4\r\n--bbb\r\n--bb--\r\n\r\n--b c\r\n"
              "\r\n--bb\r\n\xe4\r\n--b c--\r\n",
        MIXED "\r\n"
              "--b c\r\nContent-Type: multipart/alternative; boundary=bb\r\n"
              "\r\n--bb\r\n" QP "\r\n=E4\r\n--bbb\r\n--bb--\r\n\r\n--b c\r\n" QP
              "\r\n--bb\r\n=E4\r\n--b c--\r\n");
    /* The outer one ends the inner one. */
    becomes(
        MIXED "\r\n"
              "--b c\r\nContent-Type: multipart/alternative; boundary=bb\r\n"
              "\r\n--bb\r\n\r\nx\r\n--b c\r\n\r\n\xe4\r\n--bb\r\n--b c--\r\n",
        MIXED "\r\n"
              "--b c\r\nContent-Type: multipart/alternative; boundary=bb\r\n"
              "\r\n--bb\r\n\r\nx\r\n--b c\r\n" QP "\r\n=E4\r\n--bb\r\n"
              "--b c--\r\n");
    /* A part whose header section the boundary cuts off. */
    becomes(MIXED "\r\n--b c\r\nX: y\r\n--b c\r\n\r\n\xe4\r\n--b c--\r\n",
            MIXED "\r\n--b c\r\nX: y\r\n--b c\r\n" QP "\r\n=E4\r\n--b c--\r\n");
}

static void
a_message_in_a_message_is_converted_inside(void **state)
{
    (void)state;
    becomes(
        MIXED "\r\n--b c\r\nContent-Type: message/rfc822\r\n" EIGHT
              "\r\nSubject: \xc3\xa4\r\n" TEXT "\r\n\xc3\xa4\r\n--b c--\r\n",
        MIXED "\r\n--b c\r\nContent-Type: message/rfc822\r\n"
              "Content-Transfer-Encoding: 7bit\r\n"
              "\r\nSubject: \xc3\xa4\r\n" TEXT QP "\r\n=C3=A4\r\n--b c--\r\n");
    becomes(MIME "Content-Type: multipart/digest; boundary=b\r\n\r\n"
                 "--b\r\n\r\nSubject: x\r\n\r\n\xe4\r\n--b--\r\n",
            MIME "Content-Type: multipart/digest; boundary=b\r\n\r\n"
                 "--b\r\n\r\nSubject: x\r\n" QP "\r\n=E4\r\n--b--\r\n");
    becomes(MIME "Content-Type: multipart/digest; boundary=b\r\n\r\n"
                 "--b\r\nno field \xe4\r\n--b--\r\n",
            MIME "Content-Type: multipart/digest; boundary=b\r\n\r\n"
                 "--b\r\n\r\n" QP "\r\nno field =E4\r\n--b--\r\n");
    becomes(MIXED "no:field\xe4:\r\nx\xe4\r\n: y\r\n--b c--\r\n",
            MIXED "no:field\xe4:\r\n\r\nx?\r\n: y\r\n--b c--\r\n");
    becomes(MIME "Content-Type: message/global\r\n\r\nSubject: \xe4\r\n", MIME
            "Content-Type: message/global\r\n" B64 "\r\nU3ViamVjdDog5A0K\r\n");
}

static void
what_is_quoted_printable_already_is_mended(void **state)
{
    (void)state;
    becomes(MIME TEXT QP "\r\na=20\xe4=\r\n b\r\n",
            MIME TEXT QP "\r\na=20=E4=\r\n b\r\n");
}

static void
signed_content_is_refused(void **state)
{
    (void)state;
    refused(MIME "Content-Type: Multipart/Signed; boundary=b\r\n\r\n"
                 "--b\r\n" TEXT EIGHT "\r\n\xc3\xa4\r\n--b--\r\n",
            "signed");
    refused(MIXED
            "\r\n--b c\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n"
            "--d\r\n\r\nx\r\n--d\r\n\r\n\xe4\r\n--d--\r\n--b--\r\n--b c--\r\n",
            "signed");
    refused(MIME
            "Content-Type: multipart/signed; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n\xe4\r\n"
            "--d\r\n\r\nx\r\n--d--\r\n--b--\r\n",
            "signed");
    /* Beside it all may be converted. */
    becomes(MIXED
            "\r\n--b c\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"
            "\xe4\r\n--b\r\n\r\nx\r\n--b--\r\n--b c\r\n\r\n\xe4\r\n--b c--\r\n",
            MIXED
            "\r\n--b c\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"
            "?\r\n--b\r\n\r\nx\r\n--b--\r\n--b c\r\n" QP
            "\r\n=E4\r\n--b c--\r\n");
}

static void
what_cannot_be_understood_is_refused(void **state)
{
    static const char *const unclear[] = {
        "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n\xe4\r\n--b--\r\n",
        "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n\xe4\r\n",
        "Content-Type: multipart/mixed; "
        "boundary=\"b\r\n\r\n--b\r\n\r\n\xe4\r\n",
        "Content-Type: multipart/mixed; "
        "boundary*0=b\r\n\r\n--b\r\n\r\n\xe4\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n" B64 "\r\n"
        "--b\r\n\r\n\xe4\r\n",
        "Content-Type: message/partial; id=x\r\n\r\n\xe4\r\n",
        "Content-Type: message/delivery-status\r\n\r\nX: \xe4\r\n",
        TEXT B64 "\r\n\xe4\r\n",
        TEXT "Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe4\r\n",
        TEXT EIGHT QP "\r\n\xe4\r\n",
        TEXT "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
             "--b\r\n\r\n\xe4\r\n--b--\r\n",
        " folded\r\nX: y\r\n\r\n\xe4\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(unclear) / sizeof(unclear[0]); i++)
        refused(unclear[i], "");
}

static void
add_nested(struct buf *b, unsigned levels)
{
    for (unsigned i = 0; i < levels; i++)
        buf_printf(b,
                   "Content-Type: multipart/mixed; boundary=b%u.\r\n\r\n"
                   "--b%u.\r\n",
                   i, i);
    buf_add_text(b, "\r\n\xe4\r\n");
}

static void
depth_and_number_of_parts_have_limits(void **state)
{
    scoped(buf_free) struct buf b = {0}, out = {0};

    (void)state;
    add_nested(&b, MAIL_DOWNGRADE_DEPTH_MAX - 1);
    assert_null(convert(buf_slice(&b), 9, &out));
    buf_clear(&b);
    add_nested(&b, MAIL_DOWNGRADE_DEPTH_MAX);
    assert_non_null(convert(buf_slice(&b), 9, &out));
    buf_clear(&b);
    for (unsigned i = 0; i < 20000; i++)
        buf_add_text(&b, "Content-Type: message/rfc822\r\n\r\n");
    buf_add_text(&b, "\r\n\xe4\r\n");
    assert_non_null(convert(buf_slice(&b), 9, &out));

    buf_clear(&b);
    buf_add_text(&b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (unsigned i = 0; i < MAIL_DOWNGRADE_PARTS_MAX - 1; i++)
        buf_add_text(&b, "--b\r\n\r\n\xe4\r\n");
    assert_null(convert(buf_slice(&b), 9, &out));
    buf_add_text(&b, "--b\r\n\r\n\xe4\r\n--b--\r\n");
    assert_non_null(convert(buf_slice(&b), 9, &out));
}

/* No line that we make is longer than 76, nor a boundary. */
static void
long_lines_are_broken_and_never_into_a_boundary(void **state)
{
    scoped(buf_free) struct buf b = {0}, out = {0};

    (void)state;
    buf_add_text(&b, MIME "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
                          "--b\r\n\r\n");
    for (unsigned lead = 60; lead < 80; lead++) {
        buf_add_text(&b, "\xe4");
        for (unsigned i = 0; i < lead; i++)
            buf_add_byte(&b, 'x');
        buf_add_text(&b, "--b\r\n");
    }
    for (unsigned i = 0; i < 3 * MAIL_DOWNGRADE_LINE_MAX; i++)
        buf_add_byte(&b, (char)(i % 7 ? 'y' : '\xff'));
    buf_add_text(&b, "\r\n--b--\r\n");
    assert_null(convert(buf_slice(&b), 5, &out));
    for (struct slice rest = buf_slice(&out); rest.len > 0;) {
        struct slice line = slice_cut(&rest, '\n');

        assert_true(line.len <= 77);
        if (slice_is(line, "--b\r"))
            assert_int_equal(line.p - out.p, 64);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_quoted_printable),
        cmocka_unit_test(what_is_no_text_becomes_base64),
        cmocka_unit_test(a_message_without_mime_gets_it),
        cmocka_unit_test(what_is_ascii_stays),
        cmocka_unit_test(each_part_is_converted_by_itself),
        cmocka_unit_test(parts_in_parts_are_found),
        cmocka_unit_test(a_message_in_a_message_is_converted_inside),
        cmocka_unit_test(what_is_quoted_printable_already_is_mended),
        cmocka_unit_test(signed_content_is_refused),
        cmocka_unit_test(what_cannot_be_understood_is_refused),
        cmocka_unit_test(depth_and_number_of_parts_have_limits),
        cmocka_unit_test(long_lines_are_broken_and_never_into_a_boundary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
