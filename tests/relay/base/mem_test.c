#include "relay/base/mem.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

static void
gives_zeroed_memory(void **state)
{
    scoped(own_free) unsigned *list = mem_array(unsigned, 100);
    scoped(own_free) void *nothing = mem_zeroed(0, 0);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(list[i], 0);
    assert_non_null(nothing);
    list[99] = 7;
    list = mem_resized(list, 1000, sizeof(*list));
    assert_int_equal(list[99], 7);
}

static void
copies_text(void **state)
{
    scoped(own_free) char *a = mem_text("abc");
    scoped(own_free) char *b = mem_copy((struct slice){"a\0b", 3});
    scoped(own_free) char *c = mem_copy((struct slice){0});
    scoped(own_free) char *d = mem_printf("%d-%s", 7, "x");

    (void)state;
    assert_string_equal(a, "abc");
    assert_memory_equal(b, "a\0b", 4);
    assert_string_equal(c, "");
    assert_string_equal(d, "7-x");
    assert_null(mem_text(NULL));
}

enum { RETURNED = 100 };

/* A product that does not fit is no small allocation. */
static void
aborts_rather_than_fail(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        volatile size_t count = SIZE_MAX / 2;
        char *p;

        /* The sanitizer's own report would be noise. */
        (void)close(STDERR_FILENO);
        p = mem_zeroed(count, 4);
        _exit(p ? RETURNED : RETURNED + 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) >= RETURNED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_memory),
        cmocka_unit_test(copies_text),
        cmocka_unit_test(aborts_rather_than_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
