/*
 * tests/bench/sink - an SMTP server that counts messages and drops them, on
 * loopback only.
 *
 *     sink --port N [--cert FILE --key FILE [--require-tls]]
 *          [--no-pipelining] [--chunking] [--wait N]
 *
 * With --wait it ends when N different messages have come, otherwise at the
 * end of its standard input, which takes one command a line, each answered by
 * one JSON object:
 *
 *     show                 what was counted
 *     reset                the same, and counts from zero
 *     wait N SECONDS       show, as soon as N different messages have come, or
 *                          after so many seconds without a new one
 *
 * Messages are told apart by the sequence number that loadgen puts into them.
 */
#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "tests/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    LINE = 1024,
    HEAD = 4096, /* of a message, looked through for its number */
    INPUT = 128 << 10,
    BACKLOG = 4096,
    SEQUENCE_MAX = 64 << 20,
};

enum state {
    STATE_COMMAND,
    STATE_DATA,
    STATE_BDAT,
};

struct counts {
    uint64_t messages, unique, duplicate, unnumbered;
    uint64_t connections, connections_most, handshakes, resumed, failed;
    uint64_t first_ns, last_ns; /* of unique messages */
};

struct peer {
    int fd;
    SSL *ssl; /* NULL: in clear */
    bool is_shaking, begins_tls, is_over;
    enum state state;
    char line[LINE];
    size_t line_len;
    bool has_rcpt;
    unsigned matched; /* characters of the end of the data */
    uint64_t chunk_left;
    bool is_last_chunk;
    char *head;
    size_t head_len;
    struct buf out;
};

struct sink {
    in_port_t port;
    const char *cert, *key;
    bool require_tls, no_pipelining, chunking;
    uint64_t wait; /* --wait */

    int poll, listener;
    SSL_CTX *tls;
    struct counts counts;
    uint64_t open; /* connections */
    uint8_t *seen; /* a bit for each number */
    char *input;
    struct buf commands;
    uint64_t wanted, quiet_ns, progress_ns; /* the `wait` under way */
    bool is_waiting, is_over;
};

/* --- what is counted --- */

static void
show(struct sink *s)
{
    const struct counts *c = &s->counts;

    printf("{\"messages\": %llu, \"unique\": %llu, \"duplicate\": %llu, "
           "\"unnumbered\": %llu, \"connections\": %llu, "
           "\"connections_most\": %llu, \"handshakes\": %llu, "
           "\"resumed\": %llu, \"handshakes_failed\": %llu, "
           "\"first_ns\": %llu, \"last_ns\": %llu}\n",
           (unsigned long long)c->messages, (unsigned long long)c->unique,
           (unsigned long long)c->duplicate, (unsigned long long)c->unnumbered,
           (unsigned long long)c->connections,
           (unsigned long long)c->connections_most,
           (unsigned long long)c->handshakes, (unsigned long long)c->resumed,
           (unsigned long long)c->failed, (unsigned long long)c->first_ns,
           (unsigned long long)c->last_ns);
    (void)fflush(stdout);
}

static void
look_after_waiting(struct sink *s)
{
    if (!s->is_waiting)
        return;
    if (s->counts.unique < s->wanted &&
        bench_now_ns() < s->progress_ns + s->quiet_ns)
        return;
    s->is_waiting = false;
    show(s);
}

static void
count_unique(struct sink *s)
{
    s->progress_ns = s->counts.last_ns = bench_now_ns();
    if (s->counts.unique++ == 0)
        s->counts.first_ns = s->counts.last_ns;
    if (s->is_waiting && s->counts.unique >= s->wanted)
        look_after_waiting(s);
    if (s->wait && s->counts.unique >= s->wait)
        s->is_over = true;
}

static void
count_message(struct sink *s, struct peer *p)
{
    static const char mark[] = BENCH_SEQUENCE;
    struct slice rest = {p->head, p->head_len}, digits;
    const char *at = memmem(rest.p, rest.len, mark, sizeof(mark) - 1);
    unsigned long long n;

    s->counts.messages++;
    rest = slice_from(rest,
                      at ? (size_t)(at - rest.p) + sizeof(mark) - 1 : rest.len);
    digits = slice_cut(&rest, '\r');
    if (!slice_number(digits, SEQUENCE_MAX - 1, &n)) {
        s->counts.unnumbered++;
    } else if (s->seen[n >> 3] & (1U << (n & 7U))) {
        s->counts.duplicate++;
    } else {
        s->seen[n >> 3] |= (uint8_t)(1U << (n & 7U));
        count_unique(s);
    }
    p->head_len = 0;
    p->has_rcpt = false;
    p->state = STATE_COMMAND;
    buf_add_text(&p->out, "250 2.0.0 counted\r\n");
}

/* --- the dialog --- */

static void
offer(const struct sink *s, struct peer *p)
{
    buf_add_text(&p->out, "250-sink.bench.example\r\n");
    if (!s->no_pipelining)
        buf_add_text(&p->out, "250-PIPELINING\r\n");
    if (s->chunking)
        buf_add_text(&p->out, "250-CHUNKING\r\n");
    if (s->tls && !p->ssl)
        buf_add_text(&p->out, "250-STARTTLS\r\n");
    buf_add_text(&p->out, "250-ENHANCEDSTATUSCODES\r\n250-SIZE 104857600\r\n"
                          "250 8BITMIME\r\n");
}

static void
begin_chunk(struct peer *p, struct slice arguments)
{
    struct slice size = slice_cut(&arguments, ' ');
    unsigned long long n;

    if (!slice_number(size, UINT32_MAX, &n)) {
        p->is_over = true;
        return;
    }
    p->state = STATE_BDAT;
    p->chunk_left = n;
    p->is_last_chunk = slice_is_nocase(arguments, "LAST");
}

static void
begin_data(struct peer *p)
{
    if (!p->has_rcpt) {
        buf_add_text(&p->out, "503 5.5.1 RCPT first\r\n");
        return;
    }
    buf_add_text(&p->out, "354 go on\r\n");
    p->state = STATE_DATA;
    p->matched = 2; /* a message may end where it begins */
}

static void
obey_in_mail(struct peer *p, struct slice line)
{
    if (slice_starts_nocase(line, "MAIL")) {
        p->has_rcpt = false;
        buf_add_text(&p->out, "250 2.1.0 ok\r\n");
    } else if (slice_starts_nocase(line, "RCPT")) {
        p->has_rcpt = true;
        buf_add_text(&p->out, "250 2.1.5 ok\r\n");
    } else if (slice_is_nocase(line, "DATA")) {
        begin_data(p);
    } else if (slice_starts_nocase(line, "BDAT ")) {
        begin_chunk(p, slice_from(line, 5));
    } else {
        buf_add_text(&p->out, "500 5.5.2 what is that\r\n");
    }
}

static void
obey(const struct sink *s, struct peer *p, struct slice line)
{
    if (slice_starts_nocase(line, "EHLO")) {
        offer(s, p);
    } else if (slice_is_nocase(line, "STARTTLS") && s->tls && !p->ssl) {
        buf_add_text(&p->out, "220 2.0.0 go on\r\n");
        p->begins_tls = true;
    } else if (slice_is_nocase(line, "QUIT")) {
        buf_add_text(&p->out, "221 2.0.0 bye\r\n");
        p->is_over = true;
    } else if (slice_is_nocase(line, "RSET") || slice_is_nocase(line, "NOOP")) {
        buf_add_text(&p->out, "250 2.0.0 ok\r\n");
    } else if (s->require_tls && !p->ssl) {
        buf_add_text(&p->out, "530 5.7.0 STARTTLS first\r\n");
    } else {
        obey_in_mail(p, line);
    }
}

static size_t
take_line(struct sink *s, struct peer *p, struct slice in)
{
    const char *end = memchr(in.p, '\n', in.len);
    size_t len = end ? (size_t)(end - in.p) + 1 : in.len;

    if (p->line_len + len > sizeof(p->line)) {
        p->is_over = true;
        return len;
    }
    memcpy(p->line + p->line_len, in.p, len);
    p->line_len += len;
    if (end) {
        struct slice line = {p->line, p->line_len - 1};

        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        p->line_len = 0;
        obey(s, p, line);
    }
    return len;
}

static void
keep_head(struct peer *p, struct slice in)
{
    struct slice part = slice_first(in, HEAD - p->head_len);

    if (!p->head)
        p->head = mem_array(char, HEAD);
    memcpy(p->head + p->head_len, part.p, part.len);
    p->head_len += part.len;
}

/* How much of `in` belongs to the data; `matched` is 5 at its end. */
static size_t
measure_data(struct peer *p, struct slice in)
{
    static const char end[] = "\r\n.\r\n";
    size_t i = 0;

    while (i < in.len && p->matched < 5) {
        if (p->matched == 0) {
            const char *cr = memchr(in.p + i, '\r', in.len - i);

            if (!cr)
                return in.len;
            i = (size_t)(cr - in.p);
        }
        if (in.p[i] == end[p->matched])
            p->matched++;
        else
            p->matched = in.p[i] == '\r';
        i++;
    }
    return i;
}

static size_t
take_data(struct sink *s, struct peer *p, struct slice in)
{
    size_t len = measure_data(p, in);

    keep_head(p, slice_first(in, len));
    if (p->matched == 5)
        count_message(s, p);
    return len;
}

static size_t
take_chunk(struct sink *s, struct peer *p, struct slice in)
{
    size_t len = in.len < p->chunk_left ? in.len : (size_t)p->chunk_left;

    keep_head(p, slice_first(in, len));
    p->chunk_left -= len;
    if (p->chunk_left > 0)
        return len;
    if (p->is_last_chunk) {
        count_message(s, p);
    } else {
        p->state = STATE_COMMAND;
        buf_add_text(&p->out, "250 2.0.0 go on\r\n");
    }
    return len;
}

static void
take_input(struct sink *s, struct peer *p, struct slice in)
{
    while ((in.len > 0 || (p->state == STATE_BDAT && p->chunk_left == 0)) &&
           !p->is_over && !p->begins_tls) {
        size_t used = 0;

        switch (p->state) {
        case STATE_COMMAND:
            used = take_line(s, p, in);
            break;
        case STATE_DATA:
            used = take_data(s, p, in);
            break;
        case STATE_BDAT:
            used = take_chunk(s, p, in);
            break;
        }
        in = slice_from(in, used);
    }
}

/* --- connections --- */

static void
close_peer(struct sink *s, struct peer *p)
{
    if (p->ssl && !p->is_shaking)
        (void)SSL_shutdown(p->ssl);
    SSL_free(p->ssl);
    own_close(&p->fd);
    buf_free(&p->out);
    free(p->head);
    free(p);
    s->open--;
}

/* Replies are short: who does not read them is not waited for. */
static void
send_out(struct peer *p)
{
    ssize_t n = 0;

    if (p->out.len == 0)
        return;
    if (p->ssl)
        n = SSL_write(p->ssl, p->out.p, (int)p->out.len);
    else
        n = send(p->fd, p->out.p, p->out.len, MSG_NOSIGNAL);
    if (n != (ssize_t)p->out.len)
        p->is_over = true;
    buf_clear(&p->out);
}

static void
begin_tls(const struct sink *s, struct peer *p)
{
    p->begins_tls = false;
    p->ssl = SSL_new(s->tls);
    if (!p->ssl || SSL_set_fd(p->ssl, p->fd) != 1)
        abort();
    SSL_set_accept_state(p->ssl);
    p->is_shaking = true;
}

/* Whether there is more to read now. */
static bool
shake(struct sink *s, struct peer *p)
{
    int result = SSL_do_handshake(p->ssl);

    if (result == 1) {
        p->is_shaking = false;
        s->counts.handshakes++;
        s->counts.resumed += (uint64_t)(SSL_session_reused(p->ssl) != 0);
        return true;
    }
    if (SSL_get_error(p->ssl, result) != SSL_ERROR_WANT_READ) {
        s->counts.failed++;
        p->is_over = true;
    }
    return false;
}

static ssize_t
receive(struct sink *s, struct peer *p)
{
    int n;

    if (!p->ssl) {
        ssize_t got = recv(p->fd, s->input, INPUT, 0);

        p->is_over |= got == 0 || (got < 0 && errno != EAGAIN);
        return got;
    }
    n = SSL_read(p->ssl, s->input, INPUT);
    p->is_over |= n <= 0 && SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ;
    return n;
}

static void
take_event(struct sink *s, struct peer *p)
{
    ssize_t n = 1;

    while (n > 0 && !p->is_over) {
        if (p->is_shaking && !shake(s, p))
            break;
        n = receive(s, p);
        if (n <= 0)
            break;
        take_input(s, p, (struct slice){s->input, (size_t)n});
        send_out(p);
        if (p->begins_tls)
            begin_tls(s, p);
        else if (!p->ssl)
            break; /* the poll tells of more */
    }
    if (p->is_over)
        close_peer(s, p);
}

static void
accept_all(struct sink *s)
{
    struct epoll_event e = {.events = EPOLLIN};
    int one = 1, fd;

    while ((fd = accept4(s->listener, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *p = mem_new(struct peer);

        p->fd = fd;
        e.data.ptr = p;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (epoll_ctl(s->poll, EPOLL_CTL_ADD, fd, &e) != 0)
            abort();
        s->counts.connections++;
        if (++s->open > s->counts.connections_most)
            s->counts.connections_most = s->open;
        buf_add_text(&p->out, "220 sink.bench.example ESMTP\r\n");
        send_out(p);
    }
}

/* --- commands --- */

static void
begin_wait(struct sink *s, struct slice arguments)
{
    struct slice count = slice_cut(&arguments, ' ');
    unsigned long long n = 0, seconds = 0;

    if (!slice_number(count, SEQUENCE_MAX, &n) ||
        !slice_number(arguments, 86400, &seconds)) {
        (void)fprintf(stderr, "wait N SECONDS\n");
        exit(2);
    }
    s->is_waiting = true;
    s->wanted = n;
    s->quiet_ns = seconds * 1000000000U;
    s->progress_ns = bench_now_ns();
    look_after_waiting(s);
}

static void
reset(struct sink *s)
{
    show(s);
    s->counts = (struct counts){.connections_most = s->open};
    memset(s->seen, 0, SEQUENCE_MAX / 8);
}

static void
command(struct sink *s, struct slice line)
{
    struct slice word = slice_cut(&line, ' ');

    if (slice_is(word, "show"))
        show(s);
    else if (slice_is(word, "reset"))
        reset(s);
    else if (slice_is(word, "wait"))
        begin_wait(s, line);
}

static void
take_commands(struct sink *s)
{
    ssize_t n = read(STDIN_FILENO, buf_room(&s->commands, LINE), LINE);
    const char *end;

    if (n <= 0) {
        s->is_over = true;
        return;
    }
    s->commands.len += (size_t)n;
    while ((end = memchr(s->commands.p, '\n', s->commands.len)) != NULL) {
        size_t len = (size_t)(end - s->commands.p);

        command(s, (struct slice){s->commands.p, len});
        buf_drop(&s->commands, len + 1);
    }
}

/* --- the run --- */

static void
open_tls(struct sink *s)
{
    if (!s->cert)
        return;
    s->tls = SSL_CTX_new(TLS_server_method());
    if (!s->tls || SSL_CTX_use_certificate_chain_file(s->tls, s->cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(s->tls, s->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_session_id_context(s->tls, (const uint8_t *)"sink", 4) !=
            1) {
        (void)fprintf(stderr, "%s: not a certificate with its key\n", s->cert);
        exit(1);
    }
}

static void
open_listener(struct sink *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(s->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event e = {.events = EPOLLIN};
    int one = 1;

    s->listener =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(s->listener, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(s->listener, BACKLOG) != 0) {
        perror("sink");
        exit(1);
    }
    e.data.ptr = &s->listener;
    if (epoll_ctl(s->poll, EPOLL_CTL_ADD, s->listener, &e) != 0)
        abort();
    e.data.ptr = &s->commands;
    if (!s->wait && epoll_ctl(s->poll, EPOLL_CTL_ADD, STDIN_FILENO, &e) != 0) {
        perror("standard input");
        exit(1);
    }
}

static void
run(struct sink *s)
{
    while (!s->is_over) {
        struct epoll_event event[EVENTS];
        int n = epoll_wait(s->poll, event, EVENTS, s->is_waiting ? 100 : -1);

        for (int i = 0; i < n; i++) {
            if (event[i].data.ptr == &s->listener)
                accept_all(s);
            else if (event[i].data.ptr == &s->commands)
                take_commands(s);
            else
                take_event(s, event[i].data.ptr);
        }
        look_after_waiting(s);
    }
    if (s->wait)
        show(s);
}

static void
parse(struct sink *s, int argc, char **argv)
{
    enum {
        PORT = 'p',
        CERT = 'c',
        KEY = 'k',
        REQUIRE = 'r',
        NO_PIPELINING = 'n',
        CHUNKING = 'b',
        WAIT = 'w'
    };
    static const struct option options[] = {
        {"port", required_argument, NULL, PORT},
        {"cert", required_argument, NULL, CERT},
        {"key", required_argument, NULL, KEY},
        {"require-tls", no_argument, NULL, REQUIRE},
        {"no-pipelining", no_argument, NULL, NO_PIPELINING},
        {"chunking", no_argument, NULL, CHUNKING},
        {"wait", required_argument, NULL, WAIT},
        {0},
    };
    int found;

    while ((found = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (found) {
        case PORT:
            s->port = (in_port_t)bench_number("--port", optarg);
            break;
        case CERT:
            s->cert = optarg;
            break;
        case KEY:
            s->key = optarg;
            break;
        case REQUIRE:
            s->require_tls = true;
            break;
        case NO_PIPELINING:
            s->no_pipelining = true;
            break;
        case CHUNKING:
            s->chunking = true;
            break;
        case WAIT:
            s->wait = bench_number("--wait", optarg);
            break;
        default:
            exit(2);
        }
    }
}

int
main(int argc, char **argv)
{
    struct sink s = {0};
    struct rlimit files;

    parse(&s, argc, argv);
    if (s.port == 0 || !s.cert != !s.key || (s.require_tls && !s.cert)) {
        (void)fprintf(stderr, "--port is needed; --cert and --key go together, "
                              "--require-tls with both\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    s.seen = mem_array(uint8_t, SEQUENCE_MAX / 8);
    s.input = mem_array(char, INPUT);
    s.poll = epoll_create1(EPOLL_CLOEXEC);
    open_tls(&s);
    open_listener(&s);
    run(&s);
    return 0;
}
