#include "relay/daemon/tls_result.h"

#include "relay/base/mem.h"
#include "relay/daemon/tls_count.h"

#include <stdlib.h>

static const char mismatch[] = "mtasts-policy-mx-mismatch";

struct tls_result {
    struct worker *worker;
    char *domain;
    char *sts_text; /* of a policy that is to be heeded; NULL: none */
    struct policy_sts sts;
    bool is_off; /* nothing was asked about MTA-STS */
};

/* --- policies of a destination ----------------------------------------- */

static bool
has_sts(const struct policy_facts *f)
{
    return (f->sts_state == POLICY_STS_STATE_CACHED ||
            f->sts_state == POLICY_STS_STATE_FRESH) &&
           f->sts.mode != POLICY_STS_NONE && f->sts_entry.text;
}

static struct policy_tlsrpt_session
begin(const struct tls_result *r, enum policy_tlsrpt_type type,
      enum policy_tlsrpt_result result)
{
    return (struct policy_tlsrpt_session){
        .type = type,
        .result = result,
        .domain = mem_text(r->domain),
        .policy_text = type == POLICY_TLSRPT_STS ? mem_text(r->sts_text) : NULL,
    };
}

/* There was a record, and no policy to be had, or none but the one that is
 * kept: RFC 8460 section 4.3.2.2, RFC 8461 section 5.1. */
static void
count_sts_failure(struct tls_result *r, const struct policy_facts *f)
{
    static const enum policy_tlsrpt_result results[] = {
        [POLICY_STS_FAILURE_FETCH] = POLICY_TLSRPT_STS_FETCH_ERROR,
        [POLICY_STS_FAILURE_TLS] = POLICY_TLSRPT_STS_WEBPKI_INVALID,
        [POLICY_STS_FAILURE_INVALID] = POLICY_TLSRPT_STS_INVALID,
    };
    struct policy_tlsrpt_session s;

    if (f->sts_failure == POLICY_STS_FAILURE_NONE ||
        (f->sts_state != POLICY_STS_STATE_FAILED && !r->sts_text))
        return;
    s = begin(r, POLICY_TLSRPT_STS, results[f->sts_failure]);
    s.reason_code = mem_text(f->sts_why);
    tls_count_add(r->worker, &s);
}

/* Mail waits because no host is one that the policy allows. */
static void
count_unlisted(struct tls_result *r, const struct policy_plan *plan)
{
    if (plan->verdict != POLICY_DEFER || plan->source != POLICY_SOURCE_STS)
        return;
    for (size_t i = 0; i < plan->rejected_count; i++) {
        struct policy_tlsrpt_session s;

        if (plan->rejected[i].source != POLICY_SOURCE_STS)
            continue;
        s = begin(r, POLICY_TLSRPT_STS, POLICY_TLSRPT_VALIDATION_FAILURE);
        s.mx_host = mem_text(plan->rejected[i].name);
        s.reason_code = mem_text(mismatch);
        tls_count_add(r->worker, &s);
    }
}

static void
add_records(const struct policy_dane_set *set, struct buf *out)
{
    for (size_t i = 0; i < set->count; i++) {
        policy_dane_format(&set->records[i], out);
        buf_add_byte(out, '\n');
    }
}

static void
count_host(struct tls_result *r, const struct policy_host_facts *h,
           enum policy_tlsrpt_result result, const char *why)
{
    scoped(buf_free) struct buf text = {0};
    struct policy_tlsrpt_session s = {
        .type = POLICY_TLSRPT_TLSA,
        .result = result,
        .domain = mem_text(h->tlsa_base[0] ? h->tlsa_base : h->name),
        .mx_host = mem_text(h->name),
        .reason_code = mem_text(why),
    };

    add_records(&h->tlsa, &text);
    if (text.len > 0)
        s.policy_text = mem_text(buf_text(&text));
    tls_count_add(r->worker, &s);
}

/* RFC 8460 section 4.3.2.1: a host without records where we require them is
 * told so. */
static void
count_rejected(struct tls_result *r, const struct policy_facts *f,
               const struct policy_rejected_host *rejected)
{
    const struct policy_host_facts *h = &f->hosts[rejected->index];

    if (rejected->source == POLICY_SOURCE_DANE)
        count_host(r, h, POLICY_TLSRPT_DNSSEC_INVALID, h->tlsa_why);
    else if (rejected->lacks_dane)
        count_host(r, h, POLICY_TLSRPT_DANE_REQUIRED, rejected->why);
}

/* Hosts that are passed over because of their TLSA records, down to the first
 * that is not; and whether that one has records that nothing can be done
 * with. */
static void
count_tlsa(struct tls_result *r, const struct policy_facts *f,
           const struct policy_plan *plan)
{
    size_t first = plan->host_count > 0 ? plan->hosts[0].index : f->host_count;

    for (size_t i = 0; i < plan->rejected_count; i++)
        if (plan->rejected[i].index < first)
            count_rejected(r, f, &plan->rejected[i]);
    if (first < f->host_count &&
        f->hosts[first].tlsa_state == POLICY_TLSA_FOUND &&
        !policy_dane_has_usable(&f->hosts[first].tlsa))
        count_host(r, &f->hosts[first], POLICY_TLSRPT_TLSA_INVALID, "");
}

struct tls_result *
tls_result_new(struct worker *w, const struct policy_facts *facts,
               const struct policy_plan *plan)
{
    struct tls_result *r;

    if (!w->config->tlsrpt.enabled || facts->is_literal ||
        facts->mx == POLICY_MX_VIA)
        return NULL;
    r = mem_new(struct tls_result);
    r->worker = w;
    r->domain = mem_text(facts->domain.text);
    r->is_off = facts->sts_state == POLICY_STS_STATE_OFF;
    if (has_sts(facts)) {
        struct err err;

        r->sts_text = mem_text(facts->sts_entry.text);
        if (!policy_sts_parse(slice_of(r->sts_text), &r->sts, &err))
            own_free(&r->sts_text);
    }
    count_sts_failure(r, facts);
    count_unlisted(r, plan);
    count_tlsa(r, facts, plan);
    return r;
}

void
tls_result_free(struct tls_result **place)
{
    struct tls_result *r = take(place);

    if (!r)
        return;
    if (r->sts_text)
        policy_sts_done(&r->sts);
    free(r->sts_text);
    free(r->domain);
    free(r);
}

/* --- sessions ---------------------------------------------------------- */

bool
tls_result_is_report(const struct queue_message *m)
{
    return m->tls_required_no && m->origin &&
           strncmp(m->origin, TLS_RESULT_ORIGIN,
                   sizeof(TLS_RESULT_ORIGIN) - 1) == 0;
}

/* Also where the records are only looked at. */
static bool
is_dane(const struct candidate *c)
{
    return c->host->dane_base[0] &&
           (c->proof == POLICY_PROOF_DANE ||
            c->host->shadow_proof == POLICY_PROOF_DANE);
}

/* RFC 8460 section 1.1: the policy domain of TLSA records is their base
 * domain. */
static struct policy_tlsrpt_session
begin_tlsa(const struct policy_host *h, enum policy_tlsrpt_result result)
{
    scoped(buf_free) struct buf text = {0};

    add_records(&h->tlsa, &text);
    return (struct policy_tlsrpt_session){
        .type = POLICY_TLSRPT_TLSA,
        .result = result,
        .domain = mem_text(h->dane_base),
        .policy_text = mem_text(buf_text(&text)),
    };
}

static void
describe(const struct tls_result_session *from, struct policy_tlsrpt_session *s)
{
    struct addr local = net_conn_local(from->conn);
    char text[ADDR_TEXT_SIZE];

    if (local.any.sa_family != AF_UNSPEC)
        s->sending_ip = mem_text(addr_text(&local, text));
    s->mx_host = mem_text(from->candidate->host->name);
    s->receiving_ip = mem_text(addr_text(&from->candidate->address, text));
    if (from->helo && *from->helo)
        s->helo = mem_text(from->helo);
}

/* How a session went under one policy. */
struct ending {
    enum policy_tlsrpt_result result;
    const char *reason;
};

static void
finish(struct tls_result *r, const struct tls_result_session *from,
       struct policy_tlsrpt_session *s, const struct ending *end)
{
    if (end->result != POLICY_TLSRPT_SUCCESS) {
        describe(from, s);
        if (end->reason && *end->reason)
            s->reason_code = mem_text(end->reason);
    }
    tls_count_add(r->worker, s);
}

static bool
is_told(const struct tls_result *r, const struct tls_result_session *from)
{
    return r && !tls_result_is_report(from->message);
}

static void
tell_tlsa(struct tls_result *r, const struct tls_result_session *from,
          const struct ending *end)
{
    struct policy_tlsrpt_session s;

    if (!is_told(r, from) || !is_dane(from->candidate))
        return;
    s = begin_tlsa(from->candidate->host, end->result);
    finish(r, from, &s, end);
}

/* RFC 8460 section 4.4: a session that had two policies is one of each.  Where
 * the host has records, and the domain no policy, there is nothing to tell it;
 * nor where whether it has one was not looked for. */
static void
tell_domain(struct tls_result *r, const struct tls_result_session *from,
            const struct ending *end)
{
    struct policy_tlsrpt_session s;

    if (!is_told(r, from) || r->is_off ||
        (is_dane(from->candidate) && !r->sts_text))
        return;
    s = begin(r, r->sts_text ? POLICY_TLSRPT_STS : POLICY_TLSRPT_NO_POLICY,
              end->result);
    finish(r, from, &s, end);
}

static void
tell_both(struct tls_result *r, const struct tls_result_session *from,
          enum policy_tlsrpt_result result, const char *reason)
{
    struct ending end = {result, reason};

    tell_tlsa(r, from, &end);
    tell_domain(r, from, &end);
}

static enum policy_tlsrpt_result
result_of(enum net_tls_verdict verdict)
{
    switch (verdict) {
    case NET_TLS_VERIFIED:
        return POLICY_TLSRPT_SUCCESS;
    case NET_TLS_EXPIRED:
        return POLICY_TLSRPT_CERTIFICATE_EXPIRED;
    case NET_TLS_WRONG_NAME:
        return POLICY_TLSRPT_CERTIFICATE_HOST_MISMATCH;
    case NET_TLS_NOT_TRUSTED:
        return POLICY_TLSRPT_CERTIFICATE_NOT_TRUSTED;
    case NET_TLS_UNCHECKED:
    case NET_TLS_BROKEN:
        break;
    }
    return POLICY_TLSRPT_VALIDATION_FAILURE;
}

/* A certificate that matches no TLSA record is no matter of trust. */
static struct ending
ending_by_records(const struct net_tls_facts *tls)
{
    return (struct ending){tls->verdict == NET_TLS_NOT_TRUSTED
                               ? POLICY_TLSRPT_VALIDATION_FAILURE
                               : result_of(tls->verdict),
                           tls->why};
}

/* What MTA-STS asks of a certificate, whoever was asked first. */
static struct ending
ending_by_name(const struct tls_result *r, const struct candidate *c,
               const struct net_tls_facts *tls)
{
    if (!policy_sts_has_mx(&r->sts, c->host->name))
        return (struct ending){POLICY_TLSRPT_VALIDATION_FAILURE, mismatch};
    if (is_dane(c))
        return (struct ending){result_of(tls->pkix_verdict), tls->pkix_why};
    return (struct ending){result_of(tls->verdict), tls->why};
}

/* Where a policy asks for more than TLS, what was proven is what counts; under
 * "testing" the session has gone on all the same. */
void
tls_result_ready(struct tls_result *r, const struct tls_result_session *s)
{
    const struct net_tls_facts *tls = net_conn_tls(s->conn);
    struct ending end = {POLICY_TLSRPT_SUCCESS, NULL};

    if (!r)
        return;
    if (!tls) {
        tls_result_no_starttls(r, s);
        return;
    }
    if (is_dane(s->candidate)) {
        struct ending by_records = ending_by_records(tls);

        tell_tlsa(r, s, &by_records);
    }
    if (r->sts_text)
        end = ending_by_name(r, s->candidate, tls);
    tell_domain(r, s, &end);
}

void
tls_result_no_starttls(struct tls_result *r, const struct tls_result_session *s)
{
    tell_both(r, s, POLICY_TLSRPT_STARTTLS_NOT_SUPPORTED, NULL);
}

/* The certificate, or who issued it, is what our own rule asks for: that the
 * domain has not promised. */
static bool
is_local(const struct tls_result *r, const struct candidate *c,
         enum net_tls_verdict verdict)
{
    bool has_own_anchors = c->host->anchors && c->host->anchors[0];

    return !is_dane(c) && (!r->sts_text ||
                           (has_own_anchors && verdict == NET_TLS_NOT_TRUSTED));
}

/* A handshake that came as far as a certificate failed for what was found out
 * about it; any other, and one behind which the server hung up, is lost to all
 * policies alike. */
static bool
is_judged(const struct net_tls_facts *tls)
{
    return tls && tls->verdict != NET_TLS_BROKEN &&
           tls->verdict != NET_TLS_UNCHECKED &&
           tls->verdict != NET_TLS_VERIFIED;
}

void
tls_result_failed(struct tls_result *r, const struct tls_result_session *s,
                  const struct err *err)
{
    const struct net_tls_facts *tls = net_conn_tls(s->conn);
    struct ending end = {POLICY_TLSRPT_VALIDATION_FAILURE, err->text};

    if (!r)
        return;
    if (!is_judged(tls)) {
        tell_both(r, s, end.result, tls && tls->why[0] ? tls->why : err->text);
        return;
    }
    if (is_local(r, s->candidate, tls->verdict))
        return;
    if (is_dane(s->candidate)) {
        struct ending by_records = ending_by_records(tls);

        tell_tlsa(r, s, &by_records);
    }
    if (r->sts_text)
        end = ending_by_name(r, s->candidate, tls);
    else
        end = (struct ending){result_of(tls->verdict), tls->why};
    tell_domain(r, s, &end);
}
