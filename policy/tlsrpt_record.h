/*
 * policy/tlsrpt_record - where a domain wants reports about TLS to go: the TXT
 * record at _smtp._tls.DOMAIN (RFC 8460 section 3).
 */
#ifndef POLICY_TLSRPT_RECORD_H
#define POLICY_TLSRPT_RECORD_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"
#include "relay/mail/address.h"

enum {
    POLICY_TLSRPT_RUAS_MAX = 5,   /* usable ones, the rest is dropped; ours */
    POLICY_TLSRPT_PATH_MAX = 500, /* octets of a URI's path and query; ours */
};

enum policy_tlsrpt_scheme {
    POLICY_TLSRPT_MAILTO,
    POLICY_TLSRPT_HTTPS,
};

/* One place to report to. */
struct policy_tlsrpt_rua {
    enum policy_tlsrpt_scheme scheme;
    struct mail_address address; /* MAILTO: ASCII, no literal */
    struct mail_domain host;     /* HTTPS: a name, never an address */
    unsigned port;
    /* As it goes into a request: begins with '/', printable ASCII. */
    char path[POLICY_TLSRPT_PATH_MAX + 1];
};

struct policy_tlsrpt_record {
    struct policy_tlsrpt_rua rua[POLICY_TLSRPT_RUAS_MAX]; /* each once */
    size_t count;
};

/* The TXT strings of the name, each record's strings joined.  Exactly one may
 * begin with "v=TLSRPTv1;".  ERR_MISSING: there is none, or there are several
 * (RFC 8460 section 3: then there is none).  ERR_INPUT: it names no place that
 * can be used.  A URI that can't be used alone is passed over. */
bool policy_tlsrpt_record_parse(const struct slice *txt, size_t count,
                                struct policy_tlsrpt_record *out,
                                struct err *err) must_use;

#endif
