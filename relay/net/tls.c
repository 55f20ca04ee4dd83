#include "relay/net/tls.h"

#include "relay/base/mem.h"
#include "relay/net/tls_context.h"
#include "relay/net/tls_identity_use.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

void
net_tls_need(const void *object)
{
    if (!object)
        abort();
}

const char *
net_tls_reason(const char *otherwise)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return reason ? reason : otherwise;
}

struct net_tls *
net_tls_new(const SSL_METHOD *method)
{
    struct net_tls *t = mem_new(struct net_tls);
    /* No renegotiation: it lets a peer buy much work with little. */
    uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;

    ERR_clear_error();
    t->ssl = SSL_CTX_new(method);
    net_tls_need(t->ssl);
    SSL_CTX_set_app_data(t->ssl, t);
    SSL_CTX_set_options(t->ssl, options);
    /* RFC 8996: TLS 1.0 and 1.1 must not be used. */
    SSL_CTX_set_min_proto_version(t->ssl, TLS1_2_VERSION);
    SSL_CTX_set_max_cert_list(t->ssl, NET_TLS_CHAIN_MAX);
    /* An idle connection gives its record buffers back. */
    SSL_CTX_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
    return t;
}

static struct net_tls *
new_client(void)
{
    struct net_tls *t = net_tls_new(TLS_client_method());

    SSL_CTX_set_verify_depth(t->ssl, NET_TLS_DEPTH_MAX);
    SSL_CTX_set_session_cache_mode(t->ssl, SSL_SESS_CACHE_CLIENT |
                                               SSL_SESS_CACHE_NO_INTERNAL);
    if (SSL_CTX_dane_enable(t->ssl) != 1)
        abort();
    return t;
}

struct net_tls *
net_tls_client_like(const struct net_tls *other)
{
    struct net_tls *t = new_client();

    SSL_CTX_set1_cert_store(t->ssl, SSL_CTX_get_cert_store(other->ssl));
    X509_VERIFY_PARAM_set_flags(
        SSL_CTX_get0_param(t->ssl),
        X509_VERIFY_PARAM_get_flags(SSL_CTX_get0_param(other->ssl)));
    return t;
}

struct net_tls *
net_tls_client_of(const char *ca, struct err *err)
{
    struct net_tls *t = new_client();

    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(t->ssl),
                                X509_V_FLAG_PARTIAL_CHAIN);
    if (ca[0] && SSL_CTX_load_verify_file(t->ssl, ca) != 1) {
        err_set(err, ERR_INPUT, "%s: %s", ca, net_tls_reason("unreadable"));
        net_tls_free(&t);
    }
    return t;
}

struct net_tls *
net_tls_client(const char *ca, struct err *err)
{
    struct net_tls *t = new_client();

    if (SSL_CTX_set_default_verify_paths(t->ssl) != 1) {
        err_set(err, ERR_SYSTEM, "trust anchors of the system: %s",
                net_tls_reason("unknown"));
        net_tls_free(&t);
        return NULL;
    }
    if (ca && ca[0] && SSL_CTX_load_verify_file(t->ssl, ca) != 1) {
        err_set(err, ERR_INPUT, "%s: %s", ca, net_tls_reason("unreadable"));
        net_tls_free(&t);
    }
    return t;
}

bool
net_tls_identify(struct net_tls *t, const char *certificate, const char *key,
                 struct err *err)
{
    struct net_tls_identity *id scoped(net_tls_identity_free) =
        net_tls_identity_load(certificate, key, err);

    return id && net_tls_identity_use(t->ssl, id, err);
}

struct net_tls *
net_tls_share(const struct net_tls *t)
{
    struct net_tls *share = mem_new(struct net_tls);

    if (SSL_CTX_up_ref(t->ssl) != 1)
        abort();
    share->ssl = t->ssl;
    return share;
}

void
net_tls_free(struct net_tls **t)
{
    if (!*t)
        return;
    if (SSL_CTX_get_app_data((*t)->ssl) == *t)
        SSL_CTX_set_app_data((*t)->ssl, NULL);
    SSL_CTX_free((*t)->ssl);
    net_tls_cache_done(&(*t)->sessions);
    net_tls_identities_done(&(*t)->identities);
    free(*t);
    *t = NULL;
}

const char *
net_tls_verdict_name(enum net_tls_verdict v)
{
    static const char *const names[] = {
        [NET_TLS_UNCHECKED] = "unchecked",
        [NET_TLS_VERIFIED] = "verified",
        [NET_TLS_EXPIRED] = "expired",
        [NET_TLS_WRONG_NAME] = "wrong name",
        [NET_TLS_NOT_TRUSTED] = "not trusted",
        [NET_TLS_BROKEN] = "broken",
    };

    return names[v];
}
