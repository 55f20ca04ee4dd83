#include "relay/daemon/batch.h"

#include "policy/access.h"
#include "relay/base/mem.h"
#include "relay/daemon/intake.h"
#include "relay/daemon/maildrop_scan.h"
#include "relay/net/work.h"
#include "smtp/server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct batch {
    struct task task;
    struct worker *worker;
    struct batch *next, **at; /* of worker->batches */
    char *path;
    batch_fn *done;
    void *ctx;

    int fd; /* -1: not open, or with the piece that is being read */
    struct maildrop_file file;
    uint64_t offset; /* of what is read next */
    struct net_work *work;
    struct buf in; /* read and not used */
    size_t left;   /* of it, behind what is being used */
    struct smtp_server *smtp;
    struct mail_address from;
    struct intake *intake;
    char *who;          /* for people */
    bool waits, is_end; /* for the intake; the message is whole */
    bool over;          /* the result is known */
    struct batch_result result;
};

/* --- its end --- */

static void
finish(struct batch *b)
{
    *b->at = b->next;
    if (b->next)
        b->next->at = b->at;
    intake_abandon(&b->intake);
    net_work_cancel(&b->work);
    smtp_server_free(&b->smtp);
    own_close(&b->fd);
    buf_free(&b->in);
    own_free(&b->who);
    own_free(&b->path);
}

static void
come_home(struct task *task)
{
    struct batch *b = own_container(task, struct batch, task);

    b->done(b->ctx, &b->result);
    free(b);
}

static void
go_home(struct batch *b)
{
    finish(b);
    b->task.run = come_home;
    task_post(&b->worker->relay->inbox, &b->task);
}

static void
refuse(struct batch *b, int code, const char *enhanced, const char *why)
{
    if (!b->over)
        mail_status_set(&b->result.status, code, enhanced, "%s", why);
    b->over = true;
}

void
batch_cut(struct batch *b)
{
    refuse(b, 451, "4.3.2", "the relay stops");
    go_home(b);
}

/* --- what the session asks --- */

static bool
is_able(const struct batch *b, struct mail_status *why)
{
    const struct relay *relay = b->worker->relay;

    if (!b->worker->is_stopping && atomic_load(&relay->store_is_healthy) &&
        store_thread_has_room(relay->store))
        return true;
    mail_status_set(why, 452, "4.3.1", "the relay takes no mail now");
    return false;
}

/* `to` NULL: only the sender so far.  Who could write the file is local. */
static void
on_address(struct batch *b, const struct mail_address *to)
{
    const struct config *c = b->worker->config;
    struct addr local = {.any.sa_family = AF_UNSPEC};
    struct policy_access_client client = {.peer = &local};
    struct policy_access_rules rules = {
        .sender_domains = c->access.sender_domains.text,
        .sender_domain_count = c->access.sender_domains.count,
        .recipient_domains = c->access.recipient_domains.text,
        .recipient_domain_count = c->access.recipient_domains.count,
    };
    struct mail_status status = {0};

    if (is_able(b, &status) &&
        policy_access(&rules, &client, &b->from, to, &status))
        mail_status_set(&status, 250, "2.1.0", "ok");
    smtp_server_answer(b->smtp, &status);
}

static void
on_data(struct batch *b)
{
    struct intake_client client = {
        .source = "maildrop", .helo = b->who, .is_esmtp = true};
    struct mail_status status = {0};

    mail_status_set(&status, 250, "2.0.0", "go on");
    intake_abandon(&b->intake);
    b->intake = intake_new(b->worker, &client, smtp_server_envelope(b->smtp));
    smtp_server_answer(b->smtp, &status);
}

static void
stored(void *ctx, const struct mail_status *status)
{
    struct batch *b = ctx;

    b->intake = NULL;
    b->result.status = *status;
    go_home(b);
}

/* A second message behind the first would be lost with the file. */
static void
on_end(struct batch *b)
{
    if (b->left > 0 || b->offset < b->file.size)
        refuse(b, 554, "5.6.0", "something stands behind the message");
    else
        b->is_end = true;
}

static void
act_on(struct batch *b, const struct smtp_server_event *ev)
{
    switch (ev->kind) {
    case SMTP_SERVER_MAIL:
        b->from = *ev->address;
        on_address(b, NULL);
        break;
    case SMTP_SERVER_RCPT:
        on_address(b, ev->address);
        break;
    case SMTP_SERVER_DATA:
        on_data(b);
        break;
    case SMTP_SERVER_BODY:
        intake_body(b->intake, ev->body);
        break;
    case SMTP_SERVER_END:
        on_end(b);
        break;
    case SMTP_SERVER_DROP:
        intake_abandon(&b->intake);
        break;
    case SMTP_SERVER_START_TLS: /* never: they are not offered */
    case SMTP_SERVER_VERIFIER:
    case SMTP_SERVER_AUTH:
    case SMTP_SERVER_OVER:
        refuse(b, 554, "5.6.0", "it ends before its message");
        break;
    }
}

/* The first refusal is for the whole file. */
static void
read_replies(struct batch *b)
{
    struct buf *out = smtp_server_output(b->smtp);
    struct slice rest = buf_slice(out);

    while (rest.len > 0 && !b->over) {
        struct slice line = slice_cut(&rest, '\n');
        unsigned long long code;

        if (!slice_number(slice_first(line, 3), 599, &code) || code < 400)
            continue;
        mail_status_from_reply(&b->result.status, (int)code,
                               slice_trim(slice_from(line, 4)));
        b->over = true;
    }
    buf_clear(out);
}

static void
pump(struct batch *b)
{
    struct smtp_server_event ev;

    while (!b->over && !b->is_end && smtp_server_next(b->smtp, &ev))
        act_on(b, &ev);
    read_replies(b);
}

/* --- reading --- */

static void read_on(struct batch *b);

static void
intake_has_room(void *ctx)
{
    struct batch *b = ctx;

    b->waits = false;
    read_on(b);
}

/* A server takes no commands behind some of its own before it has replied: it
 * is given a line at a time, as if somebody had waited. */
static struct slice
next_part(const struct batch *b, size_t used)
{
    struct slice rest = slice_from(buf_slice(&b->in), used);
    const char *lf;

    if (smtp_server_is_in_body(b->smtp))
        return rest;
    lf = memchr(rest.p, '\n', rest.len);
    return lf ? slice_first(rest, (size_t)(lf - rest.p) + 1) : rest;
}

/* Until it is used up, or nothing more can be used now. */
static void
use(struct batch *b)
{
    size_t used = 0;

    while (used < b->in.len && !b->over && !b->is_end) {
        size_t n;

        if (b->intake && !intake_has_space(b->intake)) {
            b->waits = true;
            intake_wait(b->intake, intake_has_room, b);
            break;
        }
        n = smtp_server_feed(b->smtp, next_part(b, used));
        used += n;
        b->left = b->in.len - used;
        pump(b);
        if (n == 0)
            break;
    }
    buf_drop(&b->in, used);
}

static void
settle(struct batch *b)
{
    struct mail_envelope envelope = {0};

    if (b->over) {
        go_home(b);
    } else if (b->is_end) {
        smtp_server_take_envelope(b->smtp, &envelope);
        intake_end(b->intake, &envelope, stored, b);
    }
}

/* What a thread of the pool reads; the file is its own meanwhile. */
struct piece {
    struct net_work_load load;
    char *path;
    int fd;
    struct maildrop_file file;
    uint64_t offset;
    struct buf octets;
    bool failed;
    struct err err;
};

static void
read_piece(struct net_work_load *load)
{
    struct piece *p = own_container(load, struct piece, load);
    ssize_t n;

    if (p->fd < 0 && !maildrop_open(p->path, &p->fd, &p->file, &p->err)) {
        p->failed = true;
        return;
    }
    n = pread(p->fd, buf_room(&p->octets, BATCH_PIECE), BATCH_PIECE,
              (off_t)p->offset);
    if (n < 0)
        p->failed = !err_errno(&p->err, "%s", p->path);
    else
        p->octets.len += (size_t)n;
}

static void
drop_piece(struct net_work_load *load)
{
    struct piece *p = own_container(load, struct piece, load);

    own_close(&p->fd);
    own_free(&p->path);
    buf_free(&p->octets);
    free(p);
}

/* As many octets as the greatest message has, and its commands. */
static uint64_t
size_max(const struct config *c)
{
    return c->access.size_max +
           (c->access.rcpt_max + 4) * (uint64_t)SMTP_SERVER_COMMAND_MAX;
}

static void
begin_session(struct batch *b)
{
    const struct config *c = b->worker->config;
    const struct smtp_server_config config = {
        .hostname = c->hostname,
        .size_max = c->access.size_max,
        .rcpt_max = c->access.rcpt_max,
        .offer_requiretls = true,
        .is_private = true,
    };

    b->who = mem_printf("maildrop, user %u", (unsigned)b->file.owner);
    b->smtp = smtp_server_new(&config);
    smtp_server_greet(b->smtp, NULL);
    pump(b);
    if (b->file.size > size_max(c))
        refuse(b, 552, "5.3.4", "larger than a message may be");
}

static void
fail(struct batch *b, const struct err *err)
{
    if (err->kind == ERR_INPUT)
        refuse(b, 554, "5.6.0", err->text);
    else
        refuse(b, 451, "4.3.0", err->text);
    b->result.is_gone = err->kind == ERR_MISSING;
}

static void
piece_read(void *ctx, struct net_work_load *load)
{
    struct batch *b = ctx;
    struct piece *p = own_container(load, struct piece, load);

    b->fd = p->fd;
    p->fd = -1;
    b->file = p->file;
    b->result.owner = p->file.owner;
    if (p->failed) {
        fail(b, &p->err);
    } else {
        if (!b->smtp)
            begin_session(b);
        if (p->octets.len == 0)
            refuse(b, 554, "5.6.0", "it ends before its message");
        b->offset += p->octets.len;
        buf_add(&b->in, buf_slice(&p->octets));
        use(b);
    }
    read_on(b);
}

static void
read_more(struct batch *b)
{
    struct piece *p = mem_new(struct piece);

    p->load.run = read_piece;
    p->load.drop = drop_piece;
    p->path = mem_text(b->path);
    p->fd = b->fd;
    b->fd = -1;
    p->file = b->file;
    p->offset = b->offset;
    net_work_start(&b->work, &b->worker->loop, &p->load, piece_read, b);
}

static void
read_on(struct batch *b)
{
    if (b->in.len > 0 && !b->waits)
        use(b);
    if (b->waits)
        return;
    if (b->over || b->is_end)
        settle(b);
    else
        read_more(b);
}

/* --- birth --- */

static void
arrived(struct task *task)
{
    struct batch *b = own_container(task, struct batch, task);
    struct worker *w = b->worker;

    b->next = w->batches;
    b->at = &w->batches;
    if (b->next)
        b->next->at = &b->next;
    w->batches = b;
    if (w->is_stopping) {
        refuse(b, 451, "4.3.2", "the relay stops");
        settle(b);
        return;
    }
    read_more(b);
}

void
batch_start(struct worker *w, const char *path, batch_fn *done, void *ctx)
{
    struct batch *b = mem_new(struct batch);

    b->task.run = arrived;
    b->worker = w;
    b->path = mem_text(path);
    b->fd = -1;
    b->done = done;
    b->ctx = ctx;
    worker_post(w, &b->task);
}
