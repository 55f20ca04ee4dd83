#include "relay/daemon/release.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A relay of a loop and a store with one message, claimed. */
struct fixture {
    struct relay relay;
    char dir[64];
    int done, home;
};

static struct queue_message *
message(void)
{
    struct queue_message *m = queue_message_new();
    struct mail_rcpt *r = mail_envelope_add(&m->envelope);

    m->id = 1;
    m->envelope.from = mem_text("");
    r->address = mem_text("bob@a.example");
    r->domain = mem_text("a.example");
    queue_message_number(m);
    m->rcpt[0].destination = mem_text("a.example");
    buf_add_text(&m->body, "\r\nhi\r\n");
    m->size = m->body.len;
    return m;
}

static void
nothing(void *ctx, const struct err *why)
{
    (void)ctx, (void)why;
}

static void
begin(struct fixture *f)
{
    struct queue_claimant me = {"test", 1};
    struct queue_message *m = message();
    struct queue_store *store;
    struct err err = {0};

    *f = (struct fixture){0};
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/release-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    store = queue_store_open(f->dir, &me, &err);
    assert_non_null(store);
    assert_true(queue_store_begin(store, &err));
    assert_true(queue_store_enqueue(store, m, true, &err));
    assert_true(queue_store_commit(store, &err));
    queue_message_free(&m);
    f->relay.metrics = metrics_new();
    assert_int_equal(uv_loop_init(&f->relay.loop), 0);
    net_inbox_open(&f->relay.inbox, &f->relay.loop, task_run_all, NULL);
    f->relay.store =
        store_thread_start(&store, NULL, f->relay.metrics, nothing, NULL);
}

static void
finish(struct fixture *f)
{
    static const char *const files[] = {"queue.db", "queue.db-wal"};

    store_thread_stop(&f->relay.store);
    metric_set_free(&f->relay.metrics);
    net_inbox_close(&f->relay.inbox);
    (void)uv_run(&f->relay.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->relay.loop), 0);
    for (size_t i = 0; i < 2; i++) {
        char *path = mem_printf("%s/%s", f->dir, files[i]);

        (void)unlink(path);
        free(path);
    }
    (void)rmdir(f->dir);
}

struct step {
    struct store_call call;
    struct fixture *fixture;
    size_t claimed;
};

static void
came_home(struct task *task)
{
    own_container(task, struct step, call.task)->fixture->home++;
}

static void
post(struct fixture *f, struct step *s,
     bool (*work)(struct store_call *, struct queue_store *, struct err *))
{
    s->fixture = f;
    s->call.work = work;
    s->call.task.run = came_home;
    s->call.home = &f->relay.inbox;
    store_thread_post(f->relay.store, &s->call);
}

static bool
work_slowly(struct store_call *call, struct queue_store *store, struct err *err)
{
    (void)call, (void)store, (void)err;
    (void)usleep(50 * 1000);
    return true;
}

static bool
work_in_vain(struct store_call *call, struct queue_store *store,
             struct err *err)
{
    (void)call, (void)store;
    return err_set(err, ERR_SPACE, "as told");
}

static bool
work_claim(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct step *s = own_container(call, struct step, call);
    struct queue_message *m[1] = {NULL};
    size_t budget = 0;
    bool more;

    if (!queue_store_claim(store, "a.example", 1, 1, &budget, m, &s->claimed,
                           &more, err))
        return false;
    queue_message_free(&m[0]);
    return true;
}

static void
is_done(void *ctx)
{
    struct fixture *f = ctx;

    f->done++;
}

static void
release(struct fixture *f)
{
    uint32_t *numbers = mem_array(uint32_t, 1);

    release_start(&f->relay, 1, numbers, 1, is_done, f);
}

static void
run_until(struct fixture *f, const int *count, int wanted)
{
    while (*count < wanted)
        (void)uv_run(&f->relay.loop, UV_RUN_ONCE);
}

static void
what_was_given_back_can_be_claimed(void **state)
{
    struct step claim = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    release(&f);
    run_until(&f, &f.done, 1);
    post(&f, &claim, work_claim);
    run_until(&f, &f.home, 1);
    assert_int_equal(claim.claimed, 1);
    finish(&f);
}

static void
a_transaction_that_fails_leaves_nothing_claimed_for_good(void **state)
{
    struct step hold = {0}, bad = {0}, claim = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    post(&f, &hold, work_slowly); /* the others gather behind it */
    (void)usleep(10 * 1000);
    post(&f, &bad, work_in_vain);
    release(&f);
    run_until(&f, &f.done, 1);
    post(&f, &claim, work_claim);
    run_until(&f, &f.home, 3);
    assert_true(bad.call.failed);
    assert_int_equal(claim.claimed, 1);
    finish(&f);
}

static void
a_relay_that_stops_does_not_try_again(void **state)
{
    struct step hold = {0}, bad = {0};
    struct fixture f;

    (void)state;
    begin(&f);
    post(&f, &hold, work_slowly);
    (void)usleep(10 * 1000);
    post(&f, &bad, work_in_vain);
    release(&f);
    atomic_store(&f.relay.is_draining, true);
    run_until(&f, &f.done, 1);
    run_until(&f, &f.home, 2);
    finish(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_back_can_be_claimed),
        cmocka_unit_test(
            a_transaction_that_fails_leaves_nothing_claimed_for_good),
        cmocka_unit_test(a_relay_that_stops_does_not_try_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
