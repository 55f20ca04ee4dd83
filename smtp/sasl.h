/* smtp/sasl - the SASL mechanisms (RFC 4422) that this tree speaks of. */
#ifndef SMTP_SASL_H
#define SMTP_SASL_H

#include "relay/base/own.h"
#include "relay/base/slice.h"

enum {
    SMTP_SASL_LINE_MAX = 12288, /* octets of a line of the exchange, with CRLF;
                                   RFC 4954 section 4 */
};

enum smtp_sasl_mechanism {
    SMTP_SASL_PLAIN,         /* RFC 4616 */
    SMTP_SASL_LOGIN,         /* no RFC: user and password, each asked for */
    SMTP_SASL_SCRAM_SHA_256, /* RFC 7677 */
    SMTP_SASL_XOAUTH2,       /* Google's, before there was the next */
    SMTP_SASL_OAUTHBEARER,   /* RFC 7628 */
    SMTP_SASL_COUNT,
};

/* Of a set of mechanisms. */
#define SMTP_SASL_BIT(mechanism) (1U << (mechanism))

const char *smtp_sasl_name(enum smtp_sasl_mechanism m); /* "SCRAM-SHA-256" */

/* In whatever case; false: none that we know. */
bool smtp_sasl_find(struct slice name, enum smtp_sasl_mechanism *out) must_use;

#endif
