#include "relay/daemon/user_book.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"
#include "relay/net/work.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What tells one state of a file from another. */
struct mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed, modified;
};

struct user_book {
    struct relay *relay;
    pthread_mutex_t lock;
    struct users *users; /* under the lock */

    /* The main thread's. */
    char *file;       /* "" none */
    struct mark mark; /* of what was read, or found to be broken */
    bool is_missing;  /* it could not be read the last time */
    struct net_timer *timer;
    struct net_work *work;
};

/* One look at the file, on a thread of the pool. */
struct look {
    struct net_work_load load;
    char *file;
    struct mark mark; /* of the last look, then of this one */
    bool is_new, is_missing;
    struct users *users; /* NULL: it is broken, or as before */
    struct config_errors errors;
};

static bool
find_mark(const char *file, struct mark *out)
{
    struct stat st;

    *out = (struct mark){0};
    if (stat(file, &st) != 0)
        return false;
    out->dev = st.st_dev;
    out->ino = st.st_ino;
    out->size = st.st_size;
    out->changed = st.st_ctim;
    out->modified = st.st_mtim;
    return true;
}

static bool
is_same(const struct mark *a, const struct mark *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec &&
           a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

/* The mark is older than what is read, so that a change in between is found by
 * the next look. */
static void
run_look(struct net_work_load *load)
{
    struct look *l = own_container(load, struct look, load);
    struct mark before = l->mark;

    l->is_missing = !find_mark(l->file, &l->mark) || access(l->file, R_OK) != 0;
    l->is_new = l->is_missing || !is_same(&before, &l->mark);
    if (l->is_new && !users_load(l->file, &l->users, &l->errors))
        l->users = NULL;
}

static void
drop_look(struct net_work_load *load)
{
    struct look *l = own_container(load, struct look, load);

    users_drop(&l->users);
    config_errors_done(&l->errors);
    free(l->file);
    free(l);
}

/* Moves the list in; NULL: there is none. */
static void
set_users(struct user_book *b, struct users *users)
{
    struct users *old;

    pthread_mutex_lock(&b->lock);
    old = b->users;
    b->users = users;
    pthread_mutex_unlock(&b->lock);
    users_drop(&old);
}

static void
say_read(const struct user_book *b, size_t count)
{
    struct log_line line;

    log_begin(&line, b->relay->log, LOG_LEVEL_INFO, "users.reload");
    log_text(&line, "file", b->file);
    log_int(&line, "users", (int64_t)count);
    log_end(&line);
}

static void
say_broken(const struct user_book *b, const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        struct log_line line;

        log_begin(&line, b->relay->log, LOG_LEVEL_ERROR, "users.reload");
        log_text(&line, "error", errors->text[i]);
        log_end(&line);
    }
}

static void
looked(void *ctx, struct net_work_load *load)
{
    struct user_book *b = ctx;
    struct look *l = own_container(load, struct look, load);
    bool was_missing = b->is_missing;

    net_timer_set(b->timer, USER_BOOK_POLL_MS);
    b->mark = l->mark;
    b->is_missing = l->is_missing;
    if (l->users) {
        say_read(b, users_count(l->users));
        set_users(b, take(&l->users));
    } else if (l->is_new && !(l->is_missing && was_missing)) {
        say_broken(b, &l->errors);
    }
    if (l->is_missing)
        set_users(b, NULL);
}

static void
look(void *ctx)
{
    struct user_book *b = ctx;
    struct look *l = mem_new(struct look);

    l->load.run = run_look;
    l->load.drop = drop_look;
    l->file = mem_text(b->file);
    l->mark = b->mark;
    net_work_start(&b->work, &b->relay->loop, &l->load, looked, b);
}

static void
set_file(struct user_book *b, const char *file)
{
    free(b->file);
    b->file = mem_text(file);
    b->mark = (struct mark){0};
    b->is_missing = false;
    net_timer_stop(b->timer);
    net_work_cancel(&b->work);
}

struct user_book *
user_book_open(struct relay *relay, struct err *err)
{
    struct user_book *b = mem_new(struct user_book);
    struct config_errors errors = {0};
    struct users *users = NULL;

    b->relay = relay;
    pthread_mutex_init(&b->lock, NULL);
    b->timer = net_timer_new(&relay->loop, look, b);
    set_file(b, relay->config->users.file);
    if (!b->file[0])
        return b;
    (void)find_mark(b->file, &b->mark);
    if (users_load(b->file, &users, &errors)) {
        set_users(b, users);
        net_timer_set(b->timer, USER_BOOK_POLL_MS);
        return b;
    }
    err_set(err, ERR_INPUT, "users.file: %s", errors.text[0]);
    config_errors_done(&errors);
    user_book_close(&b);
    return NULL;
}

void
user_book_close(struct user_book **place)
{
    struct user_book *b = take(place);

    if (!b)
        return;
    net_timer_free(&b->timer);
    net_work_cancel(&b->work);
    set_users(b, NULL);
    pthread_mutex_destroy(&b->lock);
    free(b->file);
    free(b);
}

/* A file that was not there before is read at once: the next look would find
 * nobody. */
void
user_book_configure(struct user_book *b)
{
    const char *file = b->relay->config->users.file;
    bool is_another = strcmp(file, b->file) != 0;

    if (is_another) {
        set_file(b, file);
        set_users(b, NULL);
    }
    if (!file[0])
        return;
    net_timer_stop(b->timer);
    if (!b->work)
        look(b);
}

struct users *
user_book_get(struct user_book *b)
{
    struct users *users;

    pthread_mutex_lock(&b->lock);
    users = b->users ? users_hold(b->users) : NULL;
    pthread_mutex_unlock(&b->lock);
    return users;
}
