#include "smtp/sasl_server.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

static bool
has_nul(struct slice s)
{
    return s.len > 0 && memchr(s.p, '\0', s.len);
}

static enum smtp_sasl_next
refuse(struct smtp_sasl_server *s, const char *why)
{
    if (!s->user)
        s->user = mem_text("");
    s->why = why;
    return SMTP_SASL_JUDGE;
}

/* --- PLAIN and LOGIN --- */

static bool
take_secret(struct smtp_sasl_server *s, struct slice password)
{
    if (password.len == 0 || has_nul(password))
        return false;
    buf_add(&s->password, password);
    return true;
}

/* [authzid] NUL authcid NUL password: RFC 4616 section 2.  To act for somebody
 * else is not offered. */
static enum smtp_sasl_next
take_plain(struct smtp_sasl_server *s, struct slice in, struct buf *out)
{
    struct slice rest = in, authzid, authcid;

    (void)out;
    authzid = slice_cut(&rest, '\0');
    if (authzid.len == in.len)
        return SMTP_SASL_MALFORMED;
    authcid = slice_cut(&rest, '\0');
    if (authcid.len == 0)
        return SMTP_SASL_MALFORMED;
    s->user = mem_copy(authcid);
    if (!take_secret(s, rest))
        return SMTP_SASL_MALFORMED;
    if (authzid.len > 0 && !slice_is(authzid, s->user))
        return refuse(s, "authorization as somebody else");
    return SMTP_SASL_JUDGE;
}

static enum smtp_sasl_next
take_password(struct smtp_sasl_server *s, struct slice in, struct buf *out)
{
    (void)out;
    return take_secret(s, in) ? SMTP_SASL_JUDGE : SMTP_SASL_MALFORMED;
}

static enum smtp_sasl_next
take_user(struct smtp_sasl_server *s, struct slice in, struct buf *out)
{
    if (in.len == 0 || has_nul(in))
        return SMTP_SASL_MALFORMED;
    s->user = mem_copy(in);
    s->step = take_password;
    buf_add_text(out, "Password:");
    return SMTP_SASL_CHALLENGE;
}

/* --- SCRAM --- */

/* Cuts "NAME=value" and the comma behind it off the front. */
static bool
cut(struct slice *rest, char name, struct slice *value)
{
    if (rest->len < 2 || rest->p[0] != name || rest->p[1] != '=')
        return false;
    *value = slice_from(slice_cut(rest, ','), 2);
    return true;
}

/* RFC 5802 section 5.1 */
static bool
is_nonce(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ',')
            return false;
    return s.len > 0 && s.len <= SMTP_SASL_NONCE_MAX;
}

/* "=2C" is a comma and "=3D" an equals sign: RFC 5802 section 5.1. */
static char *
read_name(struct slice text)
{
    scoped(buf_free) struct buf name = {0};

    while (text.len > 0) {
        struct slice code = slice_first(text, 3);
        bool is_comma = slice_is(code, "=2C");

        if (text.p[0] == '\0' ||
            (text.p[0] == '=' && !is_comma && !slice_is(code, "=3D")))
            return NULL;
        buf_add_byte(&name, is_comma ? ',' : text.p[0]);
        text = slice_from(text, text.p[0] == '=' ? 3 : 1);
    }
    return name.len > 0 ? mem_copy(buf_slice(&name)) : NULL;
}

static enum smtp_sasl_next
end_scram(struct smtp_sasl_server *s, struct slice in, struct buf *out)
{
    (void)out;
    if (in.len > 0)
        return SMTP_SASL_MALFORMED;
    s->is_proven = true;
    return SMTP_SASL_JUDGE;
}

/* Is "c" the header of the first message, and the binding behind it? */
static bool
is_bound(const struct smtp_sasl_server *s, struct slice c)
{
    scoped(buf_free) struct buf want = {0}, text = {0};

    buf_add(&want, buf_slice(&s->gs2));
    if (s->is_plus)
        buf_add(&want,
                (struct slice){(const char *)s->binding, sizeof(s->binding)});
    base64_add(buf_slice(&want), &text);
    return c.len == text.len && CRYPTO_memcmp(c.p, text.p, c.len) == 0;
}

/* RFC 5802 section 3: the client key is what the proof hides. */
static bool
is_proof(const struct smtp_sasl_server *s, struct slice proof)
{
    const struct smtp_sasl_verifier *v = &s->verifier;
    uint8_t key[SMTP_SASL_SCRAM_KEY], stored[SMTP_SASL_SCRAM_KEY];
    bool is_right;

    smtp_sasl_scram_sign(v->stored, buf_slice(&s->auth_message), key);
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] ^= (uint8_t)proof.p[i];
    if (!SHA256(key, sizeof(key), stored))
        abort(); /* for want of memory only */
    is_right = CRYPTO_memcmp(stored, v->stored, sizeof(stored)) == 0;
    explicit_bzero(key, sizeof(key));
    return is_right;
}

static void
add_signature(const struct smtp_sasl_server *s, struct buf *out)
{
    uint8_t signature[SMTP_SASL_SCRAM_KEY];

    smtp_sasl_scram_sign(s->verifier.server, buf_slice(&s->auth_message),
                         signature);
    buf_add_text(out, "v=");
    base64_add((struct slice){(const char *)signature, sizeof(signature)}, out);
}

/* Where ",p=" begins: the proof is the last attribute, and holds no comma. */
static size_t
find_proof(struct slice in)
{
    size_t at = in.len;

    while (at > 0 && in.p[at - 1] != ',')
        at--;
    return at > 0 ? at - 1 : 0;
}

static enum smtp_sasl_next
take_final(struct smtp_sasl_server *s, struct slice in, struct buf *out)
{
    scoped(buf_free) struct buf proof = {0};
    size_t at = find_proof(in);
    struct slice before = slice_first(in, at), rest = before;
    struct slice last = slice_from(in, at + 1), c, r, p;

    if (at == 0 || !cut(&rest, 'c', &c) || !cut(&rest, 'r', &r) ||
        !cut(&last, 'p', &p))
        return SMTP_SASL_MALFORMED;
    if (!base64_read(p, &proof) || proof.len != SMTP_SASL_SCRAM_KEY)
        return SMTP_SASL_MALFORMED;
    if (r.len != s->nonce.len || memcmp(r.p, s->nonce.p, r.len) != 0)
        return refuse(s, "another nonce");
    if (!is_bound(s, c))
        return refuse(s, "channel bindings differ");
    buf_add_byte(&s->auth_message, ',');
    buf_add(&s->auth_message, before);
    if (!is_proof(s, buf_slice(&proof)))
        return SMTP_SASL_JUDGE;
    add_signature(s, out);
    s->step = end_scram;
    return SMTP_SASL_CHALLENGE;
}

/* The flag in front of the first message, cut off: does it go with what was
 * offered?  RFC 5802 section 6. */
static enum smtp_sasl_next
take_flag(struct smtp_sasl_server *s, struct slice *rest)
{
    struct slice flag = slice_cut(rest, ',');

    if (slice_is(flag, "p=tls-exporter"))
        return s->is_plus ? SMTP_SASL_CHALLENGE : SMTP_SASL_MALFORMED;
    if (slice_starts_nocase(flag, "p="))
        return refuse(s, "a channel binding that is not offered");
    if (s->is_plus)
        return SMTP_SASL_MALFORMED;
    if (slice_is(flag, "y")) /* somebody hid the offer of -PLUS */
        return s->has_binding ? refuse(s, "the offer of -PLUS got lost")
                              : SMTP_SASL_CHALLENGE;
    return slice_is(flag, "n") ? SMTP_SASL_CHALLENGE : SMTP_SASL_MALFORMED;
}

static enum smtp_sasl_next
take_first(struct smtp_sasl_server *s, struct slice in, struct buf *out)
{
    struct slice rest = in, name, nonce, authzid = {"", 0};
    enum smtp_sasl_next next = take_flag(s, &rest);
    scoped(own_free) char *other = NULL;
    struct slice bare;

    (void)out;
    if (next != SMTP_SASL_CHALLENGE)
        return next;
    if (rest.len > 0 && rest.p[0] == ',')
        rest = slice_from(rest, 1);
    else if (!cut(&rest, 'a', &authzid) || authzid.len == 0)
        return SMTP_SASL_MALFORMED;
    bare = rest;
    if (!cut(&rest, 'n', &name) || !cut(&rest, 'r', &nonce) || !is_nonce(nonce))
        return SMTP_SASL_MALFORMED;
    s->user = read_name(name);
    if (!s->user)
        return SMTP_SASL_MALFORMED;
    if (authzid.len > 0) {
        other = read_name(authzid);
        if (!other || strcmp(other, s->user) != 0)
            return refuse(s, "authorization as somebody else");
    }
    buf_add(&s->gs2, slice_first(in, in.len - bare.len));
    buf_add(&s->auth_message, bare);
    buf_add(&s->nonce, nonce);
    return SMTP_SASL_VERIFIER;
}

enum smtp_sasl_next
smtp_sasl_server_verify(struct smtp_sasl_server *s,
                        const struct smtp_sasl_verifier *verifier,
                        const char *nonce, struct buf *challenge)
{
    scoped(buf_free) struct buf first = {0};

    assert(is_nonce(slice_of(nonce)));
    s->verifier = *verifier;
    buf_add_text(&s->nonce, nonce);
    buf_printf(&first, "r=%s,s=", buf_text(&s->nonce));
    base64_add((struct slice){(const char *)verifier->salt, verifier->salt_len},
               &first);
    buf_printf(&first, ",i=%u", verifier->iterations);
    buf_add_byte(&s->auth_message, ',');
    buf_add(&s->auth_message, buf_slice(&first));
    buf_add(challenge, buf_slice(&first));
    s->step = take_final;
    return SMTP_SASL_CHALLENGE;
}

/* --- the exchange --- */

void
smtp_sasl_server_begin(struct smtp_sasl_server *s,
                       enum smtp_sasl_mechanism mechanism, bool is_plus,
                       const uint8_t *binding)
{
    static smtp_sasl_step_fn *const first[] = {
        [SMTP_SASL_PLAIN] = take_plain,
        [SMTP_SASL_LOGIN] = take_user,
        [SMTP_SASL_SCRAM_SHA_256] = take_first,
    };

    assert(SMTP_SASL_SERVER_ALL & SMTP_SASL_BIT(mechanism));
    assert(!is_plus || binding);
    *s = (struct smtp_sasl_server){.step = first[mechanism],
                                   .is_plus = is_plus,
                                   .has_binding = binding != NULL};
    if (binding)
        memcpy(s->binding, binding, sizeof(s->binding));
    /* No copy of a password is left behind by growing. */
    (void)buf_room(&s->password, SMTP_SASL_LINE_MAX);
}

void
smtp_sasl_server_done(struct smtp_sasl_server *s)
{
    free(s->user);
    secret_buf_free(&s->password);
    buf_free(&s->gs2);
    buf_free(&s->auth_message);
    buf_free(&s->nonce);
    explicit_bzero(s, sizeof(*s));
}

enum smtp_sasl_next
smtp_sasl_server_ask(struct smtp_sasl_server *s, struct buf *challenge)
{
    if (s->step == take_user)
        buf_add_text(challenge, "Username:");
    return SMTP_SASL_CHALLENGE;
}

enum smtp_sasl_next
smtp_sasl_server_feed(struct smtp_sasl_server *s, struct slice response,
                      struct buf *challenge)
{
    return s->step(s, response, challenge);
}
