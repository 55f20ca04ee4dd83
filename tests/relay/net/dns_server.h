/*
 * A DNS server for tests: a thread that answers on UDP and TCP of one loopback
 * port, by the first label of the name it is asked for (see `script` below).
 */
#ifndef TESTS_RELAY_NET_DNS_SERVER_H
#define TESTS_RELAY_NET_DNS_SERVER_H

#include "relay/base/addr.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct dns_server {
    struct addr addr;
    int udp, tcp, stop[2];
    pthread_t thread;
    atomic_int udp_count, tcp_count; /* questions so far */
};

enum {
    FLAG_QR = 0x8000,
    FLAG_TC = 0x0200,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080,
    FLAG_AD = 0x0020,
    FLAGS = FLAG_QR | FLAG_RD | FLAG_RA,
};

struct dns_asked {
    struct dns_server *s;
    bool is_tcp;
    int fd;
    struct sockaddr_in from;
    uint8_t query[600];
    size_t len, question_end;
};

static inline uint8_t *
put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
    return p + 2;
}

static inline uint8_t *
put_record(uint8_t *p, unsigned type, unsigned ttl, const void *data,
           size_t len)
{
    p = put16(p, 0xc00c); /* the name asked for */
    p = put16(p, type);
    p = put16(p, 1);
    p = put16(p, ttl >> 16);
    p = put16(p, ttl);
    p = put16(p, (unsigned)len);
    memcpy(p, data, len);
    return p + len;
}

static inline void
send_message(const struct dns_asked *a, const uint8_t *message, size_t len)
{
    uint8_t size[2];

    if (!a->is_tcp) {
        (void)!sendto(a->fd, message, len, 0, (const struct sockaddr *)&a->from,
                      sizeof(a->from));
        return;
    }
    put16(size, (unsigned)len);
    (void)!send(a->fd, size, 2, MSG_NOSIGNAL);
    (void)!send(a->fd, message, len, MSG_NOSIGNAL);
}

/* An answer with `count` A records 192.0.2.n, or, when negative, a SOA. */
static inline size_t
write_answer(const struct dns_asked *a, unsigned flags, int count, unsigned ttl,
             uint8_t *out)
{
    static const uint8_t soa[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0,
                                  0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 60};
    uint8_t address[4] = {192, 0, 2, 0};
    uint8_t *p = out + a->question_end;

    memcpy(out, a->query, a->question_end);
    put16(out + 2, flags);
    put16(out + 6, count > 0 ? (unsigned)count : 0);
    put16(out + 8, (unsigned)(count < 0));
    put16(out + 10, 0);
    for (int i = 0; i < count; i++) {
        address[3] = (uint8_t)(i + 1);
        p = put_record(p, 1, ttl, address, 4);
    }
    if (count < 0)
        p = put_record(p, 6, ttl, soa, sizeof(soa));
    return (size_t)(p - out);
}

static inline void
answer(const struct dns_asked *a, unsigned flags, int count, unsigned ttl)
{
    uint8_t out[4096];

    send_message(a, out, write_answer(a, flags, count, ttl, out));
}

/* An A or AAAA record, as asked. */
static inline void
answer_both(const struct dns_asked *a)
{
    static const uint8_t v6[] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
                                 0,    0,    0,    0,    0, 0, 0, 1};
    uint8_t out[600];
    bool is_v6 = a->query[a->question_end - 3] == 28;
    size_t len = write_answer(a, FLAGS, is_v6 ? 0 : 1, 300, out);

    if (is_v6) {
        put16(out + 6, 1);
        len = (size_t)(put_record(out + len, 28, 300, v6, sizeof(v6)) - out);
    }
    send_message(a, out, len);
}

static inline void
forge(const struct dns_asked *a)
{
    uint8_t out[4096];
    size_t len = write_answer(a, FLAGS, 2, 300, out);

    send_message(a, out, 0);
    send_message(a, out, 1);
    send_message(a, out, 11);
    out[0] ^= 1; /* another id */
    send_message(a, out, len);
    out[0] ^= 1;
    out[13] ^= 1; /* another question */
    send_message(a, out, len);
}

/* True: the TCP connection ends. */
static inline bool
script(const struct dns_asked *a)
{
    bool has_opt = a->query[11] > 0;
    size_t n = a->query[12];
    const char *label = (const char *)a->query + 13;
#define IS(text) (n == sizeof(text) - 1 && memcmp(label, text, n) == 0)

    if (IS("found"))
        answer(a, FLAGS, 1, 300);
    else if (IS("authentic"))
        answer(a, FLAGS | FLAG_AD, 1, 300);
    else if (IS("short"))
        answer(a, FLAGS, 1, 1);
    else if (IS("zero"))
        answer(a, FLAGS, 1, 0);
    else if (IS("nodata"))
        answer(a, FLAGS, -1, 300);
    else if (IS("nxdomain"))
        answer(a, FLAGS | 3, -1, 300);
    else if (IS("servfail"))
        answer(a, FLAGS | 2, 0, 0);
    else if (IS("refused"))
        answer(a, FLAGS | 5, 0, 0);
    else if (IS("formerr"))
        answer(a, has_opt ? FLAGS | 1 : FLAGS, has_opt ? 0 : 1, 300);
    else if (IS("notimp"))
        answer(a, has_opt ? FLAGS | 4 : FLAGS, has_opt ? 0 : 1, 300);
    else if (IS("always-notimp"))
        answer(a, FLAGS | 4, 0, 0);
    else if (IS("wide"))
        answer(a, FLAGS, 60, 300);
    else if (IS("both"))
        answer_both(a);
    else if (IS("truncated"))
        answer(a, a->is_tcp ? FLAGS : FLAGS | FLAG_TC, a->is_tcp ? 90 : 1, 300);
    else if (IS("truncated-closed")) {
        if (a->is_tcp)
            return true;
        answer(a, FLAGS | FLAG_TC, 1, 300);
    } else if (IS("truncated-stalled")) {
        if (a->is_tcp)
            (void)!send(a->fd, "\xff\xff\0", 3, MSG_NOSIGNAL);
        else
            answer(a, FLAGS | FLAG_TC, 1, 300);
    } else if (IS("forged")) {
        forge(a);
        answer(a, FLAGS, 1, 300);
    } else if (IS("slow")) {
        usleep(100 * 1000);
        answer(a, FLAGS, 1, 300);
    } else if (IS("second")) { /* only the second try is answered */
        if (atomic_load(&a->s->udp_count) > 1)
            answer(a, FLAGS, 1, 300);
    }
#undef IS
    return false; /* anything else: silence */
}

static inline bool
handle(struct dns_asked *a)
{
    if (a->len < 17)
        return true;
    a->question_end = 12;
    while (a->question_end < a->len && a->query[a->question_end])
        a->question_end += 1u + a->query[a->question_end];
    a->question_end += 5;
    atomic_fetch_add(a->is_tcp ? &a->s->tcp_count : &a->s->udp_count, 1);
    return script(a);
}

static inline void
serve_udp(struct dns_server *s)
{
    struct dns_asked a = {.s = s, .fd = s->udp};
    socklen_t n = sizeof(a.from);
    ssize_t got = recvfrom(s->udp, a.query, sizeof(a.query), 0,
                           (struct sockaddr *)&a.from, &n);

    a.len = got > 0 ? (size_t)got : 0;
    (void)handle(&a);
}

/* Small queries arrive whole on loopback. */
static inline bool
serve_tcp(struct dns_server *s, int fd)
{
    struct dns_asked a = {.s = s, .fd = fd, .is_tcp = true};
    uint8_t size[2];
    ssize_t got = recv(fd, size, 2, MSG_WAITALL);

    if (got != 2)
        return true;
    a.len = (size_t)(size[0] << 8 | size[1]);
    if (a.len > sizeof(a.query) ||
        recv(fd, a.query, a.len, MSG_WAITALL) != (ssize_t)a.len)
        return true;
    return handle(&a);
}

static inline void *
dns_server_run(void *arg)
{
    struct dns_server *s = arg;
    struct pollfd p[4] = {
        {s->stop[0], POLLIN, 0}, {s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}};

    p[3].fd = -1; /* one TCP connection at a time is enough here */
    p[3].events = POLLIN;
    while (poll(p, 4, -1) > 0 && !p[0].revents) {
        if (p[1].revents)
            serve_udp(s);
        if (p[2].revents) {
            if (p[3].fd >= 0)
                close(p[3].fd);
            p[3].fd = accept(s->tcp, NULL, NULL);
            continue;
        }
        if (p[3].fd >= 0 && p[3].revents && serve_tcp(s, p[3].fd)) {
            close(p[3].fd);
            p[3].fd = -1;
        }
    }
    if (p[3].fd >= 0)
        close(p[3].fd);
    return NULL;
}

static inline bool
bind_both(struct dns_server *s)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t n = sizeof(in);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->udp = socket(AF_INET, SOCK_DGRAM, 0);
    s->tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s->udp, (struct sockaddr *)&in, n) == 0 &&
        getsockname(s->udp, (struct sockaddr *)&in, &n) == 0 &&
        bind(s->tcp, (struct sockaddr *)&in, n) == 0 &&
        listen(s->tcp, 8) == 0) {
        s->addr = addr_from_sockaddr((struct sockaddr *)&in);
        return true;
    }
    close(s->udp);
    close(s->tcp);
    return false;
}

static inline void
dns_server_open(struct dns_server *s)
{
    *s = (struct dns_server){0};
    while (!bind_both(s))
        ;
    (void)!pipe(s->stop);
    pthread_create(&s->thread, NULL, dns_server_run, s);
}

static inline void
dns_server_close(struct dns_server *s)
{
    (void)!write(s->stop[1], "", 1);
    pthread_join(s->thread, NULL);
    close(s->udp);
    close(s->tcp);
    close(s->stop[0]);
    close(s->stop[1]);
}

#endif
