/* policy list and show. */
#include "relay/cli/commands.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

static const char *
mode(const json_t *p)
{
    const char *name = cli_text(p, "mode");

    return *name ? name : "none known";
}

static void
print_row(const json_t *p, int64_t now)
{
    char left[CLI_TERM_TEXT], seen[CLI_TERM_TEXT];
    int64_t expires = cli_time(p, "expires"), used = cli_time(p, "used");

    printf("%-30s  %-10s  %8s  %8s  %s\n", cli_text(p, "domain"), mode(p),
           expires > now ? cli_term_span(expires - now, left) : "-",
           used ? cli_term_span(now - used, seen) : "-", cli_text(p, "id"));
    if (*cli_text(p, "failure"))
        printf("  %s%s%s\n", cli_term_paint(CLI_RED), cli_text(p, "failure"),
               cli_term_paint(CLI_PLAIN));
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
            printf("%s%-30s  %-10s  %8s  %8s  %s%s\n", cli_term_paint(CLI_BOLD),
                   "DOMAIN", "MODE", "EXPIRES", "USED", "ID",
                   cli_term_paint(CLI_PLAIN));
        print_row(one, cli_now_ms());
    }
}

static int
print_all(struct cli_target *t, bool json)
{
    char after[256] = "";
    size_t count = 0;

    do {
        json_t *page = NULL;
        int code = cli_target_look(t, CLI_LOOK_POLICIES, after, &page);

        if (code != EX_OK)
            return code;
        print_page(json_object_get(page, "policies"), json, &count);
        (void)snprintf(after, sizeof(after), "%s", cli_text(page, "next"));
        json_decref(page);
    } while (*after);
    if (json)
        (void)fputs(count > 0 ? "\n]\n" : "[]\n", stdout);
    else if (count == 0)
        (void)puts("no policy is cached");
    return EX_OK;
}

static int
read_words(const struct cli_command *self, struct cli_target *t, bool *json,
           int *argc, char **argv)
{
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(t),
                                         {.name = "json", .flag = json}};

    return cli_option_parse(self, options, 3, argc, argv);
}

int
cli_policy_list(const struct cli_command *self, int argc, char **argv)
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
    int code = read_words(self, &target, &json, &argc, argv);

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
