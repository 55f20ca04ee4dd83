#include "smtp/verb.h"

#include "relay/base/mem.h"
#include "smtp/auth.h"
#include "smtp/intake.h"
#include "smtp/param.h"
#include "smtp/path.h"

#include <assert.h>

typedef enum smtp_session_turn handler_fn(struct smtp_server *s,
                                          struct slice args);

enum flag {
    GROUP_END = 1, /* nothing may be sent behind it before its reply: RFC 2920
                      section 3.1, and for STARTTLS RFC 3207 section 4 */
    JUNK = 2,      /* moves no mail */
    NO_ARGS = 4,
    SECRET = 8, /* the line may hold a password: it is overwritten */
};

/* The states in which a command is legal. */
enum {
    NEW = 1 << SMTP_SESSION_NEW,
    READY = 1 << SMTP_SESSION_READY,
    MAIL = 1 << SMTP_SESSION_MAIL,
    RCPT = 1 << SMTP_SESSION_RCPT,
    BDAT = 1 << SMTP_SESSION_BDAT,
    ALWAYS = NEW | READY | MAIL | RCPT | BDAT,
};

static enum smtp_session_turn
reply(struct smtp_server *s, const char *line)
{
    smtp_session_reply(s, line);
    return SMTP_SESSION_PEER;
}

static bool
has_8bit(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] > 127)
            return true;
    return false;
}

/* What the client calls itself is for the Received field and the log; nothing
 * is concluded from it. */
static void
keep_helo(struct smtp_server *s, struct slice name)
{
    size_t i;

    name = slice_first(name, SMTP_SESSION_HELO_MAX);
    for (i = 0; i < name.len; i++) {
        bool is_plain = name.p[i] > ' ' && name.p[i] < 0x7f;

        s->helo[i] = is_plain ? name.p[i] : '?';
    }
    s->helo[i] = '\0';
}

/* RFC 5321 section 4.1.4: EHLO in the middle of anything is a RSET too. */
static void
begin(struct smtp_server *s, struct slice name, bool is_esmtp)
{
    smtp_session_reset(s, "EHLO");
    s->state = SMTP_SESSION_READY;
    s->is_esmtp = is_esmtp;
    keep_helo(s, name);
}

static bool
is_confidential(const struct smtp_server *s)
{
    return s->is_tls || s->config.is_private;
}

static enum smtp_session_turn
on_ehlo(struct smtp_server *s, struct slice args)
{
    if (args.len == 0)
        return reply(s, "501 5.5.4 EHLO wants your host name");
    begin(s, args, true);
    s->replies++;
    buf_printf(&s->out,
               "250-%s\r\n"
               "250-PIPELINING\r\n"
               "250-SIZE %llu\r\n"
               "250-8BITMIME\r\n"
               "250-SMTPUTF8\r\n"
               "250-ENHANCEDSTATUSCODES\r\n"
               "250-DSN\r\n"
               "%s%s",
               s->config.hostname, (unsigned long long)s->config.size_max,
               s->config.offer_starttls && !s->is_tls ? "250-STARTTLS\r\n" : "",
               /* RFC 8689 section 4.1: only inside TLS */
               s->config.offer_requiretls && is_confidential(s)
                   ? "250-REQUIRETLS\r\n"
                   : "");
    smtp_auth_add_keyword(s, &s->out);
    buf_add_text(&s->out, "250 CHUNKING\r\n");
    return SMTP_SESSION_PEER;
}

static enum smtp_session_turn
on_helo(struct smtp_server *s, struct slice args)
{
    if (args.len == 0)
        return reply(s, "501 5.5.4 HELO wants your host name");
    begin(s, args, false);
    s->replies++;
    buf_printf(&s->out, "250 %s\r\n", s->config.hostname);
    return SMTP_SESSION_PEER;
}

static enum smtp_session_turn
on_starttls(struct smtp_server *s, struct slice args)
{
    (void)args;
    if (s->is_tls)
        return reply(s, "503 5.5.1 TLS is there already");
    if (s->auth.user) /* RFC 3207 section 4.2 would have us forget */
        return reply(s, "503 5.5.1 You are authenticated");
    if (!s->config.offer_starttls)
        return reply(s, "502 5.5.1 STARTTLS is not offered");
    smtp_session_reply(s, "220 2.0.0 Go ahead");
    smtp_session_event(s, SMTP_SERVER_START_TLS);
    return smtp_session_ask(s, SMTP_SESSION_ASK_TLS);
}

static enum smtp_session_turn
refuse_address(struct smtp_server *s, const char *codes, const struct err *err)
{
    scoped(buf_free) struct buf line = {0};

    buf_printf(&line, "%s %s", codes, err->text);
    return reply(s, buf_text(&line));
}

/* Reads everything behind MAIL into the envelope and s->address.  NULL or the
 * static refusal; a faulty address leaves its reason in `err`. */
static const char *
read_mail(struct smtp_server *s, struct slice args, uint64_t *size,
          struct err *err)
{
    const struct smtp_param_session session = {
        .is_tls = is_confidential(s),
        .offers_requiretls = s->config.offer_requiretls,
        .offers_auth = s->config.auth != 0};
    const char *refusal;
    struct smtp_path path;
    struct slice text;

    if (!smtp_path_cut(&args, "FROM:", &text, err))
        return "501 5.5.4";
    if (args.len > 0 && !s->is_esmtp)
        return "555 5.5.4 Parameters want EHLO";
    refusal = smtp_param_mail(args, &session, &s->envelope, size);
    if (refusal)
        return refusal;
    if (has_8bit(text) && !s->envelope.smtputf8) /* RFC 6531 section 3.5 */
        return "553 5.6.7 The sender wants SMTPUTF8";
    if (!smtp_path_parse(text, s->envelope.smtputf8, &path, err))
        return "501 5.1.7";
    if (path.is_postmaster)
        return "501 5.1.7 The sender wants a domain";
    s->address = path.address;
    return NULL;
}

static enum smtp_session_turn
on_mail(struct smtp_server *s, struct slice args)
{
    struct smtp_server_event *ev;
    struct err err = {0};
    const char *refusal;
    uint64_t size = 0;

    if (s->config.require_tls && !s->is_tls)
        return reply(s, "530 5.7.0 No mail in clear: turn on STARTTLS");
    refusal = read_mail(s, args, &size, &err);
    if (!refusal && size > s->config.size_max)
        refusal = s->too_large;
    if (refusal) {
        smtp_session_reset(s, "refused");
        return err.kind ? refuse_address(s, refusal, &err) : reply(s, refusal);
    }
    s->envelope.from = mem_text(s->address.text);
    ev = smtp_session_event(s, SMTP_SERVER_MAIL);
    ev->address = &s->address;
    ev->size = size;
    return smtp_session_ask(s, SMTP_SESSION_ASK_MAIL);
}

/* <postmaster> is the one of this host (RFC 5321 section 4.5.1); whether it may
 * be mailed is the driver's to say, as of any address. */
static bool
parse_postmaster(struct smtp_server *s, struct err *err)
{
    scoped(buf_free) struct buf text = {0};

    buf_printf(&text, "postmaster@%s", s->config.hostname);
    return mail_address_parse(buf_slice(&text), false, &s->address, err);
}

static const char *
read_rcpt(struct smtp_server *s, struct slice args, struct err *err)
{
    const char *refusal;
    struct smtp_path path;
    struct slice text;

    if (!smtp_path_cut(&args, "TO:", &text, err))
        return "501 5.5.4";
    if (args.len > 0 && !s->is_esmtp)
        return "555 5.5.4 Parameters want EHLO";
    refusal = smtp_param_rcpt(args, s->envelope.smtputf8, &s->rcpt);
    if (refusal)
        return refusal;
    if (has_8bit(text) && !s->envelope.smtputf8) /* RFC 6531 section 3.5 */
        return "553 5.6.7 The recipient wants SMTPUTF8";
    if (!smtp_path_parse(text, s->envelope.smtputf8, &path, err))
        return "501 5.1.3";
    if (path.is_null)
        return "501 5.1.3 A recipient can't be empty";
    s->address = path.address;
    if (path.is_postmaster && !parse_postmaster(s, err))
        return "550 5.1.1";
    return NULL;
}

static enum smtp_session_turn
on_rcpt(struct smtp_server *s, struct slice args)
{
    const struct mail_address *a = &s->address;
    struct err err = {0};
    const char *refusal = read_rcpt(s, args, &err);

    /* RFC 5321 section 4.5.3.1.10 */
    if (!refusal && s->envelope.rcpt_count >= s->config.rcpt_max)
        refusal = "452 4.5.3 Too many recipients";
    if (refusal) {
        smtp_session_forget_rcpt(s);
        return err.kind ? refuse_address(s, refusal, &err) : reply(s, refusal);
    }
    s->rcpt.address = mem_text(a->text);
    s->rcpt.domain =
        mem_text(a->is_literal ? a->text + a->at + 1 : a->domain.text);
    smtp_session_event(s, SMTP_SERVER_RCPT)->address = a;
    return smtp_session_ask(s, SMTP_SESSION_ASK_RCPT);
}

static enum smtp_session_turn
on_data(struct smtp_server *s, struct slice args)
{
    (void)args;
    smtp_session_event(s, SMTP_SERVER_DATA);
    return smtp_session_ask(s, SMTP_SESSION_ASK_DATA);
}

/* "120" or "120 LAST" (RFC 3030 section 2) */
static bool
parse_chunk(struct smtp_server *s, struct slice args)
{
    unsigned long long size;
    struct slice word = slice_cut(&args, ' ');

    args = slice_trim(args);
    s->last = slice_is_nocase(args, "LAST");
    if (!slice_number(word, UINT64_MAX, &size) || (args.len && !s->last))
        return false;
    s->left = size;
    return true;
}

/* To a command that is legal only in `legal`. */
static const char *
refuse_state(const struct smtp_server *s, unsigned legal)
{
    if (s->state == SMTP_SESSION_NEW)
        return "503 5.5.1 EHLO first";
    if (legal == READY)
        return "503 5.5.1 A message is under way";
    if (s->state == SMTP_SESSION_READY)
        return "503 5.5.1 MAIL first";
    if (s->state == SMTP_SESSION_MAIL)
        return "503 5.5.1 No valid recipient";
    return "503 5.5.1 Chunks are under way";
}

/* The octets of the chunk are on their way whatever we answer: they are read
 * to the last one, or the session ends; they never run as commands. */
static enum smtp_session_turn
on_bdat(struct smtp_server *s, struct slice args)
{
    const char *refusal = NULL;

    if (!s->is_esmtp)
        return smtp_session_close(s, "502 5.5.1 CHUNKING wants EHLO",
                                  "BDAT without EHLO");
    if (!parse_chunk(s, args))
        return smtp_session_close(s, "501 5.5.4 BDAT wants a size, then LAST",
                                  "malformed BDAT");
    if (smtp_intake_is_flood(s, s->left))
        return smtp_intake_end_flood(s);
    s->junk += s->left == 0 && !s->last;

    if (s->state < SMTP_SESSION_RCPT) {
        refusal = refuse_state(s, RCPT | BDAT);
    } else if (smtp_intake_is_too_large(s, s->left)) {
        refusal = s->too_large;
        smtp_session_reset(s, "too large");
    }
    if (refusal) {
        buf_add_text(&s->refusal, refusal);
        return smtp_intake_skip_start(s);
    }
    if (s->state == SMTP_SESSION_BDAT)
        return smtp_intake_chunk_start(s);
    smtp_session_event(s, SMTP_SERVER_DATA);
    return smtp_session_ask(s, SMTP_SESSION_ASK_BDAT);
}

static enum smtp_session_turn
on_rset(struct smtp_server *s, struct slice args)
{
    (void)args;
    smtp_session_reset(s, "RSET");
    return reply(s, "250 2.0.0 OK");
}

static enum smtp_session_turn
on_noop(struct smtp_server *s, struct slice args)
{
    (void)args;
    return reply(s, "250 2.0.0 OK");
}

static enum smtp_session_turn
on_vrfy(struct smtp_server *s, struct slice args)
{
    if (args.len == 0)
        return reply(s, "501 5.5.4 VRFY wants an address");
    return reply(s, "252 2.1.5 Send mail to find out");
}

static enum smtp_session_turn
on_expn(struct smtp_server *s, struct slice args)
{
    (void)args;
    return reply(s, "502 5.5.1 There are no lists here");
}

static enum smtp_session_turn
on_help(struct smtp_server *s, struct slice args)
{
    (void)args;
    return reply(s, "214 2.0.0 RFC 5321 has it all");
}

static enum smtp_session_turn
on_quit(struct smtp_server *s, struct slice args)
{
    (void)args;
    return smtp_session_close(s, "221 2.0.0 Bye", "quit");
}

/* A browser that was talked into sending mail: the next lines are a request's
 * body, which may well hold commands. */
static enum smtp_session_turn
on_http(struct smtp_server *s, struct slice args)
{
    (void)args;
    return smtp_session_close(s, "554 5.5.1 This is SMTP", "HTTP");
}

static const struct verb {
    const char *name;
    handler_fn *run;
    unsigned legal; /* set of states */
    unsigned flags;
} verbs[] = {
    {"EHLO", on_ehlo, ALWAYS, GROUP_END | JUNK},
    {"HELO", on_helo, ALWAYS, GROUP_END | JUNK},
    {"STARTTLS", on_starttls, READY, GROUP_END | NO_ARGS},
    {"AUTH", smtp_auth_command, READY, GROUP_END | SECRET},
    {"MAIL", on_mail, READY, 0},
    {"RCPT", on_rcpt, MAIL | RCPT, 0},
    {"DATA", on_data, RCPT, GROUP_END | NO_ARGS},
    {"BDAT", on_bdat, ALWAYS, 0}, /* minds the state itself */
    {"RSET", on_rset, ALWAYS, JUNK | NO_ARGS},
    {"NOOP", on_noop, ALWAYS, JUNK},
    {"VRFY", on_vrfy, ALWAYS, JUNK},
    {"EXPN", on_expn, ALWAYS, JUNK},
    {"HELP", on_help, ALWAYS, JUNK},
    {"QUIT", on_quit, ALWAYS, NO_ARGS},
    {"CONNECT", on_http, ALWAYS, 0},
    {"DELETE", on_http, ALWAYS, 0},
    {"GET", on_http, ALWAYS, 0},
    {"HEAD", on_http, ALWAYS, 0},
    {"OPTIONS", on_http, ALWAYS, 0},
    {"PATCH", on_http, ALWAYS, 0},
    {"POST", on_http, ALWAYS, 0},
    {"PRI", on_http, ALWAYS, 0}, /* the preface of HTTP/2 */
    {"PUT", on_http, ALWAYS, 0},
    {"TRACE", on_http, ALWAYS, 0},
};

static const struct verb *
find_verb(struct slice name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (slice_is_nocase(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

static enum smtp_session_turn
refuse_early(struct smtp_server *s, const struct verb *verb)
{
    if (verb->run == on_starttls)
        return smtp_session_close(s, "554 5.5.1 Octets behind STARTTLS",
                                  "octets behind STARTTLS");
    return smtp_session_close(s, "503 5.5.0 Wait for the reply first",
                              "pipelining where it is not allowed");
}

static enum smtp_session_turn
carry_out(struct smtp_server *s, const struct verb *verb, struct slice args,
          bool behind)
{
    s->junk += (verb->flags & JUNK) != 0;
    if ((verb->flags & GROUP_END) && behind)
        return refuse_early(s, verb);
    if ((verb->flags & NO_ARGS) && args.len > 0)
        return reply(s, "501 5.5.4 The command takes no arguments");
    if (verb->legal & (1U << s->state))
        return verb->run(s, args);
    /* RFC 3030 section 2: BDAT and DATA don't mix, and what was there of the
     * message is void. */
    if (verb->run == on_data && s->state == SMTP_SESSION_BDAT)
        smtp_session_reset(s, "DATA behind BDAT");
    return reply(s, refuse_state(s, verb->legal));
}

enum smtp_session_turn
smtp_verb_run(struct smtp_server *s, struct slice line, bool behind)
{
    unsigned replies = s->replies;
    struct smtp_command command;
    const struct verb *verb;
    enum smtp_session_turn turn;

    if (!smtp_command_parse(line, &command))
        return reply(s, "501 5.5.2 Control character in the command");
    verb = find_verb(command.verb);
    if (!verb)
        return reply(s, "500 5.5.1 Unknown command");
    turn = carry_out(s, verb, command.args, behind);
    if (verb->flags & SECRET)
        explicit_bzero(s->reader.line, sizeof(s->reader.line));

    /* A handler that forgot to answer is found here. */
    assert(turn != SMTP_SESSION_PEER || s->replies > replies ||
           s->mode != SMTP_SESSION_COMMANDS);
    return turn;
}
