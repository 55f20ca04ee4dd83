/* relay/cli/commands - the subcommands; command.c has the words about them. */
#ifndef RELAY_CLI_COMMANDS_H
#define RELAY_CLI_COMMANDS_H

#include "relay/cli/command.h"

int cli_serve(const struct cli_command *self, int argc, char **argv);
int cli_check(const struct cli_command *self, int argc, char **argv);
int cli_version(const struct cli_command *self, int argc, char **argv);

#endif
