#include "smtp/client.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/mail/status.h"
#include "smtp/request.h"
#include "smtp/stuff.h"

#include <assert.h>
#include <stdlib.h>

enum {
    WAIT_BLOCK_S = 180,   /* RFC 5321 section 4.5.3.2.5 */
    WAIT_HANDSHAKE_S = 60 /* our own */
};

/* What a reply can be the answer to. */
enum step {
    STEP_GREETING,
    STEP_EHLO,
    STEP_HELO,
    STEP_STARTTLS,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_NOBODY, /* the dot that ends a message for nobody */
    STEP_DOT,
    STEP_BDAT,
    STEP_LAST, /* BDAT LAST */
    STEP_RSET,
    STEP_QUIT,
    STEP_UNASKED, /* nothing: the server has begun to say goodbye */
};

/* Who moves next.  Every handler must say. */
enum turn {
    TURN_PEER,   /* we are owed a reply */
    TURN_DRIVER, /* an event asks the driver to act */
    TURN_NOBODY, /* the session is over */
};

/* Commands sent and not yet answered, oldest first (RFC 2920), equal ones
 * behind each other as one: of a transaction these are MAIL, RCPT and DATA, or
 * BDAT and its LAST. */
struct debts {
    struct {
        enum step step;
        size_t count;
    } runs[4];
    size_t runs_count, total;
};

struct smtp_client {
    char *our_name;
    enum smtp_client_tls tls;
    bool has_tls;
    struct smtp_capability capability;

    enum turn turn;
    unsigned turn_number;
    struct debts owed;
    enum smtp_client_event_kind asked; /* of the driver, while it is its turn */

    struct smtp_client_mail mail;
    bool by_bdat;
    bool is_settled; /* VERDICT is said: what follows is moot */
    bool in_body;    /* between BODY and body_end */
    bool in_doubt;
    size_t rcpt_sent, rcpt_answered, rcpt_accepted;
    struct smtp_stuff stuff;
    struct buf piece; /* of a body by BDAT, not sent: it may be the last */

    struct smtp_reply_reader in;
    struct smtp_reply *ours; /* or NULL */
    struct buf out;
    struct smtp_client_event events[2]; /* no call causes more */
    size_t event_first, event_count;
    struct err err;
};

static void
owe(struct smtp_client *c, enum step step)
{
    struct debts *d = &c->owed;

    if (d->runs_count == 0 || d->runs[d->runs_count - 1].step != step) {
        assert(d->runs_count < sizeof(d->runs) / sizeof(d->runs[0]));
        d->runs[d->runs_count].step = step;
        d->runs[d->runs_count++].count = 0;
    }
    d->runs[d->runs_count - 1].count++;
    d->total++;
}

static enum step
settle(struct smtp_client *c)
{
    struct debts *d = &c->owed;
    enum step step = d->runs[0].step;

    assert(d->total > 0);
    d->total--;
    if (--d->runs[0].count == 0) {
        d->runs_count--;
        memmove(d->runs, d->runs + 1, d->runs_count * sizeof(d->runs[0]));
    }
    return step;
}

static bool
owes_only(const struct smtp_client *c, enum step step)
{
    return c->owed.total == 1 && c->owed.runs[0].step == step;
}

static struct smtp_client_event *
say(struct smtp_client *c, enum smtp_client_event_kind kind)
{
    struct smtp_client_event *ev = &c->events[c->event_count++];

    assert(c->event_count <= sizeof(c->events) / sizeof(c->events[0]));
    *ev = (struct smtp_client_event){.kind = kind};
    return ev;
}

static enum turn
ask(struct smtp_client *c, enum smtp_client_event_kind kind)
{
    say(c, kind);
    c->asked = kind;
    return TURN_DRIVER;
}

static enum turn
give_up(struct smtp_client *c, enum smtp_client_end end)
{
    struct smtp_client_event *ev = say(c, SMTP_CLIENT_OVER);

    c->owed = (struct debts){0};
    c->in_body = false;
    ev->end = end;
    ev->err = end == SMTP_CLIENT_END_QUIT ? NULL : &c->err;
    return TURN_NOBODY;
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

static enum turn
give_up_on(struct smtp_client *c, const struct answer *a,
           enum smtp_client_end end)
{
    struct mail_status status;
    enum turn turn;

    mail_status_from_reply(&status, a->reply->code,
                           (struct slice){a->reply->text, a->reply->len});
    err_set(&c->err, ERR_INPUT, "%s: %d %.150s", a->command, status.code,
            status.text);
    turn = give_up(c, end);
    if (is_refusal(a->reply)) {
        c->events[c->event_count - 1].reply = a->reply;
        c->events[c->event_count - 1].command = a->command;
    }
    return turn;
}

/* A reply that this command can't have. */
static enum turn
broken(struct smtp_client *c, const struct answer *a)
{
    return give_up_on(c, a, SMTP_CLIENT_END_PROTOCOL);
}

static enum turn
refused_or_broken(struct smtp_client *c, const struct answer *a)
{
    return give_up_on(c, a,
                      is_refusal(a->reply) ? SMTP_CLIENT_END_REFUSED
                                           : SMTP_CLIENT_END_PROTOCOL);
}

static enum turn
command(struct smtp_client *c, enum step step, const char *verb,
        const char *parameter)
{
    buf_printf(&c->out, "%s%s\r\n", verb, parameter);
    owe(c, step);
    return TURN_PEER;
}

static enum turn
on_greeting(struct smtp_client *c, const struct answer *a)
{
    if (a->reply->code != 220)
        return refused_or_broken(c, a);
    return command(c, STEP_EHLO, "EHLO ", c->our_name);
}

static enum turn
no_starttls(struct smtp_client *c, const char *why)
{
    err_set(&c->err, ERR_TLS, "%s", why);
    return give_up(c, SMTP_CLIENT_END_NO_STARTTLS);
}

static bool
is_tls_missing(const struct smtp_client *c)
{
    return c->tls == SMTP_CLIENT_TLS_REQUIRED && !c->has_tls;
}

/* A server without EHLO: RFC 5321 section 3.2 asks for HELO then. */
static enum turn
on_ehlo_refused(struct smtp_client *c, const struct answer *a)
{
    if (!is_tls_missing(c))
        return command(c, STEP_HELO, "HELO ", c->our_name);
    if (a->reply->code <= 504) /* the command is unknown, not we */
        return give_up_on(c, a, SMTP_CLIENT_END_NO_STARTTLS);
    return give_up_on(c, a, SMTP_CLIENT_END_REFUSED);
}

static enum turn
on_ehlo(struct smtp_client *c, const struct answer *a)
{
    if (a->reply->code / 100 == 5)
        return on_ehlo_refused(c, a);
    if (a->reply->code != 250)
        return refused_or_broken(c, a);

    smtp_capability_parse((struct slice){a->reply->text, a->reply->len},
                          &c->capability);
    if (c->has_tls || c->tls == SMTP_CLIENT_TLS_NEVER)
        return ask(c, SMTP_CLIENT_READY);
    if (c->capability.starttls)
        return command(c, STEP_STARTTLS, "STARTTLS", "");
    if (c->tls == SMTP_CLIENT_TLS_REQUIRED)
        return no_starttls(c, "the server does not offer STARTTLS");
    return ask(c, SMTP_CLIENT_READY);
}

static enum turn
on_helo(struct smtp_client *c, const struct answer *a)
{
    struct slice text = {a->reply->text, a->reply->len};

    if (a->reply->code != 250)
        return refused_or_broken(c, a);
    /* The name, but no keywords: only a reply to EHLO offers anything. */
    smtp_capability_parse(slice_cut(&text, '\n'), &c->capability);
    return ask(c, SMTP_CLIENT_READY);
}

static enum turn
on_starttls(struct smtp_client *c, const struct answer *a)
{
    if (a->reply->code == 220)
        return ask(c, SMTP_CLIENT_START_TLS);
    if (!is_refusal(a->reply))
        return broken(c, a);
    if (is_tls_missing(c))
        return give_up_on(c, a, SMTP_CLIENT_END_NO_STARTTLS);
    return ask(c, SMTP_CLIENT_READY);
}

static enum turn
send_rcpt(struct smtp_client *c)
{
    size_t rcpt = c->mail.rcpt[c->rcpt_sent++];

    smtp_request_add_rcpt(&c->capability, &c->mail.envelope->rcpt[rcpt],
                          &c->out);
    owe(c, STEP_RCPT);
    return TURN_PEER;
}

/* The next step of a transaction, once all that was sent is answered. */
static enum turn
go_on(struct smtp_client *c)
{
    if (c->owed.total > 0)
        return TURN_PEER;
    if (c->is_settled)
        return command(c, STEP_RSET, "RSET", "");
    if (c->rcpt_sent < c->mail.rcpt_count)
        return send_rcpt(c);
    if (c->rcpt_accepted == 0)
        return command(c, STEP_RSET, "RSET", "");
    if (!c->by_bdat)
        return command(c, STEP_DATA, "DATA", "");
    c->in_body = true;
    return ask(c, SMTP_CLIENT_BODY);
}

/* The last word on the message.  When nobody is left to hear it, each having
 * had a refusal of their own, it is not said. */
static void
say_verdict(struct smtp_client *c, const struct answer *a, bool is_heard)
{
    if (is_heard && !c->is_settled) {
        struct smtp_client_event *ev = say(c, SMTP_CLIENT_VERDICT);

        ev->reply = a->reply;
        ev->command = a->command;
    }
    c->is_settled = true;
    c->in_body = false;
}

static enum turn
on_mail(struct smtp_client *c, const struct answer *a)
{
    if (is_refusal(a->reply))
        say_verdict(c, a, true);
    else if (!is_ok(a->reply))
        return broken(c, a);
    return go_on(c);
}

static enum turn
on_rcpt(struct smtp_client *c, const struct answer *a)
{
    size_t rcpt = c->rcpt_answered++;

    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    c->rcpt_accepted += is_ok(a->reply);
    if (!c->is_settled) {
        struct smtp_client_event *ev = say(c, SMTP_CLIENT_RCPT);

        ev->rcpt = rcpt;
        ev->reply = a->reply;
        ev->command = a->command;
    }
    return go_on(c);
}

static enum turn
on_data(struct smtp_client *c, const struct answer *a)
{
    if (is_refusal(a->reply)) {
        say_verdict(c, a, c->rcpt_accepted > 0);
        return go_on(c);
    }
    if (a->reply->code != 354)
        return broken(c, a);
    if (c->rcpt_accepted == 0) /* RFC 2920 section 3.1 */
        return command(c, STEP_NOBODY, ".", "");
    /* Recipients without a sender: a dot now would mail them nothing. */
    if (c->is_settled)
        return broken(c, a);
    c->in_body = true;
    return ask(c, SMTP_CLIENT_BODY);
}

static enum turn
on_nobody(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    return ask(c, SMTP_CLIENT_READY);
}

static enum turn
on_dot(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    c->in_doubt = false;
    say_verdict(c, a, true);
    return ask(c, SMTP_CLIENT_READY);
}

static enum turn
on_bdat(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply) && !is_refusal(a->reply))
        return broken(c, a);
    if (is_refusal(a->reply))
        say_verdict(c, a, true);
    if (c->in_body)
        return TURN_DRIVER;
    return go_on(c);
}

static enum turn
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
    return ask(c, SMTP_CLIENT_READY);
}

static enum turn
on_rset(struct smtp_client *c, const struct answer *a)
{
    if (!is_ok(a->reply))
        return broken(c, a);
    return ask(c, SMTP_CLIENT_READY);
}

/* Whatever it says, we are leaving. */
static enum turn
on_quit(struct smtp_client *c, const struct answer *a)
{
    (void)a;
    return give_up(c, SMTP_CLIENT_END_QUIT);
}

typedef enum turn on_reply_fn(struct smtp_client *c, const struct answer *a);

/* Time limits: RFC 5321 section 4.5.3.2. */
static const struct {
    const char *name;
    on_reply_fn *on_reply;
    unsigned wait_s;
} steps[] = {
    [STEP_GREETING] = {"greeting", on_greeting, 300},
    [STEP_EHLO] = {"EHLO", on_ehlo, 300},
    [STEP_HELO] = {"HELO", on_helo, 300},
    [STEP_STARTTLS] = {"STARTTLS", on_starttls, 120},
    [STEP_MAIL] = {"MAIL", on_mail, 300},
    [STEP_RCPT] = {"RCPT", on_rcpt, 300},
    [STEP_DATA] = {"DATA", on_data, 120},
    [STEP_NOBODY] = {"end of no data", on_nobody, 60},
    [STEP_DOT] = {"end of data", on_dot, 600},
    [STEP_BDAT] = {"BDAT", on_bdat, WAIT_BLOCK_S},
    [STEP_LAST] = {"BDAT LAST", on_last, 600},
    [STEP_RSET] = {"RSET", on_rset, 60},
    [STEP_QUIT] = {"QUIT", on_quit, 2},
    [STEP_UNASKED] = {"goodbye", broken, 10},
};

static void
got_reply(struct smtp_client *c, const struct smtp_reply *r)
{
    enum step step = settle(c);
    struct answer answer = {steps[step].name, r};

    if (step == STEP_QUIT) {
        c->turn = on_quit(c, &answer);
    } else if (r->code == 421) { /* answers anything: RFC 5321 section 3.8 */
        c->in_doubt &= step != STEP_DOT && step != STEP_LAST;
        c->turn = give_up_on(c, &answer, SMTP_CLIENT_END_REFUSED);
    } else if (r->code == 221) { /* answers QUIT and nothing else */
        c->turn = broken(c, &answer);
    } else {
        c->turn = steps[step].on_reply(c, &answer);
    }
    c->turn_number++;

    /* A handler that forgot to move the session on is found here. */
    assert(c->turn != TURN_PEER || c->owed.total > 0);
    assert(c->turn != TURN_DRIVER || c->event_count > 0 || c->in_body);
}

/* A server may close at any time by an unasked 421 (RFC 5321 section 3.8);
 * nothing else may come unasked, and nothing at all behind the reply to
 * STARTTLS: someone in the middle would have it read as if it had come by TLS.
 */
static bool
may_be_goodbye(const struct smtp_client *c, struct slice in)
{
    if (owes_only(c, STEP_STARTTLS))
        return false;
    if (c->owed.total == 0 && c->asked == SMTP_CLIENT_START_TLS)
        return false;
    return memcmp(in.p, "421", in.len < 3 ? in.len : 3) == 0;
}

static void
out_of_turn(struct smtp_client *c)
{
    err_set(&c->err, ERR_INPUT, "the server spoke out of turn");
    c->turn = give_up(c, SMTP_CLIENT_END_PROTOCOL);
}

static void
expect_goodbye(struct smtp_client *c)
{
    owe(c, STEP_UNASKED);
    c->in_body = false;
    c->turn = TURN_PEER;
    c->turn_number++;
}

static void
no_smtp(struct smtp_client *c)
{
    bool is_leaving = owes_only(c, STEP_QUIT);

    err_set(&c->err, ERR_INPUT, "%s: the server does not speak SMTP",
            smtp_client_step(c));
    c->turn = give_up(c, is_leaving ? SMTP_CLIENT_END_QUIT
                                    : SMTP_CLIENT_END_PROTOCOL);
}

static void
got_whole(struct smtp_client *c, struct slice rest)
{
    /* A reply to what we have not even sent yet: were it read as one, every
     * reply from here on would be taken for the answer to something else. */
    if (rest.len > 0 && c->owed.total == 1 && !owes_only(c, STEP_QUIT) &&
        !may_be_goodbye(c, rest)) {
        out_of_turn(c);
        return;
    }
    got_reply(c, &c->in.reply);
    if (rest.len > 0 && c->turn == TURN_DRIVER && c->owed.total == 0)
        expect_goodbye(c);
}

size_t
smtp_client_feed(struct smtp_client *c, struct slice in)
{
    struct slice rest = in;

    assert(c->event_count == 0);
    if (c->turn == TURN_NOBODY || in.len == 0)
        return in.len;
    if (c->owed.total == 0 && !may_be_goodbye(c, in)) {
        out_of_turn(c);
        return in.len;
    }
    if (c->owed.total == 0)
        expect_goodbye(c);

    switch (smtp_reply_read(&c->in, &rest)) {
    case SMTP_REPLY_PART:
        break;
    case SMTP_REPLY_BAD:
        no_smtp(c);
        break;
    case SMTP_REPLY_WHOLE:
        got_whole(c, rest);
        break;
    }
    return c->turn == TURN_NOBODY ? in.len : in.len - rest.len;
}

struct smtp_client *
smtp_client_new(const char *our_name, enum smtp_client_tls tls)
{
    struct smtp_client *c = mem_new(struct smtp_client);

    c->our_name = mem_text(our_name);
    c->tls = tls;
    owe(c, STEP_GREETING);
    return c;
}

void
smtp_client_free(struct smtp_client **place)
{
    struct smtp_client *c = take(place);

    if (!c)
        return;
    buf_free(&c->piece);
    buf_free(&c->out);
    free(c->ours);
    free(c->our_name);
    free(c);
}

/* The driver need not know that the server has begun to say goodbye. */
static bool
is_ending(const struct smtp_client *c)
{
    return c->turn == TURN_NOBODY || owes_only(c, STEP_UNASKED);
}

static bool
is_asked(const struct smtp_client *c, enum smtp_client_event_kind kind)
{
    return c->turn == TURN_DRIVER && c->asked == kind;
}

static void
told(struct smtp_client *c, enum turn turn)
{
    c->turn = turn;
    c->turn_number++;
}

void
smtp_client_tls_up(struct smtp_client *c)
{
    if (is_ending(c))
        return;
    assert(is_asked(c, SMTP_CLIENT_START_TLS));
    c->has_tls = true;
    /* RFC 3207 section 4.2: what was learnt in clear is forgotten */
    c->capability = (struct smtp_capability){.size = false};
    told(c, command(c, STEP_EHLO, "EHLO ", c->our_name));
}

static enum turn
refuse_here(struct smtp_client *c, const struct smtp_request_obstacle *why)
{
    struct smtp_client_event *ev = say(c, SMTP_CLIENT_VERDICT);

    if (!c->ours)
        c->ours = mem_new(struct smtp_reply);
    c->ours->code = why->code;
    c->ours->len = strlen(why->text);
    memcpy(c->ours->text, why->text, c->ours->len + 1);
    ev->reply = c->ours;
    ev->command = "MAIL";
    ev->is_ours = true;
    return ask(c, SMTP_CLIENT_READY);
}

static enum turn
send_mail(struct smtp_client *c)
{
    smtp_request_add_mail(&c->capability, &c->mail, &c->out);
    owe(c, STEP_MAIL);
    if (!c->capability.pipelining)
        return TURN_PEER;
    while (c->rcpt_sent < c->mail.rcpt_count)
        (void)send_rcpt(c);
    return c->by_bdat ? TURN_PEER : command(c, STEP_DATA, "DATA", "");
}

void
smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m)
{
    const struct smtp_request_obstacle *why;

    if (is_ending(c))
        return;
    assert(is_asked(c, SMTP_CLIENT_READY) && !is_tls_missing(c));
    assert(m->rcpt_count > 0 && m->rcpt_count <= SMTP_CLIENT_RCPT_MAX);
    c->mail = *m;
    c->is_settled = c->in_doubt = false;
    c->rcpt_sent = c->rcpt_answered = c->rcpt_accepted = 0;
    c->stuff = (struct smtp_stuff){SMTP_STUFF_START};
    buf_clear(&c->piece);
    /* Chunks go out without waiting for each other's replies, which only
     * PIPELINING allows: RFC 3030 section 4.2. */
    c->by_bdat = c->capability.chunking && c->capability.pipelining;

    why = smtp_request_find_obstacle(&c->capability, m);
    told(c, why ? refuse_here(c, why) : send_mail(c));
}

static void
send_piece(struct smtp_client *c, const char *last)
{
    buf_printf(&c->out, "BDAT %zu%s\r\n", c->piece.len, last);
    buf_add(&c->out, buf_slice(&c->piece));
    buf_clear(&c->piece);
}

void
smtp_client_body(struct smtp_client *c, struct slice part)
{
    if (!c->in_body || part.len == 0)
        return;
    if (!c->by_bdat) {
        smtp_stuff_add(&c->stuff, part, &c->out);
        told(c, TURN_DRIVER);
        return;
    }
    if (c->piece.len > 0) {
        send_piece(c, "");
        owe(c, STEP_BDAT);
    }
    buf_add(&c->piece, part);
    told(c, TURN_DRIVER);
}

void
smtp_client_body_end(struct smtp_client *c)
{
    if (!c->in_body)
        return;
    if (c->by_bdat) {
        send_piece(c, " LAST");
        owe(c, STEP_LAST);
    } else {
        smtp_stuff_end(&c->stuff, &c->out);
        owe(c, STEP_DOT);
    }
    c->in_body = false;
    c->in_doubt = true;
    told(c, TURN_PEER);
}

void
smtp_client_quit(struct smtp_client *c)
{
    if (is_ending(c))
        return;
    assert(is_asked(c, SMTP_CLIENT_READY));
    told(c, command(c, STEP_QUIT, "QUIT", ""));
}

bool
smtp_client_next(struct smtp_client *c, struct smtp_client_event *ev)
{
    if (c->event_count == 0)
        return false;
    *ev = c->events[c->event_first++];
    /* READY comes last, so what it is answered with finds the list empty. */
    if (c->event_first == c->event_count)
        c->event_first = c->event_count = 0;
    return true;
}

struct buf *
smtp_client_output(struct smtp_client *c)
{
    return &c->out;
}

/* In a body by BDAT replies are owed while the driver has the turn. */
unsigned
smtp_client_wait_s(const struct smtp_client *c)
{
    if (c->in_body)
        return WAIT_BLOCK_S;
    if (c->owed.total > 0)
        return steps[c->owed.runs[0].step].wait_s;
    return is_asked(c, SMTP_CLIENT_START_TLS) ? WAIT_HANDSHAKE_S : 0;
}

unsigned
smtp_client_wait_turn(const struct smtp_client *c)
{
    return c->turn_number;
}

const char *
smtp_client_step(const struct smtp_client *c)
{
    if (c->turn == TURN_NOBODY)
        return "end";
    if (c->in_body)
        return "body";
    if (c->owed.total > 0)
        return steps[c->owed.runs[0].step].name;
    return c->asked == SMTP_CLIENT_START_TLS ? "TLS handshake" : "idle";
}

bool
smtp_client_is_in_doubt(const struct smtp_client *c)
{
    return c->in_doubt;
}

const struct smtp_capability *
smtp_client_capability(const struct smtp_client *c)
{
    return &c->capability;
}
