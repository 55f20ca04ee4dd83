#include "relay/config/users.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/base/text.h"

#include <crypt.h>
#include <stdatomic.h>
#include <stdlib.h>

struct row {
    struct user user;
    UT_hash_handle hh;
};

struct users {
    _Atomic unsigned holders;
    struct row *by_name; /* uthash */
    size_t count;
    size_t without_verifier; /* of those who are not locked */
    char *decoy;
    unsigned iterations;
};

/* --- one line --- */

bool
users_check_name(struct slice name, struct err *err)
{
    uint32_t code;

    if (name.len == 0)
        return err_set(err, ERR_INPUT, "there is no name");
    if (name.len > USERS_NAME_MAX)
        return err_set(err, ERR_LIMIT, "a name has at most %d octets",
                       USERS_NAME_MAX);
    if (name.p[0] == '#' || name.p[0] == ' ' || name.p[name.len - 1] == ' ')
        return err_set(err, ERR_INPUT,
                       "a name neither begins with # nor with a space, nor "
                       "ends with one");
    for (struct slice rest = name; rest.len > 0;) {
        size_t n = text_next(rest, &code);

        if (n == 0 || !text_may_show(code) || code == ':')
            return err_set(err, ERR_INPUT,
                           "a name is UTF-8 without control characters and "
                           "colons");
        rest = slice_from(rest, n);
    }
    return true;
}

/* What of a hash stands behind its last "$", by kind: half a line, or a salt
 * alone, is no hash. */
static const struct {
    const char *prefix;
    size_t tail;
} kinds[] = {
    {"$y$", 43},  {"$gy$", 43}, {"$7$", 43},
    {"$2b$", 53}, {"$2y$", 53}, {"$6$", 86},
};

static bool
is_hash(const char *hash)
{
    const char *tail = strrchr(hash, '$');

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(hash, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return strlen(tail + 1) == kinds[i].tail &&
                   crypt_checksalt(hash) == CRYPT_SALT_OK;
    return false;
}

/* The whole hash is never shown. */
static bool
take_hash(struct slice text, struct user *u, struct err *err)
{
    if (text.len == 0)
        return err_set(err, ERR_INPUT,
                       "there is no hash; \"!\" is for a user who may not log "
                       "in");
    if (text.p[0] == '!' || text.p[0] == '*') {
        u->hash = mem_text("");
        return true;
    }
    u->hash = mem_copy(text);
    return is_hash(u->hash) ||
           err_set(err, ERR_INPUT,
                   "the hash is none of yescrypt, bcrypt, scrypt or "
                   "sha512crypt: sealpost user passwd makes one");
}

/* As policy_access wants it. */
static bool
read_sender(struct slice text, char **out, struct err *err)
{
    struct mail_address address;
    struct mail_domain domain;

    if (slice_is(text, "*") || slice_is(text, "<>")) {
        *out = mem_copy(text);
        return true;
    }
    if (slice_starts_nocase(text, "*@")) /* as others write it */
        text = slice_from(text, 1);
    if (text.len > 0 && text.p[0] == '@') {
        if (!mail_domain_parse(slice_from(text, 1), &domain, err))
            return false;
        *out = mem_printf("@%s", domain.text);
        return true;
    }
    if (!mail_address_parse(text, true, &address, err))
        return false;
    *out = address.is_literal ? mem_text(address.text)
                              : mem_printf("%.*s@%s", (int)address.at,
                                           address.text, address.domain.text);
    return true;
}

static void
free_senders(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

static bool
read_senders(struct slice text, char ***out, size_t *count, struct err *err)
{
    char **list = NULL;
    size_t n = 0;

    while (slice_trim(text).len > 0) {
        struct slice one = slice_trim(slice_cut(&text, ','));

        list = mem_resized(list, n + 1, sizeof(*list));
        if (n == USERS_SENDERS_MAX
                ? !err_set(err, ERR_LIMIT, "more than %d senders",
                           USERS_SENDERS_MAX)
                : !read_sender(one, &list[n], err)) {
            free_senders(list, n);
            return err_in(err, "sender \"%.*s\"",
                          (int)(one.len < 60 ? one.len : 60), one.p);
        }
        n++;
    }
    *out = list;
    *count = n;
    return true;
}

bool
users_check_senders(struct slice text, struct err *err)
{
    char **list;
    size_t count;

    if (text.len > 0 && memchr(text.p, ':', text.len))
        return err_set(err, ERR_INPUT, "a sender holds no colon");
    if (!read_senders(text, &list, &count, err))
        return false;
    free_senders(list, count);
    return true;
}

static bool
read_line(struct slice line, struct user *u, struct err *err)
{
    struct slice name = slice_cut(&line, ':');
    struct slice hash = slice_cut(&line, ':');
    struct slice senders = slice_cut(&line, ':');
    char **list;

    if (!users_check_name(name, err))
        return false;
    u->name = mem_copy(name);
    if (!take_hash(hash, u, err) ||
        !read_senders(senders, &list, &u->access.sender_count, err))
        return false;
    u->access.senders = (const char *const *)list;
    if (line.len == 0 || !u->hash[0])
        return true;
    u->has_verifier = true;
    return smtp_sasl_verifier_parse(line, &u->verifier, err);
}

static void
free_user(struct user *u)
{
    char *hash = (char *)(uintptr_t)u->hash;

    secret_text_free(&hash);
    free((char *)(uintptr_t)u->name);
    free_senders((char **)(uintptr_t)u->access.senders, u->access.sender_count);
    explicit_bzero(u, sizeof(*u));
}

/* --- the list --- */

static void
free_row(struct row *row)
{
    free_user(&row->user);
    free(row);
}

static bool
add(struct users *u, struct slice line, struct err *err)
{
    struct row *row = mem_new(struct row), *twin;

    if (!read_line(line, &row->user, err)) {
        free_row(row);
        return false;
    }
    HASH_FIND_STR(u->by_name, row->user.name, twin);
    if (twin || u->count == USERS_MAX) {
        free_row(row);
        return twin ? err_set(err, ERR_INPUT, "another line has this name")
                    : err_set(err, ERR_LIMIT, "more than %d users", USERS_MAX);
    }
    HASH_ADD_KEYPTR(hh, u->by_name, row->user.name, strlen(row->user.name),
                    row);
    u->count++;
    return true;
}

/* Yescrypt, as `sealpost user` makes it; of which password nobody knows. */
static const char no_hash[] = "$y$j9T$0TSyG59TtP/9x94neA5LC1$"
                              "qu4MKg7wFacTjHfWMvhp2eBN2x8iLZR5zKoEQtJkFB6";

static void
sum_up(struct users *u)
{
    struct row *row, *next;

    u->iterations = 0;
    HASH_ITER(hh, u->by_name, row, next)
    {
        if (!row->user.hash[0])
            continue;
        if (!u->decoy)
            u->decoy = mem_text(row->user.hash);
        u->without_verifier += !row->user.has_verifier;
        if (u->iterations == 0 && row->user.has_verifier)
            u->iterations = row->user.verifier.iterations;
    }
    if (!u->decoy)
        u->decoy = mem_text(no_hash);
    if (u->iterations == 0)
        u->iterations = USERS_ITERATIONS;
}

bool
users_parse(struct slice text, const char *file, struct users **out,
            struct config_errors *errs)
{
    scoped(users_drop) struct users *u = mem_new(struct users);
    size_t before = errs->count;
    unsigned number = 0;

    atomic_store(&u->holders, 1);
    while (text.len > 0) {
        struct slice line = slice_cut(&text, '\n');
        scoped(own_free) char *origin = mem_printf("%s:%u", file, ++number);
        struct err err;

        if (line.len > 0 && line.p[0] != '#' && !add(u, line, &err))
            config_error(errs, origin, NULL, "%s", err.text);
    }
    if (errs->count > before)
        return false;
    sum_up(u);
    *out = take(&u);
    return true;
}

bool
users_load(const char *file, struct users **out, struct config_errors *errs)
{
    scoped(secret_buf_free) struct buf text = {0};
    struct err err;

    if (config_read_text(file, USERS_FILE_MAX, &text, &err))
        return users_parse(buf_slice(&text), file, out, errs);
    config_error(errs, file, NULL, "%s", err.text);
    return false;
}

struct users *
users_hold(struct users *u)
{
    atomic_fetch_add(&u->holders, 1);
    return u;
}

void
users_drop(struct users **place)
{
    struct users *u = take(place);
    struct row *row, *next;

    if (!u || atomic_fetch_sub(&u->holders, 1) > 1)
        return;
    HASH_ITER(hh, u->by_name, row, next)
    {
        HASH_DEL(u->by_name, row);
        free_row(row);
    }
    secret_text_free(&u->decoy);
    free(u);
}

const struct user *
users_find(const struct users *u, const char *name)
{
    struct row *row;

    HASH_FIND_STR(u->by_name, name, row);
    return row ? &row->user : NULL;
}

void
users_each(const struct users *u,
           void (*visit)(void *ctx, const struct user *user), void *ctx)
{
    for (struct row *row = u->by_name; row; row = row->hh.next)
        visit(ctx, &row->user);
}

size_t
users_count(const struct users *u)
{
    return u->count;
}

bool
users_have_verifiers(const struct users *u)
{
    return u->count > 0 && u->without_verifier == 0;
}

const char *
users_decoy_hash(const struct users *u)
{
    return u->decoy;
}

unsigned
users_iterations(const struct users *u)
{
    return u->iterations;
}
