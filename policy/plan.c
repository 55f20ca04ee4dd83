#include "policy/plan.h"

#include "policy/demand.h"
#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const level_names[] = {
    [POLICY_LEVEL_NONE] = "none",
    [POLICY_LEVEL_OPPORTUNISTIC] = "opportunistic",
    [POLICY_LEVEL_REQUIRED] = "required",
    [POLICY_LEVEL_VERIFIED] = "verified",
};

static const char *const proof_names[] = {
    [POLICY_PROOF_CLEAR] = "clear",     [POLICY_PROOF_NONE] = "none",
    [POLICY_PROOF_ENCRYPT] = "encrypt", [POLICY_PROOF_PKIX] = "pkix",
    [POLICY_PROOF_DANE] = "dane",
};

static const char *const source_names[] = {
    [POLICY_SOURCE_DEFAULT] = "default",       [POLICY_SOURCE_LOCAL] = "local",
    [POLICY_SOURCE_STS] = "mta-sts",           [POLICY_SOURCE_DANE] = "dane",
    [POLICY_SOURCE_REQUIRETLS] = "requiretls",
};

enum { NAMES_SHOWN = 8 }; /* of a list in a status text */

const char *
policy_level_name(enum policy_level l)
{
    return level_names[l];
}

const char *
policy_proof_name(enum policy_proof p)
{
    return proof_names[p];
}

const char *
policy_source_name(enum policy_source s)
{
    return source_names[s];
}

static void
end(struct policy_plan *out, enum policy_verdict verdict,
    enum policy_source source)
{
    out->verdict = verdict;
    out->source = source;
}

/* The domain of a route is ours to set right: what DNS says of it is never
 * the last word on a recipient. */
static bool
end_for_good(const struct policy_inputs *in, struct policy_plan *out)
{
    end(out, in->is_route ? POLICY_DEFER : POLICY_REFUSE,
        in->is_route ? POLICY_SOURCE_LOCAL : POLICY_SOURCE_DEFAULT);
    return !in->is_route;
}

static void
end_null(const struct policy_inputs *in, struct policy_plan *out)
{
    const char *domain = in->facts->domain.text;

    if (end_for_good(in, out))
        mail_status_set(&out->status, 556, "5.1.10",
                        "%s accepts no mail (null MX, RFC 7505)", domain);
    else
        mail_status_set(&out->status, 451, "4.4.4",
                        "the route leads to %s, which accepts no mail "
                        "(null MX, RFC 7505)",
                        domain);
}

static void
end_no_domain(const struct policy_inputs *in, struct policy_plan *out)
{
    const char *domain = in->facts->domain.text;

    if (end_for_good(in, out))
        mail_status_set(&out->status, 550, "5.1.2",
                        "the domain %s does not exist", domain);
    else
        mail_status_set(&out->status, 451, "4.4.4",
                        "the route leads to %s, which does not exist", domain);
}

/* Is the outcome settled before any host is looked at? */
static bool
is_settled(const struct policy_inputs *in, bool is_published,
           struct policy_plan *out)
{
    const struct policy_facts *f = in->facts;

    switch (f->mx) {
    case POLICY_MX_NULL:
        end_null(in, out);
        return true;
    case POLICY_MX_NO_DOMAIN:
        end_no_domain(in, out);
        return true;
    case POLICY_MX_UNKNOWN:
        end(out, POLICY_DEFER, POLICY_SOURCE_DEFAULT);
        mail_status_set(&out->status, 451, "4.4.3",
                        "the MX records of %s could not be looked up: %s",
                        f->domain.text, f->mx_why);
        return true;
    case POLICY_MX_FOUND:
    case POLICY_MX_IMPLICIT:
    case POLICY_MX_VIA:
        break;
    }
    if (!is_published || f->sts_state != POLICY_STS_STATE_UNKNOWN)
        return false;
    end(out, POLICY_DEFER, POLICY_SOURCE_STS);
    out->cause = POLICY_CAUSE_UNLEARNT;
    mail_status_set(&out->status, 451, "4.7.5",
                    "whether %s has an MTA-STS policy could not be learnt, "
                    "and none can be had from the cache: %s",
                    f->domain.text, f->sts_why);
    return true;
}

/* Also what is only noted of a host that is used. */
static void
reject(struct policy_plan *out, const struct policy_host_facts *h, size_t index,
       const struct policy_demand *d)
{
    struct policy_rejected_host *r = &out->rejected[out->rejected_count++];

    snprintf(r->name, sizeof(r->name), "%s", h->name);
    snprintf(r->why, sizeof(r->why), "%s", d->why);
    r->index = index;
    r->source = d->why_source;
    r->lacks_dane = d->fate == POLICY_FATE_NOT_DANE;
}

/* RFC 7672 section 3.2.2: for a host that an authentic MX record names, the
 * domain of the mail is a name too; a host of a route is its own next hop. */
static void
add_names(const struct policy_facts *f, const struct policy_host_facts *h,
          struct policy_host *to)
{
    bool has_domain = to->proof == POLICY_PROOF_DANE &&
                      f->mx != POLICY_MX_VIA && f->mx_authentic;

    to->is_half_dane = to->proof == POLICY_PROOF_DANE && !f->mx_authentic;
    if (to->proof == POLICY_PROOF_DANE)
        snprintf(to->dane_base, sizeof(to->dane_base), "%s", h->tlsa_base);
    policy_dane_names(to->dane_base, has_domain ? f->domain.text : "",
                      has_domain ? f->mx_canonical : "", h->name, &to->names);
}

/* Moves the records out of the demand. */
static void
admit(const struct policy_inputs *in, size_t index, struct policy_demand *d,
      struct policy_plan *out)
{
    const struct policy_host_facts *h = &in->facts->hosts[index];
    struct policy_host *to = &out->hosts[out->host_count++];

    snprintf(to->name, sizeof(to->name), "%s", h->name);
    to->index = index;
    to->address_count = h->address_count;
    for (size_t i = 0; i < h->address_count; i++) {
        to->addresses[i] = h->addresses[i];
        addr_set_port(&to->addresses[i], in->port);
    }
    to->implicit_tls = in->implicit_tls;
    to->proof = d->proof;
    to->source = d->source;
    to->observe = d->observe;
    to->tlsa = d->tlsa;
    d->tlsa = (struct policy_dane_set){0};
    to->fingerprints = out->fingerprints;
    to->fingerprint_count = in->fingerprint_count;
    to->anchors = out->anchors;
    to->requires_requiretls = in->requiretls && !in->may_lose_requiretls;
    add_names(in->facts, h, to);
}

/* How many hosts met which fate. */
struct fates {
    size_t count[POLICY_FATES];
};

static void
weigh(const struct policy_inputs *in, bool is_published, size_t index,
      struct policy_plan *out, struct fates *fates)
{
    const struct policy_host_facts *h = &in->facts->hosts[index];
    struct policy_demand d scoped(policy_demand_done) = {0};

    policy_demand_weigh(in, is_published, h, &d);
    fates->count[d.fate]++;
    if (d.fate != POLICY_FATE_ADMITTED || d.why[0])
        reject(out, h, index, &d);
    if (d.fate == POLICY_FATE_ADMITTED)
        admit(in, index, &d, out);
}

static void
add_name(struct buf *list, size_t index, size_t count, const char *name)
{
    if (index == NAMES_SHOWN)
        buf_printf(list, " and %zu more", count - index);
    else if (index < NAMES_SHOWN)
        buf_printf(list, "%s%.60s", index ? ", " : "", name);
}

static void
add_hosts(struct buf *list, const struct policy_facts *f)
{
    for (size_t i = 0; i < f->host_count; i++)
        add_name(list, i, f->host_count, f->hosts[i].name);
}

/* RFC 8461 section 5.1: never a permanent failure, for the policy may have
 * been corrected by the next attempt. */
static void
end_unlisted(const struct policy_facts *f, struct policy_plan *out,
             bool has_listed)
{
    scoped(buf_free) struct buf allowed = {0};
    scoped(buf_free) struct buf seen = {0};

    for (size_t i = 0; i < f->sts.mx_count; i++)
        add_name(&allowed, i, f->sts.mx_count, f->sts.mx[i]);
    add_hosts(&seen, f);
    end(out, POLICY_DEFER, POLICY_SOURCE_STS);
    out->cause = POLICY_CAUSE_UNLISTED;
    mail_status_set(&out->status, 451, "4.7.5",
                    "the MTA-STS policy of %s (enforce) allows mail to %s "
                    "only; its hosts are %s: %s",
                    f->domain.text, buf_text(&allowed), buf_text(&seen),
                    has_listed ? "those that match have no address"
                               : "none of them matches");
}

static void
end_without_address(const struct policy_inputs *in, struct policy_plan *out)
{
    const struct policy_facts *f = in->facts;
    const char *why = f->host_count > 0 ? f->hosts[0].why : "no host is named";
    scoped(buf_free) struct buf seen = {0};
    bool is_final = end_for_good(in, out);

    add_hosts(&seen, f);
    if (f->mx == POLICY_MX_IMPLICIT)
        mail_status_set(&out->status, is_final ? 550 : 451,
                        is_final ? "5.4.4" : "4.4.4",
                        "%s has no MX records and no usable address: %s",
                        f->domain.text, why);
    else if (f->host_count == 0)
        mail_status_set(
            &out->status, is_final ? 550 : 451, is_final ? "5.4.4" : "4.4.4",
            "the MX records of %s name no usable host", f->domain.text);
    else
        mail_status_set(&out->status, is_final ? 550 : 451,
                        is_final ? "5.4.4" : "4.4.4",
                        "no host of %s has a usable address (%s): %s",
                        f->domain.text, buf_text(&seen), why);
}

/* The first of the reasons why a host met this fate. */
static const char *
reason(const struct policy_plan *out, enum policy_source source)
{
    for (size_t i = 0; i < out->rejected_count; i++) {
        if (out->rejected[i].source == source)
            return out->rejected[i].why;
    }
    return "";
}

static void
end_unknown(const struct policy_facts *f, struct policy_plan *out)
{
    const char *why = "";

    for (size_t i = f->host_count; i > 0; i--) {
        if (f->hosts[i - 1].state == POLICY_HOST_UNKNOWN)
            why = f->hosts[i - 1].why;
    }
    end(out, POLICY_DEFER, POLICY_SOURCE_DEFAULT);
    mail_status_set(&out->status, 451, "4.4.3",
                    "the addresses of the hosts of %s could not be looked "
                    "up: %s",
                    f->domain.text, why);
}

/* RFC 7672 section 2.1.2: never as though there were no records. */
static void
end_untold(const struct policy_facts *f, struct policy_plan *out)
{
    end(out, POLICY_DEFER, POLICY_SOURCE_DANE);
    out->cause = POLICY_CAUSE_UNLEARNT;
    mail_status_set(&out->status, 451, "4.7.5",
                    "whether DANE protects the hosts of %s could not be "
                    "learnt: %s",
                    f->domain.text, reason(out, POLICY_SOURCE_DANE));
}

/* The records may be back tomorrow, and the rule is ours to lift. */
static void
end_not_dane(const struct policy_facts *f, struct policy_plan *out)
{
    end(out, POLICY_DEFER, POLICY_SOURCE_LOCAL);
    out->cause = POLICY_CAUSE_NOT_DANE;
    mail_status_set(&out->status, 451, "4.7.5", "no host of %s may be used: %s",
                    f->domain.text, reason(out, POLICY_SOURCE_LOCAL));
}

/* The policy that a domain announces could vouch for its hosts. */
static bool
may_be_vouched_for(const struct policy_facts *f)
{
    return f->sts_state == POLICY_STS_STATE_FAILED &&
           f->sts_failure != POLICY_STS_FAILURE_INVALID;
}

static void
end_unvouched(const struct policy_facts *f, struct policy_plan *out)
{
    end(out, POLICY_DEFER, POLICY_SOURCE_REQUIRETLS);
    out->cause = POLICY_CAUSE_UNLEARNT;
    mail_status_set(&out->status, 451, "4.7.5",
                    "the mail asks for REQUIRETLS, and the MTA-STS policy of "
                    "%s, which could vouch for its hosts, is not to be had "
                    "now: %s",
                    f->domain.text, f->sts_why);
}

/* RFC 8689 section 4.2.1.  For good also behind a route: what is missing is
 * nothing that time brings, and the sender would rather know. */
static void
end_unproven(const struct policy_facts *f, struct policy_plan *out)
{
    end(out, POLICY_REFUSE, POLICY_SOURCE_REQUIRETLS);
    out->cause = POLICY_CAUSE_UNVERIFIABLE;
    mail_status_set(&out->status, 550, "5.7.10",
                    "the mail asks for REQUIRETLS, and no host of %s can be "
                    "verified: %s",
                    f->domain.text, reason(out, POLICY_SOURCE_REQUIRETLS));
}

static void
end_without_host(const struct policy_inputs *in, const struct fates *fates,
                 struct policy_plan *out)
{
    const size_t *count = fates->count;

    if (count[POLICY_FATE_UNKNOWN] > 0)
        end_unknown(in->facts, out);
    else if (count[POLICY_FATE_UNTOLD] > 0)
        end_untold(in->facts, out);
    else if (count[POLICY_FATE_UNLISTED] > 0)
        end_unlisted(in->facts, out, count[POLICY_FATE_NO_ADDRESS] > 0);
    else if (count[POLICY_FATE_NOT_DANE] > 0)
        end_not_dane(in->facts, out);
    else if (count[POLICY_FATE_UNPROVEN] > 0 && may_be_vouched_for(in->facts))
        end_unvouched(in->facts, out);
    else if (count[POLICY_FATE_UNPROVEN] > 0)
        end_unproven(in->facts, out);
    else
        end_without_address(in, out);
}

/* `is_published`: do MTA-STS and DANE count for this mail? */
static void
make(const struct policy_inputs *in, bool is_published, struct policy_plan *out)
{
    const struct policy_facts *f = in->facts;
    struct fates fates = {0};

    *out = (struct policy_plan){.verdict = POLICY_GO};
    if (is_settled(in, is_published, out))
        return;
    out->hosts = mem_array(struct policy_host, f->host_count + 1);
    out->rejected = mem_array(struct policy_rejected_host, f->host_count + 1);
    out->fingerprints =
        mem_array(struct policy_fingerprint, in->fingerprint_count + 1);
    for (size_t i = 0; i < in->fingerprint_count; i++)
        out->fingerprints[i] = in->fingerprints[i];
    out->anchors = mem_text(in->anchors ? in->anchors : "");
    for (size_t i = 0; i < f->host_count; i++)
        weigh(in, is_published, i, out, &fates);
    out->is_partial =
        out->host_count > 0 && (fates.count[POLICY_FATE_UNKNOWN] > 0 ||
                                fates.count[POLICY_FATE_UNTOLD] > 0);
    if (out->host_count == 0)
        end_without_host(in, &fates, out);
}

static struct policy_shadow *
add_shadow(struct policy_plan *out, const char *name, enum policy_source source)
{
    struct policy_shadow *s = &out->shadow[out->shadow_count++];

    snprintf(s->name, sizeof(s->name), "%s", name);
    s->source = source;
    return s;
}

static struct policy_host *
find_host(const struct policy_plan *p, size_t index)
{
    for (size_t i = 0; i < p->host_count; i++) {
        if (p->hosts[i].index == index)
            return &p->hosts[i];
    }
    return NULL;
}

/* A handshake is checked in one way only: one that our own rule has checked by
 * name says nothing of the records. */
static void
cast_shadow(struct policy_host *strict, struct policy_host *h)
{
    if (h->proof >= POLICY_PROOF_PKIX)
        return;
    h->shadow_proof = strict->proof;
    h->shadow_source = strict->source;
    if (strict->proof != POLICY_PROOF_DANE)
        return;
    h->names = strict->names;
    memcpy(h->dane_base, strict->dane_base, sizeof(h->dane_base));
    h->tlsa = strict->tlsa;
    strict->tlsa = (struct policy_dane_set){0};
}

static void
compare_host(const struct policy_plan *strict, struct policy_host *h,
             struct policy_plan *out)
{
    struct policy_host *same = find_host(strict, h->index);
    struct policy_shadow *s;

    if (same && same->proof != h->proof) {
        s = add_shadow(out, h->name, same->source);
        s->proof = same->proof;
        snprintf(s->why, sizeof(s->why), "%s instead of %s",
                 policy_proof_name(same->proof), policy_proof_name(h->proof));
        cast_shadow(same, h);
    }
    if (same)
        return;
    for (size_t i = 0; i < strict->rejected_count; i++) {
        const struct policy_rejected_host *r = &strict->rejected[i];

        if (r->index != h->index)
            continue;
        s = add_shadow(out, h->name, r->source);
        s->is_refused = true;
        snprintf(s->why, sizeof(s->why), "%s", r->why);
    }
}

/* Only plans with hosts differ: what bars all of them without a policy, bars
 * them with one. */
static void
compare(const struct policy_plan *strict, struct policy_plan *out)
{
    struct policy_shadow *s;

    if (out->verdict != POLICY_GO)
        return;
    out->shadow = mem_array(struct policy_shadow, out->host_count + 1);
    if (strict->verdict != POLICY_GO) {
        s = add_shadow(out, "", strict->source);
        s->is_refused = true;
        s->cause = strict->cause;
        snprintf(s->why, sizeof(s->why), "%.*s", (int)sizeof(s->why) - 1,
                 strict->status.text);
    }
    for (size_t i = 0; i < out->host_count; i++)
        compare_host(strict, &out->hosts[i], out);
}

void
policy_plan_make(const struct policy_inputs *in, struct policy_plan *out)
{
    /* RFC 8689 section 4.1: REQUIRETLS outranks the header field. */
    bool is_published = in->requiretls || !in->tls_required_no;
    struct policy_plan strict scoped(policy_plan_done) = {0};

    if (!is_published || in->requiretls || !in->report_only) {
        make(in, is_published, out);
        return;
    }
    make(in, false, out);
    make(in, true, &strict);
    compare(&strict, out);
}

void
policy_plan_done(struct policy_plan *p)
{
    for (size_t i = 0; i < p->host_count; i++)
        policy_dane_done(&p->hosts[i].tlsa);
    free(p->hosts);
    free(p->rejected);
    free(p->shadow);
    free(p->fingerprints);
    free(p->anchors);
    *p = (struct policy_plan){0};
}

static void
add_fingerprint(const struct policy_fingerprint *f, struct buf *out)
{
    buf_add_text(out, f->of == POLICY_FINGERPRINT_KEY ? ", key " : ", cert ");
    for (size_t i = 0; i < sizeof(f->sha256); i++)
        buf_printf(out, "%02x", f->sha256[i]);
}

void
policy_plan_host_key(const struct policy_host *h, struct buf *out)
{
    buf_printf(out, "%s%s", policy_proof_name(h->proof),
               h->observe ? " observed" : "");
    for (size_t i = 0; i < h->names.count; i++)
        buf_printf(out, " %s", h->names.text[i]);
    for (size_t i = 0; i < h->tlsa.count; i++) {
        buf_add_text(out, ", ");
        policy_dane_format(&h->tlsa.records[i], out);
    }
    for (size_t i = 0; i < h->fingerprint_count; i++)
        add_fingerprint(&h->fingerprints[i], out);
    if (h->proof == POLICY_PROOF_PKIX && h->anchors && h->anchors[0])
        buf_printf(out, ", anchors %s", h->anchors);
}
