#include "smtp/server.h"

#include "relay/base/mem.h"
#include "smtp/auth.h"
#include "smtp/intake.h"
#include "smtp/session.h"
#include "smtp/verb.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

_Static_assert((int)SMTP_SERVER_COMMAND_MAX == (int)SMTP_COMMAND_MAX &&
                   (int)SMTP_SERVER_LINE_MAX == (int)SMTP_UNSTUFF_LINE_MAX,
               "one limit, one number");

struct smtp_server *
smtp_server_new(const struct smtp_server_config *config)
{
    struct smtp_server *s = mem_new(struct smtp_server);

    assert(config->size_max > 0 && config->rcpt_max > 0);
    s->config = *config;
    s->config.hostname = mem_text(config->hostname);
    /* RFC 5321 section 4.5.3.1.9 wants 552. */
    (void)snprintf(s->too_large, sizeof(s->too_large),
                   "552 5.3.4 Message larger than %llu octets",
                   (unsigned long long)config->size_max);
    s->is_tls = config->is_tls;
    s->asked = SMTP_SESSION_ASK_GREET;
    s->turn = SMTP_SESSION_DRIVER;
    return s;
}

void
smtp_server_free(struct smtp_server **place)
{
    struct smtp_server *s = take(place);

    if (!s)
        return;
    s->body_open = false; /* nobody is left to be told */
    smtp_session_reset(s, "");
    smtp_auth_end(s);
    free(s->auth.user);
    buf_free(&s->refusal);
    buf_free(&s->farewell);
    buf_free(&s->out);
    free(s->farewell_why);
    free((char *)s->config.hostname);
    free(s);
}

void
smtp_server_greet(struct smtp_server *s, const struct mail_status *refusal)
{
    enum smtp_session_turn turn = SMTP_SESSION_PEER;

    assert(s->asked == SMTP_SESSION_ASK_GREET);
    s->asked = SMTP_SESSION_ASK_NOTHING;
    if (refusal) {
        smtp_session_reply_status(s, refusal);
        turn = smtp_session_close(s, NULL, "refused");
    } else if (s->farewell.len == 0) {
        s->replies++;
        buf_printf(&s->out, "220 %s ESMTP\r\n", s->config.hostname);
    }
    smtp_session_settle(s, turn, true);
}

/* A client that has something else to say than SMTP (TLS, most often) is sent
 * away by its first octet: there may never be a line. */
static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whoever hears something else than 221 may send again what was taken. */
static bool
is_quit(struct slice line)
{
    return line.len == 4 && strncasecmp(line.p, "QUIT", 4) == 0;
}

static enum smtp_session_turn
take_command(struct smtp_server *s, struct slice *in)
{
    struct slice line;

    if (s->state == SMTP_SESSION_NEW && s->reader.len == 0 &&
        !is_letter(in->p[0]))
        return smtp_session_close(s, "554 5.5.1 This is SMTP", "no SMTP");

    switch (smtp_command_read(&s->reader, in, &line)) {
    case SMTP_COMMAND_PART:
        return SMTP_SESSION_PEER;
    case SMTP_COMMAND_LONG:
        return smtp_session_close(s, "500 5.5.2 Line too long",
                                  "command line too long");
    case SMTP_COMMAND_BARE:
        return smtp_session_close(s, "500 5.5.2 Lines end in CRLF",
                                  "bare CR or LF in a command");
    case SMTP_COMMAND_WHOLE:
        break;
    }
    s->has_taken = false;
    if (s->farewell.len > 0 && s->state != SMTP_SESSION_BDAT && !is_quit(line))
        return smtp_session_close(s, buf_text(&s->farewell), s->farewell_why);
    return smtp_verb_run(s, line, in->len > 0);
}

/* Octets come while we are asked for nothing.  Behind STARTTLS they are an
 * attack: someone in the middle wants them read as if they had come by TLS.
 * Behind DATA they are a body that did not wait. */
static void
note_early(struct smtp_server *s)
{
    s->early |= s->asked == SMTP_SESSION_ASK_DATA;
    if (s->asked != SMTP_SESSION_ASK_TLS)
        return;
    smtp_session_settle(s,
                        smtp_session_close(s,
                                           "554 5.5.1 Octets behind STARTTLS",
                                           "octets behind STARTTLS"),
                        false);
}

static bool
is_between_lines(const struct smtp_server *s)
{
    return s->mode == SMTP_SESSION_AUTH
               ? s->auth.len == 0
               : s->mode == SMTP_SESSION_COMMANDS && s->reader.len == 0;
}

size_t
smtp_server_feed(struct smtp_server *s, struct slice in)
{
    enum smtp_session_turn turn = SMTP_SESSION_PEER;
    struct slice rest = in;

    assert(s->event_count == 0);
    if (in.len == 0)
        return 0;
    if (s->turn != SMTP_SESSION_PEER) {
        note_early(s);
        return 0;
    }
    switch (s->mode) {
    case SMTP_SESSION_COMMANDS:
        turn = take_command(s, &rest);
        break;
    case SMTP_SESSION_DATA:
        turn = smtp_intake_data(s, &rest);
        break;
    case SMTP_SESSION_CHUNK:
        turn = smtp_intake_chunk(s, &rest);
        break;
    case SMTP_SESSION_SKIP:
        turn = smtp_intake_skip(s, &rest);
        break;
    case SMTP_SESSION_AUTH:
        turn = smtp_auth_response(s, &rest);
        break;
    }
    smtp_session_settle(s, turn, is_between_lines(s));
    return in.len - rest.len;
}

void
smtp_server_tls_up(struct smtp_server *s)
{
    if (s->turn == SMTP_SESSION_NOBODY)
        return;
    assert(s->asked == SMTP_SESSION_ASK_TLS);
    s->asked = SMTP_SESSION_ASK_NOTHING;

    /* RFC 3207 section 4.2: what was said in clear is forgotten. */
    smtp_session_reset(s, "STARTTLS");
    s->state = SMTP_SESSION_NEW;
    s->is_tls = true;
    s->is_esmtp = false;
    s->helo[0] = '\0';
    smtp_session_settle(s, SMTP_SESSION_PEER, true);
}

static enum smtp_session_turn
answer_mail(struct smtp_server *s, const struct mail_status *status)
{
    smtp_session_reply_status(s, status);
    if (mail_status_is_success(status))
        s->state = SMTP_SESSION_MAIL;
    else
        smtp_session_reset(s, "refused");
    return SMTP_SESSION_PEER;
}

static enum smtp_session_turn
answer_rcpt(struct smtp_server *s, const struct mail_status *status)
{
    smtp_session_reply_status(s, status);
    if (mail_status_is_success(status)) {
        *mail_envelope_add(&s->envelope) = s->rcpt;
        s->rcpt = (struct mail_rcpt){0};
        s->state = SMTP_SESSION_RCPT;
    }
    smtp_session_forget_rcpt(s);
    return SMTP_SESSION_PEER;
}

static enum smtp_session_turn
answer_data(struct smtp_server *s, const struct mail_status *status)
{
    if (mail_status_is_success(status))
        smtp_intake_open(s);
    if (s->early) /* else the body would be read as commands */
        return smtp_session_close(s, "503 5.5.0 Wait for the reply first",
                                  "a body before 354");
    if (mail_status_is_success(status)) {
        s->mode = SMTP_SESSION_DATA;
        smtp_session_reply(s, "354 End with CRLF.CRLF");
    } else {
        smtp_session_reply_status(s, status);
        smtp_session_reset(s, "refused");
    }
    return SMTP_SESSION_PEER;
}

static enum smtp_session_turn
answer_bdat(struct smtp_server *s, const struct mail_status *status)
{
    if (mail_status_is_success(status)) {
        smtp_intake_open(s);
        return smtp_intake_chunk_start(s);
    }
    smtp_session_format(s, status, &s->refusal);
    smtp_session_reset(s, "refused");
    return smtp_intake_skip_start(s);
}

static enum smtp_session_turn
answer_end(struct smtp_server *s, const struct mail_status *status)
{
    smtp_session_reply_status(s, status);
    s->has_taken = mail_status_is_success(status);
    if (s->has_taken)
        s->errors = s->junk = 0;
    smtp_session_reset(s, "refused");
    return SMTP_SESSION_PEER;
}

void
smtp_server_answer(struct smtp_server *s, const struct mail_status *status)
{
    typedef enum smtp_session_turn answer_fn(struct smtp_server *,
                                             const struct mail_status *);
    static answer_fn *const answers[] = {
        [SMTP_SESSION_ASK_MAIL] = answer_mail,
        [SMTP_SESSION_ASK_RCPT] = answer_rcpt,
        [SMTP_SESSION_ASK_DATA] = answer_data,
        [SMTP_SESSION_ASK_BDAT] = answer_bdat,
        [SMTP_SESSION_ASK_END] = answer_end,
        [SMTP_SESSION_ASK_VERIFIER] = smtp_auth_answer,
        [SMTP_SESSION_ASK_AUTH] = smtp_auth_answer,
    };
    enum smtp_session_ask asked = s->asked;

    if (s->turn == SMTP_SESSION_NOBODY) /* it came too late */
        return;
    assert(asked >= SMTP_SESSION_ASK_MAIL);
    s->asked = SMTP_SESSION_ASK_NOTHING;
    smtp_session_settle(s, answers[asked](s, status), true);
}

void
smtp_server_verify(struct smtp_server *s,
                   const struct smtp_sasl_verifier *verifier, const char *nonce)
{
    if (s->turn == SMTP_SESSION_NOBODY)
        return;
    assert(s->asked == SMTP_SESSION_ASK_VERIFIER);
    s->asked = SMTP_SESSION_ASK_NOTHING;
    smtp_session_settle(s, smtp_auth_verify(s, verifier, nonce), true);
}

void
smtp_server_bind(struct smtp_server *s,
                 const uint8_t binding[SMTP_SASL_BINDING])
{
    if (s->turn == SMTP_SESSION_NOBODY)
        return;
    assert(s->is_tls && s->state == SMTP_SESSION_NEW);
    memcpy(s->auth.binding, binding, SMTP_SASL_BINDING);
    s->auth.has_binding = true;
}

void
smtp_server_shut(struct smtp_server *s, const struct mail_status *status,
                 const char *why)
{
    if (s->turn == SMTP_SESSION_NOBODY || s->farewell.len > 0)
        return;
    smtp_session_format(s, status, &s->farewell);
    s->farewell_why = mem_text(why);
    smtp_session_settle(s, s->turn, false);
}

void
smtp_server_timeout(struct smtp_server *s)
{
    enum smtp_session_turn turn = s->turn;

    if (s->wait == SMTP_SESSION_WAIT_QUIT)
        turn = smtp_session_close(s, buf_text(&s->farewell), s->farewell_why);
    else if (turn == SMTP_SESSION_PEER)
        turn = smtp_session_close(s, "421 4.4.2 Timeout", "timeout");
    else if (s->asked == SMTP_SESSION_ASK_TLS)
        turn = smtp_session_close(s, NULL, "timeout");
    else
        return; /* we are the slow ones */
    smtp_session_settle(s, turn, false);
}

bool
smtp_server_next(struct smtp_server *s, struct smtp_server_event *ev)
{
    if (s->event_first == s->event_count)
        return false;
    *ev = s->events[s->event_first++];
    if (s->event_first == s->event_count)
        s->event_first = s->event_count = 0;
    return true;
}

struct buf *
smtp_server_output(struct smtp_server *s)
{
    return &s->out;
}

uint64_t
smtp_server_wait_ms(const struct smtp_server *s)
{
    static const uint64_t limits[] = {
        [SMTP_SESSION_WAIT_NOT] = 0,
        [SMTP_SESSION_WAIT_EHLO] = 60 * 1000,
        [SMTP_SESSION_WAIT_IDLE] = 300 * 1000, /* RFC 5321 section 4.5.3.2.7 */
        [SMTP_SESSION_WAIT_QUIT] = 1000,
        [SMTP_SESSION_WAIT_LINE] = 60 * 1000,
        [SMTP_SESSION_WAIT_BODY] = 30 * 60 * 1000, /* of all of it */
        [SMTP_SESSION_WAIT_TLS] = 30 * 1000,
    };

    return limits[s->wait];
}

unsigned
smtp_server_wait_turn(const struct smtp_server *s)
{
    return s->wait_turn;
}

bool
smtp_server_is_idle(const struct smtp_server *s)
{
    return s->turn == SMTP_SESSION_PEER && s->state <= SMTP_SESSION_READY &&
           s->mode == SMTP_SESSION_COMMANDS && s->reader.len == 0;
}

bool
smtp_server_is_in_body(const struct smtp_server *s)
{
    return s->state == SMTP_SESSION_BDAT ||
           (s->mode != SMTP_SESSION_COMMANDS && s->mode != SMTP_SESSION_AUTH);
}

void
smtp_server_take_envelope(struct smtp_server *s, struct mail_envelope *out)
{
    assert(s->asked == SMTP_SESSION_ASK_END);
    *out = s->envelope;
    s->envelope = (struct mail_envelope){.smtputf8 = out->smtputf8};
}

const struct mail_envelope *
smtp_server_envelope(const struct smtp_server *s)
{
    return &s->envelope;
}

const char *
smtp_server_helo(const struct smtp_server *s)
{
    return s->helo;
}

bool
smtp_server_is_esmtp(const struct smtp_server *s)
{
    return s->is_esmtp;
}

bool
smtp_server_is_tls(const struct smtp_server *s)
{
    return s->is_tls;
}

const char *
smtp_server_user(const struct smtp_server *s)
{
    return s->auth.user;
}
