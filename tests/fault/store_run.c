/*
 * tests/fault/store_run - a short life of a store, told line by line.
 *
 * Enqueues and delivers messages, a transaction each, and says of each on
 * standard output what it is about to do and what the store has promised then:
 * "accepting ID", "accepted ID", "delivering ID", "delivered ID"; "refused
 * KIND" where it failed.  With "check" it tells what it finds instead: "pending
 * ID" and the result of a check of the whole file.  Whoever compares both knows
 * whether a promise was broken.
 */
#include "queue/store.h"
#include "relay/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 8, SIZE = 9000 };

static void
say(const char *what, uint64_t id)
{
    char line[64];
    int len =
        snprintf(line, sizeof(line), "%s %llu\n", what, (unsigned long long)id);

    if (write(STDOUT_FILENO, line, (size_t)len) != len)
        abort();
}

static bool
refused(const struct err *err)
{
    fprintf(stderr, "%s\n", err->text);
    say("refused", err->kind);
    return false;
}

static struct queue_message *
message(uint64_t id)
{
    struct queue_message *m = queue_message_new();
    struct mail_rcpt *r = mail_envelope_add(&m->envelope);

    m->id = id;
    m->arrived_ms = 1;
    m->envelope.from = mem_text("a@sender.example");
    r->address = mem_text("a@dest.example");
    r->domain = mem_text("dest.example");
    queue_message_number(m);
    m->rcpt[0].destination = mem_text("dest.example");
    memset(buf_room(&m->body, SIZE), 'x', SIZE);
    m->size = m->body.len = SIZE;
    return m;
}

static bool
enqueue(struct queue_store *s, uint64_t id, struct err *err)
{
    scoped(queue_message_free) struct queue_message *m = message(id);

    return queue_store_enqueue(s, m, true, err);
}

static bool
deliver(struct queue_store *s, uint64_t id, struct err *err)
{
    struct queue_result r = {.outcome = QUEUE_DELIVERED,
                             .address = "a@dest.example",
                             .attempt = SIZE_MAX};
    struct queue_settlement x = {.id = id, .results = &r, .result_count = 1};

    return queue_store_settle(s, &x, err);
}

typedef bool change_fn(struct queue_store *s, uint64_t id, struct err *err);

static bool
transact(struct queue_store *s, change_fn *change, uint64_t id,
         const char *attempt, const char *promise)
{
    struct err err = {0};

    say(attempt, id);
    if (!queue_store_begin(s, &err))
        return refused(&err);
    if (!change(s, id, &err)) {
        queue_store_rollback(s);
        return refused(&err);
    }
    if (!queue_store_commit(s, &err))
        return refused(&err);
    say(promise, id);
    return true;
}

static struct queue_store *
open_store(const char *directory)
{
    struct queue_claimant claimant = {"test", 1};
    struct err err = {0};
    struct queue_store *s = queue_store_open(directory, &claimant, &err);

    if (!s)
        (void)refused(&err);
    return s;
}

static int
live(const char *directory)
{
    struct queue_store *s = open_store(directory);
    struct err err = {0};

    if (!s)
        return 2;
    say("opened", 0);
    for (uint64_t id = queue_store_last_id(s) + 1, end = id + ROUNDS; id < end;
         id++) {
        if (transact(s, enqueue, id, "accepting", "accepted") && id % 3 != 0)
            (void)transact(s, deliver, id, "delivering", "delivered");
        if (id % 2 == 0 && !queue_store_checkpoint(s, true, &err))
            (void)refused(&err);
    }
    queue_store_close(&s);
    return 0;
}

static void
tell(void *ctx, const struct queue_row *row)
{
    (void)ctx;
    say("pending", row->id);
}

static bool
is_whole(struct queue_store *s)
{
    struct queue_message *out[1000];
    size_t count, budget = 0;
    struct err err = {0};
    bool more;

    if (!queue_store_claim(s, "dest.example", 9, 1000, &budget, out, &count,
                           &more, &err))
        return refused(&err);
    for (size_t i = 0; i < count; i++) {
        scoped(buf_free) struct buf body = {0};

        if (!queue_store_read(s, out[i]->id, 0, &body, &err) ||
            body.len != SIZE)
            return refused(&err);
        queue_message_free(&out[i]);
    }
    return true;
}

static int
check(const char *directory)
{
    struct queue_store *s = open_store(directory);
    const struct queue_filter all = {0};
    struct err err = {0};
    bool end, ok;

    if (!s)
        return 2;
    ok = queue_store_list(s, &all, &(struct queue_cursor){0}, 1000, tell, NULL,
                          &end, &err) &&
         is_whole(s);
    queue_store_close(&s);
    return ok ? 0 : 1;
}

int
main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    return strcmp(argv[1], "check") == 0 ? check(argv[2]) : live(argv[2]);
}
