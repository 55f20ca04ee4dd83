/*
 * relay/daemon/report - what came of a job, on its way from worker to main
 * thread.  It owns its strings.
 */
#ifndef RELAY_DAEMON_REPORT_H
#define RELAY_DAEMON_REPORT_H

#include "queue/scheduler.h"
#include "queue/store.h"
#include "relay/daemon/task.h"
#include "relay/mail/status.h"

/* What became of a job, as far as the destination is concerned. */
enum report_contact {
    REPORT_REACHED,   /* a peer took or refused the message itself */
    REPORT_UNREACHED, /* no peer got as far as MAIL: policy, DNS, connect, TLS,
                         greeting */
    REPORT_HELD,      /* the route's provider does not take us for who we are:
                         that says nothing of the mail, and makes none of it
                         older */
    REPORT_NOT_TRIED, /* the order ended before its turn */
};

struct relay;

struct report_rcpt {
    size_t rcpt; /* index into the message's envelope */
    bool decided;
    bool is_held; /* whatever the report says, its route is: it waits */
    enum queue_outcome outcome; /* DELIVERED, FAILED or DEFERRED */
    struct mail_status status;
    size_t attempt; /* index; SIZE_MAX none */
};

/* What the time since the message was accepted went to, in ms; sums to the
 * moment of the report. */
struct report_delays {
    bool is_known;
    int64_t queue;   /* until this attempt; others before it are in here */
    int64_t dns;     /* look-ups of hosts and policies */
    int64_t connect; /* until a host was ready for the message */
    int64_t data;    /* from MAIL to the last word */
};

struct report {
    struct task task; /* on the main thread */
    struct relay *relay;
    struct queue_order *order;
    struct queue_job *job;
    bool is_last; /* of its order: the worker is through with it */
    bool is_aged; /* nothing was tried: is it time to warn, or to give up? */
    bool is_kept_back; /* by our own mode: however old, it is not given up */
    unsigned failures; /* then: how often others failed in a row */
    enum report_contact contact;
    uint64_t credential; /* HELD: the number of the one that was refused; 0: it
                            did not come to that */
    struct report_rcpt *rcpt; /* job->rcpt_count */
    size_t rcpt_count;
    struct queue_attempt *attempts;
    size_t attempt_count;
    bool peer_has_dsn;
    bool is_throttled; /* the peer says that it gets too much */
    struct report_delays delays;
    char *remote;      /* the host that took or refused it; or NULL */
    char *explanation; /* for bounces: policy, host, expected, seen; or NULL */
};

struct report *report_new(struct queue_order *order, struct queue_job *job);
void report_free(struct report **r);

/* A new attempt at the end, all fields empty; strings put into it become the
 * report's. */
struct queue_attempt *report_add(struct report *r);

/* Settles every recipient that is not decided yet; the status is copied. */
void report_decide_rest(struct report *r, const struct mail_status *status);
/* Settles one. */
void report_decide(struct report *r, size_t i,
                   const struct mail_status *status);
bool report_has_undecided(const struct report *r);
bool report_has_decided(const struct report *r);

#endif
