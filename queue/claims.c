#include "queue/claims.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"

#include <stdlib.h>

struct entry {
    uint64_t key;
    struct queue_claim claim;
    UT_hash_handle hh;
};

/* What was there before a change. */
struct change {
    struct queue_claim before;
    bool was_there;
};

struct queue_claims {
    struct entry *entries;
    size_t count[QUEUE_STATE_ACTIVE + 1];
    struct queue_share led[QUEUE_STATE_ACTIVE + 1];
    bool in_transaction;
    struct change *changes;
    size_t change_count, change_cap;
};

/* Numbers are checked to be small where rows are written and read. */
static uint64_t
key_of(uint64_t id, uint32_t number)
{
    return id << 14 | number;
}

struct queue_claims *
queue_claims_new(void)
{
    return mem_new(struct queue_claims);
}

void
queue_claims_free(struct queue_claims **place)
{
    struct queue_claims *c = *place;
    struct entry *e, *next;

    *place = NULL;
    if (!c)
        return;
    HASH_ITER(hh, c->entries, e, next)
    {
        HASH_DEL(c->entries, e);
        free(e);
    }
    free(c->changes);
    free(c);
}

static struct entry *
find(const struct queue_claims *c, uint64_t id, uint32_t number)
{
    uint64_t key = key_of(id, number);
    struct entry *e;

    HASH_FIND(hh, c->entries, &key, sizeof(key), e);
    return e;
}

const struct queue_claim *
queue_claims_find(const struct queue_claims *c, uint64_t id, uint32_t number)
{
    const struct entry *e = find(c, id, number);

    return e ? &e->claim : NULL;
}

size_t
queue_claims_count(const struct queue_claims *c, enum queue_state state)
{
    return c->count[state];
}

const struct queue_share *
queue_claims_led(const struct queue_claims *c, enum queue_state state)
{
    return &c->led[state];
}

static void
count_in(struct queue_claims *c, const struct queue_claim *claim)
{
    if (claim->is_bad)
        return;
    c->count[claim->state]++;
    if (claim->leads)
        queue_share_add(&c->led[claim->state], claim->size);
}

static void
count_out(struct queue_claims *c, const struct queue_claim *claim)
{
    if (claim->is_bad)
        return;
    c->count[claim->state]--;
    if (claim->leads)
        queue_share_take(&c->led[claim->state], claim->size);
}

static void
put(struct queue_claims *c, struct entry *e, const struct queue_claim *claim)
{
    if (e) {
        count_out(c, &e->claim);
    } else {
        e = mem_new(struct entry);
        e->key = key_of(claim->id, claim->number);
        HASH_ADD(hh, c->entries, key, sizeof(e->key), e);
    }
    e->claim = *claim;
    count_in(c, &e->claim);
}

static void
drop(struct queue_claims *c, struct entry *e)
{
    count_out(c, &e->claim);
    HASH_DEL(c->entries, e);
    free(e);
}

/* A bad row stays bad, whatever becomes of the transaction that met it. */
static void
note(struct queue_claims *c, const struct entry *e, uint64_t id,
     uint32_t number)
{
    struct change change = {.before = {.id = id, .number = number}};

    if (!c->in_transaction)
        return;
    if (e) {
        change.before = e->claim;
        change.was_there = true;
    }
    if (c->change_count == c->change_cap) {
        c->change_cap = c->change_cap ? c->change_cap * 2 : 64;
        c->changes =
            mem_resized(c->changes, c->change_cap, sizeof(*c->changes));
    }
    c->changes[c->change_count++] = change;
}

void
queue_claims_put(struct queue_claims *c, const struct queue_claim *claim)
{
    struct entry *e = find(c, claim->id, claim->number);

    if (!claim->is_bad)
        note(c, e, claim->id, claim->number);
    put(c, e, claim);
}

void
queue_claims_drop(struct queue_claims *c, uint64_t id, uint32_t number)
{
    struct entry *e = find(c, id, number);

    if (!e)
        return;
    note(c, e, id, number);
    drop(c, e);
}

void
queue_claims_begin(struct queue_claims *c)
{
    c->in_transaction = true;
}

void
queue_claims_commit(struct queue_claims *c)
{
    c->in_transaction = false;
    c->change_count = 0;
}

void
queue_claims_rollback(struct queue_claims *c)
{
    while (c->change_count > 0) {
        const struct change *change = &c->changes[--c->change_count];
        const struct queue_claim *before = &change->before;
        struct entry *e = find(c, before->id, before->number);

        if (change->was_there)
            put(c, e, before);
        else if (e && !e->claim.is_bad)
            drop(c, e);
    }
    c->in_transaction = false;
}
