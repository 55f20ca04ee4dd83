#include "smtp/client.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "smtp/request.h"
#include "smtp/turn.h"

#include <assert.h>
#include <stdlib.h>

/* A server may close at any time by an unasked 421 (RFC 5321 section 3.8);
 * nothing else may come unasked, and nothing at all behind the reply to
 * STARTTLS: someone in the middle would have it read as if it had come by TLS.
 */
static bool
may_be_goodbye(const struct smtp_client *c, struct slice in)
{
    if (smtp_turn_owes_only(c, SMTP_STEP_STARTTLS))
        return false;
    if (c->owed.total == 0 && c->asked == SMTP_CLIENT_START_TLS)
        return false;
    return memcmp(in.p, "421", in.len < 3 ? in.len : 3) == 0;
}

static void
out_of_turn(struct smtp_client *c)
{
    err_set(&c->err, ERR_INPUT, "the server spoke out of turn");
    c->turn = smtp_turn_give_up(c, SMTP_CLIENT_END_PROTOCOL);
}

static void
expect_goodbye(struct smtp_client *c)
{
    smtp_turn_owe(c, SMTP_STEP_UNASKED);
    c->in_body = false;
    c->turn = SMTP_TURN_PEER;
    c->turn_number++;
}

static void
no_smtp(struct smtp_client *c)
{
    bool is_leaving = smtp_turn_owes_only(c, SMTP_STEP_QUIT);

    err_set(&c->err, ERR_INPUT, "%s: the server does not speak SMTP",
            smtp_client_step(c));
    c->turn = smtp_turn_give_up(c, is_leaving ? SMTP_CLIENT_END_QUIT
                                              : SMTP_CLIENT_END_PROTOCOL);
}

static void
got_whole(struct smtp_client *c, struct slice rest)
{
    /* A reply to what we have not even sent yet: were it read as one, every
     * reply from here on would be taken for the answer to something else. */
    if (rest.len > 0 && c->owed.total == 1 &&
        !smtp_turn_owes_only(c, SMTP_STEP_QUIT) && !may_be_goodbye(c, rest)) {
        out_of_turn(c);
        return;
    }
    smtp_turn_reply(c, &c->in.reply);
    if (rest.len > 0 && c->turn == SMTP_TURN_DRIVER && c->owed.total == 0)
        expect_goodbye(c);
}

size_t
smtp_client_feed(struct smtp_client *c, struct slice in)
{
    struct slice rest = in;

    assert(c->event_count == 0);
    if (c->turn == SMTP_TURN_NOBODY || in.len == 0)
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
    return c->turn == SMTP_TURN_NOBODY ? in.len : in.len - rest.len;
}

struct smtp_client *
smtp_client_new(const char *our_name, enum smtp_client_tls tls)
{
    struct smtp_client *c = mem_new(struct smtp_client);

    c->our_name = mem_text(our_name);
    c->tls = tls;
    smtp_turn_owe(c, SMTP_STEP_GREETING);
    return c;
}

void
smtp_client_authenticate(struct smtp_client *c,
                         const struct smtp_sasl_account *account)
{
    assert(c->tls != SMTP_CLIENT_TLS_OFFERED);
    c->account = account;
}

void
smtp_client_free(struct smtp_client **place)
{
    struct smtp_client *c = take(place);

    if (!c)
        return;
    smtp_turn_auth_done(c);
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
    return c->turn == SMTP_TURN_NOBODY ||
           smtp_turn_owes_only(c, SMTP_STEP_UNASKED);
}

static bool
is_asked(const struct smtp_client *c, enum smtp_client_event_kind kind)
{
    return c->turn == SMTP_TURN_DRIVER && c->asked == kind;
}

static void
told(struct smtp_client *c, enum smtp_turn turn)
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
    told(c, smtp_turn_command(c, SMTP_STEP_EHLO, "EHLO ", c->our_name));
}

struct smtp_sasl_client_work
smtp_client_auth_work(const struct smtp_client *c)
{
    return smtp_sasl_client_work(c->sasl);
}

void
smtp_client_salted(struct smtp_client *c,
                   const uint8_t salted[SMTP_SASL_SCRAM_KEY])
{
    if (is_ending(c))
        return;
    assert(is_asked(c, SMTP_CLIENT_DERIVE));
    smtp_turn_auth_salted(c, salted);
}

static enum smtp_turn
refuse_here(struct smtp_client *c, const struct smtp_request_obstacle *why)
{
    struct smtp_client_event *ev = smtp_turn_say(c, SMTP_CLIENT_VERDICT);

    if (!c->ours)
        c->ours = mem_new(struct smtp_reply);
    c->ours->code = why->code;
    c->ours->len = strlen(why->text);
    memcpy(c->ours->text, why->text, c->ours->len + 1);
    ev->reply = c->ours;
    ev->command = "MAIL";
    ev->is_ours = true;
    return smtp_turn_ask(c, SMTP_CLIENT_READY);
}

static enum smtp_turn
send_mail(struct smtp_client *c)
{
    smtp_request_add_mail(&c->capability, &c->mail, &c->out);
    smtp_turn_owe(c, SMTP_STEP_MAIL);
    if (!c->capability.pipelining)
        return SMTP_TURN_PEER;
    while (c->rcpt_sent < c->mail.rcpt_count)
        (void)smtp_turn_send_rcpt(c);
    return c->by_bdat ? SMTP_TURN_PEER
                      : smtp_turn_command(c, SMTP_STEP_DATA, "DATA", "");
}

void
smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m)
{
    const struct smtp_request_obstacle *why;

    if (is_ending(c))
        return;
    assert(is_asked(c, SMTP_CLIENT_READY) && !smtp_turn_is_tls_missing(c));
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
        told(c, SMTP_TURN_DRIVER);
        return;
    }
    if (c->piece.len > 0) {
        send_piece(c, "");
        smtp_turn_owe(c, SMTP_STEP_BDAT);
    }
    buf_add(&c->piece, part);
    told(c, SMTP_TURN_DRIVER);
}

void
smtp_client_body_end(struct smtp_client *c)
{
    if (!c->in_body)
        return;
    if (c->by_bdat) {
        send_piece(c, " LAST");
        smtp_turn_owe(c, SMTP_STEP_LAST);
    } else {
        smtp_stuff_end(&c->stuff, &c->out);
        smtp_turn_owe(c, SMTP_STEP_DOT);
    }
    c->in_body = false;
    c->in_doubt = true;
    told(c, SMTP_TURN_PEER);
}

void
smtp_client_quit(struct smtp_client *c)
{
    if (is_ending(c))
        return;
    assert(is_asked(c, SMTP_CLIENT_READY));
    told(c, smtp_turn_command(c, SMTP_STEP_QUIT, "QUIT", ""));
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
        return SMTP_TURN_BLOCK_S;
    if (c->owed.total > 0)
        return smtp_turn_wait_s(c->owed.runs[0].step);
    return is_asked(c, SMTP_CLIENT_START_TLS) ? SMTP_TURN_HANDSHAKE_S : 0;
}

unsigned
smtp_client_wait_turn(const struct smtp_client *c)
{
    return c->turn_number;
}

const char *
smtp_client_step(const struct smtp_client *c)
{
    if (c->turn == SMTP_TURN_NOBODY)
        return "end";
    if (c->in_body)
        return "body";
    if (c->owed.total > 0)
        return smtp_turn_name(c->owed.runs[0].step);
    if (c->asked == SMTP_CLIENT_DERIVE)
        return "AUTH";
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
