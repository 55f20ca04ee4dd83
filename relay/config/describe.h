/*
 * relay/config/describe - what there is to say about a key without any value:
 * its type, range, default and variable.
 *
 * `sealpost check --keys` prints it, and so the manual, whose lines about a key
 * scripts/manuals makes of that, can't say anything else.
 */
#ifndef RELAY_CONFIG_DESCRIBE_H
#define RELAY_CONFIG_DESCRIBE_H

#include "relay/config/key.h"

#include <stdio.h>

/* "Span, 0 to 60d"; the caller's to free. */
char *config_describe_type(const struct config_key *key);

/* "SEALPOST_ROUTE__NAME__VIA", or "" where no variable can set it; the
 * caller's to free. */
char *config_describe_variable(const struct config_key *key);

/* Every key that there is, in the order of the table. */
void config_describe(bool json, FILE *out);

#endif
