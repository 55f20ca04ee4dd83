#include "relay/cli/submit.h"

#include "relay/base/mem.h"
#include "relay/base/text.h"
#include "relay/cli/command.h"
#include "relay/cli/letter.h"
#include "relay/cli/smtp_socket.h"
#include "relay/mail/status.h"
#include "smtp/client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>

struct submit {
    int fd;
    struct smtp_client *smtp;
    const struct mail_envelope *envelope;
    struct slice message;
    bool verbose;
    size_t *rcpt;  /* of the transaction: indices into the envelope */
    size_t begun;  /* recipients that were in a transaction so far */
    size_t passed; /* of these, in one that was accepted */
    int code;      /* the first failure's; EX_OK none yet */
    bool over;
};

static void
fail(struct submit *s, int code)
{
    if (s->code == EX_OK)
        s->code = code;
}

/* --- what a refusal means to the caller --- */

static int
exit_code(const struct mail_status *status)
{
    if (mail_status_is_transient(status))
        return EX_TEMPFAIL;
    if (status->subject == 1 || status->code == 501 || status->code == 553)
        return EX_NOUSER; /* RFC 3463 section 3.2: addressing */
    if (status->subject == 6)
        return EX_DATAERR; /* content */
    return EX_UNAVAILABLE;
}

static void
tell(struct submit *s, const struct smtp_client_event *ev, const char *who)
{
    struct mail_status status;
    char enhanced[16];

    mail_status_from_reply(&status, ev->reply->code,
                           (struct slice){ev->reply->text, ev->reply->len});
    if (mail_status_is_success(&status)) {
        if (s->verbose)
            printf("%s%s%d %s\n", who, *who ? ": " : "", status.code,
                   status.text);
        return;
    }
    fail(s, cli_fail(exit_code(&status), "%s%s%d %s %s", who, *who ? ": " : "",
                     status.code, mail_status_enhanced(&status, enhanced),
                     status.text));
}

/* --- the session --- */

static void
begin_mail(struct submit *s)
{
    struct smtp_client_mail mail = {
        .envelope = s->envelope,
        .rcpt = s->rcpt + s->begun,
        .size = s->message.len,
        .has_8bit = cli_letter_has_8bit(s->message),
    };

    mail.rcpt_count = s->envelope->rcpt_count - s->begun;
    if (mail.rcpt_count > SMTP_CLIENT_RCPT_MAX)
        mail.rcpt_count = SMTP_CLIENT_RCPT_MAX;
    if (mail.rcpt_count == 0 || s->code != EX_OK) {
        smtp_client_quit(s->smtp);
        return;
    }
    s->begun += mail.rcpt_count;
    smtp_client_mail(s->smtp, &mail);
}

/* Refused recipients end it before the message is whole: then nobody gets it,
 * and trying again makes no duplicates. */
static void
send_body(struct submit *s)
{
    if (s->code != EX_OK) {
        s->over = true;
        return;
    }
    smtp_client_body(s->smtp, s->message);
    smtp_client_body_end(s->smtp);
}

static void
on_over(struct submit *s, const struct smtp_client_event *ev)
{
    s->over = true;
    if (ev->end == SMTP_CLIENT_END_QUIT)
        return;
    if (ev->reply)
        tell(s, ev, "");
    else
        fail(s, cli_fail(EX_SOFTWARE, "%s",
                         ev->err ? ev->err->text : "the session broke off"));
}

static void
act_on(struct submit *s, const struct smtp_client_event *ev)
{
    switch (ev->kind) {
    case SMTP_CLIENT_START_TLS: /* never: neither was asked for */
    case SMTP_CLIENT_DERIVE:
        break;
    case SMTP_CLIENT_READY:
        begin_mail(s);
        break;
    case SMTP_CLIENT_RCPT:
        tell(s, ev, s->envelope->rcpt[s->rcpt[ev->rcpt]].address);
        break;
    case SMTP_CLIENT_BODY:
        send_body(s);
        break;
    case SMTP_CLIENT_VERDICT:
        tell(s, ev, "");
        if (s->code == EX_OK)
            s->passed = s->begun;
        break;
    case SMTP_CLIENT_OVER:
        on_over(s, ev);
        break;
    }
}

static bool
pump(struct submit *s, struct err *err)
{
    struct smtp_client_event ev;

    while (!s->over && smtp_client_next(s->smtp, &ev))
        act_on(s, &ev);
    return cli_smtp_send(s->fd, smtp_client_output(s->smtp), err);
}

static bool
read_some(struct submit *s, struct err *err)
{
    struct timeval wait = {.tv_sec = smtp_client_wait_s(s->smtp)};
    char piece[4096];
    ssize_t n;
    struct slice in;

    (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    n = recv(s->fd, piece, sizeof(piece), 0);
    if (n < 0)
        return errno == EINTR ||
               err_errno(err, "no answer to %s", smtp_client_step(s->smtp));
    if (n == 0)
        return err_set(err, ERR_SYSTEM, "the relay hung up at %s",
                       smtp_client_step(s->smtp));
    in = (struct slice){piece, (size_t)n};
    while (in.len > 0 && !s->over) {
        size_t used = smtp_client_feed(s->smtp, in);

        if (!pump(s, err))
            return false;
        in = slice_from(in, used);
        if (used == 0)
            break;
    }
    return true;
}

static void
converse(struct submit *s)
{
    struct err err = {0};

    while (!s->over) {
        if (pump(s, &err) && !s->over && read_some(s, &err))
            continue;
        if (s->over)
            return;
        if (s->passed == s->envelope->rcpt_count)
            return; /* only the goodbye was lost */
        s->over = true;
        if (smtp_client_is_in_doubt(s->smtp))
            (void)err_in(&err, "the message may have been taken, or not");
        fail(s, cli_fail(EX_TEMPFAIL, "%s", err.text));
    }
}

int
cli_submit(int fd, const char *our_name, const struct mail_envelope *envelope,
           struct slice message, bool verbose, bool *begun)
{
    struct submit s = {
        .fd = fd, .envelope = envelope, .message = message, .verbose = verbose};

    s.rcpt = mem_array(size_t, envelope->rcpt_count);
    for (size_t i = 0; i < envelope->rcpt_count; i++)
        s.rcpt[i] = i;
    s.smtp = smtp_client_new(our_name, SMTP_CLIENT_TLS_NEVER);
    converse(&s);
    if (s.code != EX_OK && s.passed > 0)
        (void)cli_fail(s.code, "the first %zu recipients were accepted before",
                       s.passed);
    if (s.code == EX_OK && s.passed < envelope->rcpt_count)
        s.code = cli_fail(EX_TEMPFAIL, "the relay did not accept the message");
    *begun = s.begun > 0;
    smtp_client_free(&s.smtp);
    free(s.rcpt);
    return s.code;
}
