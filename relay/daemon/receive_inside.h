/*
 * relay/daemon/receive_inside - what the files of a session share; nobody
 * else's.
 *
 * How a session begins is in receive_greet.c, what its client may do in
 * receive_ask.c, what TLS has shown of him in receive_tls.c, how he logs in in
 * receive_login.c, how much he may send in receive_quota.c, how long it may
 * take in receive_time.c, and how octets and events move, until its end, in
 * receive.c.
 */
#ifndef RELAY_DAEMON_RECEIVE_INSIDE_H
#define RELAY_DAEMON_RECEIVE_INSIDE_H

#include "relay/config/users.h"
#include "relay/daemon/receive.h"
#include "smtp/server.h"

struct receive {
    struct worker *worker;
    struct receive *next, **at; /* of worker->sessions */
    struct net_conn *conn;
    struct smtp_server *smtp;
    uint64_t sid;          /* for the log */
    struct gate_pass pass; /* names the listener */
    struct addr peer;
    enum config_tls tls;
    struct mail_address from; /* of the last MAIL */
    struct login *login;      /* under way */
    size_t counted;           /* recipients, in the quota of who sends, of the
                                 message under way; 0: none */
    bool is_whole;            /* that message is: it may be kept whatever
                                 becomes of the session */
    struct intake *intake;    /* the message that is coming in */
    bool waits_for_intake;    /* it has too much on its way to the store */
    bool over, killed;
    bool is_shaking;  /* hands, for TLS */
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

/* Behind an answer that came late. */
void receive_resume(struct receive *r);

/* The only place where a session dies; called last by every callback. */
bool receive_bury(struct receive *r);

/* ---- receive_ask.c ---- */

void receive_log_reject(struct receive *r, const struct mail_status *status,
                        const struct mail_address *address);
void receive_on_mail(struct receive *r, const struct smtp_server_event *ev);
void receive_on_rcpt(struct receive *r, const struct smtp_server_event *ev);
void receive_on_data(struct receive *r);

/* ---- receive_tls.c ---- */

bool receive_wants_certificate(const struct receive *r);

/* Has the client shown a certificate that is as good as a password? */
bool receive_has_certificate(const struct receive *r);

/* At the end of a handshake; err as in net_conn_events. */
void receive_log_tls(const struct receive *r, const struct err *err);

/* ---- receive_login.c ---- */

void receive_on_auth(struct receive *r, const struct smtp_server_event *ev);
void receive_on_verifier(struct receive *r, const struct smtp_server_event *ev);

/* Before this client may log in. */
bool receive_needs_tls(const struct receive *r);

/* What this listener offers to this client. */
void receive_offer_auth(const struct receive *r,
                        const struct config_listener *l,
                        struct smtp_server_config *config);

/* TLS is up: lets SCRAM bind to it. */
void receive_bind(struct receive *r);

/* Who has logged in, as the users file has it now: *user is NULL when nobody
 * has, or when it no longer has him; good while *users is held.  False: it
 * can't be told, and `why` is the reply. */
bool receive_find_user(const struct receive *r, struct users **users,
                       const struct user **user,
                       struct mail_status *why) must_use;

/* ---- receive_quota.c ---- */

/* May one message more with so many recipients come? */
bool receive_may_more(const struct receive *r, size_t recipients,
                      struct mail_status *why) must_use;

/* The same for the message that is about to come, and counts it. */
bool receive_count(struct receive *r, struct mail_status *why) must_use;

/* It came to nothing, if one was counted. */
void receive_uncount(struct receive *r);

/* ---- receive_time.c ---- */

/* Sets the limit that the engine's turn asks for. */
void receive_mind_time(struct receive *r);

/* The limit has passed: does a body come at its least rate, so that it may go
 * on? */
bool receive_may_go_on(struct receive *r);

#endif
