/*
 * relay/net/conn_parts - what struct net_conn holds, for the files conn*.c.
 *
 * conn_out.c fills and empties the output, conn_in.c reads, decrypts and
 * gives to the owner, and conn.c does the rest: events of the loop, limits,
 * the beginning and the end.
 */
#ifndef RELAY_NET_CONN_PARTS_H
#define RELAY_NET_CONN_PARTS_H

#include "relay/net/conn.h"
#include "relay/net/tls_stream.h"

struct net_conn {
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t soon; /* runs once, to call back outside of the owner's call */
    int held;       /* handles that libuv still holds */
    int fd;
    int interest; /* what `poll` waits for now */
    struct addr peer;

    const struct net_conn_events *events;
    void *ctx;
    uint64_t deadline; /* the owner's, in the loop's time; 0: none */
    uint64_t alarm;    /* when the timer fires; 0: it does not run */

    struct buf out; /* for the network; sent up to out_from */
    size_t out_from;
    struct buf kept; /* input the owner has left; used up to kept_from */
    size_t kept_from;
    struct buf wire;    /* records that wait while reading pauses */
    struct buf delayed; /* what the owner sent during the handshake */
    struct net_tls_stream *tls;
    struct err *failure; /* the first; NULL: none */
    size_t thrown_away;

    bool is_open;
    bool is_giving;  /* the owner's `input` runs */
    bool is_shaking; /* between start_tls and `secured` */
    bool was_full;   /* `drained` is owed */
    bool wants_more; /* net_conn_more was called */
    bool has_ended;  /* nothing more can be read */
    bool is_over;    /* and the owner knows */
    bool is_cut;     /* nothing more can be sent */
    bool is_mute;    /* nothing more of the owner's may be sent */
    bool is_closing;
    bool is_shut; /* our FIN is sent */
};

/* ---- conn.c ---- */

/* Notes why the connection breaks; only the first reason counts. */
void net_conn_note(struct net_conn *c, const struct err *err);
void net_conn_note_errno(struct net_conn *c, const char *what);

/* And ends it: nothing more can be read. */
void net_conn_break_off(struct net_conn *c, const struct err *err);

/* Forgets n octets of a buf that is used up to *from. */
void net_conn_advance(struct buf *b, size_t *from, size_t n);

/* ---- conn_out.c ---- */

size_t net_conn_out_left(const struct net_conn *c);
void net_conn_out_clear(struct net_conn *c, struct buf *out);
void net_conn_out_encrypt(struct net_conn *c, struct slice plain);

/* Sends what the kernel takes now. */
void net_conn_out_flush(struct net_conn *c);

/* ---- conn_in.c ---- */

size_t net_conn_in_left(const struct net_conn *c);
bool net_conn_in_may(const struct net_conn *c); /* is reading not paused? */
void net_conn_in_receive(struct net_conn *c);
void net_conn_in_give(struct net_conn *c, struct slice fresh);
void net_conn_in_resume(struct net_conn *c);
void net_conn_in_shake(struct net_conn *c);
void net_conn_in_throw_away(struct net_conn *c);

#endif
