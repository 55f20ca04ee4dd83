/* TLSA sets: what is chosen out of any records keeps the promises of
 * policy/dane.h, is chosen again out of itself, and can be printed. */
#include "policy/dane.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Records are three numbers, a length in two octets, and the data. */
static void
read_set(struct slice in, struct policy_dane_set *out)
{
    while (in.len >= 5) {
        const uint8_t *p = (const uint8_t *)in.p;
        struct slice body =
            slice_first(slice_from(in, 5), (size_t)(p[3] << 8 | p[4]));
        char *copy = mem_copy(body);
        struct dns_record r = {
            .tlsa = {p[0], p[1], p[2], (uint8_t *)copy, body.len}};
        struct dns_answer one = {.records = &r, .count = 1};

        policy_dane_add(out, &one);
        free(copy);
        in = slice_from(in, 5 + body.len);
    }
}

static bool
is_kin(const struct policy_dane_record *a, const struct policy_dane_record *b)
{
    return a->usage == b->usage && a->selector == b->selector;
}

static void
check_chosen(const struct policy_dane_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct policy_dane_record *a = &s->records[i];

        assert(a->usage == 2 || a->usage == 3);
        assert(a->selector <= 1 && a->matching <= 2);
        assert(a->matching != 1 || a->len == 32);
        assert(a->matching != 2 || a->len == 64);
        for (size_t j = 0; j < s->count; j++) {
            const struct policy_dane_record *b = &s->records[j];

            assert(!is_kin(a, b) || a->matching == 0 || b->matching == 0 ||
                   a->matching == b->matching);
        }
    }
}

static bool
is_same(const struct policy_dane_record *a, const struct policy_dane_record *b)
{
    return is_kin(a, b) && a->matching == b->matching && a->len == b->len &&
           memcmp(a->data, b->data, a->len) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_dane_set from = {0}, to = {0}, again = {0};
    struct buf text = {0};
    bool has_usable = false;

    read_set((struct slice){(const char *)data, size}, &from);
    assert(from.count <= POLICY_DANE_RECORDS_MAX);
    for (size_t i = 0; i < from.count; i++) {
        has_usable |= policy_dane_is_usable(&from.records[i]);
        policy_dane_format(&from.records[i], &text);
    }
    policy_dane_choose(&from, &to);
    assert((to.count > 0) == has_usable);
    check_chosen(&to);
    policy_dane_choose(&to, &again);
    assert(again.count == to.count);
    for (size_t i = 0; i < to.count; i++)
        assert(is_same(&to.records[i], &again.records[i]));
    buf_free(&text);
    policy_dane_done(&from);
    policy_dane_done(&to);
    policy_dane_done(&again);
    return 0;
}
