/*
 * policy/discovery - has a domain an MTA-STS policy? (RFC 8461 section 5.1)
 *
 * The part of policy/lookup that weighs the TXT record, the cached entry and
 * the outcome of a fetch against each other.  It asks nothing; zeroed storage
 * with `refresh` and `domain` set is one that has been told nothing.
 *
 *     record        cached, unexpired              none cached
 *     ------        -----------------              -----------
 *     same id       cached                         fetch
 *     new id        fetch; fails: cached           fetch; fails: FAILED
 *     none          cached                         ABSENT
 *     malformed     cached                         FAILED
 *     not learnt    cached                         UNKNOWN
 *
 * A cache that could not be read may hold a policy: without a fresh one it is
 * UNKNOWN then, and nothing is kept over what the cache has.
 */
#ifndef POLICY_DISCOVERY_H
#define POLICY_DISCOVERY_H

#include "policy/lookup.h"

enum {
    /* How stale used_ms and checked_ms of the kept entry may become; each
     * mail would cost a write otherwise. */
    POLICY_DISCOVERY_TOUCH_MS = 60 * 60 * 1000,
    /* How long what was found without the cache is good. */
    POLICY_DISCOVERY_BLIND_MS = 5000,
};

enum policy_discovery_record {
    POLICY_DISCOVERY_UNTOLD,
    POLICY_DISCOVERY_ID,
    POLICY_DISCOVERY_NO_RECORD,
    POLICY_DISCOVERY_MALFORMED,
    POLICY_DISCOVERY_NOT_LEARNT,
};

struct policy_discovery {
    bool refresh;
    struct mail_domain domain;
    enum policy_discovery_record record;
    char id[POLICY_STS_ID_MAX + 1];
    bool has_cache_answer;
    bool is_blind;                 /* the cache could not be read */
    struct policy_sts_entry entry; /* as cached, then as it should be kept */
    struct policy_sts sts;         /* of entry.text */
    bool has_sts, is_fresh, tls_failed;
    enum policy_sts_failure failure;
    bool keep;     /* the entry changed in a way that is worth keeping */
    char why[240]; /* the first thing that went wrong */
};

void policy_discovery_txt(struct policy_discovery *d,
                          const struct dns_answer *txt);
void policy_discovery_cache(struct policy_discovery *d,
                            const struct policy_sts_entry *entry);
/* Instead of it. */
void policy_discovery_cache_failed(struct policy_discovery *d,
                                   const struct err *err);
bool policy_discovery_is_told(const struct policy_discovery *d);

/* Only when told.  False also while the fetch of this id is backing off. */
bool policy_discovery_may_fetch(const struct policy_discovery *d,
                                int64_t now_ms);
void policy_discovery_fetched(struct policy_discovery *d, struct slice body,
                              int64_t now_ms);
void policy_discovery_failed(struct policy_discovery *d, const struct err *err,
                             int64_t now_ms);

/* Moves what was found into the facts; true when sts_entry wants keeping. */
bool policy_discovery_settle(struct policy_discovery *d, int64_t now_ms,
                             struct policy_facts *facts);
void policy_discovery_done(struct policy_discovery *d);

#endif
