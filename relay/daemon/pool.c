#include "relay/daemon/pool.h"

#include "relay/base/mem.h"

#include <stdlib.h>
#include <sys/queue.h>

enum { GOODBYE_MS = 2000 }; /* for QUIT to go out */

struct idle {
    TAILQ_ENTRY(idle) link;
    struct pool *pool;
    char *key;
    struct net_conn *conn;
    struct smtp_client *smtp;
    unsigned messages;
};

struct pool {
    struct worker *worker;
    TAILQ_HEAD(idle_list, idle) all; /* the longest idle first */
    size_t count;
};

static void
detach(struct idle *i)
{
    TAILQ_REMOVE(&i->pool->all, i, link);
    i->pool->count--;
    free(i->key);
    free(i);
}

static void
end(struct idle *i, bool politely)
{
    if (politely) {
        smtp_client_quit(i->smtp);
        net_conn_send(i->conn, smtp_client_output(i->smtp));
    }
    net_conn_close(&i->conn, politely ? GOODBYE_MS : 0);
    smtp_client_free(&i->smtp);
    detach(i);
}

/* Whatever a server says while it was asked nothing, 421 mostly. */
static size_t
on_input(void *ctx, struct slice in)
{
    end(ctx, false);
    return in.len;
}

static void
on_late(void *ctx)
{
    end(ctx, true);
}

static void
on_ended(void *ctx, const struct err *err)
{
    (void)err;
    end(ctx, false);
}

static void
on_drained(void *ctx)
{
    (void)ctx;
}

static const struct net_conn_events events = {
    .input = on_input,
    .late = on_late,
    .ended = on_ended,
    .drained = on_drained,
};

void
pool_put(struct pool *p, const char *key, struct net_conn **conn,
         struct smtp_client **smtp, unsigned messages)
{
    struct idle *i = mem_new(struct idle);

    i->pool = p;
    i->key = mem_text(key);
    i->conn = take(conn);
    i->smtp = take(smtp);
    i->messages = messages;
    TAILQ_INSERT_TAIL(&p->all, i, link);
    p->count++;
    net_conn_own(i->conn, &events, i);
    net_conn_limit(i->conn, POOL_IDLE_MS);
    if (p->count > POOL_MAX)
        end(TAILQ_FIRST(&p->all), true);
}

/* The one used last: the others may go when there are too many. */
bool
pool_take(struct pool *p, const char *key, struct net_conn **conn,
          struct smtp_client **smtp, unsigned *messages)
{
    struct idle *i;

    TAILQ_FOREACH_REVERSE(i, &p->all, idle_list, link)
    {
        if (strcmp(i->key, key) != 0)
            continue;
        *conn = take(&i->conn);
        *smtp = take(&i->smtp);
        *messages = i->messages;
        detach(i);
        return true;
    }
    return false;
}

void
pool_empty(struct pool *p)
{
    while (!TAILQ_EMPTY(&p->all))
        end(TAILQ_FIRST(&p->all), true);
}

struct pool *
pool_new(struct worker *w)
{
    struct pool *p = mem_new(struct pool);

    p->worker = w;
    TAILQ_INIT(&p->all);
    return p;
}

void
pool_free(struct pool **place)
{
    struct pool *p = take(place);

    if (!p)
        return;
    pool_empty(p);
    free(p);
}
