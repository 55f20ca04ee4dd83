/* queue show, explain and cat: one message. */
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/message.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

/* The options and the one id that these commands take. */
static int
read_words(const struct cli_command *self, struct cli_target *t, bool *json,
           int *argc, char **argv)
{
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(t),
                                         {.name = "json", .flag = json}};
    int code = cli_option_parse(self, options, json ? 3 : 2, argc, argv);

    if (code != CLI_GO_ON)
        return code;
    return *argc == 2 ? CLI_GO_ON : cli_command_misuse(self, "one id, please");
}

int
cli_queue_show(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool json = false;
    json_t *message = NULL;
    int code = read_words(self, &target, &json, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_target_look(&target, CLI_LOOK_MESSAGE, argv[1], &message);
    if (code == EX_OK && json)
        cli_print_json(message);
    else if (code == EX_OK)
        cli_message_print(message, cli_now_ms());
    json_decref(message);
    cli_target_close(&target);
    return code;
}

/* --- cat --- */

static int
copy_body(struct cli_target *t, const char *id, int64_t size)
{
    struct buf piece scoped(buf_free) = {0};
    int64_t copied = 0;
    bool end = false;

    for (unsigned n = 0; copied < size && !end; n++) {
        int code;

        buf_clear(&piece);
        code = cli_target_piece(t, id, n, &piece, &end);
        if (code != EX_OK)
            return code;
        copied += (int64_t)piece.len;
        if (fwrite(piece.p ? piece.p : "", 1, piece.len, stdout) != piece.len)
            return cli_fail(EX_IOERR, "can't write");
    }
    if (fflush(stdout) != 0)
        return cli_fail(EX_IOERR, "can't write");
    if (copied < size)
        return cli_fail(EX_NOINPUT, "%s: finished while it was read", id);
    return EX_OK;
}

int
cli_queue_cat(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    json_t *message = NULL;
    int code = read_words(self, &target, NULL, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_target_look(&target, CLI_LOOK_MESSAGE, argv[1], &message);
    if (code == EX_OK &&
        json_array_size(json_object_get(message, "recipients")) == 0)
        code = cli_fail(EX_NOINPUT, "%s: finished, its text is gone", argv[1]);
    if (code == EX_OK)
        code = copy_body(&target, argv[1], cli_number(message, "size"));
    json_decref(message);
    cli_target_close(&target);
    return code;
}

/* --- explain --- */

/* What was asked last: recipients of one domain share the answer. */
struct plan {
    json_t *found; /* or NULL */
    char domain[256];
    bool is_same; /* as that of the recipient before */
};

static void
find_plan(struct cli_target *t, const json_t *message, const char *to,
          struct plan *p)
{
    struct buf url scoped(buf_free) = {0};
    const char *at = strrchr(to, '@');
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

static int
explain(struct cli_target *t, json_t *message, bool json)
{
    json_t *list = json_object_get(message, "recipients"), *one;
    struct plan plan = {0};
    size_t i;

    if (!json)
        cli_message_head(message, cli_now_ms());
    if (!json && json_array_size(list) == 0)
        (void)puts("\nnothing waits: `sealpost trace` tells what happened");
    json_array_foreach(list, i, one)
    {
        find_plan(t, message, cli_text(one, "to"), &plan);
        if (json)
            json_object_set(one, "plan", plan.found);
        else
            cli_message_explain(one, plan.found, plan.is_same,
                                cli_text(message, "id"), cli_now_ms());
    }
    json_decref(plan.found);
    if (json)
        cli_print_json(message);
    return EX_OK;
}

int
cli_queue_explain(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool json = false;
    json_t *message = NULL;
    char *path scoped(own_free) = NULL;
    int code = read_words(self, &target, &json, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    path = mem_printf("/v1/messages/%s", argv[1]);
    code = cli_target_call(&target, "GET", path, NULL, &message);
    if (code == EX_OK)
        code = explain(&target, message, json);
    json_decref(message);
    cli_target_close(&target);
    return code;
}
