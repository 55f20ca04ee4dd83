/*
 * relay/mail/dkim - signs a message in the name of a domain (RFC 6376,
 * RFC 8463).
 *
 * rsa-sha256 and ed25519-sha256, relaxed/relaxed, the body always whole.  Both
 * kinds hash the body the same way, so one body hash serves several keys:
 *
 *     mail_dkim_body_feed(body, piece) ...
 *     mail_dkim_body_end(body, hash)
 *     mail_dkim_sign(key, &request, out, err)      once for each key
 *
 * It reads no file and no clock, and never changes the message: what it makes
 * is one header field, to be put in front.
 */
#ifndef RELAY_MAIL_DKIM_H
#define RELAY_MAIL_DKIM_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/mail/domain.h"

#include <stdint.h>

enum {
    MAIL_DKIM_HASH_SIZE = 32,      /* SHA-256 */
    MAIL_DKIM_RSA_BITS_MIN = 1024, /* RFC 8301 section 3.2 */
    MAIL_DKIM_RSA_BITS_GOOD = 2048,
    MAIL_DKIM_RSA_BITS_MADE = 2048,
    MAIL_DKIM_RSA_BITS_MAX = 4096,
    MAIL_DKIM_NAME_MAX = 76, /* octets of a field name to be signed; our own */
    MAIL_DKIM_SIGNED_MAX = 200, /* names in h=; our own */
};

/* A private key; may be used by several threads at once. */
struct mail_dkim_key;

/* From the text of a PEM file without passphrase.  ERR_INPUT: it is none, or
 * neither RSA of a fitting size nor Ed25519, or what it signs doesn't verify.
 * The text of the error never shows a part of the key. */
struct mail_dkim_key *mail_dkim_key_new(struct slice pem,
                                        struct err *err) must_use;
/* A fresh one: Ed25519, or RSA of MAIL_DKIM_RSA_BITS_MADE. */
struct mail_dkim_key *mail_dkim_key_make(bool is_ed25519);
/* Another owner of the same key. */
struct mail_dkim_key *mail_dkim_key_like(const struct mail_dkim_key *k);
void mail_dkim_key_free(struct mail_dkim_key **k);

/* Appends what mail_dkim_key_new reads: a secret. */
void mail_dkim_key_write(const struct mail_dkim_key *k, struct buf *pem);

const char *mail_dkim_key_algorithm(const struct mail_dkim_key *k);
/* "rsa-sha256" */
bool mail_dkim_key_is_short(const struct mail_dkim_key *k);
/* RSA of less than MAIL_DKIM_RSA_BITS_GOOD */

/* Appends what to publish at SELECTOR._domainkey.DOMAIN: "v=DKIM1; ...". */
void mail_dkim_key_record(const struct mail_dkim_key *k, struct buf *out);

/* Does a published record let others verify with this key?  ERR_INPUT, with
 * what speaks against it, when not. */
bool mail_dkim_record_fits(const struct mail_dkim_key *k, struct slice record,
                           struct err *err) must_use;
/* Is it meant for this service type ("email", "tlsrpt")?  RFC 6376 section
 * 3.6.1, RFC 8460 section 3. */
bool mail_dkim_record_serves(struct slice record, const char *service);

/* Labels of letters, digits, - and _ with dots in between: what can be a
 * selector. */
bool mail_dkim_is_selector(const char *text);

/* The domain of the first author that the From field of a header section
 * names; false: there is none. */
bool mail_dkim_author(struct slice header, struct mail_domain *out);
/* Has it been signed under that name already, well or badly? */
bool mail_dkim_is_signed(struct slice header, const char *domain,
                         const char *selector);

/* The hash of one body: of what stands behind the blank line, in canonical
 * CRLF lines, in pieces of any size. */
struct mail_dkim_body;

struct mail_dkim_body *mail_dkim_body_new(void);
void mail_dkim_body_feed(struct mail_dkim_body *b, struct slice piece);
/* Once, behind the last piece. */
void mail_dkim_body_end(struct mail_dkim_body *b,
                        uint8_t hash[MAIL_DKIM_HASH_SIZE]);
void mail_dkim_body_free(struct mail_dkim_body **b);

struct mail_dkim_request {
    const char *domain, *selector; /* A-label form */
    /* The header section in CRLF lines; nothing behind a blank line counts. */
    struct slice header;
    /* Fields to be signed, by name, each once.  Every instance that the
     * message has is signed; a name that it lacks is passed over.  From is
     * signed also when it is not named, and once more than there are, so that
     * nobody can add another (RFC 6376 section 8.15). */
    const char *const *names;
    size_t name_count;
    const uint8_t *body_hash; /* MAIL_DKIM_HASH_SIZE octets */
    int64_t unix_s;           /* t= */
};

/* Appends "DKIM-Signature: ... CRLF", folded, or nothing.  ERR_INPUT: there is
 * no From, or a name, the domain or the selector can't be written; ERR_LIMIT:
 * more than MAIL_DKIM_SIGNED_MAX fields; ERR_SYSTEM: the key does not do. */
bool mail_dkim_sign(const struct mail_dkim_key *k,
                    const struct mail_dkim_request *r, struct buf *out,
                    struct err *err) must_use;

#endif
