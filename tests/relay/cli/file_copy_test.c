#include "relay/cli/file_copy.h"

#include "relay/base/mem.h"
#include "scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SIZE = 700 * 1000 };

static int
set_up(void **state)
{
    struct scratch *s = calloc(1, sizeof(*s));

    scratch_make(s);
    *state = s;
    return 0;
}

static int
tear_down(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

static void
write_file(const char *path, char c)
{
    scoped(own_free) char *octets = mem_array(char, SIZE);
    scoped(own_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    memset(octets, c, SIZE);
    assert_int_equal(write(fd, octets, SIZE), SIZE);
}

static void
check_file(const char *path, char c, mode_t mode)
{
    scoped(own_free) char *octets = mem_array(char, SIZE + 1);
    scoped(own_close) int fd = open(path, O_RDONLY);
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    assert_int_equal(read(fd, octets, SIZE + 1), SIZE);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(octets[i], c);
}

static void
a_copy_is_whole_and_private(void **state)
{
    scoped(own_free) char *from = mem_text(scratch_file(*state, "from"));
    scoped(own_free) char *to = mem_text(scratch_file(*state, "to"));
    struct err err;

    write_file(from, 'a');
    write_file(to, 'b');
    assert_true(cli_file_copy(from, to, &err));
    check_file(to, 'a', 0600);
    check_file(from, 'a', 0644);
}

static void
a_move_leaves_nothing_behind(void **state)
{
    scoped(own_free) char *from = mem_text(scratch_file(*state, "from"));
    scoped(own_free) char *to = mem_text(scratch_file(*state, "to"));
    struct err err;

    write_file(from, 'a');
    assert_true(cli_file_move(from, to, &err));
    check_file(to, 'a', 0644);
    assert_int_equal(access(from, F_OK), -1);
}

static void
a_move_to_another_file_system_is_a_copy(void **state)
{
    scoped(own_free) char *from = mem_text(scratch_file(*state, "from"));
    scoped(own_free) char *to =
        mem_printf("/dev/shm/sealpost-%ld.test", (long)getpid());
    scoped(own_free) char *part = mem_printf("%s.part", to);
    struct err err;

    write_file(from, 'a');
    assert_true(cli_file_move(from, to, &err));
    check_file(to, 'a', access(part, F_OK) == 0 ? 0 : 0600);
    assert_int_equal(unlink(to), 0);
    assert_int_equal(access(from, F_OK), -1);
}

static void
what_cannot_be_done_is_told(void **state)
{
    scoped(own_free) char *from = mem_text(scratch_file(*state, "from"));
    scoped(own_free) char *to = mem_text(scratch_file(*state, "no/to"));
    struct err err;

    assert_false(cli_file_copy(from, to, &err));
    assert_non_null(strstr(err.text, "from"));
    write_file(from, 'a');
    assert_false(cli_file_copy(from, to, &err));
    assert_false(cli_file_move(from, to, &err));
    check_file(from, 'a', 0644);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_is_whole_and_private, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_move_leaves_nothing_behind, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_move_to_another_file_system_is_a_copy,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_done_is_told, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
