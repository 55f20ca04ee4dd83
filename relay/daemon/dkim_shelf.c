#include "relay/daemon/dkim_shelf.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"
#include "relay/net/work.h"

#include <stdlib.h>

struct key {
    char *selector, *path;
    struct mail_dkim_key *key;
    struct dkim_stamp seen; /* of the file when it was looked at last */
};

struct domain {
    char *name;
    struct key key[CONFIG_DKIM_KEYS_MAX];
    size_t count;
};

struct dkim_shelf {
    struct relay *relay;
    struct net_timer *timer;
    struct net_work *work;

    uv_mutex_t lock;    /* of what follows; only the main thread changes it, and
                           so reads it without */
    struct domain *all; /* by name */
    size_t count;
};

/* --- the files --------------------------------------------------------- */

/* One file as it was, and what was found. */
struct item {
    struct key *key; /* good as long as the look is not cancelled */
    const char *domain;
    char *path;
    struct dkim_stamp seen;
    struct dkim_file file;
    bool is_changed;
    struct err err; /* when it holds no key */
};

struct look {
    struct net_work_load load;
    struct item *item;
    size_t count;
};

static void
run_look(struct net_work_load *load)
{
    struct look *x = own_container(load, struct look, load);

    for (size_t i = 0; i < x->count; i++) {
        struct item *item = &x->item[i];
        struct dkim_stamp now = dkim_stamp_of(item->path);

        item->is_changed = !dkim_stamp_is_same(&now, &item->seen);
        if (item->is_changed &&
            !dkim_file_read(item->path, &item->file, &item->err))
            item->file.key = NULL;
    }
}

static void
drop_look(struct net_work_load *load)
{
    struct look *x = own_container(load, struct look, load);

    for (size_t i = 0; i < x->count; i++) {
        dkim_file_done(&x->item[i].file);
        free(x->item[i].path);
    }
    free(x->item);
    free(x);
}

static void
log_key(const struct dkim_shelf *s, const struct item *item)
{
    bool is_good = item->file.key != NULL;
    struct log_line line;

    log_begin(&line, s->relay->log, is_good ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
              "dkim.key");
    log_text(&line, "domain", item->domain);
    log_text(&line, "selector", item->key->selector);
    log_text(&line, "file", item->path);
    log_text(&line, "result", is_good ? "changed" : "kept");
    log_text(&line, "reason", is_good ? NULL : item->err.text);
    log_end(&line);
}

static void
put_key(struct dkim_shelf *s, struct item *item)
{
    struct mail_dkim_key *old = item->key->key;

    item->key->seen = item->file.stamp;
    log_key(s, item);
    if (!item->file.key)
        return;
    uv_mutex_lock(&s->lock);
    item->key->key = take(&item->file.key);
    uv_mutex_unlock(&s->lock);
    mail_dkim_key_free(&old);
}

static void
looked(void *ctx, struct net_work_load *load)
{
    struct look *x = own_container(load, struct look, load);
    struct dkim_shelf *s = ctx;

    for (size_t i = 0; i < x->count; i++)
        if (x->item[i].is_changed)
            put_key(s, &x->item[i]);
    net_timer_set(s->timer, DKIM_SHELF_LOOK_MS);
}

static size_t
count_keys(const struct dkim_shelf *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += s->all[i].count;
    return n;
}

static void
look_at_files(struct dkim_shelf *s)
{
    struct look *x;

    if (s->work || s->count == 0)
        return;
    x = mem_new(struct look);
    x->load = (struct net_work_load){.run = run_look, .drop = drop_look};
    x->item = mem_array(struct item, count_keys(s));
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->all[i].count; j++) {
            struct key *key = &s->all[i].key[j];

            x->item[x->count++] = (struct item){
                .key = key,
                .domain = s->all[i].name,
                .path = mem_text(key->path),
                .seen = key->seen,
            };
        }
    net_work_start(&s->work, &s->relay->loop, &x->load, looked, s);
}

static void
tick(void *ctx)
{
    look_at_files(ctx);
}

/* --- the shelf --------------------------------------------------------- */

static void
free_domains(struct domain *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < all[i].count; j++) {
            mail_dkim_key_free(&all[i].key[j].key);
            free(all[i].key[j].selector);
            free(all[i].key[j].path);
        }
        free(all[i].name);
    }
    free(all);
}

static void
copy_domain(const struct config_dkim *from, struct domain *to)
{
    to->name = mem_text(from->domain);
    for (; to->count < from->file.count; to->count++)
        to->key[to->count] = (struct key){
            .selector = mem_text(from->selector.text[to->count]),
            .path = mem_text(from->file.text[to->count]),
            .key = mail_dkim_key_like(from->key[to->count].key),
            .seen = from->key[to->count].stamp,
        };
}

void
dkim_shelf_configure(struct dkim_shelf *s)
{
    const struct config *c = s->relay->config;
    struct domain *all = mem_array(struct domain, c->dkim_count + 1);
    struct domain *old = s->all;
    size_t old_count = s->count;

    for (size_t i = 0; i < c->dkim_count; i++)
        copy_domain(&c->dkim[i], &all[i]);
    net_work_cancel(&s->work); /* what it looks at goes */
    uv_mutex_lock(&s->lock);
    s->all = all;
    s->count = c->dkim_count;
    uv_mutex_unlock(&s->lock);
    free_domains(old, old_count);
    if (s->count > 0)
        net_timer_set(s->timer, DKIM_SHELF_LOOK_MS);
    else
        net_timer_stop(s->timer);
}

struct dkim_shelf *
dkim_shelf_new(struct relay *relay)
{
    struct dkim_shelf *s = mem_new(struct dkim_shelf);

    s->relay = relay;
    if (uv_mutex_init(&s->lock) != 0)
        abort();
    s->timer = net_timer_new(&relay->loop, tick, s);
    dkim_shelf_configure(s);
    return s;
}

void
dkim_shelf_free(struct dkim_shelf **place)
{
    struct dkim_shelf *s = take(place);

    if (!s)
        return;
    net_work_cancel(&s->work);
    net_timer_free(&s->timer);
    free_domains(s->all, s->count);
    uv_mutex_destroy(&s->lock);
    free(s);
}

/* --- any thread -------------------------------------------------------- */

void
dkim_set_drop(struct dkim_set *set, size_t i)
{
    free(set->row[i].selector);
    mail_dkim_key_free(&set->row[i].key);
    set->count--;
    for (; i < set->count; i++)
        set->row[i] = set->row[i + 1];
}

void
dkim_set_done(struct dkim_set *set)
{
    while (set->count > 0)
        dkim_set_drop(set, set->count - 1);
    free(set->domain);
    *set = (struct dkim_set){0};
}

static const struct domain *
find(const struct dkim_shelf *s, const char *name)
{
    size_t from = 0, to = s->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(name, s->all[middle].name);

        if (order == 0)
            return &s->all[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

static const struct domain *
find_above(const struct dkim_shelf *s, const char *name)
{
    for (; name; name = strchr(name, '.')) {
        const struct domain *d;

        name += *name == '.';
        d = find(s, name);
        if (d)
            return d;
    }
    return NULL;
}

bool
dkim_shelf_take(struct dkim_shelf *s, const char *domain, struct dkim_set *out)
{
    const struct domain *d;

    *out = (struct dkim_set){0};
    uv_mutex_lock(&s->lock);
    d = find_above(s, domain);
    if (d) {
        out->domain = mem_text(d->name);
        for (; out->count < d->count; out->count++) {
            out->row[out->count].selector =
                mem_text(d->key[out->count].selector);
            out->row[out->count].key =
                mail_dkim_key_like(d->key[out->count].key);
        }
    }
    uv_mutex_unlock(&s->lock);
    return d != NULL;
}

bool
dkim_shelf_is_empty(struct dkim_shelf *s)
{
    bool is_empty;

    uv_mutex_lock(&s->lock);
    is_empty = s->count == 0;
    uv_mutex_unlock(&s->lock);
    return is_empty;
}
