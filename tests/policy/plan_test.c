#include "policy/plan.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    MX_STATES = POLICY_MX_UNKNOWN + 1,
    STS_STATES = POLICY_STS_STATE_UNKNOWN + 1,
    MODES = POLICY_STS_ENFORCE + 1,
    LEVELS = POLICY_LEVEL_VERIFIED + 1,
    HOST_STATES = POLICY_HOST_UNKNOWN + 1,
    HOST_KINDS = 2 * HOST_STATES,
    HOSTS = 2,
    /* no host, one of each kind, two of each kind */
    HOST_SETS = 1 + HOST_KINDS + HOST_KINDS * HOST_KINDS,
};

/* One combination of everything that a plan depends on. */
struct combination {
    enum policy_mx_state mx;
    enum policy_sts_state sts_state;
    enum policy_sts_mode mode;
    enum policy_level level;
    bool is_route, implicit_tls;
    size_t host_count;
    struct {
        bool is_listed;
        enum policy_host_state state;
    } hosts[HOSTS];
};

static const char *const names[2][HOSTS] = {
    {"mx0.other.example", "mx1.other.example"},
    {"mx0.example.com", "mx1.example.com"},
};

/* The facts point into static storage: nothing to release. */
static struct policy_facts
facts_of(const struct combination *c)
{
    static char pattern[] = "*.example.com";
    static char *patterns[] = {pattern};
    static struct policy_host_facts hosts[HOSTS];
    struct policy_facts f = {
        .domain = {"example.com"},
        .mx = c->mx,
        .mx_why = "SERVFAIL of the MX",
        .hosts = hosts,
        .host_count = c->host_count,
        .sts_state = c->sts_state,
        .sts_why = "SERVFAIL of the TXT",
        .sts = {.mode = c->mode, .mx = patterns, .mx_count = 1},
    };

    for (size_t i = 0; i < c->host_count; i++) {
        hosts[i] = (struct policy_host_facts){
            .state = c->hosts[i].state,
            .why = "why of the host",
        };
        snprintf(hosts[i].name, sizeof(hosts[i].name), "%s",
                 names[c->hosts[i].is_listed][i]);
        if (hosts[i].state != POLICY_HOST_FOUND)
            continue;
        hosts[i].address_count = 1;
        hosts[i].addresses[0] =
            addr_from_v4((struct in_addr){htonl(0xc0000201)}, 0);
    }
    return f;
}

static struct policy_plan
plan_of(const struct combination *c)
{
    struct policy_facts f = facts_of(c);
    struct policy_inputs in = {
        .facts = &f,
        .level = c->level,
        .implicit_tls = c->implicit_tls,
        .port = 2525,
        .is_route = c->is_route,
    };
    struct policy_plan out;

    policy_plan_make(&in, &out);
    return out;
}

static size_t
take_digit(size_t *number, size_t base)
{
    size_t digit = *number % base;

    *number /= base;
    return digit;
}

static void
set_hosts(struct combination *c, size_t set)
{
    if (set == 0)
        return;
    c->host_count = set <= HOST_KINDS ? 1 : 2;
    set -= set <= HOST_KINDS ? 1 : 1 + HOST_KINDS;
    for (size_t i = 0; i < c->host_count; i++) {
        c->hosts[i].is_listed = take_digit(&set, 2) == 1;
        c->hosts[i].state =
            (enum policy_host_state)take_digit(&set, HOST_STATES);
    }
}

/* Combination number `number`; false behind the last. */
static bool
combine(size_t number, struct combination *c)
{
    *c = (struct combination){
        .mx = (enum policy_mx_state)take_digit(&number, MX_STATES),
        .sts_state = (enum policy_sts_state)take_digit(&number, STS_STATES),
        .mode = (enum policy_sts_mode)take_digit(&number, MODES),
        .level = (enum policy_level)take_digit(&number, LEVELS),
        .is_route = take_digit(&number, 2) == 1,
        .implicit_tls = take_digit(&number, 2) == 1,
    };
    set_hosts(c, take_digit(&number, HOST_SETS));
    return number == 0;
}

static void
fail_at(const struct combination *c, const char *what)
{
    fail_msg("%s: mx %d sts %d %s level %s route %d implicit %d hosts %zu: "
             "%d %d, %d %d",
             what, c->mx, c->sts_state, policy_sts_mode_name(c->mode),
             policy_level_name(c->level), c->is_route, c->implicit_tls,
             c->host_count, c->hosts[0].is_listed, c->hosts[0].state,
             c->hosts[1].is_listed, c->hosts[1].state);
}

/* ---- The reference: the rules again, as a reader would tell them. ---- */

struct expected {
    enum policy_verdict verdict;
    int code;
    const char *enhanced;
    enum policy_source source;
};

static bool
is_in_force(const struct combination *c, enum policy_sts_mode mode)
{
    return c->mode == mode && (c->sts_state == POLICY_STS_STATE_CACHED ||
                               c->sts_state == POLICY_STS_STATE_FRESH);
}

static bool
is_usable(const struct combination *c, size_t i)
{
    return c->hosts[i].state == POLICY_HOST_FOUND &&
           (c->hosts[i].is_listed || !is_in_force(c, POLICY_STS_ENFORCE));
}

static enum policy_proof
expected_proof(const struct combination *c)
{
    static const enum policy_proof of_level[] = {
        POLICY_PROOF_NONE, POLICY_PROOF_NONE, POLICY_PROOF_ENCRYPT,
        POLICY_PROOF_PKIX};

    if (is_in_force(c, POLICY_STS_ENFORCE))
        return POLICY_PROOF_PKIX;
    if (c->implicit_tls && c->level < POLICY_LEVEL_VERIFIED)
        return POLICY_PROOF_ENCRYPT;
    if (c->is_route && c->level == POLICY_LEVEL_NONE)
        return POLICY_PROOF_CLEAR;
    return of_level[c->level];
}

static enum policy_source
expected_source(const struct combination *c)
{
    if (is_in_force(c, POLICY_STS_ENFORCE))
        return POLICY_SOURCE_STS;
    return c->is_route || c->implicit_tls ||
                   c->level > POLICY_LEVEL_OPPORTUNISTIC
               ? POLICY_SOURCE_LOCAL
               : POLICY_SOURCE_DEFAULT;
}

/* How many hosts are there of this state that the policy does (not) bar? */
static size_t
count(const struct combination *c, bool barred, enum policy_host_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < c->host_count; i++) {
        bool is_barred =
            is_in_force(c, POLICY_STS_ENFORCE) && !c->hosts[i].is_listed;

        n += is_barred == barred && (barred || c->hosts[i].state == state);
    }
    return n;
}

static struct expected
expected_end(const struct combination *c)
{
    static const struct expected unlearnt = {POLICY_DEFER, 451, "4.4.3",
                                             POLICY_SOURCE_DEFAULT};
    static const struct expected by_sts = {POLICY_DEFER, 451, "4.7.5",
                                           POLICY_SOURCE_STS};
    static const struct expected wrong_route = {POLICY_DEFER, 451, "4.4.4",
                                                POLICY_SOURCE_LOCAL};
    static const struct expected null_mx = {POLICY_REFUSE, 556, "5.1.10",
                                            POLICY_SOURCE_DEFAULT};
    static const struct expected no_domain = {POLICY_REFUSE, 550, "5.1.2",
                                              POLICY_SOURCE_DEFAULT};
    static const struct expected no_address = {POLICY_REFUSE, 550, "5.4.4",
                                               POLICY_SOURCE_DEFAULT};

    if (c->mx == POLICY_MX_NULL)
        return c->is_route ? wrong_route : null_mx;
    if (c->mx == POLICY_MX_NO_DOMAIN)
        return c->is_route ? wrong_route : no_domain;
    if (c->mx == POLICY_MX_UNKNOWN)
        return unlearnt;
    if (c->sts_state == POLICY_STS_STATE_UNKNOWN)
        return by_sts;
    if (count(c, false, POLICY_HOST_FOUND) > 0)
        return (struct expected){.verdict = POLICY_GO};
    if (count(c, false, POLICY_HOST_UNKNOWN) > 0)
        return unlearnt;
    if (count(c, true, POLICY_HOST_NONE) > 0)
        return by_sts;
    return c->is_route ? wrong_route : no_address;
}

static void
check_hosts(const struct combination *c, const struct policy_plan *p)
{
    size_t n = 0;

    for (size_t i = 0; i < c->host_count; i++) {
        const struct policy_host *h = &p->hosts[n];
        bool observed = is_in_force(c, POLICY_STS_TESTING) &&
                        expected_proof(c) != POLICY_PROOF_CLEAR;

        if (!is_usable(c, i))
            continue;
        if (n++ == p->host_count)
            fail_at(c, "a host is missing");
        if (strcmp(h->name, names[c->hosts[i].is_listed][i]) != 0 ||
            h->proof != expected_proof(c) || h->source != expected_source(c) ||
            h->observe != observed || h->implicit_tls != c->implicit_tls ||
            h->address_count != 1 || addr_port(&h->addresses[0]) != 2525)
            fail_at(c, "a host is wrong");
    }
    if (n != p->host_count)
        fail_at(c, "a host too many");
}

/* Every host that is not tried is named with its reason, and so is every one
 * that a policy in testing would have barred. */
static void
check_rejected(const struct combination *c, const struct policy_plan *p)
{
    size_t n = 0;

    for (size_t i = 0; i < c->host_count; i++) {
        bool is_noted =
            is_in_force(c, POLICY_STS_TESTING) && !c->hosts[i].is_listed;

        if (is_usable(c, i) && !is_noted)
            continue;
        if (n == p->rejected_count)
            fail_at(c, "a reason is missing");
        bool says_testing = strncmp(p->rejected[n].why, "testing: ", 9) == 0;

        if (strcmp(p->rejected[n].name, names[c->hosts[i].is_listed][i]) != 0 ||
            !p->rejected[n].why[0] || says_testing != is_usable(c, i))
            fail_at(c, "a reason is wrong");
        n++;
    }
    if (n != p->rejected_count)
        fail_at(c, "a reason too many");
}

static void
every_combination_is_as_the_reference_says(void **state)
{
    struct combination c;
    size_t total = 0;

    (void)state;
    for (; combine(total, &c); total++) {
        struct policy_plan p = plan_of(&c);
        struct expected want = expected_end(&c);
        char enhanced[16];

        if (p.verdict != want.verdict || p.status.code != want.code)
            fail_at(&c, "verdict");
        if (want.verdict == POLICY_GO) {
            check_hosts(&c, &p);
            check_rejected(&c, &p);
        } else if (strcmp(mail_status_enhanced(&p.status, enhanced),
                          want.enhanced) != 0 ||
                   p.source != want.source || p.host_count != 0 ||
                   !strstr(p.status.text, "example.com")) {
            fail_at(&c, p.status.text);
        }
        policy_plan_done(&p);
    }
    assert_int_equal(total,
                     MX_STATES * STS_STATES * MODES * LEVELS * 4 * HOST_SETS);
}

static const struct policy_host *
find(const struct policy_plan *p, const char *name)
{
    for (size_t i = 0; i < p->host_count; i++) {
        if (strcmp(p->hosts[i].name, name) == 0)
            return &p->hosts[i];
    }
    return NULL;
}

/* `more` has a requirement that `less` lacks. */
static void
check_stronger(const struct combination *less, const struct combination *more)
{
    struct policy_plan a = plan_of(less), b = plan_of(more);

    if (b.verdict == POLICY_GO && a.verdict != POLICY_GO)
        fail_at(more, "a requirement made mail go");
    for (size_t i = 0; i < b.host_count; i++) {
        const struct policy_host *h = find(&a, b.hosts[i].name);

        if (!h || b.hosts[i].proof < h->proof)
            fail_at(more, "a requirement made the channel weaker");
    }
    policy_plan_done(&a);
    policy_plan_done(&b);
}

static void
a_requirement_never_allows_a_weaker_channel(void **state)
{
    struct combination c;

    (void)state;
    for (size_t i = 0; combine(i, &c); i++) {
        struct combination more = c;

        if (c.level < POLICY_LEVEL_VERIFIED) {
            more.level = c.level + 1;
            check_stronger(&c, &more);
        }
        more = c;
        if (c.mode < POLICY_STS_ENFORCE) {
            more.mode = c.mode + 1;
            check_stronger(&c, &more);
        }
        more = c;
        more.implicit_tls = true;
        check_stronger(&c, &more);
        more = c;
        if (c.sts_state == POLICY_STS_STATE_ABSENT) {
            more.sts_state = POLICY_STS_STATE_FRESH;
            check_stronger(&c, &more);
            more.sts_state = POLICY_STS_STATE_CACHED;
            check_stronger(&c, &more);
        }
    }
}

/* ---- What people read ---- */

static void
check_text(const struct combination *c, const char *want)
{
    struct policy_plan p = plan_of(c);

    assert_string_equal(p.status.text, want);
    policy_plan_done(&p);
}

static void
refusals_say_what_was_expected_and_seen(void **state)
{
    struct combination c = {.mx = POLICY_MX_NULL};

    (void)state;
    check_text(&c, "example.com accepts no mail (null MX, RFC 7505)");
    c.mx = POLICY_MX_NO_DOMAIN;
    check_text(&c, "the domain example.com does not exist");
    c.mx = POLICY_MX_UNKNOWN;
    check_text(&c, "the MX records of example.com could not be looked up: "
                   "SERVFAIL of the MX");
    c.mx = POLICY_MX_FOUND;
    check_text(&c, "the MX records of example.com name no usable host");
    c.sts_state = POLICY_STS_STATE_UNKNOWN;
    check_text(
        &c, "whether example.com has an MTA-STS policy could not be "
            "learnt, and none can be had from the cache: SERVFAIL of the TXT");

    c.sts_state = POLICY_STS_STATE_FRESH;
    c.mode = POLICY_STS_ENFORCE;
    c.host_count = 2;
    check_text(&c, "the MTA-STS policy of example.com (enforce) allows mail "
                   "to *.example.com only; its hosts are mx0.other.example, "
                   "mx1.other.example: none of them matches");
    c.hosts[0].is_listed = true;
    c.hosts[0].state = POLICY_HOST_NONE;
    check_text(&c, "the MTA-STS policy of example.com (enforce) allows mail "
                   "to *.example.com only; its hosts are mx0.example.com, "
                   "mx1.other.example: those that match have no address");
    c.hosts[0].state = POLICY_HOST_UNKNOWN;
    check_text(&c, "the addresses of the hosts of example.com could not be "
                   "looked up: why of the host");

    c.mode = POLICY_STS_NONE;
    c.host_count = 1;
    c.hosts[0].state = POLICY_HOST_NONE;
    check_text(&c, "no host of example.com has a usable address "
                   "(mx0.example.com): why of the host");
    c.mx = POLICY_MX_IMPLICIT;
    check_text(&c, "example.com has no MX records and no usable address: why "
                   "of the host");
}

static void
a_long_list_is_cut_in_the_text(void **state)
{
    char *patterns[12];
    struct policy_host_facts host = {.name = "a.example"};
    struct policy_facts f = {
        .domain = {"example.com"},
        .hosts = &host,
        .host_count = 1,
        .sts_state = POLICY_STS_STATE_CACHED,
        .sts = {.mode = POLICY_STS_ENFORCE, .mx = patterns, .mx_count = 12},
    };
    struct policy_inputs in = {.facts = &f,
                               .level = POLICY_LEVEL_OPPORTUNISTIC};
    struct policy_plan p;

    (void)state;
    for (size_t i = 0; i < 12; i++)
        patterns[i] = mem_printf("mx%zu.example.com", i);
    policy_plan_make(&in, &p);
    assert_non_null(strstr(p.status.text, "mx7.example.com and 4 more only"));
    assert_null(strstr(p.status.text, "mx8.example.com"));
    policy_plan_done(&p);
    for (size_t i = 0; i < 12; i++)
        own_free(&patterns[i]);
}

/* The first of equals decides nothing: hosts stay in the order of the facts,
 * whatever is left out between them. */
static void
hosts_stay_in_their_order(void **state)
{
    struct policy_host_facts hosts[4] = {
        {.name = "c.example", .state = POLICY_HOST_FOUND},
        {.name = "a.example", .state = POLICY_HOST_NONE},
        {.name = "d.example", .state = POLICY_HOST_FOUND},
        {.name = "b.example", .state = POLICY_HOST_FOUND},
    };
    struct policy_facts f = {
        .domain = {"example.com"}, .hosts = hosts, .host_count = 4};
    struct policy_inputs in = {.facts = &f};
    struct policy_plan p;

    (void)state;
    policy_plan_make(&in, &p);
    assert_int_equal(p.host_count, 3);
    assert_string_equal(p.hosts[0].name, "c.example");
    assert_string_equal(p.hosts[1].name, "d.example");
    assert_string_equal(p.hosts[2].name, "b.example");
    assert_int_equal(p.rejected_count, 1);
    policy_plan_done(&p);
}

/* ---- DANE and REQUIRETLS: what a host carries, and what people read ---- */

enum { DIGEST = 32 };

/* Facts of one domain with two hosts, secure up to their TLSA records, which
 * hosts[0] has at the end of its CNAMEs. */
struct dane_world {
    struct policy_facts facts;
    struct policy_host_facts hosts[HOSTS];
    struct policy_inputs in;
    uint8_t digest[2 * DIGEST];
    struct policy_dane_record records[3];
};

static void
set_dane_world(struct dane_world *w)
{
    *w = (struct dane_world){
        .facts = {.domain = {"example.com"},
                  .mx = POLICY_MX_FOUND,
                  .mx_authentic = true,
                  .mx_canonical = "real.example.org",
                  .hosts = w->hosts,
                  .host_count = HOSTS},
        .hosts = {{.name = "mx0.example.com",
                   .canonical = "mail.sample",
                   .tlsa_state = POLICY_TLSA_FOUND,
                   .tlsa_base = "mail.sample",
                   .tlsa = {w->records, 3}},
                  {.name = "mx1.example.com",
                   .canonical = "mx1.example.com",
                   .tlsa_state = POLICY_TLSA_NONE}},
        .in = {.facts = &w->facts,
               .level = POLICY_LEVEL_OPPORTUNISTIC,
               .port = 25,
               .dane = true},
        .digest = {0xab, 0x12},
        .records = {{1, 1, 1, w->digest, DIGEST},
                    {3, 1, 1, w->digest, DIGEST},
                    {3, 1, 2, w->digest, 2 * (size_t)DIGEST}},
    };
}

static void
a_host_with_usable_records_carries_them(void **state)
{
    struct dane_world w;
    struct policy_plan p;

    (void)state;
    set_dane_world(&w);
    policy_plan_make(&w.in, &p);
    w.digest[0] = 0; /* the plan's are its own */
    const struct policy_host *h = &p.hosts[0];

    assert_int_equal(p.host_count, 2);
    assert_int_equal(h->proof, POLICY_PROOF_DANE);
    assert_string_equal(h->dane_base, "mail.sample");
    assert_int_equal(h->tlsa.count, 1);
    assert_int_equal(h->tlsa.records[0].usage, 3);
    assert_int_equal(h->tlsa.records[0].matching, 2);
    assert_int_equal(h->tlsa.records[0].data[0], 0xab);
    assert_int_equal(h->names.count, 4);
    assert_string_equal(h->names.text[0], "mail.sample");
    assert_string_equal(h->names.text[1], "example.com");
    assert_string_equal(h->names.text[2], "real.example.org");
    assert_string_equal(h->names.text[3], "mx0.example.com");

    /* RFC 8461 section 4.1: elsewhere the name of the MX record alone */
    assert_int_equal(p.hosts[1].proof, POLICY_PROOF_NONE);
    assert_string_equal(p.hosts[1].dane_base, "");
    assert_int_equal(p.hosts[1].names.count, 1);
    assert_string_equal(p.hosts[1].names.text[0], "mx1.example.com");
    policy_plan_done(&p);
}

/* The domain of a route is that of its first host. */
static void
a_host_of_a_route_is_its_own_next_hop(void **state)
{
    struct dane_world w;
    struct policy_plan p;

    (void)state;
    set_dane_world(&w);
    w.facts.mx = POLICY_MX_VIA;
    w.in.is_route = true;
    policy_plan_make(&w.in, &p);
    assert_int_equal(p.hosts[0].names.count, 2);
    assert_string_equal(p.hosts[0].names.text[0], "mail.sample");
    assert_string_equal(p.hosts[0].names.text[1], "mx0.example.com");
    policy_plan_done(&p);
}

static void
connections_are_shared_under_equal_demands_only(void **state)
{
    struct policy_fingerprint pins[] = {{POLICY_FINGERPRINT_CERT, {1}},
                                        {POLICY_FINGERPRINT_KEY, {2}}};
    struct buf keys[6] = {{0}};
    struct dane_world w;

    (void)state;
    set_dane_world(&w);
    for (size_t i = 0; i < 6; i++) {
        struct policy_plan p;

        if (i == 1)
            w.digest[1] = 9;
        if (i == 2)
            snprintf(w.hosts[0].tlsa_base, 16, "mx0.example.com");
        w.in.fingerprints = pins;
        w.in.fingerprint_count = i == 3 || i == 4;
        w.facts.mx_authentic = i < 5;
        pins[0].of = i == 4 ? POLICY_FINGERPRINT_KEY : POLICY_FINGERPRINT_CERT;
        policy_plan_make(&w.in, &p);
        policy_plan_host_key(&p.hosts[0], &keys[i]);
        policy_plan_done(&p);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(buf_text(&keys[i]), buf_text(&keys[j]));
    }
    assert_non_null(strstr(buf_text(&keys[0]),
                           "dane mail.sample example.com real.example.org "
                           "mx0.example.com, 3 1 2 ab1200"));
    assert_non_null(strstr(buf_text(&keys[3]), ", cert 0100"));
    assert_non_null(strstr(buf_text(&keys[4]), ", key 0100"));
    assert_non_null(strstr(buf_text(&keys[5]), "dane mx0.example.com, 3 1 2"));
    for (size_t i = 0; i < 6; i++)
        buf_free(&keys[i]);
}

/* What one file's anchors have vouched for, another's need not. */
static void
connections_are_shared_under_equal_anchors_only(void **state)
{
    static const char *const anchors[] = {NULL, "/a.pem", "/b.pem"};
    static const char *const want[] = {"pkix mx1.example.com",
                                       "pkix mx1.example.com, anchors /a.pem",
                                       "pkix mx1.example.com, anchors /b.pem"};
    struct dane_world w;

    (void)state;
    set_dane_world(&w);
    w.in.level = POLICY_LEVEL_VERIFIED;
    for (size_t i = 0; i < 3; i++) {
        struct policy_plan p scoped(policy_plan_done);
        struct buf key scoped(buf_free) = {0}, dane scoped(buf_free) = {0};

        w.in.anchors = anchors[i];
        policy_plan_make(&w.in, &p);
        policy_plan_host_key(&p.hosts[1], &key);
        assert_string_equal(buf_text(&key), want[i]);
        policy_plan_host_key(&p.hosts[0], &dane);
        assert_null(strstr(buf_text(&dane), "anchors"));
    }
}

/* RFC 7672 section 3.2.2: the domain of the mail is a name of the host only
 * where DNSSEC says so. */
static void
behind_insecure_mx_records_the_host_has_its_own_names_alone(void **state)
{
    struct dane_world w;
    struct policy_plan p;

    (void)state;
    set_dane_world(&w);
    w.facts.mx_authentic = false;
    policy_plan_make(&w.in, &p);
    assert_int_equal(p.hosts[0].proof, POLICY_PROOF_DANE);
    assert_true(p.hosts[0].is_half_dane);
    assert_int_equal(p.hosts[0].names.count, 2);
    assert_string_equal(p.hosts[0].names.text[0], "mail.sample");
    assert_string_equal(p.hosts[0].names.text[1], "mx0.example.com");
    policy_plan_done(&p);
}

/* What was observed of one connection, was not of another. */
static void
an_observed_connection_is_one_of_its_own(void **state)
{
    static const struct policy_host plain = {.proof = POLICY_PROOF_NONE};
    static const struct policy_host observed = {.proof = POLICY_PROOF_NONE,
                                                .observe = true};
    struct buf one scoped(buf_free) = {0}, other scoped(buf_free) = {0};

    (void)state;
    policy_plan_host_key(&plain, &one);
    policy_plan_host_key(&observed, &other);
    assert_string_equal(buf_text(&one), "none");
    assert_string_equal(buf_text(&other), "none observed");
}

static void
check_end(const struct dane_world *w, enum policy_verdict verdict,
          const char *want)
{
    struct policy_plan p;

    policy_plan_make(&w->in, &p);
    assert_int_equal(p.verdict, verdict);
    assert_string_equal(p.status.text, want);
    policy_plan_done(&p);
}

static void
refusals_name_the_reason_of_a_host(void **state)
{
    struct dane_world w;

    (void)state;
    set_dane_world(&w);
    w.facts.host_count = 1;
    w.hosts[0].tlsa_state = POLICY_TLSA_FAILED;
    snprintf(w.hosts[0].tlsa_why, 32, "TLSA lookup: SERVFAIL");
    check_end(&w, POLICY_DEFER,
              "whether DANE protects the hosts of example.com could not be "
              "learnt: TLSA lookup: SERVFAIL");
    w.in.requiretls = true;
    check_end(&w, POLICY_DEFER,
              "whether DANE protects the hosts of example.com could not be "
              "learnt: TLSA lookup: SERVFAIL");
    w.facts.mx_authentic = false;
    w.hosts[0].tlsa_state = POLICY_TLSA_INSECURE;
    check_end(&w, POLICY_REFUSE,
              "the mail asks for REQUIRETLS, and no host of example.com can "
              "be verified: REQUIRETLS: neither DNSSEC nor MTA-STS vouches for "
              "the name of this host");
    w.in.dane = POLICY_DANE_REQUIRED;
    w.in.requiretls = false;
    snprintf(w.hosts[0].tlsa_why, 32, "the addresses are insecure");
    check_end(&w, POLICY_DEFER,
              "no host of example.com may be used: DANE is required here: the "
              "addresses are insecure");
    w.in.dane = POLICY_DANE_HEEDED;
    w.in.requiretls = true;
    w.in.is_route = true;
    w.in.level = POLICY_LEVEL_NONE;
    check_end(&w, POLICY_REFUSE,
              "the mail asks for REQUIRETLS, and no host of example.com can "
              "be verified: REQUIRETLS: the route uses no TLS");
}

/* RFC 8689 section 4.2.1: nobody vouches for the host, but one might. */
static void
requiretls_waits_for_a_policy_that_cannot_be_fetched_now(void **state)
{
    struct dane_world w;

    (void)state;
    set_dane_world(&w);
    w.facts.host_count = 1;
    w.facts.mx_authentic = false;
    w.hosts[0].tlsa_state = POLICY_TLSA_INSECURE;
    w.in.requiretls = true;
    w.facts.sts_state = POLICY_STS_STATE_FAILED;
    snprintf(w.facts.sts_why, sizeof(w.facts.sts_why), "status 503");
    check_end(&w, POLICY_DEFER,
              "the mail asks for REQUIRETLS, and the MTA-STS policy of "
              "example.com, which could vouch for its hosts, is not to be had "
              "now: status 503");
    w.facts.sts_failure = POLICY_STS_FAILURE_INVALID;
    check_end(&w, POLICY_REFUSE,
              "the mail asks for REQUIRETLS, and no host of example.com can "
              "be verified: REQUIRETLS: neither DNSSEC nor MTA-STS vouches for "
              "the name of this host");
}

static void
check_shadow(const struct policy_plan *p, size_t i, const char *name,
             enum policy_source source, const char *why)
{
    assert_true(i < p->shadow_count);
    assert_string_equal(p->shadow[i].name, name);
    assert_int_equal(p->shadow[i].source, source);
    assert_string_equal(p->shadow[i].why, why);
}

static void
a_report_says_what_would_have_been(void **state)
{
    static char pattern[] = "mx9.example.com";
    static char *patterns[] = {pattern};
    struct dane_world w;
    struct policy_plan p;

    (void)state;
    set_dane_world(&w);
    w.in.report_only = true;
    policy_plan_make(&w.in, &p);
    assert_int_equal(p.host_count, 2);
    assert_int_equal(p.hosts[0].proof, POLICY_PROOF_NONE);
    assert_int_equal(p.shadow_count, 1);
    check_shadow(&p, 0, "mx0.example.com", POLICY_SOURCE_DANE,
                 "dane instead of none");
    policy_plan_done(&p);

    w.facts.sts_state = POLICY_STS_STATE_FRESH;
    w.facts.sts = (struct policy_sts){
        .mode = POLICY_STS_ENFORCE, .mx = patterns, .mx_count = 1};
    policy_plan_make(&w.in, &p);
    assert_int_equal(p.host_count, 2);
    assert_int_equal(p.shadow_count, 3);
    check_shadow(&p, 0, "", POLICY_SOURCE_STS,
                 "the MTA-STS policy of example.com (enforce) allows mail to "
                 "mx9.example.com only; its hosts are mx0.example.com, "
                 "mx1.example.com: none of them matches");
    check_shadow(&p, 1, "mx0.example.com", POLICY_SOURCE_STS,
                 "the MTA-STS policy does not list this host");
    check_shadow(&p, 2, "mx1.example.com", POLICY_SOURCE_STS,
                 "the MTA-STS policy does not list this host");
    policy_plan_done(&p);
}

/* RFC 8689 section 4.2.2; the operator's rule is not the sender's to lift. */
static void
tls_required_no_leaves_the_operators_rule(void **state)
{
    struct dane_world w;
    struct policy_plan p;

    (void)state;
    set_dane_world(&w);
    w.facts.sts_state = POLICY_STS_STATE_UNKNOWN;
    w.hosts[1].tlsa_state = POLICY_TLSA_FAILED;
    w.in.tls_required_no = true;
    w.in.level = POLICY_LEVEL_REQUIRED;
    policy_plan_make(&w.in, &p);
    assert_int_equal(p.verdict, POLICY_GO);
    assert_int_equal(p.host_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(p.hosts[i].proof, POLICY_PROOF_ENCRYPT);
        assert_int_equal(p.hosts[i].source, POLICY_SOURCE_LOCAL);
    }
    policy_plan_done(&p);
}

static void
names_are_those_of_logs(void **state)
{
    (void)state;
    assert_string_equal(policy_level_name(POLICY_LEVEL_NONE), "none");
    assert_string_equal(policy_level_name(POLICY_LEVEL_VERIFIED), "verified");
    assert_string_equal(policy_proof_name(POLICY_PROOF_CLEAR), "clear");
    assert_string_equal(policy_proof_name(POLICY_PROOF_PKIX), "pkix");
    assert_string_equal(policy_source_name(POLICY_SOURCE_STS), "mta-sts");
    assert_string_equal(policy_source_name(POLICY_SOURCE_LOCAL), "local");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_is_as_the_reference_says),
        cmocka_unit_test(a_requirement_never_allows_a_weaker_channel),
        cmocka_unit_test(refusals_say_what_was_expected_and_seen),
        cmocka_unit_test(a_long_list_is_cut_in_the_text),
        cmocka_unit_test(hosts_stay_in_their_order),
        cmocka_unit_test(a_host_with_usable_records_carries_them),
        cmocka_unit_test(a_host_of_a_route_is_its_own_next_hop),
        cmocka_unit_test(connections_are_shared_under_equal_demands_only),
        cmocka_unit_test(connections_are_shared_under_equal_anchors_only),
        cmocka_unit_test(
            behind_insecure_mx_records_the_host_has_its_own_names_alone),
        cmocka_unit_test(an_observed_connection_is_one_of_its_own),
        cmocka_unit_test(refusals_name_the_reason_of_a_host),
        cmocka_unit_test(
            requiretls_waits_for_a_policy_that_cannot_be_fetched_now),
        cmocka_unit_test(a_report_says_what_would_have_been),
        cmocka_unit_test(tls_required_no_leaves_the_operators_rule),
        cmocka_unit_test(names_are_those_of_logs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
