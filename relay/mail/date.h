/* relay/mail/date - points in time as text; nothing here reads a clock. */
#ifndef RELAY_MAIL_DATE_H
#define RELAY_MAIL_DATE_H

#include <stdint.h>

enum { MAIL_DATE_SIZE = 40 }; /* room for any of these, with the NUL */

/* `unix_ms`: milliseconds since 1970.  Both answer in UTC and return `out`. */
const char *mail_date_header(int64_t unix_ms, char out[MAIL_DATE_SIZE]);
/* "Mon, 23 Nov 2026 13:04:05 +0000" (RFC 5322 section 3.3) */
const char *mail_date_rfc3339(int64_t unix_ms, char out[MAIL_DATE_SIZE]);
/* "2026-11-23T13:04:05.123Z" */

#endif
