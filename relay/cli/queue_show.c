/* queue show and cat: one message. */
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
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
