/* reload, drain, healthcheck. */
#include "relay/base/span.h"
#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    POLL_MS = 200,
    CALM_POLLS = 4, /* in a row */
};

int
cli_reload(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target)};
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code == CLI_GO_ON && argc > 1)
        code = cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_target_call(&target, "POST", "/v1/reload", NULL, NULL);
    if (code == EX_OK)
        (void)puts("the configuration was read again");
    cli_target_close(&target);
    return code == EX_DATAERR ? EX_CONFIG : code;
}

/* --- drain --- */

/* What there is in the queue, by state. */
struct left {
    int64_t queued, active, deferred, held;
};

static int
look(struct cli_target *t, struct left *out)
{
    json_t *status = NULL;
    int code = cli_target_call(t, "GET", "/v1/status", NULL, &status);
    const json_t *q = json_object_get(status, "queue");

    *out = (struct left){cli_number(q, "queued"), cli_number(q, "active"),
                         cli_number(q, "deferred"), cli_number(q, "held")};
    json_decref(status);
    return code;
}

/* What is queued may wait for a host that can't be reached: so the end is when
 * nothing was under way for a while. */
static int
wait_until(struct cli_target *t, int64_t until, struct left *left)
{
    int code = look(t, left);

    for (int calm = left->active == 0;
         code == EX_OK && calm < CALM_POLLS && cli_now_ms() < until;) {
        (void)usleep(POLL_MS * 1000);
        code = look(t, left);
        calm = left->active == 0 ? calm + 1 : 0;
    }
    return code;
}

static int
drain(struct cli_target *t, int64_t wait_ms)
{
    struct left left = {0};
    int64_t until = cli_now_ms() + wait_ms;
    int code = cli_target_call(t, "POST", "/v1/drain", NULL, NULL);

    if (code == EX_OK)
        code = wait_until(t, until, &left);
    if (code != EX_OK)
        return code;
    printf("no more mail is taken; recipients left: %" PRId64
           " (under way %" PRId64 ", queued %" PRId64 ", deferred %" PRId64
           ", held %" PRId64 ")\n",
           left.queued + left.active + left.deferred + left.held, left.active,
           left.queued, left.deferred, left.held);
    return left.active > 0 && wait_ms > 0 ? EX_TEMPFAIL : EX_OK;
}

int
cli_drain(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    const char *wait = NULL;
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target),
                                         {.name = "wait", .value = &wait}};
    int64_t wait_ms = 0;
    struct err err;
    int code = cli_option_parse(self, options, 3, &argc, argv);

    if (code == CLI_GO_ON && argc > 1)
        code = cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (code == CLI_GO_ON && wait &&
        !span_parse(slice_of(wait), &wait_ms, &err))
        code = cli_command_misuse(self, "--wait: %s", err.text);
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = drain(&target, wait_ms);
    cli_target_close(&target);
    return code;
}

/* --- healthcheck --- */

static int
probe(const struct cli_target *t, const char *path)
{
    struct cli_answer answer;
    struct err err;
    int code = 0;

    if (!cli_control_ask(t->socket, "GET", path, NULL, &answer, &err))
        return cli_fail(1, "%s", err.text);
    if (answer.status != 200)
        code = cli_fail(1, "%.*s", (int)strcspn(buf_text(&answer.body), "\n"),
                        buf_text(&answer.body));
    cli_answer_done(&answer);
    return code;
}

int
cli_healthcheck(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target)};
    const char *which;
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    which = argc > 1 ? argv[1] : "ready";
    if (argc > 2 || (strcmp(which, "live") != 0 && strcmp(which, "ready") != 0))
        return cli_command_misuse(self, "live or ready");
    cli_target_open(&target);
    code = probe(&target, which[0] == 'l' ? "/livez" : "/readyz");
    cli_target_close(&target);
    return code;
}
