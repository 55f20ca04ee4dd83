/*
 * queue/store_inside - what the files of the store share; nobody else's.
 *
 * Every statement has its slot here and its text where it is used.
 */
#ifndef QUEUE_STORE_INSIDE_H
#define QUEUE_STORE_INSIDE_H

#include "queue/claims.h"
#include "queue/store.h"
#include "relay/db/backup.h"
#include "relay/db/db.h"

enum {
    QUEUE_SHIFT = 14, /* a body's row is id << 14 | sequence */
    QUEUE_NUMBERS_MAX = 1 << QUEUE_SHIFT,
    QUEUE_WAL_MAX = 16 * 1024 * 1024, /* from here on it is written back */
    /* Kept for recording deliveries on a full disk: free pages, and a WAL
     * that need not grow before it is written back. */
    QUEUE_RESERVE = 4 * 1024 * 1024,
    QUEUE_RESERVE_WAL = QUEUE_WAL_MAX + 4 * 1024 * 1024,
    /* What the WAL holds must still fit into the file when it is written back:
     * from here on no more mail is taken. */
    QUEUE_ROOM_MIN = QUEUE_RESERVE_WAL + 2 * QUEUE_RESERVE,
    QUEUE_PAGE = 500, /* rows at a time where rows are changed under way */
};

/* The next attempt of what is held: due scans never come so far. */
#define QUEUE_NEVER_MS INT64_MAX

/* recipient.held */
enum queue_hold {
    QUEUE_FREE,
    QUEUE_HELD,
    QUEUE_DOOMED, /* deleted while an attempt was under way; still due, so
                     that it is met and removed after a crash as well */
};

enum queue_statement {
    QUEUE_ST_META_PUT,
    QUEUE_ST_META_GET,
    QUEUE_ST_META_DROP,
    QUEUE_ST_SPILLED,
    QUEUE_ST_SPILL_PUT,
    QUEUE_ST_SPILL_GET,
    QUEUE_ST_SPILL_DROP,
    QUEUE_ST_SPILL_SIZE,
    QUEUE_ST_BODY_PUT,
    QUEUE_ST_BODY_GET,
    QUEUE_ST_BODY_DROP,
    QUEUE_ST_BODY_DROP_ALL,
    QUEUE_ST_MESSAGE_PUT,
    QUEUE_ST_MESSAGE_GET,
    QUEUE_ST_PIECE_MISSING,
    QUEUE_ST_MESSAGE_DROP,
    QUEUE_ST_MESSAGE_PAGE,
    QUEUE_ST_RCPT_PUT,
    QUEUE_ST_RCPT_GET,
    QUEUE_ST_RCPT_STATE,
    QUEUE_ST_RCPT_LEADER,
    QUEUE_ST_RCPT_LEADS,
    QUEUE_ST_RCPT_ADDRESS,
    QUEUE_ST_RCPT_FIRST,
    QUEUE_ST_RCPT_OLDEST,
    QUEUE_ST_MESSAGE_ARRIVED,
    QUEUE_ST_RCPT_DROP,
    QUEUE_ST_RCPT_DEFER,
    QUEUE_ST_RCPT_ASIDE,
    QUEUE_ST_RCPT_SET_HELD,
    QUEUE_ST_RCPT_ROUTE,
    QUEUE_ST_RCPT_ROUTED,
    QUEUE_ST_RCPT_UNJAM,
    QUEUE_ST_DUE_NAMES,
    QUEUE_ST_DUE_LATER,
    QUEUE_ST_DUE_ROWS,
    QUEUE_ST_AGED_ROWS,
    QUEUE_ST_NEXT_NAME,
    QUEUE_ST_SCAN,
    QUEUE_ST_SCAN_MESSAGE,
    QUEUE_ST_ATTEMPT_LAST,
    QUEUE_ST_ATTEMPT_PUT,
    QUEUE_ST_ATTEMPT_LIST,
    QUEUE_ST_ATTEMPT_DROP,
    QUEUE_ST_HISTORY_MESSAGE,
    QUEUE_ST_MESSAGE_END,
    QUEUE_ST_ROUTES,
    QUEUE_ST_RECEIPT_PUT,
    QUEUE_ST_RECEIPT_GET,
    QUEUE_ST_RECEIPT_PURGE,
    QUEUE_ST_AGES,
    QUEUE_ST_BACKLOG,
    QUEUE_ST_SEARCH,
    QUEUE_ST_SUM_UP,
    QUEUE_ST_FOUND_RCPT,
    QUEUE_ST_FEED_PUT,
    QUEUE_ST_FEED_LIST,
    QUEUE_ST_FEED_DROP,
    QUEUE_ST_FEED_COUNT,
    QUEUE_ST_FEED_NAMES,
    QUEUE_ST_FEED_AGED,
    QUEUE_ST_FEED_BEYOND,
    QUEUE_ST_SHELF_PUT,
    QUEUE_ST_SHELF_GET,
    QUEUE_ST_SHELF_DROP,
    QUEUE_ST_SHELF_COUNT,
    QUEUE_ST_SHELF_ALL,
    QUEUE_ST_SHELF_DUE,
    QUEUE_ST_COUNT, /* how many there are */
};

/* What is in the tables, kept up so that nobody needs to count. */
struct queue_tally {
    struct queue_share led[QUEUE_STATE_ACTIVE + 1]; /* messages with
                              recipients pending, by the state of the leader's
                              row */
    uint64_t rows[QUEUE_STATE_ACTIVE + 1]; /* recipients, by the row's state */
    uint64_t attempts;
    uint64_t fed; /* number of the last row of a feed */
};

struct queue_store {
    struct db *db;
    bool is_owner;
    bool in_transaction;
    bool had_trouble;         /* a transaction was rolled back */
    struct db_backup *backup; /* under way, or NULL */
    struct queue_claims *claims;
    struct queue_tally tally, tally_before; /* before: as of begin */
    int64_t changes_before;                 /* rows changed, as of begin */
    uint64_t last_id;
    uint64_t purged_to; /* messages up to here were looked at for purging */
    struct db_statement *st[QUEUE_ST_COUNT];
};

static inline struct db_statement *
queue_store_use(struct queue_store *s, enum queue_statement which,
                const char *sql)
{
    return db_prepare(s->db, &s->st[which], sql);
}

/* The row's own state, whether claimed or not. */
static inline enum queue_state
queue_store_state(int64_t attempts, int64_t held)
{
    if (held == QUEUE_HELD)
        return QUEUE_STATE_HELD;
    return attempts > 0 ? QUEUE_STATE_DEFERRED : QUEUE_STATE_QUEUED;
}

/* --- store.c --- */
bool queue_store_meta_put(struct queue_store *s, const char *key,
                          const char *value, struct err *err) must_use;
/* *value is the caller's; NULL when there is none. */
bool queue_store_meta_get(struct queue_store *s, const char *key, char **value,
                          struct err *err) must_use;

/* --- store_schema.c --- */
extern const struct db_schema queue_store_schema;

/* --- store_enqueue.c --- */
bool queue_store_drop_spilled(struct queue_store *s, struct err *err) must_use;
bool queue_store_drop_body(struct queue_store *s, uint64_t id, uint64_t size,
                           struct err *err) must_use;
uint64_t queue_store_message_sum(const struct queue_message *m, unsigned flags);
uint64_t queue_store_rcpt_sum(uint64_t id, uint32_t number,
                              const struct mail_rcpt *r,
                              const char *destination);
bool queue_store_move(struct queue_store *s, uint64_t id, uint32_t number,
                      const char *destination, uint64_t sum,
                      struct err *err) must_use;
void queue_store_set_flags(struct queue_message *m, unsigned flags);

/* --- store_receipt.c --- */
bool queue_store_receipt_put(struct queue_store *s,
                             const struct queue_message *m,
                             struct err *err) must_use;

/* --- store_history.c --- */
/* A row of `attempt AS a`, and what it says from column `at` on. */
#define QUEUE_HISTORY_COLUMNS                                                  \
    "a.number, a.rcpt, a.outcome, a.next_ms, a.warned, a.reason, a.at_ms,"     \
    " a.took_ms, a.host, a.address, a.policy, a.proof, a.tls_version,"         \
    " a.tls_cipher, a.verdict, a.reply, a.step"
/* Strings are good until the statement goes on; false: there was no attempt. */
bool queue_store_history_row(struct db_statement *st, int at,
                             struct queue_result *r, struct queue_attempt *a);

/* --- store_feed.c --- */
/* A result, whose row of history has this sequence, for all that want it. */
bool queue_store_feed_put(struct queue_store *s,
                          const struct queue_settlement *x,
                          const struct queue_result *r, int64_t sequence,
                          struct err *err) must_use;

/* --- store_lead.c --- */
/* What is known of a recipient's row: from its claim, or else read. */
bool queue_store_find_row(struct queue_store *s, uint64_t id, uint32_t number,
                          bool *is_there, struct queue_claim *out,
                          struct err *err) must_use;
/* Is there no recipient with a lower number? */
bool queue_store_leads(struct queue_store *s, uint64_t id, uint32_t number,
                       bool *leads, struct err *err) must_use;
/* A row is in another state now.  The claim, if any, is the caller's. */
void queue_store_tally_move(struct queue_store *s,
                            const struct queue_claim *row, enum queue_state to);
/* A row is gone: it may have been the leader, and then there is another one,
 * unless it was the last (*was_last). */
bool queue_store_tally_drop(struct queue_store *s,
                            const struct queue_claim *row, bool *was_last,
                            struct err *err) must_use;

/* --- store_settle.c --- */
/* An operator's end for a recipient that nobody works on. */
bool queue_store_delete(struct queue_store *s, uint64_t id, uint32_t number,
                        struct err *err) must_use;

/* --- store_end.c --- */
/* Gives a recipient the destination where nothing is tried any more, claimed
 * or not; the row is due and free. */
bool queue_store_end(struct queue_store *s, uint64_t id, uint32_t number,
                     struct err *err) must_use;

#endif
