#include "relay/cli/message.h"

#include "relay/cli/term.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void
field(const char *name, const char *value)
{
    if (*value)
        printf("  %-11s %s\n", name, value);
}

void
cli_message_head(const json_t *message, int64_t now_ms)
{
    char time[CLI_TERM_TEXT], age[CLI_TERM_TEXT];
    int64_t arrived = cli_time(message, "arrived");
    const char *from = cli_text(message, "from");

    printf("%smessage %s%s\n", cli_term_paint(CLI_BOLD),
           cli_text(message, "id"), cli_term_paint(CLI_PLAIN));
    field("from", *from ? from : "<>");
    printf("  %-11s %s (%s ago)\n", "arrived",
           cli_term_time(arrived, now_ms, time),
           cli_term_span(now_ms - arrived, age));
    field("client", cli_text(message, "origin"));
    printf("  %-11s %" PRId64 " octets\n", "size", cli_number(message, "size"));
    field("Message-ID", cli_text(message, "message_id"));
    field("envelope id", cli_text(message, "envid"));
}

static const char *
tries(int64_t n)
{
    return n == 1 ? "try" : "tries";
}

/* "deferred after 2 tries, next in 4m (14:10:02)" */
static void
print_state(const json_t *r, int64_t now_ms)
{
    char span[CLI_TERM_TEXT], time[CLI_TERM_TEXT];
    const char *state = cli_text(r, "state");
    int64_t next = cli_time(r, "next"), attempts = cli_number(r, "attempts");

    printf("%s%s%s", cli_term_paint(cli_term_state(state)), state,
           cli_term_paint(CLI_PLAIN));
    if (attempts > 0)
        printf(" after %" PRId64 " %s", attempts, tries(attempts));
    if (strcmp(state, "held") == 0 || strcmp(state, "active") == 0)
        return;
    if (next > now_ms)
        printf(", next in %s (%s)", cli_term_span(next - now_ms, span),
               cli_term_time(next, now_ms, time));
    else
        printf(", due now");
}

void
cli_message_recipient(const json_t *r, int64_t now_ms)
{
    const char *last = cli_text(r, "last");

    printf("\n  %s%s%s  ", cli_term_paint(CLI_BOLD), cli_text(r, "to"),
           cli_term_paint(CLI_PLAIN));
    print_state(r, now_ms);
    (void)fputc('\n', stdout);
    if (*last)
        printf("    %-9s %s\n", "last", last);
}

void
cli_message_print(const json_t *message, int64_t now_ms)
{
    const json_t *list = json_object_get(message, "recipients");
    size_t i;
    json_t *one;

    cli_message_head(message, now_ms);
    if (json_array_size(list) == 0)
        (void)puts("\n  finished: no recipient is left in the queue; "
                   "`sealpost trace` tells what\n  happened");
    json_array_foreach(list, i, one)
    {
        cli_message_recipient(one, now_ms);
        printf("    %-9s %s\n", "via", cli_text(one, "destination"));
    }
}
