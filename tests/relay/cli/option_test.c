#include "relay/cli/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

enum { WORDS_MAX = 8 };

struct got {
    bool json, all;
    const char *file, *domain;
    int argc, code;
    char text[128]; /* the words, each copied so that it may be changed */
    char *argv[WORDS_MAX + 1];
};

static const struct cli_command command = {"queue list", "[--json]",
                                           "list the queue", "", NULL};

/* Words are separated by one space. */
static struct got *
parse(const char *words)
{
    static struct got g;
    struct cli_option options[] = {
        {.name = "json", .flag = &g.json},
        {.name = "all", .letter = 'a', .flag = &g.all},
        {.name = "config", .letter = 'c', .value = &g.file},
        {.letter = 'd', .value = &g.domain},
    };

    g = (struct got){0};
    (void)snprintf(g.text, sizeof(g.text), "list %s", words);
    for (char *p = g.text; p && g.argc < WORDS_MAX;) {
        char *space = strchr(p, ' ');

        g.argv[g.argc++] = p;
        if (space)
            *space = '\0';
        p = space ? space + 1 : NULL;
    }
    g.code = cli_option_parse(&command, options, 4, &g.argc, g.argv);
    return &g;
}

static void
values_stand_in_the_word_or_behind_it(void **state)
{
    static const char *const forms[] = {"-c f x", "-cf x", "--config f x",
                                        "--config=f x", "x -c f"};

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct got *g = parse(forms[i]);

        assert_int_equal(g->code, CLI_GO_ON);
        assert_string_equal(g->file, "f");
        assert_int_equal(g->argc, 2);
        assert_string_equal(g->argv[1], "x");
        assert_null(g->argv[2]);
    }
}

static void
an_empty_value_is_one(void **state)
{
    (void)state;
    assert_string_equal(parse("--config=")->file, "");
}

static void
letters_may_share_a_word(void **state)
{
    struct got *g = parse("-ad example.com");

    (void)state;
    assert_int_equal(g->code, CLI_GO_ON);
    assert_true(g->all);
    assert_string_equal(g->domain, "example.com");
}

static void
two_dashes_end_the_options(void **state)
{
    struct got *g = parse("-a -- --json -x");

    (void)state;
    assert_int_equal(g->code, CLI_GO_ON);
    assert_false(g->json);
    assert_int_equal(g->argc, 3);
    assert_string_equal(g->argv[2], "-x");
}

static void
what_is_no_option_is_a_misuse(void **state)
{
    static const char *const bad[] = {
        "--jsn",   "-x",  "-ax",       "-c",       "--config",
        "--json=", "--h", "--json=no", "--helper", "---",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(bad[i])->code != EX_USAGE)
            fail_msg("%s", bad[i]);
}

static void
without_words_nothing_is_left(void **state)
{
    char *argv[] = {(char *)"list", NULL};
    int argc = 1;

    (void)state;
    assert_int_equal(cli_option_parse(&command, NULL, 0, &argc, argv),
                     CLI_GO_ON);
    assert_int_equal(argc, 1);
    assert_null(argv[1]);
}

static void
help_ends_it_well(void **state)
{
    (void)state;
    assert_int_equal(parse("--help")->code, EX_OK);
    assert_int_equal(parse("-a -h")->code, EX_OK);
}

static void
listing_them_sets_none_and_ends_the_command(void **state)
{
    static const char *const lines[] = {
        CLI_OPTION_LIST " list",  CLI_OPTION_LIST " --json",
        CLI_OPTION_LIST " --all", CLI_OPTION_LIST " --config",
        CLI_OPTION_LIST " -d",    CLI_OPTION_LIST " -",
        CLI_OPTION_LIST " --"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const struct got *g = parse(lines[i]);

        assert_int_equal(g->code, EX_OK);
        assert_false(g->json || g->all || g->file || g->domain);
    }
    assert_int_equal(parse("--json " CLI_OPTION_LIST)->code, EX_USAGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listing_them_sets_none_and_ends_the_command),
        cmocka_unit_test(values_stand_in_the_word_or_behind_it),
        cmocka_unit_test(an_empty_value_is_one),
        cmocka_unit_test(letters_may_share_a_word),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(what_is_no_option_is_a_misuse),
        cmocka_unit_test(without_words_nothing_is_left),
        cmocka_unit_test(help_ends_it_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
