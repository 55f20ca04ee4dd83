#include "relay/daemon/sender_shelf.h"

#include "relay/base/mem.h"
#include "relay/config/raw.h"
#include "relay/net/timer.h"
#include "relay/net/work.h"

#include <stdlib.h>
#include <sys/stat.h>

/* Which file it was, and in which state; zeroed: none. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct sender_shelf {
    struct relay *relay;
    struct net_timer *timer;
    struct net_work *work;
    char *path;
    struct stamp seen;
    uv_mutex_t lock; /* of the map */
    struct mail_sender_map *map;
};

struct look {
    struct net_work_load load;
    char *path;
    struct stamp seen;
    bool is_changed;
    struct mail_sender_map *map; /* NULL: why is in err */
    struct err err;
};

static struct stamp
stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct stamp){0};
    return (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_ctim};
}

static bool
is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static void
run_look(struct net_work_load *load)
{
    struct look *x = own_container(load, struct look, load);
    struct stamp now = stamp_of(x->path);
    struct buf text scoped(buf_free) = {0};

    x->is_changed = !is_same(&now, &x->seen);
    x->seen = now;
    if (x->is_changed &&
        config_read_text(x->path, MAIL_SENDER_MAP_MAX, &text, &x->err))
        x->map = mail_sender_map_parse(buf_slice(&text), &x->err);
}

static void
drop_look(struct net_work_load *load)
{
    struct look *x = own_container(load, struct look, load);

    mail_sender_map_free(&x->map);
    free(x->path);
    free(x);
}

static void
say_change(const struct sender_shelf *s, const struct look *x)
{
    struct log_line line;

    log_begin(&line, s->relay->log, x->map ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
              "sender_map");
    log_text(&line, "file", x->path);
    log_text(&line, "result", x->map ? "changed" : "kept");
    log_text(&line, "reason", x->map ? NULL : x->err.text);
    log_end(&line);
}

static void
put(struct sender_shelf *s, struct mail_sender_map *map)
{
    struct mail_sender_map *old;

    uv_mutex_lock(&s->lock);
    old = s->map;
    s->map = map;
    uv_mutex_unlock(&s->lock);
    mail_sender_map_free(&old);
}

static void
looked(void *ctx, struct net_work_load *load)
{
    struct look *x = own_container(load, struct look, load);
    struct sender_shelf *s = ctx;

    s->seen = x->seen;
    if (x->is_changed)
        say_change(s, x);
    if (x->map)
        put(s, take(&x->map));
    net_timer_set(s->timer, SENDER_SHELF_LOOK_MS);
}

static void
tick(void *ctx)
{
    struct sender_shelf *s = ctx;
    struct look *x = mem_new(struct look);

    x->load.run = run_look;
    x->load.drop = drop_look;
    x->path = mem_text(s->path);
    x->seen = s->seen;
    net_work_start(&s->work, &s->relay->loop, &x->load, looked, s);
}

void
sender_shelf_configure(struct sender_shelf *s)
{
    struct config *c = s->relay->config;
    const char *path = c->rewrite.sender_map;

    net_work_cancel(&s->work);
    net_timer_stop(s->timer);
    free(s->path);
    s->path = mem_text(path);
    s->seen = stamp_of(path);
    put(s, take(&c->rewrite.senders));
    if (path[0])
        net_timer_set(s->timer, SENDER_SHELF_LOOK_MS);
}

struct sender_shelf *
sender_shelf_new(struct relay *relay)
{
    struct sender_shelf *s = mem_new(struct sender_shelf);

    s->relay = relay;
    if (uv_mutex_init(&s->lock) != 0)
        abort();
    s->timer = net_timer_new(&relay->loop, tick, s);
    sender_shelf_configure(s);
    return s;
}

void
sender_shelf_free(struct sender_shelf **place)
{
    struct sender_shelf *s = take(place);

    if (!s)
        return;
    net_work_cancel(&s->work);
    net_timer_free(&s->timer);
    mail_sender_map_free(&s->map);
    uv_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

const struct mail_sender_map *
sender_shelf_borrow(struct sender_shelf *s)
{
    uv_mutex_lock(&s->lock);
    return s->map;
}

void
sender_shelf_put_back(struct sender_shelf *s)
{
    uv_mutex_unlock(&s->lock);
}
