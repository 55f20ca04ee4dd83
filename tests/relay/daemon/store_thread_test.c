#include "relay/daemon/store_thread.h"

#include "relay/base/mem.h"
#include "relay/watch/metrics.h"

#include <stdatomic.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Calls that only note how they were run; the store itself has its own
 * tests. */
struct note {
    struct store_call call;
    struct fixture *fixture;
    int fails; /* how often work still fails */
    enum err_kind kind;
    int runs;
    bool failed;
};

struct fixture {
    char dir[64];
    struct store_thread *thread;
    struct metric_set *metrics;
    _Atomic int home; /* calls that came back */
    _Atomic int bad;  /* times that health was lost */
    _Atomic int good;
};

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct note *n = own_container(call, struct note, call);

    (void)store;
    n->runs++;
    if (n->fails == 0)
        return true;
    n->fails--;
    return err_set(err, n->kind, "as told");
}

static void
back(struct task *task)
{
    struct note *n = own_container(task, struct note, call.task);

    n->failed = n->call.failed;
    atomic_fetch_add(&n->fixture->home, 1);
}

static void
health(void *ctx, const struct err *why)
{
    struct fixture *f = ctx;

    atomic_fetch_add(why ? &f->bad : &f->good, 1);
}

static void
begin(struct fixture *f)
{
    struct queue_claimant me = {"test", 1};
    struct queue_store *store;
    struct err err = {0};

    *f = (struct fixture){0};
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/store-thread-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    store = queue_store_open(f->dir, &me, &err);
    assert_non_null(store);
    f->metrics = metrics_new();
    f->thread = store_thread_start(&store, NULL, f->metrics, health, f);
}

static void
finish(struct fixture *f)
{
    static const char *const files[] = {"queue.db", "queue.db-wal"};

    store_thread_stop(&f->thread);
    metric_set_free(&f->metrics);
    for (size_t i = 0; i < 2; i++) {
        char *path = mem_printf("%s/%s", f->dir, files[i]);

        (void)unlink(path);
        free(path);
    }
    (void)rmdir(f->dir);
}

static void
post(struct fixture *f, struct note *n)
{
    n->fixture = f;
    n->call.work = work;
    n->call.task.run = back;
    store_thread_post(f->thread, &n->call);
}

static void
every_call_posted_before_the_stop_comes_back(void **state)
{
    enum { COUNT = 2500 };
    struct note *notes = mem_array(struct note, COUNT);
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < COUNT; i++)
        post(&f, &notes[i]);
    finish(&f);
    assert_int_equal(f.home, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(notes[i].runs, 1);
        assert_false(notes[i].failed);
    }
    free(notes);
}

static void
a_bad_call_fails_alone(void **state)
{
    struct note good = {0}, bad = {.fails = 100, .kind = ERR_SYSTEM},
                late = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    post(&f, &good);
    post(&f, &bad);
    post(&f, &late);
    finish(&f);
    assert_false(good.failed);
    assert_true(bad.failed);
    assert_string_equal(bad.call.err.text, "as told");
    assert_false(late.failed);
    assert_int_equal(f.home, 3);
}

/* A transaction can be begun only where none is open: else this aborts. */
static bool
work_alone(struct store_call *call, struct queue_store *store, struct err *err)
{
    return queue_store_begin(store, err) && queue_store_commit(store, err) &&
           work(call, store, err);
}

static void
what_is_alone_runs_in_no_transaction(void **state)
{
    enum { COUNT = 60 };
    struct note *notes = mem_array(struct note, COUNT);
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < COUNT; i++) {
        struct note *n = &notes[i];

        n->call.is_alone = i % 3 != 0;
        n->fails = i == 31;
        n->kind = ERR_SYSTEM;
        n->fixture = &f;
        n->call.work = n->call.is_alone ? work_alone : work;
        n->call.task.run = back;
        store_thread_post(f.thread, &n->call);
    }
    finish(&f);
    assert_int_equal(f.home, COUNT);
    assert_int_equal(f.bad, 0); /* the one that failed is its own trouble */
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(notes[i].runs, 1);
        assert_int_equal(notes[i].failed, i == 31);
    }
    free(notes);
}

static void
not_to_be_found_is_an_answer_and_no_trouble(void **state)
{
    struct note missing = {.fails = 1, .kind = ERR_MISSING}, good = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    post(&f, &missing);
    post(&f, &good);
    finish(&f);
    assert_true(missing.failed);
    assert_int_equal(missing.runs, 1);
    assert_false(good.failed);
    assert_int_equal(f.bad, 0);
}

static void
a_full_disk_fails_all_and_is_told_until_it_is_over(void **state)
{
    struct note full = {.fails = 2, .kind = ERR_SPACE}, later = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    post(&f, &full);
    while (f.home < 1)
        (void)usleep(1000);
    assert_true(full.failed);
    assert_int_equal(f.bad, 1);
    assert_int_equal(f.good, 0);
    /* That something could be read, or was done by chance, proves nothing. */
    post(&f, &later);
    while (f.home < 2)
        (void)usleep(1000);
    assert_false(later.failed);
    assert_int_equal(f.good, 0);
    for (int i = 0; i < 300 && f.good == 0; i++)
        (void)usleep(10 * 1000);
    finish(&f);
    assert_int_equal(f.good, 1);
}

static void
without_room_only_what_grows_fails(void **state)
{
    struct note full = {.fails = 1, .kind = ERR_SPACE}, other = {0}, more = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    full.call.grows = more.call.grows = true;
    post(&f, &full);
    post(&f, &other);
    while (f.home < 2)
        (void)usleep(1000);
    assert_true(full.failed);
    assert_false(other.failed);
    assert_false(store_thread_has_room(f.thread));
    post(&f, &more);
    while (f.home < 3)
        (void)usleep(1000);
    assert_true(more.failed);
    assert_int_equal(more.call.err.kind, ERR_SPACE);
    assert_int_equal(more.runs, 0);
    for (int i = 0; i < 300 && !store_thread_has_room(f.thread); i++)
        (void)usleep(10 * 1000);
    assert_true(store_thread_has_room(f.thread));
    more = (struct note){.call.grows = true};
    post(&f, &more);
    finish(&f);
    assert_false(more.failed);
    assert_int_equal(f.bad, 0);
}

static void
health_comes_back_by_itself(void **state)
{
    struct note full = {.fails = 2, .kind = ERR_SYSTEM};
    struct fixture f;

    (void)state;
    begin(&f);
    post(&f, &full);
    for (int i = 0; i < 300 && f.good == 0; i++)
        (void)usleep(10 * 1000);
    finish(&f);
    assert_int_equal(f.bad, 1);
    assert_int_equal(f.good, 1);
}

static bool
work_long(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct note *n = own_container(call, struct note, call);

    (void)store;
    (void)err;
    while (store_thread_age_ms(n->fixture->thread) < 30)
        (void)usleep(1000);
    store_thread_beat(n->fixture->thread);
    if (store_thread_age_ms(n->fixture->thread) < 30)
        n->runs++;
    return true;
}

static void
a_thread_that_is_stuck_shows_it_unless_it_says_otherwise(void **state)
{
    struct note n = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    n.fixture = &f;
    n.call.work = work_long;
    n.call.task.run = back;
    store_thread_post(f.thread, &n.call);
    while (atomic_load(&f.home) == 0)
        (void)usleep(1000);
    finish(&f);
    assert_int_equal(n.runs, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_posted_before_the_stop_comes_back),
        cmocka_unit_test(a_bad_call_fails_alone),
        cmocka_unit_test(what_is_alone_runs_in_no_transaction),
        cmocka_unit_test(not_to_be_found_is_an_answer_and_no_trouble),
        cmocka_unit_test(a_full_disk_fails_all_and_is_told_until_it_is_over),
        cmocka_unit_test(without_room_only_what_grows_fails),
        cmocka_unit_test(health_comes_back_by_itself),
        cmocka_unit_test(
            a_thread_that_is_stuck_shows_it_unless_it_says_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
