#include "relay/cli/send_options.h"

#include "relay/base/slice.h"
#include "relay/cli/option.h"

#include <string.h>
#include <strings.h>
#include <sysexits.h>

struct words {
    const struct cli_command *command;
    struct cli_send_options *out;
    char **next, **end;
};

static int
set_mode(struct words *w, const char *value)
{
    switch (*value) {
    case 'm': /* a message on stdin: the default */
        return CLI_GO_ON;
    case 's':
        w->out->mode = CLI_SEND_SMTP;
        return CLI_GO_ON;
    case 'p':
        w->out->mode = CLI_SEND_QUEUE;
        return CLI_GO_ON;
    case 'i': /* aliases to be read anew: there are none */
        w->out->mode = CLI_SEND_NOTHING;
        return CLI_GO_ON;
    case 'd':
    case 'D':
        return cli_command_misuse(w->command,
                                  "-bd: `sealpost serve` runs the relay");
    default:
        return cli_command_misuse(w->command, "-b%s is not known", value);
    }
}

/* NOTIFY of RFC 3461 section 4.1. */
static int
set_notify(struct words *w, const char *value)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } known[] = {{"never", MAIL_NOTIFY_NEVER},
                 {"success", MAIL_NOTIFY_SUCCESS},
                 {"failure", MAIL_NOTIFY_FAILURE},
                 {"delay", MAIL_NOTIFY_DELAY}};
    struct slice rest = slice_of(value);

    w->out->notify = 0;
    while (rest.len > 0) {
        struct slice word = slice_trim(slice_cut(&rest, ','));
        uint8_t before = w->out->notify;

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (slice_is_nocase(word, known[i].name))
                w->out->notify |= known[i].bit;
        if (w->out->notify == before)
            return cli_command_misuse(
                w->command, "-N: never, or of success, failure, delay");
    }
    if ((w->out->notify & MAIL_NOTIFY_NEVER) &&
        w->out->notify != MAIL_NOTIFY_NEVER)
        return cli_command_misuse(w->command, "-N: never stands alone");
    return CLI_GO_ON;
}

static int
set_ret(struct words *w, const char *value)
{
    if (strcasecmp(value, "full") == 0)
        w->out->ret = MAIL_RET_FULL;
    else if (strcasecmp(value, "hdrs") == 0)
        w->out->ret = MAIL_RET_HDRS;
    else
        return cli_command_misuse(w->command, "-R: full or hdrs");
    return CLI_GO_ON;
}

/* -O NAME=VALUE: only one is known, the others are of no importance here. */
static int
set_long(struct words *w, const char *value)
{
    struct slice rest = slice_of(value), name = slice_cut(&rest, '=');

    if (!slice_is_nocase(name, "requiretls"))
        return CLI_GO_ON;
    if (!slice_is_nocase(rest, "yes") && !slice_is_nocase(rest, "no"))
        return cli_command_misuse(w->command, "-O requiretls: yes or no");
    w->out->requiretls = slice_is_nocase(rest, "yes");
    return CLI_GO_ON;
}

static const char *
without_brackets(char *address)
{
    size_t len = strlen(address);

    if (len < 2 || address[0] != '<' || address[len - 1] != '>')
        return address;
    address[len - 1] = '\0';
    return address + 1;
}

static int
set_valued(struct words *w, char letter, char *value)
{
    switch (letter) {
    case 'f':
    case 'r':
        w->out->from = without_brackets(value);
        return CLI_GO_ON;
    case 'F':
        w->out->name = value;
        return CLI_GO_ON;
    case 'V':
        w->out->envid = value;
        return CLI_GO_ON;
    case 'N':
        return set_notify(w, value);
    case 'R':
        return set_ret(w, value);
    case 'O':
        return set_long(w, value);
    default: /* -B, -C, -h, -L, -X, -e, -p: taken for the sake of callers */
        return CLI_GO_ON;
    }
}

/* What follows -o, -d, -q, -A stands in the same word, or there is nothing. */
static int
set_attached(struct words *w, char letter, const char *rest)
{
    if (letter == 'b')
        return set_mode(w, rest);
    if (letter == 'q')
        w->out->mode = CLI_SEND_NOTHING;
    if (letter == 'o' && strcmp(rest, "i") == 0)
        w->out->dots = true;
    return CLI_GO_ON;
}

static int
take_word(struct words *w, char *word)
{
    for (; *word; word++) {
        if (strchr("bodqA", *word))
            return set_attached(w, *word, word + 1);
        if (strchr("frFVNROBChLXep", *word)) {
            char letter = *word;

            if (!word[1] && w->next == w->end)
                return cli_command_misuse(w->command, "-%c wants a value",
                                          letter);
            return set_valued(w, letter, word[1] ? word + 1 : *w->next++);
        }
        if (*word == 't')
            w->out->take_recipients = true;
        else if (*word == 'i')
            w->out->dots = true;
        else if (*word == 'v')
            w->out->verbose = true;
        else if (!strchr("GmnUx", *word))
            return cli_command_misuse(w->command, "unknown option -%c", *word);
    }
    return CLI_GO_ON;
}

static int
take_long(struct words *w, char *word)
{
    char *value = strchr(word, '=');
    bool is_config = strncmp(word, "config", 6) == 0;

    if (strcmp(word, "help") == 0) {
        cli_command_help(w->command, stdout);
        return EX_OK;
    }
    if (!is_config && strncmp(word, "socket", 6) != 0)
        return cli_command_misuse(w->command, "unknown option --%s", word);
    if (!value && w->next == w->end)
        return cli_command_misuse(w->command, "--%s wants a value", word);
    value = value ? value + 1 : *w->next++;
    *(is_config ? &w->out->config : &w->out->socket) = value;
    return CLI_GO_ON;
}

int
cli_send_options(const struct cli_command *c, struct cli_send_options *out,
                 int *argc, char **argv)
{
    struct words w = {c, out, argv + 1, argv + *argc};
    char **kept = argv + 1;
    bool over = false;

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
            code = take_word(&w, word + 1);
        if (code != CLI_GO_ON)
            return code;
    }
    *kept = NULL;
    *argc = (int)(kept - argv);
    return CLI_GO_ON;
}
