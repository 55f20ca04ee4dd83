#include "relay/daemon/login_desk.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
draw(void *out, size_t len)
{
    if (RAND_bytes(out, (int)len) != 1)
        abort(); /* without random numbers nothing here is safe */
}

static bool
write_secret(const char *path, uint8_t secret[LOGIN_DESK_SECRET],
             struct err *err)
{
    scoped(own_close) int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    draw(secret, LOGIN_DESK_SECRET);
    return (fd >= 0 &&
            write(fd, secret, LOGIN_DESK_SECRET) == LOGIN_DESK_SECRET &&
            fsync(fd) == 0) ||
           err_errno(err, "%s", path);
}

/* One that was not written whole is of no use to anybody. */
static bool
read_secret(const char *path, uint8_t secret[LOGIN_DESK_SECRET],
            struct err *err)
{
    scoped(own_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;

    if (fd < 0 && errno == ENOENT)
        return write_secret(path, secret, err);
    if (fd < 0)
        return err_errno(err, "%s", path);
    n = read(fd, secret, LOGIN_DESK_SECRET);
    if (n == LOGIN_DESK_SECRET)
        return true;
    if (n < 0 || unlink(path) != 0)
        return err_errno(err, "%s", path);
    return write_secret(path, secret, err);
}

struct login_desk *
login_desk_open(const char *state_directory, struct err *err)
{
    scoped(own_free) char *path = mem_printf("%s/login.key", state_directory);
    scoped(login_desk_close) struct login_desk *d = mem_new(struct login_desk);
    uint8_t key[LOGIN_CACHE_KEY];
    struct hash_key hash;

    if (!read_secret(path, d->secret, err))
        return NULL;
    draw(key, sizeof(key));
    draw(&hash, sizeof(hash));
    d->hasher = hasher_new();
    d->cache = login_cache_new(key);
    d->guesses = guesses_new(&hash, GUESSES_OF_PASSWORDS);
    d->tokens = guesses_new(&hash, GUESSES_OF_TOKENS);
    explicit_bzero(key, sizeof(key));
    return take(&d);
}

void
login_desk_close(struct login_desk **place)
{
    struct login_desk *d = take(place);

    if (!d)
        return;
    hasher_free(&d->hasher);
    login_cache_free(&d->cache);
    guesses_free(&d->guesses);
    guesses_free(&d->tokens);
    explicit_bzero(d, sizeof(*d));
    free(d);
}

void
login_desk_decoy(const struct login_desk *d, const struct users *users,
                 const char *name, struct smtp_sasl_verifier *out)
{
    uint8_t salt[SMTP_SASL_SCRAM_KEY];

    smtp_sasl_scram_sign(d->secret, slice_of(name), salt);
    *out = (struct smtp_sasl_verifier){.iterations = users_iterations(users),
                                       .salt_len = USERS_SALT_LEN};
    memcpy(out->salt, salt, USERS_SALT_LEN);
    draw(out->stored, sizeof(out->stored));
    draw(out->server, sizeof(out->server));
}
