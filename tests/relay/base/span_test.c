#include "relay/base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
reads_spans(void **state)
{
    static const struct {
        const char *in;
        int64_t ms; /* -1: refused */
        const char *out;
    } cases[] = {
        {"0", 0, "0"},
        {"0s", 0, "0"},
        {"250ms", 250, "250ms"},
        {"90s", 90000, "1m30s"},
        {"5m", 300000, "5m"},
        {"4h", 14400000, "4h"},
        {"5d", 432000000, "5d"},
        {"1h30m", 5400000, "1h30m"},
        {"1d2h3m4s5ms", 93784005, "1d2h3m4s5ms"},
        {"36500d", 3153600000000, "36500d"},
        {"", -1, NULL},
        {"90", -1, NULL},
        {"00", -1, NULL},
        {"s", -1, NULL},
        {"-1s", -1, NULL},
        {"+1s", -1, NULL},
        {"1.5h", -1, NULL},
        {"1 h", -1, NULL},
        {"1h ", -1, NULL},
        {"1H", -1, NULL},
        {"1w", -1, NULL},
        {"1h30", -1, NULL},
        {"30m1h", -1, NULL},
        {"1h1h", -1, NULL},
        {"1hs", -1, NULL},
        {"36500d1ms", -1, NULL},
        {"106751991168d", -1, NULL},
        {"9223372036854775807ms", -1, NULL},
        {"18446744073709551617ms", -1, NULL},
        {"99999999999999999999999s", -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        struct err err;
        char out[SPAN_TEXT_SIZE];
        bool ok = span_parse(slice_of(cases[i].in), &ms, &err);

        if (ok != (cases[i].ms >= 0) || ms != cases[i].ms)
            fail_msg("%s", cases[i].in);
        if (ok)
            assert_string_equal(span_text(ms, out), cases[i].out);
    }
}

static void
writes_any_span(void **state)
{
    char out[SPAN_TEXT_SIZE];

    (void)state;
    assert_string_equal(span_text(-90000, out), "-1m30s");
    assert_string_equal(span_text(INT64_MAX, out),
                        "106751991167d7h12m55s807ms");
    assert_string_equal(span_text(INT64_MIN, out),
                        "-106751991167d7h12m55s808ms");
}

static void
reads_sizes(void **state)
{
    static const struct {
        const char *in;
        int64_t octets; /* -1: refused */
        const char *out;
    } cases[] = {
        {"0", 0, "0"},
        {"1", 1, "1"},
        {"1000", 1000, "1000"},
        {"1024", 1024, "1K"},
        {"64K", 65536, "64K"},
        {"1536K", 1572864, "1536K"},
        {"50M", 52428800, "50M"},
        {"1G", 1073741824, "1G"},
        {"8589934591G", 9223372035781033984, "8589934591G"},
        {"8589934592G", -1, NULL},
        {"9223372036854775808", -1, NULL},
        {"18446744073709551616", -1, NULL},
        {"", -1, NULL},
        {"K", -1, NULL},
        {"-1", -1, NULL},
        {"1k", -1, NULL},
        {"1KB", -1, NULL},
        {"1 K", -1, NULL},
        {"1.5M", -1, NULL},
        {"1T", -1, NULL},
        {"0x10", -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t octets = 0;
        struct err err;
        char out[SPAN_TEXT_SIZE];
        bool ok = span_parse_size(slice_of(cases[i].in), &octets, &err);

        if (ok != (cases[i].octets >= 0))
            fail_msg("%s", cases[i].in);
        if (!ok)
            continue;
        assert_int_equal(octets, cases[i].octets);
        assert_string_equal(span_size_text(octets, out), cases[i].out);
    }
}

static void
reads_rates(void **state)
{
    static const char *const bad[] = {
        "",     "/",    "100", "100/",    "/1h",   "-1/1h",        "1/0",
        "1/0s", "1/60", "00",  "1/1h/1h", "1 /1h", "4294967296/1h"};
    struct span_rate rate;
    struct err err;

    (void)state;
    assert_true(span_parse_rate(slice_of("100/1h"), &rate, &err));
    assert_int_equal(rate.count, 100);
    assert_int_equal(rate.per_ms, 3600000);
    assert_true(span_parse_rate(slice_of("0/1s"), &rate, &err));
    assert_int_equal(rate.count, 0);
    assert_true(span_parse_rate(slice_of("0"), &rate, &err));
    assert_int_equal(rate.count, 0);
    assert_true(rate.per_ms > 0);
    assert_false(span_parse_rate(slice_of("5"), &rate, &err));
    assert_non_null(strstr(err.text, "100/1h"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (span_parse_rate(slice_of(bad[i]), &rate, &err))
            fail_msg("%s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_spans),
        cmocka_unit_test(writes_any_span),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
