/* queue explain: why a message still waits. */
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/explain.h"
#include "relay/cli/message.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* What was asked last: recipients of one domain share the answer. */
struct plan {
    json_t *found; /* or NULL */
    char domain[256];
    bool is_same; /* as that of the recipient before */
};

/* What has been given up goes nowhere. */
static bool
has_plan(const struct cli_target *t, const json_t *recipient)
{
    return !t->store &&
           strcmp(cli_text(recipient, "destination"), QUEUE_ENDED) != 0;
}

static void
find_plan(struct cli_target *t, const json_t *message, const json_t *recipient,
          struct plan *p)
{
    struct buf url scoped(buf_free) = {0};
    const char *at = strrchr(cli_text(recipient, "to"), '@');
    json_t *before = p->found;

    p->is_same = at && p->found && strcmp(p->domain, at + 1) == 0;
    if (p->is_same || !at)
        return;
    p->found = NULL;
    (void)snprintf(p->domain, sizeof(p->domain), "%s", at + 1);
    buf_add_text(&url, "/v1/plan/");
    cli_url_add(&url, at + 1);
    buf_add_text(&url, "?from=");
    cli_url_add(&url, cli_text(message, "from"));
    (void)cli_target_call(t, "GET", buf_text(&url), NULL, &p->found);
    p->is_same = before && p->found && *cli_text(before, "route") &&
                 strcmp(cli_text(before, "destination"),
                        cli_text(p->found, "destination")) == 0;
    json_decref(before);
}

static void
explain_one(struct cli_target *t, const json_t *message, json_t *recipient,
            struct plan *plan, bool json)
{
    int64_t now = cli_now_ms();
    bool has = has_plan(t, recipient);
    json_t *found, *explanation;

    if (has)
        find_plan(t, message, recipient, plan);
    found = has ? plan->found : NULL;
    explanation = cli_explain(message, recipient, found, !t->store, now);
    if (json) {
        json_object_set(recipient, "explanation", explanation);
        json_object_set(recipient, "plan", found);
    } else {
        cli_message_recipient(recipient, now);
        cli_explain_print(explanation, found, plan->is_same, now);
    }
    json_decref(explanation);
}

static void
explain(struct cli_target *t, json_t *message, bool json)
{
    json_t *list = json_object_get(message, "recipients"), *one;
    struct plan plan = {0};
    size_t i;

    if (!json)
        cli_message_head(message, cli_now_ms());
    if (!json && json_array_size(list) == 0)
        (void)puts("\nnothing waits: `sealpost trace` tells what happened");
    json_array_foreach(list, i, one) explain_one(t, message, one, &plan, json);
    json_decref(plan.found);
    json_object_del(message, "events");
    if (json)
        cli_print_json(message);
}

int
cli_queue_explain(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool json = false;
    json_t *message = NULL;
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target),
                                         {.name = "json", .flag = &json}};
    int code = cli_option_parse(self, options, 3, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one id, please");
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_target_look(&target, CLI_LOOK_TRACE, argv[1], &message);
    if (code == EX_OK)
        explain(&target, message, json);
    json_decref(message);
    cli_target_close(&target);
    return code;
}
