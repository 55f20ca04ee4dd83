#include "relay/daemon/lock.h"

#include "relay/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char *
scratch(void)
{
    char *dir = mem_text("/tmp/lock-test-XXXXXX");

    assert_non_null(mkdtemp(dir));
    return dir;
}

static void
clean(char **dir)
{
    char *file = mem_printf("%s/queue.lock", *dir);

    (void)unlink(file);
    (void)rmdir(*dir);
    free(file);
    own_free(dir);
}

static void
a_second_owner_is_told_the_pid_of_the_first(void **state)
{
    char *dir = scratch();
    int fd = -1, other = -1;
    struct err err = {0};
    char pid[32];

    (void)state;
    assert_true(lock_take(dir, &fd, &err));
    assert_false(lock_take(dir, &other, &err));
    (void)snprintf(pid, sizeof(pid), "in use by pid %ld;", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    own_close(&fd);
    assert_true(lock_take(dir, &fd, &err));
    own_close(&fd);
    clean(&dir);
}

static void
the_lock_ends_with_its_process(void **state)
{
    char *dir = scratch();
    int fd = -1, status;
    struct err err;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(lock_take(dir, &fd, &err) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(lock_take(dir, &fd, &err));
    own_close(&fd);
    clean(&dir);
}

static void
a_missing_directory_is_made_for_the_owner_alone(void **state)
{
    char *dir = scratch();
    struct stat st;
    struct err err;
    int fd = -1;

    (void)state;
    assert_int_equal(rmdir(dir), 0);
    assert_true(lock_take(dir, &fd, &err));
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    own_close(&fd);
    clean(&dir);
}

static void
what_is_no_directory_is_refused_by_name(void **state)
{
    struct err err = {0};
    int fd = -1;

    (void)state;
    assert_false(lock_take("/dev/null", &fd, &err));
    assert_non_null(strstr(err.text, "/dev/null: not a directory"));
    assert_false(lock_take("/dev/null/a/b", &fd, &err));
    assert_non_null(strstr(err.text, "state_directory: /dev/null/a: can't"));
    assert_int_equal(fd, -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_owner_is_told_the_pid_of_the_first),
        cmocka_unit_test(the_lock_ends_with_its_process),
        cmocka_unit_test(a_missing_directory_is_made_for_the_owner_alone),
        cmocka_unit_test(what_is_no_directory_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
