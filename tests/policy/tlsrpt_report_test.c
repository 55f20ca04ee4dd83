#include "policy/tlsrpt_report.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

static const char count[] =
    "[{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":\"example.com\"},"
    "\"summary\":{\"total-successful-session-count\":5326,"
    "\"total-failure-session-count\":303}}]";

static struct policy_tlsrpt_report
report(void)
{
    return (struct policy_tlsrpt_report){
        .organization = "Example \"Org\"",
        .contact = "tls@relay.example.net",
        .submitter = "relay.example.net",
        .domain = "example.com",
        .day_ms = INT64_C(1709164800000), /* 2024-02-29 */
        .unique = "0g3k1x9d2a",
        .count = slice_of(count),
    };
}

static void
the_document_is_that_of_the_standard(void **state)
{
    struct policy_tlsrpt_report r = report();
    scoped(buf_free) struct buf out = {0};
    struct err err;

    (void)state;
    assert_true(policy_tlsrpt_report_json(&r, &out, &err));
    assert_string_equal(
        buf_text(&out),
        "{\n"
        "  \"organization-name\": \"Example \\\"Org\\\"\",\n"
        "  \"date-range\": {\n"
        "    \"start-datetime\": \"2024-02-29T00:00:00Z\",\n"
        "    \"end-datetime\": \"2024-02-29T23:59:59Z\"\n"
        "  },\n"
        "  \"contact-info\": \"tls@relay.example.net\",\n"
        "  \"report-id\": \"2024-02-29.0g3k1x9d2a@relay.example.net\",\n"
        "  \"policies\": [\n"
        "    {\n"
        "      \"policy\": {\n"
        "        \"policy-type\": \"sts\",\n"
        "        \"policy-domain\": \"example.com\"\n"
        "      },\n"
        "      \"summary\": {\n"
        "        \"total-successful-session-count\": 5326,\n"
        "        \"total-failure-session-count\": 303\n"
        "      }\n"
        "    }\n"
        "  ]\n"
        "}\n");
}

static void
what_is_no_count_gives_no_document(void **state)
{
    static const char *const texts[] = {"", "{}", "[", "\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct policy_tlsrpt_report r = report();
        scoped(buf_free) struct buf out = {0};
        struct err err;

        r.count = slice_of(texts[i]);
        assert_false(policy_tlsrpt_report_json(&r, &out, &err));
        assert_int_equal(err.kind, ERR_INPUT);
        assert_int_equal(out.len, 0);
    }
}

static void
text_that_is_no_utf8_gives_no_document(void **state)
{
    struct policy_tlsrpt_report r = report();
    scoped(buf_free) struct buf out = {0};
    struct err err;

    (void)state;
    r.organization = "\xff";
    assert_false(policy_tlsrpt_report_json(&r, &out, &err));
}

static void
the_file_is_named_by_day_and_domains(void **state)
{
    struct policy_tlsrpt_report r = report();
    scoped(own_free) char *file = policy_tlsrpt_report_file(&r);

    (void)state;
    assert_string_equal(file, "relay.example.net!example.com!1709164800!"
                              "1709251199!0g3k1x9d2a.json.gz");
}

static void
gzip_gives_back_what_went_in(void **state)
{
    scoped(buf_free) struct buf in = {0};
    scoped(buf_free) struct buf packed = {0};
    scoped(buf_free) struct buf out = {0};

    (void)state;
    for (size_t len = 0; len < 100000; len = len * 3 + 1) {
        z_stream z = {0};

        while (in.len < len)
            buf_add_byte(&in, (char)(in.len * in.len % 251));
        buf_clear(&packed);
        buf_clear(&out);
        policy_tlsrpt_report_pack(buf_slice(&in), &packed);
        assert_memory_equal(packed.p, "\x1f\x8b\x08", 3);
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        z.next_in = (Bytef *)packed.p;
        z.avail_in = (uInt)packed.len;
        z.next_out = (Bytef *)buf_room(&out, in.len + 1);
        z.avail_out = (uInt)in.len + 1;
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.total_out, in.len);
        if (in.len > 0)
            assert_memory_equal(out.p, in.p, in.len);
        inflateEnd(&z);
    }
}

static void
write_mail(struct slice packed, struct buf *out)
{
    struct policy_tlsrpt_report r = report();
    struct policy_tlsrpt_mail m = {
        .from = "noreply@relay.example.net",
        .to = "tls@example.com",
        .message_id = "x@relay.example.net",
        .now_ms = INT64_C(1709251200000),
    };

    policy_tlsrpt_report_mail(&r, &m, packed, out);
}

static void
the_mail_says_what_it_is(void **state)
{
    static const char *const parts[] = {
        "\r\nFrom: <noreply@relay.example.net>\r\n",
        "\r\nTo: <tls@example.com>\r\n",
        "\r\nSubject: Report Domain: example.com\r\n"
        " Submitter: relay.example.net\r\n"
        " Report-ID: <2024-02-29.0g3k1x9d2a@relay.example.net>\r\n",
        "\r\nMessage-ID: <x@relay.example.net>\r\n",
        "\r\nTLS-Report-Domain: example.com\r\n",
        "\r\nTLS-Report-Submitter: relay.example.net\r\n",
        "\r\nTLS-Required: No\r\n",
        "\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "Sessions that succeeded: 5326\r\n",
        "Sessions that failed: 303\r\n",
        "\r\nContent-Type: application/tlsrpt+gzip\r\n",
        "\r\nContent-Transfer-Encoding: base64\r\n",
        " filename=\"relay.example.net!example.com!",
        "\r\nAP8Q\r\n",
    };
    scoped(buf_free) struct buf out = {0};

    (void)state;
    write_mail((struct slice){"\x00\xff\x10", 3}, &out);
    assert_memory_equal(buf_text(&out),
                        "Date: Fri, 01 Mar 2024 00:00:00 +0000\r\n", 39);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strstr(buf_text(&out), parts[i]))
            fail_msg("not there: %s", parts[i]);
}

static void
lines_of_the_mail_are_short_and_end_in_crlf(void **state)
{
    scoped(buf_free) struct buf packed = {0};
    scoped(buf_free) struct buf out = {0};
    struct slice rest;

    (void)state;
    while (packed.len < 5000)
        buf_add_byte(&packed, (char)(packed.len * 7));
    write_mail(buf_slice(&packed), &out);
    rest = buf_slice(&out);
    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');

        assert_true(line.len > 0 && line.p[line.len - 1] == '\r');
        assert_null(memchr(line.p, '\r', line.len - 1));
        if (line.len > 120)
            fail_msg("%.*s", (int)line.len, line.p);
    }
}

/* RFC 4648 section 10 */
static void
base64_is_padded(void **state)
{
    static const char *const rows[][2] = {
        {"f", "\r\nZg==\r\n"},         {"fo", "\r\nZm8=\r\n"},
        {"foo", "\r\nZm9v\r\n"},       {"foob", "\r\nZm9vYg==\r\n"},
        {"fooba", "\r\nZm9vYmE=\r\n"}, {"foobar", "\r\nZm9vYmFy\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scoped(buf_free) struct buf out = {0};

        write_mail(slice_of(rows[i][0]), &out);
        assert_non_null(strstr(buf_text(&out), rows[i][1]));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_that_of_the_standard),
        cmocka_unit_test(what_is_no_count_gives_no_document),
        cmocka_unit_test(text_that_is_no_utf8_gives_no_document),
        cmocka_unit_test(the_file_is_named_by_day_and_domains),
        cmocka_unit_test(gzip_gives_back_what_went_in),
        cmocka_unit_test(the_mail_says_what_it_is),
        cmocka_unit_test(lines_of_the_mail_are_short_and_end_in_crlf),
        cmocka_unit_test(base64_is_padded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
