#include "relay/config/dkim_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

struct fixture {
    char path[40];
};

static void
write_to(const char *path, const char *text, size_t len, const char *how)
{
    FILE *out = fopen(path, how);

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    (void)fclose(out);
}

static void
begin(struct fixture *f)
{
    int fd;

    (void)snprintf(f->path, sizeof(f->path), "/tmp/sealpost-key-XXXXXX");
    fd = mkstemp(f->path);
    assert_true(fd >= 0);
    (void)close(fd);
    write_to(f->path, pem, sizeof(pem) - 1, "w");
}

static void
end(struct fixture *f)
{
    (void)unlink(f->path);
}

static void
a_key_is_read_with_its_stamp(void **state)
{
    scoped(end) struct fixture f;
    scoped(dkim_file_done) struct dkim_file file = {0};
    struct dkim_stamp now;
    struct err err;

    (void)state;
    begin(&f);
    assert_true(dkim_file_read(f.path, &file, &err));
    assert_string_equal(mail_dkim_key_algorithm(file.key), "ed25519-sha256");
    now = dkim_stamp_of(f.path);
    assert_true(dkim_stamp_is_same(&now, &file.stamp));
}

static void
every_change_of_a_file_shows_in_its_stamp(void **state)
{
    scoped(end) struct fixture f, other;
    struct dkim_stamp old, now;

    (void)state;
    begin(&f);
    begin(&other);
    old = dkim_stamp_of(f.path);
    write_to(f.path, "x", 1, "a");
    now = dkim_stamp_of(f.path);
    assert_false(dkim_stamp_is_same(&now, &old));
    old = now;
    assert_int_equal(rename(other.path, f.path), 0);
    now = dkim_stamp_of(f.path);
    assert_false(dkim_stamp_is_same(&now, &old));
    old = now;
    assert_int_equal(unlink(f.path), 0);
    now = dkim_stamp_of(f.path);
    assert_false(dkim_stamp_is_same(&now, &old));
    old = now;
    now = dkim_stamp_of(f.path);
    assert_true(dkim_stamp_is_same(&now, &old));
}

/* So that the same fault is told of once. */
static void
a_file_without_a_key_has_a_stamp_too(void **state)
{
    scoped(end) struct fixture f;
    struct dkim_file file;
    struct dkim_stamp now;
    struct err err;

    (void)state;
    begin(&f);
    for (size_t len = 0; len < sizeof(pem) - 2; len++) {
        write_to(f.path, pem, len, "w");
        assert_false(dkim_file_read(f.path, &file, &err));
        assert_null(file.key);
        assert_null(strstr(err.text, "MC4C"));
        now = dkim_stamp_of(f.path);
        assert_true(dkim_stamp_is_same(&now, &file.stamp));
    }
}

static void
what_is_no_small_regular_file_is_refused(void **state)
{
    static const char *const paths[] = {"/tmp", "/dev/zero", "/dev/null",
                                        "/nonexistent", ""};
    scoped(end) struct fixture f;
    struct dkim_file file;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        assert_false(dkim_file_read(paths[i], &file, &err));
    begin(&f);
    for (size_t n = 0; n <= DKIM_FILE_MAX; n += sizeof(pem) - 1)
        write_to(f.path, pem, sizeof(pem) - 1, "a");
    assert_false(dkim_file_read(f.path, &file, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    (void)unlink(f.path);
    assert_int_equal(mkfifo(f.path, 0600), 0);
    assert_false(dkim_file_read(f.path, &file, &err));
}

static void
a_mode_wider_than_0640_is_noticed(void **state)
{
    static const struct {
        mode_t mode;
        bool is_open;
    } rows[] = {{0600, false}, {0400, false}, {0640, false}, {0440, false},
                {0644, true},  {0660, true},  {0604, true},  {0700, true}};
    scoped(end) struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(dkim_file_done) struct dkim_file file = {0};
        struct err err;

        assert_int_equal(chmod(f.path, rows[i].mode), 0);
        assert_true(dkim_file_read(f.path, &file, &err));
        assert_int_equal(file.is_open, rows[i].is_open);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_read_with_its_stamp),
        cmocka_unit_test(every_change_of_a_file_shows_in_its_stamp),
        cmocka_unit_test(a_file_without_a_key_has_a_stamp_too),
        cmocka_unit_test(what_is_no_small_regular_file_is_refused),
        cmocka_unit_test(a_mode_wider_than_0640_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
