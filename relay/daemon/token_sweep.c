#include "relay/daemon/token_sweep.h"

#include "relay/base/mem.h"
#include "relay/daemon/token_keeper.h"

#include <stdlib.h>

enum { PAGE = 100 };

struct sweep {
    struct store_call call;
    char **kept; /* names of routes */
    size_t kept_count;
    char *last; /* looked at */
    char *gone[PAGE];
    size_t gone_count, seen;
};

static void
free_page(struct sweep *x)
{
    while (x->gone_count > 0)
        free(x->gone[--x->gone_count]);
    x->seen = 0;
}

static bool
is_kept(const struct sweep *x, const char *route)
{
    for (size_t i = 0; i < x->kept_count; i++)
        if (strcmp(x->kept[i], route) == 0)
            return true;
    return false;
}

static void
look_at(void *ctx, const char *route, struct slice value)
{
    struct sweep *x = ctx;

    (void)value;
    x->seen++;
    free(x->last);
    x->last = mem_text(route);
    if (!is_kept(x, route))
        x->gone[x->gone_count++] = mem_text(route);
}

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct sweep *x = own_container(call, struct sweep, call);

    own_free(&x->last);
    do {
        scoped(own_free) char *after = mem_text(x->last ? x->last : "");

        free_page(x);
        if (!queue_store_shelf_list(store, TOKEN_KEEPER_SHELF, after, INT64_MAX,
                                    PAGE, look_at, x, err))
            return false;
        for (size_t i = 0; i < x->gone_count; i++)
            if (!queue_store_shelf_drop(store, TOKEN_KEEPER_SHELF, x->gone[i],
                                        err))
                return false;
    } while (x->seen == PAGE);
    return true;
}

/* When it failed, the next reload or start tries again. */
static void
done(struct task *task)
{
    struct sweep *x = own_container(task, struct sweep, call.task);

    free_page(x);
    while (x->kept_count > 0)
        free(x->kept[--x->kept_count]);
    free(x->kept);
    free(x->last);
    free(x);
}

void
token_sweep(struct relay *relay)
{
    const struct config *c = relay->config;
    struct sweep *x = mem_new(struct sweep);

    x->kept = mem_array(char *, c->route_count + 1);
    for (size_t i = 0; i < c->route_count; i++)
        if (c->route[i].oauth.token_url[0] != '\0')
            x->kept[x->kept_count++] = mem_text(c->route[i].name);
    x->call.work = work;
    x->call.task.run = done;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}
