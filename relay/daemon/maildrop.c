#include "relay/daemon/maildrop.h"

#include "relay/base/mem.h"
#include "relay/daemon/batch.h"
#include "relay/daemon/directory.h"
#include "relay/daemon/maildrop_scan.h"
#include "relay/net/timer.h"
#include "relay/net/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A round goes through all names in their order, some at a time; the next one
 * begins when everything of it has ended, so that no file is taken twice.
 */
struct maildrop {
    struct relay *relay;
    char *directory;
    uv_fs_event_t *watch; /* NULL: it can't be watched, only looked at */
    struct net_timer *poll;
    struct net_work *scan;
    struct maildrop_names names;
    size_t turn;                       /* of the names, the next one */
    char after[MAILDROP_NAME_MAX + 1]; /* where the round stands */
    size_t under_way;
    bool in_round, again, stopped;
    bool is_failing; /* the last scan did, and was told of */
    /* Files whose messages were taken in and which can't be removed.  Until
     * they are gone nothing is taken: each look would take them in again. */
    char stuck[MAILDROP_AT_ONCE_MAX][MAILDROP_NAME_MAX + 1];
    size_t stuck_count;
    bool is_stuck; /* that was told of */
};

static void go_on(struct maildrop *m);
static void end_round(struct maildrop *m);

/* --- what became of a file --- */

struct visit {
    struct maildrop *maildrop;
    char name[MAILDROP_NAME_MAX + 1];
};

/* Takes the file away, or out of sight. */
struct removal {
    struct net_work_load load;
    struct net_work *work;
    char name[MAILDROP_NAME_MAX + 1];
    char *path, *aside; /* aside NULL: it goes */
    bool failed;
    struct err err;
};

static void
remove_file(struct net_work_load *load)
{
    struct removal *r = own_container(load, struct removal, load);
    int result = r->aside ? rename(r->path, r->aside) : unlink(r->path);

    if (result != 0 && errno != ENOENT)
        r->failed = !err_errno(&r->err, "%s", r->path);
}

static void
free_removal(struct net_work_load *load)
{
    struct removal *r = own_container(load, struct removal, load);

    own_free(&r->path);
    own_free(&r->aside);
    free(r);
}

static void
say(const struct maildrop *m, const char *event, const char *why)
{
    struct log_line line;

    log_begin(&line, m->relay->log, LOG_LEVEL_WARNING, event);
    log_text(&line, "directory", m->directory);
    log_text(&line, "reason", why);
    log_end(&line);
}

static void
note_stuck(struct maildrop *m, const struct removal *r)
{
    memcpy(m->stuck[m->stuck_count++], r->name, sizeof(r->name));
    if (!m->is_stuck)
        say(m, "maildrop.trouble", r->err.text);
    m->is_stuck = true;
}

static void
removed(void *ctx, struct net_work_load *load)
{
    struct maildrop *m = ctx;
    const struct removal *r = own_container(load, struct removal, load);

    if (r->failed && !r->aside)
        note_stuck(m, r);
    else if (r->failed) /* it will come again */
        say(m, "maildrop.trouble", r->err.text);
    m->under_way--;
    if (m->stuck_count == 0 && m->under_way == 0)
        m->is_stuck = false;
    if (!m->in_round && m->under_way == 0)
        end_round(m);
    else
        go_on(m);
}

static void
start_removal(struct maildrop *m, const char *name, const char *suffix)
{
    struct removal *r = mem_new(struct removal);

    r->load.run = remove_file;
    r->load.drop = free_removal;
    (void)snprintf(r->name, sizeof(r->name), "%s", name);
    r->path = mem_printf("%s/%s", m->directory, name);
    if (suffix)
        r->aside = mem_printf("%s%s", r->path, suffix);
    net_work_start(&r->work, &m->relay->loop, &r->load, removed, m);
}

static void
log_refused(const struct maildrop *m, const char *name,
            const struct batch_result *result)
{
    struct log_line line;
    char file[MAILDROP_NAME_MAX + sizeof(MAILDROP_BAD)];

    (void)snprintf(file, sizeof(file), "%s%s", name, MAILDROP_BAD);
    log_begin(&line, m->relay->log, LOG_LEVEL_WARNING, "maildrop.refused");
    log_text(&line, "directory", m->directory);
    log_text(&line, "file", file);
    log_int(&line, "user", (int64_t)result->owner);
    log_int(&line, "code", result->status.code);
    log_text(&line, "reason", result->status.text);
    log_end(&line);
}

/* What may be better later stays for the next round. */
static void
taken(void *ctx, const struct batch_result *result)
{
    struct visit *v = ctx;
    struct maildrop *m = v->maildrop;

    if (mail_status_is_success(&result->status)) {
        start_removal(m, v->name, NULL);
    } else if (mail_status_is_permanent(&result->status)) {
        log_refused(m, v->name, result);
        start_removal(m, v->name, MAILDROP_BAD);
    } else {
        m->under_way--;
        go_on(m);
    }
    free(v);
}

static void
visit(struct maildrop *m, const char *name)
{
    char *path scoped(own_free) = mem_printf("%s/%s", m->directory, name);
    struct relay *relay = m->relay;
    struct visit *v = mem_new(struct visit);

    v->maildrop = m;
    memcpy(v->name, name, strlen(name) + 1);
    m->under_way++;
    batch_start(relay->workers[m->turn % relay->worker_count], path, taken, v);
}

/* --- rounds --- */

struct look {
    struct net_work_load load;
    char *directory, *after;
    struct maildrop_names names;
    bool failed;
    struct err err;
};

static void
look(struct net_work_load *load)
{
    struct look *l = own_container(load, struct look, load);

    l->failed = !maildrop_scan(l->directory, l->after, &l->names, &l->err);
}

static void
free_look(struct net_work_load *load)
{
    struct look *l = own_container(load, struct look, load);

    own_free(&l->directory);
    own_free(&l->after);
    free(l);
}

static void
looked(void *ctx, struct net_work_load *load)
{
    struct maildrop *m = ctx;
    const struct look *l = own_container(load, struct look, load);

    m->names = l->names;
    m->turn = 0;
    if (l->failed && !m->is_failing)
        say(m, "maildrop.trouble", l->err.text);
    m->is_failing = l->failed;
    if (l->failed)
        m->names.count = 0;
    go_on(m);
}

static void
start_look(struct maildrop *m)
{
    struct look *l = mem_new(struct look);

    l->load.run = look;
    l->load.drop = free_look;
    l->directory = mem_text(m->directory);
    l->after = mem_text(m->after);
    net_work_start(&m->scan, &m->relay->loop, &l->load, looked, m);
}

/* A relay that can take no mail would only open each file to close it. */
static bool
may_begin(const struct maildrop *m)
{
    const struct relay *relay = m->relay;

    return !m->stopped && m->stuck_count == 0 &&
           atomic_load(&relay->store_is_healthy) &&
           store_thread_has_room(relay->store);
}

static void
end_round(struct maildrop *m)
{
    m->in_round = false;
    if (m->again && may_begin(m)) {
        m->again = false;
        m->in_round = true;
        m->after[0] = '\0';
        start_look(m);
    } else if (!m->stopped) {
        net_timer_set(m->poll, MAILDROP_POLL_MS);
    }
}

static void
go_on(struct maildrop *m)
{
    bool is_last = m->names.count < MAILDROP_SCAN_MAX;

    while (may_begin(m) && m->turn < m->names.count &&
           m->under_way < MAILDROP_AT_ONCE_MAX) {
        visit(m, m->names.name[m->turn]);
        m->turn++;
    }
    if (m->under_way > 0 || m->scan || !m->in_round)
        return;
    if (is_last || !may_begin(m)) {
        end_round(m);
        return;
    }
    memcpy(m->after, m->names.name[m->names.count - 1], sizeof(m->after));
    start_look(m);
}

static void
begin_round(struct maildrop *m)
{
    m->again = true;
    if (!m->in_round && !m->stopped && m->under_way == 0)
        end_round(m);
}

static void
remove_stuck(struct maildrop *m)
{
    size_t count = m->stuck_count;

    m->stuck_count = 0;
    m->under_way += count;
    for (size_t i = 0; i < count; i++)
        start_removal(m, m->stuck[i], NULL);
}

static void
time_to_look(void *ctx)
{
    struct maildrop *m = ctx;

    m->again = true;
    if (m->stuck_count > 0)
        remove_stuck(m);
    else
        begin_round(m);
}

static void
changed(uv_fs_event_t *watch, const char *name, int events, int status)
{
    (void)name, (void)events, (void)status;
    begin_round(watch->data);
}

/* --- birth and end --- */

static void
free_watch(uv_handle_t *handle)
{
    free(handle);
}

/* Where the system has no watches left, looking now and then must do. */
static void
start_watch(struct maildrop *m)
{
    uv_fs_event_t *watch = mem_new(uv_fs_event_t);

    (void)uv_fs_event_init(&m->relay->loop, watch);
    watch->data = m;
    if (uv_fs_event_start(watch, changed, m->directory, 0) == 0)
        m->watch = watch;
    else
        uv_close((uv_handle_t *)watch, free_watch);
}

struct maildrop *
maildrop_start(struct relay *relay, struct err *err)
{
    const struct config *c = relay->config;
    struct maildrop *m;

    *err = (struct err){.kind = ERR_NONE};
    if (!c->maildrop.enabled ||
        !directory_make(c->maildrop.directory, 0700, NULL, err) ||
        !maildrop_check(c->maildrop.directory, err))
        return NULL;
    m = mem_new(struct maildrop);
    m->relay = relay;
    m->directory = mem_text(c->maildrop.directory);
    m->poll = net_timer_new(&relay->loop, time_to_look, m);
    start_watch(m);
    begin_round(m);
    return m;
}

void
maildrop_stop(struct maildrop *m)
{
    if (!m || m->stopped)
        return;
    m->stopped = true;
    net_timer_free(&m->poll);
    net_work_cancel(&m->scan);
    if (m->watch)
        uv_close((uv_handle_t *)take(&m->watch), free_watch);
}

bool
maildrop_is_quiet(const struct maildrop *m)
{
    return !m || m->under_way == 0;
}

void
maildrop_free(struct maildrop **place)
{
    struct maildrop *m = take(place);

    if (!m)
        return;
    maildrop_stop(m);
    own_free(&m->directory);
    free(m);
}
