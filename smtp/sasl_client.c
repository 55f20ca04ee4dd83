#include "smtp/sasl_client.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"

#include <assert.h>
#include <stdlib.h>

/* RFC 5802 section 7: no channel binding, and nobody else's authority. */
static const char gs2_header[] = "n,,";
static const char gs2_header_base64[] = "biws";

struct smtp_sasl_client {
    const struct smtp_sasl_account *account;
    enum smtp_sasl_mechanism mechanism;
    unsigned answered; /* challenges, the initial response among them */
    char refusal[4];

    /* SCRAM */
    struct buf first;   /* client-first-message-bare */
    struct buf message; /* AuthMessage */
    struct buf nonce;   /* ours and the server's */
    struct buf salt;
    unsigned iterations;
    uint8_t server[SMTP_SASL_SCRAM_KEY]; /* the server key */
    bool is_proven;
};

bool
smtp_sasl_client_choose(unsigned allowed, unsigned offered,
                        enum smtp_sasl_mechanism *out)
{
    static const enum smtp_sasl_mechanism order[] = {
        SMTP_SASL_SCRAM_SHA_256, SMTP_SASL_PLAIN,   SMTP_SASL_LOGIN,
        SMTP_SASL_OAUTHBEARER,   SMTP_SASL_XOAUTH2,
    };

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (allowed & offered & SMTP_SASL_BIT(order[i])) {
            *out = order[i];
            return true;
        }
    return false;
}

/* RFC 5802 section 5.1: a comma and an equals sign are written otherwise. */
static void
add_name(const char *user, struct buf *out)
{
    for (; *user; user++)
        if (*user == ',')
            buf_add_text(out, "=2C");
        else if (*user == '=')
            buf_add_text(out, "=3D");
        else
            buf_add_byte(out, *user);
}

struct smtp_sasl_client *
smtp_sasl_client_new(const struct smtp_sasl_account *account,
                     enum smtp_sasl_mechanism mechanism)
{
    struct smtp_sasl_client *c = mem_new(struct smtp_sasl_client);

    c->account = account;
    c->mechanism = mechanism;
    if (mechanism != SMTP_SASL_SCRAM_SHA_256)
        return c;
    assert(strlen(account->nonce) <= SMTP_SASL_NONCE_MAX);
    buf_add_text(&c->first, "n=");
    add_name(account->user, &c->first);
    buf_printf(&c->first, ",r=%s", account->nonce);
    return c;
}

void
smtp_sasl_client_free(struct smtp_sasl_client **place)
{
    struct smtp_sasl_client *c = take(place);

    if (!c)
        return;
    buf_free(&c->first);
    buf_free(&c->message);
    buf_free(&c->nonce);
    buf_free(&c->salt);
    explicit_bzero(c->server, sizeof(c->server));
    free(c);
}

enum smtp_sasl_mechanism
smtp_sasl_client_mechanism(const struct smtp_sasl_client *c)
{
    return c->mechanism;
}

bool
smtp_sasl_client_initial(const struct smtp_sasl_client *c, struct buf *out)
{
    const struct smtp_sasl_account *a = c->account;

    switch (c->mechanism) {
    case SMTP_SASL_PLAIN: /* RFC 4616 section 2 */
        buf_add_byte(out, '\0');
        buf_add_text(out, a->user);
        buf_add_byte(out, '\0');
        buf_add_text(out, a->secret);
        return true;
    case SMTP_SASL_LOGIN:
        return false;
    case SMTP_SASL_SCRAM_SHA_256:
        buf_add_text(out, gs2_header);
        buf_add(out, buf_slice(&c->first));
        return true;
    case SMTP_SASL_XOAUTH2:
        buf_printf(out, "user=%s\1auth=Bearer %s\1\1", a->user, a->secret);
        return true;
    case SMTP_SASL_OAUTHBEARER: /* RFC 7628 section 3.1 */
        buf_add_text(out, "n,a=");
        add_name(a->user, out);
        buf_printf(out, ",\1host=%s\1port=%u\1auth=Bearer %s\1\1", a->host,
                   a->port, a->secret);
        return true;
    case SMTP_SASL_COUNT:
        break;
    }
    abort();
}

void
smtp_sasl_client_sent_initial(struct smtp_sasl_client *c)
{
    c->answered++;
}

/* --- SCRAM --- */

/* Takes "k=value" off the front of a list. */
static bool
cut_field(struct slice *rest, char key, struct slice *value)
{
    struct slice field = slice_cut(rest, ',');

    if (field.len < 3 || field.p[0] != key || field.p[1] != '=')
        return false;
    *value = slice_from(field, 2);
    return true;
}

/* It goes out again as it came in, in a message of ours. */
static bool
is_printable(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return false;
    return true;
}

static bool
is_built_on(struct slice nonce, const char *ours)
{
    size_t len = strlen(ours);

    return nonce.len > len && memcmp(nonce.p, ours, len) == 0;
}

/* server-first-message of RFC 5802 section 7; behind its three fields may
 * stand extensions that can be passed over. */
static bool
read_first(struct smtp_sasl_client *c, struct slice text, struct err *err)
{
    struct slice rest = text, nonce, salt, iterations;
    unsigned long long count;

    if (!is_printable(text) || !cut_field(&rest, 'r', &nonce) ||
        !cut_field(&rest, 's', &salt) || !cut_field(&rest, 'i', &iterations))
        return err_set(err, ERR_INPUT,
                       "SCRAM: the server's first message is malformed");
    if (!is_built_on(nonce, c->account->nonce))
        return err_set(err, ERR_INPUT,
                       "SCRAM: the server's nonce is not built on ours");
    if (!base64_read(salt, &c->salt) || c->salt.len > SMTP_SASL_SALT_MAX)
        return err_set(err, ERR_INPUT, "SCRAM: the salt is malformed");
    if (!slice_number(iterations, SMTP_SASL_SCRAM_ITERATIONS_MAX, &count) ||
        count < SMTP_SASL_SCRAM_ITERATIONS_MIN)
        return err_set(err, ERR_LIMIT,
                       "SCRAM: the number of iterations is not from %d to %d",
                       SMTP_SASL_SCRAM_ITERATIONS_MIN,
                       SMTP_SASL_SCRAM_ITERATIONS_MAX);
    c->iterations = (unsigned)count;
    buf_add(&c->nonce, nonce);
    buf_add(&c->message, buf_slice(&c->first));
    buf_add_byte(&c->message, ',');
    buf_add(&c->message, text);
    return true;
}

struct smtp_sasl_client_work
smtp_sasl_client_work(const struct smtp_sasl_client *c)
{
    return (struct smtp_sasl_client_work){slice_of(c->account->secret),
                                          buf_slice(&c->salt), c->iterations};
}

void
smtp_sasl_client_salted(struct smtp_sasl_client *c,
                        const uint8_t salted[SMTP_SASL_SCRAM_KEY],
                        struct buf *out)
{
    struct smtp_sasl_scram_keys keys;
    uint8_t proof[SMTP_SASL_SCRAM_KEY];
    size_t start = out->len;

    buf_printf(out, "c=%s,r=%s", gs2_header_base64, buf_text(&c->nonce));
    buf_add_byte(&c->message, ',');
    buf_add(&c->message, slice_from(buf_slice(out), start));

    smtp_sasl_scram_derive(salted, &keys);
    smtp_sasl_scram_sign(keys.stored, buf_slice(&c->message), proof);
    for (size_t i = 0; i < sizeof(proof); i++)
        proof[i] ^= keys.client[i];
    memcpy(c->server, keys.server, sizeof(c->server));
    explicit_bzero(&keys, sizeof(keys));

    buf_add_text(out, ",p=");
    base64_add((struct slice){(const char *)proof, sizeof(proof)}, out);
}

/* server-final-message: "v=" and its signature, or "e=" and why not, which the
 * reply behind it repeats as a code. */
static bool
read_final(struct smtp_sasl_client *c, struct slice text, struct err *err)
{
    scoped(buf_free) struct buf want = {0};
    uint8_t signature[SMTP_SASL_SCRAM_KEY];
    struct slice rest = text, value;

    if (cut_field(&rest, 'e', &value))
        return true;
    rest = text;
    smtp_sasl_scram_sign(c->server, buf_slice(&c->message), signature);
    base64_add((struct slice){(const char *)signature, sizeof(signature)},
               &want);
    c->is_proven =
        cut_field(&rest, 'v', &value) && slice_is(value, buf_text(&want));
    return c->is_proven ||
           err_set(err, ERR_INPUT,
                   "SCRAM: the server does not know the password: its "
                   "signature is wrong");
}

static enum smtp_sasl_client_move
scram(struct smtp_sasl_client *c, struct slice text, struct err *err)
{
    scoped(buf_free) struct buf message = {0};

    if (!base64_read(text, &message)) {
        err_set(err, ERR_INPUT, "SCRAM: a challenge that is no base64");
        return SMTP_SASL_CLIENT_CANCEL;
    }
    if (c->answered == 2)
        return read_first(c, buf_slice(&message), err)
                   ? SMTP_SASL_CLIENT_DERIVE
                   : SMTP_SASL_CLIENT_CANCEL;
    return read_final(c, buf_slice(&message), err) ? SMTP_SASL_CLIENT_SEND
                                                   : SMTP_SASL_CLIENT_CANCEL;
}

/* --- tokens --- */

/* A JSON object tells why the token is refused, of which the status is shown;
 * the refusal itself comes once that is answered. */
static void
note_refusal(struct smtp_sasl_client *c, struct slice text)
{
    static const char key[] = "\"status\"";
    scoped(buf_free) struct buf json = {0};
    const char *at;
    size_t n = 0;

    if (!base64_read(text, &json))
        return;
    at = strstr(buf_text(&json), key);
    if (!at)
        return;
    at += sizeof(key) - 1;
    at += strspn(at, " :\"");
    while (n < sizeof(c->refusal) - 1 && at[n] >= '0' && at[n] <= '9')
        n++;
    memcpy(c->refusal, at, n);
    c->refusal[n] = '\0';
}

const char *
smtp_sasl_client_refusal(const struct smtp_sasl_client *c)
{
    return c->refusal;
}

/* --- any --- */

enum { ANSWERS_MAX = 3 }; /* SCRAM's */

/* How many challenges a mechanism has, its first response among them. */
static unsigned
rounds(enum smtp_sasl_mechanism m)
{
    static const unsigned of[] = {
        [SMTP_SASL_PLAIN] = 1,
        [SMTP_SASL_LOGIN] = 2,
        [SMTP_SASL_SCRAM_SHA_256] = ANSWERS_MAX,
        [SMTP_SASL_XOAUTH2] = 2,
        [SMTP_SASL_OAUTHBEARER] = 2,
    };

    return of[m];
}

enum smtp_sasl_client_move
smtp_sasl_client_challenge(struct smtp_sasl_client *c, struct slice text,
                           struct buf *out, struct err *err)
{
    bool is_first = c->answered == 0;

    if (c->answered >= rounds(c->mechanism)) {
        err_set(err, ERR_INPUT, "%s: the server asks once too often",
                smtp_sasl_name(c->mechanism));
        return SMTP_SASL_CLIENT_CANCEL;
    }
    c->answered++;
    if (is_first && smtp_sasl_client_initial(c, out))
        return SMTP_SASL_CLIENT_SEND;
    switch (c->mechanism) {
    case SMTP_SASL_LOGIN:
        /* Servers ask in words of their own. */
        buf_add_text(out, is_first ? c->account->user : c->account->secret);
        break;
    case SMTP_SASL_SCRAM_SHA_256:
        return scram(c, text, err);
    case SMTP_SASL_XOAUTH2: /* an empty line */
        note_refusal(c, text);
        break;
    case SMTP_SASL_OAUTHBEARER: /* RFC 7628 section 3.2.3 */
        note_refusal(c, text);
        buf_add_byte(out, '\1');
        break;
    case SMTP_SASL_PLAIN:
    case SMTP_SASL_COUNT:
        abort();
    }
    return SMTP_SASL_CLIENT_SEND;
}

bool
smtp_sasl_client_is_proven(const struct smtp_sasl_client *c, struct err *err)
{
    if (c->mechanism != SMTP_SASL_SCRAM_SHA_256 || c->is_proven)
        return true;
    return err_set(err, ERR_INPUT,
                   "SCRAM: the server said yes without its signature");
}
