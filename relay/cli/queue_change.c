/* queue retry, hold, release, delete, bounce. */
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

enum { WITHOUT_ASKING = 100 }; /* recipients */

static const struct verb {
    const char *name, *done;
} verbs[] = {
    {"retry", "will be tried again now"},
    {"hold", "held"},
    {"release", "released"},
    {"delete", "deleted"},
    {"bounce", "given up; senders are told"},
};

static const struct verb *
verb_of(const struct cli_command *self)
{
    const char *word = strchr(self->name, ' ') + 1;

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, word) == 0)
            return &verbs[i];
    return NULL;
}

static int
ask(struct cli_target *t, const struct verb *verb, json_t *body, bool dry,
    int64_t *count)
{
    char *path scoped(own_free) = mem_printf("/v1/queue/%s", verb->name);
    json_t *answer = NULL;
    int code;

    json_object_set_new(body, "dry", json_boolean(dry));
    code = cli_target_call(t, "POST", path, body, &answer);
    *count = cli_number(answer, "count");
    json_decref(answer);
    return code;
}

static int
change(struct cli_target *t, const struct verb *verb, json_t *body, bool dry,
       bool yes)
{
    int64_t count = 0;
    int code = ask(t, verb, body, true, &count);

    if (code != EX_OK)
        return code;
    if (count == 0)
        return cli_fail(EX_NOINPUT, "nothing in the queue matches");
    if (dry) {
        printf("%" PRId64 " recipient%s would be concerned\n", count,
               count == 1 ? "" : "s");
        return EX_OK;
    }
    if (count > WITHOUT_ASKING && !yes)
        return cli_fail(EX_USAGE,
                        "%" PRId64 " recipients match; say --yes to %s them",
                        count, verb->name);
    code = ask(t, verb, body, false, &count);
    if (code == EX_OK)
        printf("%" PRId64 " recipient%s %s\n", count, count == 1 ? "" : "s",
               verb->done);
    return code;
}

static json_t *
request(const struct cli_filter *f, bool all, int argc, char **argv)
{
    json_t *body = json_object();

    cli_filter_put(f, body);
    if (all)
        json_object_set_new(body, "all", json_true());
    if (argc > 1) {
        json_t *ids = json_array();

        for (int i = 1; i < argc; i++)
            json_array_append_new(ids, json_string(argv[i]));
        json_object_set_new(body, "ids", ids);
    }
    return body;
}

int
cli_queue_change(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    struct cli_filter filter = {0};
    bool all = false, yes = false, dry = false;
    const struct cli_option options[] = {
        CLI_TARGET_OPTIONS(&target),
        CLI_FILTER_OPTIONS(&filter),
        {.name = "all", .letter = 'a', .flag = &all},
        {.name = "yes", .letter = 'y', .flag = &yes},
        {.name = "dry-run", .letter = 'n', .flag = &dry},
    };
    json_t *body;
    int code = cli_option_parse(
        self, options, sizeof(options) / sizeof(options[0]), &argc, argv);

    if (code == CLI_GO_ON && argc == 1 && !all && cli_filter_is_empty(&filter))
        code = cli_command_misuse(self, "which? ids, a filter, or --all");
    if (code == CLI_GO_ON && all && argc > 1)
        code = cli_command_misuse(self, "either ids or --all");
    if (code == CLI_GO_ON)
        code = cli_filter_check(&filter, self);
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    body = request(&filter, all, argc, argv);
    code = change(&target, verb_of(self), body, dry, yes);
    json_decref(body);
    cli_target_close(&target);
    return code;
}
