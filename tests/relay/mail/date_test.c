#include "relay/mail/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
writes_dates(void **state)
{
    static const struct {
        int64_t ms;
        const char *header, *rfc3339;
    } cases[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.000Z"},
        {1795439045123, "Mon, 23 Nov 2026 13:04:05 +0000",
         "2026-11-23T13:04:05.123Z"},
        {951782399999, "Mon, 28 Feb 2000 23:59:59 +0000",
         "2000-02-28T23:59:59.999Z"},
        {951782400000, "Tue, 29 Feb 2000 00:00:00 +0000",
         "2000-02-29T00:00:00.000Z"},
        {-1, "Wed, 31 Dec 1969 23:59:59 +0000", "1969-12-31T23:59:59.999Z"},
        {-1000, "Wed, 31 Dec 1969 23:59:59 +0000", "1969-12-31T23:59:59.000Z"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000",
         "9999-12-31T23:59:59.807Z"},
        {INT64_MIN, "Wed, 01 Jan 1000 00:00:00 +0000",
         "1000-01-01T00:00:00.192Z"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[MAIL_DATE_SIZE];

        assert_string_equal(mail_date_header(cases[i].ms, out),
                            cases[i].header);
        assert_string_equal(mail_date_rfc3339(cases[i].ms, out),
                            cases[i].rfc3339);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
