#include "policy/demand.h"

#include <stdio.h>
#include <string.h>

static bool
has_mode(const struct policy_facts *f, enum policy_sts_mode mode)
{
    return (f->sts_state == POLICY_STS_STATE_CACHED ||
            f->sts_state == POLICY_STS_STATE_FRESH) &&
           f->sts.mode == mode;
}

static void
say(struct policy_demand *out, enum policy_source source, const char *prefix,
    const char *why)
{
    size_t len = strlen(prefix);

    out->why_source = source;
    (void)snprintf(out->why, sizeof(out->why), "%s", prefix);
    (void)snprintf(out->why + len, sizeof(out->why) - len, "%.*s",
                   (int)(sizeof(out->why) - len - 1), why);
}

static bool
bar(struct policy_demand *out, enum policy_fate fate, enum policy_source source,
    const char *prefix, const char *why)
{
    out->fate = fate;
    say(out, source, prefix, why);
    return true;
}

static bool
counts_dane(const struct policy_inputs *in, bool is_published)
{
    return in->dane == POLICY_DANE_REQUIRED ||
           (in->dane == POLICY_DANE_HEEDED && is_published);
}

/* What a host lacks where DANE is required; NULL: nothing.  Who can forge MX
 * records names hosts with records of their own. */
static const char *
lacks_dane(const struct policy_facts *f, const struct policy_host_facts *h)
{
    switch (h->tlsa_state) {
    case POLICY_TLSA_OFF:
        return "its TLSA records can't be looked up";
    case POLICY_TLSA_NONE:
        return "it has no TLSA records";
    case POLICY_TLSA_INSECURE:
        return h->tlsa_why;
    case POLICY_TLSA_FOUND:
        break;
    case POLICY_TLSA_FAILED:
        return NULL; /* it is out already */
    }
    if (!f->mx_authentic)
        return "the MX records are not authentic";
    return policy_dane_has_usable(&h->tlsa)
               ? NULL
               : "none of its TLSA records is usable";
}

static bool
bar_without_dane(const struct policy_inputs *in,
                 const struct policy_host_facts *h, struct policy_demand *out)
{
    const char *lack = lacks_dane(in->facts, h);

    return lack && bar(out, POLICY_FATE_NOT_DANE, POLICY_SOURCE_LOCAL,
                       "DANE is required here: ", lack);
}

static const char unlisted[] = "the MTA-STS policy does not list this host";

/* Is the host out of the question, whatever it could prove?  RFC 8461 section
 * 4.1: the name that the MX record gives, whatever it is an alias of; without
 * MX records the domain's own, so that hiding them gains nothing. */
static bool
is_barred(const struct policy_inputs *in, bool is_published,
          const struct policy_host_facts *h, struct policy_demand *out)
{
    const struct policy_facts *f = in->facts;

    if (is_published && has_mode(f, POLICY_STS_ENFORCE) &&
        !policy_sts_has_mx(&f->sts, h->name))
        return bar(out, POLICY_FATE_UNLISTED, POLICY_SOURCE_STS, "", unlisted);
    if (h->state == POLICY_HOST_UNKNOWN)
        return bar(out, POLICY_FATE_UNKNOWN, POLICY_SOURCE_DEFAULT, "", h->why);
    if (h->state == POLICY_HOST_NONE)
        return bar(out, POLICY_FATE_NO_ADDRESS, POLICY_SOURCE_DEFAULT, "",
                   h->why);
    if (counts_dane(in, is_published) && h->tlsa_state == POLICY_TLSA_FAILED)
        return bar(out, POLICY_FATE_UNTOLD, POLICY_SOURCE_DANE, "",
                   h->tlsa_why);
    return in->dane == POLICY_DANE_REQUIRED && bar_without_dane(in, h, out);
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
    if ((in->implicit_tls || in->fingerprint_count > 0) &&
        proof < POLICY_PROOF_ENCRYPT)
        proof = POLICY_PROOF_ENCRYPT;
    return proof;
}

static void
demand_local(const struct policy_inputs *in, struct policy_demand *out)
{
    out->proof = proof_of_level(in);
    out->source = in->is_route || out->proof != POLICY_PROOF_NONE
                      ? POLICY_SOURCE_LOCAL
                      : POLICY_SOURCE_DEFAULT;
}

static void
raise(struct policy_demand *out, enum policy_proof proof,
      enum policy_source source)
{
    if (out->proof >= proof)
        return;
    out->proof = proof;
    out->source = source;
}

/* RFC 7672 section 2.2: records of which none is usable still promise TLS.
 * Where usable ones are, nothing else is asked of the certificate (RFC 7672
 * section 3.1). */
static void
demand_dane(const struct policy_host_facts *h, struct policy_demand *out)
{
    if (h->tlsa_state != POLICY_TLSA_FOUND)
        return;
    policy_dane_choose(&h->tlsa, &out->tlsa);
    if (out->tlsa.count > 0) {
        out->proof = POLICY_PROOF_DANE;
        out->source = POLICY_SOURCE_DANE;
    } else {
        raise(out, POLICY_PROOF_ENCRYPT, POLICY_SOURCE_DANE);
    }
}

/* A host whose name an MTA-STS policy in force vouches for is listed in it. */
static bool
has_good_name(const struct policy_facts *f)
{
    return f->mx_authentic || has_mode(f, POLICY_STS_ENFORCE);
}

/* RFC 8689 section 4.2.1: a certificate proves a name, so the name has to be
 * the right one: from DNSSEC, an MTA-STS policy in force, or the operator. */
static void
demand_requiretls(const struct policy_inputs *in, struct policy_demand *out)
{
    static const char prefix[] = "REQUIRETLS: ";

    if (out->source == POLICY_SOURCE_STS ||
        (out->proof == POLICY_PROOF_DANE && has_good_name(in->facts)))
        return;
    if (out->proof == POLICY_PROOF_CLEAR)
        bar(out, POLICY_FATE_UNPROVEN, POLICY_SOURCE_REQUIRETLS, prefix,
            "the route uses no TLS");
    else if (!has_good_name(in->facts))
        bar(out, POLICY_FATE_UNPROVEN, POLICY_SOURCE_REQUIRETLS, prefix,
            "neither DNSSEC nor MTA-STS vouches for the name of this host");
    else
        raise(out, POLICY_PROOF_PKIX, POLICY_SOURCE_REQUIRETLS);
}

/* RFC 8461 section 5: testing is checked and recorded, and changes nothing
 * else.  A handshake is checked in one way only. */
static void
observe(const struct policy_inputs *in, const struct policy_host_facts *h,
        struct policy_demand *out)
{
    const struct policy_facts *f = in->facts;

    if (!has_mode(f, POLICY_STS_TESTING))
        return;
    out->observe =
        out->proof != POLICY_PROOF_CLEAR && out->proof != POLICY_PROOF_DANE;
    if (!policy_sts_has_mx(&f->sts, h->name))
        say(out, POLICY_SOURCE_STS, "testing: ", unlisted);
}

void
policy_demand_weigh(const struct policy_inputs *in, bool is_published,
                    const struct policy_host_facts *h,
                    struct policy_demand *out)
{
    if (is_barred(in, is_published, h, out))
        return;
    demand_local(in, out);
    if (is_published && has_mode(in->facts, POLICY_STS_ENFORCE)) {
        out->proof = POLICY_PROOF_PKIX;
        out->source = POLICY_SOURCE_STS;
    }
    if (counts_dane(in, is_published))
        demand_dane(h, out);
    if (in->requiretls)
        demand_requiretls(in, out);
    if (out->fate == POLICY_FATE_ADMITTED)
        observe(in, h, out);
}

void
policy_demand_done(struct policy_demand *d)
{
    policy_dane_done(&d->tlsa);
}
