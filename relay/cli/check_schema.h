/*
 * relay/cli/check_schema - a JSON Schema of what `check --json` prints.
 *
 * Made of the table of keys alone, so it can say nothing else than the program
 * does.  What one key demands of another is not in it: that is for `check`.
 */
#ifndef RELAY_CLI_CHECK_SCHEMA_H
#define RELAY_CLI_CHECK_SCHEMA_H

#include <jansson.h>

json_t *cli_check_schema(void);

#endif
