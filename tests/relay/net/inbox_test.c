#include "relay/net/inbox.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WRITERS = 4, LETTERS = 20000 };

struct letter {
    struct mailbox_letter base;
    int writer, number;
};

struct reader {
    uv_loop_t loop;
    struct net_inbox in;
    int calls, got, expected;
    int next[WRITERS];
    bool in_order;
};

static void
arrived(void *ctx, struct mailbox_letter *first)
{
    struct reader *r = ctx;

    r->calls++;
    while (first) {
        struct letter *l = (struct letter *)first;

        first = first->next;
        r->in_order &= l->number == r->next[l->writer]++;
        r->got++;
        free(l);
    }
    if (r->got == r->expected)
        uv_stop(&r->loop);
}

static void
open_reader(struct reader *r, int expected)
{
    *r = (struct reader){.expected = expected, .in_order = true};
    assert_int_equal(uv_loop_init(&r->loop), 0);
    net_inbox_open(&r->in, &r->loop, arrived, r);
}

static void
close_reader(struct reader *r)
{
    net_inbox_close(&r->in);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void
put(struct reader *r, int writer, int number)
{
    struct letter *l = mem_new(struct letter);

    l->writer = writer;
    l->number = number;
    mailbox_put(&r->in.box, &l->base);
}

struct writer {
    pthread_t thread;
    struct reader *reader;
    int index;
};

static void *
write_all(void *ctx)
{
    struct writer *w = ctx;

    for (int i = 0; i < LETTERS; i++)
        put(w->reader, w->index, i);
    return NULL;
}

static void
letters_of_many_threads_arrive_in_order(void **state)
{
    struct writer writers[WRITERS];
    struct reader r;

    (void)state;
    open_reader(&r, WRITERS * LETTERS);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.reader = &r, .index = i};
        assert_int_equal(
            pthread_create(&writers[i].thread, NULL, write_all, &writers[i]),
            0);
    }
    uv_run(&r.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    assert_int_equal(r.got, WRITERS * LETTERS);
    assert_true(r.in_order);
    assert_in_range(r.calls, 1, WRITERS * LETTERS);
    close_reader(&r);
}

static void
letters_put_before_the_loop_runs_arrive_together(void **state)
{
    struct reader r;

    (void)state;
    open_reader(&r, 3);
    for (int i = 0; i < 3; i++)
        put(&r, 0, i);
    assert_int_equal(r.calls, 0);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.got, 3);
    close_reader(&r);
}

static void
an_empty_inbox_never_calls(void **state)
{
    struct reader r;

    (void)state;
    open_reader(&r, 1);
    uv_async_send(&r.in.async);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(r.calls, 0);
    close_reader(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_of_many_threads_arrive_in_order),
        cmocka_unit_test(letters_put_before_the_loop_runs_arrive_together),
        cmocka_unit_test(an_empty_inbox_never_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
