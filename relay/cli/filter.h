/*
 * relay/cli/filter - the options that say which part of the queue is meant:
 * --domain, --from, --to, --state, --older-than.
 */
#ifndef RELAY_CLI_FILTER_H
#define RELAY_CLI_FILTER_H

#include "relay/admin/filter.h"
#include "relay/cli/option.h"

#include <jansson.h>

/* Texts as they were given, in the order of admin_filter_names; NULL: not
 * given. */
struct cli_filter {
    const char *value[ADMIN_FILTER_COUNT];
};

#define CLI_FILTER_OPTIONS(f)                                                  \
    {.name = "domain", .letter = 'd', .value = &(f)->value[1]},                \
        {.name = "from", .value = &(f)->value[2]},                             \
        {.name = "to", .value = &(f)->value[3]},                               \
        {.name = "state", .letter = 's', .value = &(f)->value[4]},             \
    {                                                                          \
        .name = "older-than", .value = &(f)->value[5]                          \
    }

bool cli_filter_is_empty(const struct cli_filter *f);
/* ERR_INPUT names what is wrong. */
bool cli_filter_fill(const struct cli_filter *f, struct admin_filter *out,
                     int64_t now_ms, struct err *err) must_use;
/* CLI_GO_ON, or EX_USAGE after a line on stderr. */
int cli_filter_check(const struct cli_filter *f, const struct cli_command *c);

/* "&domain=example.com" for each, behind what is there. */
void cli_filter_add(const struct cli_filter *f, struct buf *url);
void cli_filter_put(const struct cli_filter *f, json_t *object);

#endif
