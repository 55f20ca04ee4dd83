#include "relay/cli/command.h"

#include "relay/cli/nearest.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

/* Other names of the program, and what they mean. */
static const struct alias {
    const char *program, *command;
} aliases[] = {
    {"sendmail", "send"},
    {"mailq", "mailq"},
    {"postqueue", "postqueue"},
    {"newaliases", "newaliases"},
};

static size_t
first_len(const struct cli_command *c)
{
    return strcspn(c->name, " ");
}

static const char *
second_word(const struct cli_command *c)
{
    size_t len = first_len(c);

    return c->name[len] ? c->name + len + 1 : NULL;
}

static bool
is_first(const struct cli_command *c, const char *word)
{
    return strlen(word) == first_len(c) &&
           strncmp(c->name, word, first_len(c)) == 0;
}

static const struct cli_command *
find(const char *first, const char *second)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        const char *own = second_word(c);

        if (is_first(c, first) &&
            (!own || (second && strcmp(own, second) == 0)))
            return c;
    }
    return NULL;
}

static bool
is_group(const char *word)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (second_word(&cli_commands[i]) && is_first(&cli_commands[i], word))
            return true;
    return false;
}

/* All commands, or those whose first word is `group`. */
static void
overview(const char *group, FILE *out)
{
    (void)fprintf(out, "usage: sealpost %s [options]\n\n",
                  group ? group : "COMMAND");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];

        if (c->summary && (!group || is_first(c, group)))
            (void)fprintf(out, "  %-16s %s\n", c->name, c->summary);
    }
    (void)fputs("\nsealpost COMMAND --help tells more about one.\n", out);
}

static int
unknown(const char *group, const char *word)
{
    const char *front = group ? group : "", *space = group ? " " : "";
    struct cli_nearest nearest;

    cli_nearest_init(&nearest, word, strlen(word));
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        char first[CLI_NEAREST_MAX + 1];

        (void)snprintf(first, sizeof(first), "%.*s", (int)first_len(c),
                       c->name);
        if (!group)
            cli_nearest_consider(&nearest, first);
        else if (is_first(c, group))
            cli_nearest_consider(&nearest, second_word(c));
    }
    (void)fprintf(stderr, "sealpost: unknown command \"%s%s%s\"", front, space,
                  word);
    if (*nearest.best)
        (void)fprintf(stderr, "; \"%s%s%s\" is near it", front, space,
                      nearest.best);
    (void)fputs("\nusage: sealpost COMMAND [options], or sealpost --help\n",
                stderr);
    return EX_USAGE;
}

static bool
is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
           strcmp(word, "help") == 0;
}

static int
run_named(int argc, char **argv)
{
    const struct cli_command *c;

    if (argc < 2) {
        overview(NULL, stderr);
        return EX_USAGE;
    }
    if (is_help(argv[1]) && (argc == 2 || argv[1][0] == '-')) {
        overview(NULL, stdout);
        return EX_OK;
    }
    if (strcmp(argv[1], "--version") == 0)
        return run_named(2, (char *[]){argv[0], (char *)"version", NULL});
    c = find(argv[1], argc > 2 ? argv[2] : NULL);
    if (c)
        return second_word(c) ? c->run(c, argc - 2, argv + 2)
                              : c->run(c, argc - 1, argv + 1);
    if (!is_group(argv[1]))
        return unknown(NULL, argv[1]);
    if (argc > 2 && !is_help(argv[2]))
        return unknown(argv[1], argv[2]);
    overview(argv[1], argc > 2 ? stdout : stderr);
    return argc > 2 ? EX_OK : EX_USAGE;
}

int
cli_main(int argc, char **argv)
{
    const char *slash, *program;

    if (argc < 1)
        return EX_USAGE;
    slash = strrchr(argv[0], '/');
    program = slash ? slash + 1 : argv[0];
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        const struct cli_command *c = find(aliases[i].command, NULL);

        if (c && strcmp(program, aliases[i].program) == 0)
            return c->run(c, argc, argv);
    }
    return run_named(argc, argv);
}

static void
say_usage(const struct cli_command *c, FILE *out)
{
    (void)fprintf(out, "usage: sealpost %s%s%s\n", c->name,
                  c->usage[0] ? " " : "", c->usage);
}

void
cli_command_help(const struct cli_command *c, FILE *out)
{
    say_usage(c, out);
    (void)fprintf(out, "\n%s.\n\n%s", c->summary, c->help);
}

int
cli_command_misuse(const struct cli_command *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)fputs("sealpost: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    say_usage(c, stderr);
    return EX_USAGE;
}

int
cli_fail(int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)fputs("sealpost: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return code;
}
