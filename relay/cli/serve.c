#include "relay/admin/api.h"
#include "relay/cli/commands.h"
#include "relay/cli/option.h"

int
cli_serve(const struct cli_command *self, int argc, char **argv)
{
    const char *file = NULL;
    const struct cli_option options[] = {
        {.name = "config", .letter = 'c', .value = &file}};
    int code = cli_option_parse(self, options, 1, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    if (argc > 1)
        return cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    return serve_run(file, &admin_api);
}
