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

static void
print_recipient(const json_t *r, int64_t now_ms)
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
        print_recipient(one, now_ms);
        printf("    %-9s %s\n", "via", cli_text(one, "destination"));
    }
}

/* --- explaining --- */

static void
explain_state(const json_t *r, const char *id)
{
    const char *state = cli_text(r, "state");

    if (strcmp(state, "held") == 0)
        printf("    waits     because somebody held it; `sealpost queue "
               "release %s` lets it go\n",
               id);
    else if (strcmp(state, "active") == 0)
        printf("    waits     for nothing: it is in a worker's hands\n");
    else if (strcmp(state, "queued") == 0)
        printf("    waits     for its first try\n");
    else
        printf("    waits     for its next try, because the last one failed\n");
}

static void
explain_destination(const json_t *plan, int64_t now_ms)
{
    char span[CLI_TERM_TEXT], time[CLI_TERM_TEXT];
    const char *route = cli_text(plan, "route");
    int64_t until = cli_time(plan, "blocked_until");

    if (*route)
        printf("    via       route \"%s\"\n", route);
    else
        printf("    via       MX of %s (%s)\n", cli_text(plan, "domain"),
               cli_text(plan, "mx"));
    if (until > now_ms)
        printf(
            "    %sblocked%s   for %s (until %s), failures in a row: %" PRId64
            "\n              %s\n",
            cli_term_paint(CLI_RED), cli_term_paint(CLI_PLAIN),
            cli_term_span(until - now_ms, span),
            cli_term_time(until, now_ms, time), cli_number(plan, "failures"),
            cli_text(plan, "why"));
}

static void
print_host(const json_t *host)
{
    json_t *addresses = json_object_get(host, "addresses");
    size_t i;
    json_t *one;

    printf("              %s", cli_text(host, "name"));
    json_array_foreach(addresses, i, one)
        printf(" %s%s%s", i == 0 ? "[" : "", json_string_value(one),
               i + 1 == json_array_size(addresses) ? "]" : "");
    printf(", must prove: %s (%s)\n", cli_text(host, "proof"),
           cli_text(host, "source"));
}

static void
explain_plan(const json_t *plan)
{
    const json_t *sts = json_object_get(plan, "sts");
    const char *mode = cli_text(sts, "mode");
    size_t i;
    json_t *one;

    printf("    policy    TLS %s%s, MTA-STS %s%s%s\n", cli_text(plan, "tls"),
           json_is_true(json_object_get(plan, "exempt")) ? " (exempt)" : "",
           cli_text(sts, "state"), *mode ? " " : "", mode);
    if (strcmp(cli_text(plan, "verdict"), "go") == 0)
        printf("    now       it would go to:\n");
    else
        printf("    now       it would %s: %s\n", cli_text(plan, "verdict"),
               cli_text(plan, "status"));
    json_array_foreach(json_object_get(plan, "hosts"), i, one) print_host(one);
    json_array_foreach(json_object_get(plan, "rejected"), i, one)
        printf("              not %s: %s\n", cli_text(one, "name"),
               cli_text(one, "why"));
}

void
cli_message_explain(const json_t *recipient, const json_t *plan, bool is_same,
                    const char *id, int64_t now_ms)
{
    print_recipient(recipient, now_ms);
    explain_state(recipient, id);
    if (!plan)
        return;
    if (is_same) {
        printf("    via       the same as above\n");
        return;
    }
    explain_destination(plan, now_ms);
    explain_plan(plan);
}
