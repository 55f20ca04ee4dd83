/* policy list and show. */
#include "relay/cli/commands.h"
#include "relay/cli/listing.h"
#include "relay/cli/term.h"

#include <sysexits.h>

static const char *
mode(const json_t *p)
{
    const char *name = cli_text(p, "mode");

    return *name ? name : "none known";
}

static bool
is_expiring(const json_t *p)
{
    return json_is_true(json_object_get(p, "expiring"));
}

static void
print_row(const json_t *p)
{
    int64_t now = cli_now_ms();
    char left[CLI_TERM_TEXT], seen[CLI_TERM_TEXT];
    int64_t expires = cli_time(p, "expires"), used = cli_time(p, "used");

    printf("%-30s  %-10s  %s%8s%s  %8s  %s\n", cli_text(p, "domain"), mode(p),
           cli_term_paint(is_expiring(p) ? CLI_RED : CLI_PLAIN),
           expires > now ? cli_term_span(expires - now, left) : "-",
           cli_term_paint(CLI_PLAIN),
           used ? cli_term_span(now - used, seen) : "-", cli_text(p, "id"));
    if (*cli_text(p, "failure"))
        printf("  %s%s%s%s\n", cli_term_paint(CLI_RED),
               is_expiring(p) ? "ends soon, can't be fetched anew: " : "",
               cli_text(p, "failure"), cli_term_paint(CLI_PLAIN));
}

static void
print_head(void)
{
    printf("%s%-30s  %-10s  %8s  %8s  %s%s\n", cli_term_paint(CLI_BOLD),
           "DOMAIN", "MODE", "EXPIRES", "USED", "ID",
           cli_term_paint(CLI_PLAIN));
}

int
cli_policy_list(const struct cli_command *self, int argc, char **argv)
{
    static const struct cli_listing list = {
        .look = CLI_LOOK_POLICIES,
        .key = "policies",
        .empty = "no policy is cached",
        .head = print_head,
        .row = print_row,
    };

    return cli_listing(self, argc, argv, &list);
}

/* --- show --- */

static void
field(const json_t *p, const char *title, const char *key, int64_t now)
{
    char time[CLI_TERM_TEXT];
    int64_t at = cli_time(p, key);

    if (at)
        printf("  %-12s %s\n", title, cli_term_time(at, now, time));
    else if (*cli_text(p, key))
        printf("  %-12s %s\n", title, cli_text(p, key));
}

static void
print_policy(const json_t *p)
{
    int64_t now = cli_now_ms();
    size_t i;
    json_t *one;

    printf("%s%s%s\n", cli_term_paint(CLI_BOLD), cli_text(p, "domain"),
           cli_term_paint(CLI_PLAIN));
    printf("  %-12s %s\n", "mode", mode(p));
    json_array_foreach(json_object_get(p, "mx"), i, one)
        printf("  %-12s %s\n", i == 0 ? "mx" : "", json_string_value(one));
    field(p, "id", "id", now);
    field(p, "fetched", "fetched", now);
    field(p, "expires", "expires", now);
    field(p, "last used", "used", now);
    field(p, "record seen", "checked", now);
    if (is_expiring(p))
        printf("  %-12s %sends soon, can't be fetched anew%s\n", "",
               cli_term_paint(CLI_RED), cli_term_paint(CLI_PLAIN));
    field(p, "failure", "failure", now);
    field(p, "failed id", "failed_id", now);
    field(p, "retry after", "retry_after", now);
    if (*cli_text(p, "text"))
        printf("\n%s\n", cli_text(p, "text"));
}

int
cli_policy_show(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool json = false;
    json_t *policy = NULL;
    int code = cli_listing_words(self, &target, &json, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one domain, please");
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_target_look(&target, CLI_LOOK_POLICY, argv[1], &policy);
    if (code == EX_OK && json)
        cli_print_json(policy);
    else if (code == EX_OK)
        print_policy(policy);
    json_decref(policy);
    cli_target_close(&target);
    return code;
}
