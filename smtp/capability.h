/* smtp/capability - what a server said it can do, out of its EHLO reply. */
#ifndef SMTP_CAPABILITY_H
#define SMTP_CAPABILITY_H

#include "relay/base/slice.h"

#include <stdint.h>

enum {
    SMTP_CAPABILITY_LIMIT_MAX = 999999, /* six digits: RFC 9422 section 4 */
};

struct smtp_capability {
    bool starttls, pipelining, eightbitmime, smtputf8, dsn, chunking;
    bool requiretls, enhanced_codes;
    bool has_auth;     /* AUTH was offered (RFC 4954), by these mechanisms: */
    unsigned auth;     /* of those that smtp/sasl.h knows; SMTP_SASL_BIT */
    bool size;         /* SIZE was offered (RFC 1870) */
    uint64_t size_max; /* octets; 0: no limit known */
    /* LIMITS (RFC 9422 section 4): messages of a session, recipients of a
     * message, domains among those; 0: none was said. */
    unsigned mail_max, rcpt_max, rcpt_domain_max;
    char name[256]; /* the first word of the reply: what the server calls
                       itself; printable */
};

/* `text`: the lines of a 250 reply, '\n' between.  Unknown keywords, and known
 * ones with malformed parameters, are passed over; STARTTLS and SMTPUTF8 count
 * whatever stands behind them. */
void smtp_capability_parse(struct slice text, struct smtp_capability *out);

#endif
