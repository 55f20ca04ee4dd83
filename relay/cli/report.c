/* report list, show and send. */
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/listing.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <sysexits.h>

/* --- list --- */

static void
print_row(const json_t *r)
{
    printf("%-10s  %-40s  %9" PRId64 "  %s%9" PRId64 "%s\n", cli_text(r, "day"),
           cli_text(r, "domain"), cli_number(r, "succeeded"),
           cli_number(r, "failed") > 0 ? cli_term_paint(CLI_RED) : "",
           cli_number(r, "failed"), cli_term_paint(CLI_PLAIN));
}

static void
print_head(void)
{
    printf("%s%-10s  %-40s  %9s  %9s%s\n", cli_term_paint(CLI_BOLD), "DAY",
           "DOMAIN", "SUCCEEDED", "FAILED", cli_term_paint(CLI_PLAIN));
}

int
cli_report_list(const struct cli_command *self, int argc, char **argv)
{
    static const struct cli_listing list = {
        .look = CLI_LOOK_REPORTS,
        .key = "reports",
        .empty = "nothing is waiting to be reported",
        .head = print_head,
        .row = print_row,
    };

    return cli_listing(self, argc, argv, &list);
}

/* --- show --- */

static void
print_detail(const json_t *d)
{
    printf("    %6" PRId64 "  %s", cli_number(d, "failed-session-count"),
           cli_text(d, "result-type"));
    if (*cli_text(d, "receiving-mx-hostname"))
        printf("  %s", cli_text(d, "receiving-mx-hostname"));
    if (*cli_text(d, "receiving-ip"))
        printf(" [%s]", cli_text(d, "receiving-ip"));
    if (*cli_text(d, "failure-reason-code"))
        printf(": %s", cli_text(d, "failure-reason-code"));
    (void)putchar('\n');
}

static void
print_policy(const json_t *p)
{
    const json_t *policy = json_object_get(p, "policy");
    const json_t *summary = json_object_get(p, "summary");
    size_t i;
    json_t *one;

    printf("  %s: %" PRId64 " succeeded, %" PRId64 " failed\n",
           cli_text(policy, "policy-type"),
           cli_number(summary, "total-successful-session-count"),
           cli_number(summary, "total-failure-session-count"));
    json_array_foreach(json_object_get(p, "failure-details"), i, one)
        print_detail(one);
}

static void
print_report(const json_t *r)
{
    size_t i;
    json_t *one;

    printf("%s%s %s%s\n", cli_term_paint(CLI_BOLD), cli_text(r, "day"),
           cli_text(r, "domain"), cli_term_paint(CLI_PLAIN));
    json_array_foreach(json_object_get(r, "policies"), i, one)
        print_policy(one);
}

int
cli_report_show(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    char *key scoped(own_free) = NULL;
    bool json = false;
    json_t *report = NULL;
    int code = cli_listing_words(self, &target, &json, &argc, argv);

    if (code == CLI_GO_ON && argc != 3)
        code = cli_command_misuse(self, "a day and a domain, please");
    if (code != CLI_GO_ON)
        return code;
    key = mem_printf("%s %s", argv[1], argv[2]);
    cli_target_open(&target);
    code = cli_target_look(&target, CLI_LOOK_REPORT, key, &report);
    if (code == EX_OK && json)
        cli_print_json(report);
    else if (code == EX_OK)
        print_report(report);
    json_decref(report);
    cli_target_close(&target);
    return code;
}

/* --- send --- */

static int
tell_sent(const json_t *answer)
{
    printf("%" PRId64 " sent, %" PRId64 " wanted by nobody, %" PRId64
           " failed\n",
           cli_number(answer, "sent"), cli_number(answer, "unwanted"),
           cli_number(answer, "failed"));
    return cli_number(answer, "failed") > 0 ? EX_TEMPFAIL : EX_OK;
}

int
cli_report_send(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    struct buf url scoped(buf_free) = {0};
    bool json = false;
    json_t *answer = NULL;
    int code = cli_listing_words(self, &target, &json, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one day, please");
    if (code != CLI_GO_ON)
        return code;
    buf_add_text(&url, "/v1/reports/");
    cli_url_add(&url, argv[1]);
    buf_add_text(&url, "/send");
    cli_target_open(&target);
    code = cli_target_call(&target, "POST", buf_text(&url), NULL, &answer);
    if (code == EX_OK && json)
        cli_print_json(answer);
    else if (code == EX_OK)
        code = tell_sent(answer);
    json_decref(answer);
    cli_target_close(&target);
    return code;
}
