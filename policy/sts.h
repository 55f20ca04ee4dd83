/*
 * policy/sts - MTA-STS records and policies as values (RFC 8461).
 *
 * Parsing only; policy/lookup says when to ask for them, policy/plan what
 * they mean for a host.
 */
#ifndef POLICY_STS_H
#define POLICY_STS_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"
#include "relay/mail/domain.h"

#include <stdint.h>

enum {
    POLICY_STS_ID_MAX = 32,          /* RFC 8461 section 3.1 */
    POLICY_STS_TEXT_MAX = 64 * 1024, /* RFC 8461 section 3.3 */
    POLICY_STS_MX_MAX = 200,         /* patterns; our own */
    POLICY_STS_AGE_MAX = 31557600,   /* seconds; RFC 8461 section 3.2 */
};

enum policy_sts_mode {
    POLICY_STS_NONE,
    POLICY_STS_TESTING,
    POLICY_STS_ENFORCE,
};

struct policy_sts {
    enum policy_sts_mode mode;
    int64_t max_age_s; /* cut to POLICY_STS_AGE_MAX */
    char **mx;         /* patterns: lower case, "*.example.com" or a name */
    size_t mx_count;
};

/* The TXT strings of one name, each record's strings joined.  Exactly one may
 * begin with "v=STSv1;" and must then be well formed: true and its id.
 * ERR_MISSING: there is none; ERR_INPUT: several, or malformed (RFC 8461
 * section 3.1: then there is no new policy, and a cached one stays). */
bool policy_sts_record_parse(const struct slice *txt, size_t count,
                             char id[POLICY_STS_ID_MAX + 1],
                             struct err *err) must_use;

/* The body of mta-sts.txt (RFC 8461 section 3.2); ERR_INPUT names the line.
 * `out` needs policy_sts_done only after true. */
bool policy_sts_parse(struct slice text, struct policy_sts *out,
                      struct err *err) must_use;
void policy_sts_done(struct policy_sts *p);

/* May mail go to this MX host?  A wildcard stands for exactly one label. */
bool policy_sts_has_mx(const struct policy_sts *p, const char *host);

const char *policy_sts_mode_name(enum policy_sts_mode mode);

/* What the cache holds of a domain, in the store and in memory. */
struct policy_sts_entry {
    struct mail_domain domain;
    char id[POLICY_STS_ID_MAX + 1];
    char *text;         /* raw body, for reports; NULL: no policy is known */
    int64_t fetched_ms; /* when the body came; steady clock, ms since 1970 */
    int64_t expires_ms; /* fetched + max_age: only a fetch moves it */
    int64_t used_ms;    /* last time that mail asked for it */
    int64_t checked_ms; /* last time that the TXT record was seen */
    char failed_id[POLICY_STS_ID_MAX + 1]; /* the id whose fetch failed last */
    int64_t backoff_ms; /* no fetch of failed_id before this time */
    char *failure;      /* why the last fetch failed, for people; or NULL */
};

/* Overwrites `to`, whatever it holds. */
void policy_sts_entry_copy(const struct policy_sts_entry *from,
                           struct policy_sts_entry *to);
void policy_sts_entry_done(struct policy_sts_entry *e);

#endif
