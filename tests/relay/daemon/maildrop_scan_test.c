#include "relay/daemon/maildrop_scan.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static struct maildrop_names names;

static void
scan(struct scratch *s, const char *after)
{
    struct err err;

    if (!maildrop_scan(s->path, after, &names, &err))
        fail_msg("%s", err.text);
}

static void
messages_come_in_the_order_of_their_names(void **state)
{
    static const char *const given[] = {"3-c.mail", "1-a.mail", "2-b.mail"};
    scoped(scratch_remove) struct scratch s;

    (void)state;
    scratch_make(&s);
    for (size_t i = 0; i < 3; i++)
        scratch_write(&s, given[i], "x", 1);
    scan(&s, "");
    assert_int_equal(names.count, 3);
    assert_string_equal(names.name[0], "1-a.mail");
    assert_string_equal(names.name[2], "3-c.mail");
    scan(&s, "2-b.mail");
    assert_int_equal(names.count, 1);
    assert_string_equal(names.name[0], "3-c.mail");
    scan(&s, "3-c.mail");
    assert_int_equal(names.count, 0);
}

static void
what_is_no_message_is_passed_over(void **state)
{
    static const char *const others[] = {
        ".new-1-a.mail",
        "1-a.mail.bad",
        ".mail",
        "mail",
        "1-a.mai",
        "README",
        "0123456789012345678901234567890123456789012345678901234567890.mail"};
    scoped(scratch_remove) struct scratch s;

    (void)state;
    scratch_make(&s);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        scratch_write(&s, others[i], "x", 1);
    scan(&s, "");
    assert_int_equal(names.count, 0);
}

static void
more_than_fit_come_in_several_scans(void **state)
{
    enum { ALL = MAILDROP_SCAN_MAX * 2 + 17 };
    scoped(scratch_remove) struct scratch s;
    char after[MAILDROP_NAME_MAX + 1] = "", name[32];
    size_t seen = 0;

    (void)state;
    scratch_make(&s);
    for (int i = ALL - 1; i >= 0; i--) {
        (void)snprintf(name, sizeof(name), "%06d.mail", i);
        scratch_write(&s, name, "x", 1);
    }
    do {
        scan(&s, after);
        for (size_t i = 0; i < names.count; i++) {
            (void)snprintf(name, sizeof(name), "%06zu.mail", seen++);
            assert_string_equal(names.name[i], name);
        }
        memcpy(after, names.name[names.count - 1], sizeof(after));
    } while (names.count == MAILDROP_SCAN_MAX);
    assert_int_equal(seen, ALL);
}

static void
what_was_never_ended_goes_after_a_day(void **state)
{
    scoped(scratch_remove) struct scratch s;
    struct timespec old[2] = {{.tv_sec = time(NULL) - MAILDROP_STALE_S - 60},
                              {.tv_sec = time(NULL) - MAILDROP_STALE_S - 60}};

    (void)state;
    scratch_make(&s);
    scratch_write(&s, ".new-a.mail", "x", 1);
    scratch_write(&s, ".new-b.mail", "x", 1);
    scratch_write(&s, "a.mail", "x", 1);
    assert_int_equal(
        utimensat(AT_FDCWD, scratch_file(&s, ".new-a.mail"), old, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, scratch_file(&s, "a.mail"), old, 0),
                     0);
    scan(&s, "");
    assert_int_equal(names.count, 1);
    assert_int_equal(scratch_size(&s, ".new-a.mail"), -1);
    assert_int_equal(scratch_size(&s, ".new-b.mail"), 1);
}

static void
a_directory_that_is_gone_is_an_error(void **state)
{
    struct err err;

    (void)state;
    assert_false(maildrop_scan("/nonexistent/maildrop", "", &names, &err));
    assert_int_equal(names.count, 0);
    assert_false(maildrop_check("/nonexistent/maildrop", &err));
    assert_false(maildrop_check("/etc/passwd", &err));
}

static void
a_directory_that_others_may_write_needs_the_sticky_bit(void **state)
{
    static const struct {
        mode_t mode;
        bool good;
    } rows[] = {{0700, true},  {01733, true},  {03733, true},
                {03730, true}, {0730, false},  {0733, false},
                {0777, false}, {02733, false}, {01777, true}};
    scoped(scratch_remove) struct scratch s;

    (void)state;
    scratch_make(&s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err err = {0};

        assert_int_equal(chmod(s.path, rows[i].mode), 0);
        assert_int_equal(maildrop_check(s.path, &err), rows[i].good);
        assert_int_equal(strstr(err.text, "sticky") != NULL, !rows[i].good);
    }
    assert_int_equal(chmod(s.path, 0700), 0);
}

/* Otherwise a user could have the relay mail what only the relay may read, or
 * wait for ever. */
static void
only_a_plain_file_with_one_name_is_opened(void **state)
{
    static const struct {
        const char *name;
        enum err_kind kind;
    } rows[] = {{"link.mail", ERR_INPUT},
                {"hard.mail", ERR_INPUT},
                {"pipe.mail", ERR_INPUT},
                {"dir.mail", ERR_INPUT},
                {"gone.mail", ERR_MISSING}};
    scoped(scratch_remove) struct scratch s;
    struct maildrop_file file;
    char target[PATH_MAX];
    int fd = -1;
    struct err err;

    (void)state;
    scratch_make(&s);
    scratch_write(&s, "good.mail", "12345", 5);
    assert_true(maildrop_open(scratch_file(&s, "good.mail"), &fd, &file, &err));
    assert_int_equal(file.size, 5);
    assert_int_equal(file.owner, geteuid());
    own_close(&fd);

    (void)snprintf(target, sizeof(target), "%s", scratch_file(&s, "good.mail"));
    assert_int_equal(symlink(target, scratch_file(&s, "link.mail")), 0);
    assert_int_equal(link(target, scratch_file(&s, "hard.mail")), 0);
    assert_int_equal(mkfifo(scratch_file(&s, "pipe.mail"), 0600), 0);
    assert_int_equal(mkdir(scratch_file(&s, "dir.mail"), 0700), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_false(
            maildrop_open(scratch_file(&s, rows[i].name), &fd, &file, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(rmdir(scratch_file(&s, "dir.mail")), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_in_the_order_of_their_names),
        cmocka_unit_test(what_is_no_message_is_passed_over),
        cmocka_unit_test(more_than_fit_come_in_several_scans),
        cmocka_unit_test(what_was_never_ended_goes_after_a_day),
        cmocka_unit_test(a_directory_that_is_gone_is_an_error),
        cmocka_unit_test(
            a_directory_that_others_may_write_needs_the_sticky_bit),
        cmocka_unit_test(only_a_plain_file_with_one_name_is_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
