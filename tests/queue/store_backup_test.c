#include "store_fixture.h"

#include "queue/store_backup.h"

#include <sys/stat.h>

enum { LARGE = 60000 }; /* octets of a body: a few make many steps */

static void
enqueue_large(struct fixture *f, size_t n)
{
    const char *rcpt[] = {"a@b.example"};

    OK(f, queue_store_begin(f->s, &f->err));
    for (size_t i = 0; i < n; i++) {
        struct queue_message *m = message_to(f, rcpt, 1, LARGE);

        OK(f, queue_store_enqueue(f->s, m, false, &f->err));
        queue_message_free(&m);
    }
    OK(f, queue_store_commit(f->s, &f->err));
}

static const char *
copy_path(struct fixture *f)
{
    return scratch_file(&f->dir, "copy");
}

/* Goes on in the directory, with the copy in the place of the queue. */
static void
put_back(struct fixture *f)
{
    scoped(own_free) char *queue = mem_text(scratch_file(&f->dir, "queue.db"));

    queue_store_close(&f->s);
    OK(f, queue_store_backup_check(copy_path(f), &f->err));
    assert_int_equal(rename(copy_path(f), queue), 0);
    open_store(f);
}

static void
a_copy_has_what_came_in_while_it_was_made(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    unsigned steps = 0;
    bool end = false;

    enqueue_large(f, 100);
    OK(f, queue_store_backup_start(f->s, copy_path(f), &f->err));
    while (!end) {
        OK(f, queue_store_backup_step(f->s, &end, &f->err));
        if (steps++ == 1) {
            enqueue_large(f, 3);
            OK(f, queue_store_checkpoint(f->s, true, &f->err));
        }
        if (steps == 4)
            settle(f, 1001, 0, QUEUE_DELIVERED);
    }
    assert_true(steps > 5);
    assert_int_equal(stat(copy_path(f), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    enqueue_large(f, 5); /* this one is of the future */
    put_back(f);
    assert_int_equal(counts(f).messages, 102);
    assert_int_equal(claim(f, "b.example"), 102);
    settle(f, 1002, 0, QUEUE_DELIVERED);
}

static void
one_is_made_at_a_time(void **state)
{
    struct fixture *f = *state;

    OK(f, queue_store_backup_start(f->s, copy_path(f), &f->err));
    assert_false(queue_store_backup_start(f->s, copy_path(f), &f->err));
    assert_int_equal(f->err.kind, ERR_INPUT);
    queue_store_backup_stop(f->s);
    OK(f, queue_store_backup_start(f->s, copy_path(f), &f->err));
}

static void
what_is_not_whole_does_not_stay(void **state)
{
    struct fixture *f = *state;
    bool end;

    enqueue_large(f, 100);
    OK(f, queue_store_backup_start(f->s, copy_path(f), &f->err));
    OK(f, queue_store_backup_step(f->s, &end, &f->err));
    assert_false(end);
    queue_store_close(&f->s); /* the relay ends */
    assert_int_equal(access(copy_path(f), F_OK), -1);
    open_store(f);
    assert_int_equal(counts(f).messages, 100);
    OK(f, queue_store_backup_start(f->s, copy_path(f), &f->err));
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_probe(f->s, &f->err));
    assert_false(queue_store_backup_step(f->s, &end, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(access(copy_path(f), F_OK), -1);
    assert_false(queue_store_backup_step(f->s, &end, &f->err));
}

static void
what_was_there_by_that_name_is_replaced(void **state)
{
    struct fixture *f = *state;
    FILE *old = fopen(copy_path(f), "w");
    bool end = false;

    assert_non_null(old);
    (void)fputs("something else", old);
    (void)fclose(old);
    OK(f, queue_store_backup_start(f->s, copy_path(f), &f->err));
    while (!end)
        OK(f, queue_store_backup_step(f->s, &end, &f->err));
    put_back(f);
    assert_int_equal(counts(f).messages, 0);
}

static void
a_directory_that_is_not_there_is_told(void **state)
{
    struct fixture *f = *state;

    assert_false(queue_store_backup_start(f->s, "/nowhere/copy", &f->err));
    assert_non_null(strstr(f->err.text, "/nowhere/copy"));
}

static void
what_is_no_queue_or_damaged_is_refused(void **state)
{
    struct fixture *f = *state;
    bool end = false;
    FILE *file;

    enqueue_large(f, 20);
    OK(f, queue_store_backup_start(f->s, copy_path(f), &f->err));
    while (!end)
        OK(f, queue_store_backup_step(f->s, &end, &f->err));
    file = fopen(copy_path(f), "r+");
    assert_non_null(file);
    for (long at = 4096; at < 40 * 4096; at += 4096) {
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        (void)fputs("damage, damage, damage", file);
    }
    (void)fclose(file);
    assert_false(queue_store_backup_check(copy_path(f), &f->err));
    file = fopen(copy_path(f), "w");
    (void)fputs("no database at all, but long enough to be looked at", file);
    (void)fclose(file);
    assert_false(queue_store_backup_check(copy_path(f), &f->err));
    assert_false(queue_store_backup_check("/nowhere/copy", &f->err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_has_what_came_in_while_it_was_made),
        TEST(one_is_made_at_a_time),
        TEST(what_is_not_whole_does_not_stay),
        TEST(what_was_there_by_that_name_is_replaced),
        TEST(a_directory_that_is_not_there_is_told),
        TEST(what_is_no_queue_or_damaged_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
