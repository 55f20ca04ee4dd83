/*
 * relay/config/users - the users file: who may log in, and send from where.
 *
 *     # a comment
 *     NAME:HASH
 *     NAME:HASH:SENDER,SENDER...
 *     NAME:HASH:SENDERS:VERIFIER
 *
 * HASH is one of crypt(3), of a kind that is still good, or something that
 * begins with "!" or "*" for a user who may not log in now.  SENDERS are
 * addresses, "@domain", "*" or "<>"; without any, any address but "<>".
 * VERIFIER is that of SCRAM-SHA-256.
 *
 * A list is read as a whole or not at all, never changes, and lives until the
 * last one who holds it lets go.
 */
#ifndef RELAY_CONFIG_USERS_H
#define RELAY_CONFIG_USERS_H

#include "policy/access.h"
#include "relay/config/raw.h"
#include "smtp/sasl_verifier.h"

enum {
    USERS_FILE_MAX = 16 * 1024 * 1024, /* octets */
    USERS_MAX = 20000,
    USERS_NAME_MAX = 255,
    USERS_SENDERS_MAX = 1000, /* of one user */
    USERS_PASSWORD_MAX = 511, /* octets; crypt(3) takes no more */

    /* What we make ourselves.  The verifier is no weaker than it has to be for
     * who has stolen the file: each guess costs so many rounds. */
    USERS_ITERATIONS = 100000,
    USERS_SALT_LEN = 16,
};

struct user {
    const char *name;
    const char *hash; /* "" when locked: nothing fits */
    struct policy_access_user access;
    bool has_verifier; /* never when locked */
    struct smtp_sasl_verifier verifier;
};

struct users;

/* `file` is for the errors, "FILE:LINE: what is wrong".  False: errs has at
 * least one more. */
bool users_parse(struct slice text, const char *file, struct users **out,
                 struct config_errors *errs) must_use;

/* Reads the file; a file that can't be read is an error, too. */
bool users_load(const char *file, struct users **out,
                struct config_errors *errs) must_use;

/* Any thread. */
struct users *users_hold(struct users *u);
void users_drop(struct users **u);

/* Names are compared octet by octet. */
const struct user *users_find(const struct users *u, const char *name);
size_t users_count(const struct users *u);

/* SCRAM is for all or for none: a client that prefers it could not log in
 * where only the hash is there. */
bool users_have_verifiers(const struct users *u);

/* A hash that costs what those of this list cost, and that nobody has the
 * password of. */
const char *users_decoy_hash(const struct users *u);
/* How many iterations the verifiers have, by the first of them. */
unsigned users_iterations(const struct users *u);

/* In the order of the file. */
void users_each(const struct users *u,
                void (*visit)(void *ctx, const struct user *user), void *ctx);

/* ---- what `sealpost user` writes: users_line.c ---- */

/* One line of the file, without its end: the name it speaks of; empty for a
 * comment or an empty line. */
struct slice users_line_name(struct slice line);
bool users_check_name(struct slice name, struct err *err) must_use;
/* "a@b.example,@c.example": fit for a line. */
bool users_check_senders(struct slice text, struct err *err) must_use;
/* What can be typed, as long as crypt(3) takes it. */
bool users_check_password(struct slice text, struct err *err) must_use;

/* Appends a line, with its end, of a name, senders and a password that have
 * been checked.  Takes tenths of a second, on purpose. */
bool users_add_line(struct slice name, struct slice senders,
                    struct slice password, bool has_verifier, struct buf *out,
                    struct err *err) must_use;

#endif
