#include "store_fixture.h"

#include <sys/mount.h>
#include <sys/resource.h>

static void
an_empty_store_is_opened_closed_and_opened(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(counts(f).messages, 0);
    assert_int_equal(counts(f).oldest_ms, 0);
    reopen(f);
    assert_int_equal(counts(f).messages, 0);
    queue_store_close(&f->s);
    queue_store_close(&f->s);
    assert_null(f->s);
    assert_int_equal(scratch_size(&f->dir, "queue.db-wal"), -1);
    open_store(f);
}

static bool
opens(struct fixture *f)
{
    struct queue_claimant claimant = {"relay.example.com", 2};

    f->s = queue_store_open(f->dir.path, &claimant, &f->err);
    return f->s != NULL;
}

static void
a_second_relay_is_refused(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(!opens(f) && f->err.kind == ERR_SYSTEM &&
                      strstr(f->err.text, "in use")
                  ? 0
                  : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    ENQUEUE(f, false, "a@b.example");
}

static void
a_directory_that_is_missing_is_told(void **state)
{
    struct fixture *f = *state;
    struct queue_claimant claimant = {"relay.example.com", 1};

    assert_null(queue_store_open("/nonexistent", &claimant, &f->err));
    assert_non_null(strstr(f->err.text, "/nonexistent"));
    assert_null(queue_store_open_read("/nonexistent", &f->err));
    assert_int_equal(f->err.kind, ERR_MISSING);
}

/* A relay that enqueues `n` messages and then ends without a word. */
static void
run_and_die(struct fixture *f, int n)
{
    pid_t pid;
    int status;

    queue_store_close(&f->s);
    pid = fork();
    if (pid == 0) {
        open_store(f);
        for (int i = 0; i < n; i++)
            ENQUEUE(f, false, "a@b.example");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
an_unclean_end_loses_nothing(void **state)
{
    struct fixture *f = *state;

    run_and_die(f, 20);
    f->s = queue_store_open_read(f->dir.path, &f->err);
    OK(f, f->s);
    assert_int_equal(counts(f).messages, 20);
    queue_store_close(&f->s);
    f->s = queue_store_open_read(f->dir.path, &f->err); /* once more */
    OK(f, f->s);
    assert_int_equal(counts(f).messages, 20);
    queue_store_close(&f->s);
    open_store(f);
    assert_int_equal(counts(f).messages, 20);
    assert_int_equal(claim(f, "b.example"), 20);
}

static void
looking_does_not_make_an_end_clean(void **state)
{
    struct fixture *f = *state;

    run_and_die(f, 3);
    (void)unlink(scratch_file(&f->dir, "queue.db-wal"));
    f->s = queue_store_open_read(f->dir.path, &f->err);
    OK(f, f->s);
    queue_store_close(&f->s);
    assert_false(opens(f));
    assert_non_null(strstr(f->err.text, "-wal is missing"));
}

static void
a_wal_that_is_missing_after_an_unclean_end_is_refused(void **state)
{
    struct fixture *f = *state;

    run_and_die(f, 3);
    scratch_copy(&f->dir, "queue.db-wal", "copy");
    (void)unlink(scratch_file(&f->dir, "queue.db-wal"));
    for (int i = 0; i < 2; i++) {
        assert_false(opens(f));
        assert_int_equal(f->err.kind, ERR_SYSTEM);
        assert_non_null(strstr(f->err.text, "put it back"));
    }
    scratch_copy(&f->dir, "copy", "queue.db-wal");
    open_store(f);
    assert_int_equal(counts(f).messages, 3);
}

static void
a_wal_cut_to_nothing_after_an_unclean_end_is_refused(void **state)
{
    struct fixture *f = *state;

    run_and_die(f, 3);
    assert_int_equal(truncate(scratch_file(&f->dir, "queue.db-wal"), 0), 0);
    assert_false(opens(f));
    assert_non_null(strstr(f->err.text, "put it back"));
}

static void
what_is_no_store_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;

    queue_store_close(&f->s);
    scratch_write(&f->dir, "queue.db", "", 0);
    assert_false(opens(f));
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_int_equal(scratch_size(&f->dir, "queue.db"), 0);
    scratch_write(&f->dir, "queue.db", "hello", 5);
    assert_false(opens(f));
    assert_int_equal(scratch_size(&f->dir, "queue.db"), 5);
}

static void
every_schema_there_was_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;

    ENQUEUE(f, false, "a@b.example");
    assert_int_equal(ask(f, "PRAGMA user_version"), 3);
    assert_int_equal(ask(f, "PRAGMA application_id"), 0x5ea19057);
}

static void
a_probe_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    OK(f, queue_store_probe(f->s, &f->err));
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_probe(f->s, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(ask(f, "SELECT count(*) FROM meta WHERE key = 'probe'"),
                     0);
}

static void
a_probe_tells_that_the_file_was_moved_away(void **state)
{
    struct fixture *f = *state;
    char other[PATH_MAX];

    (void)snprintf(other, sizeof(other), "%s", scratch_file(&f->dir, "other"));
    assert_int_equal(rename(scratch_file(&f->dir, "queue.db"), other), 0);
    assert_false(queue_store_probe(f->s, &f->err));
    assert_int_equal(rename(other, scratch_file(&f->dir, "queue.db")), 0);
    OK(f, queue_store_probe(f->s, &f->err));
}

static void
the_wal_is_bounded_by_checkpoints(void **state)
{
    struct fixture *f = *state;
    long longest = 0;

    for (int i = 0; i < 60; i++) {
        const char *rcpt[] = {"a@b.example"};
        struct queue_message *m = message_to(f, rcpt, 1, 1024 * 1024);

        OK(f, queue_store_begin(f->s, &f->err));
        OK(f, queue_store_enqueue(f->s, m, true, &f->err));
        OK(f, queue_store_commit(f->s, &f->err));
        OK(f, queue_store_checkpoint(f->s, false, &f->err));
        settle(f, m->id, 0, QUEUE_DELIVERED);
        queue_message_free(&m);
    }
    longest = scratch_size(&f->dir, "queue.db-wal");
    assert_true(longest <= 20L * 1024 * 1024);
    OK(f, queue_store_checkpoint(f->s, true, &f->err));
    assert_int_equal(scratch_size(&f->dir, "queue.db-wal"), longest);
    assert_true(scratch_size(&f->dir, "queue.db") < 30L * 1024 * 1024);
}

static void
deleting_a_large_message_writes_little(void **state)
{
    struct fixture *f = *state;
    const char *rcpt[] = {"a@b.example"};
    struct queue_message *m = message_to(f, rcpt, 1, 5 * 1024 * 1024);
    struct rusage before, after;

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, true, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    (void)getrusage(RUSAGE_SELF, &before);
    settle(f, m->id, 0, QUEUE_DELIVERED);
    (void)getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_oublock - before.ru_oublock < 1024 * 1024 / 512);
    queue_message_free(&m);
}

/* --- full disks --- */

static bool
mount_small(struct fixture *f, const char *options)
{
    queue_store_close(&f->s);
    scratch_remove(&f->dir);
    assert_int_equal(mkdir(f->dir.path, 0700), 0);
    return geteuid() == 0 &&
           mount("tmpfs", f->dir.path, "tmpfs", 0, options) == 0;
}

static void
unmount(struct fixture *f)
{
    queue_store_close(&f->s);
    (void)umount2(f->dir.path, MNT_DETACH);
}

/* Until the disk is full; returns how many were accepted. */
static uint64_t
enqueue_until_full(struct fixture *f)
{
    const char *rcpt[] = {"a@b.example"};

    for (uint64_t n = 0;; n++) {
        struct queue_message *m = message_to(f, rcpt, 1, 20000);
        bool ok = queue_store_begin(f->s, &f->err);

        if (ok && !queue_store_enqueue(f->s, m, false, &f->err)) {
            queue_store_rollback(f->s);
            ok = false;
        }
        ok = ok && queue_store_commit(f->s, &f->err);
        queue_message_free(&m);
        if (!ok) {
            if (f->err.kind != ERR_SPACE)
                fail_msg("%s", f->err.text);
            return n;
        }
        (void)!queue_store_checkpoint(f->s, false, &f->err);
    }
}

static void
a_full_disk_refuses_mail_and_loses_none(void **state)
{
    struct fixture *f = *state;
    uint64_t n;

    if (!mount_small(f, "size=30m"))
        skip();
    open_store(f);
    n = enqueue_until_full(f);
    assert_true(n > 100);
    assert_int_equal(counts(f).messages, n);
    assert_false(queue_store_checkpoint(f->s, true, &f->err) &&
                 queue_store_probe(f->s, &f->err) && enqueue_until_full(f) > n);
    queue_store_close(&f->s);
    open_store(f);
    assert_true(counts(f).messages >= n);
    unmount(f);
}

/* Somebody else fills the disk: deliveries are still recorded. */
static void
deliveries_are_recorded_on_a_disk_that_is_full(void **state)
{
    struct fixture *f = *state;
    char page[4096] = {0};
    FILE *filler;

    if (!mount_small(f, "size=40m"))
        skip();
    open_store(f);
    for (int i = 0; i < 300; i++)
        ENQUEUE(f, true, "a@b.example");
    filler = fopen(scratch_file(&f->dir, "filler"), "w");
    while (fwrite(page, 1, sizeof(page), filler) == sizeof(page))
        ;
    (void)fclose(filler);
    for (uint64_t id = f->id - 299; id <= f->id; id++) {
        settle(f, id, 0, QUEUE_DELIVERED);
        OK(f, queue_store_checkpoint(f->s, false, &f->err));
    }
    assert_int_equal(counts(f).messages, 0);
    reopen(f);
    assert_int_equal(counts(f).messages, 0);
    unmount(f);
}

static void
space_that_returns_is_used(void **state)
{
    struct fixture *f = *state;
    char page[4096] = {0};
    FILE *filler;

    if (!mount_small(f, "size=30m"))
        skip();
    open_store(f);
    filler = fopen(scratch_file(&f->dir, "filler"), "w");
    for (int i = 0; i < 4096; i++)
        (void)fwrite(page, 1, sizeof(page), filler);
    (void)fclose(filler);
    (void)enqueue_until_full(f);
    (void)unlink(scratch_file(&f->dir, "filler"));
    OK(f, queue_store_probe(f->s, &f->err));
    assert_true(enqueue_until_full(f) > 100);
    unmount(f);
}

static void
a_file_that_may_not_grow_is_as_good_as_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 30 * 1024 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(enqueue_until_full(f) > 100);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    OK(f, queue_store_probe(f->s, &f->err));
    ENQUEUE(f, false, "a@b.example");
}

/* --- damaged files --- */

static uint64_t
next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return *seed >> 33;
}

static void
flip(struct fixture *f, const char *name, uint64_t *seed)
{
    long size = scratch_size(&f->dir, name);
    int fd = open(f->dir.file, O_RDWR);
    /* Where the structure is: heads of pages as often as anything else. */
    long at = (long)(next_random(seed) % (uint64_t)size);
    char octet = (char)next_random(seed);

    if (next_random(seed) % 2)
        at = at / 4096 * 4096 + (long)(next_random(seed) % 64);
    assert_true(fd >= 0);
    (void)!pwrite(fd, &octet, 1, at < size ? at : size - 1);
    (void)close(fd);
}

static void
ignore_row(void *ctx, const struct queue_row *row)
{
    *(size_t *)ctx += strlen(row->from) + strlen(row->to);
}

static void
ignore_message(void *ctx, const struct queue_history_message *m)
{
    *(size_t *)ctx += strlen(m->from);
}

static void
ignore_history(void *ctx, const struct queue_attempt *a,
               const struct queue_result *r)
{
    *(size_t *)ctx += strlen(r->address) + (a ? 1U : 0U);
}

static const char *
ignore_route(void *ctx, const char *from, const char *address,
             const char *domain)
{
    (void)ctx;
    (void)from;
    (void)address;
    return domain;
}

/* What is delivered must be what was given, however much is damaged. */
static void
check_delivered(const struct queue_message *m)
{
    assert_string_equal(m->envelope.from, "app@sender.example");
    for (size_t i = 0; i < m->envelope.rcpt_count; i++)
        assert_non_null(strstr(m->envelope.rcpt[i].address, ".example"));
    for (size_t i = 0; i < m->body.len; i++)
        assert_int_equal(m->body.p[i], 'x');
}

/* One turn of everything on a store that may be damaged anywhere. */
static void
exercise(struct fixture *f)
{
    const struct queue_filter all = {0};
    struct queue_message *out[50];
    struct queue_counts c;
    struct buf value = {0};
    char *names[20];
    size_t count = 0, sum = 0, budget = 1 << 20;
    int64_t next = INT64_MAX;
    uint64_t n;
    bool end, more;

    (void)!queue_store_begin(f->s, &f->err);
    (void)!queue_store_count(f->s, &c, &f->err);
    (void)!queue_store_list(f->s, &all, &(struct queue_cursor){0}, 100,
                            ignore_row, &sum, &end, &f->err);
    (void)!queue_store_history(f->s, 1001, ignore_message, ignore_history, &sum,
                               &f->err);
    if (queue_store_due(f->s, "", NOW, 20, names, &count, &next, &end, &f->err))
        for (size_t i = 0; i < count; i++)
            free(names[i]);
    for (int turn = 0; turn < 3; turn++)
        if (queue_store_claim(f->s, "b.example", NOW, 50, &budget, out, &count,
                              &more, &f->err))
            for (size_t i = 0; i < count; i++) {
                check_delivered(out[i]);
                (void)!settle_in(f, out[i]->id, out[i]->rcpt[0].number,
                                 QUEUE_DEFERRED);
                queue_message_free(&out[i]);
            }
    (void)!queue_store_read(f->s, 1001, 0, &value, &f->err);
    (void)!queue_store_unjam(f->s, NOW, NOW, NOW, &f->err);
    (void)!queue_store_reroute(f->s, "x", ignore_route, NULL, &f->err);
    (void)!change_all(f->s, QUEUE_CHANGE_HOLD, &all, false, &n, &f->err);
    (void)!change_all(f->s, QUEUE_CHANGE_DELETE, &all, false, &n, &f->err);
    (void)!queue_store_purge(f->s, NOW, 1, &more, &f->err);
    (void)!queue_store_shelf_get(f->s, "s", "k", &value, &f->err);
    queue_store_rollback(f->s);
    buf_free(&value);
}

static void
keep_copy(struct fixture *f)
{
    for (int i = 0; i < 40; i++)
        ENQUEUE(f, false, "a@b.example", "b@c.example", "c@b.example");
    for (uint64_t id = 1001; id < 1010; id++)
        settle(f, id, 1, QUEUE_DELIVERED);
    OK(f, queue_store_shelf_put(f->s, "s", "k", slice_of("v"), 1, &f->err));
}

/* Returns whether the store could still be opened. */
static bool
try_damaged(struct fixture *f)
{
    if (!opens(f))
        return false;
    exercise(f);
    queue_store_close(&f->s);
    return true;
}

static void
a_damaged_file_never_crashes_nor_delivers_what_was_not_given(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 7;
    int opened = 0;

    keep_copy(f);
    queue_store_close(&f->s);
    scratch_copy(&f->dir, "queue.db", "copy");
    for (int round = 0; round < 150; round++) {
        (void)unlink(scratch_file(&f->dir, "queue.db-wal"));
        scratch_copy(&f->dir, "copy", "queue.db");
        for (uint64_t n = 1 + next_random(&seed) % 4; n > 0; n--)
            flip(f, "queue.db", &seed);
        opened += try_damaged(f);
    }
    assert_true(opened > 20);
    (void)unlink(scratch_file(&f->dir, "queue.db"));
    (void)unlink(scratch_file(&f->dir, "queue.db-wal"));
    open_store(f);
}

static void
a_damaged_wal_never_crashes(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 8;

    run_and_die(f, 30);
    scratch_copy(&f->dir, "queue.db", "copy");
    scratch_copy(&f->dir, "queue.db-wal", "copy-wal");
    for (int round = 0; round < 60; round++) {
        scratch_copy(&f->dir, "copy", "queue.db");
        scratch_copy(&f->dir, "copy-wal", "queue.db-wal");
        if (round % 3 == 0)
            (void)!truncate(scratch_file(&f->dir, "queue.db-wal"),
                            (off_t)(next_random(&seed) % 300000));
        else
            flip(f, "queue.db-wal", &seed);
        (void)try_damaged(f);
    }
    (void)unlink(scratch_file(&f->dir, "queue.db"));
    (void)unlink(scratch_file(&f->dir, "queue.db-wal"));
    open_store(f);
}

static void
a_wal_of_another_store_does_no_harm(void **state)
{
    struct fixture *f = *state;

    run_and_die(f, 30);
    scratch_copy(&f->dir, "queue.db-wal", "other-wal");
    (void)unlink(scratch_file(&f->dir, "queue.db"));
    (void)unlink(scratch_file(&f->dir, "queue.db-wal"));
    open_store(f);
    run_and_die(f, 5);
    scratch_copy(&f->dir, "other-wal", "queue.db-wal");
    if (opens(f))
        exercise(f);
    queue_store_close(&f->s);
    (void)unlink(scratch_file(&f->dir, "queue.db"));
    (void)unlink(scratch_file(&f->dir, "queue.db-wal"));
    open_store(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_store_is_opened_closed_and_opened),
        TEST(a_second_relay_is_refused),
        TEST(a_directory_that_is_missing_is_told),
        TEST(an_unclean_end_loses_nothing),
        TEST(looking_does_not_make_an_end_clean),
        TEST(a_wal_that_is_missing_after_an_unclean_end_is_refused),
        TEST(a_wal_cut_to_nothing_after_an_unclean_end_is_refused),
        TEST(what_is_no_store_is_refused_and_left_alone),
        TEST(every_schema_there_was_is_brought_up_to_date),
        TEST(a_probe_leaves_nothing),
        TEST(a_probe_tells_that_the_file_was_moved_away),
        TEST(the_wal_is_bounded_by_checkpoints),
        TEST(deleting_a_large_message_writes_little),
        TEST(a_full_disk_refuses_mail_and_loses_none),
        TEST(deliveries_are_recorded_on_a_disk_that_is_full),
        TEST(space_that_returns_is_used),
        TEST(a_file_that_may_not_grow_is_as_good_as_a_full_disk),
        TEST(a_damaged_file_never_crashes_nor_delivers_what_was_not_given),
        TEST(a_damaged_wal_never_crashes),
        TEST(a_wal_of_another_store_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
