/*
 * relay/mail/domain - domain names as mail uses them.
 *
 * The one form kept inside is the A-label form: lower case, without trailing
 * dot (RFC 5890).  A domain value cannot hold a byte that has a meaning in
 * SMTP, HTTP or a zone file: letters, digits, hyphen, underscore and dots only.
 */
#ifndef RELAY_MAIL_DOMAIN_H
#define RELAY_MAIL_DOMAIN_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

enum {
    MAIL_DOMAIN_MAX = 253, /* octets of text; RFC 1035 section 2.3.4 */
    MAIL_LABEL_MAX = 63,
};

struct mail_domain {
    char text[MAIL_DOMAIN_MAX + 1]; /* "" is no domain */
};

/* From text in any case, with U-labels or A-labels (IDNA 2008 by libidn2,
 * non-transitional), one trailing dot allowed.  Refuses empty labels, labels
 * that begin or end with a hyphen, names without two labels ("localhost"),
 * names whose last label is all digits, and anything longer than the limits.
 * ERR_INPUT. */
bool mail_domain_parse(struct slice text, struct mail_domain *out,
                       struct err *err) must_use;

/* As mail_domain_parse for the name of a host as DNS gives it: one label is
 * allowed, U-labels are not. */
bool mail_domain_parse_host(struct slice text, struct mail_domain *out,
                            struct err *err) must_use;

/* As either of them: what somebody who searches may mean. */
bool mail_domain_parse_any(struct slice text, struct mail_domain *out,
                           struct err *err) must_use;

#endif
