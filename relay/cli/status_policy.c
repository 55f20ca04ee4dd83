#include "relay/cli/status_policy.h"

#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>

enum { ROWS_SHOWN = 10 }; /* of each table; --json has them all */

static void
head(const char *bold, const char *rest, int64_t count)
{
    printf("\n%s%s%s%s: %" PRId64 "\n", cli_term_paint(CLI_BOLD), bold,
           cli_term_paint(CLI_PLAIN), rest, count);
}

static void
tell_rest(size_t count)
{
    if (count > ROWS_SHOWN)
        printf("  and %zu more: --json shows them\n", count - ROWS_SHOWN);
}

static void
print_expiring(const json_t *e, int64_t now)
{
    const json_t *rows = json_object_get(e, "policies");
    size_t i, n = (size_t)cli_number(e, "count");
    json_t *one;

    if (n == 0)
        return;
    head("policies", " that end soon, as they can't be fetched anew",
         (int64_t)n);
    json_array_foreach(rows, i, one)
    {
        char left[CLI_TERM_TEXT];

        if (i == ROWS_SHOWN)
            break;
        printf("  %-30s ends in %s\n", cli_text(one, "domain"),
               cli_term_span(cli_time(one, "expires") - now, left));
        printf("    %s%s%s\n", cli_term_paint(CLI_DIM),
               cli_text(one, "failure"), cli_term_paint(CLI_PLAIN));
    }
    tell_rest(n);
}

static void
print_row(const json_t *r, int64_t now)
{
    char ago[CLI_TERM_TEXT];
    int64_t count = cli_number(r, "count");

    printf("  %-30s %s: %s, %" PRId64 " time%s, last %s ago\n",
           cli_text(r, "destination"), cli_text(r, "policy"),
           cli_text(r, "reason"), count, count == 1 ? "" : "s",
           cli_term_span(now - cli_time(r, "last"), ago));
    printf("    %s%s%s\n", cli_term_paint(CLI_DIM), cli_text(r, "text"),
           cli_term_paint(CLI_PLAIN));
}

static void
print_refusals(const json_t *rows, bool enforced, int64_t now)
{
    size_t i, n = 0;
    json_t *one;

    json_array_foreach(rows, i, one) n +=
        json_is_true(json_object_get(one, "enforced")) == enforced;
    if (n == 0)
        return;
    if (enforced)
        head("refused", " by policy, by destination and reason", (int64_t)n);
    else
        head("would be refused", " if policies were enforced", (int64_t)n);
    n = 0;
    json_array_foreach(rows, i, one)
    {
        if (json_is_true(json_object_get(one, "enforced")) != enforced)
            continue;
        if (n++ < ROWS_SHOWN)
            print_row(one, now);
    }
    tell_rest(n);
}

void
cli_status_policy(const json_t *status, int64_t now)
{
    const json_t *rows = json_object_get(status, "refusals");

    print_expiring(json_object_get(status, "expiring"), now);
    print_refusals(rows, true, now);
    print_refusals(rows, false, now);
}
