#include "relay/cli/send_options.h"

#include "relay/cli/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

enum { WORDS_MAX = 10 };

struct got {
    struct cli_send_options o;
    int argc, code;
    char text[160];
    char *argv[WORDS_MAX + 1];
};

static const struct cli_command command = {"send", "", "", "", NULL};

static struct got *
parse(const char *words)
{
    static struct got g;

    g = (struct got){0};
    (void)snprintf(g.text, sizeof(g.text), "sendmail%s%s", *words ? " " : "",
                   words);
    for (char *p = g.text; p && g.argc < WORDS_MAX;) {
        char *space = strchr(p, ' ');

        g.argv[g.argc++] = p;
        if (space)
            *space = '\0';
        p = space ? space + 1 : NULL;
    }
    g.code = cli_send_options(&command, &g.o, &g.argc, g.argv);
    return &g;
}

static void
what_programs_pass_is_understood(void **state)
{
    struct got *g = parse("-t -i -f me@x.example");

    (void)state;
    assert_int_equal(g->code, CLI_GO_ON);
    assert_true(g->o.take_recipients && g->o.dots);
    assert_string_equal(g->o.from, "me@x.example");
    g = parse("-FCronDaemon -i -odi -oem -oi -t -froot");
    assert_int_equal(g->code, CLI_GO_ON);
    assert_string_equal(g->o.name, "CronDaemon");
    assert_string_equal(g->o.from, "root");
    g = parse("-oem -oi -f <> -- a@x.example -b@x.example");
    assert_int_equal(g->code, CLI_GO_ON);
    assert_string_equal(g->o.from, "");
    assert_true(g->o.dots);
    assert_int_equal(g->argc, 3);
    assert_string_equal(g->argv[2], "-b@x.example");
    g = parse("-ti -r me@x.example -B8BITMIME -L tag a@x.example");
    assert_int_equal(g->code, CLI_GO_ON);
    assert_true(g->o.take_recipients && g->o.dots);
    assert_string_equal(g->argv[1], "a@x.example");
    assert_null(g->argv[2]);
}

static void
other_o_options_change_nothing(void **state)
{
    static const char *const words[] = {"-oem", "-odb", "-odq", "-oee",
                                        "-om",  "-o",   "-oA",  "-oie"};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct got *g = parse(words[i]);

        assert_int_equal(g->code, CLI_GO_ON);
        assert_false(g->o.dots);
        assert_int_equal(g->argc, 1);
    }
}

static void
modes_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(parse("")->o.mode, CLI_SEND_MESSAGE);
    assert_int_equal(parse("-bm")->o.mode, CLI_SEND_MESSAGE);
    assert_int_equal(parse("-bs")->o.mode, CLI_SEND_SMTP);
    assert_int_equal(parse("-bp")->o.mode, CLI_SEND_QUEUE);
    assert_int_equal(parse("-q")->o.mode, CLI_SEND_NOTHING);
    assert_int_equal(parse("-q30m")->o.mode, CLI_SEND_NOTHING);
    assert_int_equal(parse("-bi")->o.mode, CLI_SEND_NOTHING);
    assert_int_equal(parse("-bd -q30m")->code, EX_USAGE);
}

/* RFC 3461 section 4 */
static void
notifications_are_asked_for(void **state)
{
    struct got *g = parse("-N success,Delay -R hdrs -V id1");

    (void)state;
    assert_int_equal(g->code, CLI_GO_ON);
    assert_int_equal(g->o.notify, MAIL_NOTIFY_SUCCESS | MAIL_NOTIFY_DELAY);
    assert_int_equal(g->o.ret, MAIL_RET_HDRS);
    assert_string_equal(g->o.envid, "id1");
    assert_int_equal(parse("-Nnever")->o.notify, MAIL_NOTIFY_NEVER);
    assert_int_equal(parse("-Rfull")->o.ret, MAIL_RET_FULL);
}

static void
requiretls_is_asked_for_by_name(void **state)
{
    (void)state;
    assert_true(parse("-O requiretls=yes")->o.requiretls);
    assert_true(parse("-ORequireTLS=YES")->o.requiretls);
    assert_false(parse("-O requiretls=no")->o.requiretls);
    assert_false(parse("-O DeliveryMode=b")->o.requiretls);
}

static void
what_cannot_be_meant_is_a_misuse(void **state)
{
    static const char *const bad[] = {
        "-Z",        "-f",
        "-bd",       "-b",
        "-N maybe",  "-N never,delay",
        "-R some",   "-O requiretls=perhaps",
        "--verbose", "-tZ",
        "--config",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(bad[i])->code != EX_USAGE)
            fail_msg("%s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_programs_pass_is_understood),
        cmocka_unit_test(other_o_options_change_nothing),
        cmocka_unit_test(modes_are_told_apart),
        cmocka_unit_test(notifications_are_asked_for),
        cmocka_unit_test(requiretls_is_asked_for_by_name),
        cmocka_unit_test(what_cannot_be_meant_is_a_misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
