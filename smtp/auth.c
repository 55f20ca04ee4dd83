#include "smtp/auth.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"

#include <stdlib.h>

static const char plus[] = "SCRAM-SHA-256-PLUS";

static bool
offers(const struct smtp_server *s, enum smtp_sasl_mechanism m)
{
    return s->config.auth & SMTP_SASL_BIT(m);
}

static bool
offers_plus(const struct smtp_server *s)
{
    return s->auth.has_binding && offers(s, SMTP_SASL_SCRAM_SHA_256);
}

/* RFC 4954 section 4: not where a password could be overheard. */
static bool
is_safe(const struct smtp_server *s)
{
    return s->is_tls || s->config.auth_in_clear;
}

void
smtp_auth_add_keyword(const struct smtp_server *s, struct buf *out)
{
    static const enum smtp_sasl_mechanism best_first[] = {
        SMTP_SASL_SCRAM_SHA_256, SMTP_SASL_PLAIN, SMTP_SASL_LOGIN};

    if (!s->config.auth || !is_safe(s))
        return;
    buf_add_text(out, "250-AUTH");
    if (offers_plus(s))
        buf_printf(out, " %s", plus);
    for (size_t i = 0; i < sizeof(best_first) / sizeof(best_first[0]); i++)
        if (offers(s, best_first[i]))
            buf_printf(out, " %s", smtp_sasl_name(best_first[i]));
    buf_add_text(out, "\r\n");
}

void
smtp_auth_end(struct smtp_server *s)
{
    struct smtp_session_auth *a = &s->auth;

    if (!a->line)
        return;
    smtp_sasl_server_done(&a->sasl);
    explicit_bzero(a->line, SMTP_SASL_LINE_MAX);
    free(take(&a->line));
    a->len = 0;
    s->mode = SMTP_SESSION_COMMANDS;
}

static enum smtp_session_turn
end(struct smtp_server *s, const char *line)
{
    smtp_auth_end(s);
    smtp_session_reply(s, line);
    return SMTP_SESSION_PEER;
}

static enum smtp_session_turn
send_challenge(struct smtp_server *s, const struct buf *challenge)
{
    scoped(buf_free) struct buf line = {0};

    s->mode = SMTP_SESSION_AUTH;
    buf_add_text(&line, "334 ");
    base64_add(buf_slice(challenge), &line);
    smtp_session_reply(s, buf_text(&line));
    return SMTP_SESSION_PEER;
}

static enum smtp_session_turn
ask(struct smtp_server *s, enum smtp_server_event_kind kind,
    enum smtp_session_ask what)
{
    const struct smtp_sasl_server *sasl = &s->auth.sasl;
    struct smtp_server_event *ev = smtp_session_event(s, kind);

    s->mode = SMTP_SESSION_COMMANDS;
    ev->auth.user = sasl->user;
    ev->auth.mechanism = s->auth.mechanism;
    ev->auth.password = buf_slice(&sasl->password);
    ev->auth.is_proven = sasl->is_proven;
    ev->auth.why = sasl->why;
    return smtp_session_ask(s, what);
}

static enum smtp_session_turn
go_on(struct smtp_server *s, enum smtp_sasl_next next,
      const struct buf *challenge)
{
    switch (next) {
    case SMTP_SASL_CHALLENGE:
        return send_challenge(s, challenge);
    case SMTP_SASL_VERIFIER:
        return ask(s, SMTP_SERVER_VERIFIER, SMTP_SESSION_ASK_VERIFIER);
    case SMTP_SASL_JUDGE:
        return ask(s, SMTP_SERVER_AUTH, SMTP_SESSION_ASK_AUTH);
    case SMTP_SASL_MALFORMED:
        break;
    }
    return end(s, "501 5.5.2 Not a message of this mechanism");
}

static enum smtp_session_turn
take_response(struct smtp_server *s, struct slice text)
{
    scoped(secret_buf_free) struct buf octets = {0};
    scoped(buf_free) struct buf challenge = {0};

    /* Growing would leave copies behind. */
    (void)buf_room(&octets, text.len / 4 * 3 + 1);
    if (!base64_read(text, &octets)) /* RFC 4954 section 4 */
        return end(s, "501 5.5.2 Not base64");
    return go_on(
        s, smtp_sasl_server_feed(&s->auth.sasl, buf_slice(&octets), &challenge),
        &challenge);
}

/* --- the command --- */

/* NULL: the mechanism is there. */
static const char *
find(const struct smtp_server *s, struct slice name,
     enum smtp_sasl_mechanism *m, bool *is_plus)
{
    *is_plus = slice_is_nocase(name, plus);
    if (*is_plus) {
        *m = SMTP_SASL_SCRAM_SHA_256;
        return offers_plus(s) ? NULL : "504 5.5.4 Not offered";
    }
    if (name.len == 0)
        return "501 5.5.4 AUTH wants a mechanism";
    if (!smtp_sasl_find(name, m) || !offers(s, *m))
        return "504 5.5.4 Not offered"; /* RFC 4954 section 4 */
    return NULL;
}

/* NULL: AUTH may begin. */
static const char *
refusal(const struct smtp_server *s)
{
    if (!s->config.auth)
        return "502 5.5.1 AUTH is not offered: set no name and password";
    if (!is_safe(s)) /* RFC 4954 section 6 */
        return "538 5.7.11 No passwords in clear: turn on STARTTLS";
    if (!s->is_esmtp)
        return "503 5.5.1 AUTH wants EHLO";
    return s->auth.user ? "503 5.5.1 You are authenticated" : NULL;
}

static void
begin(struct smtp_server *s, enum smtp_sasl_mechanism m, bool is_plus)
{
    struct smtp_session_auth *a = &s->auth;

    a->mechanism = is_plus ? plus : smtp_sasl_name(m);
    a->line = mem_array(char, SMTP_SASL_LINE_MAX);
    a->len = 0;
    smtp_sasl_server_begin(&a->sasl, m, is_plus,
                           a->has_binding ? a->binding : NULL);
}

enum smtp_session_turn
smtp_auth_command(struct smtp_server *s, struct slice args)
{
    scoped(buf_free) struct buf challenge = {0};
    struct slice initial = args, name = slice_cut(&initial, ' ');
    enum smtp_sasl_mechanism m;
    const char *no = refusal(s);
    bool is_plus;

    if (!no)
        no = find(s, name, &m, &is_plus);
    if (no) {
        smtp_session_reply(s, no);
        return SMTP_SESSION_PEER;
    }
    begin(s, m, is_plus);
    initial = slice_trim(initial);
    if (initial.len == 0)
        return go_on(s, smtp_sasl_server_ask(&s->auth.sasl, &challenge),
                     &challenge);
    if (slice_is(initial, "=")) /* an empty one: RFC 4954 section 4 */
        initial.len = 0;
    return take_response(s, initial);
}

enum smtp_session_turn
smtp_auth_response(struct smtp_server *s, struct slice *in)
{
    struct smtp_session_auth *a = &s->auth;
    struct slice line;

    switch (
        smtp_command_read_to(a->line, SMTP_SASL_LINE_MAX, &a->len, in, &line)) {
    case SMTP_COMMAND_PART:
        return SMTP_SESSION_PEER;
    case SMTP_COMMAND_LONG: /* RFC 4954 section 6 */
        return smtp_session_close(s, "500 5.5.6 Line too long",
                                  "line of AUTH too long");
    case SMTP_COMMAND_BARE:
        return smtp_session_close(s, "500 5.5.2 Lines end in CRLF",
                                  "bare CR or LF in AUTH");
    case SMTP_COMMAND_WHOLE:
        break;
    }
    if (slice_is(line, "*")) /* RFC 4954 section 4 */
        return end(s, "501 5.7.0 Cancelled");
    return take_response(s, line);
}

/* --- the driver's answers --- */

enum smtp_session_turn
smtp_auth_verify(struct smtp_server *s, const struct smtp_sasl_verifier *v,
                 const char *nonce)
{
    scoped(buf_free) struct buf challenge = {0};

    return go_on(s,
                 smtp_sasl_server_verify(&s->auth.sasl, v, nonce, &challenge),
                 &challenge);
}

/* 421 ends the session, and so does the last of a few wrong passwords. */
static enum smtp_session_turn
fail(struct smtp_server *s, const struct mail_status *status)
{
    scoped(buf_free) struct buf line = {0};

    smtp_auth_end(s);
    if (status->code == 421) {
        smtp_session_format(s, status, &line);
        return smtp_session_close(s, buf_text(&line), "too many logins");
    }
    smtp_session_reply_status(s, status);
    s->auth.failures += mail_status_is_permanent(status);
    if (s->auth.failures >= SMTP_SERVER_AUTH_FAILURES_MAX)
        return smtp_session_close(s, "421 4.7.0 Too many failed logins",
                                  "failed logins");
    return SMTP_SESSION_PEER;
}

enum smtp_session_turn
smtp_auth_answer(struct smtp_server *s, const struct mail_status *status)
{
    if (!mail_status_is_success(status))
        return fail(s, status);
    s->auth.user = take(&s->auth.sasl.user);
    smtp_auth_end(s);
    smtp_session_reply_status(s, status);
    return SMTP_SESSION_PEER;
}
