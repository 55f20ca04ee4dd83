#include "relay/daemon/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "scratch.h"

#include <cmocka.h>

static mode_t
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void
everything_above_is_made_too(void **state)
{
    struct scratch s;
    struct err err;

    (void)state;
    scratch_make(&s);
    assert_true(directory_make(scratch_file(&s, "a/b"), 0700, NULL, &err));
    assert_int_equal(mode_of(s.file), 0700);
    assert_true(directory_make(s.file, 0755, NULL, &err));
    assert_int_equal(mode_of(s.file), 0700); /* as it was */
    assert_int_equal(rmdir(s.file), 0);
    assert_int_equal(rmdir(scratch_file(&s, "a")), 0);
    scratch_remove(&s);
}

static void
a_file_gets_its_directory(void **state)
{
    struct scratch s;
    struct err err;

    (void)state;
    scratch_make(&s);
    assert_true(
        directory_make_for(scratch_file(&s, "run/x.sock"), 0755, NULL, &err));
    assert_int_equal(rmdir(scratch_file(&s, "run")), 0);
    assert_true(directory_make_for("x.sock", 0755, NULL, &err));
    assert_true(directory_make_for("/x.sock", 0755, NULL, &err));
    scratch_remove(&s);
}

static void
a_file_in_the_way_is_an_error(void **state)
{
    struct scratch s;
    struct err err;

    (void)state;
    scratch_make(&s);
    scratch_write(&s, "a", "x", 1);
    assert_false(directory_make(scratch_file(&s, "a"), 0700, NULL, &err));
    assert_non_null(strstr(err.text, "not a directory"));
    assert_false(directory_make(scratch_file(&s, "a/b"), 0700, NULL, &err));
    assert_non_null(strstr(err.text, "a/b"));
    assert_false(directory_make("", 0700, NULL, &err));
    scratch_remove(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_above_is_made_too),
        cmocka_unit_test(a_file_gets_its_directory),
        cmocka_unit_test(a_file_in_the_way_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
