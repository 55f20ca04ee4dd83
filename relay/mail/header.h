/*
 * relay/mail/header - what a relay must know of a message's header section.
 *
 * The scanner is fed the message from its first byte, in pieces of any size,
 * and looks at the top header section only, within a budget; what lies behind
 * either is never looked at.  It changes nothing and keeps no copy.
 */
#ifndef RELAY_MAIL_HEADER_H
#define RELAY_MAIL_HEADER_H

#include "relay/base/buf.h"
#include "relay/mail/trace_parent.h"

#include <stdint.h>

enum {
    MAIL_HEADER_BUDGET = 256 * 1024, /* octets scanned; our own limit */
    MAIL_HEADER_ID_MAX = 250,        /* of Message-ID kept */
};

struct mail_header_scan {
    unsigned received; /* number of Received fields (RFC 5321 section 6.3) */
    bool has_message_id;
    bool has_bcc;         /* or Resent-Bcc */
    bool is_signed;       /* has a DKIM-Signature */
    bool tls_required_no; /* TLS-Required: No, every instance (RFC 8689) */
    char message_id[MAIL_HEADER_ID_MAX + 1]; /* printable, "" when none */
    char trace_id[MAIL_TRACE_ID_SIZE];       /* of the first good Traceparent */
    bool ended;     /* saw the blank line, or the budget is used up */
    bool is_cut;    /* it was the budget */
    size_t section; /* octets of the fields, the blank line not among them;
                       0 when it was cut */
    /* private */
    size_t seen;
    size_t line_len;
    char line[512];
    unsigned char field; /* which field the current (folded) line is in */
    bool tls_required_other;
};

/* Zeroed storage is a scanner at the first byte. */
void mail_header_scan_feed(struct mail_header_scan *s, struct slice bytes);

/* Call once behind the last byte: settles a last line without a blank line. */
void mail_header_scan_end(struct mail_header_scan *s);

/* The facts that go into a trace field (RFC 5321 section 4.4). */
struct mail_received {
    const char *helo;      /* what the client called itself */
    const char *client_ip; /* "192.0.2.1", "2001:db8::1"; NULL: local */
    const char *by;        /* our host name */
    const char *with;      /* "ESMTPS" and so on (RFC 3848) */
    const char *tls_version, *tls_cipher; /* NULL without TLS */
    const char *tls_client; /* whom its certificate names; NULL: nobody */
    const char *id;         /* queue id */
    const char *rcpt;       /* NULL unless there is exactly one recipient */
    int64_t unix_ms;
};

/* Appends "Received: from ... ; date CRLF", folded below 78 octets where
 * possible.  Values from the client are cleaned. */
void mail_header_received(struct buf *out, const struct mail_received *r);

#endif
