#include "relay/daemon/trust.h"

#include "relay/base/mem.h"

#include <stdlib.h>

struct anchored {
    char *file;
    struct net_tls *tls;
};

struct trust {
    struct anchored *rows; /* sorted by file */
    size_t count;
    struct net_tls *nobody;
};

static int
by_file(const void *a, const void *b)
{
    const struct anchored *x = a, *y = b;

    return strcmp(x->file, y->file);
}

static const struct anchored *
find(const struct trust *t, const char *file)
{
    size_t from = 0, to = t->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(file, t->rows[middle].file);

        if (order == 0)
            return &t->rows[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

static void
add(struct trust *t, const char *file)
{
    if (file[0])
        t->rows[t->count++].file = mem_text(file);
}

static void
drop_twins(struct trust *t)
{
    size_t kept = 0;

    if (t->count > 0)
        qsort(t->rows, t->count, sizeof(*t->rows), by_file);
    for (size_t i = 0; i < t->count; i++) {
        if (kept > 0 && by_file(&t->rows[kept - 1], &t->rows[i]) == 0)
            free(t->rows[i].file);
        else
            t->rows[kept++] = t->rows[i];
    }
    t->count = kept;
}

struct trust *
trust_new(const struct config *c, struct err *err)
{
    struct trust *t scoped(trust_free) = mem_new(struct trust);

    t->rows = mem_array(struct anchored, c->domain_count + c->route_count + 1);
    for (size_t i = 0; i < c->domain_count; i++)
        add(t, c->domain[i].anchors);
    for (size_t i = 0; i < c->route_count; i++)
        add(t, c->route[i].anchors);
    drop_twins(t);
    for (size_t i = 0; i < t->count; i++) {
        t->rows[i].tls = net_tls_client_of(t->rows[i].file, err);
        if (!t->rows[i].tls)
            return NULL;
    }
    t->nobody = net_tls_client_of("", err);
    return t->nobody ? take(&t) : NULL;
}

struct trust *
trust_like(const struct trust *other)
{
    struct trust *t = mem_new(struct trust);

    t->rows = mem_array(struct anchored, other->count + 1);
    for (; t->count < other->count; t->count++) {
        t->rows[t->count].file = mem_text(other->rows[t->count].file);
        t->rows[t->count].tls = net_tls_client_like(other->rows[t->count].tls);
    }
    t->nobody = net_tls_client_like(other->nobody);
    return t;
}

void
trust_free(struct trust **place)
{
    struct trust *t = take(place);

    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++) {
        free(t->rows[i].file);
        net_tls_free(&t->rows[i].tls);
    }
    net_tls_free(&t->nobody);
    free(t->rows);
    free(t);
}

struct net_tls *
trust_find(const struct trust *t, const char *anchors)
{
    const struct anchored *row = find(t, anchors);

    return row ? row->tls : t->nobody;
}
