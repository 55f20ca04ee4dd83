/*
 * relay/daemon/intake_inside - what the files of the intake share; nobody
 * else's.
 *
 * The way of a message is in intake.c, its pieces' way to the store in
 * intake_spill.c, and what is changed in its header section in
 * intake_header.c; whom it may name as its author in intake_author.c, how it is
 * signed in intake_sign.c.
 *
 * The body buffer of the message holds, in this order: the front, pieces that
 * were given to the store and are kept, and what is not in the store yet.
 *
 *     trace field | header section | kept pieces | rest
 *     `--------- front -----------'
 *
 * The front stays here until the message has ended, so that its header section
 * may be changed with the whole message known, and goes to the store last, as
 * piece 0.
 */
#ifndef RELAY_DAEMON_INTAKE_INSIDE_H
#define RELAY_DAEMON_INTAKE_INSIDE_H

#include "queue/message.h"
#include "relay/daemon/intake.h"
#include "relay/mail/header.h"

struct intake {
    struct worker *worker;
    struct queue_message *message; /* envelope empty until intake_end */
    uint64_t sid;                  /* 0: no session */
    char *trace_id;                /* of the request; NULL: none */
    char *user;                    /* NULL: nobody has logged in */
    char *certificate;             /* whom it names; NULL: none that counts */
    char *source;                  /* which way it comes in, for metrics */
    struct mail_header_scan scan;
    size_t trace_len; /* octets of our Received field */
    size_t front_len; /* of the front; 0 while the header section goes on */
    bool is_bare;     /* has no field, and not even the blank line */

    struct dkim_signer *signer; /* NULL: nothing signs here */
    bool is_hashing;            /* the body has begun */
    bool lacks_blank_line;      /* in front of it */
    char *signed_by;            /* a domain; NULL: nobody */

    unsigned spilled; /* pieces given to the store */
    size_t kept;      /* octets of them in memory, behind the front */
    bool has_let_go;  /* they are no longer */
    unsigned under_way;
    bool ended, abandoned, spill_failed;
    struct err err; /* why a spill failed */

    void (*room)(void *ctx);
    void (*done)(void *ctx, const struct mail_status *status);
    void *room_ctx, *done_ctx;
};

/* --- intake.c --- */

/* Frees it; nothing of it is on its way any more. */
void intake_destroy(struct intake *in);
/* The end of a message that is not taken. */
void intake_refuse(struct intake *in, const struct mail_status *status);
/* The end of one that is as it goes out. */
void intake_seal(struct intake *in);

/* --- intake_spill.c --- */

/* What is not in the store yet; empty while the header section goes on. */
struct slice intake_rest(const struct intake *in);
/* Gives the next `len` octets of the rest to the store. */
void intake_spill(struct intake *in, size_t len);
/* Gives the front, as it is now, behind all else. */
void intake_spill_front(struct intake *in);
/* Takes back what was given. */
void intake_unspill(struct intake *in);
/* The end of an intake that came to nothing, once nothing is under way. */
void intake_end_abandoned(struct intake *in);

/* --- intake_header.c --- */

/* The header section of the message, as it stands in the front; empty when it
 * is larger than MAIL_HEADER_BUDGET, as then it is passed on as it is. */
struct slice intake_header(const struct intake *in);
/* Puts `fields` in its place. */
void intake_set_header(struct intake *in, struct slice fields);
/* Behind the last octet: makes of the header section and the sender what they
 * have to be. */
void intake_mend(struct intake *in, struct mail_envelope *envelope);
/* False: the message can't be mended, and may not go out as it is. */
bool intake_is_mended(const struct intake *in, struct mail_status *why);

/* --- intake_author.c --- */

/* False: its From fields name somebody whom the user may not speak for. */
bool intake_is_own(const struct intake *in, struct mail_status *why) must_use;

/* --- intake_sign.c --- */

/* The next octets of the body buffer. */
void intake_hash(struct intake *in, struct slice octets);
/* Behind the last change.  True: it is being signed, and sealed or refused
 * later. */
bool intake_sign(struct intake *in) must_use;

#endif
