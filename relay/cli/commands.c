#include "relay/cli/commands.h"

#define CONFIG_HELP                                                            \
    "  -c, --config FILE  the configuration; default /etc/sealpost/"           \
    "sealpost.conf,\n"                                                         \
    "                     which need not exist\n"

const struct cli_command cli_commands[] = {
    {"serve", "[-c FILE]", "run the relay in the foreground",
     CONFIG_HELP
     "\n"
     "Logs to stdout.  SIGTERM drains and ends, SIGHUP reads the "
     "configuration\n"
     "again.  Exit: 0 drained, 75 could not start now, 78 bad configuration.\n",
     cli_serve},
    {"check", "[-c FILE] [--json]", "read the configuration and show it",
     CONFIG_HELP
     "  --json             one object, keys with value and origin\n"
     "\n"
     "Prints the effective values and where each came from; secrets are\n"
     "masked.  Exit: 0 good, 78 with every error as FILE:LINE: KEY: what.\n",
     cli_check},
    {"version", "[--json]", "show versions of the relay and its libraries",
     "  --json             one object\n", cli_version},
};

const size_t cli_command_count = sizeof(cli_commands) / sizeof(cli_commands[0]);
