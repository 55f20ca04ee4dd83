/*
 * queue/scheduler - decides what is tried next, and where.
 *
 * An engine without I/O on the main loop's thread.  It holds a short run of
 * jobs per destination and never the whole queue: what does not fit is given
 * back to the store and claimed again when there is room.
 *
 *     told:  add (accepted or claimed), found (due destinations),
 *            reached, unreached, job_done, order_done, may_run (by the driver)
 *     says:  next() -> ORDER, CLAIM, SCAN, RELEASE; wait_ms()
 *
 *   unknown --first job reached the peer--> open <--> as many orders as the
 *      ^  \                                  |        limits allow
 *      |   +--could not be reached--+        | could not be reached
 *      |                            v        v
 *      +------ time is up ------- blocked: its jobs go back to the store
 *
 * A destination that is held has refused us, whatever the mail: it is blocked
 * at once, and none of its mail is older for it.
 *
 * A destination that is unknown, or was blocked, is probed by one job.
 * Destinations take turns, so that none waits for another's backlog.
 */
#ifndef QUEUE_SCHEDULER_H
#define QUEUE_SCHEDULER_H

#include "queue/message.h"
#include "queue/schedule.h"

#include <sys/queue.h>

enum {
    QUEUE_RUN_MAX = 1000,        /* jobs held per destination */
    QUEUE_JOBS_MAX = 20000,      /* jobs held in all */
    QUEUE_BODIES_MAX = 16 << 20, /* octets of bodies held in all */
    QUEUE_CLAIM = 200,           /* recipients asked of the store at a time */
    QUEUE_ORDER_JOBS_MAX = 20,   /* jobs given to a worker at a time */
    QUEUE_STARVED_MS = 5000,     /* so long nobody gets room for new jobs before
                                    those that hold many give some back */
    QUEUE_IDLE_MAX = 10000,      /* destinations remembered without work */
    QUEUE_SCAN_MS = 60 * 1000, /* due work is looked for at least this often */
    QUEUE_SCAN_GAP_MS = 500,   /* and no more often than that */
    QUEUE_JOB_RCPT_MAX = 100,  /* recipients of a job: one transaction */
    QUEUE_STRIKES_MAX = 3,     /* failures in a row that block a destination
                                  while others of its orders get through */
    QUEUE_PROBE_MAX_MS = 3600 * 1000, /* a blocked one is probed so often */
    QUEUE_EASE_MS = 1000,             /* nothing new behind a word that it was
                                         too much; twice that when nothing got
                                         through since the last one, */
    QUEUE_EASE_MAX_MS = 256 * 1000,   /* up to this */
    QUEUE_EASE_FIRST = 60, /* jobs in a minute that are taken for seen, when
                              there was nothing else to be seen */
    QUEUE_EASE_STEP_MS = 10 * 1000, /* without such a word: a quarter more,
                                       and one order more at a time */
};

/* The recipients of one message for one destination.  The message belongs to
 * the scheduler; a job under way may read it until job_done. */
struct queue_job {
    struct queue_message *message;
    size_t *rcpt; /* indices into message->envelope.rcpt */
    size_t rcpt_count;
    TAILQ_ENTRY(queue_job) link; /* the scheduler's */
};

/* Jobs for one worker to run one behind the other over one connection. */
struct queue_order {
    char *destination;
    unsigned worker;
    bool is_probe;
    struct queue_job *jobs[QUEUE_ORDER_JOBS_MAX];
    size_t count;
};

enum queue_action_kind {
    QUEUE_DO_ORDER,   /* run it; then order_done */
    QUEUE_DO_CLAIM,   /* queue_store_claim(destination, max); then claimed */
    QUEUE_DO_SCAN,    /* queue_store_due; then found */
    QUEUE_DO_RELEASE, /* queue_store_release */
};

struct queue_do {
    enum queue_action_kind kind;
    struct queue_order *order; /* ORDER: the driver's until order_done */
    const char *destination;   /* CLAIM: good until the next call */
    size_t max;                /* CLAIM */
    size_t body_budget;        /* CLAIM: octets of bodies that may come along */
    uint64_t id;               /* RELEASE */
    uint32_t *numbers;         /* RELEASE: the driver's, free() */
    size_t count;
};

struct queue_limits {
    unsigned workers;
    unsigned per_destination; /* orders at a time */
    unsigned in_all;
    uint64_t rate_count; /* messages of a destination in each rate_ms; 0: as
                            many as come */
    int64_t rate_ms;
    struct queue_schedule schedule; /* also paces the probes */
};

struct queue_scheduler;

struct queue_scheduler *queue_scheduler_new(const struct queue_limits *limits,
                                            uint64_t seed);
/* All orders must be done.  Frees the jobs it still holds. */
void queue_scheduler_free(struct queue_scheduler **s);
void queue_scheduler_set_limits(struct queue_scheduler *s,
                                const struct queue_limits *limits);

/* A destination's own limits, for routes; `orders` 0: the general one. */
void queue_scheduler_limit(struct queue_scheduler *s, const char *destination,
                           unsigned orders, uint64_t rate_count,
                           int64_t rate_ms);

/* A message whose recipients are claimed.  The scheduler owns it now. */
void queue_scheduler_add(struct queue_scheduler *s, struct queue_message *m);

/* The end of a CLAIM: its messages were added; `more` due work is in the
 * store. */
void queue_scheduler_claimed(struct queue_scheduler *s, const char *destination,
                             bool more);

/* Names that have due work, from a SCAN; `end` with the last of them, then
 * next_ms says when the next work falls due (INT64_MAX: none). */
void queue_scheduler_found(struct queue_scheduler *s, const char *destination);
void queue_scheduler_found_all(struct queue_scheduler *s, int64_t next_ms,
                               int64_t now_ms);
/* Work was put off until next_ms: remembered for the next SCAN. */
void queue_scheduler_later(struct queue_scheduler *s, int64_t next_ms);

/* A worker has tried a destination.  `why`: for people, when it was not
 * reached. */
void queue_scheduler_reached(struct queue_scheduler *s,
                             const char *destination);
void queue_scheduler_unreached(struct queue_scheduler *s,
                               const char *destination, const char *why,
                               int64_t now_ms);

/* The peer says that it gets too much: nothing for a moment, then half as many
 * orders at a time and somewhat less in all than what got through, growing
 * from there until the limits are reached or it says so again.  Words that
 * come in the same moment count once: then, and where the destination can't be
 * reached, false, and nothing has changed.  `is_reached`: it was said behind
 * MAIL, so the destination can be. */
bool queue_scheduler_ease(struct queue_scheduler *s, const char *destination,
                          const char *why, bool is_reached, int64_t now_ms);

/* How long nothing goes there since the last such word. */
int64_t queue_scheduler_pause_ms(const struct queue_scheduler *s,
                                 const char *destination);

/* It was reached, and does not take us for who we say we are. */
void queue_scheduler_hold(struct queue_scheduler *s, const char *destination,
                          const char *why, int64_t now_ms);
bool queue_scheduler_is_held(const struct queue_scheduler *s,
                             const char *destination);

/* A job of an order is finished and its results are in the store: it is gone
 * afterwards, and its message with the last one.  This may be long after the
 * order's end. */
void queue_scheduler_job_done(struct queue_scheduler *s, struct queue_job *job);
/* It was not tried, and waits again. */
void queue_scheduler_put_back(struct queue_scheduler *s,
                              const char *destination, struct queue_job *job);

/* The worker is through with the order; frees it. */
void queue_scheduler_order_done(struct queue_scheduler *s,
                                struct queue_order **order);

/* While false no order is given: draining, or results can't be recorded. */
void queue_scheduler_may_run(struct queue_scheduler *s, bool may);

/* Forgets that a destination (NULL: any) could not be reached. */
void queue_scheduler_unblock(struct queue_scheduler *s,
                             const char *destination);
/* How often in a row it could not be reached; why, or NULL. */
unsigned queue_scheduler_failures(const struct queue_scheduler *s,
                                  const char *destination, const char **why);

/* The next thing to do, or false: then nothing before wait_ms. */
bool queue_scheduler_next(struct queue_scheduler *s, int64_t now_ms,
                          struct queue_do *out);
int64_t queue_scheduler_wait_ms(const struct queue_scheduler *s,
                                int64_t now_ms);

/* Orders under way; jobs held. */
unsigned queue_scheduler_active(const struct queue_scheduler *s);
size_t queue_scheduler_held(const struct queue_scheduler *s);

/* For status: calls `row` for each destination that has work or is blocked. */
struct queue_destination_row {
    const char *name, *why;
    size_t waiting; /* jobs in memory */
    bool more;      /* and more in the store */
    unsigned active, failures;
    unsigned eased; /* so many orders at a time, as it was too much; 0: as
                       many as the limits allow */
    int64_t blocked_until_ms; /* 0: it isn't */
    bool is_paced;            /* blocked by its rate alone */
    bool is_held;             /* it does not take us for who we are */
};
typedef void queue_destination_fn(void *ctx,
                                  const struct queue_destination_row *row);
void queue_scheduler_each(const struct queue_scheduler *s,
                          queue_destination_fn *row, void *ctx);

#endif
