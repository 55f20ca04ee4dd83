#include "relay/daemon/tls_result.h"

#include "policy/tlsrpt_record.h"
#include "relay/base/mem.h"

#include <stdlib.h>

static const char mismatch[] = "mtasts-policy-mx-mismatch";

struct tls_result {
    struct worker *worker;
    char *domain;
    char *sts_text; /* of a policy that is to be heeded; NULL: none */
    struct policy_sts sts;
    bool is_off; /* nothing was asked about MTA-STS */
};

/* A result that waits for the record of its domain. */
struct tls_pending {
    struct worker *worker;
    struct tls_pending *next, **at; /* of worker->tls_pending */
    struct net_dns_query *dns;
    struct policy_tlsrpt_session session;
    int64_t at_ms; /* wall clock */
};

/* --- into the store ---------------------------------------------------- */

struct count_call {
    struct store_call call;
    struct policy_tlsrpt_session session;
    int64_t at_ms;
};

static bool
work_count(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct count_call *x = own_container(call, struct count_call, call);
    char day[POLICY_TLSRPT_DAY_SIZE];
    scoped(own_free) char *key = mem_printf(
        "%s %s", policy_tlsrpt_day(x->at_ms, day), x->session.domain);
    scoped(buf_free) struct buf before = {0};
    scoped(buf_free) struct buf after = {0};

    if (!queue_store_shelf_get(store, TLS_RESULT_SHELF, key, &before, err) &&
        err->kind != ERR_MISSING)
        return false;
    /* A count that can't be read is begun anew. */
    if (!policy_tlsrpt_add(buf_slice(&before), &x->session, &after, err) &&
        !policy_tlsrpt_add((struct slice){0}, &x->session, &after, err))
        return false;
    return queue_store_shelf_put(store, TLS_RESULT_SHELF, key,
                                 buf_slice(&after), x->at_ms, err);
}

/* On the store thread: nobody waits for it. */
static void
counted(struct task *task)
{
    struct count_call *x = own_container(task, struct count_call, call.task);

    policy_tlsrpt_session_done(&x->session);
    free(x);
}

static void
count(struct tls_pending *p)
{
    struct count_call *x = mem_new(struct count_call);

    x->call.work = work_count;
    x->call.task.run = counted;
    x->call.is_patient = true;
    x->session = p->session;
    x->at_ms = p->at_ms;
    p->session = (struct policy_tlsrpt_session){0};
    store_thread_post(p->worker->relay->store, &x->call);
}

/* --- does the domain want to know? ------------------------------------- */

static void
drop(struct tls_pending *p)
{
    *p->at = p->next;
    if (p->next)
        p->next->at = p->at;
    p->worker->tls_pending_count--;
    net_dns_cancel(&p->dns);
    policy_tlsrpt_session_done(&p->session);
    free(p);
}

static bool
has_record(const struct dns_answer *answer)
{
    struct slice txt[DNS_RECORDS_MAX];
    struct policy_tlsrpt_record record;
    struct err err;
    size_t n = 0;

    if (answer->outcome == DNS_FAILED)
        return true; /* the end of the day will tell */
    for (; n < answer->count && n < DNS_RECORDS_MAX; n++)
        txt[n] = (struct slice){answer->records[n].txt.p,
                                answer->records[n].txt.len};
    return policy_tlsrpt_record_parse(txt, n, &record, &err);
}

static void
record_known(void *ctx, const struct dns_answer *answer)
{
    struct tls_pending *p = ctx;

    if (has_record(answer) && !p->worker->is_cut)
        count(p);
    drop(p);
}

/* Takes the session's texts over. */
static void
post(struct worker *w, struct policy_tlsrpt_session *s)
{
    scoped(own_free) char *name = mem_printf("_smtp._tls.%s", s->domain);
    struct tls_pending *p;

    if (w->is_cut || w->tls_pending_count >= TLS_RESULTS_MAX) {
        policy_tlsrpt_session_done(s);
        return;
    }
    p = mem_new(struct tls_pending);
    p->worker = w;
    p->session = *s;
    p->at_ms = net_clock_wall();
    p->next = w->tls_pending;
    p->at = &w->tls_pending;
    if (p->next)
        p->next->at = &p->next;
    w->tls_pending = p;
    w->tls_pending_count++;
    net_dns_start(&p->dns, w->dns, name, DNS_TXT, record_known, p);
}

void
tls_result_cut(struct worker *w)
{
    while (w->tls_pending) {
        count(w->tls_pending);
        drop(w->tls_pending);
    }
}

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

/* There was a record, and no policy to be had: RFC 8460 section 4.3.2.2. */
static void
count_sts_failure(struct tls_result *r, const struct policy_facts *f)
{
    static const enum policy_tlsrpt_result results[] = {
        [POLICY_STS_FAILURE_FETCH] = POLICY_TLSRPT_STS_FETCH_ERROR,
        [POLICY_STS_FAILURE_TLS] = POLICY_TLSRPT_STS_WEBPKI_INVALID,
        [POLICY_STS_FAILURE_INVALID] = POLICY_TLSRPT_STS_INVALID,
    };
    struct policy_tlsrpt_session s;

    if (f->sts_state != POLICY_STS_STATE_FAILED ||
        f->sts_failure == POLICY_STS_FAILURE_NONE)
        return;
    s = begin(r, POLICY_TLSRPT_STS, results[f->sts_failure]);
    s.reason_code = mem_text(f->sts_why);
    post(r->worker, &s);
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
        post(r->worker, &s);
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
    post(r->worker, &s);
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

static bool
is_dane(const struct candidate *c)
{
    return c->proof == POLICY_PROOF_DANE && c->host->dane_base[0];
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

static void
tell(struct tls_result *r, const struct tls_result_session *from,
     enum policy_tlsrpt_result result, const char *reason)
{
    struct policy_tlsrpt_session s;

    if (!r || tls_result_is_report(from->message))
        return;
    if (is_dane(from->candidate))
        s = begin_tlsa(from->candidate->host, result);
    else if (r->is_off)
        return; /* whether there is a policy was not looked for */
    else
        s = begin(r, r->sts_text ? POLICY_TLSRPT_STS : POLICY_TLSRPT_NO_POLICY,
                  result);
    if (result != POLICY_TLSRPT_SUCCESS) {
        describe(from, &s);
        if (reason && *reason)
            s.reason_code = mem_text(reason);
    }
    post(r->worker, &s);
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

/* Where a policy asks for more than TLS, what was proven is what counts; under
 * "testing" the session has gone on all the same. */
void
tls_result_ready(struct tls_result *r, const struct tls_result_session *s)
{
    const struct net_tls_facts *tls = net_conn_tls(s->conn);
    bool is_sts = r && r->sts_text && !is_dane(s->candidate);

    if (!tls)
        tell(r, s, POLICY_TLSRPT_STARTTLS_NOT_SUPPORTED, NULL);
    else if (is_sts && !policy_sts_has_mx(&r->sts, s->candidate->host->name))
        tell(r, s, POLICY_TLSRPT_VALIDATION_FAILURE, mismatch);
    else
        tell(r, s, is_sts ? result_of(tls->verdict) : POLICY_TLSRPT_SUCCESS,
             is_sts ? tls->why : NULL);
}

void
tls_result_no_starttls(struct tls_result *r, const struct tls_result_session *s)
{
    tell(r, s, POLICY_TLSRPT_STARTTLS_NOT_SUPPORTED, NULL);
}

/* The certificate, or who issued it, is what our own rule asks for: that the
 * domain has not promised. */
static bool
is_local(const struct tls_result *r, const struct candidate *c,
         enum net_tls_verdict verdict)
{
    bool has_own_anchors = c->host->anchors && c->host->anchors[0];

    return r && !is_dane(c) &&
           (!r->sts_text ||
            (has_own_anchors && verdict == NET_TLS_NOT_TRUSTED));
}

void
tls_result_failed(struct tls_result *r, const struct tls_result_session *s,
                  const struct err *err)
{
    const struct net_tls_facts *tls = net_conn_tls(s->conn);
    enum policy_tlsrpt_result result = POLICY_TLSRPT_VALIDATION_FAILURE;

    if (tls && tls->verdict != NET_TLS_BROKEN &&
        is_local(r, s->candidate, tls->verdict))
        return;
    /* A certificate that matches no TLSA record is no matter of trust. */
    if (tls && tls->verdict != NET_TLS_VERIFIED &&
        !(is_dane(s->candidate) && tls->verdict == NET_TLS_NOT_TRUSTED))
        result = result_of(tls->verdict);
    tell(r, s, result, tls && tls->why[0] ? tls->why : err->text);
}
