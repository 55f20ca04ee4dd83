#include "relay/cli/commands.h"
#include "relay/cli/queue_pages.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

enum { COLUMN_MAX = 40 }; /* a longer sender does not widen the others */

struct listing {
    bool json, begun;
    uint64_t rows, messages;
    char last_id[16];
};

static int
width_of(const json_t *rows, const char *key, int least)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        int len = (int)strlen(cli_text(row, key));

        if (len > least && len <= COLUMN_MAX)
            least = len;
    }
    return least;
}

static const char *
next_text(const json_t *row, int64_t now, char out[CLI_TERM_TEXT])
{
    const char *state = cli_text(row, "state");
    int64_t next = cli_time(row, "next");

    if (strcmp(state, "held") == 0 || strcmp(state, "active") == 0)
        return "-";
    return next > now ? cli_term_span(next - now, out) : "now";
}

static const char *
sender(const json_t *row)
{
    const char *from = cli_text(row, "from");

    return *from ? from : "<>";
}

static void
print_row(const json_t *row, int64_t now, int from_width)
{
    char age[CLI_TERM_TEXT], size[CLI_TERM_TEXT], next[CLI_TERM_TEXT];
    const char *state = cli_text(row, "state"), *last = cli_text(row, "last");

    printf("%-10s  %5s  %5s  %s%-8s%s  %5s  %-*s  %s\n", cli_text(row, "id"),
           cli_term_span(now - cli_time(row, "arrived"), age),
           cli_term_size((uint64_t)cli_number(row, "size"), size),
           cli_term_paint(cli_term_state(state)), state,
           cli_term_paint(CLI_PLAIN), next_text(row, now, next), from_width,
           sender(row), cli_text(row, "to"));
    if (*last)
        printf("            %s%s%s\n", cli_term_paint(CLI_DIM), last,
               cli_term_paint(CLI_PLAIN));
}

static void
print_json(struct listing *l, const json_t *row)
{
    (void)fputs(l->begun ? ",\n" : "[\n", stdout);
    l->begun = true;
    (void)json_dumpf(row, stdout, JSON_COMPACT);
}

static void
print_page(void *ctx, const json_t *rows)
{
    struct listing *l = ctx;
    int64_t now = cli_now_ms();
    int from_width = width_of(rows, "from", 4);
    size_t i;
    json_t *row;

    if (!l->json && !l->begun && json_array_size(rows) > 0) {
        printf("%s%-10s  %5s  %5s  %-8s  %5s  %-*s  %s%s\n",
               cli_term_paint(CLI_BOLD), "ID", "AGE", "SIZE", "STATE", "NEXT",
               from_width, "FROM", "TO", cli_term_paint(CLI_PLAIN));
        l->begun = true;
    }
    json_array_foreach(rows, i, row)
    {
        l->rows++;
        l->messages += strcmp(l->last_id, cli_text(row, "id")) != 0;
        (void)snprintf(l->last_id, sizeof(l->last_id), "%s",
                       cli_text(row, "id"));
        if (l->json)
            print_json(l, row);
        else
            print_row(row, now, from_width);
    }
}

static void
print_end(const struct listing *l, bool filtered)
{
    if (l->json)
        (void)fputs(l->begun ? "\n]\n" : "[]\n", stdout);
    else if (l->rows == 0)
        (void)puts(filtered ? "nothing matches" : "the queue is empty");
    else
        printf("\n%" PRIu64 " recipient%s of %" PRIu64 " message%s\n", l->rows,
               l->rows == 1 ? "" : "s", l->messages,
               l->messages == 1 ? "" : "s");
}

int
cli_queue_list(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    struct cli_filter filter = {0};
    struct listing listing = {0};
    const struct cli_option options[] = {
        CLI_TARGET_OPTIONS(&target),
        CLI_FILTER_OPTIONS(&filter),
        {.name = "json", .flag = &listing.json}};
    int code = cli_option_parse(
        self, options, sizeof(options) / sizeof(options[0]), &argc, argv);

    if (code == CLI_GO_ON && argc > 2)
        code = cli_command_misuse(self, "one id at most");
    if (code == CLI_GO_ON) {
        filter.value[0] = argv[1];
        code = cli_filter_check(&filter, self);
    }
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_queue_pages(&target, &filter, print_page, &listing);
    if (code == EX_OK)
        print_end(&listing, !cli_filter_is_empty(&filter));
    cli_target_close(&target);
    return code;
}
