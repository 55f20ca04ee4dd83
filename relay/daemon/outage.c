#include "relay/daemon/outage.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct place {
    UT_hash_handle hh; /* in the order in which they failed */
    char name[ADDR_TEXT_SIZE];
    int64_t until_ms;
};

struct family {
    unsigned failures; /* of different addresses, in a row */
    char last[ADDR_TEXT_SIZE];
    int64_t until_ms; /* 0: it works, as far as is known */
};

struct outage {
    struct place *places;
    struct family four, six;
};

struct outage *
outage_new(void)
{
    return mem_new(struct outage);
}

static void
forget(struct outage *o, struct place *p)
{
    HASH_DEL(o->places, p);
    free(p);
}

void
outage_free(struct outage **slot)
{
    struct outage *o = take(slot);
    struct place *p, *next;

    if (!o)
        return;
    HASH_ITER(hh, o->places, p, next)
    {
        forget(o, p);
    }
    free(o);
}

static struct family *
family_of(struct outage *o, const struct addr *a)
{
    return a->any.sa_family == AF_INET6 ? &o->six : &o->four;
}

static struct place *
find(const struct outage *o, const char *name)
{
    struct place *p;

    HASH_FIND_STR(o->places, name, p);
    return p;
}

static void
note_failure(struct outage *o, struct family *f, const char *name,
             int64_t now_ms)
{
    struct place *p = find(o, name);

    if (p)
        HASH_DEL(o->places, p);
    else
        p = mem_new(struct place);
    (void)snprintf(p->name, sizeof(p->name), "%s", name);
    p->until_ms = now_ms + OUTAGE_MS;
    HASH_ADD_STR(o->places, name, p);
    if (HASH_COUNT(o->places) > OUTAGE_MAX)
        forget(o, o->places);
    if (strcmp(f->last, name) != 0)
        f->failures++;
    (void)snprintf(f->last, sizeof(f->last), "%s", name);
    if (f->failures >= OUTAGE_FAMILY_MAX)
        f->until_ms = now_ms + OUTAGE_MS;
}

void
outage_note(struct outage *o, const struct addr *a, bool is_connected,
            int64_t now_ms)
{
    char name[ADDR_TEXT_SIZE];
    struct family *f = family_of(o, a);
    struct place *p;

    (void)addr_text_port(a, name);
    if (!is_connected) {
        note_failure(o, f, name, now_ms);
        return;
    }
    p = find(o, name);
    if (p)
        forget(o, p);
    *f = (struct family){0};
}

/* At the end of a while its one attempt begins another. */
static bool
is_within(int64_t *until_ms, int64_t now_ms)
{
    if (*until_ms == 0)
        return false;
    if (now_ms < *until_ms)
        return true;
    *until_ms = now_ms + OUTAGE_MS;
    return false;
}

bool
outage_is_out(struct outage *o, const struct addr *a, int64_t now_ms)
{
    char name[ADDR_TEXT_SIZE];
    struct place *p = find(o, addr_text_port(a, name));

    if (p)
        return is_within(&p->until_ms, now_ms);
    return is_within(&family_of(o, a)->until_ms, now_ms);
}
