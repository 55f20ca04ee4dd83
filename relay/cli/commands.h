/* relay/cli/commands - the subcommands; command.c has the words about them. */
#ifndef RELAY_CLI_COMMANDS_H
#define RELAY_CLI_COMMANDS_H

#include "relay/cli/command.h"

#define CLI_COMMAND(name)                                                      \
    int name(const struct cli_command *self, int argc, char **argv)

CLI_COMMAND(cli_serve);
CLI_COMMAND(cli_check);
CLI_COMMAND(cli_send);
CLI_COMMAND(cli_queue_list);
CLI_COMMAND(cli_queue_show);
CLI_COMMAND(cli_queue_explain);
CLI_COMMAND(cli_queue_cat);
CLI_COMMAND(cli_queue_change); /* retry, hold, release, delete, bounce */
CLI_COMMAND(cli_trace);
CLI_COMMAND(cli_events);
CLI_COMMAND(cli_probe);
CLI_COMMAND(cli_route_test);
CLI_COMMAND(cli_policy_list);
CLI_COMMAND(cli_policy_show);
CLI_COMMAND(cli_policy_change); /* refresh, forget */
CLI_COMMAND(cli_report_list);
CLI_COMMAND(cli_report_show);
CLI_COMMAND(cli_report_send);
CLI_COMMAND(cli_dkim_keygen);
CLI_COMMAND(cli_dkim_dns);
CLI_COMMAND(cli_dkim_check);
CLI_COMMAND(cli_user_add);
CLI_COMMAND(cli_user_passwd);
CLI_COMMAND(cli_user_remove);
CLI_COMMAND(cli_user_list);
CLI_COMMAND(cli_doctor);
CLI_COMMAND(cli_backup);
CLI_COMMAND(cli_restore);
CLI_COMMAND(cli_status);
CLI_COMMAND(cli_reload);
CLI_COMMAND(cli_drain);
CLI_COMMAND(cli_healthcheck);
CLI_COMMAND(cli_completion);
CLI_COMMAND(cli_version);
CLI_COMMAND(cli_mailq);
CLI_COMMAND(cli_postqueue);
CLI_COMMAND(cli_newaliases);

#endif
