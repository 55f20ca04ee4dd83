/* policy refresh and forget. */
#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <string.h>
#include <sysexits.h>

static int
ask(struct cli_target *t, const char *verb, const char *domain, json_t **out)
{
    struct buf url scoped(buf_free) = {0};

    buf_add_text(&url, "/v1/policies/");
    cli_url_add(&url, domain);
    buf_printf(&url, "/%s", verb);
    return cli_target_call(t, "POST", buf_text(&url), NULL, out);
}

static int
tell_refreshed(const json_t *answer)
{
    const char *state = cli_text(answer, "state");
    const char *domain = cli_text(answer, "domain");
    const char *why = cli_text(answer, "why");

    if (strcmp(state, "fresh") == 0) {
        printf("%s: fetched, mode %s\n", domain, cli_text(answer, "mode"));
        return EX_OK;
    }
    if (strcmp(state, "absent") == 0 || strcmp(state, "off") == 0) {
        printf("%s publishes no policy\n", domain);
        return EX_OK;
    }
    if (strcmp(state, "cached") == 0)
        return cli_fail(EX_TEMPFAIL, "%s: the cached policy (%s) stays: %s",
                        domain, cli_text(answer, "mode"), why);
    return cli_fail(EX_TEMPFAIL, "%s: %s: %s", domain, state, why);
}

int
cli_policy_change(const struct cli_command *self, int argc, char **argv)
{
    const char *verb = strchr(self->name, ' ') + 1;
    bool is_refresh = strcmp(verb, "refresh") == 0;
    struct cli_target target = {0};
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target)};
    json_t *answer = NULL;
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one domain, please");
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = ask(&target, verb, argv[1], &answer);
    if (code == EX_OK && is_refresh)
        code = tell_refreshed(answer);
    else if (code == EX_OK)
        printf("%s: forgotten\n", cli_text(answer, "forgotten"));
    json_decref(answer);
    cli_target_close(&target);
    return code;
}
