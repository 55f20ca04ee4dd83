#include "policy/dane.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { DATA = 70000 };

/* A record of `len` octets that begin as DER would have it. */
static struct policy_dane_record
record(unsigned usage, unsigned selector, unsigned matching, size_t len)
{
    static uint8_t data[DATA];

    data[0] = 0x30;
    data[1] = (uint8_t)(len - 2);
    return (struct policy_dane_record){
        .usage = (uint8_t)usage,
        .selector = (uint8_t)selector,
        .matching = (uint8_t)matching,
        .data = data,
        .len = len,
    };
}

/* RFC 6698 section 2.1, RFC 7672 section 3.1 */
static bool
is_expected(unsigned usage, unsigned selector, unsigned matching, size_t len)
{
    if (usage != 2 && usage != 3)
        return false;
    if (selector > 1)
        return false;
    return (matching == 0 && len > 2 && len < 130) ||
           (matching == 1 && len == 32) || (matching == 2 && len == 64);
}

static void
only_what_can_match_is_usable(void **state)
{
    static const unsigned usages[] = {0, 1, 2, 3, 4, 255};
    static const unsigned selectors[] = {0, 1, 2, 255};
    static const unsigned matchings[] = {0, 1, 2, 3, 255};
    size_t usable = 0;

    (void)state;
    for (size_t i = 0; i < 6 * 4 * 5 * 130; i++) {
        size_t len = i / (6 * 4 * 5);
        unsigned u = usages[i % 6], s = selectors[i / 6 % 4],
                 m = matchings[i / 24 % 5];
        struct policy_dane_record r = record(u, s, m, len);

        if (policy_dane_is_usable(&r) != is_expected(u, s, m, len))
            fail_msg("%u %u %u of %zu octets", u, s, m, len);
        usable += policy_dane_is_usable(&r);
    }
    assert_int_equal(usable, 2 * 2 * (127 + 1 + 1));
}

/* The lengths of RDATA that break other readers, less its three octets. */
static void
odd_lengths_are_unusable(void **state)
{
    static const size_t lengths[] = {0, 1, 19, 31, 33, 62, 63, 65, 64997};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct policy_dane_record r = record(3, 1, 1, lengths[i]);

        assert_false(policy_dane_is_usable(&r));
        r.matching = 2;
        assert_false(policy_dane_is_usable(&r));
    }
}

static const struct {
    uint8_t head[6];
    size_t len;
    bool is_usable;
} sequences[] = {
    {{0x30, 1, 0}, 3, true},
    {{0x30, 0x7f}, 129, true},
    {{0x30, 0x81, 0x80}, 3 + 128, true},
    {{0x30, 0x81, 0xff}, 3 + 255, true},
    {{0x30, 0x82, 1, 0}, 4 + 256, true},
    {{0x30, 0x82, 0xff, 0xff}, 4 + 65535, true},
    {{0x30, 0x83, 1, 0, 0}, 5 + 65536, true},

    {{0}, 0, false},
    {{0x30}, 1, false},
    {{0x30, 0}, 2, false},
    {{0x30, 1}, 2, false},
    {{0x30, 1, 0, 0}, 4, false},                      /* something behind it */
    {{0x30, 2, 0}, 3, false},                         /* cut */
    {{0x31, 1, 0}, 3, false},                         /* a set */
    {{0x10, 1, 0}, 3, false},                         /* not constructed */
    {{0x30, 0x80, 0, 0}, 4, false},                   /* without a length */
    {{0x30, 0x80}, 2, false},                         /* the same, cut */
    {{0x30, 0x81}, 2, false},                         /* cut in the length */
    {{0x30, 0x81, 0x80}, 3, false},                   /* cut behind it */
    {{0x30, 0x81, 0x80}, 3 + 129, false},             /* something behind it */
    {{0x30, 0x81, 0x7f}, 3 + 127, false},             /* shorter would do */
    {{0x30, 0x82, 0, 0xff}, 4 + 255, false},          /* the same */
    {{0x30, 0x82, 0xff}, 3, false},                   /* cut in the length */
    {{0x30, 0x84, 1, 0, 0, 0}, 6 + 1000, false},      /* more than a message */
    {{0x30, 0xff, 0xff, 0xff, 0xff, 0xff}, 6, false}, /* the same */
};

static void
a_full_value_is_one_sequence(void **state)
{
    static uint8_t data[DATA];

    (void)state;
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        struct policy_dane_record r = {.usage = 2, .len = sequences[i].len};

        /* Of exactly that size, so that a look behind the end is seen. */
        memset(data, 0, sizeof(data));
        memcpy(data, sequences[i].head, sizeof(sequences[i].head));
        r.data = (uint8_t *)mem_copy((struct slice){(char *)data, r.len});
        if (policy_dane_is_usable(&r) != sequences[i].is_usable)
            fail_msg("case %zu", i);
        own_free(&r.data);
    }
}

/* "311 312": a record each, of usage, selector and matching, well formed; a
 * small letter behind one makes it malformed. */
static void
read_set(const char *text, struct policy_dane_set *out)
{
    for (const char *p = text; *p; p += strcspn(p, " "), p += *p == ' ') {
        unsigned m = (unsigned)(p[2] - '0');
        size_t len = m == 0 ? 40 : m == 1 ? 32 : 64;
        struct policy_dane_record from =
            record((unsigned)(p[0] - '0'), (unsigned)(p[1] - '0'), m,
                   len - (p[3] == 'x'));
        struct dns_record r = {.tlsa = {from.usage, from.selector,
                                        from.matching, from.data, from.len}};
        struct dns_answer one = {.records = &r, .count = 1};

        policy_dane_add(out, &one);
    }
}

static const struct {
    const char *from, *want;
} choices[] = {
    {"", ""},
    {"311", "311"},
    {"011 111 411 321 313 911", ""},
    {"011 311 111 211", "311 211"},
    /* RFC 7671 section 9: within one usage and selector */
    {"311 312", "312"},
    {"312 311", "312"},
    {"311 302", "311 302"},
    {"311 212", "311 212"},
    {"311 312 311 301 302 211", "312 302 211"},
    {"310 311", "310 311"},
    {"311 310 312", "310 312"},
    {"310", "310"},
    /* what can't match puts nothing out */
    {"311 312x", "311"},
    {"311x 312x", ""},
    {"311 313", "311"},
    {"311 012", "311"},
};

static void
the_strongest_usable_digests_are_chosen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        struct policy_dane_set from scoped(policy_dane_done) = {0};
        struct policy_dane_set to scoped(policy_dane_done) = {0};
        struct buf got scoped(buf_free) = {0};

        read_set(choices[i].from, &from);
        policy_dane_choose(&from, &to);
        for (size_t n = 0; n < to.count; n++) {
            const struct policy_dane_record *r = &to.records[n];

            assert_true(policy_dane_is_usable(r));
            buf_printf(&got, "%s%u%u%u", n ? " " : "", r->usage, r->selector,
                       r->matching);
        }
        assert_string_equal(buf_text(&got), choices[i].want);
    }
}

static void
records_beyond_the_limit_are_dropped(void **state)
{
    struct policy_dane_set s scoped(policy_dane_done) = {0};

    (void)state;
    for (size_t i = 0; i < 500; i++)
        read_set(i < POLICY_DANE_RECORDS_MAX ? "311" : "211", &s);
    assert_int_equal(s.count, POLICY_DANE_RECORDS_MAX);
    assert_int_equal(s.records[s.count - 1].usage, 3);
}

static void
a_set_owns_what_it_was_given(void **state)
{
    struct policy_dane_set s scoped(policy_dane_done) = {0};
    uint8_t data[] = {1, 2, 3};
    struct dns_record records[] = {{.tlsa = {3, 1, 1, data, 3}},
                                   {.tlsa = {3, 1, 1, NULL, 0}}};
    struct dns_answer answer = {.records = records, .count = 2};

    (void)state;
    policy_dane_add(&s, &answer);
    data[0] = 9;
    assert_int_equal(s.records[0].data[0], 1);
    assert_int_equal(s.records[1].len, 0);
    policy_dane_done(&s);
    policy_dane_done(&s);
}

static void
check_text(struct policy_dane_record r, const char *want)
{
    struct buf text scoped(buf_free) = {0};

    policy_dane_format(&r, &text);
    assert_string_equal(buf_text(&text), want);
}

static void
a_record_reads_as_in_a_zone_file(void **state)
{
    uint8_t data[] = {0xab, 0x12, 0x00, 0xff};

    (void)state;
    check_text((struct policy_dane_record){3, 1, 1, data, 4}, "3 1 1 ab1200ff");
    check_text((struct policy_dane_record){255, 0, 9, data, 1}, "255 0 9 ab");
    check_text((struct policy_dane_record){0, 0, 0, data, 0}, "0 0 0 ");
}

static const struct {
    const char *base, *next_hop, *expanded, *host, *want;
} names[] = {
    {"mx.example", "a.example", "", "mx.example", "mx.example a.example "},
    {"mx.example", "a.example", "a.example", "mx.example",
     "mx.example a.example "},
    {"real.example", "a.example", "b.example", "mx.example",
     "real.example a.example b.example mx.example "},
    {"real.example", "", "", "mx.example", "real.example mx.example "},
    {"a.example", "A.example", "a.EXAMPLE", "a.example", "a.example "},
};

/* RFC 7672 section 3.2.2 */
static void
reference_names_begin_with_the_base_domain(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct buf got scoped(buf_free) = {0};
        struct policy_dane_names n;

        policy_dane_names(names[i].base, names[i].next_hop, names[i].expanded,
                          names[i].host, &n);
        for (size_t j = 0; j < n.count; j++)
            buf_printf(&got, "%s ", n.text[j]);
        assert_string_equal(buf_text(&got), names[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_can_match_is_usable),
        cmocka_unit_test(odd_lengths_are_unusable),
        cmocka_unit_test(a_full_value_is_one_sequence),
        cmocka_unit_test(the_strongest_usable_digests_are_chosen),
        cmocka_unit_test(records_beyond_the_limit_are_dropped),
        cmocka_unit_test(a_set_owns_what_it_was_given),
        cmocka_unit_test(a_record_reads_as_in_a_zone_file),
        cmocka_unit_test(reference_names_begin_with_the_base_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
