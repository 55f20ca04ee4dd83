/*
 * queue/store - messages and recipients in SQLite.
 *
 * Synchronous; used by the store thread alone.  Changes are made between
 * queue_store_begin and queue_store_commit, many callers' in one transaction:
 * nothing is promised before the commit has returned true.  When any change
 * fails the whole transaction is rolled back by its runner.
 *
 * Work is claimed: a recipient that is claimed is given to nobody else until
 * it is settled or released.  SQLite has one process, so the claims of this
 * store live in memory and a restart has none; `owner` and `epoch` are what a
 * store shared by several relays would fence with.
 *
 * Rows that are read are checked; a row that fails is left alone and reported
 * by ERR_INPUT, never delivered.
 */
#ifndef QUEUE_STORE_H
#define QUEUE_STORE_H

#include "queue/message.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

struct queue_store;

struct queue_claimant {
    const char *owner; /* which relay: its host name */
    int64_t epoch;     /* which start of it */
};

/* `directory` exists; the file is queue.db in it.  Finds the largest id in
 * use and drops what an unclean end left half received.  After such an end
 * the file is checked, unless it is so large that this would take long. */
struct queue_store *queue_store_open(const char *directory,
                                     const struct queue_claimant *claimant,
                                     struct err *err) must_use;
/* To look only, while no relay runs. */
struct queue_store *queue_store_open_read(const char *directory,
                                          struct err *err) must_use;
void queue_store_close(struct queue_store **s);
uint64_t queue_store_last_id(const struct queue_store *s);

bool queue_store_begin(struct queue_store *s, struct err *err) must_use;
bool queue_store_commit(struct queue_store *s, struct err *err) must_use;
/* Also undoes the claims that the transaction had made or ended. */
void queue_store_rollback(struct queue_store *s);
/* Has the transaction that is open changed anything? */
bool queue_store_has_changed(const struct queue_store *s);

/* Housekeeping: checkpoint when the WAL is large (or `force`); a failure is
 * an alarm, not a loss. */
bool queue_store_checkpoint(struct queue_store *s, bool force,
                            struct err *err) must_use;
/* Is there room on the disk for more mail, besides what it takes to record what
 * becomes of what is queued?  ERR_SPACE: no. */
bool queue_store_has_room(const struct queue_store *s,
                          struct err *err) must_use;
/* Writes, reads back and takes away one row: is the store able to commit?  In
 * the transaction that is open, whose commit then tells, or in its own. */
bool queue_store_probe(struct queue_store *s, struct err *err) must_use;

/* --- receiving --- */

/* A piece of a large message that is still coming in.  Its front, which is
 * piece 0 and has at most QUEUE_FRONT_MAX octets, comes last; before it what
 * stands behind the front, as pieces 1 and on in their order, each of at most
 * QUEUE_CHUNK octets and more than that in all. */
bool queue_store_spill(struct queue_store *s, uint64_t id, unsigned sequence,
                       struct slice octets, struct err *err) must_use;
/* The message did not become one after all. */
bool queue_store_unspill(struct queue_store *s, uint64_t id,
                         struct err *err) must_use;

/* The whole message; with an empty body its pieces have been spilled.  With
 * `claim` its recipients are claimed at once (but for held ones).  ERR_INPUT
 * or ERR_LIMIT: it was refused, and has changed nothing. */
bool queue_store_enqueue(struct queue_store *s, const struct queue_message *m,
                         bool claim, struct err *err) must_use;

enum {
    QUEUE_RECEIPT_MS = 24 * 3600 * 1000, /* a receipt is good for so long */
    QUEUE_RECEIPTS_MAX = 1000000, /* and while there are no more younger ones */
};

/* Which message was enqueued with a receipt of this key; ERR_MISSING: none. */
bool queue_store_receipt_find(struct queue_store *s, const char *key,
                              int64_t now_ms, uint64_t *message,
                              struct queue_receipt *out,
                              struct err *err) must_use;

/* --- delivering --- */

/* The next octets of a message's body: piece `sequence`, appended to `out`;
 * false with ERR_MISSING behind the last, with ERR_INPUT when the piece is
 * damaged or lost. */
bool queue_store_read(struct queue_store *s, uint64_t id, unsigned sequence,
                      struct buf *out, struct err *err) must_use;

/* Destinations behind `after` ("" at first) in order of name that have
 * unclaimed, unheld work due at `now_ms`; up to `max` names, heap strings.
 * *next_ms: the earliest later time at which one of them, or one passed over,
 * has work; kept when it is not earlier.  `*end`: there are no more names. */
bool queue_store_due(struct queue_store *s, const char *after, int64_t now_ms,
                     size_t max, char **names, size_t *count, int64_t *next_ms,
                     bool *end, struct err *err) must_use;

/* Claims up to `max` recipients of a destination that are due, oldest next
 * attempt first, as messages (recipients of one message together); bodies of
 * at most QUEUE_CHUNK octets come along while `*body_budget` lasts.  Messages
 * are the caller's; `*more`: there was more due work.  ERR_INPUT: a row was
 * damaged, and nothing is claimed; it is passed over from now on, so that the
 * next call gets on. */
bool queue_store_claim(struct queue_store *s, const char *destination,
                       int64_t now_ms, size_t max, size_t *body_budget,
                       struct queue_message **out, size_t *count, bool *more,
                       struct err *err) must_use;

/* Claims recipients that nobody works on, due or not, of messages between
 * *last and `before` (identifiers, see id_at), oldest first, at most `max`;
 * bodies stay where they are.  *last moves to the last message looked at: 0
 * claimed means that there are no more.  A message with more recipients than
 * that gives only so many. */
bool queue_store_claim_aged(struct queue_store *s, uint64_t before, size_t max,
                            uint64_t *last, struct queue_message **out,
                            size_t *count, struct err *err) must_use;

/* Gives claims of one message back unworked; their rows stay as they are. */
void queue_store_release(struct queue_store *s, uint64_t id,
                         const uint32_t *numbers, size_t count);

enum queue_outcome {
    QUEUE_DELIVERED,
    QUEUE_FAILED,  /* bounced, or dropped where nobody may be told */
    QUEUE_EXPIRED, /* the same, after too long */
    QUEUE_DEFERRED,
};

const char *queue_outcome_name(enum queue_outcome o); /* "delivered" */

/* One recipient's end, or its next attempt. */
struct queue_result {
    uint32_t number;
    const char *address; /* for the history */
    enum queue_outcome outcome;
    int64_t next_ms;         /* DEFERRED */
    bool warned;             /* DEFERRED: a delay warning is in `notices` */
    const char *destination; /* DEFERRED: from now on; NULL: as it was */
    const struct mail_rcpt *rcpt; /* with `destination`: whose it is */
    const char *reason;           /* for people: reply or cause, with codes */
    size_t attempt;     /* index into `attempts`; SIZE_MAX: none was made */
    bool untried;       /* DEFERRED: it was not this one's turn, so no attempt
                           is counted */
    char *const *feeds; /* who is to be told of it, NULL ends them; or NULL */
};

/* One try to hand over: what trace shows.  Strings may be NULL. */
struct queue_attempt {
    int64_t at_ms; /* wall clock */
    int64_t took_ms;
    const char *host, *address; /* "mx.example.com", "192.0.2.1:25" */
    const char *policy;         /* "mta-sts enforce", "opportunistic", ... */
    const char *proof;          /* what had to be proven: "pkix" */
    const char *tls_version, *tls_cipher; /* NULL: in clear */
    const char *verdict;                  /* of the certificate: "verified" */
    const char *reply; /* full last reply, or why there was none */
    const char *step;  /* where it ended: "connect", "RCPT", ... */
};

/* Everything that came of one job, in one change. */
struct queue_settlement {
    uint64_t id;
    const struct queue_result *results;
    size_t result_count;
    const struct queue_attempt *attempts;
    size_t attempt_count;
    struct queue_message *const *notices; /* bounces and delay warnings, ready
                                             to enqueue, unclaimed; their ids
                                             are given */
    size_t notice_count;
    int64_t now_ms;     /* wall clock; for feeds */
    struct err *untold; /* out; NULL: nobody asks */
};

/* False: queue_store_enqueue would refuse it for what it is. */
bool queue_store_check(const struct queue_message *m, struct err *err) must_use;

/* Removes finished recipients (and the body with the last one), moves deferred
 * ones to their next attempt, writes history, enqueues notices, ends the
 * claims.  Recipients that are gone (deleted meanwhile) are passed over.
 * Attempts that no result refers to are history as well.
 *
 * A notice of a kind that is never enqueued sets `untold`: then none is, and
 * who has failed or expired is held, as else mail would be gone without a word,
 * or the settlement would fail for ever. */
bool queue_store_settle(struct queue_store *s, const struct queue_settlement *x,
                        struct err *err) must_use;

/* All unclaimed recipients whose next attempt lies behind `latest_ms` (a clock
 * that jumped) become due, and those whose first one lies behind `first_ms`;
 * held ones stay. */
bool queue_store_unjam(struct queue_store *s, int64_t now_ms, int64_t latest_ms,
                       int64_t first_ms, struct err *err) must_use;

/* Gives every unclaimed recipient the destination that `route` says, when
 * `fingerprint` is not the one of the last time (the routes have changed). */
typedef const char *queue_route_fn(void *ctx, const char *from,
                                   const char *rcpt_address,
                                   const char *rcpt_domain);
bool queue_store_reroute(struct queue_store *s, const char *fingerprint,
                         queue_route_fn *route, void *ctx,
                         struct err *err) must_use;

/* Drops history of finished messages: what ended before `before_ms`, and the
 * oldest beyond `rows_max` results; a bounded amount at a time, *more when
 * there is more to look at. */
bool queue_store_purge(struct queue_store *s, int64_t before_ms,
                       uint64_t rows_max, bool *more, struct err *err) must_use;

/* --- looking and managing --- */

enum queue_state {
    QUEUE_STATE_ANY,
    QUEUE_STATE_QUEUED, /* never tried yet */
    QUEUE_STATE_DEFERRED,
    QUEUE_STATE_HELD,
    QUEUE_STATE_ACTIVE, /* claimed: being delivered, or about to be */
};

struct queue_filter {
    uint64_t id;           /* 0: any */
    const char *domain;    /* of the recipient; NULL any */
    const char *from, *to; /* addresses, or "@domain"; NULL any */
    enum queue_state state;
    int64_t older_than_ms; /* arrived before; 0 any */
};

/* One recipient in a listing; strings are good during the call.  What is held
 * has no next attempt: next_ms is 0. */
struct queue_row {
    uint64_t id;
    int64_t arrived_ms;
    uint64_t size;
    const char *from, *to, *destination, *last, *message_id, *origin;
    uint32_t number, attempts;
    int64_t next_ms;
    enum queue_state state;
};

typedef void queue_row_fn(void *ctx, const struct queue_row *row);

/* The last row that was looked at; zero begins. */
struct queue_cursor {
    uint64_t id;
    uint32_t number;
};

/* One turn of listing: no more rows are looked at, shown or not, so that nobody
 * else waits for longer.  More than one message has. */
enum { QUEUE_LOOKED_MAX = 20000 };

/* Rows behind the cursor, which moves along, in its order, up to `max` and to
 * the end of the turn, be there any or not.  `*end`: there are no more. */
bool queue_store_list(struct queue_store *s, const struct queue_filter *f,
                      struct queue_cursor *cursor, size_t max,
                      queue_row_fn *row, void *ctx, bool *end,
                      struct err *err) must_use;

/* Where recipients wait whom an operator has given up: whoever claims them
 * tries nothing and tells the sender.  No domain and no route is called so. */
#define QUEUE_ENDED "ended:operator"

enum queue_change {
    QUEUE_CHANGE_HOLD,
    QUEUE_CHANGE_RELEASE, /* no longer held, due at once */
    QUEUE_CHANGE_RETRY,   /* due at once */
    QUEUE_CHANGE_DELETE,
    QUEUE_CHANGE_BOUNCE, /* to QUEUE_ENDED, due at once */
};

/* A change in runs of at most `max` recipients and of about one turn of
 * looking, a transaction each, so that a change of a million, or the search for
 * one in a million, does not keep everybody else waiting.  The first four
 * fields are the caller's, the rest begins as zero.  Whoever runs a failed
 * transaction again gives the struct as it was before.
 *
 * RELEASE concerns the held recipients that match only, RETRY the others.  With
 * `dry` nothing is changed.  A claimed recipient can't be held back any more:
 * hold, delete and bounce take effect when its attempt fails; they count it all
 * the same. */
struct queue_bulk {
    enum queue_change change;
    struct queue_filter filter;
    int64_t now_ms;
    bool dry;
    uint64_t count; /* of those it concerns, so far */
    bool end;       /* there is nothing left to do */
    struct queue_cursor cursor;
};
bool queue_store_bulk(struct queue_store *s, struct queue_bulk *b, size_t max,
                      struct err *err) must_use;

struct queue_share {
    uint64_t messages, octets;
};

static inline void
queue_share_add(struct queue_share *s, uint64_t octets)
{
    s->messages++;
    s->octets += octets;
}

static inline void
queue_share_take(struct queue_share *s, uint64_t octets)
{
    s->messages--;
    s->octets -= octets;
}

/* A message counts once, in the state of its leader: of its recipients that
 * are left, the one with the lowest number.  So the shares add up to the whole,
 * and no other recipient has to be looked at when one goes. */
struct queue_counts {
    uint64_t messages, recipients, octets;
    uint64_t by_state[QUEUE_STATE_ACTIVE + 1]; /* recipients */
    struct queue_share led[QUEUE_STATE_ACTIVE + 1];
    uint64_t in_doubt; /* recipients; see queue_store_count_doubt */
    struct queue_share led_in_doubt;
    int64_t oldest_ms; /* arrived; 0: empty */
};
bool queue_store_count(struct queue_store *s, struct queue_counts *out,
                       struct err *err) must_use;

/* Recipients of a message that are with a host, which has yet to say whether
 * it took it: in `counts`, which are of now, they are no longer active but in
 * doubt.  Those that nobody has claimed are passed over. */
void queue_store_count_doubt(const struct queue_store *s, uint64_t id,
                             const uint32_t *numbers, size_t count,
                             struct queue_counts *counts);

/* When the oldest message with a recipient in a state arrived; 0: there is
 * none. Looks at the oldest QUEUE_OLDEST_ROWS recipients: a state that none of
 * them is in is given the time of the last of these, which is no younger. */
enum { QUEUE_OLDEST_ROWS = 20000 };
bool queue_store_oldest(struct queue_store *s,
                        int64_t arrived_ms[QUEUE_STATE_ACTIVE + 1],
                        struct err *err) must_use;

/* Counted of one age, and at one destination: more are as many. */
enum { QUEUE_COUNTED_MAX = 10000 };

/* Recipients by when their message arrived: out[0] before borders_ms[0], ...,
 * out[count] after the last border.  The borders grow. */
bool queue_store_ages(struct queue_store *s, const int64_t *borders_ms,
                      size_t count, uint64_t *out, struct err *err) must_use;

/* Recipients that wait for a destination, so far as they are counted. */
bool queue_store_backlog(struct queue_store *s, const char *destination,
                         uint64_t *out, struct err *err) must_use;

/* In one call: messages looked at, and operations of the database, of which a
 * message with thousands of recipients needs many (db_cost). */
enum { QUEUE_SEARCH_MAX = 500, QUEUE_SEARCH_COST_MAX = 500000 };

/* A message, in the queue or finished; strings are good during the call. */
struct queue_found {
    uint64_t id;
    int64_t arrived_ms;
    uint64_t size;
    const char *from, *message_id;
    const char *to;                      /* one of the recipients, or NULL */
    uint64_t waiting, delivered, failed; /* recipients */
};
typedef void queue_found_fn(void *ctx, const struct queue_found *m);

/* Messages of or for an address, an "@domain" or (NULL) anybody, the newest
 * first, up to `max`, before *before (0: all), which moves on to the last one
 * looked at.  `*end`: there are no more. */
bool queue_store_search(struct queue_store *s, const char *address, size_t max,
                        queue_found_fn *found, void *ctx, uint64_t *before,
                        bool *end, struct err *err) must_use;

/* Rows of a message's history that are told, the last ones: of thousands of
 * recipients that nobody takes there are more each day. */
enum { QUEUE_HISTORY_MAX = 5000 };

/* What is known of one message for trace: how it came, and each attempt. */
struct queue_history_message {
    uint64_t id;
    int64_t arrived_ms;
    uint64_t size;
    uint64_t left_off; /* rows, older than those that are told */
    const char *from, *origin, *message_id, *envid;
};
typedef void queue_history_message_fn(void *ctx,
                                      const struct queue_history_message *m);
typedef void queue_history_fn(void *ctx, const struct queue_attempt *a,
                              const struct queue_result *r);
/* `r->attempt` is unused; `a` is NULL for a result without an attempt.  An
 * attempt without a result (a host that was passed over for the next) comes
 * with an `r` whose address is "".  ERR_MISSING: no such message. */
bool queue_store_history(struct queue_store *s, uint64_t id,
                         queue_history_message_fn *message,
                         queue_history_fn *row, void *ctx,
                         struct err *err) must_use;

/* --- feeds: results that others are to be told of, in their order --- */

enum {
    QUEUE_FEED_MAX = 100000, /* rows of one feed; the oldest go */
};

/* Strings are good during the call. */
struct queue_feed_row {
    uint64_t number; /* grows */
    int64_t at_ms;   /* wall clock */
    struct queue_history_message message;
    uint32_t sequence; /* of the result within its message */
    const struct queue_result *result;
    const struct queue_attempt *attempt; /* or NULL */
};
typedef void queue_feed_fn(void *ctx, const struct queue_feed_row *row);

/* The oldest rows of a feed, at most `max`, and none behind `last`. */
bool queue_store_feed_list(struct queue_store *s, const char *name,
                           uint64_t last, size_t max, queue_feed_fn *row,
                           void *ctx, struct err *err) must_use;
/* They have been told. */
bool queue_store_feed_drop(struct queue_store *s, const char *name,
                           uint64_t last, struct err *err) must_use;
/* Gives up what is from before `before_ms`, and all but the youngest
 * `rows_max`; *count: so many. */
bool queue_store_feed_trim(struct queue_store *s, const char *name,
                           int64_t before_ms, uint64_t rows_max,
                           uint64_t *count, struct err *err) must_use;
bool queue_store_feed_count(struct queue_store *s, const char *name,
                            uint64_t *count, struct err *err) must_use;
/* Drops the feeds that are not among these. */
bool queue_store_feed_keep(struct queue_store *s, char *const *names,
                           size_t count, struct err *err) must_use;

/* --- a small shelf for others: the policy cache --- */

/* Values under (shelf, key); `due_ms` orders queue_store_shelf_list.  policy
 * entries are written and read as text by relay/daemon. */
bool queue_store_shelf_put(struct queue_store *s, const char *shelf,
                           const char *key, struct slice value, int64_t due_ms,
                           struct err *err) must_use;
/* ERR_MISSING when there is none. */
bool queue_store_shelf_get(struct queue_store *s, const char *shelf,
                           const char *key, struct buf *value,
                           struct err *err) must_use;
bool queue_store_shelf_drop(struct queue_store *s, const char *shelf,
                            const char *key, struct err *err) must_use;
/* How many there are. */
bool queue_store_shelf_count(struct queue_store *s, const char *shelf,
                             uint64_t *count, struct err *err) must_use;
typedef void queue_shelf_fn(void *ctx, const char *key, struct slice value);
/* Up to `max` with due_ms at most `due_ms` and a key behind `after`, in the
 * order of their keys. */
bool queue_store_shelf_list(struct queue_store *s, const char *shelf,
                            const char *after, int64_t due_ms, size_t max,
                            queue_shelf_fn *row, void *ctx,
                            struct err *err) must_use;

#endif
