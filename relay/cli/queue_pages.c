#include "relay/cli/queue_pages.h"

#include "relay/cli/term.h"

#include <sysexits.h>

int
cli_queue_pages(struct cli_target *t, const struct cli_filter *f,
                cli_rows_fn *page, void *ctx)
{
    char cursor[64] = "";

    do {
        json_t *found = NULL;
        int code = cli_target_queue(t, f, cursor, &found);

        if (code != EX_OK)
            return code;
        page(ctx, json_object_get(found, "rows"));
        (void)snprintf(cursor, sizeof(cursor), "%s", cli_text(found, "next"));
        json_decref(found);
    } while (*cursor);
    return EX_OK;
}
