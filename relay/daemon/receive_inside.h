/*
 * relay/daemon/receive_inside - what the files of a session share; nobody
 * else's.
 *
 * How a session begins is in receive_greet.c, what its client may do in
 * receive_ask.c, what TLS has shown of him in receive_tls.c, how long it may
 * take in receive_time.c, and how octets and events move, until its end, in
 * receive.c.
 */
#ifndef RELAY_DAEMON_RECEIVE_INSIDE_H
#define RELAY_DAEMON_RECEIVE_INSIDE_H

#include "relay/daemon/receive.h"
#include "smtp/server.h"

struct receive {
    struct worker *worker;
    struct receive *next, **at; /* of worker->sessions */
    struct net_conn *conn;
    struct smtp_server *smtp;
    struct gate_pass pass; /* names the listener */
    struct addr peer;
    enum config_tls tls;
    struct mail_address from; /* of the last MAIL */
    struct intake *intake;    /* the message that is coming in */
    bool waits_for_intake;    /* it has too much on its way to the store */
    bool over, killed;
    bool has_hung_up; /* it says no more, and may still be listening */
    unsigned turn;    /* the engine's, that the limit is for */
    bool in_body;
    int64_t body_began_ms;
    uint64_t body_mark, body_octets;
    char peer_text[ADDR_TEXT_SIZE];
};

/* ---- receive.c ---- */

extern const struct net_conn_events receive_events;

void receive_start_tls(struct receive *r);
void receive_pump(struct receive *r);

/* The only place where a session dies; called last by every callback. */
bool receive_bury(struct receive *r);

/* ---- receive_ask.c ---- */

void receive_log_reject(struct receive *r, const struct mail_status *status,
                        const struct mail_address *address);
void receive_on_mail(struct receive *r, const struct smtp_server_event *ev);
void receive_on_rcpt(struct receive *r, const struct smtp_server_event *ev);
void receive_on_data(struct receive *r);

/* ---- receive_tls.c ---- */

/* Has the client shown a certificate that is as good as a password? */
bool receive_has_certificate(const struct receive *r);

/* At the end of a handshake; err as in net_conn_events. */
void receive_log_tls(const struct receive *r, const struct err *err);

/* ---- receive_time.c ---- */

/* Sets the limit that the engine's turn asks for. */
void receive_mind_time(struct receive *r);

/* The limit has passed: does a body come at its least rate, so that it may go
 * on? */
bool receive_may_go_on(struct receive *r);

#endif
