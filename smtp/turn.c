#include "smtp/turn.h"

#include "relay/mail/status.h"
#include "smtp/request.h"

#include <assert.h>

void
smtp_turn_owe(struct smtp_client *c, enum smtp_turn_step step)
{
    struct smtp_turn_debts *d = &c->owed;

    if (d->runs_count == 0 || d->runs[d->runs_count - 1].step != step) {
        assert(d->runs_count < sizeof(d->runs) / sizeof(d->runs[0]));
        d->runs[d->runs_count].step = step;
        d->runs[d->runs_count++].count = 0;
    }
    d->runs[d->runs_count - 1].count++;
    d->total++;
}

static enum smtp_turn_step
settle(struct smtp_client *c)
{
    struct smtp_turn_debts *d = &c->owed;
    enum smtp_turn_step step = d->runs[0].step;

    assert(d->total > 0);
    d->total--;
    if (--d->runs[0].count == 0) {
        d->runs_count--;
        memmove(d->runs, d->runs + 1, d->runs_count * sizeof(d->runs[0]));
    }
    return step;
}

bool
smtp_turn_owes_only(const struct smtp_client *c, enum smtp_turn_step step)
{
    return c->owed.total == 1 && c->owed.runs[0].step == step;
}

struct smtp_client_event *
smtp_turn_say(struct smtp_client *c, enum smtp_client_event_kind kind)
{
    struct smtp_client_event *ev = &c->events[c->event_count++];

    assert(c->event_count <= sizeof(c->events) / sizeof(c->events[0]));
    *ev = (struct smtp_client_event){.kind = kind};
    return ev;
}

enum smtp_turn
smtp_turn_ask(struct smtp_client *c, enum smtp_client_event_kind kind)
{
    smtp_turn_say(c, kind);
    c->asked = kind;
    return SMTP_TURN_DRIVER;
}

enum smtp_turn
smtp_turn_give_up(struct smtp_client *c, enum smtp_client_end end)
{
    struct smtp_client_event *ev = smtp_turn_say(c, SMTP_CLIENT_OVER);

    c->owed = (struct smtp_turn_debts){0};
    c->in_body = false;
    ev->end = end;
    ev->err = end == SMTP_CLIENT_END_QUIT ? NULL : &c->err;
    return SMTP_TURN_NOBODY;
}

static bool
is_ok(const struct smtp_reply *r)
{
    return r->code / 100 == 2;
}

static bool
is_refusal(const struct smtp_reply *r)
{
    return r->code / 100 == 4 || r->code / 100 == 5;
}

/* What a handler is given. */
struct answer {
    const char *command;
    const struct smtp_reply *reply;
};

static enum smtp_turn
give_up_on(struct smtp_client *c, const struct answer *a,
           enum smtp_client_end end)
{
    struct mail_status status;
    enum smtp_turn turn;

    mail_status_from_reply(&status, a->reply->code,
                           (struct slice){a->reply->text, a->reply->len});
    err_set(&c->err, ERR_INPUT, "%s: %d %.150s", a->command, status.code,
            status.text);
    turn = smtp_turn_give_up(c, end);
    if (is_refusal(a->reply)) {
        c->events[c->event_count - 1].reply = a->reply;
        c->events[c->event_count - 1].command = a->command;
    }
    return turn;
}

/* A reply that this command can't have. */
static enum smtp_turn
broken(struct smtp_client *c, const struct answer *a)
{
    return give_up_on(c, a, SMTP_CLIENT_END_PROTOCOL);
}

static enum smtp_turn
refused_or_broken(struct smtp_client *c, const struct answer *a)
{
    return give_up_on(c, a,
                      is_refusal(a->reply) ? SMTP_CLIENT_END_REFUSED
                                           : SMTP_CLIENT_END_PROTOCOL);
}

enum smtp_turn
smtp_turn_command(struct smtp_client *c, enum smtp_turn_step step,
                  const char *verb, const char *parameter)
{
    buf_printf(&c->out, "%s%s\r\n", verb, parameter);
    smtp_turn_owe(c, step);
    return SMTP_TURN_PEER;
}

static enum smtp_turn
on_greeting(struct smtp_client *c, const struct answer *a)
{
    if (a->reply->code != 220)
        return refused_or_broken(c, a);
    return smtp_turn_command(c, SMTP_STEP_EHLO, "EHLO ", c->our_name);
}

static enum smtp_turn
no_starttls(struct smtp_client *c, const char *why)
{
    err_set(&c->err, ERR_TLS, "%s", why);
    return smtp_turn_give_up(c, SMTP_CLIENT_END_NO_STARTTLS);
}

bool
smtp_turn_is_tls_missing(const struct smtp_client *c)
{
    return c->tls == SMTP_CLIENT_TLS_REQUIRED && !c->has_tls;
}

/* A server without EHLO: RFC 5321 section 3.2 asks for HELO then. */
static enum smtp_turn
on_ehlo_refused(struct smtp_client *c, const struct answer *a)
{
    if (!smtp_turn_is_tls_missing(c))
        return smtp_turn_command(c, SMTP_STEP_HELO, "HELO ", c->our_name);
    if (a->reply->code <= 504) /* the command is unknown, not we */
        return give_up_on(c, a, SMTP_CLIENT_END_NO_STARTTLS);
    return give_up_on(c, a, SMTP_CLIENT_END_REFUSED);
}

static enum smtp_turn
on_ehlo(struct smtp_client *c, const struct answer *a)
{
    if (a->reply->code / 100 == 5)
        return on_ehlo_refused(c, a);
    if (a->reply->code != 250)
        return refused_or_broken(c, a);

    smtp_capability_parse((struct slice){a->reply->text, a->reply->len},
                          &c->capability);
    if (c->has_tls || c->tls == SMTP_CLIENT_TLS_NEVER)
        return smtp_turn_be_ready(c);
    if (c->capability.starttls)
        return smtp_turn_command(c, SMTP_STEP_STARTTLS, "STARTTLS", "");
    if (c->tls == SMTP_CLIENT_TLS_REQUIRED)
        return no_starttls(c, "the server does not offer STARTTLS");
    return smtp_turn_be_ready(c);
}

static enum smtp_turn
on_helo(struct smtp_client *c, const struct answer *a)
{
    struct slice text = {a->reply->text, a->reply->len};

    if (a->reply->code != 250)
        return refused_or_broken(c, a);
    /* The name, but no keywords: only a reply to EHLO offers anything. */
    smtp_capability_parse(slice_cut(&text, '\n'), &c->capability);
    return smtp_turn_be_ready(c);
}

static enum smtp_turn
on_starttls(struct smtp_client *c, const struct answer *a)
{
    if (a->reply->code == 220)
        return smtp_turn_ask(c, SMTP_CLIENT_START_TLS);
    if (!is_refusal(a->reply))
        return broken(c, a);
    if (smtp_turn_is_tls_missing(c))
        return give_up_on(c, a, SMTP_CLIENT_END_NO_STARTTLS);
    return smtp_turn_be_ready(c);
}

static enum smtp_turn
on_auth(struct smtp_client *c, const struct answer *a)
{
    return smtp_turn_auth_reply(c, a->reply);
}

enum smtp_turn
smtp_turn_send_rcpt(struct smtp_client *c)
{
    size_t rcpt = c->mail.rcpt[c->rcpt_sent++];

    smtp_request_add_rcpt(&c->capability, &c->mail.envelope->rcpt[rcpt],
                          &c->out);
    smtp_turn_owe(c, SMTP_STEP_RCPT);
    return SMTP_TURN_PEER;
}

/* The next step of a transaction, once all that was sent is answered. */
static enum smtp_turn
go_on(struct smtp_client *c)
{
    if (c->owed.total > 0)
        return SMTP_TURN_PEER;
    if (c->is_settled)
        return smtp_turn_command(c, SMTP_STEP_RSET, "RSET", "");
    if (c->rcpt_sent < c->mail.rcpt_count)
        return smtp_turn_send_rcpt(c);
    if (c->rcpt_accepted == 0)
        return smtp_turn_command(c, SMTP_STEP_RSET, "RSET", "");
    if (!c->by_bdat)
        return smtp_turn_command(c, SMTP_STEP_DATA, "DATA", "");
    c->in_body = true;
    return smtp_turn_ask(c, SMTP_CLIENT_BODY);
}

/* The last word on the message.  When nobody is left to hear it, each having
 * had a refusal of their own, it is not said. */
static void
say_verdict(struct smtp_client *c, const struct answer *a, bool is_heard)
{
    if (is_heard && !c->is_settled) {
        struct smtp_client_event *ev = smtp_turn_say(c, SMTP_CLIENT_VERDICT);

        ev->reply = a->reply;
        ev->command = a->command;
    }
    c->is_settled = true;
    c->in_body = false;
}

static enum smtp_turn
on_mail(struct smtp_client *c, const struct answer *a)
{
    if (is_refusal(a->reply))
        say_verdict(c, a, true);
    else if (!is_ok(a->reply))
        return broken(c, a);
    return go_on(c);
}

static enum smtp_turn
on_rcpt(struct smtp_client *c, const struct answer *a)
{
    size_t rcpt = c->rcpt_answered++;

    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    c->rcpt_accepted += is_ok(a->reply);
    if (!c->is_settled) {
        struct smtp_client_event *ev = smtp_turn_say(c, SMTP_CLIENT_RCPT);

        ev->rcpt = rcpt;
        ev->reply = a->reply;
        ev->command = a->command;
    }
    return go_on(c);
}

static enum smtp_turn
on_data(struct smtp_client *c, const struct answer *a)
{
    if (is_refusal(a->reply)) {
        say_verdict(c, a, c->rcpt_accepted > 0);
        return go_on(c);
    }
    if (a->reply->code != 354)
        return broken(c, a);
    if (c->rcpt_accepted == 0) /* RFC 2920 section 3.1 */
        return smtp_turn_command(c, SMTP_STEP_NOBODY, ".", "");
    /* Recipients without a sender: a dot now would mail them nothing. */
    if (c->is_settled)
        return broken(c, a);
    c->in_body = true;
    return smtp_turn_ask(c, SMTP_CLIENT_BODY);
}

static enum smtp_turn
on_nobody(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    return smtp_turn_ask(c, SMTP_CLIENT_READY);
}

static enum smtp_turn
on_dot(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    c->in_doubt = false;
    say_verdict(c, a, true);
    return smtp_turn_ask(c, SMTP_CLIENT_READY);
}

static enum smtp_turn
on_bdat(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    if (is_refusal(a->reply))
        say_verdict(c, a, true);
    if (c->in_body)
        return SMTP_TURN_DRIVER;
    return go_on(c);
}

static enum smtp_turn
on_last(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    c->in_doubt = false;
    if (c->is_settled || is_refusal(a->reply)) {
        /* What failed by BDAT needs RSET: RFC 3030 section 2 */
        say_verdict(c, a, true);
        return go_on(c);
    }
    say_verdict(c, a, true);
    return smtp_turn_ask(c, SMTP_CLIENT_READY);
}

static enum smtp_turn
on_rset(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply))
        return broken(c, a);
    return smtp_turn_ask(c, SMTP_CLIENT_READY);
}

/* Whatever it says, we are leaving. */
static enum smtp_turn
on_quit(struct smtp_client *c, const struct answer *a)
{
    (void)a;
    return smtp_turn_give_up(c, SMTP_CLIENT_END_QUIT);
}

typedef enum smtp_turn on_reply_fn(struct smtp_client *c,
                                   const struct answer *a);

/* Time limits: RFC 5321 section 4.5.3.2. */
static const struct {
    const char *name;
    on_reply_fn *on_reply;
    unsigned wait_s;
} steps[] = {
    [SMTP_STEP_GREETING] = {"greeting", on_greeting, 300},
    [SMTP_STEP_EHLO] = {"EHLO", on_ehlo, 300},
    [SMTP_STEP_HELO] = {"HELO", on_helo, 300},
    [SMTP_STEP_STARTTLS] = {"STARTTLS", on_starttls, 120},
    [SMTP_STEP_AUTH] = {"AUTH", on_auth, 120},
    [SMTP_STEP_MAIL] = {"MAIL", on_mail, 300},
    [SMTP_STEP_RCPT] = {"RCPT", on_rcpt, 300},
    [SMTP_STEP_DATA] = {"DATA", on_data, 120},
    [SMTP_STEP_NOBODY] = {"end of no data", on_nobody, 60},
    [SMTP_STEP_DOT] = {"end of data", on_dot, 600},
    [SMTP_STEP_BDAT] = {"BDAT", on_bdat, SMTP_TURN_BLOCK_S},
    [SMTP_STEP_LAST] = {"BDAT LAST", on_last, 600},
    [SMTP_STEP_RSET] = {"RSET", on_rset, 60},
    [SMTP_STEP_QUIT] = {"QUIT", on_quit, 2},
    [SMTP_STEP_UNASKED] = {"goodbye", broken, 10},
};

void
smtp_turn_reply(struct smtp_client *c, const struct smtp_reply *r)
{
    enum smtp_turn_step step = settle(c);
    struct answer answer = {steps[step].name, r};

    if (step == SMTP_STEP_AUTH && r->code != 334)
        answer.reply = smtp_turn_auth_scrub(c, r);

    if (step == SMTP_STEP_QUIT) {
        c->turn = on_quit(c, &answer);
    } else if (r->code == 421) { /* answers anything: RFC 5321 section 3.8 */
        c->in_doubt &= step != SMTP_STEP_DOT && step != SMTP_STEP_LAST;
        c->turn = give_up_on(c, &answer, SMTP_CLIENT_END_REFUSED);
    } else if (r->code == 221) { /* answers QUIT and nothing else */
        c->turn = broken(c, &answer);
    } else {
        c->turn = steps[step].on_reply(c, &answer);
    }
    c->turn_number++;

    /* A handler that forgot to move the session on is found here. */
    assert(c->turn != SMTP_TURN_PEER || c->owed.total > 0);
    assert(c->turn != SMTP_TURN_DRIVER || c->event_count > 0 || c->in_body);
}

const char *
smtp_turn_name(enum smtp_turn_step step)
{
    return steps[step].name;
}

unsigned
smtp_turn_wait_s(enum smtp_turn_step step)
{
    return steps[step].wait_s;
}
