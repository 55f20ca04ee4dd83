#include "policy/discovery.h"

#include "relay/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void
explain(struct policy_discovery *d, const char *why)
{
    if (!d->why[0])
        snprintf(d->why, sizeof(d->why), "%s", why);
}

/* Several records, or a malformed one, are "no new policy", and no more: what
 * is cached stays (RFC 8461 section 3.1). */
static void
read_record(struct policy_discovery *d, const struct dns_answer *txt)
{
    struct slice strings[DNS_RECORDS_MAX];
    struct err err = {0};
    size_t count = 0;

    for (; count < txt->count && count < DNS_RECORDS_MAX; count++)
        strings[count] = (struct slice){txt->records[count].txt.p,
                                        txt->records[count].txt.len};
    if (policy_sts_record_parse(strings, count, d->id, &err)) {
        d->record = POLICY_DISCOVERY_ID;
        return;
    }
    d->record = err.kind == ERR_MISSING ? POLICY_DISCOVERY_NO_RECORD
                                        : POLICY_DISCOVERY_MALFORMED;
    err_in(&err, "TXT _mta-sts.%.200s", d->domain.text);
    explain(d, err.text);
}

void
policy_discovery_txt(struct policy_discovery *d, const struct dns_answer *txt)
{
    struct err err = {0};

    switch (txt->outcome) {
    case DNS_FOUND:
        read_record(d, txt);
        return;
    case DNS_NODATA:
    case DNS_NXDOMAIN:
        d->record = POLICY_DISCOVERY_NO_RECORD;
        err_set(&err, ERR_MISSING, "there is no STSv1 record");
        break;
    case DNS_FAILED:
        d->record = POLICY_DISCOVERY_NOT_LEARNT;
        err_set(&err, ERR_SYSTEM, "%s", txt->why);
        break;
    }
    err_in(&err, "TXT _mta-sts.%.200s", d->domain.text);
    explain(d, err.text);
}

void
policy_discovery_cache(struct policy_discovery *d,
                       const struct policy_sts_entry *entry)
{
    struct err err = {0};

    d->has_cache_answer = true;
    if (entry)
        policy_sts_entry_copy(entry, &d->entry);
    d->entry.domain = d->domain;
    d->has_sts = d->entry.text &&
                 policy_sts_parse(slice_of(d->entry.text), &d->sts, &err);
}

void
policy_discovery_cache_failed(struct policy_discovery *d, const struct err *err)
{
    struct err why = *err;

    policy_discovery_cache(d, NULL);
    d->is_blind = true;
    err_in(&why, "the policy cache");
    snprintf(d->why, sizeof(d->why), "%s", why.text);
}

bool
policy_discovery_is_told(const struct policy_discovery *d)
{
    return d->has_cache_answer && d->record != POLICY_DISCOVERY_UNTOLD;
}

/* RFC 8461 section 5.1: never behind its max_age. */
static bool
has_valid(const struct policy_discovery *d, int64_t now_ms)
{
    return d->has_sts && now_ms < d->entry.expires_ms;
}

/* The id that a fetch would be for.  RFC 8461 section 10.2: a refresh fetches
 * the live policy even while the record is gone. */
static const char *
fetch_id(const struct policy_discovery *d)
{
    return d->record == POLICY_DISCOVERY_ID ? d->id : d->entry.id;
}

static bool
wants_fetch(const struct policy_discovery *d, int64_t now_ms)
{
    bool has_cached = has_valid(d, now_ms);

    if (d->record != POLICY_DISCOVERY_ID)
        return d->refresh && has_cached;
    return d->refresh || !has_cached || strcmp(d->id, d->entry.id) != 0;
}

/* A clock that was set back must not turn five minutes into years. */
static bool
is_backing_off(const struct policy_discovery *d, int64_t now_ms)
{
    return strcmp(fetch_id(d), d->entry.failed_id) == 0 &&
           now_ms < d->entry.backoff_ms &&
           d->entry.backoff_ms - now_ms <= POLICY_FETCH_BACKOFF_MS;
}

bool
policy_discovery_may_fetch(const struct policy_discovery *d, int64_t now_ms)
{
    return wants_fetch(d, now_ms) && !is_backing_off(d, now_ms);
}

static void
check(struct policy_discovery *d, int64_t now_ms)
{
    if (d->record == POLICY_DISCOVERY_ID)
        d->entry.checked_ms = now_ms;
}

void
policy_discovery_failed(struct policy_discovery *d, const struct err *err,
                        int64_t now_ms)
{
    struct policy_sts_entry *e = &d->entry;

    explain(d, err->text);
    d->tls_failed = err->kind == ERR_TLS;
    d->failure =
        d->tls_failed ? POLICY_STS_FAILURE_TLS : POLICY_STS_FAILURE_FETCH;
    snprintf(e->failed_id, sizeof(e->failed_id), "%s", fetch_id(d));
    e->backoff_ms = now_ms + POLICY_FETCH_BACKOFF_MS;
    free(e->failure);
    e->failure = mem_text(err->text);
    check(d, now_ms);
    d->keep = !d->is_blind;
}

void
policy_discovery_fetched(struct policy_discovery *d, struct slice body,
                         int64_t now_ms)
{
    struct policy_sts_entry *e = &d->entry;
    struct policy_sts fresh;
    struct err err = {0};

    if (!policy_sts_parse(body, &fresh, &err)) {
        err_in(&err, "the policy of %.200s", d->domain.text);
        policy_discovery_failed(d, &err, now_ms);
        d->failure = POLICY_STS_FAILURE_INVALID;
        return;
    }
    policy_sts_done(&d->sts);
    d->sts = fresh;
    d->has_sts = d->is_fresh = d->keep = true;
    if (d->record == POLICY_DISCOVERY_ID)
        snprintf(e->id, sizeof(e->id), "%s", d->id);
    if (!d->refresh || !e->text)
        e->used_ms = now_ms;
    free(e->text);
    e->text = mem_copy(body);
    e->fetched_ms = now_ms;
    e->expires_ms = now_ms + fresh.max_age_s * 1000;
    e->failed_id[0] = '\0';
    e->backoff_ms = 0;
    free(take(&e->failure));
    check(d, now_ms);
}

/* Mail that uses a policy keeps it from being purged; a refresh does not. */
static void
touch(struct policy_discovery *d, int64_t now_ms)
{
    struct policy_sts_entry *e = &d->entry;
    bool is_seen = d->record == POLICY_DISCOVERY_ID;

    if ((!d->refresh && now_ms - e->used_ms >= POLICY_DISCOVERY_TOUCH_MS) ||
        (is_seen && now_ms - e->checked_ms >= POLICY_DISCOVERY_TOUCH_MS))
        d->keep = true;
    if (!d->refresh)
        e->used_ms = now_ms;
    check(d, now_ms);
}

static enum policy_sts_state
state_without_policy(const struct policy_discovery *d)
{
    if (d->is_blind)
        return POLICY_STS_STATE_UNKNOWN;
    switch (d->record) {
    case POLICY_DISCOVERY_NOT_LEARNT:
        return POLICY_STS_STATE_UNKNOWN;
    case POLICY_DISCOVERY_ID: /* RFC 8461 section 5.1: as without a policy */
    case POLICY_DISCOVERY_MALFORMED:
        return POLICY_STS_STATE_FAILED;
    case POLICY_DISCOVERY_UNTOLD:
    case POLICY_DISCOVERY_NO_RECORD:
        break;
    }
    return POLICY_STS_STATE_ABSENT;
}

/* The facts are good no longer than the policy in them, nor beyond the time
 * at which it may be fetched again. */
static void
limit(const struct policy_discovery *d, int64_t now_ms,
      struct policy_facts *facts)
{
    if ((d->is_fresh || has_valid(d, now_ms)) &&
        d->entry.expires_ms < facts->good_until_ms)
        facts->good_until_ms = d->entry.expires_ms;
    if (wants_fetch(d, now_ms) && is_backing_off(d, now_ms) &&
        d->entry.backoff_ms < facts->good_until_ms)
        facts->good_until_ms = d->entry.backoff_ms;
    if (d->is_blind && !d->is_fresh &&
        now_ms + POLICY_DISCOVERY_BLIND_MS < facts->good_until_ms)
        facts->good_until_ms = now_ms + POLICY_DISCOVERY_BLIND_MS;
}

bool
policy_discovery_settle(struct policy_discovery *d, int64_t now_ms,
                        struct policy_facts *facts)
{
    bool has_policy = d->is_fresh || has_valid(d, now_ms);

    if (wants_fetch(d, now_ms) && !d->is_fresh)
        explain(d, d->entry.failure ? d->entry.failure
                                    : "the policy could not be fetched");
    limit(d, now_ms, facts);
    if (d->is_fresh) {
        facts->sts_state = POLICY_STS_STATE_FRESH;
    } else if (has_policy) {
        facts->sts_state = POLICY_STS_STATE_CACHED;
        touch(d, now_ms);
    } else {
        facts->sts_state = state_without_policy(d);
        policy_sts_done(&d->sts);
    }
    /* RFC 8461 section 8.3: a domain that gives MTA-STS up publishes "none"
     * first, then takes the record away. */
    bool is_leaving = has_policy && d->sts.mode == POLICY_STS_NONE &&
                      d->record == POLICY_DISCOVERY_NO_RECORD;

    if (!is_leaving && !d->is_fresh &&
        facts->sts_state != POLICY_STS_STATE_ABSENT)
        snprintf(facts->sts_why, sizeof(facts->sts_why), "%s", d->why);
    facts->sts_failure = d->record == POLICY_DISCOVERY_MALFORMED
                             ? POLICY_STS_FAILURE_INVALID
                             : d->failure;
    facts->sts_tls_failed = d->tls_failed;
    facts->sts = d->sts;
    facts->sts_entry = d->entry;
    d->sts = (struct policy_sts){0};
    d->entry = (struct policy_sts_entry){0};
    d->has_sts = false;
    return d->keep;
}

void
policy_discovery_done(struct policy_discovery *d)
{
    policy_sts_done(&d->sts);
    policy_sts_entry_done(&d->entry);
}
