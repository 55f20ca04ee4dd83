/*
 * relay/cli/option - the options of one subcommand.
 *
 * "--name", "--name VALUE", "--name=VALUE", "-n", "-nVALUE", "-n VALUE"; "--"
 * ends them.  What is no option stays in argv, in its order, wherever it
 * stood.  "-h" and "--help" print the help of the command.
 */
#ifndef RELAY_CLI_OPTION_H
#define RELAY_CLI_OPTION_H

#include "relay/cli/command.h"

#include <stdbool.h>

struct cli_option {
    const char *name;   /* without dashes; NULL: short form only */
    char letter;        /* '\0': long form only */
    bool *flag;         /* set to true; or */
    const char **value; /* set to what follows */
};

enum { CLI_GO_ON = -1 };

/* As the first word: what may follow the second is printed, one option a line,
 * for the completion of shells; nothing where that is an option which wants a
 * value. */
#define CLI_OPTION_LIST "--list-options"

/* CLI_GO_ON, or the exit code: 0 after --help, EX_USAGE after the usage line.
 * Afterwards argv[1] to argv[*argc - 1] are what was no option. */
int cli_option_parse(const struct cli_command *c,
                     const struct cli_option *options, size_t count, int *argc,
                     char **argv);

#endif
