#include "relay/cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

static int
run(const char *program, const char *first, const char *second)
{
    char *argv[] = {(char *)program, (char *)first, (char *)second, NULL};
    int argc = first ? second ? 3 : 2 : 1;

    return cli_main(argc, argv);
}

static void
an_unknown_word_is_a_misuse(void **state)
{
    (void)state;
    assert_int_equal(run("sealpost", NULL, NULL), EX_USAGE);
    assert_int_equal(run("sealpost", "quue", NULL), EX_USAGE);
    assert_int_equal(run("sealpost", "", NULL), EX_USAGE);
    assert_int_equal(run("sealpost", "queue", NULL), EX_USAGE);
    assert_int_equal(run("sealpost", "queue", "lst"), EX_USAGE);
    assert_int_equal(run("sealpost", "queue list", NULL), EX_USAGE);
    assert_int_equal(run("sealpost", "version", "--jsn"), EX_USAGE);
}

static void
help_is_had_in_every_way(void **state)
{
    (void)state;
    assert_int_equal(run("sealpost", "--help", NULL), EX_OK);
    assert_int_equal(run("sealpost", "help", NULL), EX_OK);
    assert_int_equal(run("sealpost", "queue", "--help"), EX_OK);
    assert_int_equal(run("sealpost", "version", "--help"), EX_OK);
    assert_int_equal(run("sealpost", "--version", NULL), EX_OK);
}

static void
other_names_stand_for_commands(void **state)
{
    (void)state;
    assert_int_equal(run("/usr/sbin/sendmail", "--help", NULL), EX_OK);
    assert_int_equal(run("sendmail", "-Z", NULL), EX_USAGE);
    assert_int_equal(run("/usr/bin/mailq", "--help", NULL), EX_OK);
    assert_int_equal(run("postqueue", NULL, NULL), EX_USAGE);
    assert_int_equal(run("/usr/bin/newaliases", NULL, NULL), EX_OK);
}

/* What is told about a command fits a terminal. */
static void
every_command_tells_about_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        const char *line = c->help;

        assert_non_null(c->run);
        assert_true(strlen(c->name) <= 16);
        assert_true(strlen(c->summary) <= 62);
        for (; *line; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > 79)
                fail_msg("%s: %s", c->name, line);
        assert_true(*c->help && line[-1] == '\n');
    }
}

static void
no_command_hides_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++)
        for (size_t k = 0; k < cli_command_count; k++) {
            const char *a = cli_commands[i].name, *b = cli_commands[k].name;

            assert_true(i == k || strcmp(a, b) != 0);
            assert_false(strncmp(a, b, strlen(a)) == 0 && b[strlen(a)] == ' ');
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_word_is_a_misuse),
        cmocka_unit_test(help_is_had_in_every_way),
        cmocka_unit_test(other_names_stand_for_commands),
        cmocka_unit_test(every_command_tells_about_itself),
        cmocka_unit_test(no_command_hides_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
