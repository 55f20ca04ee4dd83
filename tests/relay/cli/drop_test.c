#include "relay/cli/drop.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/daemon/maildrop_scan.h"

#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

static const char letter[] = "Subject: x\r\n\r\n.\r\nhello\r\n";

static void
add(struct mail_envelope *e, const char *address)
{
    struct mail_rcpt *rcpt = mail_envelope_add(e);

    rcpt->address = mem_text(address);
    rcpt->domain = mem_text("x.example");
}

static char *
read_whole(const char *path)
{
    FILE *in = fopen(path, "r");
    struct buf text = {0};
    int c;

    assert_non_null(in);
    while ((c = getc(in)) != EOF)
        buf_add_byte(&text, (char)c);
    (void)fclose(in);
    buf_add_byte(&text, '\0');
    return text.p;
}

static size_t
files_in(const char *directory)
{
    DIR *dir = opendir(directory);
    size_t n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(dir);
    return n;
}

/* RFC 2442; all that was asked for stands in it: RFC 3461, 8689. */
static void
a_message_is_a_dialog_in_a_file(void **state)
{
    scoped(scratch_remove) struct scratch s;
    struct mail_envelope e scoped(mail_envelope_done) = {.ret = MAIL_RET_HDRS,
                                                         .requiretls = true};
    scoped(own_free) char *path = NULL;
    scoped(own_free) char *text = NULL;
    struct stat st;
    struct err err;

    (void)state;
    scratch_make(&s);
    e.from = mem_text("a@x.example");
    e.envid = mem_text("id+1");
    add(&e, "b@x.example");
    add(&e, "c@x.example");
    e.rcpt[1].notify = MAIL_NOTIFY_NEVER;
    if (!cli_drop(s.path, "host.example", &e, slice_of(letter), &path, &err))
        fail_msg("%s", err.text);
    text = read_whole(path);
    assert_string_equal(text,
                        "EHLO host.example\r\n"
                        "MAIL FROM:<a@x.example> SIZE=24 REQUIRETLS RET=HDRS "
                        "ENVID=id+2B1\r\n"
                        "RCPT TO:<b@x.example>\r\n"
                        "RCPT TO:<c@x.example> NOTIFY=NEVER\r\n"
                        "BDAT 24 LAST\r\n"
                        "Subject: x\r\n\r\n.\r\nhello\r\n");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(files_in(s.path), 1);
}

static void
the_relay_finds_what_was_left(void **state)
{
    static struct maildrop_names names;
    scoped(scratch_remove) struct scratch s;
    struct mail_envelope e scoped(mail_envelope_done) = {0};
    struct err err;

    (void)state;
    scratch_make(&s);
    e.from = mem_text("");
    add(&e, "b@x.example");
    for (int i = 0; i < 20; i++) {
        scoped(own_free) char *path = NULL;

        assert_true(cli_drop(s.path, "h", &e, slice_of(letter), &path, &err));
    }
    assert_true(maildrop_scan(s.path, "", &names, &err));
    assert_int_equal(names.count, 20);
}

static void
many_recipients_take_several_files(void **state)
{
    scoped(scratch_remove) struct scratch s;
    struct mail_envelope e scoped(mail_envelope_done) = {0};
    scoped(own_free) char *path = NULL;
    struct err err;

    (void)state;
    scratch_make(&s);
    e.from = mem_text("a@x.example");
    for (size_t i = 0; i < 2 * CLI_DROP_RCPT_MAX + 1; i++)
        add(&e, "b@x.example");
    assert_true(cli_drop(s.path, "h", &e, slice_of(letter), &path, &err));
    assert_int_equal(files_in(s.path), 3);
}

static void
what_can_not_be_written_leaves_nothing_behind(void **state)
{
    const struct rlimit none = {64, RLIM_INFINITY};
    scoped(scratch_remove) struct scratch s;
    struct mail_envelope e scoped(mail_envelope_done) = {0};
    scoped(own_free) char *path = NULL;
    struct rlimit before;
    struct err err;

    (void)state;
    scratch_make(&s);
    e.from = mem_text("a@x.example");
    add(&e, "b@x.example");
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_false(cli_drop(s.path, "h", &e, slice_of(letter), &path, &err));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_null(path);
    assert_non_null(strstr(err.text, s.path));
    assert_int_equal(files_in(s.path), 0);
    assert_false(
        cli_drop("/nonexistent", "h", &e, slice_of(letter), &path, &err));
    assert_null(path);
}

/* As somebody else than root and the relay: in a process of its own. */
static int
as_somebody(const char *directory, mode_t *mode)
{
    struct mail_envelope e = {.from = mem_text("a@x.example")};
    char *path = NULL;
    struct stat st;
    struct err err;

    add(&e, "b@x.example");
    if (setegid(65534) != 0 || seteuid(65534) != 0)
        return -1;
    if (!cli_drop(directory, "h", &e, slice_of(letter), &path, &err))
        *mode = 0;
    else if (stat(path, &st) == 0)
        *mode = st.st_mode & 07777;
    if (seteuid(0) != 0 || setegid(0) != 0)
        abort();
    mail_envelope_done(&e);
    free(path);
    return 0;
}

static void
what_the_relay_could_not_read_is_not_left(void **state)
{
    static const struct {
        mode_t directory, file;
    } rows[] = {{03733, 0640}, {01733, 0}, {0700, 0}, {02733, 0640}};
    scoped(scratch_remove) struct scratch s;

    (void)state;
    if (geteuid() != 0)
        skip();
    scratch_make(&s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        mode_t mode = 1;

        assert_int_equal(chmod(s.path, rows[i].directory), 0);
        assert_int_equal(as_somebody(s.path, &mode), 0);
        assert_int_equal(mode, rows[i].file);
    }
    assert_int_equal(chmod(s.path, 0700), 0);
    assert_int_equal(files_in(s.path), 2);
}

/* Root leaves it for the user that the relay is run by. */
static void
root_gives_the_file_to_the_relay(void **state)
{
    scoped(scratch_remove) struct scratch s;
    struct mail_envelope e scoped(mail_envelope_done) = {0};
    scoped(own_free) char *path = NULL;
    struct stat st;
    struct err err;

    (void)state;
    if (geteuid() != 0)
        skip();
    scratch_make(&s);
    e.from = mem_text("a@x.example");
    add(&e, "b@x.example");
    assert_int_equal(chown(s.path, 65534, 65534), 0);
    assert_true(cli_drop(s.path, "h", &e, slice_of(letter), &path, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 65534);
    assert_int_equal(st.st_mode & 07777, 0600);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_a_dialog_in_a_file),
        cmocka_unit_test(the_relay_finds_what_was_left),
        cmocka_unit_test(many_recipients_take_several_files),
        cmocka_unit_test(what_can_not_be_written_leaves_nothing_behind),
        cmocka_unit_test(what_the_relay_could_not_read_is_not_left),
        cmocka_unit_test(root_gives_the_file_to_the_relay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
