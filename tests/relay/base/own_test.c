#include "relay/base/own.h"

#include "relay/base/mem.h"
#include "relay/base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

static void
frees_once_and_forgets(void **state)
{
    char *p = mem_text("x");

    (void)state;
    own_free(&p);
    assert_null(p);
    own_free(&p);
    assert_null(p);
}

static void
closes_once_and_forgets(void **state)
{
    int pipes[2], kept;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    kept = pipes[0];
    own_close(&pipes[0]);
    assert_int_equal(pipes[0], -1);
    assert_int_equal(fcntl(kept, F_GETFD), -1);
    own_close(&pipes[0]);
    own_close(&pipes[1]);
}

static int
close_in_scope(bool may_take)
{
    scoped(own_close) int fd = open("/dev/null", O_RDONLY);

    return may_take ? dup(fd) : fd;
}

static void
releases_at_the_end_of_the_block(void **state)
{
    int fd = close_in_scope(false);

    (void)state;
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    fd = close_in_scope(true);
    assert_int_not_equal(fcntl(fd, F_GETFD), -1);
    own_close(&fd);
}

static char *
move_out(void)
{
    scoped(own_free) char *p = mem_text("moved");

    return take(&p);
}

static void
moves_out_of_a_block(void **state)
{
    scoped(own_free) char *p = move_out();

    (void)state;
    assert_string_equal(p, "moved");
}

static void
finds_the_struct_of_a_member(void **state)
{
    struct {
        int first;
        char second;
    } whole;

    (void)state;
    assert_ptr_equal(own_container(&whole.second, __typeof__(whole), second),
                     &whole);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frees_once_and_forgets),
        cmocka_unit_test(closes_once_and_forgets),
        cmocka_unit_test(releases_at_the_end_of_the_block),
        cmocka_unit_test(moves_out_of_a_block),
        cmocka_unit_test(finds_the_struct_of_a_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
