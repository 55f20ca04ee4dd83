#include "policy/lookup.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/*
 * A dialog is a script of what the world knows, one line each:
 *
 *     MX example.com = 10 mx1.example.com, 20 mx2.example.com
 *     A mx1.example.com = 192.0.2.1 ttl 60
 *     TXT _mta-sts.example.com ! SERVFAIL
 *
 * "=" gives records, "-" NODATA, "~" NXDOMAIN, "!" a failure; "via NAME"
 * behind them is where CNAMEs lead, "ad" that all of it is authentic.  What no
 * line names is NODATA.  The cache and the policy host are set apart.
 */
enum { NOW = 1000000000, HOUR = 60 * 60 * 1000, DAY = 24 * HOUR, ASKS = 128 };

struct world {
    const char *dns;
    const struct policy_sts_entry *cached;
    struct err cache;       /* kind other than ERR_NONE: it can't be read */
    const char *body;       /* of mta-sts.txt */
    struct err fetch;       /* kind other than ERR_NONE: the fetch fails */
    int64_t fetch_takes_ms; /* the answer comes that much later */
    unsigned order;         /* which of the open asks is answered next */

    /* what was seen */
    struct buf asked; /* "MX example.com\n", in order */
    size_t fetches, keeps;
    struct policy_sts_entry kept;
};

static void
world_done(struct world *w)
{
    buf_free(&w->asked);
    policy_sts_entry_done(&w->kept);
}

static struct policy_question
question(void)
{
    return (struct policy_question){
        .domain = "example.com", .sts = true, .ipv6 = true};
}

static const char *
find_line(const char *dns, const char *type, const char *name)
{
    scoped(own_free) char *key = mem_printf("%s %s ", type, name);

    for (const char *line = dns; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, strlen(key)) == 0)
            return line + strlen(key);
    }
    return NULL;
}

/* "3 1 1 64": what is to be matched, and how many octets of it. */
static void
read_tlsa(struct slice text, struct dns_record *r)
{
    uint8_t *const numbers[] = {&r->tlsa.usage, &r->tlsa.selector,
                                &r->tlsa.matching};
    unsigned long long n = 0;

    for (size_t i = 0; i < 3; i++) {
        assert_true(slice_number(slice_cut(&text, ' '), UINT8_MAX, &n));
        *numbers[i] = (uint8_t)n;
    }
    assert_true(slice_number(text, UINT16_MAX, &n));
    r->tlsa.len = (size_t)n;
    r->tlsa.data = mem_array(uint8_t, r->tlsa.len + 1);
}

static void
read_record(enum dns_type type, struct slice text, struct dns_record *r)
{
    struct err err = {0};
    unsigned long long preference = 0;
    struct addr a;

    if (type == DNS_MX) {
        assert_true(
            slice_number(slice_cut(&text, ' '), UINT16_MAX, &preference));
        r->mx.preference = (uint16_t)preference;
        snprintf(r->mx.host, sizeof(r->mx.host), "%.*s",
                 (int)(slice_is(text, ".") ? 0 : text.len), text.p);
    } else if (type == DNS_TXT) {
        r->txt.p = mem_copy(text);
        r->txt.len = text.len;
    } else if (type == DNS_TLSA) {
        read_tlsa(text, r);
    } else if (type == DNS_CNAME) {
        (void)r; /* the answer alone says where it leads */
    } else if (addr_parse(text, &a, &err)) {
        if (type == DNS_A)
            r->a = a.v4.sin_addr;
        else
            r->aaaa = a.v6.sin6_addr;
    } else {
        fail_msg("%s", err.text);
    }
}

static void
read_records(struct dns_answer *a, struct slice line)
{
    a->outcome = DNS_FOUND;
    a->records = mem_array(struct dns_record, DNS_RECORDS_MAX);
    while (line.len > 0 && a->count < DNS_RECORDS_MAX) {
        struct slice text = slice_trim(slice_cut(&line, ','));

        if (text.len > 0)
            read_record(a->type, text, &a->records[a->count++]);
    }
}

static struct slice
cut_via(struct slice line, struct dns_answer *a)
{
    const char *via = memmem(line.p, line.len, " via ", 5);

    if (!via)
        return line;
    size_t head = (size_t)(via - line.p);

    snprintf(a->canonical, sizeof(a->canonical), "%.*s",
             (int)(line.len - head - 5), via + 5);
    return slice_first(line, head);
}

/* " via NAME", " ttl 60" and " ad" at the end of a line are of the answer. */
static struct slice
cut_tail(struct slice line, struct dns_answer *a)
{
    const char *ttl = memmem(line.p, line.len, " ttl ", 5);
    unsigned long long seconds = 0;

    if (line.len > 3 && slice_is(slice_from(line, line.len - 3), " ad")) {
        a->authentic = true;
        line.len -= 3;
    }
    if (!ttl)
        return cut_via(line, a);
    size_t head = (size_t)(ttl - line.p);

    assert_true(slice_number(slice_from(line, head + 5), UINT32_MAX, &seconds));
    a->ttl_s = (uint32_t)seconds;
    return cut_via(slice_first(line, head), a);
}

static struct dns_answer
resolve(const struct world *w, const struct policy_ask *ask)
{
    const char *at = find_line(w->dns, dns_type_name(ask->type), ask->name);
    struct dns_answer a = {
        .type = ask->type, .outcome = DNS_NODATA, .ttl_s = 3600};

    if (!at)
        return a;
    struct slice line = cut_tail((struct slice){at, strcspn(at, "\n")}, &a);
    struct slice rest = slice_trim(slice_from(line, 1));

    if (at[0] == '=')
        read_records(&a, rest);
    else if (at[0] == '~')
        a.outcome = DNS_NXDOMAIN;
    else if (at[0] == '!')
        a.outcome = DNS_FAILED;
    if (at[0] == '!')
        snprintf(a.why, sizeof(a.why), "%.*s", (int)rest.len, rest.p);
    return a;
}

static void
answer(struct world *w, struct policy_lookup *l, const struct policy_ask *ask)
{
    int64_t later = NOW + w->fetch_takes_ms;

    switch (ask->kind) {
    case POLICY_ASK_DNS: {
        struct dns_answer a = resolve(w, ask);

        policy_lookup_answer_dns(l, ask->number, &a, NOW);
        dns_answer_done(&a);
        break;
    }
    case POLICY_ASK_CACHE:
        policy_lookup_answer_cache(l, ask->number, w->cached,
                                   w->cache.kind ? &w->cache : NULL, NOW);
        break;
    case POLICY_ASK_FETCH:
        w->fetches++;
        if (w->fetch.kind == ERR_NONE)
            policy_lookup_answer_fetch(l, ask->number, slice_of(w->body), NULL,
                                       later);
        else
            policy_lookup_answer_fetch(l, ask->number, (struct slice){0},
                                       &w->fetch, later);
        break;
    case POLICY_ASK_KEEP:
        w->keeps++;
        policy_sts_entry_done(&w->kept);
        policy_sts_entry_copy(ask->entry, &w->kept);
        break;
    }
}

static void
note(struct world *w, const struct policy_ask *ask)
{
    static const char *const kinds[] = {
        [POLICY_ASK_DNS] = "",
        [POLICY_ASK_CACHE] = "cache",
        [POLICY_ASK_FETCH] = "fetch",
        [POLICY_ASK_KEEP] = "keep",
    };

    buf_printf(&w->asked, "%s %s\n",
               ask->kind == POLICY_ASK_DNS ? dns_type_name(ask->type)
                                           : kinds[ask->kind],
               ask->name);
}

/* Takes asks for as long as there are any, then answers one of the open ones:
 * `order`, read as digits of a changing base, says which. */
static struct policy_facts
look_up(struct world *w, const struct policy_question *q)
{
    struct policy_lookup *l = policy_lookup_new(q, NOW);
    struct policy_ask open[ASKS];
    size_t count = 0, total = 0;
    unsigned order = w->order;
    struct policy_facts f;

    for (;;) {
        while (policy_lookup_next(l, &open[count])) {
            assert_true(++total < ASKS);
            note(w, &open[count]);
            if (open[count].kind == POLICY_ASK_KEEP)
                answer(w, l, &open[count]);
            else
                count++;
        }
        assert_true(policy_lookup_is_over(l) == (count == 0));
        if (count == 0)
            break;
        size_t pick = order % count;
        struct policy_ask ask = open[pick];

        order = order / (unsigned)count + order % 7;
        memmove(&open[pick], &open[pick + 1],
                (--count - pick) * sizeof(open[0]));
        answer(w, l, &ask);
    }
    policy_lookup_take_facts(l, &f);
    policy_lookup_free(&l);
    assert_null(l);
    return f;
}

static void
describe_tlsa(const struct policy_host_facts *h, struct buf *out)
{
    static const char *const states[] = {
        [POLICY_TLSA_OFF] = "off",           [POLICY_TLSA_NONE] = "none",
        [POLICY_TLSA_INSECURE] = "insecure", [POLICY_TLSA_FOUND] = "found",
        [POLICY_TLSA_FAILED] = "failed",
    };

    if (h->tlsa_state == POLICY_TLSA_OFF)
        return;
    buf_printf(out, "  tlsa %s", states[h->tlsa_state]);
    if (h->tlsa_why[0])
        buf_printf(out, " (%s)", h->tlsa_why);
    if (h->tlsa_base[0])
        buf_printf(out, " %s", h->tlsa_base);
    for (size_t i = 0; i < h->tlsa.count; i++) {
        const struct policy_dane_record *r = &h->tlsa.records[i];

        buf_printf(out, ", %u %u %u %zu", r->usage, r->selector, r->matching,
                   r->len);
    }
    buf_add_text(out, "\n");
}

static void
describe_hosts(const struct policy_facts *f, struct buf *out)
{
    static const char *const states[] = {
        [POLICY_HOST_FOUND] = "",
        [POLICY_HOST_NONE] = "none",
        [POLICY_HOST_UNKNOWN] = "unknown",
    };

    for (size_t i = 0; i < f->host_count; i++) {
        const struct policy_host_facts *h = &f->hosts[i];
        char text[ADDR_TEXT_SIZE];

        buf_printf(out, "%u %s%s:%s", h->preference, h->name,
                   h->authentic ? " ad" : "",
                   h->state == POLICY_HOST_FOUND ? "" : " ");
        buf_add_text(out, states[h->state]);
        if (h->state != POLICY_HOST_FOUND)
            buf_printf(out, " (%s)", h->why);
        for (size_t j = 0; j < h->address_count; j++)
            buf_printf(out, " %s", addr_text(&h->addresses[j], text));
        buf_add_text(out, "\n");
        describe_tlsa(h, out);
    }
}

/* All facts as text: two that read alike are alike. */
static void
describe(const struct policy_facts *f, struct buf *out)
{
    buf_printf(out, "mx %s%s", policy_mx_state_name(f->mx),
               f->mx_authentic ? " ad" : "");
    if (f->mx_why[0])
        buf_printf(out, " (%s)", f->mx_why);
    buf_printf(out, "\nsts %s", policy_sts_state_name(f->sts_state));
    if (f->sts_state == POLICY_STS_STATE_CACHED ||
        f->sts_state == POLICY_STS_STATE_FRESH)
        buf_printf(out, " %s", policy_sts_mode_name(f->sts.mode));
    for (size_t i = 0; i < f->sts.mx_count; i++)
        buf_printf(out, " %s", f->sts.mx[i]);
    if (f->sts_why[0])
        buf_printf(out, " (%s)", f->sts_why);
    buf_add_text(out, "\n");
    describe_hosts(f, out);
}

static void
check_facts(struct world *w, const struct policy_question *q, const char *want)
{
    scoped(buf_free) struct buf got = {0};
    struct policy_facts f = look_up(w, q);

    describe(&f, &got);
    assert_string_equal(buf_text(&got), want);
    policy_facts_done(&f);
}

#define HOSTS                                                                  \
    "MX example.com = 10 mx1.example.com\n"                                    \
    "A mx1.example.com = 192.0.2.1\n"
#define RECORD "TXT _mta-sts.example.com = v=STSv1; id=1\n"
#define POLICY_HOST "A mta-sts.example.com = 192.0.2.80\n"
#define POLICY                                                                 \
    "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 86400\n"

/* special addresses are allowed where documentation addresses are used */
static struct policy_question
lab_question(void)
{
    struct policy_question q = question();

    q.allow_special = true;
    return q;
}

static void
check_lab(struct world *w, const char *want)
{
    struct policy_question q = lab_question();

    check_facts(w, &q, want);
}

/* ---- MX and addresses ---- */

static const struct {
    const char *dns, *want;
} mx_cases[] = {
    {HOSTS, "mx found\nsts absent\n10 mx1.example.com: 192.0.2.1\n"},
    {"MX example.com = 20 b.example, 10 a.example\n"
     "A a.example = 192.0.2.1\nA b.example = 192.0.2.2\n",
     "mx found\nsts absent\n10 a.example: 192.0.2.1\n"
     "20 b.example: 192.0.2.2\n"},
    /* the same host twice: at its better place, once */
    {"MX example.com = 20 a.example, 10 a.example, 15 b.example\n",
     "mx found\nsts absent\n10 a.example: none (no address)\n"
     "15 b.example: none (no address)\n"},
    /* RFC 5321 section 5.1 */
    {"MX example.com -\nA example.com = 192.0.2.1\n",
     "mx implicit\nsts absent\n0 example.com: 192.0.2.1\n"},
    {"MX example.com -\n",
     "mx implicit\nsts absent\n0 example.com: none (no address)\n"},
    /* RFC 7505 */
    {"MX example.com = 0 .\n", "mx null\nsts off\n"},
    {"MX example.com = 10 .\n", "mx null\nsts off\n"},
    {"MX example.com = 0 ., 10 a.example\nA a.example = 192.0.2.1\n",
     "mx found\nsts absent\n10 a.example: 192.0.2.1\n"},
    {"MX example.com ~\n", "mx nxdomain\nsts off\n"},
    {"MX example.com ! SERVFAIL\nA example.com = 192.0.2.1\n",
     "mx unknown (SERVFAIL)\nsts absent\n"},
    /* every host dropped by the reader: never the implicit MX */
    {"MX example.com =\nA example.com = 192.0.2.1\n", "mx found\nsts absent\n"},

    /* addresses */
    {"MX example.com = 10 a.example\n"
     "A a.example = 192.0.2.1, 192.0.2.2, 192.0.2.1\n"
     "AAAA a.example = 2001:db8::1, 2001:db8::2\n",
     "mx found\nsts absent\n10 a.example: 2001:db8::1 192.0.2.1 2001:db8::2 "
     "192.0.2.2\n"},
    {"MX example.com = 10 a.example\n"
     "A a.example = 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4\n"
     "AAAA a.example = 2001:db8::1, 2001:db8::2, 2001:db8::3, 2001:db8::4\n",
     "mx found\nsts absent\n10 a.example: 2001:db8::1 192.0.2.1 2001:db8::2 "
     "192.0.2.2 2001:db8::3\n"},
    {"MX example.com = 10 a.example\n"
     "A a.example = 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, "
     "192.0.2.6, 192.0.2.7\n",
     "mx found\nsts absent\n10 a.example: 192.0.2.1 192.0.2.2 192.0.2.3 "
     "192.0.2.4 192.0.2.5\n"},
    {"MX example.com = 10 a.example\nA a.example ~\nAAAA a.example ~\n",
     "mx found\nsts absent\n10 a.example: none (the name does not exist)\n"},
    {"MX example.com = 10 a.example\nA a.example ! timeout\n",
     "mx found\nsts absent\n10 a.example: unknown (A lookup: timeout)\n"},
    {"MX example.com = 10 a.example\nAAAA a.example ! REFUSED\n",
     "mx found\nsts absent\n10 a.example: unknown (AAAA lookup: REFUSED)\n"},
    {"MX example.com = 10 a.example\nA a.example ! one\nAAAA a.example ! two\n",
     "mx found\nsts absent\n10 a.example: unknown (A lookup: one)\n"},
    {"MX example.com = 10 a.example\nA a.example ! timeout\n"
     "AAAA a.example = 2001:db8::1\n",
     "mx found\nsts absent\n10 a.example: 2001:db8::1\n"},

    /* what is authentic */
    {"MX example.com = 10 a.example ad\nA a.example = 192.0.2.1 ad\n"
     "AAAA a.example - ad\n",
     "mx found ad\nsts absent\n10 a.example ad: 192.0.2.1\n"},
    {"MX example.com = 10 a.example ad\nA a.example = 192.0.2.1 ad\n",
     "mx found ad\nsts absent\n10 a.example: 192.0.2.1\n"},
    {"MX example.com = 10 a.example\nA a.example = 192.0.2.1 ad\n"
     "AAAA a.example - ad\n",
     "mx found\nsts absent\n10 a.example: 192.0.2.1\n"},
};

static void
finds_hosts_and_their_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mx_cases) / sizeof(mx_cases[0]); i++) {
        scoped(world_done) struct world w = {.dns = mx_cases[i].dns};

        check_lab(&w, mx_cases[i].want);
        assert_int_equal(w.fetches + w.keeps, 0);
    }
}

static void
special_addresses_are_no_addresses(void **state)
{
    scoped(world_done) struct world w = {
        .dns = "MX example.com = 1 a.example, 2 b.example, 3 c.example\n"
               "A a.example = 127.0.0.1, 9.9.9.9\nAAAA a.example = ::1\n"
               "A b.example = 10.0.0.1\nAAAA b.example = fe80::1\n"
               "A c.example = 169.254.169.254\nAAAA c.example ! SERVFAIL\n"};
    struct policy_question q = question();

    (void)state;
    check_facts(&w, &q,
                "mx found\nsts absent\n1 a.example: 9.9.9.9\n"
                "2 b.example: none (10.0.0.1 is not a public address)\n"
                "3 c.example: unknown (AAAA lookup: SERVFAIL)\n");
}

static void
without_ipv6_no_aaaa_is_asked_for(void **state)
{
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST,
                                         .body = POLICY};
    struct policy_question q = lab_question();

    (void)state;
    q.ipv6 = false;
    check_facts(&w, &q,
                "mx found\nsts fresh enforce *.example.com\n"
                "10 mx1.example.com: 192.0.2.1\n");
    assert_null(strstr(buf_text(&w.asked), "AAAA"));
}

static void
first_asks_go_out_at_once(void **state)
{
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST,
                                         .body = POLICY};
    struct policy_question q = lab_question();
    struct policy_facts f = look_up(&w, &q);

    (void)state;
    assert_string_equal(
        buf_text(&w.asked),
        "MX example.com\nTXT _mta-sts.example.com\ncache example.com\n"
        "A mx1.example.com\nAAAA mx1.example.com\n"
        "A mta-sts.example.com\nAAAA mta-sts.example.com\n"
        "fetch mta-sts.example.com\nkeep example.com\n");
    policy_facts_done(&f);
}

static void
equal_preferences_are_shuffled_by_the_seed(void **state)
{
    size_t first[3] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        scoped(world_done) struct world w = {
            .dns = "MX example.com = 10 a.example, 10 b.example, 10 "
                   "c.example, 5 z.example\n"};
        struct policy_question q = lab_question();

        q.shuffle = seed;
        struct policy_facts f = look_up(&w, &q);

        assert_int_equal(f.host_count, 4);
        assert_string_equal(f.hosts[0].name, "z.example");
        first[f.hosts[1].name[0] - 'a']++;
        policy_facts_done(&f);
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(first[i], 60, 140);
}

static void
the_order_of_the_answer_has_no_say(void **state)
{
    scoped(world_done) struct world w = {
        .dns = "MX example.com = 10 a.example, 10 b.example, 10 c.example\n"};
    scoped(world_done) struct world v = {
        .dns = "MX example.com = 10 c.example, 10 a.example, 10 b.example\n"};
    struct policy_question q = lab_question();

    (void)state;
    for (q.shuffle = 0; q.shuffle < 20; q.shuffle++) {
        struct policy_facts f = look_up(&w, &q), g = look_up(&v, &q);

        for (size_t i = 0; i < 3; i++)
            assert_string_equal(f.hosts[i].name, g.hosts[i].name);
        policy_facts_done(&f);
        policy_facts_done(&g);
    }
}

static void
hosts_beyond_the_limit_are_dropped(void **state)
{
    scoped(buf_free) struct buf dns = {0};
    scoped(world_done) struct world w = {0};
    struct policy_question q = lab_question();

    (void)state;
    buf_add_text(&dns, "MX example.com = ");
    for (unsigned i = 0; i < DNS_RECORDS_MAX; i++)
        buf_printf(&dns, "%u mx%u.example,", DNS_RECORDS_MAX - i, i);
    w.dns = buf_text(&dns);
    struct policy_facts f = look_up(&w, &q);

    assert_int_equal(f.host_count, POLICY_HOSTS_MAX);
    assert_int_equal(f.hosts[0].preference, 1);
    assert_int_equal(f.hosts[POLICY_HOSTS_MAX - 1].preference,
                     POLICY_HOSTS_MAX);
    policy_facts_done(&f);
}

/* ---- Routes and literals ---- */

static void
a_route_names_its_hosts(void **state)
{
    static const char *const via[] = {"b.example", "192.0.2.9", "a.example",
                                      "2001:db8::9"};
    scoped(world_done) struct world w = {
        .dns = "A a.example = 192.0.2.1\nA b.example = 192.0.2.2 ad\n"
               "AAAA b.example - ad\n"};
    struct policy_question q = lab_question();

    (void)state;
    q.via = via;
    q.via_count = 4;
    q.sts = false;
    check_facts(&w, &q,
                "mx route ad\nsts off\n0 b.example ad: 192.0.2.2\n"
                "0 192.0.2.9 ad: 192.0.2.9\n0 a.example: 192.0.2.1\n"
                "0 2001:db8::9 ad: 2001:db8::9\n");
    assert_null(strstr(buf_text(&w.asked), "MX"));
    assert_null(strstr(buf_text(&w.asked), "192.0.2.9"));
    q.allow_special = q.ipv6 = false;
    check_facts(
        &w, &q,
        "mx route ad\nsts off\n"
        "0 b.example ad: none (192.0.2.2 is not a public address)\n"
        "0 192.0.2.9 ad: none (192.0.2.9 is not a public address)\n"
        "0 a.example: none (192.0.2.1 is not a public address)\n"
        "0 2001:db8::9 ad: none (2001:db8::9 is not a public address)\n");
}

/* RFC 8461 section 3.4: the policy domain is that of the smart host. */
static void
a_route_may_have_a_policy_of_its_own(void **state)
{
    static const char *const via[] = {"mx1.example.com"};
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST,
                                         .body = POLICY};
    struct policy_question q = lab_question();

    (void)state;
    q.via = via;
    q.via_count = 1;
    check_facts(&w, &q,
                "mx route ad\nsts fresh enforce *.example.com\n"
                "0 mx1.example.com: 192.0.2.1\n");
}

static const struct {
    const char *domain, *want;
} literals[] = {
    {"[192.0.2.1]", "mx route ad\nsts off\n0 192.0.2.1: 192.0.2.1\n"},
    {"[IPv6:2001:db8::1]",
     "mx route ad\nsts off\n0 2001:db8::1: 2001:db8::1\n"},
    {"[ipv6:2001:DB8::1]",
     "mx route ad\nsts off\n0 2001:DB8::1: 2001:db8::1\n"},
    {"[192.0.2.256]", "mx route ad\nsts off\n0 192.0.2.256: none (no IP "
                      "address)\n"},
    {"[]", "mx route ad\nsts off\n0 : none (no IP address)\n"},
};

static void
a_literal_needs_no_dns_and_has_no_policy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        scoped(world_done) struct world w = {.dns = ""};
        struct policy_question q = lab_question();

        q.domain = literals[i].domain;
        q.is_literal = true;
        check_facts(&w, &q, literals[i].want);
        assert_int_equal(w.asked.len, 0);
    }
}

static void
a_literal_may_not_lead_inside(void **state)
{
    scoped(world_done) struct world w = {.dns = ""};
    struct policy_question q = question();

    (void)state;
    q.domain = "[IPv6:::ffff:127.0.0.1]";
    q.is_literal = true;
    check_facts(&w, &q,
                "mx route ad\nsts off\n0 ::ffff:127.0.0.1: none (127.0.0.1 is "
                "not a public address)\n");
}

static void
an_ipv6_literal_needs_ipv6(void **state)
{
    scoped(world_done) struct world w = {.dns = ""};
    struct policy_question q = lab_question();

    (void)state;
    q.domain = "[IPv6:2001:db8::1]";
    q.is_literal = true;
    q.ipv6 = false;
    check_facts(&w, &q,
                "mx route ad\nsts off\n0 2001:db8::1: none (IPv6 is switched "
                "off)\n");
}

/* ---- MTA-STS ---- */

static struct policy_sts_entry
entry(const char *id, char *text)
{
    return (struct policy_sts_entry){
        .domain = {"example.com"},
        .text = text,
        .fetched_ms = NOW - HOUR / 2,
        .expires_ms = NOW + HOUR,
        .used_ms = NOW - HOUR / 2,
        .checked_ms = NOW - HOUR / 2,
        .id = {id[0], '\0'},
    };
}

static char cached_text[] =
    "version: STSv1\nmode: testing\nmx: old.example\nmax_age: 86400\n";
static char cached_none[] = "version: STSv1\nmode: none\nmax_age: 86400\n";

#define MX1 "10 mx1.example.com: 192.0.2.1\n"
#define CACHED "mx found\nsts cached testing old.example"
#define FETCHED "mx found\nsts fresh enforce *.example.com\n" MX1

enum fetch_outcome { FETCH_GIVES, FETCH_FAILS, FETCH_BAD };

static const struct {
    const char *dns;
    const char *cached_id; /* NULL: nothing is cached */
    int64_t expires_in_ms;
    bool refresh;
    enum fetch_outcome fetch;
    size_t fetches, keeps;
    const char *want;
} sts_cases[] = {
    /* no record */
    {HOSTS, NULL, 0, false, FETCH_GIVES, 0, 0, "mx found\nsts absent\n" MX1},
    {HOSTS "TXT _mta-sts.example.com ~\n", NULL, 0, false, FETCH_GIVES, 0, 0,
     "mx found\nsts absent\n" MX1},
    {HOSTS "TXT _mta-sts.example.com = v=spf1 -all\n", NULL, 0, false,
     FETCH_GIVES, 0, 0, "mx found\nsts absent\n" MX1},
    {HOSTS, "1", HOUR, false, FETCH_GIVES, 0, 0,
     CACHED " (TXT _mta-sts.example.com: there is no STSv1 record)\n" MX1},
    {HOSTS, "1", 0, false, FETCH_GIVES, 0, 0, "mx found\nsts absent\n" MX1},

    /* a record that is none */
    {HOSTS "TXT _mta-sts.example.com = v=STSv1; id=1, v=STSv1; id=1\n", NULL, 0,
     false, FETCH_GIVES, 0, 0,
     "mx found\nsts failed (TXT _mta-sts.example.com: there are several "
     "STSv1 records)\n" MX1},
    {HOSTS "TXT _mta-sts.example.com = v=STSv1; id=1, v=STSv1; id=1\n", "1",
     HOUR, false, FETCH_GIVES, 0, 0,
     CACHED " (TXT _mta-sts.example.com: there are several STSv1 "
            "records)\n" MX1},
    {HOSTS "TXT _mta-sts.example.com = v=STSv1; id=a-b\n", "1", HOUR, false,
     FETCH_GIVES, 0, 0,
     CACHED " (TXT _mta-sts.example.com: the id may hold letters and digits "
            "only)\n" MX1},

    /* no answer */
    {HOSTS "TXT _mta-sts.example.com ! SERVFAIL\n", NULL, 0, false, FETCH_GIVES,
     0, 0, "mx found\nsts unknown (TXT _mta-sts.example.com: SERVFAIL)\n" MX1},
    {HOSTS "TXT _mta-sts.example.com ! SERVFAIL\n", "1", HOUR, false,
     FETCH_GIVES, 0, 0, CACHED " (TXT _mta-sts.example.com: SERVFAIL)\n" MX1},
    {HOSTS "TXT _mta-sts.example.com ! SERVFAIL\n", "1", 0, false, FETCH_GIVES,
     0, 0, "mx found\nsts unknown (TXT _mta-sts.example.com: SERVFAIL)\n" MX1},

    /* a record, and nothing cached */
    {HOSTS RECORD POLICY_HOST, NULL, 0, false, FETCH_GIVES, 1, 1, FETCHED},
    {HOSTS RECORD POLICY_HOST, NULL, 0, false, FETCH_FAILS, 1, 1,
     "mx found\nsts failed (status 404)\n" MX1},
    {HOSTS RECORD POLICY_HOST, NULL, 0, false, FETCH_BAD, 1, 1,
     "mx found\nsts failed (the policy of example.com: line 1: no "
     "colon)\n" MX1},
    {HOSTS RECORD, NULL, 0, false, FETCH_GIVES, 0, 1,
     "mx found\nsts failed (mta-sts.example.com: no address)\n" MX1},
    {HOSTS RECORD "A mta-sts.example.com ~\n", NULL, 0, false, FETCH_GIVES, 0,
     1,
     "mx found\nsts failed (mta-sts.example.com: the name does not "
     "exist)\n" MX1},
    {HOSTS RECORD "A mta-sts.example.com ! timeout\n", NULL, 0, false,
     FETCH_GIVES, 0, 1,
     "mx found\nsts failed (mta-sts.example.com: A lookup: timeout)\n" MX1},

    /* the id that is cached */
    {HOSTS RECORD POLICY_HOST, "1", HOUR, false, FETCH_GIVES, 0, 0,
     CACHED "\n" MX1},
    {HOSTS RECORD POLICY_HOST, "1", 1, false, FETCH_GIVES, 0, 0,
     CACHED "\n" MX1},
    {HOSTS RECORD POLICY_HOST, "1", 0, false, FETCH_GIVES, 1, 1, FETCHED},
    {HOSTS RECORD POLICY_HOST, "1", -1, false, FETCH_FAILS, 1, 1,
     "mx found\nsts failed (status 404)\n" MX1},

    /* a new id */
    {HOSTS RECORD POLICY_HOST, "0", HOUR, false, FETCH_GIVES, 1, 1, FETCHED},
    {HOSTS RECORD POLICY_HOST, "0", HOUR, false, FETCH_FAILS, 1, 1,
     CACHED " (status 404)\n" MX1},
    {HOSTS RECORD POLICY_HOST, "0", HOUR, false, FETCH_BAD, 1, 1,
     CACHED " (the policy of example.com: line 1: no colon)\n" MX1},
    {HOSTS RECORD, "0", HOUR, false, FETCH_GIVES, 0, 1,
     CACHED " (mta-sts.example.com: no address)\n" MX1},
    {HOSTS RECORD POLICY_HOST, "0", 0, false, FETCH_FAILS, 1, 1,
     "mx found\nsts failed (status 404)\n" MX1},

    /* refresh; RFC 8461 section 10.2 */
    {HOSTS RECORD POLICY_HOST, "1", HOUR, true, FETCH_GIVES, 1, 1, FETCHED},
    {HOSTS RECORD POLICY_HOST, "1", HOUR, true, FETCH_FAILS, 1, 1,
     CACHED " (status 404)\n" MX1},
    {HOSTS POLICY_HOST, "1", HOUR, true, FETCH_GIVES, 1, 1, FETCHED},
    {HOSTS POLICY_HOST "TXT _mta-sts.example.com ! SERVFAIL\n", "1", HOUR, true,
     FETCH_GIVES, 1, 1, FETCHED},
    {HOSTS POLICY_HOST, "1", 0, true, FETCH_GIVES, 0, 0,
     "mx found\nsts absent\n" MX1},
    {HOSTS POLICY_HOST, NULL, 0, true, FETCH_GIVES, 0, 0,
     "mx found\nsts absent\n" MX1},
    {"MX example.com ! SERVFAIL\n" RECORD POLICY_HOST, "1", HOUR, true,
     FETCH_GIVES, 1, 1,
     "mx unknown (SERVFAIL)\nsts fresh enforce *.example.com\n"},

    /* where no mail goes, no policy is fetched */
    {"MX example.com = 0 .\n" RECORD POLICY_HOST, NULL, 0, false, FETCH_GIVES,
     0, 0, "mx null\nsts off\n"},
    {"MX example.com ~\n" RECORD POLICY_HOST, "0", HOUR, true, FETCH_GIVES, 0,
     0, "mx nxdomain\nsts off\n"},
};

enum { STS_CASES = sizeof(sts_cases) / sizeof(sts_cases[0]), ORDERS = 200 };

/* Each case with its answers in many orders: facts, fetches and what is kept
 * may not depend on it. */
static void
decides_as_rfc_8461_says_in_whatever_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < STS_CASES * ORDERS; i++) {
        size_t n = i / ORDERS;
        const char *id = sts_cases[n].cached_id;
        struct policy_sts_entry cached = entry(id ? id : "", cached_text);
        scoped(world_done) struct world w = {
            .dns = sts_cases[n].dns,
            .cached = id ? &cached : NULL,
            .body = sts_cases[n].fetch == FETCH_BAD ? "<html>" : POLICY,
            .order = (unsigned)(i % ORDERS) * 2654435761U >> 8,
        };
        struct policy_question q = lab_question();

        cached.expires_ms = NOW + sts_cases[n].expires_in_ms;
        if (sts_cases[n].fetch == FETCH_FAILS)
            err_set(&w.fetch, ERR_INPUT, "status 404");
        q.refresh = sts_cases[n].refresh;
        check_facts(&w, &q, sts_cases[n].want);
        if (w.fetches != sts_cases[n].fetches || w.keeps != sts_cases[n].keeps)
            fail_msg("case %zu: %zu fetches, %zu keeps", n, w.fetches, w.keeps);
    }
}

static const struct {
    const char *dns;
    bool fails; /* the fetch */
    size_t keeps;
    const char *want;
} blind_cases[] = {
    {HOSTS, false, 0,
     "mx found\nsts unknown (the policy cache: disk I/O error)\n" MX1},
    {HOSTS "TXT _mta-sts.example.com ! SERVFAIL\n", false, 0,
     "mx found\nsts unknown (the policy cache: disk I/O error)\n" MX1},
    {HOSTS "TXT _mta-sts.example.com = v=STSv1; id=a-b\n", false, 0,
     "mx found\nsts unknown (the policy cache: disk I/O error)\n" MX1},
    {HOSTS RECORD, false, 0,
     "mx found\nsts unknown (the policy cache: disk I/O error)\n" MX1},
    {HOSTS RECORD POLICY_HOST, true, 0,
     "mx found\nsts unknown (the policy cache: disk I/O error)\n" MX1},
    {HOSTS RECORD POLICY_HOST, false, 1, FETCHED},
};

enum { BLIND_CASES = sizeof(blind_cases) / sizeof(blind_cases[0]) };

/* RFC 8461 section 5.1: a policy may be in it, which nothing but a fresh one
 * may stand for, or be written over. */
static void
a_cache_that_cannot_be_read_is_not_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLIND_CASES * ORDERS; i++) {
        size_t n = i / ORDERS;
        scoped(world_done) struct world w = {
            .dns = blind_cases[n].dns,
            .body = POLICY,
            .order = (unsigned)(i % ORDERS) * 2654435761U >> 8,
        };
        struct policy_question q = lab_question();

        err_set(&w.cache, ERR_SYSTEM, "disk I/O error");
        if (blind_cases[n].fails)
            err_set(&w.fetch, ERR_INPUT, "status 404");
        check_facts(&w, &q, blind_cases[n].want);
        assert_int_equal(w.keeps, blind_cases[n].keeps);
    }
}

static void
facts_found_without_the_cache_are_not_good_for_long(void **state)
{
    scoped(world_done) struct world w = {
        .dns = HOSTS "TXT _mta-sts.example.com = v=spf1 -all\n"};
    struct policy_question q = lab_question();
    struct policy_facts f;

    (void)state;
    err_set(&w.cache, ERR_SPACE, "database or disk is full");
    f = look_up(&w, &q);
    assert_int_equal(f.good_until_ms, NOW + 5000);
    policy_facts_done(&f);
}

static void
a_fresh_policy_is_kept_whole(void **state)
{
    struct policy_sts_entry cached = entry("0", cached_text);
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST,
                                         .cached = &cached,
                                         .fetch_takes_ms = 3000,
                                         .body = POLICY};
    struct policy_question q = lab_question();

    (void)state;
    snprintf(cached.failed_id, sizeof(cached.failed_id), "0");
    cached.backoff_ms = NOW + 1;
    struct policy_facts f = look_up(&w, &q);

    assert_string_equal(w.kept.domain.text, "example.com");
    assert_string_equal(w.kept.id, "1");
    assert_string_equal(w.kept.text, POLICY);
    assert_int_equal(w.kept.fetched_ms, NOW + 3000);
    assert_int_equal(w.kept.expires_ms, NOW + 3000 + (int64_t)DAY);
    assert_int_equal(w.kept.used_ms, NOW + 3000);
    assert_int_equal(w.kept.checked_ms, NOW + 3000);
    assert_string_equal(w.kept.failed_id, "");
    assert_int_equal(w.kept.backoff_ms, 0);
    assert_null(w.kept.failure);
    assert_string_equal(f.sts_entry.text, w.kept.text);
    assert_string_equal(f.sts_entry.id, "1");
    policy_facts_done(&f);
}

static void
a_failed_fetch_is_kept_beside_the_policy(void **state)
{
    struct policy_sts_entry cached = entry("0", cached_text);
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST,
                                         .cached = &cached};
    struct policy_question q = lab_question();

    (void)state;
    err_set(&w.fetch, ERR_TLS, "certificate has expired");
    struct policy_facts f = look_up(&w, &q);

    assert_true(f.sts_tls_failed);
    assert_string_equal(w.kept.id, "0");
    assert_string_equal(w.kept.text, cached_text);
    assert_int_equal(w.kept.expires_ms, cached.expires_ms);
    assert_string_equal(w.kept.failed_id, "1");
    assert_int_equal(w.kept.backoff_ms, NOW + POLICY_FETCH_BACKOFF_MS);
    assert_string_equal(w.kept.failure, "certificate has expired");
    policy_facts_done(&f);
}

/* RFC 8461 section 3.3: five minutes for each id, also while another policy
 * is cached. */
static void
a_failed_fetch_backs_off(void **state)
{
    static const struct {
        const char *failed_id;
        int64_t backoff_in_ms;
        size_t fetches;
    } cases[] = {
        {"1", 1, 0},
        {"1", POLICY_FETCH_BACKOFF_MS, 0},
        {"1", 0, 1},
        {"2", 1, 1},                           /* a new id is fetched at once */
        {"1", POLICY_FETCH_BACKOFF_MS + 1, 1}, /* the clock was set back */
    };

    (void)state;
    for (size_t i = 0; i < 4 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool has_policy = i & 1, refresh = i & 2;
        struct policy_sts_entry cached =
            entry("1", has_policy ? cached_text : NULL);
        scoped(world_done) struct world w = {
            .dns = HOSTS RECORD POLICY_HOST, .cached = &cached, .body = POLICY};
        struct policy_question q = lab_question();

        if (has_policy && !refresh) /* else there is no reason to fetch */
            cached.id[0] = '0';
        q.refresh = refresh;
        cached.failure = mem_text("status 404");
        snprintf(cached.failed_id, sizeof(cached.failed_id), "%s",
                 cases[i / 4].failed_id);
        cached.backoff_ms = NOW + cases[i / 4].backoff_in_ms;
        struct policy_facts f = look_up(&w, &q);

        assert_int_equal(w.fetches, cases[i / 4].fetches);
        assert_int_equal(f.sts_state, w.fetches    ? POLICY_STS_STATE_FRESH
                                      : has_policy ? POLICY_STS_STATE_CACHED
                                                   : POLICY_STS_STATE_FAILED);
        assert_string_equal(f.sts_why, w.fetches ? "" : "status 404");
        if (!w.fetches)
            assert_true(f.good_until_ms <= cached.backoff_ms);
        policy_facts_done(&f);
        own_free(&cached.failure);
    }
}

/* The cached policy held when the fetch began, and no longer when it failed. */
static void
a_policy_that_expires_meanwhile_is_not_used(void **state)
{
    struct policy_sts_entry cached = entry("0", cached_text);
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST,
                                         .cached = &cached,
                                         .fetch_takes_ms = 60000};

    (void)state;
    cached.expires_ms = NOW + 30000;
    err_set(&w.fetch, ERR_TIMEOUT, "timeout");
    check_lab(&w, "mx found\nsts failed (timeout)\n" MX1);
}

static void
a_policy_of_no_age_holds_for_this_mail(void **state)
{
    scoped(world_done) struct world w = {
        .dns = HOSTS RECORD POLICY_HOST,
        .body = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 0\n"};
    struct policy_question q = lab_question();
    struct policy_facts f = look_up(&w, &q);

    (void)state;
    assert_int_equal(f.sts_state, POLICY_STS_STATE_FRESH);
    assert_int_equal(f.sts.mode, POLICY_STS_ENFORCE);
    assert_int_equal(f.good_until_ms, NOW);
    policy_facts_done(&f);
}

static void
a_policy_none_stays_cached_and_ends_quietly(void **state)
{
    struct policy_sts_entry cached = entry("1", cached_none);
    scoped(world_done) struct world w = {.dns = HOSTS, .cached = &cached};

    (void)state;
    check_lab(&w, "mx found\nsts cached none\n" MX1);
    assert_int_equal(w.keeps, 0);
}

static void
text_that_is_no_policy_is_not_used(void **state)
{
    static char junk[] = "junk";
    struct policy_sts_entry cached = entry("1", junk);
    scoped(world_done) struct world w = {
        .dns = HOSTS RECORD POLICY_HOST, .cached = &cached, .body = POLICY};

    (void)state;
    check_lab(&w, FETCHED);
    assert_int_equal(w.fetches, 1);
}

/* A write for each mail would be dear: an hour's grace. */
static void
use_is_kept_once_an_hour(void **state)
{
    static const struct {
        int64_t used, checked; /* ago */
        bool has_record, refresh;
        size_t keeps;
    } cases[] = {
        {HOUR - 1, HOUR - 1, true, false, 0},
        {HOUR, 0, true, false, 1},
        {0, HOUR, true, false, 1},
        {0, 9 * HOUR, false, false, 0}, /* not seen, so not checked */
        {HOUR, 0, false, false, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_sts_entry cached = entry("1", cached_text);
        scoped(world_done) struct world w = {
            .dns = cases[i].has_record ? HOSTS RECORD POLICY_HOST : HOSTS,
            .cached = &cached};
        struct policy_question q = lab_question();

        cached.used_ms = NOW - cases[i].used;
        cached.checked_ms = NOW - cases[i].checked;
        struct policy_facts f = look_up(&w, &q);

        assert_int_equal(w.keeps, cases[i].keeps);
        assert_int_equal(f.sts_entry.used_ms, NOW);
        assert_int_equal(f.sts_entry.checked_ms,
                         cases[i].has_record ? NOW : cached.checked_ms);
        assert_int_equal(f.sts_entry.expires_ms, cached.expires_ms);
        policy_facts_done(&f);
    }
}

static void
a_refresh_is_no_use(void **state)
{
    struct policy_sts_entry cached = entry("1", cached_text);
    scoped(world_done) struct world w = {
        .dns = HOSTS RECORD POLICY_HOST, .cached = &cached, .body = POLICY};
    struct policy_question q = lab_question();

    (void)state;
    q.refresh = true;
    cached.used_ms = NOW - (int64_t)DAY;
    struct policy_facts f = look_up(&w, &q);

    assert_int_equal(w.kept.used_ms, NOW - (int64_t)DAY);
    assert_int_equal(w.kept.checked_ms, NOW);
    policy_facts_done(&f);
}

static void
the_policy_host_may_not_lie_inside(void **state)
{
    scoped(world_done) struct world w = {
        .dns = "MX example.com = 10 a.example\nA a.example = 9.9.9.9\n" RECORD
               "A mta-sts.example.com = 169.254.169.254\n"
               "AAAA mta-sts.example.com = ::1\n"};
    struct policy_question q = question();

    (void)state;
    check_facts(&w, &q,
                "mx found\nsts failed (mta-sts.example.com: 169.254.169.254 "
                "is not a public address)\n10 a.example: 9.9.9.9\n");
    assert_int_equal(w.fetches, 0);
}

static void
without_sts_nothing_is_asked_about_it(void **state)
{
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST};
    struct policy_question q = lab_question();

    (void)state;
    q.sts = false;
    check_facts(&w, &q, "mx found\nsts off\n" MX1);
    assert_null(strstr(buf_text(&w.asked), "sts"));
    assert_null(strstr(buf_text(&w.asked), "cache"));
}

/* "_mta-sts." in front would be no domain name any more. */
static void
the_longest_domains_have_no_policy(void **state)
{
    scoped(buf_free) struct buf domain = {0};
    scoped(world_done) struct world w = {.dns = ""};
    struct policy_question q = lab_question();

    (void)state;
    while (domain.len < MAIL_DOMAIN_MAX - 13)
        buf_add_text(&domain, "abcdefghijk.");
    buf_add_text(&domain, "example");
    q.domain = buf_text(&domain);
    assert_in_range(domain.len, MAIL_DOMAIN_MAX - 8, MAIL_DOMAIN_MAX);
    struct policy_facts f = look_up(&w, &q);

    assert_int_equal(f.sts_state, POLICY_STS_STATE_ABSENT);
    assert_null(strstr(buf_text(&w.asked), "TXT"));
    assert_string_equal(f.domain.text, q.domain);
    policy_facts_done(&f);
}

/* ---- DANE ---- */

#define SECURE_MX "MX example.com = 10 a.example ad\n"
#define SECURE_A "A a.example = 192.0.2.1 ad\nAAAA a.example - ad\n"
#define SECURE "mx found ad\nsts off\n10 a.example ad: 192.0.2.1\n"
#define PARTLY "mx found ad\nsts off\n10 a.example: 192.0.2.1\n"
#define TLSA "TLSA _25._tcp.a.example = 3 1 1 32 ad\n"
#define FOUND "  tlsa found a.example, 3 1 1 32\n"

static const struct {
    const char *dns, *want;
} dane_cases[] = {
    {SECURE_MX SECURE_A TLSA, SECURE FOUND},
    {SECURE_MX SECURE_A, SECURE "  tlsa none\n"},
    {SECURE_MX SECURE_A "TLSA _25._tcp.a.example ~\n", SECURE "  tlsa none\n"},
    {SECURE_MX SECURE_A "TLSA _25._tcp.a.example = 3 1 1 32\n",
     SECURE "  tlsa insecure (the TLSA records are not authentic)\n"},
    {SECURE_MX SECURE_A "TLSA _25._tcp.a.example ! SERVFAIL\n",
     SECURE "  tlsa failed (TLSA lookup: SERVFAIL)\n"},
    /* a record that leads elsewhere is one all the same */
    {SECURE_MX SECURE_A
     "TLSA _25._tcp.a.example = 3 1 1 32 via tlsa.sample ad\n",
     SECURE FOUND},
    /* all of them, usable or not */
    {SECURE_MX SECURE_A
     "TLSA _25._tcp.a.example = 0 0 0 0, 3 1 1 0, 1 2 3 4, 2 0 1 32 ad\n",
     SECURE "  tlsa found a.example, 0 0 0 0, 3 1 1 0, 1 2 3 4, 2 0 1 32\n"},

    /* what is not authentic ends it, and nothing more is asked */
    {"MX example.com = 10 a.example\n" SECURE_A TLSA,
     "mx found\nsts off\n10 a.example: 192.0.2.1\n"
     "  tlsa insecure (the MX records are not authentic)\n"},
    {SECURE_MX "A a.example = 192.0.2.1\n" TLSA,
     PARTLY "  tlsa insecure (the addresses are not authentic)\n"},

    /* One family is enough: a failure of the other must not take the records
     * away. */
    {SECURE_MX "A a.example = 192.0.2.1 ad\nAAAA a.example ! timeout\n" TLSA,
     PARTLY FOUND},
    {SECURE_MX "A a.example = 192.0.2.1 ad\n" TLSA, PARTLY FOUND},
    {SECURE_MX "A a.example ! timeout\nAAAA a.example = 2001:db8::1 ad\n" TLSA,
     "mx found ad\nsts off\n10 a.example: 2001:db8::1\n" FOUND},
    {SECURE_MX "A a.example = 192.0.2.1\n"
               "AAAA a.example = 2001:db8::1 ad\n" TLSA,
     "mx found ad\nsts off\n10 a.example: 2001:db8::1 192.0.2.1\n" FOUND},

    /* that there are no addresses of the other says nothing */
    {SECURE_MX "A a.example - ad\nAAAA a.example = 2001:db8::1\n" TLSA,
     "mx found ad\nsts off\n10 a.example: 2001:db8::1\n"
     "  tlsa insecure (the addresses are not authentic)\n"},

    /* aliases */
    {SECURE_MX "A a.example = 192.0.2.1 via real.sample ad\n"
               "AAAA a.example - via real.sample ad\n"
               "TLSA _25._tcp.real.sample = 2 0 1 32 ad\n" TLSA,
     SECURE "  tlsa found real.sample, 2 0 1 32\n"},
    {SECURE_MX "A a.example = 192.0.2.1 via real.sample ad\n"
               "AAAA a.example - via real.sample ad\n" TLSA,
     SECURE FOUND},
    {SECURE_MX "A a.example = 192.0.2.1 via real.sample\n"
               "CNAME a.example = x via real.sample ad\n" TLSA,
     PARTLY FOUND},
    {SECURE_MX "A a.example = 192.0.2.1 via real.sample\n"
               "CNAME a.example = x via real.sample\n" TLSA,
     PARTLY "  tlsa insecure (the CNAME is not authentic)\n"},
    {SECURE_MX "A a.example = 192.0.2.1 via real.sample\n"
               "CNAME a.example ! REFUSED\n" TLSA,
     PARTLY "  tlsa failed (CNAME lookup: REFUSED)\n"},

    /* each host for itself */
    {"MX example.com = 1 a.example, 2 b.example, 3 c.example, 4 d.example "
     "ad\n" SECURE_A TLSA "A b.example = 192.0.2.2\nA c.example ! timeout\n"
     "AAAA d.example = 2001:db8::4 ad\n"
     "TLSA _25._tcp.d.example ! timeout\n",
     "mx found ad\nsts off\n1 a.example ad: 192.0.2.1\n" FOUND
     "2 b.example: 192.0.2.2\n"
     "  tlsa insecure (the addresses are not authentic)\n"
     "3 c.example: unknown (A lookup: timeout)\n"
     "4 d.example: 2001:db8::4\n"
     "  tlsa failed (TLSA lookup: timeout)\n"},

    /* the implicit MX: that there are no MX records is authentic, or not */
    {"MX example.com - ad\nA example.com = 192.0.2.1 ad\n"
     "TLSA _25._tcp.example.com = 3 1 1 32 ad\n",
     "mx implicit ad\nsts off\n0 example.com: 192.0.2.1\n"
     "  tlsa found example.com, 3 1 1 32\n"},
    {"MX example.com -\nA example.com = 192.0.2.1 ad\n"
     "TLSA _25._tcp.example.com = 3 1 1 32 ad\n",
     "mx implicit\nsts off\n0 example.com: 192.0.2.1\n"
     "  tlsa insecure (the MX records are not authentic)\n"},

    /* where there is no host, there is nothing to ask */
    {"MX example.com = 0 . ad\n", "mx null ad\nsts off\n"},
    {"MX example.com ! SERVFAIL\n", "mx unknown (SERVFAIL)\nsts off\n"},
};

enum { DANE_CASES = sizeof(dane_cases) / sizeof(dane_cases[0]) };

static void
finds_tlsa_records_in_whatever_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < DANE_CASES * ORDERS; i++) {
        scoped(world_done) struct world w = {
            .dns = dane_cases[i / ORDERS].dns,
            .order = (unsigned)(i % ORDERS) * 2654435761U >> 8,
        };
        struct policy_question q = lab_question();

        q.sts = false;
        q.dane = true;
        check_facts(&w, &q, dane_cases[i / ORDERS].want);
    }
}

static void
without_dane_no_tlsa_is_asked_for(void **state)
{
    scoped(world_done) struct world w = {
        .dns = SECURE_MX "A a.example = 192.0.2.1 via real.sample\n" TLSA};
    struct policy_question q = lab_question();

    (void)state;
    q.sts = false;
    check_facts(&w, &q, PARTLY);
    assert_string_equal(buf_text(&w.asked),
                        "MX example.com\nA a.example\nAAAA a.example\n");
}

/* Where somebody wants it; the addresses still have to be authentic. */
static void
below_mx_records_without_dnssec_tlsa_may_be_asked_for(void **state)
{
    scoped(world_done) struct world w = {
        .dns = "MX example.com = 10 a.example, 20 b.example\n" SECURE_A
               "A b.example = 192.0.2.2\n"
               "TLSA _25._tcp.a.example = 3 1 1 32 ad\n"};
    struct policy_question q = lab_question();

    (void)state;
    q.sts = false;
    q.dane = true;
    check_facts(&w, &q,
                "mx found\nsts off\n10 a.example: 192.0.2.1\n"
                "  tlsa insecure (the MX records are not authentic)\n"
                "20 b.example: 192.0.2.2\n"
                "  tlsa insecure (the MX records are not authentic)\n");
    q.half_dane = true;
    check_facts(&w, &q,
                "mx found\nsts off\n10 a.example: 192.0.2.1\n"
                "  tlsa found a.example, 3 1 1 32\n"
                "20 b.example: 192.0.2.2\n"
                "  tlsa insecure (the addresses are not authentic)\n");
}

/* Servers of names without DNSSEC may fail on the question itself. */
static void
below_names_without_dnssec_no_tlsa_is_asked_for(void **state)
{
    scoped(world_done) struct world w = {
        .dns = SECURE_MX "A a.example = 192.0.2.1\n"
                         "TLSA _25._tcp.a.example ! SERVFAIL\n"};
    struct policy_question q = lab_question();

    (void)state;
    q.sts = false;
    q.dane = true;
    check_facts(&w, &q,
                PARTLY "  tlsa insecure (the addresses are not authentic)\n");
    assert_null(strstr(buf_text(&w.asked), "TLSA"));
    assert_null(strstr(buf_text(&w.asked), "CNAME"));
}

/* The operator's word for a name is as good as an authentic MX record. */
static void
hosts_of_a_route_have_tlsa_records_at_their_ports(void **state)
{
    static const char *const via[] = {"a.example", "192.0.2.9", "b.example"};
    static const unsigned ports[] = {465, 25, 587};
    scoped(world_done) struct world w = {
        .dns = SECURE_A "A b.example = 192.0.2.2 ad\n"
                        "TLSA _465._tcp.a.example = 3 1 1 32 ad\n"
                        "TLSA _587._tcp.a.example = 2 1 1 32 ad\n"
                        "TLSA _587._tcp.b.example = 2 1 2 64 ad\n"};
    struct policy_question q = lab_question();

    (void)state;
    q.sts = false;
    q.dane = true;
    q.via = via;
    q.via_count = 3;
    q.via_ports = ports;
    check_facts(&w, &q,
                "mx route ad\nsts off\n0 a.example ad: 192.0.2.1\n"
                "  tlsa found a.example, 3 1 1 32\n"
                "0 192.0.2.9 ad: 192.0.2.9\n0 b.example: 192.0.2.2\n"
                "  tlsa found b.example, 2 1 2 64\n");
    q.via_ports = NULL;
    q.port = 587;
    check_facts(&w, &q,
                "mx route ad\nsts off\n0 a.example ad: 192.0.2.1\n"
                "  tlsa found a.example, 2 1 1 32\n"
                "0 192.0.2.9 ad: 192.0.2.9\n0 b.example: 192.0.2.2\n"
                "  tlsa found b.example, 2 1 2 64\n");
}

static void
the_domain_behind_its_aliases_is_kept(void **state)
{
    scoped(world_done) struct world w = {
        .dns = "MX example.com = 10 a.example via real.sample ad\n" SECURE_A};
    struct policy_question q = lab_question();
    struct policy_facts f = look_up(&w, &q);

    (void)state;
    assert_string_equal(f.mx_canonical, "real.sample");
    assert_string_equal(f.hosts[0].canonical, "a.example");
    policy_facts_done(&f);
}

/* Twenty hosts with as much to ask about each as there can be. */
static void
every_host_may_have_all_its_questions(void **state)
{
    scoped(buf_free) struct buf dns = {0};
    scoped(world_done) struct world w = {0};
    struct policy_question q = lab_question();

    (void)state;
    buf_add_text(&dns, "MX example.com = 0 mx0.example");
    for (unsigned i = 1; i < POLICY_HOSTS_MAX; i++)
        buf_printf(&dns, ", %u mx%u.example", i, i);
    buf_add_text(&dns, " ad\n" RECORD POLICY_HOST);
    for (unsigned i = 0; i < POLICY_HOSTS_MAX; i++)
        buf_printf(&dns, "A mx%u.example = 192.0.2.1 via r%u.sample ad\n", i,
                   i);
    w.dns = buf_text(&dns);
    w.body = POLICY;
    q.dane = true;
    struct policy_facts f = look_up(&w, &q);

    assert_int_equal(f.host_count, POLICY_HOSTS_MAX);
    for (size_t i = 0; i < f.host_count; i++)
        assert_int_equal(f.hosts[i].tlsa_state, POLICY_TLSA_NONE);
    assert_non_null(strstr(buf_text(&w.asked), "TLSA _25._tcp.r19.sample"));
    assert_non_null(strstr(buf_text(&w.asked), "TLSA _25._tcp.mx19.example"));
    policy_facts_done(&f);
}

/* ---- How long the facts are good ---- */

static const struct {
    const char *dns;
    int64_t good_ms;
} ttls[] = {
    {HOSTS, HOUR},
    {"MX example.com = 10 a.example ttl 60\n", 60000},
    {"MX example.com = 10 a.example\nA a.example = 192.0.2.1 ttl 30\n", 30000},
    {"MX example.com = 10 a.example\nAAAA a.example - ttl 20\n", 20000},
    {"MX example.com = 10 a.example ttl 0\n", 1000},
    {"MX example.com ~ ttl 60\n", 60000},
    {"MX example.com - ttl 60\n", 60000},
    {"MX example.com ! SERVFAIL ttl 600\n", 5000},
    {"MX example.com = 10 a.example\nA a.example ! SERVFAIL ttl 600\n", 5000},
    {HOSTS "TXT _mta-sts.example.com - ttl 70\n", 70000},
    {HOSTS "TXT _mta-sts.example.com ! timeout ttl 600\n", 5000},
    /* the address of the policy host is used at once, not kept */
    {HOSTS RECORD "A mta-sts.example.com = 192.0.2.80 ttl 1\n", HOUR},
    {"MX example.com = 10 mx1.example.com ttl 999999\n"
     "A mx1.example.com = 192.0.2.1 ttl 999999\n"
     "AAAA mx1.example.com - ttl 999999\n"
     "TXT _mta-sts.example.com - ttl 999999\n",
     DAY},
    {SECURE_MX SECURE_A "TLSA _25._tcp.a.example - ttl 40\n", 40000},
    {SECURE_MX SECURE_A "TLSA _25._tcp.a.example ! SERVFAIL ttl 40\n", 5000},
    {SECURE_MX "A a.example = 192.0.2.1 via b.example\n"
               "CNAME a.example = x ttl 50\n",
     50000},
};

static void
facts_are_good_for_the_least_ttl(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ttls) / sizeof(ttls[0]); i++) {
        scoped(world_done) struct world w = {.dns = ttls[i].dns,
                                             .body = POLICY};
        struct policy_question q = lab_question();

        q.dane = true;
        struct policy_facts f = look_up(&w, &q);

        if (f.good_until_ms != NOW + ttls[i].good_ms)
            fail_msg("case %zu: %lld", i, (long long)f.good_until_ms - NOW);
        policy_facts_done(&f);
    }
}

static void
facts_are_good_no_longer_than_the_policy(void **state)
{
    struct policy_sts_entry cached = entry("1", cached_text);
    scoped(world_done) struct world w = {.dns = HOSTS RECORD POLICY_HOST,
                                         .cached = &cached};
    struct policy_question q = lab_question();

    (void)state;
    cached.expires_ms = NOW + 7000;
    struct policy_facts f = look_up(&w, &q);

    assert_int_equal(f.good_until_ms, NOW + 7000);
    policy_facts_done(&f);
}

/* ---- An end at any time ---- */

static void
may_be_freed_at_any_time(void **state)
{
    struct policy_question q = lab_question();

    (void)state;
    q.dane = true;
    for (size_t stop = 0; stop < 20; stop++) {
        scoped(world_done) struct world w = {
            .dns = SECURE_MX SECURE_A TLSA RECORD POLICY_HOST, .body = POLICY};
        struct policy_lookup *l = policy_lookup_new(&q, NOW);
        struct policy_ask ask;

        for (size_t i = 0; i < stop && policy_lookup_next(l, &ask); i++)
            answer(&w, l, &ask);
        policy_lookup_free(&l);
        assert_null(l);
        policy_lookup_free(&l);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_hosts_and_their_addresses),
        cmocka_unit_test(special_addresses_are_no_addresses),
        cmocka_unit_test(without_ipv6_no_aaaa_is_asked_for),
        cmocka_unit_test(first_asks_go_out_at_once),
        cmocka_unit_test(equal_preferences_are_shuffled_by_the_seed),
        cmocka_unit_test(the_order_of_the_answer_has_no_say),
        cmocka_unit_test(hosts_beyond_the_limit_are_dropped),
        cmocka_unit_test(a_route_names_its_hosts),
        cmocka_unit_test(a_route_may_have_a_policy_of_its_own),
        cmocka_unit_test(a_literal_needs_no_dns_and_has_no_policy),
        cmocka_unit_test(a_literal_may_not_lead_inside),
        cmocka_unit_test(an_ipv6_literal_needs_ipv6),
        cmocka_unit_test(decides_as_rfc_8461_says_in_whatever_order),
        cmocka_unit_test(a_cache_that_cannot_be_read_is_not_empty),
        cmocka_unit_test(facts_found_without_the_cache_are_not_good_for_long),
        cmocka_unit_test(a_fresh_policy_is_kept_whole),
        cmocka_unit_test(a_failed_fetch_is_kept_beside_the_policy),
        cmocka_unit_test(a_failed_fetch_backs_off),
        cmocka_unit_test(a_policy_that_expires_meanwhile_is_not_used),
        cmocka_unit_test(a_policy_of_no_age_holds_for_this_mail),
        cmocka_unit_test(a_policy_none_stays_cached_and_ends_quietly),
        cmocka_unit_test(text_that_is_no_policy_is_not_used),
        cmocka_unit_test(use_is_kept_once_an_hour),
        cmocka_unit_test(a_refresh_is_no_use),
        cmocka_unit_test(the_policy_host_may_not_lie_inside),
        cmocka_unit_test(without_sts_nothing_is_asked_about_it),
        cmocka_unit_test(the_longest_domains_have_no_policy),
        cmocka_unit_test(finds_tlsa_records_in_whatever_order),
        cmocka_unit_test(without_dane_no_tlsa_is_asked_for),
        cmocka_unit_test(below_mx_records_without_dnssec_tlsa_may_be_asked_for),
        cmocka_unit_test(below_names_without_dnssec_no_tlsa_is_asked_for),
        cmocka_unit_test(hosts_of_a_route_have_tlsa_records_at_their_ports),
        cmocka_unit_test(the_domain_behind_its_aliases_is_kept),
        cmocka_unit_test(every_host_may_have_all_its_questions),
        cmocka_unit_test(facts_are_good_for_the_least_ttl),
        cmocka_unit_test(facts_are_good_no_longer_than_the_policy),
        cmocka_unit_test(may_be_freed_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
