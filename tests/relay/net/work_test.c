#include "relay/net/work.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LOADS = 20 };

struct world {
    uv_loop_t loop;
    struct net_work *slot[LOADS];
    pthread_t here;
    uv_sem_t gate; /* a load that waits passes once it is posted */
    unsigned dones, drops;
    bool starts_another;
};

struct load {
    struct net_work_load load;
    struct world *world;
    unsigned in, out;
    bool waits;
};

static void
square(struct net_work_load *load)
{
    struct load *x = own_container(load, struct load, load);

    assert_false(pthread_equal(pthread_self(), x->world->here));
    if (x->waits)
        uv_sem_wait(&x->world->gate);
    x->out = x->in * x->in;
}

static void
drop(struct net_work_load *load)
{
    struct load *x = own_container(load, struct load, load);

    assert_true(pthread_equal(pthread_self(), x->world->here));
    x->world->drops++;
    free(x);
}

static void begin(struct world *w, unsigned i, bool waits);

static void
done(void *ctx, struct net_work_load *load)
{
    struct load *x = own_container(load, struct load, load);
    struct world *w = ctx;

    assert_true(pthread_equal(pthread_self(), w->here));
    assert_null(w->slot[x->in]);
    assert_int_equal(x->out, x->in * x->in);
    w->dones++;
    if (w->starts_another) {
        w->starts_another = false;
        begin(w, x->in, false);
    }
}

static void
begin(struct world *w, unsigned i, bool waits)
{
    struct load *x = mem_new(struct load);
    unsigned before = w->dones;

    x->load = (struct net_work_load){.run = square, .drop = drop};
    x->world = w;
    x->in = i;
    x->waits = waits;
    net_work_start(&w->slot[i], &w->loop, &x->load, done, w);
    assert_non_null(w->slot[i]);
    assert_int_equal(w->dones, before);
}

static void
open_world(struct world *w)
{
    *w = (struct world){.here = pthread_self()};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(uv_sem_init(&w->gate, 0), 0);
}

static void
close_world(struct world *w)
{
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    uv_sem_destroy(&w->gate);
}

static void
each_load_is_worked_on_and_comes_back_once(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    for (unsigned i = 0; i < LOADS; i++)
        begin(&w, i, false);
    close_world(&w);
    assert_int_equal(w.dones, LOADS);
    assert_int_equal(w.drops, LOADS);
}

static void
another_may_begin_in_the_same_slot(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    w.starts_another = true;
    begin(&w, 3, false);
    close_world(&w);
    assert_int_equal(w.dones, 2);
    assert_int_equal(w.drops, 2);
}

/* More than the pool has threads: some run, some never do. */
static void
what_is_cancelled_is_dropped_unheard(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    for (unsigned i = 0; i < LOADS; i++)
        begin(&w, i, true);
    for (unsigned i = 0; i < LOADS; i++) {
        net_work_cancel(&w.slot[i]);
        net_work_cancel(&w.slot[i]);
        assert_null(w.slot[i]);
        uv_sem_post(&w.gate);
    }
    close_world(&w);
    assert_int_equal(w.dones, 0);
    assert_int_equal(w.drops, LOADS);
}

static void
cancelling_one_leaves_the_others(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    for (unsigned i = 0; i < LOADS; i++)
        begin(&w, i, false);
    net_work_cancel(&w.slot[LOADS - 1]);
    close_world(&w);
    assert_int_equal(w.dones, LOADS - 1);
    assert_int_equal(w.drops, LOADS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_load_is_worked_on_and_comes_back_once),
        cmocka_unit_test(another_may_begin_in_the_same_slot),
        cmocka_unit_test(what_is_cancelled_is_dropped_unheard),
        cmocka_unit_test(cancelling_one_leaves_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
