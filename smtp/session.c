#include "smtp/auth.h"

#include <assert.h>
#include <stdlib.h>

enum {
    REPLY_TEXT_MAX = 480, /* RFC 5321 section 4.5.3.1.5: 512 for the line */
};

struct smtp_server_event *
smtp_session_event(struct smtp_server *s, enum smtp_server_event_kind kind)
{
    struct smtp_server_event *ev = &s->events[s->event_count++];

    assert(s->event_count <= sizeof(s->events) / sizeof(s->events[0]));
    *ev = (struct smtp_server_event){.kind = kind};
    return ev;
}

void
smtp_session_reply(struct smtp_server *s, const char *line)
{
    s->replies++;
    s->errors += line[0] == '5';
    buf_add_text(&s->out, line);
    buf_add_text(&s->out, "\r\n");
}

void
smtp_session_format(const struct smtp_server *s,
                    const struct mail_status *status, struct buf *out)
{
    const char *text = status->text[0] ? status->text : "OK";
    char enhanced[16];

    buf_printf(out, "%d %s ", status->code,
               mail_status_enhanced(status, enhanced));
    for (size_t i = 0; text[i] && i < REPLY_TEXT_MAX; i++) {
        /* RFC 6531 section 3.7.4: UTF-8 only to a client that uses it. */
        bool foreign = (unsigned char)text[i] > 127 && !s->envelope.smtputf8;

        buf_add_byte(out, foreign ? '?' : text[i]);
    }
}

void
smtp_session_reply_status(struct smtp_server *s,
                          const struct mail_status *status)
{
    s->replies++;
    s->errors += status->code >= 500;
    smtp_session_format(s, status, &s->out);
    buf_add_text(&s->out, "\r\n");
}

enum smtp_session_turn
smtp_session_ask(struct smtp_server *s, enum smtp_session_ask what)
{
    s->asked = what;
    return SMTP_SESSION_DRIVER;
}

void
smtp_session_drop(struct smtp_server *s, const char *why)
{
    if (s->body_open)
        smtp_session_event(s, SMTP_SERVER_DROP)->why = why;
    s->body_open = false;
}

void
smtp_session_forget_rcpt(struct smtp_server *s)
{
    free(s->rcpt.address);
    free(s->rcpt.domain);
    free(s->rcpt.orcpt);
    s->rcpt = (struct mail_rcpt){0};
}

void
smtp_session_reset(struct smtp_server *s, const char *why)
{
    smtp_session_drop(s, why);
    mail_envelope_done(&s->envelope);
    smtp_session_forget_rcpt(s);
    s->unstuff = (struct smtp_unstuff){0};
    s->mode = SMTP_SESSION_COMMANDS;
    if (s->state > SMTP_SESSION_READY)
        s->state = SMTP_SESSION_READY;
}

enum smtp_session_turn
smtp_session_close(struct smtp_server *s, const char *line, const char *why)
{
    smtp_session_reset(s, why);
    smtp_auth_end(s);
    s->asked = SMTP_SESSION_ASK_NOTHING;
    s->reader.len = 0;
    if (line)
        smtp_session_reply(s, line);
    smtp_session_event(s, SMTP_SERVER_OVER)->why = why;
    return SMTP_SESSION_NOBODY;
}

static bool
is_between_commands(const struct smtp_server *s)
{
    return s->mode == SMTP_SESSION_COMMANDS && s->reader.len == 0;
}

/* The turn that was claimed, or NOBODY when this is where it ends. */
static enum smtp_session_turn
lose_patience(struct smtp_server *s, enum smtp_session_turn turn)
{
    if (turn != SMTP_SESSION_PEER || !is_between_commands(s))
        return turn;
    if (s->errors >= SMTP_SERVER_ERRORS_MAX)
        return smtp_session_close(s, "421 4.7.0 Too many errors", "errors");
    if (s->junk >= SMTP_SERVER_JUNK_MAX)
        return smtp_session_close(s, "421 4.7.0 Too many commands and no mail",
                                  "junk commands");
    if (s->farewell.len > 0 && s->state != SMTP_SESSION_BDAT && !s->has_taken)
        return smtp_session_close(s, buf_text(&s->farewell), s->farewell_why);
    return turn;
}

static enum smtp_session_wait
wait_for(const struct smtp_server *s)
{
    if (s->asked == SMTP_SESSION_ASK_TLS)
        return SMTP_SESSION_WAIT_TLS;
    if (s->turn != SMTP_SESSION_PEER)
        return SMTP_SESSION_WAIT_NOT;
    if (s->mode == SMTP_SESSION_AUTH)
        return s->auth.len ? SMTP_SESSION_WAIT_LINE : SMTP_SESSION_WAIT_IDLE;
    if (s->mode != SMTP_SESSION_COMMANDS)
        return SMTP_SESSION_WAIT_BODY;
    if (s->state == SMTP_SESSION_NEW)
        return SMTP_SESSION_WAIT_EHLO;
    if (s->farewell.len > 0 && s->has_taken)
        return SMTP_SESSION_WAIT_QUIT;
    return s->reader.len ? SMTP_SESSION_WAIT_LINE : SMTP_SESSION_WAIT_IDLE;
}

void
smtp_session_settle(struct smtp_server *s, enum smtp_session_turn turn,
                    bool fresh)
{
    bool was_asked = s->turn == SMTP_SESSION_DRIVER;
    enum smtp_session_wait wait;

    s->turn = lose_patience(s, turn);
    assert((s->turn == SMTP_SESSION_DRIVER) ==
           (s->asked != SMTP_SESSION_ASK_NOTHING));
    assert(s->turn != SMTP_SESSION_DRIVER || was_asked || s->event_count > 0);
    assert(s->turn != SMTP_SESSION_NOBODY ||
           s->events[s->event_count - 1].kind == SMTP_SERVER_OVER);

    wait = wait_for(s);
    if (wait != s->wait || (fresh && wait != SMTP_SESSION_WAIT_EHLO))
        s->wait_turn++;
    s->wait = wait;
}
