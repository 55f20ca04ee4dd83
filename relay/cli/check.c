#include "relay/cli/check_schema.h"
#include "relay/cli/commands.h"
#include "relay/cli/option.h"
#include "relay/config/config.h"
#include "relay/config/describe.h"
#include "relay/daemon/server_tls.h"

#include <sysexits.h>

static void
print_schema(void)
{
    json_t *schema = cli_check_schema();

    (void)json_dumpf(schema, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(schema);
}

int
cli_check(const struct cli_command *self, int argc, char **argv)
{
    const char *file = NULL;
    bool json = false, keys = false, schema = false;
    const struct cli_option options[] = {
        {.name = "config", .letter = 'c', .value = &file},
        {.name = "json", .flag = &json},
        {.name = "keys", .flag = &keys},
        {.name = "schema", .flag = &schema}};
    struct config_errors errs = {0};
    struct err err;
    struct config *config scoped(config_free) = NULL;
    int code = cli_option_parse(self, options, 4, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    if (argc > 1)
        return cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (keys && schema)
        return cli_command_misuse(self, "--keys or --schema, not both");
    if (keys) {
        config_describe(json, stdout);
        return EX_OK;
    }
    if (schema) {
        print_schema();
        return EX_OK;
    }
    code = config_load(file, &config, &errs) ? EX_OK : EX_CONFIG;
    for (size_t i = 0; i < errs.count; i++)
        (void)fprintf(stderr, "%s\n", errs.text[i]);
    for (size_t i = 0; i < errs.warning_count; i++)
        (void)fprintf(stderr, "warning: %s\n", errs.warning[i]);
    for (size_t i = 0; i < errs.note_count; i++)
        (void)fprintf(stderr, "note: %s\n", errs.note[i]);
    config_errors_done(&errs);
    if (config && !server_tls_check(config, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        code = EX_CONFIG;
    }
    if (config)
        config_print(config, json, stdout);
    return code;
}
