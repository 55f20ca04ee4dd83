#include "policy/dane.h"

#include "relay/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    SHA2_256_LEN = 32,
    SHA2_512_LEN = 64,
    DER_SEQUENCE = 0x30,
    DER_LONG = 0x80, /* the length stands in as many octets as follow */
};

static void
add(struct policy_dane_set *to, struct policy_dane_record r)
{
    const uint8_t *data = r.data;

    if (to->count == POLICY_DANE_RECORDS_MAX)
        return;
    if (!to->records)
        to->records =
            mem_array(struct policy_dane_record, POLICY_DANE_RECORDS_MAX);
    r.data = mem_array(uint8_t, r.len + 1);
    if (r.len > 0)
        memcpy(r.data, data, r.len);
    to->records[to->count++] = r;
}

void
policy_dane_add(struct policy_dane_set *to, const struct dns_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        const struct dns_record *r = &answer->records[i];

        add(to, (struct policy_dane_record){
                    .usage = r->tlsa.usage,
                    .selector = r->tlsa.selector,
                    .matching = r->tlsa.matching,
                    .data = r->tlsa.data,
                    .len = r->tlsa.len,
                });
    }
}

void
policy_dane_done(struct policy_dane_set *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->records[i].data);
    free(s->records);
    *s = (struct policy_dane_set){0};
}

/* One DER value that is a sequence with something in it and that ends where
 * the data ends: a certificate and a public key are of that shape (RFC 5280
 * section 4.1). */
static bool
is_sequence(const uint8_t *p, size_t len)
{
    size_t head = 2, inner = 0;

    if (len < head || p[0] != DER_SEQUENCE)
        return false;
    if (p[1] < DER_LONG)
        return p[1] > 0 && p[1] == len - head;
    head += p[1] - DER_LONG;
    if (head == 2 || head > 2 + 3 || len <= head || p[2] == 0)
        return false;
    for (size_t i = 2; i < head; i++)
        inner = inner << 8 | p[i];
    return inner >= DER_LONG && inner == len - head;
}

bool
policy_dane_is_usable(const struct policy_dane_record *r)
{
    if (r->usage != POLICY_DANE_TA && r->usage != POLICY_DANE_EE)
        return false;
    if (r->selector != POLICY_DANE_CERT && r->selector != POLICY_DANE_SPKI)
        return false;
    if (r->matching == POLICY_DANE_FULL)
        return is_sequence(r->data, r->len);
    if (r->matching == POLICY_DANE_SHA2_256)
        return r->len == SHA2_256_LEN;
    return r->matching == POLICY_DANE_SHA2_512 && r->len == SHA2_512_LEN;
}

bool
policy_dane_has_usable(const struct policy_dane_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (policy_dane_is_usable(&s->records[i]))
            return true;
    }
    return false;
}

/* Is there a stronger digest of what this record is a digest of?  One that is
 * unusable does not count, or a mistake would put good records out. */
static bool
is_outdone(const struct policy_dane_set *s, const struct policy_dane_record *r)
{
    if (r->matching == POLICY_DANE_FULL)
        return false;
    for (size_t i = 0; i < s->count; i++) {
        const struct policy_dane_record *other = &s->records[i];

        if (other->usage == r->usage && other->selector == r->selector &&
            other->matching > r->matching && policy_dane_is_usable(other))
            return true;
    }
    return false;
}

void
policy_dane_choose(const struct policy_dane_set *from,
                   struct policy_dane_set *to)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct policy_dane_record *r = &from->records[i];

        if (policy_dane_is_usable(r) && !is_outdone(from, r))
            add(to, *r);
    }
}

void
policy_dane_format(const struct policy_dane_record *r, struct buf *out)
{
    buf_printf(out, "%u %u %u ", r->usage, r->selector, r->matching);
    for (size_t i = 0; i < r->len; i++)
        buf_printf(out, "%02x", r->data[i]);
}

static void
add_name(struct policy_dane_names *to, const char *name)
{
    if (!name[0])
        return;
    for (size_t i = 0; i < to->count; i++) {
        if (strcasecmp(to->text[i], name) == 0)
            return;
    }
    snprintf(to->text[to->count++], sizeof(to->text[0]), "%s", name);
}

void
policy_dane_names(const char *base, const char *next_hop, const char *expanded,
                  const char *host, struct policy_dane_names *out)
{
    out->count = 0;
    add_name(out, base);
    add_name(out, next_hop);
    add_name(out, expanded);
    add_name(out, host);
}
