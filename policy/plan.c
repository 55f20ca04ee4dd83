#include "policy/plan.h"

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

static bool
has_mode(const struct policy_facts *f, enum policy_sts_mode mode)
{
    return (f->sts_state == POLICY_STS_STATE_CACHED ||
            f->sts_state == POLICY_STS_STATE_FRESH) &&
           f->sts.mode == mode;
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
is_settled(const struct policy_inputs *in, struct policy_plan *out)
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
    if (f->sts_state != POLICY_STS_STATE_UNKNOWN)
        return false;
    end(out, POLICY_DEFER, POLICY_SOURCE_STS);
    mail_status_set(&out->status, 451, "4.7.5",
                    "whether %s has an MTA-STS policy could not be learnt, "
                    "and none is cached: %s",
                    f->domain.text, f->sts_why);
    return true;
}

static void
reject(struct policy_plan *out, const struct policy_host_facts *h,
       const char *prefix, const char *why)
{
    struct policy_rejected_host *r = &out->rejected[out->rejected_count++];

    snprintf(r->name, sizeof(r->name), "%s", h->name);
    snprintf(r->why, sizeof(r->why), "%s%s", prefix, why);
}

/* "Never TLS" is for routes only. */
static enum policy_proof
proof_of_level(const struct policy_inputs *in)
{
    enum policy_proof proof = POLICY_PROOF_NONE;

    switch (in->level) {
    case POLICY_LEVEL_NONE:
        proof = in->is_route ? POLICY_PROOF_CLEAR : POLICY_PROOF_NONE;
        break;
    case POLICY_LEVEL_OPPORTUNISTIC:
        break;
    case POLICY_LEVEL_REQUIRED:
        proof = POLICY_PROOF_ENCRYPT;
        break;
    case POLICY_LEVEL_VERIFIED:
        proof = POLICY_PROOF_PKIX;
        break;
    }
    if (in->implicit_tls && proof < POLICY_PROOF_ENCRYPT)
        proof = POLICY_PROOF_ENCRYPT;
    return proof;
}

static void
admit(const struct policy_inputs *in, const struct policy_host_facts *h,
      struct policy_plan *out)
{
    struct policy_host *to = &out->hosts[out->host_count++];

    snprintf(to->name, sizeof(to->name), "%s", h->name);
    to->address_count = h->address_count;
    for (size_t i = 0; i < h->address_count; i++) {
        to->addresses[i] = h->addresses[i];
        addr_set_port(&to->addresses[i], in->port);
    }
    to->implicit_tls = in->implicit_tls;
    to->proof = proof_of_level(in);
    to->source = in->is_route || to->proof != POLICY_PROOF_NONE
                     ? POLICY_SOURCE_LOCAL
                     : POLICY_SOURCE_DEFAULT;
    /* RFC 8461 section 5: testing is checked and recorded, and changes
     * nothing else. */
    to->observe = has_mode(in->facts, POLICY_STS_TESTING) &&
                  to->proof != POLICY_PROOF_CLEAR;
    if (has_mode(in->facts, POLICY_STS_ENFORCE)) {
        to->proof = POLICY_PROOF_PKIX;
        to->source = POLICY_SOURCE_STS;
    }
}

/* What became of the hosts that made it into no plan. */
struct losses {
    size_t unlisted; /* by the MTA-STS policy */
    size_t unknown, none;
};

/* RFC 8461 section 4.1: the name that the MX record gives, whatever it is an
 * alias of; without MX records the domain's own, so that hiding them gains
 * nothing. */
static void
weigh(const struct policy_inputs *in, const struct policy_host_facts *h,
      struct policy_plan *out, struct losses *lost)
{
    static const char unlisted[] = "the MTA-STS policy does not list this host";
    bool is_listed = policy_sts_has_mx(&in->facts->sts, h->name);

    if (has_mode(in->facts, POLICY_STS_ENFORCE) && !is_listed) {
        lost->unlisted++;
        reject(out, h, "", unlisted);
        return;
    }
    if (h->state != POLICY_HOST_FOUND) {
        lost->unknown += h->state == POLICY_HOST_UNKNOWN;
        lost->none += h->state == POLICY_HOST_NONE;
        reject(out, h, "", h->why);
        return;
    }
    if (has_mode(in->facts, POLICY_STS_TESTING) && !is_listed)
        reject(out, h, "testing: ", unlisted);
    admit(in, h, out);
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

static void
end_without_host(const struct policy_inputs *in, const struct losses *lost,
                 struct policy_plan *out)
{
    if (lost->unlisted > 0 && lost->unknown == 0)
        end_unlisted(in->facts, out, lost->none > 0);
    else if (lost->unknown > 0)
        end_unknown(in->facts, out);
    else
        end_without_address(in, out);
}

void
policy_plan_make(const struct policy_inputs *in, struct policy_plan *out)
{
    const struct policy_facts *f = in->facts;
    struct losses lost = {0};

    *out = (struct policy_plan){.verdict = POLICY_GO};
    if (is_settled(in, out))
        return;
    out->hosts = mem_array(struct policy_host, f->host_count + 1);
    out->rejected = mem_array(struct policy_rejected_host, f->host_count + 1);
    for (size_t i = 0; i < f->host_count; i++)
        weigh(in, &f->hosts[i], out, &lost);
    if (out->host_count == 0)
        end_without_host(in, &lost, out);
}

void
policy_plan_done(struct policy_plan *p)
{
    free(p->hosts);
    free(p->rejected);
    *p = (struct policy_plan){0};
}
