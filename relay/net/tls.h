/*
 * relay/net/tls - TLS settings and what a handshake has proven (OpenSSL).
 *
 * Contexts belong to one loop's thread; nothing is shared between threads.
 * TLS 1.2 is the least, unless a setup says otherwise.  Session tickets and
 * resumption are not used towards MX hosts whose proof differs: see
 * `session_key`.
 */
#ifndef RELAY_NET_TLS_H
#define RELAY_NET_TLS_H

#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NET_TLS_NAMES_MAX = 4,
    NET_TLS_FINGERPRINTS_MAX = 16,
    NET_TLS_FINGERPRINT_LEN = 32,   /* SHA-256 */
    NET_TLS_BINDING_LEN = 32,       /* RFC 9266 section 2 */
    NET_TLS_CHAIN_MAX = 100 * 1024, /* octets of a peer's certificates */
    NET_TLS_DEPTH_MAX = 10,
};

struct net_tls; /* a context: certificates, trust anchors, session cache */

/* For the client role.  Trust: the system's store, and the PEM file `ca`
 * besides it unless NULL or "". */
struct net_tls *net_tls_client(const char *ca, struct err *err) must_use;

/* For the client role.  Trust: each certificate in the PEM file `ca`, one of an
 * intermediate authority too, and nobody else; "": nobody at all. */
struct net_tls *net_tls_client_of(const char *ca, struct err *err) must_use;

/* For the client role, on whatever thread: trusts whom `other` trusts.  The
 * anchors are in memory once, for as long as one of the two needs them. */
struct net_tls *net_tls_client_like(const struct net_tls *other);

/* A client's own certificate, for servers that ask for one: chain and key in
 * PEM.  Checks that they fit. */
bool net_tls_identify(struct net_tls *t, const char *certificate,
                      const char *key, struct err *err) must_use;

/* For the server role: see tls_server.h. */
void net_tls_free(struct net_tls **t);

/* How hard the peer's certificate is looked at. */
enum net_tls_check {
    NET_TLS_CHECK_NONE,    /* whatever it is; it is still recorded */
    NET_TLS_CHECK_OBSERVE, /* as PKIX, but a failure only shows in the facts */
    NET_TLS_CHECK_PKIX,    /* chain, dates, and a DNS-ID out of `names`; never
                              the CN; a wildcard is the whole left-most label
                              (RFC 6125 section 6.4) */
    NET_TLS_CHECK_DANE,    /* by `tlsa` (RFC 7672); the place for it */
    NET_TLS_CHECK_OBSERVE_DANE, /* as DANE, but a failure only shows in the
                                   facts */
};

struct net_tls_tlsa {
    uint8_t usage, selector, matching;
    const uint8_t *data;
    size_t len;
};

/* A certificate that alone is accepted, whatever the check says besides. */
struct net_tls_fingerprint {
    bool of_key; /* of its SubjectPublicKeyInfo, not of the whole */
    uint8_t sha256[NET_TLS_FINGERPRINT_LEN];
};

/* What a server has shown, for people: printable, cut where it is long. */
struct net_tls_certificate {
    char subject[128], issuer[128];
    int64_t not_before, not_after; /* Unix seconds; 0 unknown */
};

struct net_tls_chain {
    struct net_tls_certificate certificates[NET_TLS_DEPTH_MAX]; /* leaf first */
    size_t count; /* the rest is left out; 0: a session was resumed */
    struct {
        bool is_found;
        uint8_t usage, selector, matching;
        uint8_t data[64]; /* cut, where it is no digest */
        size_t len;
    } tlsa; /* the record that matched */
};

/* Of one handshake; copied by net_conn_start_tls. */
struct net_tls_setup {
    struct net_tls *tls;
    bool is_server;
    const char *sni;          /* client: the server name sent; NULL: none */
    enum net_tls_check check; /* of a server; of clients: see tls_server.h */
    const char *names[NET_TLS_NAMES_MAX]; /* any one of them must match */
    const char *dane_base;                /* TLSA base domain */
    /* DANE, observed or not: the certificate is also looked at as PKIX would,
     * for this name; it shows in the facts alone.  NULL: it is not. */
    const char *pkix_name;
    const struct net_tls_tlsa *tlsa;
    size_t tlsa_count;
    const struct net_tls_fingerprint *fingerprints; /* none: any */
    size_t fingerprint_count; /* at most NET_TLS_FINGERPRINTS_MAX */
    const char *session_key;  /* sessions are resumed only under an equal key:
                                 it names host and proof; NULL: never */
    const char *alpn;         /* "http/1.1"; NULL: none */
    /* Client: zeroed storage to be filled in, which outlives the handshake;
     * NULL: nobody wants to see it. */
    struct net_tls_chain *chain;
};

enum net_tls_verdict {
    NET_TLS_UNCHECKED,
    NET_TLS_VERIFIED,
    NET_TLS_EXPIRED, /* or not yet valid */
    NET_TLS_WRONG_NAME,
    NET_TLS_NOT_TRUSTED, /* unknown issuer, self-signed, bad signature */
    NET_TLS_BROKEN,      /* no handshake came about at all */
};

struct net_tls_facts {
    char version[16]; /* "TLSv1.3" */
    char cipher[64];
    enum net_tls_verdict verdict; /* of PKIX or DANE, whichever was asked */
    char why[160]; /* of a verdict that isn't VERIFIED, for people */
    enum net_tls_verdict pkix_verdict; /* of `pkix_name` */
    char pkix_why[80];
    char matched[256]; /* the reference name that matched */
    char subject[256]; /* of the leaf: first DNS-ID, printable; of a client's
                          first mail address, else as above; "": none came */
    char issuer[256];
    int64_t not_after; /* of the leaf, Unix seconds; 0 unknown */
    bool is_stranger;  /* the certificate is none of the fingerprints */
    bool resumed;
};

const char *net_tls_verdict_name(enum net_tls_verdict v); /* "verified" */

#endif
