#include "relay/cli/commands.h"
#include "relay/cli/status_policy.h"
#include "relay/cli/status_webhooks.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <sysexits.h>

static void
numbers(const char *title, const json_t *object, const char *const *keys)
{
    printf("%-13s", title);
    for (size_t i = 0; keys[i]; i++)
        printf("%s%s %" PRId64, i > 0 ? "  " : "", keys[i],
               cli_number(object, keys[i]));
    (void)fputc('\n', stdout);
}

static void
print_head(const json_t *s, int64_t now)
{
    char time[CLI_TERM_TEXT], age[CLI_TERM_TEXT];
    const char *state = cli_text(s, "state");

    printf("%ssealpost %s%s on %s: %s%s%s, mode %s\n", cli_term_paint(CLI_BOLD),
           cli_text(s, "version"), cli_term_paint(CLI_PLAIN),
           cli_text(s, "hostname"), cli_term_paint(cli_term_state(state)),
           state, cli_term_paint(CLI_PLAIN), cli_text(s, "mode"));
    printf("%-13s%s, since %s, pid %" PRId64 "\n\n", "up",
           cli_term_span(cli_number(s, "up_s") * 1000, age),
           cli_term_time(cli_time(s, "up_since"), now, time),
           cli_number(s, "pid"));
}

/* Somebody may believe that this is the real thing. */
static void
print_mode(const json_t *s)
{
    const char *mode = cli_text(s, "mode");

    if (strcmp(mode, "sink") == 0)
        printf("%sMODE SINK: mail is accepted and delivered to nobody%s\n\n",
               cli_term_paint(CLI_YELLOW), cli_term_paint(CLI_PLAIN));
    if (strcmp(mode, "redirect") == 0)
        printf("%sMODE REDIRECT: all mail goes to %s, and not to its "
               "recipients%s\n\n",
               cli_term_paint(CLI_YELLOW), cli_text(s, "redirect_to"),
               cli_term_paint(CLI_PLAIN));
}

/* What clients are told, and why; a drain is in the first line already. */
static void
print_trouble(const json_t *s)
{
    const char *why = cli_text(s, "not_ready");

    if (*why && strcmp(cli_text(s, "state"), "running") == 0)
        printf("%sNOT READY FOR MAIL: %s%s\n\n", cli_term_paint(CLI_RED), why,
               cli_term_paint(CLI_PLAIN));
}

static void
print_queue(const json_t *q, int64_t now)
{
    static const char *const states[] = {"queued", "active", "deferred", "held",
                                         NULL};
    char size[CLI_TERM_TEXT], age[CLI_TERM_TEXT];
    int64_t oldest = cli_time(q, "oldest");

    printf("%-13s%" PRId64 " messages, %" PRId64 " recipients, %s octets",
           "queue", cli_number(q, "messages"), cli_number(q, "recipients"),
           cli_term_size((uint64_t)cli_number(q, "octets"), size));
    if (oldest)
        printf(", oldest %s", cli_term_span(now - oldest, age));
    (void)fputc('\n', stdout);
    numbers("", q, states);
}

static void
print_rates(const json_t *c, int64_t up_s)
{
    double minutes = (double)(up_s > 0 ? up_s : 1) / 60;

    printf("%-13s%.1f accepted, %.1f sent per minute, on average\n", "rates",
           (double)cli_number(c, "accepted") / minutes,
           (double)cli_number(c, "sent") / minutes);
}

static void
print_destination(const json_t *d, int64_t now)
{
    char span[CLI_TERM_TEXT];
    int64_t until = cli_time(d, "blocked_until");
    int64_t eased = cli_number(d, "eased");

    printf("  %-30s %" PRId64 " waiting%s, %" PRId64 " under way",
           cli_text(d, "name"), cli_number(d, "waiting"),
           json_is_true(json_object_get(d, "more")) ? " and more" : "",
           cli_number(d, "active"));
    if (until > now)
        printf(", %s%s%s for %s", cli_term_paint(CLI_RED),
               eased > 0 ? "paused" : "blocked", cli_term_paint(CLI_PLAIN),
               cli_term_span(until - now, span));
    if (eased > 0)
        printf(", slowed to %" PRId64 " at a time", eased);
    (void)fputc('\n', stdout);
    if (*cli_text(d, "why"))
        printf("    %s%s%s\n", cli_term_paint(CLI_DIM), cli_text(d, "why"),
               cli_term_paint(CLI_PLAIN));
}

/* How AUTH goes at the hosts of a route. */
static void
print_account(const json_t *a, int64_t now)
{
    char span[CLI_TERM_TEXT];
    const char *state = cli_text(a, "state");
    int64_t until = cli_time(a, "expires");

    printf("  %-30s as %s: %s%s%s", cli_text(a, "route"), cli_text(a, "user"),
           cli_term_paint(strcmp(state, "held") == 0 ? CLI_RED : CLI_PLAIN),
           state, cli_term_paint(CLI_PLAIN));
    if (until > now)
        printf(", token good for %s", cli_term_span(until - now, span));
    (void)fputc('\n', stdout);
    if (*cli_text(a, "why"))
        printf("    %s%s%s\n", cli_term_paint(CLI_DIM), cli_text(a, "why"),
               cli_term_paint(CLI_PLAIN));
}

static void
print_accounts(const json_t *list, int64_t now)
{
    size_t i;
    json_t *one;

    if (json_array_size(list) == 0)
        return;
    printf("\n%saccounts%s of routes: %zu\n", cli_term_paint(CLI_BOLD),
           cli_term_paint(CLI_PLAIN), json_array_size(list));
    json_array_foreach(list, i, one) print_account(one, now);
}

static void
print_status(const json_t *s, int64_t now)
{
    static const char *const outcomes[] = {
        "accepted", "refused", "sent", "deferred", "bounced", "expired", NULL};
    const json_t *c = json_object_get(s, "counters");
    const json_t *d = json_object_get(s, "destinations");
    const json_t *top = json_object_get(d, "top");
    size_t i;
    json_t *one;

    print_head(s, now);
    print_mode(s);
    print_trouble(s);
    print_queue(json_object_get(s, "queue"), now);
    numbers("since start", c, outcomes);
    print_rates(c, cli_number(s, "up_s"));
    printf("%-13s%" PRId64 " in (%" PRId64 " now), %" PRId64 " out, %" PRId64
           " reused\n",
           "connections", cli_number(c, "connections_in"),
           cli_number(s, "sessions"), cli_number(c, "connections_out"),
           cli_number(c, "connections_reused"));
    printf("%-13s%" PRId64 " refused, %" PRId64
           " would be if enforced; DNSSEC %s\n",
           "policy", cli_number(c, "policy_refusals"),
           cli_number(c, "policy_shadowed"),
           cli_text(json_object_get(s, "dnssec"), "way"));
    cli_status_policy(s, now);
    print_accounts(json_object_get(s, "accounts"), now);
    cli_status_webhooks(s, now);
    if (cli_number(d, "count") == 0)
        return;
    printf("\n%sdestinations%s with work or trouble: %" PRId64 "\n",
           cli_term_paint(CLI_BOLD), cli_term_paint(CLI_PLAIN),
           cli_number(d, "count"));
    json_array_foreach(top, i, one) print_destination(one, now);
}

int
cli_status(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool json = false;
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target),
                                         {.name = "json", .flag = &json}};
    json_t *status = NULL;
    int code = cli_option_parse(self, options, 3, &argc, argv);

    if (code == CLI_GO_ON && argc > 1)
        code = cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_target_call(&target, "GET", "/v1/status", NULL, &status);
    if (code == EX_OK && json)
        cli_print_json(status);
    else if (code == EX_OK)
        print_status(status, cli_now_ms());
    json_decref(status);
    cli_target_close(&target);
    return code;
}
