#include "relay/cli/status_webhooks.h"

#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>

static void
print_one(const json_t *w, int64_t now)
{
    char span[CLI_TERM_TEXT];
    int64_t next = cli_time(w, "next_attempt");
    bool is_failing = strcmp(cli_text(w, "state"), "failing") == 0;

    printf("  %-30s %s%s%s, %" PRId64 " waiting", cli_text(w, "name"),
           cli_term_paint(is_failing ? CLI_RED : CLI_PLAIN),
           cli_text(w, "state"), cli_term_paint(CLI_PLAIN),
           cli_number(w, "backlog"));
    if (next > 0)
        printf(", tried again in %s", cli_term_span(next - now, span));
    (void)fputc('\n', stdout);
    if (*cli_text(w, "why"))
        printf("    %s%s%s\n", cli_term_paint(CLI_DIM), cli_text(w, "why"),
               cli_term_paint(CLI_PLAIN));
}

void
cli_status_webhooks(const json_t *status, int64_t now)
{
    const json_t *list = json_object_get(status, "webhooks");
    size_t i;
    json_t *one;

    if (json_array_size(list) == 0)
        return;
    printf("\n%swebhooks%s: %zu\n", cli_term_paint(CLI_BOLD),
           cli_term_paint(CLI_PLAIN), json_array_size(list));
    json_array_foreach(list, i, one) print_one(one, now);
}
