/*
 * policy/tlsrpt_report - the report of a day, as a document and as a mail
 * (RFC 8460 sections 4 and 5).
 *
 * Pure: the same report gives the same octets.
 */
#ifndef POLICY_TLSRPT_REPORT_H
#define POLICY_TLSRPT_REPORT_H

#include "policy/tlsrpt.h"

struct policy_tlsrpt_report {
    const char *organization;
    const char *contact;
    const char *submitter; /* domain of the reporter */
    const char *domain;    /* the policy domain */
    int64_t day_ms;        /* the day's first millisecond, UTC */
    const char *unique;    /* letters and digits: tells this report from others
                              of the same day and domain */
    struct slice count;    /* policy_tlsrpt_add's */
};

/* "2026-11-22.k3x9@relay.example.com": without angle brackets.  A heap
 * string, like the next. */
char *policy_tlsrpt_report_id(const struct policy_tlsrpt_report *r);
/* RFC 8460 section 5.1, "SUBMITTER!DOMAIN!BEGIN!END!UNIQUE.json.gz". */
char *policy_tlsrpt_report_file(const struct policy_tlsrpt_report *r);

/* Appends the document.  ERR_INPUT: the count is none. */
bool policy_tlsrpt_report_json(const struct policy_tlsrpt_report *r,
                               struct buf *out, struct err *err) must_use;

/* Appends `in` as gzip (RFC 1952). */
void policy_tlsrpt_report_pack(struct slice in, struct buf *out);

struct policy_tlsrpt_mail {
    const char *from, *to;  /* addresses */
    const char *message_id; /* without angle brackets */
    int64_t now_ms;         /* wall clock */
};

/* Appends the whole message, header section first, lines in CRLF; `packed` is
 * the document as gzip. */
void policy_tlsrpt_report_mail(const struct policy_tlsrpt_report *r,
                               const struct policy_tlsrpt_mail *m,
                               struct slice packed, struct buf *out);

#endif
