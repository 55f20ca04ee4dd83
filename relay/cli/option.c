#include "relay/cli/option.h"

#include "relay/cli/nearest.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* The words under way. */
struct words {
    const struct cli_command *command;
    const struct cli_option *options;
    size_t count;
    char **next, **end; /* not looked at yet */
};

static const struct cli_option *
find_long(const struct words *w, const char *name, size_t len)
{
    for (size_t i = 0; i < w->count; i++) {
        const char *known = w->options[i].name;

        if (known && strlen(known) == len && strncmp(known, name, len) == 0)
            return &w->options[i];
    }
    return NULL;
}

static const struct cli_option *
find_short(const struct words *w, char letter)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->options[i].letter == letter)
            return &w->options[i];
    return NULL;
}

static int
unknown_long(const struct words *w, const char *word, size_t len)
{
    struct cli_nearest nearest;
    char name[64];

    cli_nearest_init(&nearest, word, len);
    for (size_t i = 0; i < w->count; i++)
        cli_nearest_consider(&nearest, w->options[i].name);
    (void)snprintf(name, sizeof(name), "%.*s", (int)len, word);
    if (*nearest.best)
        return cli_command_misuse(w->command,
                                  "unknown option --%s; --%s is near it", name,
                                  nearest.best);
    return cli_command_misuse(w->command, "unknown option --%s", name);
}

/* `inside`: the value that came in the same word, or NULL. */
static int
set(struct words *w, const struct cli_option *o, const char *inside,
    const char *shown)
{
    if (o->flag && inside)
        return cli_command_misuse(w->command, "%s takes no value", shown);
    if (o->flag) {
        *o->flag = true;
        return CLI_GO_ON;
    }
    if (!inside && w->next == w->end)
        return cli_command_misuse(w->command, "%s wants a value", shown);
    *o->value = inside ? inside : *w->next++;
    return CLI_GO_ON;
}

static int
take_long(struct words *w, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const struct cli_option *o = find_long(w, word, len);
    char shown[64];

    if (!o && len == 4 && strncmp(word, "help", 4) == 0) {
        cli_command_help(w->command, stdout);
        return EX_OK;
    }
    if (!o)
        return unknown_long(w, word, len);
    (void)snprintf(shown, sizeof(shown), "--%s", o->name);
    return set(w, o, equals ? equals + 1 : NULL, shown);
}

static int
take_short(struct words *w, const char *word)
{
    int code = CLI_GO_ON;

    for (; *word && code == CLI_GO_ON; word++) {
        const struct cli_option *o = find_short(w, *word);
        const char shown[] = {'-', *word, '\0'};

        if (!o && *word == 'h') {
            cli_command_help(w->command, stdout);
            return EX_OK;
        }
        if (!o)
            return cli_command_misuse(w->command, "unknown option %s", shown);
        if (o->value)
            return set(w, o, word[1] ? word + 1 : NULL, shown);
        code = set(w, o, NULL, shown);
    }
    return code;
}

static bool
wants_value(const struct words *w, const char *word)
{
    const struct cli_option *o = NULL;

    if (strncmp(word, "--", 2) == 0)
        o = find_long(w, word + 2, strlen(word + 2));
    else if (word[0] == '-' && word[1] != '\0')
        o = find_short(w, word[strlen(word) - 1]);
    return o && o->value;
}

static int
list(const struct words *w, const char *before)
{
    if (wants_value(w, before))
        return EX_OK;
    for (size_t i = 0; i < w->count; i++)
        if (w->options[i].name)
            printf("--%s\n", w->options[i].name);
        else
            printf("-%c\n", w->options[i].letter);
    (void)puts("--help");
    return EX_OK;
}

int
cli_option_parse(const struct cli_command *c, const struct cli_option *options,
                 size_t count, int *argc, char **argv)
{
    struct words w = {.command = c,
                      .options = options,
                      .count = count,
                      .next = argv + 1,
                      .end = argv + *argc};
    char **kept = argv + 1;
    bool over = false;

    if (*argc == 3 && strcmp(argv[1], CLI_OPTION_LIST) == 0)
        return list(&w, argv[2]);
    while (w.next < w.end) {
        char *word = *w.next++;
        int code = CLI_GO_ON;

        if (over || word[0] != '-' || word[1] == '\0')
            *kept++ = word;
        else if (strcmp(word, "--") == 0)
            over = true;
        else if (word[1] == '-')
            code = take_long(&w, word + 2);
        else
            code = take_short(&w, word + 1);
        if (code != CLI_GO_ON)
            return code;
    }
    *kept = NULL;
    *argc = (int)(kept - argv);
    return CLI_GO_ON;
}
