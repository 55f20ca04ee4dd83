/* tests/relay/net/tls_pair - two TLS streams that talk, in memory. */
#ifndef TESTS_RELAY_NET_TLS_PAIR_H
#define TESTS_RELAY_NET_TLS_PAIR_H

#include "relay/net/tls_stream.h"

struct side {
    struct net_tls_stream *stream;
    struct buf out; /* not yet carried over */
    enum net_tls_shake step;
    struct err err;
};

struct pair {
    struct side client, server;
};

static inline void
shake(struct side *s, struct slice *in)
{
    if (s->step == NET_TLS_WAITS)
        s->step = net_tls_stream_shake(s->stream, in, &s->err);
}

/* Carries what one side has written to the other, `cut` octets at a time. */
static inline void
carry(struct side *from, struct side *to, size_t cut)
{
    struct buf bytes = from->out;
    struct slice rest = buf_slice(&bytes);

    from->out = (struct buf){0};
    while (rest.len > 0) {
        struct slice part = slice_first(rest, cut);

        rest = slice_from(rest, part.len);
        shake(to, &part);
        if (part.len > 0 &&
            to->step == NET_TLS_SECURED) { /* : data or a ticket */
            char plain[NET_TLS_PLAIN_MAX];
            size_t got;
            bool is_well =
                net_tls_stream_read(to->stream, &part, plain, &got, &to->err);

            (void)is_well;
        }
    }
    buf_free(&bytes);
}

static inline void
meet_cut(struct pair *p, const struct net_tls_setup *client_setup,
         const struct net_tls_setup *server_setup, size_t cut)
{
    struct slice nothing = {0};

    *p = (struct pair){0};
    p->client.stream = net_tls_stream_new(client_setup, &p->client.out);
    p->server.stream = net_tls_stream_new(server_setup, &p->server.out);
    shake(&p->client, &nothing);
    for (int i = 0; i < 6; i++) {
        carry(&p->client, &p->server, cut);
        carry(&p->server, &p->client, cut);
    }
}

static inline void
part(struct pair *p)
{
    net_tls_stream_free(&p->client.stream);
    net_tls_stream_free(&p->server.stream);
    net_tls_stream_free(&p->server.stream);
    buf_free(&p->client.out);
    buf_free(&p->server.out);
}

static inline void
meet(struct pair *p, const struct net_tls_setup *client_setup,
     struct net_tls *server)
{
    struct net_tls_setup setup = {.tls = server, .is_server = true};

    meet_cut(p, client_setup, &setup, SIZE_MAX);
}

static inline const struct net_tls_facts *
facts(const struct pair *p)
{
    return net_tls_stream_facts(p->client.stream);
}

#endif
