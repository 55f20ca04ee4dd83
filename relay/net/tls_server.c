#include "relay/net/tls_server.h"

#include "relay/net/tls_context.h"
#include "relay/net/tls_identity_use.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TICKET_KEYS_MAX = 256 };

/* Forward secrecy and authenticated encryption first (RFC 9325 section 4.2);
 * CBC for clients without the latter; never a key that was sent under RSA. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:"
                              "ECDHE+SHA384:ECDHE+SHA256:!aNULL:!CAMELLIA:"
                              "!ARIA:!AESCCM";

/* SHA-1 in signatures and short keys are all that old devices have. */
static const char old_ciphers[] = "DEFAULT:!aNULL:!eNULL:@SECLEVEL=0";

static int
version_of(const char *text)
{
    static const struct {
        const char *text;
        int version;
    } known[] = {
        {"1.0", TLS1_VERSION},
        {"1.1", TLS1_1_VERSION},
        {"1.2", TLS1_2_VERSION},
        {"1.3", TLS1_3_VERSION},
    };

    for (size_t i = 0; text && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(text, known[i].text) == 0)
            return known[i].version;
    return TLS1_2_VERSION;
}

static void
set_versions(SSL_CTX *ssl, const char *min_version)
{
    int version = version_of(min_version);

    if (SSL_CTX_set_min_proto_version(ssl, version) != 1 ||
        SSL_CTX_set_cipher_list(ssl, version < TLS1_2_VERSION ? old_ciphers
                                                              : ciphers) != 1)
        abort();
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
}

/* Sessions live in tickets, which only contexts with the same keys can open;
 * the server itself remembers none. */
static void
set_sessions(SSL_CTX *ssl, const struct net_tls_server_setup *setup)
{
    size_t len = strlen(setup->name);
    unsigned char keys[TICKET_KEYS_MAX];
    long size = SSL_CTX_get_tlsext_ticket_keys(ssl, NULL, 0);

    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, setup->check == NET_TLS_CHECK_NONE ? 1 : 0);
    if (setup->check != NET_TLS_CHECK_NONE)
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    if (len > SSL_MAX_SID_CTX_LENGTH)
        len = SSL_MAX_SID_CTX_LENGTH;
    if (SSL_CTX_set_session_id_context(ssl, (const unsigned char *)setup->name,
                                       (unsigned)len) != 1)
        abort();
    assert(size > 0 && (size_t)size <= sizeof(keys));
    if (setup->like &&
        (SSL_CTX_get_tlsext_ticket_keys(setup->like->ssl, keys, size) != 1 ||
         SSL_CTX_set_tlsext_ticket_keys(ssl, keys, size) != 1))
        abort();
    OPENSSL_cleanse(keys, sizeof(keys));
    /* Early data can be replayed (RFC 8446 section 8). */
    SSL_CTX_set_max_early_data(ssl, 0);
}

static bool
set_clients(SSL_CTX *ssl, const struct net_tls_server_setup *setup,
            struct err *err)
{
    STACK_OF(X509_NAME) * names;
    int mode = SSL_VERIFY_PEER;

    if (setup->check == NET_TLS_CHECK_NONE)
        return true;
    names = SSL_load_client_CA_file(setup->client_ca);
    if (!names || SSL_CTX_load_verify_file(ssl, setup->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return err_set(err, ERR_INPUT, "%s: %s", setup->client_ca,
                       net_tls_reason("unreadable"));
    }
    SSL_CTX_set_client_CA_list(ssl, names);
    SSL_CTX_set_verify_depth(ssl, NET_TLS_DEPTH_MAX);
    if (setup->check == NET_TLS_CHECK_PKIX)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, mode, NULL);
    return true;
}

struct net_tls *
net_tls_server(const struct net_tls_server_setup *setup, struct err *err)
{
    struct net_tls *t = net_tls_new(TLS_server_method());

    set_versions(t->ssl, setup->min_version);
    set_sessions(t->ssl, setup);
    if (!net_tls_identity_use(t->ssl, setup->identities->list[0], err) ||
        !set_clients(t->ssl, setup, err)) {
        net_tls_free(&t);
        return NULL;
    }
    if (setup->identities->count > 1)
        t->identities = net_tls_identities_share(setup->identities);
    return t;
}
