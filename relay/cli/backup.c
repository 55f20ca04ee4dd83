/* backup and restore. */
#include "queue/store_backup.h"
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/file_copy.h"
#include "relay/cli/offline.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"
#include "relay/daemon/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static bool
exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* --- backup --- */

/* The relay makes the copy beside the queue, which is where it may write. */
static int
from_relay(struct cli_target *t, const char *to)
{
    json_t *answer = NULL;
    struct err err;
    int code = cli_target_call(t, "POST", "/v1/backup", NULL, &answer);

    if (code == EX_OK && !cli_file_move(cli_text(answer, "file"), to, &err))
        code = cli_fail(EX_CANTCREAT, "%s", err.text);
    json_decref(answer);
    return code;
}

static bool
copy_store(struct queue_store *s, const char *to, struct err *err)
{
    char *part scoped(own_free) = mem_printf("%s.part", to);
    bool end = false;

    if (!queue_store_backup_start(s, part, err))
        return false;
    while (!end)
        if (!queue_store_backup_step(s, &end, err))
            return false;
    return cli_file_move(part, to, err);
}

static int
back_up(struct cli_target *t, const char *to)
{
    struct err err;
    int code;

    if (exists(to))
        return cli_fail(EX_CANTCREAT, "%s: is there already", to);
    code = cli_target_choose(t);
    if (code != EX_OK)
        return code;
    if (!t->store)
        code = from_relay(t, to);
    else if (!copy_store(t->store, to, &err))
        code = cli_fail(EX_CANTCREAT, "%s", err.text);
    if (code == EX_OK)
        printf("the queue is in %s\n", to);
    return code;
}

int
cli_backup(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target)};
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one file, please");
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = back_up(&target, argv[1]);
    cli_target_close(&target);
    return code;
}

/* --- restore --- */

/* A file and its log belong together: after a power cut a log of before must
 * not lie beside another file. */
static bool
put_aside(const char *queue, struct err *err)
{
    static const char *const ends[] = {"-wal", ""};

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        char *from scoped(own_free) = mem_printf("%s%s", queue, ends[i]);
        char *to scoped(own_free) = mem_printf("%s.before%s", queue, ends[i]);

        (void)unlink(to);
        if (exists(from) && !cli_file_move(from, to, err))
            return false;
    }
    return true;
}

/* What root restores is the relay's all the same. */
static bool
give(const char *path, const struct stat *owner, struct err *err)
{
    return geteuid() != 0 || lchown(path, owner->st_uid, owner->st_gid) == 0 ||
           err_errno(err, "%s", path);
}

static bool
restore(const char *file, const char *directory, struct err *err)
{
    char *queue scoped(own_free) = mem_printf("%s/queue.db", directory);
    char *draft scoped(own_free) = mem_printf("%s/queue.restore", directory);
    char *lock scoped(own_free) = mem_printf("%s/queue.lock", directory);
    struct stat owner;

    if (stat(directory, &owner) != 0)
        return err_errno(err, "%s", directory);
    if (!cli_file_copy(file, draft, err))
        return false;
    if (!queue_store_backup_check(draft, err) || !give(draft, &owner, err) ||
        !give(lock, &owner, err) || !put_aside(queue, err)) {
        (void)unlink(draft);
        return err_in(err, "%s", file);
    }
    return cli_file_move(draft, queue, err);
}

static int
restore_into(const char *file, const char *directory, bool force)
{
    char *queue scoped(own_free) = mem_printf("%s/queue.db", directory);
    char *wal scoped(own_free) = mem_printf("%s/queue.db-wal", directory);
    int lock_fd scoped(own_close) = -1;
    struct err err;

    if (access(file, R_OK) != 0)
        return cli_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
    if (!lock_take(directory, &lock_fd, &err))
        return cli_fail(EX_UNAVAILABLE, "%s", err.text);
    if (!force && (exists(queue) || exists(wal)))
        return cli_fail(EX_CANTCREAT,
                        "%s: there is a queue already; --force puts it aside "
                        "as queue.db.before",
                        directory);
    if (!restore(file, directory, &err))
        return cli_fail(err.kind == ERR_INPUT ? EX_DATAERR : EX_CANTCREAT, "%s",
                        err.text);
    printf("the queue of %s is in %s; start the relay\n", file, directory);
    return EX_OK;
}

int
cli_restore(const struct cli_command *self, int argc, char **argv)
{
    struct config *c scoped(config_free) = NULL;
    struct config_errors errs = {0};
    const char *file = NULL;
    bool force = false;
    const struct cli_option options[] = {
        {.name = "config", .letter = 'c', .value = &file},
        {.name = "force", .flag = &force}};
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one file, please");
    if (code != CLI_GO_ON)
        return code;
    code = config_load(file, &c, &errs) ? EX_OK : EX_CONFIG;
    for (size_t i = 0; i < errs.count; i++)
        (void)fprintf(stderr, "%s\n", errs.text[i]);
    config_errors_done(&errs);
    if (code != EX_OK)
        return code;
    return restore_into(argv[1], c->state_directory, force);
}
