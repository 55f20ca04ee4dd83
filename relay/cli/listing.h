/*
 * relay/cli/listing - a command that lists what the relay keeps: all pages of
 * it, one after the other, as a table or as one JSON array.
 */
#ifndef RELAY_CLI_LISTING_H
#define RELAY_CLI_LISTING_H

#include "relay/cli/command.h"
#include "relay/cli/target.h"

struct cli_listing {
    enum cli_look look;
    const char *key;    /* of a page's array */
    const char *empty;  /* the line when there is nothing */
    void (*head)(void); /* the table's first line */
    void (*row)(const json_t *one);
};

int cli_listing(const struct cli_command *self, int argc, char **argv,
                const struct cli_listing *l);

/* The words of a command that looks: where the relay is, and --json.
 * CLI_GO_ON, or the exit code. */
int cli_listing_words(const struct cli_command *self, struct cli_target *t,
                      bool *json, int *argc, char **argv);

#endif
