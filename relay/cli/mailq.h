/* relay/cli/mailq - what mailq, postqueue and `sendmail -bp` share. */
#ifndef RELAY_CLI_MAILQ_H
#define RELAY_CLI_MAILQ_H

#include "relay/cli/target.h"

/* As Postfix lays it out; `json`: an object per line. */
int cli_mailq_print(struct cli_target *t, bool json);

#endif
