#include "smtp/sasl_verifier.h"

#include "relay/base/base64.h"
#include "smtp/sasl.h"

#include <assert.h>

void
smtp_sasl_verifier_make(struct slice password, struct slice salt,
                        unsigned iterations, struct smtp_sasl_verifier *out)
{
    struct smtp_sasl_scram_keys keys;
    uint8_t salted[SMTP_SASL_SCRAM_KEY];

    assert(salt.len <= SMTP_SASL_VERIFIER_SALT_MAX);
    *out = (struct smtp_sasl_verifier){.iterations = iterations,
                                       .salt_len = salt.len};
    memcpy(out->salt, salt.p, salt.len);
    smtp_sasl_scram_salt(password, salt, iterations, salted);
    smtp_sasl_scram_derive(salted, &keys);
    memcpy(out->stored, keys.stored, sizeof(out->stored));
    memcpy(out->server, keys.server, sizeof(out->server));
    explicit_bzero(salted, sizeof(salted));
    explicit_bzero(&keys, sizeof(keys));
}

/* Between `least` and `most` octets of base64. */
static bool
parse_octets(struct slice text, size_t least, size_t most, uint8_t *out,
             size_t *len)
{
    scoped(buf_free) struct buf octets = {0};

    if (!base64_read(text, &octets) || octets.len < least || octets.len > most)
        return false;
    memcpy(out, octets.p, octets.len);
    *len = octets.len;
    return true;
}

static bool
parse_key(struct slice text, uint8_t out[SMTP_SASL_SCRAM_KEY], struct err *err)
{
    size_t len;

    return parse_octets(text, SMTP_SASL_SCRAM_KEY, SMTP_SASL_SCRAM_KEY, out,
                        &len) ||
           err_set(err, ERR_INPUT, "a key is no base64 of %d octets",
                   SMTP_SASL_SCRAM_KEY);
}

bool
smtp_sasl_verifier_parse(struct slice text, struct smtp_sasl_verifier *out,
                         struct err *err)
{
    struct smtp_sasl_verifier v = {0};
    struct slice server = text, name = slice_cut(&server, '$');
    struct slice salt = slice_cut(&server, '$');
    struct slice iterations = slice_cut(&salt, ':');
    struct slice stored = slice_cut(&server, ':');
    unsigned long long count;

    if (!slice_is(name, smtp_sasl_name(SMTP_SASL_SCRAM_SHA_256)))
        return err_set(err, ERR_INPUT, "a verifier begins with %s$",
                       smtp_sasl_name(SMTP_SASL_SCRAM_SHA_256));
    if (!slice_number(iterations, SMTP_SASL_SCRAM_ITERATIONS_MAX, &count) ||
        count < SMTP_SASL_SCRAM_ITERATIONS_MIN)
        return err_set(err, ERR_LIMIT, "iterations are from %d to %d",
                       SMTP_SASL_SCRAM_ITERATIONS_MIN,
                       SMTP_SASL_SCRAM_ITERATIONS_MAX);
    v.iterations = (unsigned)count;
    if (!parse_octets(salt, 1, SMTP_SASL_VERIFIER_SALT_MAX, v.salt,
                      &v.salt_len))
        return err_set(err, ERR_INPUT,
                       "the salt is no base64 of 1 to %d octets",
                       SMTP_SASL_VERIFIER_SALT_MAX);
    if (!parse_key(stored, v.stored, err) || !parse_key(server, v.server, err))
        return false;
    *out = v;
    return true;
}

static struct slice
octets(const uint8_t *p, size_t len)
{
    return (struct slice){(const char *)p, len};
}

void
smtp_sasl_verifier_format(const struct smtp_sasl_verifier *v, struct buf *out)
{
    buf_printf(out, "%s$%u:", smtp_sasl_name(SMTP_SASL_SCRAM_SHA_256),
               v->iterations);
    base64_add(octets(v->salt, v->salt_len), out);
    buf_add_byte(out, '$');
    base64_add(octets(v->stored, sizeof(v->stored)), out);
    buf_add_byte(out, ':');
    base64_add(octets(v->server, sizeof(v->server)), out);
}
