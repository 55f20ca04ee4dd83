/*
 * relay/daemon/deliver_inside - what the files of the delivery share; nobody
 * else's.
 *
 * An order's run is in deliver.c, a connection's in deliver_session.c, the way
 * of a large body in deliver_body.c, what becomes of one that the server can't
 * take as it is in deliver_convert.c, what a connection has proven in
 * deliver_proof.c, and what is written down of all of it in deliver_record.c.
 * Only deliver_settle frees, and it is called last by every callback.
 */
#ifndef RELAY_DAEMON_DELIVER_INSIDE_H
#define RELAY_DAEMON_DELIVER_INSIDE_H

#include "policy/plan.h"
#include "relay/daemon/candidate.h"
#include "relay/daemon/credential.h"
#include "relay/daemon/deliver.h"
#include "relay/daemon/report.h"
#include "relay/daemon/tls_result.h"
#include "relay/mail/downgrade.h"
#include "relay/net/dial.h"
#include "relay/net/work.h"
#include "smtp/client.h"

/* What to do once the callback under way has done its work. */
enum want {
    WANT_NOTHING,
    WANT_PLAN,  /* the next message, and a plan for it */
    WANT_JOB,   /* the next message, over whatever connection */
    WANT_AGAIN, /* the same address, a fresh connection */
    WANT_NEXT,  /* the next address */
    WANT_END,   /* the order is over */
};

/* What a job's time goes to. */
enum stage { STAGE_NONE, STAGE_DNS, STAGE_CONNECT, STAGE_DATA, STAGES };

/* One transaction: a message with more recipients than a host takes at a time
 * is sent several times. */
struct flight {
    size_t rcpt[SMTP_CLIENT_RCPT_MAX];  /* indices into the envelope, */
    size_t place[SMTP_CLIENT_RCPT_MAX]; /* and into the report */
    bool is_left[SMTP_CLIENT_RCPT_MAX]; /* goes with the next one */
    size_t count, accepted;
};

struct body_call;

struct resolver_wait;

struct deliver {
    struct worker *worker;
    struct deliver *next, **at; /* of worker->deliveries */
    struct queue_order *order;  /* not to be touched behind the last report */
    size_t done, count;         /* of its jobs */
    struct resolver_wait *wait;
    struct policy_plan plan;
    uint64_t serial;       /* of the configuration that the order is of */
    int64_t good_until_ms; /* for messages that are not begun by then */
    bool requiretls, tls_required_no; /* of the messages that it is for */
    bool sts_in_force;             /* an MTA-STS policy had a say in the plan */
    struct tls_result *tls_result; /* NULL: nobody is told how TLS went */
    struct candidate candidates[POLICY_ADDRESSES_MAX];
    size_t candidate_count, candidate; /* `candidate`: the one under way */
    bool in_clear; /* opportunistic TLS failed at this address: without it */
    char *key;     /* of the connection; see candidate_key */

    struct credential *credential; /* NULL: none */
    struct smtp_sasl_account account;
    char nonce[SMTP_SASL_NONCE_MAX + 1];
    struct net_work *derive;
    bool is_refused; /* somewhere, for this job: as `refusal` says */
    struct mail_status refusal;

    struct net_dial *dial;
    struct net_conn *conn;
    struct smtp_client *smtp;
    bool was_idle; /* the connection came out of the pool, and has not taken
                      a message since */
    bool handshaking;
    unsigned messages;     /* sent over this connection, */
    unsigned messages_max; /* and how many may be, by the configuration */
    struct flight flight;
    unsigned turn; /* the engine's, that the time limit is for */

    struct report *report;    /* of the job under way; NULL: none begun */
    enum metrics_phase phase; /* under way, */
    int64_t phase_us;         /* and since when */
    enum stage stage;         /* under way, */
    int64_t stage_ms;         /* and since when; */
    int64_t spent_ms[STAGES]; /* on those before */
    int64_t turn_ms;          /* when the job's turn came */
    int64_t began_ms;         /* of the attempt */
    int64_t job_began_ms;
    unsigned failures;    /* of addresses; */
    unsigned unproven;    /* those that did not prove what the plan wants,
                             and would not do so by themselves */
    unsigned limits;      /* those that can't carry such a message */
    bool lost_requiretls; /* MAIL was said without what the message asks for */
    bool got_ready;       /* the peer came as far as MAIL for this job */
    struct mail_status last; /* of the last failure */
    const char *step;        /* where it happened */
    struct body_call *body;  /* a piece on its way from the store */
    unsigned sequence;
    uint64_t body_sent;
    bool waits_to_send;
    struct mail_downgrade *convert; /* NULL: the message goes as it is */
    struct doubt_entry *doubt;      /* the host has it all, and says nothing */
    bool is_looking;                /* at all of it, ahead of MAIL */
    bool is_unconvertible;
    enum want want;
};

static inline struct queue_job *
deliver_job(const struct deliver *d)
{
    return d->order->jobs[d->done];
}

static inline const struct candidate *
deliver_here(const struct deliver *d)
{
    return &d->candidates[d->candidate];
}

/* --- deliver_record.c --- */

struct tls_result_session deliver_session(const struct deliver *d);
void deliver_record(struct deliver *d, const struct mail_status *status,
                    const char *step);
void deliver_fail_here(struct deliver *d, const struct mail_status *status,
                       const char *step);
void deliver_begin_report(struct deliver *d);
void deliver_send_report(struct deliver *d, enum report_contact contact);

/* How long the parts of an attempt take; one that is not ended is not
 * counted. */
void deliver_begin_phase(struct deliver *d, enum metrics_phase phase);
/* The next job's turn has come: its times begin. */
void deliver_begin_turn(struct deliver *d);
void deliver_end_phase(struct deliver *d, enum metrics_phase phase);
/* A connection has come as far as MAIL for the first time. */
void deliver_count_session(const struct deliver *d);

/* --- deliver_proof.c --- */

/* A policy keeps the mail back, or would (is_shadow) if it were enforced. */
void deliver_count_refusal(const struct deliver *d, bool is_shadow,
                           enum policy_source policy, enum policy_cause cause,
                           const char *why);
/* The host under way has not proven what the plan wants; `is_passing`: it may
 * do so the next time. */
void deliver_count_unproven(struct deliver *d, enum policy_cause cause,
                            bool is_passing, const char *why);
enum policy_cause deliver_cause(const struct deliver *d);
/* May MAIL be said?  Else this host is done with. */
bool deliver_is_good_enough(struct deliver *d);
/* MAIL is about to be said: would a policy that is only reported allow it? */
void deliver_note_shadow(struct deliver *d);

/* --- deliver_body.c --- */

void deliver_stop_body(struct deliver *d);
void deliver_read_body(struct deliver *d);
void deliver_read_from_start(struct deliver *d);
void deliver_send_body(struct deliver *d);

/* --- deliver_convert.c --- */

/* Must the message be converted for this server?  True: deliver_say_mail comes
 * later, once all of it was looked at. */
bool deliver_look_first(struct deliver *d) must_use;
/* A piece of it, in order. */
void deliver_look_at(struct deliver *d, struct slice piece, bool is_last);
/* A piece goes out, converted where it must be. */
void deliver_put_body(struct deliver *d, struct slice piece, bool is_last);

/* --- deliver_auth.c --- */

/* False: this order is not for this configuration. */
bool deliver_may_authenticate(const struct deliver *d);
/* As whom it goes: the route's name where that matters, else "". */
const char *deliver_identity(const struct deliver *d);
/* Behind smtp_client_new: has it do AUTH, where that is wanted. */
void deliver_authenticate(struct deliver *d);
void deliver_derive(struct deliver *d);
/* The session ended for want of AUTH, or in it. */
void deliver_auth_failed(struct deliver *d, const struct smtp_client_event *ev);
/* Does a reply to something else say that AUTH is wanting?  Then the order is
 * over. */
bool deliver_is_unwelcome(struct deliver *d, const struct mail_status *status,
                          const char *step);
/* What is known at the end of a job of which AUTH has failed. */
void deliver_hold(struct deliver *d);
/* --- deliver_mail.c --- */

void deliver_start_mail(struct deliver *d);
void deliver_on_rcpt(struct deliver *d, const struct smtp_client_event *ev);
void deliver_on_verdict(struct deliver *d, const struct smtp_client_event *ev);
void deliver_reply_status(const struct smtp_reply *reply,
                          struct mail_status *out);
/* Recipients of this message without a word yet; when the host gets too much
 * they are put off. */
bool deliver_has_more_to_fly(struct deliver *d);
/* Keeps up who is in doubt. */
void deliver_note_doubt(struct deliver *d);
/* Of this connection: by the configuration, and by what the host says. */
unsigned deliver_messages_max(const struct deliver *d);

/* --- deliver_session.c --- */

void deliver_hang_up(struct deliver *d, bool politely);
void deliver_pump(struct deliver *d);
void deliver_say_mail(struct deliver *d);
void deliver_connect(struct deliver *d, bool may_share);

/* --- deliver.c --- */

/* Is the plan for the message that comes next, too? */
bool deliver_is_planned(const struct deliver *d);
/* Is the configuration still the one that the order is of? */
bool deliver_is_current(const struct deliver *d);
void deliver_next_job(struct deliver *d);
/* The order ends here; what was not begun is tried again another time. */
void deliver_end_order(struct deliver *d);
/* The address under way is the last, and no host was passed over that might
 * do. */
bool deliver_is_all_tried(const struct deliver *d);
/* Could what comes of a delivery be recorded? */
bool deliver_can_record(const struct deliver *d);
bool deliver_may_start(struct deliver *d);
void deliver_end_order(struct deliver *d);
void deliver_end_loop(struct deliver *d, const char *how);
void deliver_settle(struct deliver *d);

#endif
