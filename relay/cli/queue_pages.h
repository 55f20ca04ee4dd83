/* relay/cli/queue_pages - all pages of a listing, one after the other. */
#ifndef RELAY_CLI_QUEUE_PAGES_H
#define RELAY_CLI_QUEUE_PAGES_H

#include "relay/cli/target.h"

typedef void cli_rows_fn(void *ctx, const json_t *rows);

/* EX_OK, or the exit code of the page that could not be had. */
int cli_queue_pages(struct cli_target *t, const struct cli_filter *f,
                    cli_rows_fn *page, void *ctx);

#endif
