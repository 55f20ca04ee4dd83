/* A whole look-up, and the plan behind it, driven by the input: which of the
 * open asks is answered next, and how.  It always ends, within a bounded number
 * of asks, with facts that keep the promises of policy/lookup.h. */
#include "policy/plan.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1000000000, ASKS = 7 + 4 * POLICY_HOSTS_MAX, HOUR = 3600000 };

static const char *const hosts[] = {
    "mx1.example.com", "mx2.example.com", "MX1.example.com",
    "other.example",   "a.b.example.com", "",
    "x.example",       "192.0.2.9",
};

static const char *const strings[] = {
    "v=STSv1; id=1",
    "v=STSv1; id=2",
    "v=STSv1; id=",
    "v=spf1 -all",
};

static const char *const bodies[] = {
    "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 86400\n",
    "version: STSv1\nmode: testing\nmx: mx1.example.com\nmax_age: 0\n",
    "version: STSv1\nmode: none\nmax_age: 60\n",
    "<html>",
};

/* The input, a byte at a time; zeros behind its end. */
struct dice {
    const uint8_t *p;
    size_t len;
};

static unsigned
roll(struct dice *d, unsigned sides)
{
    if (d->len == 0)
        return 0;
    d->len--;
    return *d->p++ % sides;
}

/* Well formed for every second number; sequences for matching type 0. */
static void
make_tlsa(struct dice *d, unsigned n, struct dns_record *r)
{
    static const size_t lengths[] = {40, 32, 64, 0};

    r->tlsa.usage = (uint8_t)(n & 1 ? 2 + n / 2 % 2 : roll(d, 256));
    r->tlsa.selector = (uint8_t)(n & 1 ? n / 4 % 2 : roll(d, 256));
    r->tlsa.matching = (uint8_t)(n & 1 ? n / 8 % 3 : roll(d, 256));
    r->tlsa.len = n & 1 ? lengths[n / 8 % 3] : roll(d, 70);
    r->tlsa.data = mem_array(uint8_t, r->tlsa.len + 2);
    r->tlsa.data[0] = 0x30;
    r->tlsa.data[1] = 38;
}

static void
make_record(struct dice *d, enum dns_type type, struct dns_record *r)
{
    unsigned n = roll(d, 256);

    if (type == DNS_MX) {
        r->mx.preference = (uint16_t)(n / 8 % 4);
        snprintf(r->mx.host, sizeof(r->mx.host), "%s", hosts[n % 8]);
    } else if (type == DNS_TXT) {
        r->txt.p = mem_text(strings[n % 4]);
        r->txt.len = strlen(r->txt.p);
    } else if (type == DNS_TLSA) {
        make_tlsa(d, n, r);
    } else if (type == DNS_CNAME) {
        (void)r; /* the answer alone says where it leads */
    } else if (type == DNS_A) {
        r->a.s_addr = htonl(((n & 1 ? 127U : 9U) << 24) + n);
    } else {
        r->aaaa.s6_addr[0] = n & 1 ? 0 : 0x26;
        r->aaaa.s6_addr[15] = (uint8_t)n;
    }
}

static void
answer_dns(struct dice *d, struct policy_lookup *l,
           const struct policy_ask *ask, int64_t now_ms)
{
    struct dns_answer a = {
        .type = ask->type,
        .outcome = (enum dns_outcome)roll(d, DNS_FAILED + 1),
        .authentic = roll(d, 2),
        .ttl_s = roll(d, 4) * 1000,
    };

    snprintf(a.canonical, sizeof(a.canonical), "%s",
             roll(d, 4) == 3 ? "real.sample" : ask->name);
    if (a.outcome == DNS_FAILED)
        snprintf(a.why, sizeof(a.why), "SERVFAIL");
    if (a.outcome == DNS_FOUND) {
        a.count = 1 + roll(d, DNS_RECORDS_MAX);
        a.records = mem_array(struct dns_record, a.count);
    }
    for (size_t i = 0; i < a.count; i++)
        make_record(d, a.type, &a.records[i]);
    policy_lookup_answer_dns(l, ask->number, &a, now_ms);
    dns_answer_done(&a);
}

static void
answer_cache(struct dice *d, struct policy_lookup *l,
             const struct policy_ask *ask, int64_t now_ms)
{
    unsigned n = roll(d, 16);
    struct policy_sts_entry e = {
        .domain = {"example.com"},
        .id = "1",
        .text = n & 1 ? mem_text(bodies[n / 4]) : NULL,
        .expires_ms = now_ms + ((int64_t)roll(d, 3) - 1) * 30000,
        .used_ms = now_ms - (int64_t)roll(d, 2) * HOUR,
        .checked_ms = now_ms - (int64_t)roll(d, 2) * HOUR,
        .failed_id = {(char)('0' + roll(d, 3))},
        .backoff_ms = now_ms + (int64_t)roll(d, 3) * 200000,
        .failure = n & 2 ? mem_text("status 404") : NULL,
    };

    struct err err = {ERR_SYSTEM, "disk I/O error"};

    policy_lookup_answer_cache(l, ask->number, n > 1 ? &e : NULL,
                               n == 1 ? &err : NULL, now_ms);
    policy_sts_entry_done(&e);
}

static void
answer_fetch(struct dice *d, struct policy_lookup *l,
             const struct policy_ask *ask, int64_t now_ms)
{
    unsigned n = roll(d, 6);
    struct err err = {n == 4 ? ERR_TLS : ERR_TIMEOUT, "no answer"};

    assert(ask->address_count > 0);
    if (n < 4)
        policy_lookup_answer_fetch(l, ask->number, slice_of(bodies[n]), NULL,
                                   now_ms);
    else
        policy_lookup_answer_fetch(l, ask->number, (struct slice){0}, &err,
                                   now_ms);
}

static void
answer(struct dice *d, struct policy_lookup *l, const struct policy_ask *ask,
       int64_t now_ms)
{
    switch (ask->kind) {
    case POLICY_ASK_DNS:
        answer_dns(d, l, ask, now_ms);
        break;
    case POLICY_ASK_CACHE:
        answer_cache(d, l, ask, now_ms);
        break;
    case POLICY_ASK_FETCH:
        answer_fetch(d, l, ask, now_ms);
        break;
    case POLICY_ASK_KEEP:
        break;
    }
}

/* False when the input says to give up half-way. */
static bool
run(struct dice *d, struct policy_lookup *l, int64_t *now_ms)
{
    struct policy_ask open[ASKS];
    size_t count = 0, total = 0, fetches = 0, keeps = 0;

    for (;;) {
        while (policy_lookup_next(l, &open[count])) {
            assert(open[count].number == total++ && total <= ASKS);
            fetches += open[count].kind == POLICY_ASK_FETCH;
            keeps += open[count].kind == POLICY_ASK_KEEP;
            assert(fetches <= 1 && keeps <= 1);
            count += open[count].kind != POLICY_ASK_KEEP;
        }
        assert(policy_lookup_is_over(l) == (count == 0));
        if (count == 0)
            return true;
        size_t pick = roll(d, (unsigned)count);
        struct policy_ask ask = open[pick];

        open[pick] = open[--count];
        *now_ms += roll(d, 4) * 10000;
        if (roll(d, 256) == 255)
            return false;
        answer(d, l, &ask, *now_ms);
    }
}

/* Records are there when, and only when, everything that leads to them was
 * authentic, and they are at the host or behind its aliases. */
static void
check_tlsa(const struct policy_question *q, const struct policy_facts *f,
           const struct policy_host_facts *h)
{
    bool has_failed = h->tlsa_state == POLICY_TLSA_FAILED;
    bool is_asked_for = q->dane && h->state == POLICY_HOST_FOUND;

    assert(is_asked_for || h->tlsa_state == POLICY_TLSA_OFF);
    assert(!has_failed || h->tlsa_why[0]);
    assert(h->tlsa.count <= POLICY_DANE_RECORDS_MAX);
    assert((h->tlsa_state == POLICY_TLSA_FOUND) == (h->tlsa.count > 0));
    assert(h->tlsa_state == POLICY_TLSA_FOUND || !h->tlsa_base[0]);
    if (h->tlsa_state != POLICY_TLSA_FOUND)
        return;
    assert(f->mx_authentic || q->half_dane);
    assert(strcmp(h->tlsa_base, h->name) == 0 ||
           (h->address_authentic && strcmp(h->tlsa_base, h->canonical) == 0));
}

static void
check_facts(const struct policy_question *q, const struct policy_facts *f,
            int64_t now_ms)
{
    assert(f->host_count <= POLICY_HOSTS_MAX);
    assert(f->good_until_ms <= now_ms + 24 * (int64_t)HOUR);
    for (size_t i = 0; i < f->host_count; i++) {
        const struct policy_host_facts *h = &f->hosts[i];

        assert((h->state == POLICY_HOST_FOUND) == (h->address_count > 0));
        assert((h->state == POLICY_HOST_FOUND) == !h->why[0]);
        check_tlsa(q, f, h);
        for (size_t j = 0; j < h->address_count; j++) {
            assert(q->allow_special || !addr_is_special(&h->addresses[j]));
            assert(q->ipv6 || h->addresses[j].any.sa_family == AF_INET);
        }
        for (size_t j = i + 1; j < f->host_count && f->mx == POLICY_MX_FOUND;
             j++)
            assert(h->preference <= f->hosts[j].preference);
    }
    if (f->sts_state == POLICY_STS_STATE_CACHED ||
        f->sts_state == POLICY_STS_STATE_FRESH)
        assert(f->sts_entry.text &&
               f->good_until_ms <= f->sts_entry.expires_ms);
    else
        assert(f->sts.mx_count == 0);
    if (f->sts_state == POLICY_STS_STATE_FAILED ||
        f->sts_state == POLICY_STS_STATE_UNKNOWN)
        assert(f->sts_why[0]);
}

static bool
is_in_force(const struct policy_inputs *in, enum policy_sts_mode mode)
{
    const struct policy_facts *f = in->facts;

    return f->sts_entry.text && f->sts.mode == mode &&
           (f->sts_state == POLICY_STS_STATE_CACHED ||
            f->sts_state == POLICY_STS_STATE_FRESH) &&
           (in->requiretls || (!in->tls_required_no && !in->report_only));
}

static void
check_planned(const struct policy_inputs *in, const struct policy_host *h)
{
    const struct policy_host_facts *from = &in->facts->hosts[h->index];
    bool is_dane = h->proof == POLICY_PROOF_DANE;

    assert(strcmp(h->name, from->name) == 0);
    assert(h->names.count <= POLICY_DANE_NAMES_MAX);
    bool has_records = is_dane || h->shadow_proof == POLICY_PROOF_DANE;

    assert((h->tlsa.count > 0) == has_records);
    assert(!has_records || strcmp(h->dane_base, from->tlsa_base) == 0);
    assert(h->is_half_dane == (is_dane && !in->facts->mx_authentic));
    assert(in->dane != POLICY_DANE_REQUIRED || (is_dane && !h->is_half_dane));
    assert(!in->requiretls || !h->is_half_dane ||
           is_in_force(in, POLICY_STS_ENFORCE));
    assert(!in->requiretls || h->proof >= POLICY_PROOF_PKIX);
    assert(h->requires_requiretls ==
           (in->requiretls && !in->may_lose_requiretls));
    for (size_t i = 0; i < h->tlsa.count; i++)
        assert(policy_dane_is_usable(&h->tlsa.records[i]));
    if (is_in_force(in, POLICY_STS_ENFORCE))
        assert(h->proof >= POLICY_PROOF_PKIX &&
               policy_sts_has_mx(&in->facts->sts, h->name));
}

static void
check_plan(struct dice *d, const struct policy_facts *f)
{
    unsigned flags = roll(d, 256);
    static const struct policy_fingerprint pin;
    struct policy_inputs in = {
        .facts = f,
        .level = (enum policy_level)roll(d, POLICY_LEVEL_VERIFIED + 1),
        .implicit_tls = flags & 1,
        .port = 25,
        .is_route = flags & 2,
        .dane = (enum policy_dane_rule)roll(d, POLICY_DANE_REQUIRED + 1),
        .requiretls = flags & 8,
        .may_lose_requiretls = flags & 128,
        .tls_required_no = flags & 16,
        .report_only = flags & 32,
        .fingerprints = &pin,
        .fingerprint_count = flags & 64 ? 1 : 0,
    };
    struct policy_plan p;
    struct buf key = {0};

    policy_plan_make(&in, &p);
    assert((p.verdict == POLICY_GO) == (p.host_count > 0));
    assert((p.verdict == POLICY_DEFER) == mail_status_is_transient(&p.status));
    assert((p.verdict == POLICY_REFUSE) == mail_status_is_permanent(&p.status));
    assert(p.shadow_count <= p.host_count + 1);
    for (size_t i = 0; i < p.host_count; i++) {
        check_planned(&in, &p.hosts[i]);
        policy_plan_host_key(&p.hosts[i], &key);
    }
    buf_free(&key);
    policy_plan_done(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dice d = {data, size};
    unsigned flags = roll(&d, 256);
    struct policy_question q = {
        .domain = flags & 1 ? "[192.0.2.1]" : "example.com",
        .is_literal = flags & 1,
        .via = flags & 2 ? hosts : NULL,
        .via_count = flags & 2 ? roll(&d, 9) : 0,
        .sts = !(flags & 4),
        .refresh = flags & 8,
        .allow_special = flags & 16,
        .ipv6 = flags & 32,
        .dane = flags & 64,
        .half_dane = roll(&d, 2) == 1,
        .port = flags & 128 ? 587 : 0,
        .shuffle = flags,
    };
    int64_t now_ms = NOW;
    struct policy_lookup *l = policy_lookup_new(&q, now_ms);

    if (run(&d, l, &now_ms)) {
        struct policy_facts f;

        policy_lookup_take_facts(l, &f);
        check_facts(&q, &f, now_ms);
        check_plan(&d, &f);
        policy_facts_done(&f);
    }
    policy_lookup_free(&l);
    return 0;
}
