/*
 * policy/tlsrpt - how sessions under a policy ended, counted for reports
 * (RFC 8460 section 4).
 *
 * A session result is added to the count of one day and one policy domain.
 * The count is text, for a store to keep: the "policies" of a report, in the
 * very form in which the report has them.  Counts of a domain are bounded,
 * however many hosts and addresses it comes up with.
 */
#ifndef POLICY_TLSRPT_H
#define POLICY_TLSRPT_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdint.h>

enum {
    POLICY_TLSRPT_POLICIES_MAX = 10, /* of a count; more are not counted */
    POLICY_TLSRPT_DETAILS_MAX = 100, /* kinds of failure of a policy; further
                                        ones count in the sum only */
    POLICY_TLSRPT_LINES_MAX = 100,   /* of a policy's text */
    POLICY_TLSRPT_TEXT_MAX = 255,    /* octets of any one text */
    POLICY_TLSRPT_DAY_SIZE = 11,     /* "2026-11-23" */
};

enum policy_tlsrpt_type { /* RFC 8460 section 4.2 */
                          POLICY_TLSRPT_STS,
                          POLICY_TLSRPT_TLSA,
                          POLICY_TLSRPT_NO_POLICY,
};

enum policy_tlsrpt_result { /* RFC 8460 section 4.3 */
                            POLICY_TLSRPT_SUCCESS,
                            POLICY_TLSRPT_STARTTLS_NOT_SUPPORTED,
                            POLICY_TLSRPT_CERTIFICATE_HOST_MISMATCH,
                            POLICY_TLSRPT_CERTIFICATE_EXPIRED,
                            POLICY_TLSRPT_CERTIFICATE_NOT_TRUSTED,
                            POLICY_TLSRPT_VALIDATION_FAILURE,
                            POLICY_TLSRPT_TLSA_INVALID,
                            POLICY_TLSRPT_DNSSEC_INVALID,
                            POLICY_TLSRPT_DANE_REQUIRED,
                            POLICY_TLSRPT_STS_FETCH_ERROR,
                            POLICY_TLSRPT_STS_INVALID,
                            POLICY_TLSRPT_STS_WEBPKI_INVALID,
};

/* One TCP session, or an attempt that a policy kept from becoming one.  Owns
 * its texts; NULL is not known, or has none. */
struct policy_tlsrpt_session {
    enum policy_tlsrpt_type type;
    char *domain;      /* the policy domain */
    char *policy_text; /* STS: as published; TLSA: one record a line */
    enum policy_tlsrpt_result result;
    char *sending_ip, *mx_host, *helo, *receiving_ip;
    char *additional, *reason_code;
};

void policy_tlsrpt_session_done(struct policy_tlsrpt_session *s);

const char *policy_tlsrpt_result_name(enum policy_tlsrpt_result r);

/* Appends to `out` the count `before` (empty: none yet) with one more session
 * in it.  ERR_INPUT: `before` is no such count. */
bool policy_tlsrpt_add(struct slice before,
                       const struct policy_tlsrpt_session *s, struct buf *out,
                       struct err *err) must_use;

struct policy_tlsrpt_sums {
    uint64_t policies, succeeded, failed;
};
bool policy_tlsrpt_sum(struct slice count, struct policy_tlsrpt_sums *out,
                       struct err *err) must_use;

/* The UTC day of a time; milliseconds since 1970. */
const char *policy_tlsrpt_day(int64_t unix_ms,
                              char out[POLICY_TLSRPT_DAY_SIZE]);
/* Its first millisecond; false: no such day. */
bool policy_tlsrpt_day_parse(struct slice text, int64_t *unix_ms);

#endif
