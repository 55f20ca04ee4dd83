#include "policy/demand.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The whole of what makes a plan out of policies, by way of the plan:
 * tests/policy/plan_test.c has the rest. */

enum sts {
    STS_ABSENT,
    STS_FAILED, /* announced, and not to be had */
    STS_NONE,
    STS_TESTING,
    STS_ENFORCE,
    STS_UNKNOWN,
    STS_STATES
};

/* From less to more: nothing, nothing, nothing, TLS, DANE, not this host. */
enum tlsa {
    TLSA_OFF,
    TLSA_NONE,
    TLSA_INSECURE,
    TLSA_UNUSABLE,
    TLSA_USABLE,
    TLSA_FAILED,
    TLSA_STATES,
};

enum {
    LEVELS = POLICY_LEVEL_VERIFIED + 1,
    DANE_RULES = POLICY_DANE_REQUIRED + 1,
    /* Each host: listed or not; with an address, and then in any state of its
     * TLSA records, or without one, or not learnt. */
    HOST_KINDS = 2 * (TLSA_STATES + 2),
    HOSTS = 2,
    ONE_HOST = HOST_KINDS * STS_STATES * LEVELS * DANE_RULES * 192,
    /* Without level, fingerprint and implicit TLS: what they do to one host
     * they do to each. */
    TWO_HOSTS = HOST_KINDS * HOST_KINDS * STS_STATES * DANE_RULES * 48,
};

struct host {
    bool is_listed;
    enum policy_host_state state;
    enum tlsa tlsa;
};

struct combination {
    enum sts sts;
    enum policy_level level;
    enum policy_dane_rule dane;
    bool is_route, is_mx_authentic, requiretls, tls_required_no, report_only,
        is_pinned, implicit_tls, may_lose_requiretls;
    size_t host_count;
    struct host hosts[HOSTS];
};

static const char *const names[2][HOSTS] = {
    {"mx0.other.example", "mx1.other.example"},
    {"mx0.example.com", "mx1.example.com"},
};

static size_t
take_digit(size_t *number, size_t base)
{
    size_t digit = *number % base;

    *number /= base;
    return digit;
}

static void
set_host(struct host *h, size_t kind)
{
    size_t what = kind / 2;

    h->is_listed = kind % 2 == 1;
    if (what < TLSA_STATES)
        h->tlsa = (enum tlsa)what;
    else
        h->state = what == TLSA_STATES ? POLICY_HOST_NONE : POLICY_HOST_UNKNOWN;
}

/* Combination number `number`; false behind the last.  Those of one host come
 * first. */
static bool
combine(size_t number, struct combination *c)
{
    *c = (struct combination){.host_count = number < ONE_HOST ? 1 : 2};
    if (number >= ONE_HOST + TWO_HOSTS)
        return false;
    if (c->host_count == 2)
        number -= ONE_HOST;
    c->sts = (enum sts)take_digit(&number, STS_STATES);
    c->is_route = take_digit(&number, 2);
    c->is_mx_authentic = take_digit(&number, 2);
    c->dane = (enum policy_dane_rule)take_digit(&number, DANE_RULES);
    size_t asked = take_digit(&number, 3);
    c->requiretls = asked > 0;
    c->may_lose_requiretls = asked == 1;
    c->tls_required_no = take_digit(&number, 2);
    c->report_only = take_digit(&number, 2);
    for (size_t i = 0; i < c->host_count; i++)
        set_host(&c->hosts[i], take_digit(&number, HOST_KINDS));
    c->level = (enum policy_level)take_digit(&number, LEVELS);
    c->is_pinned = take_digit(&number, 2);
    c->implicit_tls = take_digit(&number, 2);
    return true;
}

/* The facts point into static storage: nothing to release. */
static void
set_facts(struct policy_host_facts *h, const struct host *from, size_t index)
{
    static const enum policy_tlsa_state states[] = {
        [TLSA_OFF] = POLICY_TLSA_OFF,
        [TLSA_NONE] = POLICY_TLSA_NONE,
        [TLSA_INSECURE] = POLICY_TLSA_INSECURE,
        [TLSA_UNUSABLE] = POLICY_TLSA_FOUND,
        [TLSA_USABLE] = POLICY_TLSA_FOUND,
        [TLSA_FAILED] = POLICY_TLSA_FAILED,
    };
    static uint8_t data[32];
    static struct policy_dane_record unusable[] = {{1, 1, 1, data, 32}};
    static struct policy_dane_record usable[] = {{0, 0, 0, data, 32},
                                                 {3, 1, 1, data, 32}};

    *h = (struct policy_host_facts){
        .state = from->state,
        .why = "why of the host",
        .address_count = from->state == POLICY_HOST_FOUND,
        .addresses = {addr_from_v4((struct in_addr){htonl(0xc0000201)}, 0)},
        .tlsa_state = states[from->tlsa],
        .tlsa_why = "why of the records",
    };
    snprintf(h->name, sizeof(h->name), "%s", names[from->is_listed][index]);
    memcpy(h->tlsa_base, h->name, sizeof(h->tlsa_base));
    if (from->tlsa == TLSA_USABLE)
        h->tlsa = (struct policy_dane_set){usable, 2};
    if (from->tlsa == TLSA_UNUSABLE)
        h->tlsa = (struct policy_dane_set){unusable, 1};
}

/* States that mean the same take turns. */
static enum policy_sts_state
sts_state_of(const struct combination *c)
{
    unsigned turn = (unsigned)c->hosts[0].tlsa + (unsigned)c->level +
                    c->requiretls + c->is_mx_authentic + c->is_route;

    switch (c->sts) {
    case STS_ABSENT:
        return turn % 2 ? POLICY_STS_STATE_ABSENT : POLICY_STS_STATE_OFF;
    case STS_FAILED:
        return POLICY_STS_STATE_FAILED;
    case STS_UNKNOWN:
        return POLICY_STS_STATE_UNKNOWN;
    case STS_NONE:
    case STS_TESTING:
    case STS_ENFORCE:
    case STS_STATES:
        break;
    }
    return turn % 2 ? POLICY_STS_STATE_CACHED : POLICY_STS_STATE_FRESH;
}

static struct policy_facts
facts_of(const struct combination *c)
{
    static char pattern[] = "*.example.com";
    static char *patterns[] = {pattern};
    static struct policy_host_facts hosts[HOSTS];
    struct policy_facts f = {
        .domain = {"example.com"},
        .mx = c->is_route ? POLICY_MX_VIA : POLICY_MX_FOUND,
        .mx_authentic = c->is_mx_authentic,
        .hosts = hosts,
        .host_count = c->host_count,
        .sts_state = sts_state_of(c),
        .sts_why = "why of the policy",
        .sts = {.mode = c->sts == STS_ENFORCE   ? POLICY_STS_ENFORCE
                        : c->sts == STS_TESTING ? POLICY_STS_TESTING
                                                : POLICY_STS_NONE,
                .mx = patterns,
                .mx_count = 1},
    };

    for (size_t i = 0; i < c->host_count; i++)
        set_facts(&hosts[i], &c->hosts[i], i);
    return f;
}

static struct policy_plan
plan_of(const struct combination *c)
{
    static const struct policy_fingerprint pin = {POLICY_FINGERPRINT_KEY, {7}};
    struct policy_facts f = facts_of(c);
    struct policy_inputs in = {
        .facts = &f,
        .level = c->level,
        .implicit_tls = c->implicit_tls,
        .port = 25,
        .is_route = c->is_route,
        .dane = c->dane,
        .requiretls = c->requiretls,
        .may_lose_requiretls = c->may_lose_requiretls,
        .tls_required_no = c->tls_required_no,
        .fingerprints = &pin,
        .fingerprint_count = c->is_pinned,
        .report_only = c->report_only,
    };
    struct policy_plan out;

    policy_plan_make(&in, &out);
    return out;
}

static void
fail_at(const struct combination *c, const char *what)
{
    fail_msg("%s: sts %d level %s route %d mx %d dane %d requiretls %d "
             "no %d report %d pin %d implicit %d hosts %zu: %d %d %d, "
             "%d %d %d",
             what, c->sts, policy_level_name(c->level), c->is_route,
             c->is_mx_authentic, c->dane, c->requiretls, c->tls_required_no,
             c->report_only, c->is_pinned, c->implicit_tls, c->host_count,
             c->hosts[0].is_listed, c->hosts[0].state, c->hosts[0].tlsa,
             c->hosts[1].is_listed, c->hosts[1].state, c->hosts[1].tlsa);
}

static const struct policy_host *
find(const struct policy_plan *p, size_t index)
{
    for (size_t i = 0; i < p->host_count; i++) {
        if (p->hosts[i].index == index)
            return &p->hosts[i];
    }
    return NULL;
}

/* ---- The reference: the rules again, as a reader would tell them. ---- */

/* What the published policies say of this mail, if they count. */
struct rules {
    bool enforce, dane, sts_unknown;
    bool dane_required; /* this one the operator says */
};

static struct rules
rules_if(const struct combination *c, bool they_count)
{
    return (struct rules){
        .enforce = they_count && c->sts == STS_ENFORCE,
        .dane = c->dane == POLICY_DANE_REQUIRED ||
                (they_count && c->dane == POLICY_DANE_HEEDED),
        .sts_unknown = they_count && c->sts == STS_UNKNOWN,
        .dane_required = c->dane == POLICY_DANE_REQUIRED,
    };
}

static struct rules
rules_applied(const struct combination *c)
{
    return rules_if(c,
                    c->requiretls || (!c->tls_required_no && !c->report_only));
}

static bool
is_shadowed(const struct combination *c)
{
    return c->report_only && !c->requiretls && !c->tls_required_no;
}

static enum tlsa
tlsa_of(const struct rules *r, const struct host *h)
{
    return r->dane ? h->tlsa : TLSA_NONE;
}

/* Would a connection be made without TLS, REQUIRETLS aside? */
static bool
is_clear(const struct combination *c, const struct rules *r,
         const struct host *h)
{
    return c->is_route && c->level == POLICY_LEVEL_NONE && !c->implicit_tls &&
           !c->is_pinned && !r->enforce && tlsa_of(r, h) != TLSA_UNUSABLE &&
           tlsa_of(r, h) != TLSA_USABLE;
}

static enum policy_fate
expected_fate(const struct combination *c, const struct rules *r,
              const struct host *h)
{
    if (r->enforce && !h->is_listed)
        return POLICY_FATE_UNLISTED;
    if (h->state == POLICY_HOST_UNKNOWN)
        return POLICY_FATE_UNKNOWN;
    if (h->state == POLICY_HOST_NONE)
        return POLICY_FATE_NO_ADDRESS;
    if (tlsa_of(r, h) == TLSA_FAILED)
        return POLICY_FATE_UNTOLD;
    if (r->dane_required && (h->tlsa != TLSA_USABLE || !c->is_mx_authentic))
        return POLICY_FATE_NOT_DANE;
    /* Records count for REQUIRETLS where the name of the host is good. */
    if (c->requiretls && !r->enforce &&
        (!c->is_mx_authentic || is_clear(c, r, h)))
        return POLICY_FATE_UNPROVEN;
    return POLICY_FATE_ADMITTED;
}

static enum policy_proof
expected_proof(const struct combination *c, const struct rules *r,
               const struct host *h)
{
    if (tlsa_of(r, h) == TLSA_USABLE)
        return POLICY_PROOF_DANE;
    if (r->enforce || c->requiretls || c->level == POLICY_LEVEL_VERIFIED)
        return POLICY_PROOF_PKIX;
    if (tlsa_of(r, h) == TLSA_UNUSABLE || c->implicit_tls || c->is_pinned ||
        c->level == POLICY_LEVEL_REQUIRED)
        return POLICY_PROOF_ENCRYPT;
    return is_clear(c, r, h) ? POLICY_PROOF_CLEAR : POLICY_PROOF_NONE;
}

static enum policy_source
expected_source(const struct combination *c, const struct rules *r,
                const struct host *h)
{
    bool is_local =
        c->level >= POLICY_LEVEL_REQUIRED || c->implicit_tls || c->is_pinned;

    if (tlsa_of(r, h) == TLSA_USABLE)
        return POLICY_SOURCE_DANE;
    if (r->enforce)
        return POLICY_SOURCE_STS;
    if (c->requiretls && c->level != POLICY_LEVEL_VERIFIED)
        return POLICY_SOURCE_REQUIRETLS;
    if (tlsa_of(r, h) == TLSA_UNUSABLE && !is_local)
        return POLICY_SOURCE_DANE;
    return is_local || c->is_route ? POLICY_SOURCE_LOCAL
                                   : POLICY_SOURCE_DEFAULT;
}

static bool
has_fate(const struct combination *c, const struct rules *r,
         enum policy_fate fate)
{
    for (size_t i = 0; i < c->host_count; i++) {
        if (expected_fate(c, r, &c->hosts[i]) == fate)
            return true;
    }
    return false;
}

struct expected {
    enum policy_verdict verdict;
    const char *code;
    enum policy_source source;
};

static struct expected
expected_end(const struct combination *c, const struct rules *r)
{
    if (r->sts_unknown)
        return (struct expected){POLICY_DEFER, "451 4.7.5", POLICY_SOURCE_STS};
    if (has_fate(c, r, POLICY_FATE_ADMITTED))
        return (struct expected){.verdict = POLICY_GO, .code = "0 0.0.0"};
    if (has_fate(c, r, POLICY_FATE_UNKNOWN))
        return (struct expected){POLICY_DEFER, "451 4.4.3",
                                 POLICY_SOURCE_DEFAULT};
    if (has_fate(c, r, POLICY_FATE_UNTOLD))
        return (struct expected){POLICY_DEFER, "451 4.7.5", POLICY_SOURCE_DANE};
    if (has_fate(c, r, POLICY_FATE_UNLISTED))
        return (struct expected){POLICY_DEFER, "451 4.7.5", POLICY_SOURCE_STS};
    if (has_fate(c, r, POLICY_FATE_NOT_DANE))
        return (struct expected){POLICY_DEFER, "451 4.7.5",
                                 POLICY_SOURCE_LOCAL};
    if (has_fate(c, r, POLICY_FATE_UNPROVEN) && c->sts == STS_FAILED)
        return (struct expected){POLICY_DEFER, "451 4.7.5",
                                 POLICY_SOURCE_REQUIRETLS};
    if (has_fate(c, r, POLICY_FATE_UNPROVEN))
        return (struct expected){POLICY_REFUSE, "550 5.7.10",
                                 POLICY_SOURCE_REQUIRETLS};
    if (c->is_route)
        return (struct expected){POLICY_DEFER, "451 4.4.4",
                                 POLICY_SOURCE_LOCAL};
    return (struct expected){POLICY_REFUSE, "550 5.4.4", POLICY_SOURCE_DEFAULT};
}

static void
check_host(const struct combination *c, const struct rules *r, size_t index,
           const struct policy_host *h)
{
    const struct host *from = &c->hosts[index];
    enum policy_proof proof = expected_proof(c, r, from);
    bool is_dane = proof == POLICY_PROOF_DANE;
    bool observe = c->sts == STS_TESTING && proof != POLICY_PROOF_CLEAR &&
                   proof != POLICY_PROOF_DANE;

    if (h->index != index ||
        strcmp(h->name, names[from->is_listed][index]) != 0)
        fail_at(c, "a host is missing");
    if (h->proof != proof || h->source != expected_source(c, r, from))
        fail_at(c, policy_proof_name(h->proof));
    if (h->observe != observe || h->implicit_tls != c->implicit_tls ||
        h->requires_requiretls != (c->requiretls && !c->may_lose_requiretls) ||
        h->fingerprint_count != c->is_pinned)
        fail_at(c, "a host is wrong");
    if (h->is_half_dane != (is_dane && !c->is_mx_authentic))
        fail_at(c, "whether the MX records count");
    is_dane |= h->shadow_proof == POLICY_PROOF_DANE;
    if ((h->tlsa.count == 1) != is_dane || (h->dane_base[0] != '\0') != is_dane)
        fail_at(c, "the records");
}

static void
check_hosts(const struct combination *c, const struct rules *r,
            const struct policy_plan *p)
{
    size_t n = 0;

    for (size_t i = 0; i < c->host_count; i++) {
        if (expected_fate(c, r, &c->hosts[i]) != POLICY_FATE_ADMITTED)
            continue;
        if (n == p->host_count)
            fail_at(c, "a host is missing");
        check_host(c, r, i, &p->hosts[n++]);
    }
    if (n != p->host_count)
        fail_at(c, "a host too many");
    if (p->is_partial != (has_fate(c, r, POLICY_FATE_UNKNOWN) ||
                          has_fate(c, r, POLICY_FATE_UNTOLD)))
        fail_at(c, "whether a host is missing");
}

/* The notes are about exactly those hosts that would be barred, or would have
 * to prove something else; and about the mail if it would not go at all. */
static void
check_shadow(const struct combination *c, const struct policy_plan *p)
{
    struct rules lax = rules_if(c, false), strict = rules_if(c, true);
    bool goes = expected_end(c, &lax).verdict == POLICY_GO;
    size_t n = 0;

    if (goes && expected_end(c, &strict).verdict != POLICY_GO) {
        bool is_by_policy =
            expected_end(c, &strict).source != POLICY_SOURCE_DEFAULT;

        if (p->shadow_count == 0 || p->shadow[0].name[0] ||
            !p->shadow[0].is_refused || !p->shadow[0].why[0] ||
            (p->shadow[0].cause != POLICY_CAUSE_NONE) != is_by_policy)
            fail_at(c, "the note on the mail");
        n++;
    }
    for (size_t i = 0; i < c->host_count && goes && !strict.sts_unknown; i++) {
        const struct host *h = &c->hosts[i];
        enum policy_fate fate = expected_fate(c, &strict, h);
        enum policy_proof proof = expected_proof(c, &strict, h);

        if (expected_fate(c, &lax, h) != POLICY_FATE_ADMITTED ||
            (fate == POLICY_FATE_ADMITTED &&
             proof == expected_proof(c, &lax, h)))
            continue;
        const struct policy_host *planned = find(p, i);
        bool is_looked_at = fate == POLICY_FATE_ADMITTED &&
                            expected_proof(c, &lax, h) < POLICY_PROOF_PKIX;
        const struct policy_shadow *s = &p->shadow[n];

        if (planned->shadow_proof != (is_looked_at ? proof : 0))
            fail_at(c, "what is looked at");

        if (n++ == p->shadow_count ||
            s->is_refused != (fate != POLICY_FATE_ADMITTED) ||
            (!s->is_refused && s->proof != proof) || !s->why[0] ||
            strcmp(s->name, names[h->is_listed][i]) != 0 ||
            (s->source != POLICY_SOURCE_STS && s->source != POLICY_SOURCE_DANE))
            fail_at(c, "a note on a host");
    }
    if (n != p->shadow_count)
        fail_at(c, "a note too many");
}

static void
check_combination(const struct combination *c)
{
    struct policy_plan p scoped(policy_plan_done) = plan_of(c);
    struct rules r = rules_applied(c);
    struct expected want = expected_end(c, &r);
    char enhanced[16], code[32];

    snprintf(code, sizeof(code), "%d %s", p.status.code,
             mail_status_enhanced(&p.status, enhanced));
    if (p.verdict != want.verdict || strcmp(code, want.code) != 0)
        fail_at(c, code);
    if (p.verdict != POLICY_GO &&
        (p.source != want.source || p.host_count > 0 || !p.status.text[0]))
        fail_at(c, p.status.text);
    if (p.verdict == POLICY_GO)
        check_hosts(c, &r, &p);
    if (is_shadowed(c))
        check_shadow(c, &p);
    else if (p.shadow_count > 0)
        fail_at(c, "a note where none is due");
}

/* All of one host, and of those of two every so many: a step that has no factor
 * in common with their number passes by all inputs. */
static void
every_combination_is_as_the_reference_says(void **state)
{
    enum { STEP = 5 };
    struct combination c;
    size_t number = 0;

    (void)state;
    for (; combine(number, &c); number += number < ONE_HOST ? 1 : STEP)
        check_combination(&c);
    assert_true(number >= ONE_HOST + TWO_HOSTS);
}

/* ---- The property ---- */

/* Both PKIX and DANE prove who it is. */
static int
rank(enum policy_proof p)
{
    return p == POLICY_PROOF_DANE ? POLICY_PROOF_PKIX : (int)p;
}

/* A combination, and the plan for it, to be compared with others. */
struct base {
    struct combination c;
    struct policy_plan plan;
};

/* `more` has a requirement that the base lacks.  With REQUIRETLS,
 * or where DANE is required, a requirement may be what vouches for a host: it
 * may then be used, but only so. */
static void
check_stronger(const struct base *less, const struct combination *more)
{
    struct policy_plan b scoped(policy_plan_done) = plan_of(more);
    const struct policy_plan *a = &less->plan;
    bool may_vouch = less->c.requiretls || less->c.dane == POLICY_DANE_REQUIRED;

    if (b.verdict == POLICY_GO && a->verdict != POLICY_GO && !may_vouch)
        fail_at(more, "a requirement made mail go");
    for (size_t i = 0; i < b.host_count; i++) {
        const struct policy_host *h = &b.hosts[i];
        const struct policy_host *was = find(a, h->index);

        if (!was && (!may_vouch || rank(h->proof) < POLICY_PROOF_PKIX))
            fail_at(more, "a requirement allowed one more host");
        if (!was)
            continue;
        if (rank(h->proof) < rank(was->proof) ||
            h->fingerprint_count < was->fingerprint_count ||
            h->requires_requiretls < was->requires_requiretls)
            fail_at(more, "a requirement made the channel weaker");
    }
}

static void
add_local(const struct base *b)
{
    struct combination more = b->c;

    if (more.level < POLICY_LEVEL_VERIFIED) {
        more.level++;
        check_stronger(b, &more);
    }
    more = b->c;
    more.is_pinned = true;
    check_stronger(b, &more);
    more = b->c;
    more.implicit_tls = true;
    check_stronger(b, &more);
}

static void
add_sts(const struct base *b)
{
    struct combination more = b->c;

    for (more.sts++; more.sts < STS_STATES; more.sts++)
        check_stronger(b, &more);
}

static void
add_dane(const struct base *b)
{
    struct combination more = b->c;

    for (more.dane++; more.dane <= POLICY_DANE_REQUIRED; more.dane++)
        check_stronger(b, &more);
    more = b->c;
    if (more.hosts[0].state != POLICY_HOST_FOUND)
        return;
    for (enum tlsa t = b->c.hosts[0].tlsa + 1; t < TLSA_STATES; t++) {
        more.hosts[0].tlsa = t;
        check_stronger(b, &more);
    }
}

static void
add_of_the_mail(const struct base *b)
{
    struct combination more = b->c;

    more.requiretls = true;
    check_stronger(b, &more);
    more = b->c;
    more.tls_required_no = false;
    check_stronger(b, &more);
    more = b->c;
    more.report_only = false;
    check_stronger(b, &more);
    more = b->c;
    more.may_lose_requiretls = false;
    check_stronger(b, &more);
}

/* Here, too. */
static void
a_requirement_never_allows_a_weaker_channel(void **state)
{
    enum { STEP = 7 };
    struct base b;

    (void)state;
    for (size_t i = 0; combine(i, &b.c); i += STEP) {
        b.plan = plan_of(&b.c);
        add_local(&b);
        add_sts(&b);
        add_dane(&b);
        add_of_the_mail(&b);
        policy_plan_done(&b.plan);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_is_as_the_reference_says),
        cmocka_unit_test(a_requirement_never_allows_a_weaker_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
