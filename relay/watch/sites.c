#include "relay/watch/sites.h"

#include "relay/base/addr.h"
#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

struct candidate {
    char name[SITES_NAME_SIZE];
    unsigned count; /* 0: the place is free */
};

struct known {
    UT_hash_handle hh;
    char *destination;
    const char *site;
};

struct sites {
    char name[SITES_MAX][SITES_NAME_SIZE];
    size_t count;
    struct candidate candidate[SITES_CANDIDATES];
    struct known *known; /* uthash; the oldest first */
};

/* --- names --- */

static const char *
label_before(const char *host, const char *end)
{
    while (end > host && end[-1] != '.')
        end--;
    return end;
}

/* "co.uk" and its like: where registries sell names below a short one. */
static bool
is_registry(const char *second, const char *top, size_t top_len)
{
    return top_len == 2 && top - second <= 4;
}

/* No name of a host ends in a digit, and none has a colon. */
static bool
is_address(const char *host, const char *end)
{
    struct addr addr;
    struct err err;

    return end > host &&
           (isdigit((unsigned char)end[-1]) || strchr(host, ':')) &&
           addr_parse(slice_of(host), &addr, &err);
}

const char *
sites_name(const char *host, char out[SITES_NAME_SIZE])
{
    const char *end = host + strlen(host), *top, *second, *start;
    size_t n = 0;

    if (is_address(host, end))
        return "address";
    if (end > host && end[-1] == '.')
        end--;
    top = start = label_before(host, end);
    if (top > host) {
        second = start = label_before(host, top - 1);
        if (second > host && is_registry(second, top, (size_t)(end - top)))
            start = label_before(host, second - 1);
    }
    for (; start + n < end && n < SITES_NAME_SIZE - 1; n++)
        out[n] = (char)tolower((unsigned char)start[n]);
    out[n] = '\0';
    return out;
}

/* --- who has a name --- */

static const char *
find_named(const struct sites *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->name[i], name) == 0)
            return s->name[i];
    return NULL;
}

static const char *
add_named(struct sites *s, const char *name)
{
    (void)snprintf(s->name[s->count], SITES_NAME_SIZE, "%s", name);
    return s->name[s->count++];
}

/* Those that come often stay, as each that finds no place costs all others
 * one (Misra and Gries). */
static struct candidate *
stand(struct sites *s, const char *name)
{
    struct candidate *empty = NULL;

    for (size_t i = 0; i < SITES_CANDIDATES; i++) {
        struct candidate *c = &s->candidate[i];

        if (c->count > 0 && strcmp(c->name, name) == 0)
            return c;
        if (c->count == 0)
            empty = c;
    }
    if (empty) {
        (void)snprintf(empty->name, sizeof(empty->name), "%s", name);
        return empty;
    }
    for (size_t i = 0; i < SITES_CANDIDATES; i++)
        s->candidate[i].count--;
    return NULL;
}

static const char *
count(struct sites *s, const char *name)
{
    const char *named = find_named(s, name);
    struct candidate *c;

    if (named || s->count == SITES_MAX)
        return named ? named : SITES_OTHER;
    if (s->count < SITES_FIRST)
        return add_named(s, name);
    c = stand(s, name);
    if (!c || ++c->count < SITES_EARN)
        return SITES_OTHER;
    c->count = 0;
    return add_named(s, name);
}

/* --- where destinations lead --- */

static void
drop(struct sites *s, struct known *k)
{
    HASH_DEL(s->known, k);
    free(k->destination);
    free(k);
}

static void
remember(struct sites *s, const char *destination, const char *site)
{
    struct known *k;

    HASH_FIND_STR(s->known, destination, k);
    if (k) {
        k->site = site;
        return;
    }
    if (HASH_COUNT(s->known) >= SITES_KNOWN_MAX)
        drop(s, s->known);
    k = mem_new(struct known);
    k->destination = mem_text(destination);
    k->site = site;
    HASH_ADD_KEYPTR(hh, s->known, k->destination, strlen(k->destination), k);
}

const char *
sites_find(const struct sites *s, const char *destination)
{
    const struct known *k;

    HASH_FIND_STR(s->known, destination, k);
    return k ? k->site : SITES_NONE;
}

const char *
sites_count(struct sites *s, const char *destination, const char *host)
{
    char name[SITES_NAME_SIZE];
    const char *site;

    if (!host)
        return SITES_NONE;
    site = count(s, sites_name(host, name));
    remember(s, destination, site);
    return site;
}

struct sites *
sites_new(void)
{
    return mem_new(struct sites);
}

void
sites_free(struct sites **place)
{
    struct sites *s = take(place);

    if (!s)
        return;
    while (s->known)
        drop(s, s->known);
    free(s);
}
