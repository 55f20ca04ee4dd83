/* report list, show and send. */
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

static int64_t
number(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static int
read_words(const struct cli_command *self, struct cli_target *t, bool *json,
           int *argc, char **argv)
{
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(t),
                                         {.name = "json", .flag = json}};

    return cli_option_parse(self, options, 3, argc, argv);
}

/* --- list --- */

static void
print_row(const json_t *r)
{
    printf("%-10s  %-40s  %9" PRId64 "  %s%9" PRId64 "%s\n", cli_text(r, "day"),
           cli_text(r, "domain"), number(r, "succeeded"),
           number(r, "failed") > 0 ? cli_term_paint(CLI_RED) : "",
           number(r, "failed"), cli_term_paint(CLI_PLAIN));
}

static void
print_page(const json_t *list, bool json, size_t *count)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        bool first = (*count)++ == 0;

        if (json) {
            (void)fputs(first ? "[\n" : ",\n", stdout);
            (void)json_dumpf(one, stdout, JSON_COMPACT);
            continue;
        }
        if (first)
            printf("%s%-10s  %-40s  %9s  %9s%s\n", cli_term_paint(CLI_BOLD),
                   "DAY", "DOMAIN", "SUCCEEDED", "FAILED",
                   cli_term_paint(CLI_PLAIN));
        print_row(one);
    }
}

static int
print_all(struct cli_target *t, bool json)
{
    char *after scoped(own_free) = mem_text("");
    size_t count = 0;

    do {
        json_t *page = NULL;
        int code = cli_target_look(t, CLI_LOOK_REPORTS, after, &page);

        if (code != EX_OK)
            return code;
        print_page(json_object_get(page, "reports"), json, &count);
        own_free(&after);
        after = mem_text(cli_text(page, "next"));
        json_decref(page);
    } while (*after);
    if (json)
        (void)fputs(count > 0 ? "\n]\n" : "[]\n", stdout);
    else if (count == 0)
        (void)puts("nothing is waiting to be reported");
    return EX_OK;
}

int
cli_report_list(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool json = false;
    int code = read_words(self, &target, &json, &argc, argv);

    if (code == CLI_GO_ON && argc > 1)
        code = cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = print_all(&target, json);
    cli_target_close(&target);
    return code;
}

/* --- show --- */

static void
print_detail(const json_t *d)
{
    printf("    %6" PRId64 "  %s", number(d, "failed-session-count"),
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
           number(summary, "total-successful-session-count"),
           number(summary, "total-failure-session-count"));
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
    int code = read_words(self, &target, &json, &argc, argv);

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
           number(answer, "sent"), number(answer, "unwanted"),
           number(answer, "failed"));
    return number(answer, "failed") > 0 ? EX_TEMPFAIL : EX_OK;
}

int
cli_report_send(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    struct buf url scoped(buf_free) = {0};
    bool json = false;
    json_t *answer = NULL;
    int code = read_words(self, &target, &json, &argc, argv);

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
