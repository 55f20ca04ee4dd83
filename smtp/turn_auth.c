#include "smtp/turn.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/mail/status.h"

#include <assert.h>
#include <stdlib.h>

enum { COMMAND_MAX = 512 }; /* with CRLF; RFC 5321 section 4.5.3.1.4 */

void
smtp_turn_auth_done(struct smtp_client *c)
{
    smtp_sasl_client_free(&c->sasl);
    for (size_t i = 0; i < c->said_count; i++)
        secret_buf_free(&c->said[i]);
    c->said_count = 0;
}

/* A server may quote what it was sent, in clear or as it came. */
const struct smtp_reply *
smtp_turn_auth_scrub(struct smtp_client *c, const struct smtp_reply *r)
{
    struct slice secrets[SMTP_TURN_SAID_MAX + 1];
    scoped(buf_free) struct buf text = {0};
    size_t count = 0;

    secrets[count++] = slice_of(c->account->secret);
    for (size_t i = 0; i < c->said_count; i++)
        secrets[count++] = buf_slice(&c->said[i]);
    secret_scrub((struct slice){r->text, r->len}, secrets, count, &text);
    if (!c->ours)
        c->ours = mem_new(struct smtp_reply);
    c->ours->code = r->code;
    c->ours->len =
        text.len < SMTP_REPLY_TEXT_MAX ? text.len : SMTP_REPLY_TEXT_MAX;
    memcpy(c->ours->text, buf_text(&text), c->ours->len);
    c->ours->text[c->ours->len] = '\0';
    return c->ours;
}

static enum smtp_turn
no_auth(struct smtp_client *c)
{
    enum smtp_turn turn = smtp_turn_give_up(c, SMTP_CLIENT_END_NO_AUTH);

    smtp_turn_auth_done(c);
    return turn;
}

/* RFC 4954 section 4: "*" ends an exchange that can't go on; the reply to it
 * is not waited for, as nothing else is wanted of this server. */
static enum smtp_turn
cancel(struct smtp_client *c)
{
    buf_add_text(&c->out, "*\r\n");
    return no_auth(c);
}

/* What goes out is kept, to be known again when it comes back. */
static struct buf *
say(struct smtp_client *c, struct slice octets)
{
    struct buf *said = &c->said[c->said_count++];

    assert(c->said_count <= SMTP_TURN_SAID_MAX);
    base64_add(octets, said);
    return said;
}

static enum smtp_turn
send_answer(struct smtp_client *c, struct slice octets)
{
    const struct buf *said = say(c, octets);

    if (said->len + 2 > SMTP_SASL_LINE_MAX) {
        err_set(&c->err, ERR_LIMIT,
                "AUTH %s: what is to be said has more than %d octets",
                smtp_sasl_name(smtp_sasl_client_mechanism(c->sasl)),
                SMTP_SASL_LINE_MAX);
        return cancel(c);
    }
    buf_add(&c->out, buf_slice(said));
    buf_add_text(&c->out, "\r\n");
    smtp_turn_owe(c, SMTP_STEP_AUTH);
    return SMTP_TURN_PEER;
}

/* The names of a set, for people. */
static void
add_names(unsigned set, struct buf *out)
{
    for (enum smtp_sasl_mechanism m = 0; m < SMTP_SASL_COUNT; m++)
        if (set & SMTP_SASL_BIT(m))
            buf_printf(out, " %s", smtp_sasl_name(m));
}

static enum smtp_turn
nothing_fits(struct smtp_client *c)
{
    scoped(buf_free) struct buf offered = {0}, wanted = {0};

    add_names(c->capability.auth, &offered);
    add_names(c->account->mechanisms, &wanted);
    if (!c->capability.has_auth)
        err_set(&c->err, ERR_MISSING, "the server offers no AUTH");
    else
        err_set(&c->err, ERR_MISSING,
                "the server offers AUTH%s, and the route needs one of%s",
                offered.len ? buf_text(&offered) : " by unknown mechanisms",
                buf_text(&wanted));
    return no_auth(c);
}

/* An initial response goes along where the line has room for it: RFC 4954
 * section 4. */
static enum smtp_turn
begin(struct smtp_client *c, enum smtp_sasl_mechanism m)
{
    struct buf initial scoped(secret_buf_free) = {0};

    c->sasl = smtp_sasl_client_new(c->account, m);
    buf_printf(&c->out, "AUTH %s", smtp_sasl_name(m));
    if (smtp_sasl_client_initial(c->sasl, &initial) &&
        strlen("AUTH  \r\n") + strlen(smtp_sasl_name(m)) +
                (initial.len + 2) / 3 * 4 <=
            COMMAND_MAX) {
        smtp_sasl_client_sent_initial(c->sasl);
        buf_add_byte(&c->out, ' ');
        buf_add(&c->out, buf_slice(say(c, buf_slice(&initial))));
    }
    buf_add_text(&c->out, "\r\n");
    smtp_turn_owe(c, SMTP_STEP_AUTH);
    return SMTP_TURN_PEER;
}

enum smtp_turn
smtp_turn_be_ready(struct smtp_client *c)
{
    enum smtp_sasl_mechanism m;

    if (!c->account)
        return smtp_turn_ask(c, SMTP_CLIENT_READY);
    if (!smtp_sasl_client_choose(c->account->mechanisms, c->capability.auth,
                                 &m))
        return nothing_fits(c);
    return begin(c, m);
}

static enum smtp_turn
accepted(struct smtp_client *c)
{
    if (!smtp_sasl_client_is_proven(c->sasl, &c->err))
        return no_auth(c);
    smtp_turn_auth_done(c);
    c->account = NULL;
    return smtp_turn_ask(c, SMTP_CLIENT_READY);
}

static enum smtp_turn
challenged(struct smtp_client *c, const struct smtp_reply *r)
{
    struct slice text = {r->text, r->len};
    struct buf answer scoped(secret_buf_free) = {0};

    switch (smtp_sasl_client_challenge(c->sasl, slice_cut(&text, '\n'), &answer,
                                       &c->err)) {
    case SMTP_SASL_CLIENT_SEND:
        return send_answer(c, buf_slice(&answer));
    case SMTP_SASL_CLIENT_DERIVE:
        return smtp_turn_ask(c, SMTP_CLIENT_DERIVE);
    case SMTP_SASL_CLIENT_CANCEL:
        break;
    }
    return cancel(c);
}

void
smtp_turn_auth_salted(struct smtp_client *c,
                      const uint8_t salted[SMTP_SASL_SCRAM_KEY])
{
    struct buf answer scoped(secret_buf_free) = {0};

    smtp_sasl_client_salted(c->sasl, salted, &answer);
    c->turn = send_answer(c, buf_slice(&answer));
    c->turn_number++;
}

/* The reason is the server's, and what it said in JSON before. */
static enum smtp_turn
refused(struct smtp_client *c, const struct smtp_reply *r)
{
    const char *refusal = smtp_sasl_client_refusal(c->sasl);
    struct mail_status status;
    enum smtp_turn turn;

    mail_status_from_reply(&status, r->code, (struct slice){r->text, r->len});
    err_set(&c->err, ERR_INPUT, "AUTH %s: %d %.150s%s%s",
            smtp_sasl_name(smtp_sasl_client_mechanism(c->sasl)), status.code,
            status.text, *refusal ? "; status " : "", refusal);
    turn = smtp_turn_give_up(c, SMTP_CLIENT_END_AUTH);
    c->events[c->event_count - 1].reply = r;
    c->events[c->event_count - 1].command = "AUTH";
    smtp_turn_auth_done(c);
    return turn;
}

enum smtp_turn
smtp_turn_auth_reply(struct smtp_client *c, const struct smtp_reply *r)
{
    if (r->code == 235)
        return accepted(c);
    if (r->code == 334)
        return challenged(c, r);
    if (r->code / 100 == 4 || r->code / 100 == 5)
        return refused(c, r);
    err_set(&c->err, ERR_INPUT, "AUTH: %d is no answer to it", r->code);
    smtp_turn_auth_done(c);
    return smtp_turn_give_up(c, SMTP_CLIENT_END_PROTOCOL);
}
