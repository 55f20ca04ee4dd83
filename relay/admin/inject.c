/*
 * POST /v1/messages: a message/rfc822 body, its envelope in X-Envelope-From
 * and X-Envelope-To (several, by commas).  Answered 202 once it is durable.
 */
#include "policy/access.h"
#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"
#include "relay/daemon/intake.h"
#include "relay/net/timer.h"

#include <stdlib.h>
#include <strings.h>

struct inject {
    struct task task;
    struct relay *relay;
    struct worker *worker;
    struct net_http_request *request;
    struct mail_envelope envelope;
    struct mail_address from;
    struct buf body; /* CRLF lines */
    struct mail_status status;
};

/* --- reading the request, on the main thread --- */

/* Lines that end in LF alone become lines. */
static void
add_lines(struct slice in, struct buf *out)
{
    while (in.len > 0) {
        const char *lf = memchr(in.p, '\n', in.len);
        size_t len = lf ? (size_t)(lf - in.p) : in.len;
        struct slice line = slice_first(in, len);

        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        buf_add(out, line);
        buf_add_text(out, "\r\n");
        in = slice_from(in, len + (lf != NULL));
    }
}

static struct slice
without_brackets(struct slice s)
{
    s = slice_trim(s);
    if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
        return (struct slice){s.p + 1, s.len - 2};
    return s;
}

static bool
add_rcpt(struct inject *x, struct slice text, struct err *err)
{
    struct mail_address to;
    struct mail_rcpt *rcpt;

    if (!mail_address_parse(without_brackets(text), true, &to, err))
        return err_in(err, "X-Envelope-To");
    rcpt = mail_envelope_add(&x->envelope);
    rcpt->address = mem_text(to.text);
    rcpt->domain =
        mem_text(to.is_literal ? to.text + to.at + 1 : to.domain.text);
    x->envelope.smtputf8 |= !to.is_ascii;
    return true;
}

static bool
read_envelope(struct inject *x, struct err *err)
{
    const char *from = net_http_header(x->request, "X-Envelope-From");
    const char *to = net_http_header(x->request, "X-Envelope-To");
    struct slice rest = slice_of(to ? to : "");
    struct slice text = without_brackets(slice_of(from ? from : ""));

    if (!from || !to)
        return err_set(err, ERR_INPUT, "%s is missing",
                       from ? "X-Envelope-To" : "X-Envelope-From");
    if (text.len > 0 && !mail_address_parse(text, true, &x->from, err))
        return err_in(err, "X-Envelope-From");
    x->envelope.from = mem_text(x->from.text);
    x->envelope.smtputf8 = text.len > 0 && !x->from.is_ascii;
    while (rest.len > 0)
        if (!add_rcpt(x, slice_cut(&rest, ','), err))
            return false;
    return x->envelope.rcpt_count > 0 ||
           err_set(err, ERR_INPUT, "X-Envelope-To names nobody");
}

static bool
read_request(struct inject *x, struct err *err)
{
    const char *type = net_http_header(x->request, "Content-Type");
    struct slice body = net_http_body(x->request);

    if (!type || strncasecmp(type, "message/rfc822", 14) != 0)
        return err_set(err, ERR_INPUT, "Content-Type: message/rfc822 only");
    if (body.len == 0 || memchr(body.p, '\0', body.len))
        return err_set(err, ERR_INPUT, "the message is %s",
                       body.len == 0 ? "empty" : "no text: it has a NUL");
    if (!read_envelope(x, err))
        return false;
    add_lines(body, &x->body);
    return true;
}

/* --- on the way --- */

static void
free_inject(struct inject *x)
{
    mail_envelope_done(&x->envelope);
    buf_free(&x->body);
    free(x);
}

static int
http_status(const struct mail_status *s)
{
    if (mail_status_is_success(s))
        return 202;
    return mail_status_is_transient(s) ? 503 : 403;
}

static void
come_home(struct task *task)
{
    struct inject *x = own_container(task, struct inject, task);
    const char *id = strrchr(x->status.text, ' ');
    int status = http_status(&x->status);

    if (status == 202)
        admin_answer_json(x->request, status,
                          json_pack("{s:o}", "id", admin_text(id + 1)));
    else
        admin_answer_error(x->request, status, x->status.text);
    free_inject(x);
}

static void
stored(void *ctx, const struct mail_status *status)
{
    struct inject *x = ctx;

    x->status = *status;
    x->task.run = come_home;
    task_post(&x->relay->inbox, &x->task);
}

static bool
may_send(const struct inject *x, struct mail_status *why)
{
    const struct config *c = x->worker->config;
    struct addr local = {.any.sa_family = AF_UNSPEC};
    struct policy_access_client client = {.peer = &local};
    struct policy_access_rules rules = {
        .sender_domains = c->access.sender_domains.text,
        .sender_domain_count = c->access.sender_domains.count,
        .recipient_domains = c->access.recipient_domains.text,
        .recipient_domain_count = c->access.recipient_domains.count,
    };

    if (x->worker->is_stopping || !atomic_load(&x->relay->store_is_healthy)) {
        mail_status_set(why, 451, "4.3.2", "the relay takes no mail now");
        return false;
    }
    if (x->envelope.rcpt_count > c->access.rcpt_max) {
        mail_status_set(why, 550, "5.5.3", "too many recipients");
        return false;
    }
    for (size_t i = 0; i < x->envelope.rcpt_count; i++) {
        struct mail_address to;
        struct err err;

        if (!mail_address_parse(slice_of(x->envelope.rcpt[i].address), true,
                                &to, &err) ||
            !policy_access(&rules, &client, &x->from, &to, why))
            return false;
    }
    return true;
}

/* On the worker.  The body is no larger than a request's may be, so there is
 * always space for it. */
static void
arrived(struct task *task)
{
    struct inject *x = own_container(task, struct inject, task);
    struct intake_client client = {
        .source = "http", .helo = "api", .is_esmtp = true};
    struct mail_status status = {0};
    struct intake *intake;

    mail_status_set(&status, 550, "5.7.1", "refused");
    if (!may_send(x, &status)) {
        stored(x, &status);
        return;
    }
    intake = intake_new(x->worker, &client, &x->envelope);
    intake_body(intake, buf_slice(&x->body));
    intake_end(intake, &x->envelope, stored, x);
}

void
admin_inject(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct inject *x = mem_new(struct inject);
    struct err err;

    (void)name;
    x->relay = relay;
    x->request = r;
    if (!read_request(x, &err)) {
        free_inject(x);
        admin_answer_failure(r, &err);
        return;
    }
    x->worker =
        relay->workers[(size_t)net_clock_steady() % relay->worker_count];
    x->task.run = arrived;
    worker_post(x->worker, &x->task);
}
