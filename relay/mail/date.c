#include "relay/mail/date.h"

#include <stdio.h>
#include <time.h>

/* The years of four digits. */
static const int64_t first_s = -30610224000; /* 1000-01-01 */
static const int64_t last_s = 253402300799;  /* 9999-12-31 */

/* Splits into calendar time and the milliseconds of its second. */
static unsigned
split(int64_t unix_ms, struct tm *tm)
{
    int64_t ms = (unix_ms % 1000 + 1000) % 1000;
    time_t s = unix_ms / 1000 - (unix_ms % 1000 < 0);

    if (s < first_s)
        s = first_s;
    if (s > last_s)
        s = last_s;
    (void)gmtime_r(&s, tm);
    return (unsigned)ms;
}

/* Names of days and months are not the locale's. */
const char *
mail_date_header(int64_t unix_ms, char out[MAIL_DATE_SIZE])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed",
                                    "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr",
                                       "May", "Jun", "Jul", "Aug",
                                       "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    char time[sizeof("2026 13:04:05")];

    (void)split(unix_ms, &tm);
    (void)strftime(time, sizeof(time), "%Y %H:%M:%S", &tm);
    (void)snprintf(out, MAIL_DATE_SIZE, "%s, %02u %s %s +0000",
                   days[tm.tm_wday], (unsigned)tm.tm_mday % 100,
                   months[tm.tm_mon], time);
    return out;
}

const char *
mail_date_rfc3339(int64_t unix_ms, char out[MAIL_DATE_SIZE])
{
    struct tm tm;
    unsigned ms = split(unix_ms, &tm);
    char time[sizeof("2026-11-23T13:04:05")];

    (void)strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out, MAIL_DATE_SIZE, "%s.%03uZ", time, ms % 1000);
    return out;
}
