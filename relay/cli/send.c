#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/cli/commands.h"
#include "relay/cli/drop.h"
#include "relay/cli/letter.h"
#include "relay/cli/mailq.h"
#include "relay/cli/send_options.h"
#include "relay/cli/smtp_pass.h"
#include "relay/cli/smtp_socket.h"
#include "relay/cli/submit.h"
#include "relay/cli/target.h"
#include "relay/mail/address.h"
#include "smtp/server.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

struct send {
    const struct cli_send_options *options;
    const struct config *config; /* may be NULL */
    char host[256];              /* what bare names belong to */
    struct mail_envelope envelope;
    int code;
};

static void
set_host(struct send *s)
{
    const char *name = s->config ? s->config->hostname : "";

    if (*name)
        (void)snprintf(s->host, sizeof(s->host), "%s", name);
    else if (gethostname(s->host, sizeof(s->host) - 1) != 0)
        (void)snprintf(s->host, sizeof(s->host), "localhost");
}

/* "root" is root on this host. */
static char *
qualified(const struct send *s, const char *address)
{
    return *address && !strchr(address, '@')
               ? mem_printf("%s@%s", address, s->host)
               : mem_text(address);
}

static const char *
user_name(void)
{
    const struct passwd *pw = getpwuid(getuid());

    return pw ? pw->pw_name : "nobody";
}

/* --- the envelope --- */

static void
set_from(struct send *s)
{
    const char *given = s->options->from;
    char *from = qualified(s, given ? given : user_name());
    struct mail_address address;
    struct err err;

    s->envelope.from = from;
    if (*from == '\0')
        return;
    if (!mail_address_parse(slice_of(from), true, &address, &err)) {
        s->code = cli_fail(EX_DATAERR, "the sender %s: %s; -f gives another",
                           from, err.text);
        return;
    }
    s->envelope.smtputf8 |= !address.is_ascii;
}

static bool
is_known(const struct mail_envelope *e, const char *address)
{
    for (size_t i = 0; i < e->rcpt_count; i++)
        if (strcmp(e->rcpt[i].address, address) == 0)
            return true;
    return false;
}

static void
add_recipient(void *ctx, const char *text)
{
    struct send *s = ctx;
    char *whole scoped(own_free) = qualified(s, text);
    struct mail_address address;
    struct mail_rcpt *rcpt;
    struct err err;

    if (!mail_address_parse(slice_of(whole), true, &address, &err)) {
        s->code = cli_fail(EX_NOUSER, "the recipient %s: %s", whole, err.text);
        return;
    }
    if (is_known(&s->envelope, address.text))
        return;
    rcpt = mail_envelope_add(&s->envelope);
    rcpt->address = mem_text(address.text);
    rcpt->domain = mem_text(address.is_literal ? address.text + address.at + 1
                                               : address.domain.text);
    rcpt->notify = s->options->notify;
    s->envelope.smtputf8 |= !address.is_ascii;
}

/* --- the message --- */

static bool
read_stdin(struct buf *in, struct err *err)
{
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buf_room(in, 65536), 65536);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "stdin");
        if (n == 0)
            return true;
        in->len += (size_t)n;
        if (in->len > CLI_LETTER_MAX)
            return err_set(err, ERR_LIMIT, "the message is too large");
    }
}

static int
read_letter(struct send *s, struct buf *out)
{
    struct buf raw scoped(buf_free) = {0}, lines scoped(buf_free) = {0};
    struct cli_letter_wish wish = {
        .take_recipients = s->options->take_recipients,
        .from = s->envelope.from,
        .name = s->options->name,
    };
    struct err err;

    if (!read_stdin(&raw, &err))
        return cli_fail(err.kind == ERR_LIMIT ? EX_DATAERR : EX_NOINPUT, "%s",
                        err.text);
    cli_letter_lines(buf_slice(&raw), s->options->dots, &lines);
    if (!cli_letter_make(buf_slice(&lines), &wish, add_recipient, s, out, &err))
        return cli_fail(EX_DATAERR, "the recipients of the message: %s",
                        err.text);
    return s->code;
}

/* --- on its way --- */

/* A relay that was named by hand may be on another host. */
static const char *
maildrop(const struct send *s)
{
    const char *given = getenv("SEALPOST_SMTP");

    if (given && *given)
        return NULL;
    if (!s->config)
        return CONFIG_MAILDROP_DEFAULT;
    return s->config->maildrop.enabled ? s->config->maildrop.directory : NULL;
}

static bool
has_long_line(struct slice message)
{
    while (message.len > 0)
        if (slice_cut(&message, '\n').len >= SMTP_SERVER_LINE_MAX)
            return true;
    return false;
}

/* What the relay would refuse later, when there is nobody to be told. */
static int
check_for_drop(const struct send *s, struct slice message)
{
    if (message.len > 0 && memchr(message.p, '\0', message.len))
        return cli_fail(EX_DATAERR, "the message is no text: it has a NUL");
    if (has_long_line(message))
        return cli_fail(EX_DATAERR,
                        "the message has a line of more than %d "
                        "octets",
                        SMTP_SERVER_LINE_MAX);
    if (s->config && message.len > s->config->access.size_max)
        return cli_fail(EX_UNAVAILABLE,
                        "the message is larger than the relay takes");
    return EX_OK;
}

/* `why` the relay was not given it, for people; `code` for that when it can't
 * be left either. */
static int
leave(struct send *s, struct slice message, int code, const char *why)
{
    const char *directory = maildrop(s);
    char *path scoped(own_free) = NULL;
    struct err err;
    int bad;

    if (!directory)
        return cli_fail(code, "%s", why);
    bad = check_for_drop(s, message);
    if (bad != EX_OK)
        return bad;
    if (!cli_drop(directory, s->host, &s->envelope, message, &path, &err))
        return cli_fail(code, "%s; nor can it be left in %s", why, err.text);
    if (s->options->verbose)
        printf("%s; left in %s\n", why, path);
    return EX_OK;
}

static int
submit(struct send *s, int fd, struct slice message)
{
    bool begun = false;
    int code = cli_submit(fd, s->host, &s->envelope, message,
                          s->options->verbose, &begun);

    if (code != EX_TEMPFAIL || begun)
        return code;
    return leave(s, message, code, "the relay was not told of the message");
}

/* REQUIRETLS is asked for where nobody can listen: RFC 8689 section 4.1. */
static int
hand_over(struct send *s, struct slice message)
{
    char *where scoped(own_free) = NULL;
    char *why scoped(own_free) = NULL;
    int fd scoped(own_close) = -1;
    bool is_private = s->options->requiretls;
    struct err err;

    if (cli_smtp_open(s->config, is_private, &fd, &where, &err))
        return submit(s, fd, message);
    if (is_private && err.kind == ERR_MISSING)
        return leave(s, message, EX_UNAVAILABLE,
                     "requiretls: there is no listener on a Unix socket, and "
                     "TCP is in clear");
    why = mem_printf("the relay can't be reached at %s: %s", where, err.text);
    return leave(s, message, EX_TEMPFAIL, why);
}

static int
send_message(struct send *s, const struct cli_command *self, int argc,
             char **argv)
{
    struct buf message scoped(buf_free) = {0};
    struct err err;
    int code;

    set_from(s);
    for (int i = 1; i < argc; i++)
        if (!cli_letter_list(slice_of(argv[i]), add_recipient, s, &err))
            return cli_fail(EX_NOUSER, "%s", err.text);
    if (s->code != EX_OK)
        return s->code;
    if (s->envelope.rcpt_count == 0 && !s->options->take_recipients)
        return cli_command_misuse(self, "to whom? name recipients, or -t");
    code = read_letter(s, &message);
    if (code != EX_OK)
        return code;
    if (s->envelope.rcpt_count == 0)
        return cli_fail(EX_USAGE, "the message has no recipients");
    return hand_over(s, buf_slice(&message));
}

/* --- the other modes --- */

static int
pass_smtp(const struct config *config)
{
    char *where scoped(own_free) = NULL;
    int fd scoped(own_close) = -1;
    struct err err;

    if (!cli_smtp_open(config, false, &fd, &where, &err))
        return cli_fail(EX_TEMPFAIL, "the relay can't be reached at %s: %s",
                        where, err.text);
    if (!cli_smtp_pass(fd, &err))
        return cli_fail(EX_TEMPFAIL, "%s", err.text);
    return EX_OK;
}

int
cli_send(const struct cli_command *self, int argc, char **argv)
{
    struct cli_send_options options = {0};
    struct cli_target target = {0};
    struct send send = {.options = &options};
    int code = cli_send_options(self, &options, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    target.file = options.config;
    target.given_socket = options.socket;
    cli_target_open(&target);
    switch (options.mode) {
    case CLI_SEND_MESSAGE:
        send.config = cli_target_config(&target);
        set_host(&send);
        send.envelope.ret = options.ret;
        send.envelope.requiretls = options.requiretls;
        send.envelope.envid = mem_text(options.envid);
        code = send_message(&send, self, argc, argv);
        mail_envelope_done(&send.envelope);
        break;
    case CLI_SEND_SMTP:
        code = pass_smtp(cli_target_config(&target));
        break;
    case CLI_SEND_QUEUE:
        code = cli_mailq_print(&target, false);
        break;
    case CLI_SEND_NOTHING:
        code = EX_OK;
        break;
    }
    cli_target_close(&target);
    return code;
}
