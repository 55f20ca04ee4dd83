#include "policy/tlsa.h"

#include "relay/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/*
 * The world of one host: how its addresses were found, and what each question
 * would be answered with.  "+" is an authentic record, "-" one that is not,
 * "0" NODATA, "n" NXDOMAIN, "!" a failure, " " must not be asked.
 */
struct world {
    bool mx, address; /* authentic? */
    const char *canonical;
    char cname, at_canonical, at_name;
};

static struct dns_answer
answer_for(char what, enum dns_type type, struct dns_record *record)
{
    static uint8_t data[32];
    struct dns_answer a = {.type = type, .authentic = what == '+'};

    if (what == ' ')
        fail_msg("asked what must not be asked");
    *record = (struct dns_record){.tlsa = {3, 1, 1, data, sizeof(data)}};
    a.outcome = what == '0'   ? DNS_NODATA
                : what == 'n' ? DNS_NXDOMAIN
                : what == '!' ? DNS_FAILED
                              : DNS_FOUND;
    if (a.outcome == DNS_FOUND) {
        a.records = record;
        a.count = 1;
    }
    if (a.outcome == DNS_FAILED)
        snprintf(a.why, sizeof(a.why), "SERVFAIL");
    return a;
}

static struct policy_host_facts
run(const struct world *w, struct buf *asked)
{
    struct policy_tlsa t = {.port = 25};
    struct policy_host_facts h = {.name = "mx.example",
                                  .state = POLICY_HOST_FOUND,
                                  .address_authentic = w->address};
    char name[POLICY_TLSA_NAME_SIZE];
    enum dns_type type;

    snprintf(h.canonical, sizeof(h.canonical), "%s", w->canonical);
    policy_tlsa_begin(&t, w->mx, &h);
    for (size_t n = 0; policy_tlsa_next(&t, &h, &type, name); n++) {
        char what = type == DNS_CNAME             ? w->cname
                    : strstr(name, "real.sample") ? w->at_canonical
                                                  : w->at_name;
        struct dns_record record;
        struct dns_answer a = answer_for(what, type, &record);

        assert_true(n < POLICY_TLSA_ASKS_MAX);
        buf_printf(asked, "%s%s %s", n ? ", " : "", dns_type_name(type), name);
        policy_tlsa_answer(&t, &a, &h);
    }
    return h;
}

static void
describe(const struct policy_host_facts *h, struct buf *out)
{
    static const char *const states[] = {
        [POLICY_TLSA_OFF] = "off",           [POLICY_TLSA_NONE] = "none",
        [POLICY_TLSA_INSECURE] = "insecure", [POLICY_TLSA_FOUND] = "found",
        [POLICY_TLSA_FAILED] = "failed",
    };

    buf_add_text(out, states[h->tlsa_state]);
    if (h->tlsa_state == POLICY_TLSA_FOUND)
        buf_printf(out, " at %s", h->tlsa_base);
    if (h->tlsa_why[0])
        buf_printf(out, ": %s", h->tlsa_why);
}

#define HOST "mx.example"
#define REAL "real.sample"
#define AT_HOST "TLSA _25._tcp.mx.example"
#define AT_REAL "TLSA _25._tcp.real.sample"
#define ALIAS "CNAME mx.example"
#define NO_TLSA "insecure: the TLSA records are not authentic"

static const struct {
    struct world world;
    const char *asked, *want;
} cases[] = {
    /* RFC 7672 section 2.2.1: nothing without authentic MX records */
    {{false, true, HOST, ' ', ' ', ' '},
     "",
     "insecure: the MX records are not authentic"},
    {{false, false, REAL, ' ', ' ', ' '},
     "",
     "insecure: the MX records are not authentic"},

    /* no alias */
    {{true, false, HOST, ' ', ' ', ' '},
     "",
     "insecure: the addresses are not authentic"},
    {{true, true, HOST, ' ', ' ', '+'}, AT_HOST, "found at mx.example"},
    {{true, true, "MX.Example", ' ', ' ', '+'}, AT_HOST, "found at mx.example"},
    {{true, true, HOST, ' ', ' ', '-'}, AT_HOST, NO_TLSA},
    {{true, true, HOST, ' ', ' ', '0'}, AT_HOST, "none"},
    {{true, true, HOST, ' ', ' ', 'n'}, AT_HOST, "none"},
    {{true, true, HOST, ' ', ' ', '!'},
     AT_HOST,
     "failed: TLSA lookup: SERVFAIL"},

    /* an alias, authentic to its end: the end first, then the host */
    {{true, true, REAL, ' ', '+', ' '}, AT_REAL, "found at real.sample"},
    {{true, true, REAL, ' ', '!', ' '},
     AT_REAL,
     "failed: TLSA lookup: SERVFAIL"},
    {{true, true, REAL, ' ', '0', '+'},
     AT_REAL ", " AT_HOST,
     "found at mx.example"},
    {{true, true, REAL, ' ', 'n', '+'},
     AT_REAL ", " AT_HOST,
     "found at mx.example"},
    {{true, true, REAL, ' ', '-', '+'},
     AT_REAL ", " AT_HOST,
     "found at mx.example"},
    {{true, true, REAL, ' ', '0', '0'}, AT_REAL ", " AT_HOST, "none"},
    {{true, true, REAL, ' ', '0', '-'}, AT_REAL ", " AT_HOST, NO_TLSA},
    {{true, true, REAL, ' ', '-', '0'}, AT_REAL ", " AT_HOST, NO_TLSA},
    {{true, true, REAL, ' ', '0', '!'},
     AT_REAL ", " AT_HOST,
     "failed: TLSA lookup: SERVFAIL"},
    {{true, true, REAL, ' ', '-', '!'},
     AT_REAL ", " AT_HOST,
     "failed: TLSA lookup: SERVFAIL"},

    /* an alias into a zone without DNSSEC: the alias alone counts */
    {{true, false, REAL, '+', ' ', '+'},
     ALIAS ", " AT_HOST,
     "found at mx.example"},
    {{true, false, REAL, '+', ' ', '0'}, ALIAS ", " AT_HOST, "none"},
    {{true, false, REAL, '+', ' ', '-'}, ALIAS ", " AT_HOST, NO_TLSA},
    {{true, false, REAL, '+', ' ', '!'},
     ALIAS ", " AT_HOST,
     "failed: TLSA lookup: SERVFAIL"},
    {{true, false, REAL, '-', ' ', ' '},
     ALIAS,
     "insecure: the CNAME is not authentic"},
    {{true, false, REAL, '!', ' ', ' '},
     ALIAS,
     "failed: CNAME lookup: SERVFAIL"},
    {{true, false, REAL, '0', ' ', ' '},
     ALIAS,
     "failed: CNAME lookup: no longer there"},
    {{true, false, REAL, 'n', ' ', ' '},
     ALIAS,
     "failed: CNAME lookup: no longer there"},
};

static void
asks_in_the_order_of_rfc_7672_and_never_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf asked scoped(buf_free) = {0};
        struct buf got scoped(buf_free) = {0};
        struct policy_host_facts h = run(&cases[i].world, &asked);

        describe(&h, &got);
        assert_string_equal(buf_text(&asked), cases[i].asked);
        assert_string_equal(buf_text(&got), cases[i].want);
        assert_int_equal(h.tlsa.count, h.tlsa_state == POLICY_TLSA_FOUND);
        policy_dane_done(&h.tlsa);
    }
}

static void
a_host_without_addresses_is_not_asked_about(void **state)
{
    struct policy_tlsa t = {.port = 25};
    struct policy_host_facts h = {.name = "mx.example"};
    char name[POLICY_TLSA_NAME_SIZE];
    enum dns_type type;

    (void)state;
    h.state = POLICY_HOST_NONE;
    policy_tlsa_begin(&t, true, &h);
    assert_false(policy_tlsa_next(&t, &h, &type, name));
    h.state = POLICY_HOST_UNKNOWN;
    policy_tlsa_begin(&t, true, &h);
    assert_false(policy_tlsa_next(&t, &h, &type, name));
    assert_int_equal(h.tlsa_state, POLICY_TLSA_OFF);
}

/* The name asked for last, with `length` octets of host name; "" for none. */
static void
ask_about(size_t length, unsigned port, char name[POLICY_TLSA_NAME_SIZE])
{
    struct policy_tlsa t = {.port = port};
    struct policy_host_facts h = {.state = POLICY_HOST_FOUND,
                                  .address_authentic = true};
    enum dns_type type;

    memset(h.name, 'a', length);
    memset(h.canonical, 'a', length);
    name[0] = '\0';
    policy_tlsa_begin(&t, true, &h);
    if (!policy_tlsa_next(&t, &h, &type, name))
        assert_int_equal(h.tlsa_state, POLICY_TLSA_NONE);
}

static void
the_longest_names_have_no_records(void **state)
{
    static const struct {
        unsigned port;
        size_t longest;
    } ports[] = {{25, 244}, {587, 243}, {65535, 241}};
    char name[POLICY_TLSA_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        ask_about(ports[i].longest, ports[i].port, name);
        assert_int_equal(strlen(name), MAIL_DOMAIN_MAX);
        ask_about(ports[i].longest + 1, ports[i].port, name);
        assert_string_equal(name, "");
        ask_about(DNS_NAME_MAX, ports[i].port, name);
        assert_string_equal(name, "");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_in_the_order_of_rfc_7672_and_never_more),
        cmocka_unit_test(a_host_without_addresses_is_not_asked_about),
        cmocka_unit_test(the_longest_names_have_no_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
