/*
 * relay/net/tls_proof - what a peer's certificate is checked for, and the facts
 * it gives (RFC 5280, RFC 6125, RFC 6698, RFC 7672).
 *
 * OpenSSL does the checking; this says which, and turns its answer into ours.
 */
#ifndef RELAY_NET_TLS_PROOF_H
#define RELAY_NET_TLS_PROOF_H

#include "relay/net/tls.h"

#include <openssl/ssl.h>

/* Of one handshake. */
struct net_tls_proof {
    enum net_tls_check check;
    bool is_of_client;
    bool is_hopeless; /* nothing could satisfy the check: no name, no record */
    bool has_looked;  /* a certificate has come and was checked */
    struct net_tls_fingerprint pins[NET_TLS_FINGERPRINTS_MAX];
    size_t pin_count;
    struct net_tls_chain *chain; /* the setup's */
    char pkix_name[256];         /* "": nobody asks */
    struct net_tls_facts facts;
};

/* Sets up the checks for a client's handshake. */
void net_tls_proof_prepare(struct net_tls_proof *p, SSL *ssl,
                           const struct net_tls_setup *setup);

/* The same for a server's handshake, whose context says what is asked for. */
void net_tls_proof_prepare_server(struct net_tls_proof *p, SSL *ssl,
                                  const struct net_tls_setup *setup);

/* Is a handshake worth nothing without a certificate? */
bool net_tls_proof_is_wanted(const struct net_tls_proof *p);

/* Checks a chain, in the place of X509_verify_cert; returns whether the
 * handshake may go on. */
bool net_tls_proof_look(struct net_tls_proof *p, X509_STORE_CTX *store);

/* Once the handshake has succeeded: shows which TLSA record it was. */
void net_tls_proof_note_record(struct net_tls_proof *p, SSL *ssl);

/* Does the check allow the connection to be used? */
bool net_tls_proof_is_met(const struct net_tls_proof *p);

#endif
