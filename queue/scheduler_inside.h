/*
 * queue/scheduler_inside - what the files of the scheduler share; nobody
 * else's.
 */
#ifndef QUEUE_SCHEDULER_INSIDE_H
#define QUEUE_SCHEDULER_INSIDE_H

#include "queue/pace.h"
#include "queue/scheduler.h"
#include "relay/base/map.h"

enum queue_home {
    QUEUE_HOME_NONE,    /* just made, or about to go */
    QUEUE_HOME_READY,   /* has something to do: on the ready list */
    QUEUE_HOME_BLOCKED, /* could not be reached: on the blocked list */
    QUEUE_HOME_PACED,   /* has had its share for now: on the blocked list,
                           too */
    QUEUE_HOME_IDLE,    /* waits, or is only remembered: on the idle list */
};

TAILQ_HEAD(queue_job_list, queue_job);

struct queue_destination {
    char *name;
    UT_hash_handle hh;
    enum queue_home home;
    TAILQ_ENTRY(queue_destination) link; /* of the list that `home` names */

    struct queue_job_list run;
    size_t waiting; /* jobs in run */
    bool more;      /* the store may have due work */
    bool claiming;
    unsigned active; /* orders under way */
    unsigned limit;  /* its own; 0: the general one */
    bool has_own_pace;
    struct queue_pace pace;

    /* While it gets too much; see scheduler_ease.c. */
    unsigned eased;               /* orders at a time; 0: it doesn't */
    uint64_t eased_rate;          /* jobs in a minute, */
    uint64_t eased_from;          /* what that was at first, */
    struct queue_pace eased_pace; /* and the same as a pace */
    int64_t eased_ms, grown_ms;   /* when it was said last; when more was
                                     given since */
    int64_t pause_ms;             /* how long nothing new was sent behind it */
    uint64_t good;                /* jobs that got through since then */

    bool is_held; /* has refused us, and not been reached since */
    bool is_open; /* a peer was reached since the last trouble */
    unsigned failures, strikes;
    int64_t blocked_until_ms;
    char *why;
};

TAILQ_HEAD(queue_destination_list, queue_destination);

/* A claim to be given back to the store. */
struct queue_release {
    TAILQ_ENTRY(queue_release) link;
    uint64_t id;
    uint32_t *numbers;
    size_t count;
};

struct queue_scheduler {
    struct queue_limits limits;
    uint64_t random;
    bool may_run;

    struct queue_destination *by_name; /* uthash */
    struct queue_destination_list ready, blocked, idle;
    size_t idle_count;
    TAILQ_HEAD(, queue_release) releases;

    unsigned *worker_active;
    unsigned active;
    size_t jobs;   /* held: waiting and under way */
    size_t bodies; /* octets */

    bool is_starved;      /* somebody could not claim for want of room */
    int64_t relief_at_ms; /* so long that is borne; INT64_MAX: it is not so */

    bool scanning;
    int64_t scan_at_ms, scanned_ms, unblock_at_ms;
};

/* --- scheduler.c --- */
uint64_t queue_scheduler_draw(struct queue_scheduler *s);

/* --- scheduler_place.c: which list a destination is on --- */
void queue_scheduler_move(struct queue_scheduler *s,
                          struct queue_destination *d, enum queue_home home);
/* How many orders it may have under way. */
unsigned queue_scheduler_allowance(const struct queue_scheduler *s,
                                   const struct queue_destination *d);
/* What a destination by itself could do; the limits on all of them together
 * are kept by queue_scheduler_next. */
bool queue_scheduler_may_order(const struct queue_scheduler *s,
                               const struct queue_destination *d);
bool queue_scheduler_may_claim(const struct queue_scheduler *s,
                               const struct queue_destination *d);
/* Puts a destination where its state says.  Blocked ones stay blocked. */
void queue_scheduler_consider(struct queue_scheduler *s,
                              struct queue_destination *d);
void queue_scheduler_consider_all(struct queue_scheduler *s);
/* Frees it.  Its run is empty. */
void queue_scheduler_forget(struct queue_scheduler *s,
                            struct queue_destination *d);
/* NULL when it isn't known; get makes it then. */
struct queue_destination *queue_scheduler_find(const struct queue_scheduler *s,
                                               const char *name);
struct queue_destination *queue_scheduler_get(struct queue_scheduler *s,
                                              const char *name);

/* --- scheduler_run.c: messages and jobs in memory --- */
/* Gives back to the store all that waits in memory. */
void queue_scheduler_empty_run(struct queue_scheduler *s,
                               struct queue_destination *d);
/* The same for what waits beyond an even share of a quarter of the room. */
void queue_scheduler_make_room(struct queue_scheduler *s);

/* --- scheduler_trouble.c: who has to wait, and how long --- */
void queue_scheduler_unblock_due(struct queue_scheduler *s, int64_t now_ms);
/* Waits, with its jobs, until it may have one more. */
void queue_scheduler_pace(struct queue_scheduler *s,
                          struct queue_destination *d, int64_t now_ms);

/* --- scheduler_ease.c: who gets less than the limits allow --- */
/* Nothing new is sent for a while. */
bool queue_scheduler_is_easing(const struct queue_destination *d,
                               int64_t now_ms);
/* Gives more again where nothing was said for a while. */
void queue_scheduler_recover(const struct queue_scheduler *s,
                             struct queue_destination *d, int64_t now_ms);

#endif
