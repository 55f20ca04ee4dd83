#include "relay/cli/offline.h"

#include "relay/admin/routes.h"
#include "relay/admin/view.h"
#include "relay/base/id.h"
#include "relay/base/mem.h"
#include "relay/cli/term.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static bool
lock(const char *directory, int *out, struct err *err)
{
    char *path scoped(own_free) = mem_printf("%s/queue.lock", directory);
    int fd scoped(own_close) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_MISSING, "and there is no queue in %s",
                       directory);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        return err_set(err, ERR_SYSTEM,
                       "but one holds %s: is control.socket another in its "
                       "configuration?",
                       directory);
    *out = fd;
    fd = -1;
    return true;
}

bool
cli_offline_open(const char *directory, int *lock_fd,
                 struct queue_store **store, struct err *err)
{
    if (!lock(directory, lock_fd, err))
        return false;
    *store = queue_store_open_read(directory, err);
    return *store != NULL;
}

bool
cli_offline_queue(struct queue_store *s, const struct cli_filter *f,
                  const char *cursor, json_t **out, struct err *err)
{
    struct admin_filter filter scoped(admin_filter_done) = {0};
    struct queue_cursor from;

    return cli_filter_fill(f, &filter, cli_now_ms(), err) &&
           admin_cursor_parse(cursor, &from, err) &&
           admin_view_queue(s, &filter.queue, &from, out, err);
}

static bool
parse_id(const char *text, uint64_t *id, struct err *err)
{
    return id_parse(slice_of(text), id) ||
           err_set(err, ERR_INPUT, "\"%s\" is no queue id", text);
}

static bool
look_report(struct queue_store *s, const char *text, json_t **out,
            struct err *err)
{
    struct slice domain = slice_of(text);
    char *day scoped(own_free) = mem_copy(slice_cut(&domain, ' '));
    char *name scoped(own_free) = mem_copy(domain);
    char *key scoped(own_free) = admin_report_key(day, name, err);

    return key && admin_view_report(s, key, out, err);
}

bool
cli_offline_look(struct queue_store *s, enum cli_look what, const char *key,
                 json_t **out, struct err *err)
{
    struct mail_domain domain;
    uint64_t id;

    switch (what) {
    case CLI_LOOK_MESSAGE:
        return parse_id(key, &id, err) && admin_view_message(s, id, out, err);
    case CLI_LOOK_TRACE:
        return parse_id(key, &id, err) && admin_view_trace(s, id, out, err);
    case CLI_LOOK_POLICIES:
        return admin_view_policies(s, key, out, err);
    case CLI_LOOK_POLICY:
        return admin_domain(key, &domain, err) &&
               admin_view_policy(s, domain.text, out, err);
    case CLI_LOOK_REPORTS:
        return admin_view_reports(s, key, out, err);
    case CLI_LOOK_REPORT:
        return look_report(s, key, out, err);
    }
    return false;
}

bool
cli_offline_piece(struct queue_store *s, const char *text, unsigned sequence,
                  struct buf *out, struct err *err)
{
    uint64_t id;

    return parse_id(text, &id, err) &&
           queue_store_read(s, id, sequence, out, err);
}
