#include "relay/cli/user_file.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct scratch s;

static int
make(void **state)
{
    (void)state;
    scratch_make(&s);
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    scratch_remove(&s);
    return 0;
}

static void
open_it(struct cli_user_file *f, const char *path)
{
    struct config_errors errs = {0};

    if (!cli_user_file_open(f, path, true, (gid_t)-1, &errs))
        fail_msg("%s", errs.text[0]);
}

static void
set(const char *name, const char *line)
{
    scoped(cli_user_file_close) struct cli_user_file f = {.fd = -1};
    struct err err;

    open_it(&f, scratch_file(&s, "users"));
    if (!cli_user_file_set(&f, slice_of(name), slice_of(line), &err))
        fail_msg("%s", err.text);
}

static void
expect(const char *want)
{
    char text[1000];
    FILE *in = fopen(scratch_file(&s, "users"), "r");
    size_t n = fread(text, 1, sizeof(text) - 1, in);

    (void)fclose(in);
    text[n] = '\0';
    assert_string_equal(text, want);
}

static void
lines_are_added_replaced_and_removed_where_they_stand(void **state)
{
    (void)state;
    set("a", "a:*\n");
    set("b", "b:*\n");
    expect("a:*\nb:*\n");
    set("a", "a:!:x@y.example\n");
    expect("a:!:x@y.example\nb:*\n");
    set("nobody", "");
    set("a", "");
    expect("b:*\n");
    set("b", "");
    expect("");
}

static void
what_is_not_meant_stays_as_it_is(void **state)
{
    static const char text[] = "# a:comment\n\nab:*\na:*:x@y.example\nb:*";

    (void)state;
    scratch_write(&s, "users", text, sizeof(text) - 1);
    set("a", "a:!\n");
    expect("# a:comment\n\nab:*\na:!\nb:*\n");
}

static void
a_new_file_is_closed_to_others_and_an_old_one_keeps_its_mode(void **state)
{
    struct stat st;

    (void)state;
    set("a", "a:*\n");
    assert_int_equal(stat(s.file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(chmod(s.file, 0600), 0);
    set("b", "b:*\n");
    assert_int_equal(stat(s.file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void
nothing_is_left_beside_the_file(void **state)
{
    struct dirent *e;
    DIR *dir;
    int files = 0;

    (void)state;
    set("a", "a:*\n");
    set("a", "a:!\n");
    dir = opendir(s.path);
    while ((e = readdir(dir)))
        files += e->d_name[0] != '.';
    (void)closedir(dir);
    assert_int_equal(files, 1);
}

static void
a_broken_file_is_not_touched(void **state)
{
    struct config_errors errs = {0};
    struct cli_user_file f;

    (void)state;
    scratch_write(&s, "users", "a:*\nbroken\n", 11);
    assert_false(cli_user_file_open(&f, s.file, true, (gid_t)-1, &errs));
    assert_non_null(strstr(errs.text[0], "users:2: there is no hash"));
    cli_user_file_close(&f);
    config_errors_done(&errs);
    expect("a:*\nbroken\n");
}

static void
a_file_that_is_only_read_is_not_made(void **state)
{
    struct config_errors errs = {0};
    struct cli_user_file f;

    (void)state;
    assert_false(cli_user_file_open(&f, scratch_file(&s, "users"), false,
                                    (gid_t)-1, &errs));
    cli_user_file_close(&f);
    config_errors_done(&errs);
    assert_int_not_equal(access(s.file, F_OK), 0);
}

static void
senders_are_found_as_they_stand(void **state)
{
    static const char text[] = "a:*:x@Y.example, *\nb:*\n";
    scoped(cli_user_file_close) struct cli_user_file f = {.fd = -1};

    (void)state;
    scratch_write(&s, "users", text, sizeof(text) - 1);
    open_it(&f, s.file);
    assert_true(
        slice_is(cli_user_file_senders(&f, slice_of("a")), "x@Y.example, *"));
    assert_true(slice_is(cli_user_file_senders(&f, slice_of("b")), ""));
    assert_true(slice_is(cli_user_file_senders(&f, slice_of("c")), ""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            lines_are_added_replaced_and_removed_where_they_stand, make, clear),
        cmocka_unit_test_setup_teardown(what_is_not_meant_stays_as_it_is, make,
                                        clear),
        cmocka_unit_test_setup_teardown(
            a_new_file_is_closed_to_others_and_an_old_one_keeps_its_mode, make,
            clear),
        cmocka_unit_test_setup_teardown(nothing_is_left_beside_the_file, make,
                                        clear),
        cmocka_unit_test_setup_teardown(a_broken_file_is_not_touched, make,
                                        clear),
        cmocka_unit_test_setup_teardown(a_file_that_is_only_read_is_not_made,
                                        make, clear),
        cmocka_unit_test_setup_teardown(senders_are_found_as_they_stand, make,
                                        clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
