/* events: what happens in the relay, as it happens. */
#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/event_stream.h"
#include "relay/cli/event_text.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* The relay says something every 15 s. */
enum { SILENCE_MS = 60 * 1000 };

static void
print_json(void *ctx, struct slice data)
{
    (void)ctx;
    printf("%.*s\n", (int)data.len, data.p);
}

static void
print_text(void *ctx, struct slice data)
{
    struct buf out scoped(buf_free) = {0};

    (void)ctx;
    cli_event_text(data, cli_now_ms(), &out);
    (void)fwrite(out.p, 1, out.len, stdout);
}

/* A descriptor that Ctrl-C makes readable, instead of ending us. */
static int
catch_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int
refused(const struct cli_event_stream *s)
{
    struct slice said = cli_event_stream_refusal(s);
    json_auto_t *value = json_loadb(said.p ? said.p : "", said.len, 0, NULL);
    const char *why = cli_text(value, "error");
    int status = cli_event_stream_status(s);

    return cli_fail(status >= 400 && status < 500 ? EX_DATAERR : EX_TEMPFAIL,
                    "%s", *why ? why : "the relay refused");
}

/* CLI_GO_ON while there may come more. */
static int
read_some(int fd, struct cli_event_stream *s)
{
    char piece[16384];
    struct err err;
    ssize_t n = recv(fd, piece, sizeof(piece), 0);

    if (n < 0 && errno == EINTR)
        return CLI_GO_ON;
    if (n > 0 &&
        !cli_event_stream_feed(s, (struct slice){piece, (size_t)n}, &err))
        return cli_fail(EX_PROTOCOL, "%s", err.text);
    (void)fflush(stdout);
    if (ferror(stdout))
        return EX_IOERR;
    if (n > 0 && !cli_event_stream_is_over(s))
        return CLI_GO_ON;
    if (cli_event_stream_is_over(s) && cli_event_stream_status(s) != 200)
        return refused(s);
    return cli_fail(EX_UNAVAILABLE, "the relay has ended");
}

static int
follow(int fd, int signals, cli_event_fn *print)
{
    struct cli_event_stream *s scoped(cli_event_stream_free) =
        cli_event_stream_new(print, NULL);
    int code = CLI_GO_ON;

    while (code == CLI_GO_ON) {
        struct pollfd on[] = {{.fd = fd, .events = POLLIN},
                              {.fd = signals, .events = POLLIN}};
        int n = poll(on, 2, SILENCE_MS);

        if (on[1].revents)
            return EX_OK;
        if (n == 0)
            return cli_fail(EX_UNAVAILABLE, "the relay has gone silent");
        if (on[0].revents)
            code = read_some(fd, s);
    }
    return code;
}

static void
add_query(struct buf *url, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(url, "%c%s=", strchr(buf_text(url), '?') ? '&' : '?', name);
    cli_url_add(url, value);
}

static int
run(struct cli_target *t, const char *url, bool json)
{
    int fd scoped(own_close) = -1, signals scoped(own_close) = catch_signals();
    struct err err;

    if (!cli_control_open(t->socket, "GET", url, &fd, &err))
        return cli_target_none(&err);
    return follow(fd, signals, json ? print_json : print_text);
}

int
cli_events(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    struct buf url scoped(buf_free) = {0};
    const char *event = NULL, *domain = NULL, *from = NULL, *to = NULL;
    const char *id = NULL, *level = NULL;
    bool json = false;
    const struct cli_option options[] = {
        CLI_TARGET_OPTIONS(&target),
        {.name = "event", .letter = 'e', .value = &event},
        {.name = "domain", .letter = 'd', .value = &domain},
        {.name = "from", .value = &from},
        {.name = "to", .value = &to},
        {.name = "id", .value = &id},
        {.name = "level", .value = &level},
        {.name = "json", .flag = &json},
    };
    int code = cli_option_parse(
        self, options, sizeof(options) / sizeof(*options), &argc, argv);

    if (code == CLI_GO_ON && argc > 1)
        code = cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (code != CLI_GO_ON)
        return code;
    buf_add_text(&url, "/v1/events");
    add_query(&url, "event", event);
    add_query(&url, "domain", domain);
    add_query(&url, "from", from);
    add_query(&url, "to", to);
    add_query(&url, "id", id);
    add_query(&url, "level", level);
    cli_target_open(&target);
    code = run(&target, buf_text(&url), json);
    cli_target_close(&target);
    return code;
}
