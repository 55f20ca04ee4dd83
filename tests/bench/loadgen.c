/*
 * tests/bench/loadgen - an SMTP client that makes load, over loopback only.
 *
 *     loadgen --port N [--sessions N] [--count N] [--size OCTETS]
 *             [--first N] [--one-per-connection] [--seconds N]
 *             [--starttls] [--plain RESPONSE]
 *
 * Each session is a closed loop: it sends its next message when the last one
 * was answered, one command a round trip, over one connection for all of them
 * or one for each.  What is refused or lost is counted, and sent again.
 * RESPONSE is that of AUTH PLAIN, in base64; with --starttls it comes after
 * TLS, whose certificate is not looked at. Prints one JSON object.  dot_us is
 * the time from just before the write of the final dot to its 250; rate counts
 * from the first connect to the last 250.
 */
#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/text.h"
#include "tests/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    INPUT = 2048,
    ERRORS_MAX = 1000, /* then it is no use to go on */
    ERROR_NAP_MS = 20,
};

enum step {
    STEP_CONNECT,
    STEP_GREETING,
    STEP_EHLO,
    STEP_STARTTLS,
    STEP_AUTH,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_DOT,
    STEP_QUIT,
    STEP_OVER,
};

struct session {
    struct load *load;
    int fd;
    SSL *ssl; /* NULL: in clear */
    bool is_shaking;
    enum step step;
    bool has_message, waits_to_send;
    uint64_t sequence; /* of the message under way */
    uint64_t dot_ns;
    struct buf out;
    size_t out_from;
    char in[INPUT];
    size_t in_len;
};

struct load {
    in_port_t port;
    size_t sessions, count, size, seconds;
    uint64_t first;
    bool one_per_connection, starttls;
    const char *plain; /* NULL: no AUTH */

    SSL_CTX *tls;
    int poll;
    struct session *session;
    struct buf body;
    size_t begun, acked, over;
    uint64_t *again; /* messages that were refused or lost */
    size_t again_count, errors;
    char first_error[200];
    uint32_t *dot_us;
    uint64_t began_ns, last_ns;
};

/* The step whose reply is read, and the class of reply that it wants. */
static const struct {
    const char *name;
    char wanted;
} steps[] = {
    [STEP_CONNECT] = {"connect", '2'}, [STEP_GREETING] = {"greeting", '2'},
    [STEP_EHLO] = {"EHLO", '2'},       [STEP_STARTTLS] = {"STARTTLS", '2'},
    [STEP_AUTH] = {"AUTH", '2'},       [STEP_MAIL] = {"MAIL", '2'},
    [STEP_RCPT] = {"RCPT", '2'},       [STEP_DATA] = {"DATA", '3'},
    [STEP_DOT] = {"dot", '2'},         [STEP_QUIT] = {"QUIT", '2'},
    [STEP_OVER] = {"end", '2'},
};

static void
poll_for(struct session *s, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    if (epoll_ctl(s->load->poll, how, s->fd, &e) != 0)
        abort();
}

static void
open_session(struct session *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(s->load->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->step = STEP_CONNECT;
    s->out_from = 0;
    buf_clear(&s->out);
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(s->fd, (const struct sockaddr *)&to, sizeof(to)) != 0 &&
        errno != EINPROGRESS)
        perror("connect"); /* the event that follows tells the same */
    poll_for(s, EPOLL_CTL_ADD, EPOLLOUT);
}

static bool
has_more(const struct load *l)
{
    return l->again_count > 0 || l->begun < l->count;
}

static void
close_session(struct session *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
    s->is_shaking = false;
    own_close(&s->fd);
    s->in_len = 0;
    s->waits_to_send = false;
    if (has_more(s->load)) {
        open_session(s);
        return;
    }
    s->step = STEP_OVER;
    s->load->over++;
}

static void
fail(struct session *s, struct slice why)
{
    struct load *l = s->load;
    struct timespec nap = {.tv_nsec = ERROR_NAP_MS * 1000000L};

    if (l->errors++ == 0)
        (void)snprintf(l->first_error, sizeof(l->first_error), "%s: %.*s",
                       steps[s->step].name, (int)slice_first(why, 150).len,
                       why.p);
    if (l->errors > ERRORS_MAX) {
        (void)fprintf(stderr, "too many errors; the first: %s\n",
                      l->first_error);
        exit(1);
    }
    if (s->has_message)
        l->again[l->again_count++] = s->sequence;
    s->has_message = false;
    (void)nanosleep(&nap, NULL);
    close_session(s);
}

/* As recv and send, in TLS where there is TLS. */
static ssize_t
tls_result(struct session *s, int n)
{
    int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, n);

    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_NONE)
        return n;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
                ? EAGAIN
                : EPROTO;
    return -1;
}

static ssize_t
receive(struct session *s, char *to, size_t room)
{
    return s->ssl ? tls_result(s, SSL_read(s->ssl, to, (int)room))
                  : recv(s->fd, to, room, 0);
}

static ssize_t
transmit(struct session *s, const char *from, size_t len)
{
    return s->ssl ? tls_result(s, SSL_write(s->ssl, from, (int)len))
                  : send(s->fd, from, len, MSG_NOSIGNAL);
}

static void
send_out(struct session *s)
{
    while (s->out_from < s->out.len) {
        ssize_t n;

        if (s->step == STEP_DOT)
            s->dot_ns = bench_now_ns();
        n = transmit(s, s->out.p + s->out_from, s->out.len - s->out_from);
        if (n < 0 && errno == EAGAIN) {
            s->waits_to_send = true;
            poll_for(s, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            fail(s, slice_of(strerror(errno)));
            return;
        }
        s->out_from += (size_t)n;
    }
    if (s->waits_to_send)
        poll_for(s, EPOLL_CTL_MOD, EPOLLIN);
    s->waits_to_send = false;
    s->out_from = 0;
    buf_clear(&s->out);
}

/* --- the dialog --- */

static void
begin_message(struct session *s)
{
    struct load *l = s->load;

    s->has_message = true;
    s->sequence =
        l->again_count > 0 ? l->again[--l->again_count] : l->first + l->begun++;
    buf_add_text(&s->out, "MAIL FROM:<sender@client.bench.example>\r\n");
    s->step = STEP_MAIL;
}

static void
add_message(struct session *s)
{
    const struct load *l = s->load;
    size_t head;

    buf_printf(&s->out,
               BENCH_SEQUENCE
               "%llu\r\n"
               "From: <sender@client.bench.example>\r\n"
               "To: <user@sink.bench.example>\r\n"
               "Subject: bench\r\n"
               "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
               "Message-ID: <%llu.%zu@client.bench.example>\r\n"
               "MIME-Version: 1.0\r\n"
               "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
               (unsigned long long)s->sequence, (unsigned long long)s->sequence,
               (size_t)(s - l->session));
    head = s->out.len;
    if (head + 2 < l->size)
        buf_add(&s->out, slice_first(buf_slice(&l->body), l->size - head - 2));
    if (s->out.p[s->out.len - 1] == '\r')
        s->out.len--; /* the cut must not leave a bare CR */
    buf_add_text(&s->out, "\r\n.\r\n");
}

static void
count_ack(struct session *s)
{
    struct load *l = s->load;

    l->last_ns = bench_now_ns();
    l->dot_us[l->acked++] = (uint32_t)((l->last_ns - s->dot_ns) / 1000);
    s->has_message = false;
}

static void
begin_or_quit(struct session *s, bool may_go_on)
{
    if (may_go_on && has_more(s->load)) {
        begin_message(s);
        return;
    }
    buf_add_text(&s->out, "QUIT\r\n");
    s->step = STEP_QUIT;
}

static void
say_ehlo(struct session *s)
{
    buf_add_text(&s->out, "EHLO client.bench.example\r\n");
    s->step = STEP_EHLO;
}

static void
shake(struct session *s)
{
    int result = SSL_do_handshake(s->ssl);

    if (result == 1) {
        s->is_shaking = false;
        say_ehlo(s);
        send_out(s);
    } else if (SSL_get_error(s->ssl, result) != SSL_ERROR_WANT_READ) {
        fail(s, slice_of("the handshake failed"));
    }
}

static void
begin_tls(struct session *s)
{
    s->ssl = SSL_new(s->load->tls);
    if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
        abort();
    SSL_set_connect_state(s->ssl);
    s->is_shaking = true;
    shake(s);
}

/* What an answer to EHLO leads to. */
static void
log_in(struct session *s)
{
    const struct load *l = s->load;

    if (l->starttls && !s->ssl) {
        buf_add_text(&s->out, "STARTTLS\r\n");
        s->step = STEP_STARTTLS;
    } else if (l->plain) {
        buf_printf(&s->out, "AUTH PLAIN %s\r\n", l->plain);
        s->step = STEP_AUTH;
    } else {
        begin_or_quit(s, true);
    }
}

/* The reply that `s->step` waited for has come, and is a good one. */
static void
go_on(struct session *s)
{
    switch (s->step) {
    case STEP_CONNECT:
    case STEP_GREETING:
        say_ehlo(s);
        break;
    case STEP_EHLO:
        log_in(s);
        break;
    case STEP_STARTTLS:
        begin_tls(s);
        return;
    case STEP_AUTH:
        begin_or_quit(s, true);
        break;
    case STEP_MAIL:
        buf_add_text(&s->out, "RCPT TO:<user@sink.bench.example>\r\n");
        s->step = STEP_RCPT;
        break;
    case STEP_RCPT:
        buf_add_text(&s->out, "DATA\r\n");
        s->step = STEP_DATA;
        break;
    case STEP_DATA:
        add_message(s);
        s->step = STEP_DOT;
        break;
    case STEP_DOT:
        count_ack(s);
        begin_or_quit(s, !s->load->one_per_connection);
        break;
    case STEP_QUIT:
    case STEP_OVER:
        close_session(s);
        return;
    }
    send_out(s);
}

/* The first complete line of the input; an empty slice when there is none. */
static struct slice
first_line(const struct session *s)
{
    const char *end = memchr(s->in, '\n', s->in_len);

    return (struct slice){s->in, end ? (size_t)(end - s->in) + 1 : 0};
}

/* One reply at most is owed at any time, so what is behind it is an error of
 * the relay that the next wanted class shows. */
static void
read_replies(struct session *s)
{
    struct slice line = first_line(s);

    while (line.len > 0) {
        bool is_last = line.len < 4 || line.p[3] != '-';
        bool is_good = line.p[0] == steps[s->step].wanted;
        char copy[INPUT];

        memcpy(copy, line.p, line.len);
        s->in_len -= line.len;
        memmove(s->in, s->in + line.len, s->in_len);
        if (is_last && is_good)
            go_on(s);
        else if (is_last)
            fail(s, slice_trim((struct slice){copy, line.len - 1}));
        line = first_line(s);
    }
}

static void
take_event(struct session *s, uint32_t events)
{
    ssize_t n;

    if (s->is_shaking) {
        shake(s);
        return;
    }
    if (s->step == STEP_CONNECT && (events & EPOLLOUT)) {
        s->step = STEP_GREETING;
        poll_for(s, EPOLL_CTL_MOD, EPOLLIN);
    } else if (events & EPOLLOUT) {
        send_out(s);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    n = receive(s, s->in + s->in_len, sizeof(s->in) - s->in_len);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        fail(s,
             slice_of(n < 0 ? strerror(errno) : "the connection was closed"));
        return;
    }
    s->in_len += (size_t)n;
    read_replies(s);
}

/* --- the report --- */

static int
by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t
percentile(const struct load *l, size_t per_mille)
{
    return l->acked ? l->dot_us[(l->acked - 1) * per_mille / 1000] : 0;
}

static void
print_report(struct load *l)
{
    struct buf error scoped(buf_free) = {0};
    double seconds = (double)(l->last_ns - l->began_ns) / 1e9;

    qsort(l->dot_us, l->acked, sizeof(*l->dot_us), by_size);
    text_json(slice_of(l->first_error), &error);
    printf("{\"acked\": %zu, \"errors\": %zu, \"first_error\": %s, "
           "\"seconds\": %.6f, \"rate\": %.1f, \"began_ns\": %llu, "
           "\"last_ns\": %llu, \"dot_us\": {\"p50\": %u, \"p90\": %u, "
           "\"p99\": %u, \"max\": %u}}\n",
           l->acked, l->errors, buf_text(&error), seconds,
           (double)l->acked / seconds, (unsigned long long)l->began_ns,
           (unsigned long long)l->last_ns, percentile(l, 500),
           percentile(l, 900), percentile(l, 990), percentile(l, 1000));
}

/* --- the run --- */

static void
make_body(struct load *l)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog and"
                               " runs on to the end of line. \r\n";

    while (l->body.len < l->size)
        buf_add_text(&l->body, text);
}

static void
parse(struct load *l, int argc, char **argv)
{
    enum {
        PORT = 'p',
        SESSIONS = 's',
        COUNT = 'n',
        SIZE = 'l',
        FIRST = 'f',
        ONE = '1',
        STARTTLS = 'S',
        PLAIN = 'a',
        SECONDS = 't'
    };
    static const struct option options[] = {
        {"port", required_argument, NULL, PORT},
        {"sessions", required_argument, NULL, SESSIONS},
        {"count", required_argument, NULL, COUNT},
        {"size", required_argument, NULL, SIZE},
        {"first", required_argument, NULL, FIRST},
        {"one-per-connection", no_argument, NULL, ONE},
        {"starttls", no_argument, NULL, STARTTLS},
        {"plain", required_argument, NULL, PLAIN},
        {"seconds", required_argument, NULL, SECONDS},
        {0},
    };
    int found, at = 0;

    while ((found = getopt_long(argc, argv, "", options, &at)) != -1) {
        bool is_number = optarg && found != PLAIN;
        uint64_t n = is_number ? bench_number(options[at].name, optarg) : 0;

        switch (found) {
        case PORT:
            l->port = (in_port_t)n;
            break;
        case SESSIONS:
            l->sessions = n;
            break;
        case COUNT:
            l->count = n;
            break;
        case SIZE:
            l->size = n;
            break;
        case FIRST:
            l->first = n;
            break;
        case ONE:
            l->one_per_connection = true;
            break;
        case STARTTLS:
            l->starttls = true;
            break;
        case PLAIN:
            l->plain = optarg;
            break;
        case SECONDS:
            l->seconds = n;
            break;
        default:
            exit(2);
        }
    }
}

static bool
run(struct load *l)
{
    uint64_t end;

    l->began_ns = bench_now_ns();
    l->last_ns = l->began_ns;
    end = l->began_ns + l->seconds * 1000000000U;
    for (size_t i = 0; i < l->sessions; i++) {
        l->session[i].load = l;
        open_session(&l->session[i]);
    }
    while (l->over < l->sessions && bench_now_ns() < end) {
        struct epoll_event event[EVENTS];
        int n = epoll_wait(l->poll, event, EVENTS, 100);

        for (int i = 0; i < n; i++)
            take_event(event[i].data.ptr, event[i].events);
    }
    return l->acked == l->count;
}

int
main(int argc, char **argv)
{
    struct load l = {.sessions = 1, .count = 1, .size = 1024, .seconds = 600};
    bool is_whole;

    parse(&l, argc, argv);
    if (l.port == 0 || l.count == 0 || l.sessions == 0) {
        (void)fprintf(stderr, "--port, --count and --sessions: at least 1\n");
        return 2;
    }
    if (l.sessions > l.count)
        l.sessions = l.count;
    l.tls = SSL_CTX_new(TLS_client_method());
    if (!l.tls)
        abort();
    l.poll = epoll_create1(EPOLL_CLOEXEC);
    l.session = mem_array(struct session, l.sessions);
    l.again = mem_array(uint64_t, l.sessions);
    l.dot_us = mem_array(uint32_t, l.count);
    make_body(&l);
    is_whole = run(&l);
    print_report(&l);
    return is_whole ? 0 : 1;
}
