#include "relay/cli/listing.h"

#include "relay/base/mem.h"
#include "relay/cli/term.h"

#include <sysexits.h>

static void
print_page(const struct cli_listing *l, const json_t *list, bool json,
           size_t *count)
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
            l->head();
        l->row(one);
    }
}

static int
print_all(const struct cli_listing *l, struct cli_target *t, bool json)
{
    char *after scoped(own_free) = mem_text("");
    size_t count = 0;

    do {
        json_t *page = NULL;
        int code = cli_target_look(t, l->look, after, &page);

        if (code != EX_OK)
            return code;
        print_page(l, json_object_get(page, l->key), json, &count);
        own_free(&after);
        after = mem_text(cli_text(page, "next"));
        json_decref(page);
    } while (*after);
    if (json)
        (void)fputs(count > 0 ? "\n]\n" : "[]\n", stdout);
    else if (count == 0)
        (void)puts(l->empty);
    return EX_OK;
}

int
cli_listing_words(const struct cli_command *self, struct cli_target *t,
                  bool *json, int *argc, char **argv)
{
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(t),
                                         {.name = "json", .flag = json}};

    return cli_option_parse(self, options, 3, argc, argv);
}

int
cli_listing(const struct cli_command *self, int argc, char **argv,
            const struct cli_listing *l)
{
    struct cli_target target = {0};
    bool json = false;
    int code = cli_listing_words(self, &target, &json, &argc, argv);

    if (code == CLI_GO_ON && argc > 1)
        code = cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = print_all(l, &target, json);
    cli_target_close(&target);
    return code;
}
