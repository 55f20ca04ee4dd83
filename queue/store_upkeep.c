#include "queue/store_inside.h"
#include "queue/sum.h"

#include "relay/base/mem.h"

#include <stdlib.h>

/* --- a clock that jumped --- */

static bool
next_name(struct queue_store *s, const char *after, char **name,
          struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_NEXT_NAME,
                        "SELECT destination FROM recipient"
                        " INDEXED BY recipient_due WHERE destination > ?"
                        " ORDER BY destination LIMIT 1");
    bool row;

    db_bind_text(st, 1, after);
    if (!db_step(st, &row, err))
        return false;
    *name = row ? mem_text(db_text(st, 0)) : NULL;
    db_reset(st);
    return true;
}

bool
queue_store_unjam(struct queue_store *s, int64_t now_ms, int64_t latest_ms,
                  int64_t first_ms, struct err *err)
{
    scoped(own_free) char *name = mem_text("");

    for (;;) {
        scoped(own_free) char *last = take(&name);
        struct db_statement *st;

        if (!next_name(s, last, &name, err))
            return false;
        if (!name)
            return true;
        /* Claimed rows were due once; to move them does no harm. */
        st = queue_store_use(s, QUEUE_ST_RCPT_UNJAM,
                             "UPDATE recipient INDEXED BY recipient_due"
                             " SET next_ms = ?1 WHERE destination = ?2"
                             " AND next_ms > ?3 AND next_ms < ?4"
                             " AND (attempts > 0 OR next_ms > ?5)");
        db_bind_int(st, 1, now_ms);
        db_bind_text(st, 2, name);
        db_bind_int(st, 3, latest_ms);
        db_bind_int(st, 4, QUEUE_NEVER_MS);
        db_bind_int(st, 5, first_ms);
        if (!db_run(st, err))
            return false;
    }
}

/* --- routes that changed --- */

static const char FINGERPRINT[] = "routes";

/* A recipient that goes elsewhere from now on. */
struct move {
    uint64_t id;
    uint32_t number;
    char *destination;
    uint64_t sum;
};

struct moves {
    struct move *list;
    size_t count;
    uint64_t id; /* the row read last */
    int64_t number;
    bool end;
};

static void
moves_clear(struct moves *m)
{
    while (m->count > 0)
        free(m->list[--m->count].destination);
}

static void
moves_done(struct moves *m)
{
    moves_clear(m);
    own_free(&m->list);
}

/* The row's destination by the new routes, when it is another; a row that is
 * damaged is left for whoever is to deliver it to find. */
static void
consider(struct queue_store *s, struct moves *m, struct db_statement *st,
         queue_route_fn *route, void *ctx)
{
    const char *from = db_text(st, 2), *old = db_text(st, 3), *to;
    scoped(own_free) char *address = mem_text(db_text(st, 4));
    scoped(own_free) char *domain = mem_text(db_text(st, 5));
    scoped(own_free) char *orcpt = mem_text(db_text(st, 6));
    struct mail_rcpt r = {.address = address,
                          .domain = domain,
                          .orcpt = orcpt,
                          .notify = (uint8_t)db_int(st, 7)};
    uint32_t number = (uint32_t)m->number;

    if (queue_claims_find(s->claims, m->id, number) || !from || !old ||
        !address || !domain ||
        (uint64_t)db_int(st, 8) != queue_store_rcpt_sum(m->id, number, &r, old))
        return;
    to =
        strcmp(old, QUEUE_ENDED) == 0 ? old : route(ctx, from, address, domain);
    if (!to || strcmp(to, old) == 0)
        return;
    m->list[m->count++] =
        (struct move){m->id, number, mem_text(to),
                      queue_store_rcpt_sum(m->id, number, &r, to)};
}

static bool
find_moves(struct queue_store *s, struct moves *m, queue_route_fn *route,
           void *ctx, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_ROUTES,
        "SELECT r.message, r.number, m.sender, r.destination, r.address,"
        " r.domain, r.orcpt, r.notify, r.sum"
        " FROM recipient AS r CROSS JOIN message AS m ON m.id = r.message"
        " WHERE (r.message, r.number) > (?1, ?2)"
        " ORDER BY r.message, r.number");
    bool row;

    db_bind_int(st, 1, (int64_t)m->id);
    db_bind_int(st, 2, m->number);
    for (size_t n = 0; n < QUEUE_PAGE; n++) {
        if (!db_step(st, &row, err))
            return false;
        m->end = !row;
        if (m->end)
            break;
        m->id = (uint64_t)db_int(st, 0);
        m->number = db_int(st, 1);
        consider(s, m, st, route, ctx);
    }
    db_reset(st);
    return true;
}

bool
queue_store_move(struct queue_store *s, uint64_t id, uint32_t number,
                 const char *destination, uint64_t sum, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RCPT_ROUTE,
                        "UPDATE recipient SET destination = ?3, sum = ?4"
                        " WHERE message = ?1 AND number = ?2");

    db_bind_int(st, 1, (int64_t)id);
    db_bind_int(st, 2, number);
    db_bind_text(st, 3, destination);
    db_bind_int(st, 4, (int64_t)sum);
    return db_run(st, err);
}

static bool
make_move(struct queue_store *s, const struct move *move, struct err *err)
{
    return queue_store_move(s, move->id, move->number, move->destination,
                            move->sum, err);
}

bool
queue_store_reroute(struct queue_store *s, const char *fingerprint,
                    queue_route_fn *route, void *ctx, struct err *err)
{
    scoped(moves_done) struct moves moves = {
        .list = mem_array(struct move, QUEUE_PAGE), .number = -1};
    scoped(own_free) char *last = NULL;

    if (!queue_store_meta_get(s, FINGERPRINT, &last, err))
        return false;
    if (last && strcmp(last, fingerprint) == 0)
        return true;
    while (!moves.end) {
        if (!find_moves(s, &moves, route, ctx, err))
            return false;
        for (size_t i = 0; i < moves.count; i++)
            if (!make_move(s, &moves.list[i], err))
                return false;
        moves_clear(&moves);
    }
    return queue_store_meta_put(s, FINGERPRINT, fingerprint, err);
}
