#include "store_fixture.h"

static void
what_was_enqueued_is_claimed_as_it_was(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"\"a b\"@dest.example", "two@dest.example"};
    struct queue_message *m = message_to(f, rcpt, 2, 5000), *back;

    m->envelope.envid = mem_text("env 1");
    m->envelope.ret = MAIL_RET_HDRS;
    m->envelope.body_8bit = m->envelope.smtputf8 = true;
    m->envelope.requiretls = m->has_8bit = m->tls_required_no = true;
    m->is_header_ascii = true;
    m->envelope.rcpt[0].orcpt = mem_text("rfc822;x@y");
    m->envelope.rcpt[0].notify = MAIL_NOTIFY_FAILURE | MAIL_NOTIFY_DELAY;
    m->rcpt[1].warned = true;
    m->rcpt[1].attempts = 3;
    m->rcpt[1].last = mem_text("later");
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    reopen(f);
    assert_int_equal(claim_at(f, "dest.example", NOW, &back), 2);
    assert_int_equal(back->id, m->id);
    assert_int_equal(back->arrived_ms, NOW);
    assert_int_equal(back->size, 5000);
    assert_int_equal(back->body.len, 5000);
    assert_memory_equal(back->body.p, m->body.p, 5000);
    assert_string_equal(back->envelope.from, "app@sender.example");
    assert_string_equal(back->envelope.envid, "env 1");
    assert_int_equal(back->envelope.ret, MAIL_RET_HDRS);
    assert_true(back->envelope.body_8bit && back->envelope.smtputf8 &&
                back->envelope.requiretls && back->has_8bit &&
                back->is_header_ascii && back->tls_required_no);
    assert_string_equal(back->origin, "127.0.0.1 (app)");
    assert_string_equal(back->message_id, "<1@sender.example>");
    assert_string_equal(back->envelope.rcpt[0].address, "\"a b\"@dest.example");
    assert_string_equal(back->envelope.rcpt[0].orcpt, "rfc822;x@y");
    assert_int_equal(back->envelope.rcpt[0].notify,
                     MAIL_NOTIFY_FAILURE | MAIL_NOTIFY_DELAY);
    assert_null(back->envelope.rcpt[1].orcpt);
    assert_int_equal(back->rcpt[1].number, 1);
    assert_int_equal(back->rcpt[1].attempts, 3);
    assert_true(back->rcpt[1].warned);
    assert_string_equal(back->rcpt[1].last, "later");
    assert_string_equal(back->rcpt[1].destination, "dest.example");
    queue_message_free(&back);
    queue_message_free(&m);
}

static void
what_is_enqueued_with_claim_is_not_due(void **state)
{
    struct fixture *f = *state;

    ENQUEUE(f, true, "a@dest.example");
    assert_int_equal(claim(f, "dest.example"), 0);
    reopen(f);
    assert_int_equal(claim(f, "dest.example"), 1);
}

static void
nothing_is_there_before_the_commit(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@dest.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 100);

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, true, &f->err));
    queue_store_rollback(f->s);
    assert_int_equal(counts(f).messages, 0);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 0);
    assert_int_equal(claim(f, "dest.example"), 0);
    OK(f, queue_store_begin(f->s, &f->err)); /* the same once more */
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(claim(f, "dest.example"), 1);
    queue_message_free(&m);
}

static void
a_kill_before_the_commit_leaves_nothing_and_after_it_all(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@dest.example"};
    pid_t pid;
    int status;

    queue_store_close(&f->s);
    pid = fork();
    if (pid == 0) {
        struct queue_message *m;

        open_store(f);
        for (int i = 0; i < 3; i++)
            ENQUEUE(f, false, "a@dest.example");
        m = message_to(f, rcpt, 1, 200 * 1024);
        if (!queue_store_begin(f->s, &f->err) ||
            !queue_store_enqueue(f->s, m, false, &f->err))
            _exit(1);
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    open_store(f);
    assert_int_equal(counts(f).messages, 3);
    assert_int_equal(claim(f, "dest.example"), 3);
}

static void
held_recipients_are_neither_claimed_nor_due(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@dest.example", "b@dest.example"};
    struct queue_message *m = message_to(f, rcpt, 2, 10);

    m->rcpt[0].held = true;
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, true, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_ACTIVE], 1);
    reopen(f);
    assert_int_equal(claim_at(f, "dest.example", INT64_MAX, NULL), 1);
    queue_message_free(&m);
}

static void
a_thousand_recipients_are_one_message(void **state)
{
    struct fixture *f = *state;
    struct queue_message *m = message_to(f, NULL, 0, 10), *back;

    for (int i = 0; i < MANY; i++) {
        char address[64];

        (void)snprintf(address, sizeof(address), "u%d@dest.example", i);
        add_to(m, address);
    }
    free(m->rcpt);
    queue_message_number(m);
    for (int i = 0; i < MANY; i++)
        m->rcpt[i].destination = mem_text("dest.example");
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(claim_at(f, "dest.example", NOW, &back), MANY);
    assert_int_equal(back->envelope.rcpt_count, MANY);
    OK(f, queue_store_begin(f->s, &f->err));
    for (uint32_t i = 0; i < MANY; i++)
        OK(f, settle_in(f, m->id, i, QUEUE_DELIVERED));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(counts(f).messages, 0);
    queue_message_free(&back);
    queue_message_free(&m);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
}

static void
refused(struct fixture *f, struct queue_message *m, enum err_kind kind)
{
    OK(f, queue_store_begin(f->s, &f->err));
    assert_false(queue_store_enqueue(f->s, m, true, &f->err));
    assert_int_equal(f->err.kind, kind);
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(counts(f).messages, 0);
    assert_int_equal(counts(f).recipients, 0);
    queue_message_free(&m);
}

static void
what_cannot_be_a_message_is_refused_without_a_trace(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@dest.example"};
    struct queue_message *m;

    refused(f, message_to(f, NULL, 0, 10), ERR_INPUT);
    m = message_to(f, rcpt, 1, 10);
    m->id = 0;
    refused(f, m, ERR_INPUT);
    m = message_to(f, rcpt, 1, 10);
    m->id = 1ULL << 49;
    refused(f, m, ERR_INPUT);
    m = message_to(f, rcpt, 1, 10);
    own_free(&m->rcpt[0].destination);
    refused(f, m, ERR_INPUT);
    m = message_to(f, rcpt, 1, 10);
    m->rcpt[0].number = 16384;
    refused(f, m, ERR_INPUT);
    m = message_to(f, rcpt, 1, 10);
    m->size = 9;
    refused(f, m, ERR_INPUT);
    m = message_to(f, rcpt, 1, 10);
    buf_clear(&m->body); /* never spilled */
    refused(f, m, ERR_INPUT);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM message"), 0);
}

static void
an_identifier_is_used_once(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@dest.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 10);

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    assert_false(queue_store_enqueue(f->s, m, false, &f->err));
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    queue_store_rollback(f->s);
    queue_message_free(&m);
}

static void
the_largest_identifier_is_remembered(void **state)
{
    struct fixture *f = *state;
    uint64_t id;

    assert_int_equal(queue_store_last_id(f->s), 0);
    id = ENQUEUE(f, true, "a@dest.example");
    assert_int_equal(queue_store_last_id(f->s), id);
    settle(f, id, 0, QUEUE_DELIVERED);
    reopen(f);
    assert_int_equal(queue_store_last_id(f->s), id);
}

static void
injection_strings_are_plain_text(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"\"x'/**/UNION/**/SELECT/**/X'00'--\"@a.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 10), *back;

    free(m->envelope.from);
    m->envelope.from = mem_text("'); DROP TABLE recipient; --");
    free(m->rcpt[0].destination);
    m->rcpt[0].destination = mem_text("route:' OR 1=1 --");
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(claim(f, "route:x' OR 1=1 --"), 0);
    assert_int_equal(claim_at(f, "route:' OR 1=1 --", NOW, &back), 1);
    assert_string_equal(back->envelope.from, "'); DROP TABLE recipient; --");
    assert_string_equal(back->envelope.rcpt[0].address, rcpt[0]);
    queue_message_free(&back);
    queue_message_free(&m);
}

/* --- spilled messages --- */

enum { FRONT = 1234 };

static char
octet_at(size_t i)
{
    return (char)('a' + i * 7 % 23);
}

static void
spill_piece(struct fixture *f, uint64_t id, unsigned sequence, size_t at,
            size_t len)
{
    static char piece[QUEUE_CHUNK];

    for (size_t i = 0; i < len; i++)
        piece[i] = octet_at(at + i);
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_spill(f->s, id, sequence, (struct slice){piece, len},
                            &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
}

/* What stands behind a front of FRONT octets, each piece in its own
 * transaction; returns how many there were. */
static unsigned
spill_behind(struct fixture *f, uint64_t id, size_t size)
{
    unsigned sequence = 0;

    for (size_t at = FRONT; at < size; at += QUEUE_CHUNK)
        spill_piece(f, id, ++sequence, at,
                    size - at < QUEUE_CHUNK ? size - at : QUEUE_CHUNK);
    return sequence;
}

/* The front comes last. */
static void
spill(struct fixture *f, uint64_t id, size_t size)
{
    (void)spill_behind(f, id, size);
    spill_piece(f, id, 0, 0, FRONT);
}

static struct queue_message *
spilled_message(struct fixture *f, size_t size)
{
    static const char *const rcpt[] = {"a@dest.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 0);

    m->size = size;
    spill(f, m->id, size);
    return m;
}

static void
read_back(struct fixture *f, uint64_t id, size_t size)
{
    struct buf body = {0};
    unsigned n = 0;

    while (queue_store_read(f->s, id, n, &body, &f->err))
        n++;
    assert_int_equal(f->err.kind, ERR_MISSING);
    assert_int_equal(body.len, size);
    for (size_t i = 0; i < size; i++)
        if (body.p[i] != octet_at(i))
            fail_msg("octet %zu differs", i);
    buf_free(&body);
}

static void
a_spilled_message_is_read_in_pieces_and_deleted_whole(void **state)
{
    struct fixture *f = *state;
    const size_t size = 5 * 1024 * 1024 + 17;
    struct queue_message *m = spilled_message(f, size), *back;

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    reopen(f);
    assert_int_equal(counts(f).octets, size);
    assert_int_equal(claim_at(f, "dest.example", NOW, &back), 1);
    assert_int_equal(back->size, size);
    assert_int_equal(back->body.len, 0);
    read_back(f, m->id, size);
    settle(f, m->id, 0, QUEUE_DELIVERED);
    queue_message_free(&back);
    queue_message_free(&m);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM spill"), 0);
    assert_true(ask(f, "PRAGMA freelist_count") > (int64_t)size / 4096);
}

static void
a_large_body_in_memory_is_cut_into_pieces(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@dest.example"};
    const size_t size = 3 * QUEUE_CHUNK + 1;
    struct queue_message *m = message_to(f, rcpt, 1, size);

    for (size_t i = 0; i < size; i++)
        m->body.p[i] = octet_at(i);
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, true, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    read_back(f, m->id, size);
    settle(f, m->id, 0, QUEUE_DELIVERED);
    queue_message_free(&m);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
}

static void
pieces_of_a_message_that_came_to_nothing_are_dropped(void **state)
{
    struct fixture *f = *state;

    spill(f, 77, 3 * QUEUE_CHUNK);
    OK(f, queue_store_unspill(f->s, 77, &f->err));
    OK(f, queue_store_unspill(f->s, 77, &f->err)); /* nothing left */
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM spill"), 0);
}

static void
pieces_of_an_unclean_end_are_dropped_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, false, "a@dest.example");

    spill(f, 5000, 2 * QUEUE_CHUNK);
    (void)spill_behind(f, 5001, 2 * QUEUE_CHUNK);
    reopen(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 1);
    assert_int_equal(ask(f, "SELECT count(*) FROM spill"), 0);
    assert_int_equal(queue_store_last_id(f->s), id);
}

static void
unspilling_a_message_that_was_enqueued_leaves_it_alone(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, false, "a@dest.example");
    struct buf body = {0};

    OK(f, queue_store_unspill(f->s, id, &f->err));
    OK(f, queue_store_read(f->s, id, 0, &body, &f->err));
    assert_int_equal(body.len, 100);
    buf_free(&body);
}

static void
a_message_that_is_not_all_spilled_is_refused(void **state)
{
    struct fixture *f = *state;

    for (int wrong = -1; wrong <= 1; wrong += 2) {
        struct queue_message *m = spilled_message(f, 2 * QUEUE_CHUNK + 5);

        m->size += (uint64_t)wrong;
        refused(f, m, ERR_INPUT);
    }
}

static void
a_spilled_message_without_its_front_is_refused(void **state)
{
    static const char *const rcpt[] = {"a@dest.example"};
    struct fixture *f = *state;
    struct queue_message *m = message_to(f, rcpt, 1, 0);

    m->size = 2 * QUEUE_CHUNK - FRONT;
    assert_int_equal(spill_behind(f, m->id, 2 * QUEUE_CHUNK), 2);
    refused(f, m, ERR_INPUT);
}

static void
a_spilled_message_with_a_gap_is_refused(void **state)
{
    static const char *const rcpt[] = {"a@dest.example"};
    struct fixture *f = *state;
    struct queue_message *m = message_to(f, rcpt, 1, 0);

    m->size = FRONT + 2 * QUEUE_CHUNK;
    spill_piece(f, m->id, 1, 0, QUEUE_CHUNK);
    spill_piece(f, m->id, 3, 0, QUEUE_CHUNK);
    spill_piece(f, m->id, 0, 0, FRONT);
    refused(f, m, ERR_INPUT);
}

static void
a_front_may_be_larger_than_the_other_pieces(void **state)
{
    static const char *const rcpt[] = {"a@dest.example"};
    static char front[QUEUE_FRONT_MAX];
    struct fixture *f = *state;
    struct queue_message *m = message_to(f, rcpt, 1, 0);
    struct buf body = {0};

    m->size = sizeof(front) + QUEUE_CHUNK + 1;
    memset(front, 'f', sizeof(front));
    spill_piece(f, m->id, 1, 0, QUEUE_CHUNK);
    spill_piece(f, m->id, 2, 0, 1);
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_spill(f->s, m->id, 0,
                            (struct slice){front, sizeof(front)}, &f->err));
    OK(f, queue_store_enqueue(f->s, m, true, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    OK(f, queue_store_read(f->s, m->id, 0, &body, &f->err));
    assert_int_equal(body.len, sizeof(front));
    assert_false(queue_store_read(f->s, m->id, 3, &body, &f->err));
    assert_int_equal(f->err.kind, ERR_MISSING);
    settle(f, m->id, 0, QUEUE_DELIVERED);
    assert_int_equal(ask(f, "SELECT count(*) FROM body"), 0);
    buf_free(&body);
    queue_message_free(&m);
}

static void
a_piece_without_the_first_is_refused(void **state)
{
    struct fixture *f = *state;

    for (unsigned sequence = 0; sequence <= 2; sequence += 2) {
        assert_false(
            queue_store_spill(f->s, 99, sequence, slice_of("piece"), &f->err));
        assert_int_equal(f->err.kind, ERR_INPUT);
    }
    assert_false(queue_store_spill(f->s, 99, QUEUE_CHUNKS_MAX,
                                   slice_of("piece"), &f->err));
    assert_int_equal(f->err.kind, ERR_LIMIT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_enqueued_is_claimed_as_it_was),
        TEST(what_is_enqueued_with_claim_is_not_due),
        TEST(nothing_is_there_before_the_commit),
        TEST(a_kill_before_the_commit_leaves_nothing_and_after_it_all),
        TEST(held_recipients_are_neither_claimed_nor_due),
        TEST(a_thousand_recipients_are_one_message),
        TEST(what_cannot_be_a_message_is_refused_without_a_trace),
        TEST(an_identifier_is_used_once),
        TEST(the_largest_identifier_is_remembered),
        TEST(injection_strings_are_plain_text),
        TEST(a_spilled_message_is_read_in_pieces_and_deleted_whole),
        TEST(a_large_body_in_memory_is_cut_into_pieces),
        TEST(pieces_of_a_message_that_came_to_nothing_are_dropped),
        TEST(pieces_of_an_unclean_end_are_dropped_at_the_next_start),
        TEST(unspilling_a_message_that_was_enqueued_leaves_it_alone),
        TEST(a_message_that_is_not_all_spilled_is_refused),
        TEST(a_spilled_message_without_its_front_is_refused),
        TEST(a_spilled_message_with_a_gap_is_refused),
        TEST(a_front_may_be_larger_than_the_other_pieces),
        TEST(a_piece_without_the_first_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
