/* completion: scripts for shells, and the words that they ask for.
 *
 * The scripts know no word of ours.  They ask `completion --words` what may
 * follow, which looks it up in the table of commands and lets the command
 * meant list its options. */
#include "relay/cli/commands.h"
#include "relay/cli/option.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* Each is given a word that says what to complete behind, and answers with one
 * candidate a line, maybe with a tab and what it is.  Where there is none a
 * file may be meant. */
static const struct shell {
    const char *name, *script;
} shells[] = {
    {"bash",
     "_sealpost() {\n"
     "    local IFS=$'\\n'\n"
     "    COMPREPLY=($(compgen -W \"$(\"$1\" completion --words -- \\\n"
     "        \"${COMP_WORDS[@]:1:COMP_CWORD-1}\" 2>/dev/null | cut -f1)\" \\\n"
     "        -- \"$2\"))\n"
     "}\n"
     "complete -o default -F _sealpost sealpost\n"},
    {"zsh", "#compdef sealpost\n"
            "_sealpost() {\n"
            "    local -a found\n"
            "    found=(\"${(@f)$(\"${words[1]}\" completion --words -- \\\n"
            "        \"${(@)words[2,CURRENT-1]}\" 2>/dev/null)}\")\n"
            "    found=(\"${(@)found//:/\\\\:}\")\n"
            "    found=(\"${(@)found/$'\\t'/:}\")\n"
            "    if [[ -n \"${found[1]}\" ]]; then\n"
            "        _describe sealpost found\n"
            "    else\n"
            "        _files\n"
            "    fi\n"
            "}\n"
            "if [[ \"${funcstack[1]}\" = _sealpost ]]; then\n"
            "    _sealpost \"$@\"\n"
            "else\n"
            "    compdef _sealpost sealpost\n"
            "fi\n"},
    {"fish",
     "function __sealpost_words\n"
     "    set -l words (commandline -opc)\n"
     "    $words[1] completion --words -- $words[2..-1] 2>/dev/null\n"
     "end\n"
     "complete -c sealpost -n '__sealpost_words | string length -q' -f \\\n"
     "    -a '(__sealpost_words)'\n"},
};

static size_t
first_len(const struct cli_command *c)
{
    return strcspn(c->name, " ");
}

/* Commands of one group follow each other in the table. */
static void
print_first_words(void)
{
    const struct cli_command *before = NULL;

    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        size_t len = first_len(c);
        bool is_group = c->name[len] != '\0';

        if (!before || first_len(before) != len ||
            strncmp(before->name, c->name, len) != 0)
            printf("%.*s%s%s\n", (int)len, c->name, is_group ? "" : "\t",
                   is_group ? "" : c->summary);
        before = c;
    }
}

static void
print_second_words(const char *group)
{
    size_t len = strlen(group);

    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];

        if (first_len(c) == len && strncmp(c->name, group, len) == 0 &&
            c->name[len] == ' ')
            printf("%s\t%s\n", c->name + len + 1, c->summary);
    }
}

/* "[live|ready]": one of these words follows. */
static void
print_choices(const char *usage)
{
    size_t len = strspn(usage, "[abcdefghijklmnopqrstuvwxyz|");
    const char *end = usage + len;

    if (!memchr(usage, '|', len) ||
        (*end != ']' && *end != '\0' && *end != ' '))
        return;
    for (const char *p = usage + (*usage == '['); p < end;) {
        size_t n = strcspn(p, "|] ");

        printf("%.*s\n", (int)n, p);
        p += n + (p[n] == '|');
        if (n == 0)
            break;
    }
}

static const struct cli_command *
find(const char *first, const char *second, int *used)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        size_t len = first_len(c);

        if (strlen(first) != len || strncmp(c->name, first, len) != 0)
            continue;
        *used = c->name[len] ? 2 : 1;
        if (*used == 1 || (second && strcmp(c->name + len + 1, second) == 0))
            return c;
    }
    return NULL;
}

/* What may stand behind these words. */
static void
print_words(int count, char **words)
{
    char list[] = CLI_OPTION_LIST;
    int used = 0;
    const struct cli_command *c =
        count > 0 ? find(words[0], count > 1 ? words[1] : NULL, &used) : NULL;

    if (count == 0)
        print_first_words();
    else if (!c && count == 1)
        print_second_words(words[0]);
    if (!c)
        return;
    if (count == used)
        print_choices(c->usage);
    (void)c->run(c, 3,
                 (char *[]){words[used - 1], list, words[count - 1], NULL});
}

int
cli_completion(const struct cli_command *self, int argc, char **argv)
{
    bool words = false;
    const struct cli_option options[] = {{.name = "words", .flag = &words}};
    int code = cli_option_parse(self, options, 1, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    if (words) {
        print_words(argc - 1, argv + 1);
        return EX_OK;
    }
    for (size_t i = 0; argc == 2 && i < sizeof(shells) / sizeof(*shells); i++)
        if (strcmp(shells[i].name, argv[1]) == 0) {
            (void)fputs(shells[i].script, stdout);
            return EX_OK;
        }
    return cli_command_misuse(self, "bash, zsh or fish");
}
