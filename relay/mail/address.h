/*
 * relay/mail/address - a mailbox as it stands in an envelope.
 *
 * Parsed values cannot hold CR, LF, NUL or another control character, so
 * whatever is written from one is safe on the wire (RFC 5321 section 4.1.2).
 */
#ifndef RELAY_MAIL_ADDRESS_H
#define RELAY_MAIL_ADDRESS_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"
#include "relay/mail/domain.h"

enum {
    MAIL_LOCAL_MAX = 64, /* octets; RFC 5321 section 4.5.3.1.1 */
    MAIL_ADDRESS_MAX = MAIL_LOCAL_MAX * 2 + 1 + 255, /* quoting may double */
};

/* "local@domain", the local part byte for byte as it came (quotes and quoted
 * pairs kept), the domain as it came but in lower case and without trailing
 * dot: a U-label stays one.  Text "" is the null reverse-path. */
struct mail_address {
    char text[MAIL_ADDRESS_MAX + 1];
    unsigned short at; /* offset of the '@' that splits; 0 when text is "" */
    bool is_ascii;     /* false: needs SMTPUTF8 */
    bool is_literal;   /* the domain is an address literal, "[192.0.2.1]" */
    struct mail_domain domain; /* A-label form; "" for literals and "" */
};

/* The text between the angle brackets, source route already removed.  UTF-8
 * (well formed, RFC 6531) only when `utf8`.  "" is not an address here.
 * ERR_INPUT with a reason fit for a 501 reply. */
bool mail_address_parse(struct slice text, bool utf8, struct mail_address *out,
                        struct err *err) must_use;

/* Whom a search is for: an address, "@domain", or, where `or_null`, "<>" and
 * "" for the null reverse-path.  As addresses are kept, on the heap; NULL when
 * it is none of these. */
char *mail_address_pattern(const char *text, bool or_null, struct err *err);

#endif
