#include "relay/net/tls_stream.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"
#include "relay/net/tls_context.h"
#include "relay/net/tls_identity_use.h"
#include "relay/net/tls_proof.h"

#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

struct net_tls_stream {
    SSL *ssl;
    BIO_METHOD *method; /* our own, because OpenSSL may need it last */
    struct slice *in;   /* octets of the network, during a call */
    struct buf *out;
    size_t barren; /* octets taken since the last that brought data */
    bool is_server, is_up, is_settled, is_ended, is_flooded;
    char *key;        /* of the session, or NULL */
    int64_t proven_s; /* when the session that is offered was */
    char *alpn;       /* or NULL */
    struct net_tls_identities identities; /* server: to choose from */
    struct net_tls_proof proof;
};

/* ---- octets ---- */

static int
take_octets(BIO *bio, char *to, int size)
{
    struct net_tls_stream *s = BIO_get_data(bio);
    struct slice part = slice_first(*s->in, (size_t)size);
    size_t max = s->is_up ? NET_TLS_BARREN_MAX : NET_TLS_HANDSHAKE_MAX;

    BIO_clear_retry_flags(bio);
    if (part.len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    s->barren += part.len;
    if (s->barren > max) {
        s->is_flooded = true;
        return -1;
    }
    memcpy(to, part.p, part.len);
    *s->in = slice_from(*s->in, part.len);
    return (int)part.len;
}

static int
put_octets(BIO *bio, const char *from, int len)
{
    struct net_tls_stream *s = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    buf_add(s->out, (struct slice){from, (size_t)len});
    return len;
}

static long
control(BIO *bio, int command, long number, void *p)
{
    (void)bio, (void)number, (void)p;
    return command == BIO_CTRL_FLUSH;
}

static void
connect_octets(struct net_tls_stream *s)
{
    BIO *bio;

    s->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "net_tls_stream");
    net_tls_need(s->method);
    BIO_meth_set_read(s->method, take_octets);
    BIO_meth_set_write(s->method, put_octets);
    BIO_meth_set_ctrl(s->method, control);
    bio = BIO_new(s->method);
    net_tls_need(bio);
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
}

/* ---- what OpenSSL calls during a handshake ---- */

static int
verify(X509_STORE_CTX *store, void *ctx)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct net_tls_stream *s = SSL_get_app_data(ssl);

    (void)ctx;
    return net_tls_proof_look(&s->proof, store) ? 1 : 0;
}

/* Returns whether the session was taken over. */
static int
session_came(SSL *ssl, SSL_SESSION *session)
{
    struct net_tls_stream *s = SSL_get_app_data(ssl);
    struct net_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    enum net_tls_verdict verdict = s->proof.facts.verdict;

    /* A failed check is made again, for it may succeed next time. */
    if (!t || !s->key ||
        (verdict != NET_TLS_VERIFIED && verdict != NET_TLS_UNCHECKED))
        return 0;
    net_tls_cache_put(&t->sessions, s->key, session, &s->proof.facts,
                      SSL_session_reused(ssl) ? s->proven_s
                                              : net_clock_wall() / 1000);
    return 1;
}

static bool
is_web(struct slice protocol)
{
    return slice_starts_nocase(protocol, "http/") ||
           slice_is_nocase(protocol, "h2") ||
           slice_is_nocase(protocol, "h2c") || slice_is_nocase(protocol, "h3");
}

/* A browser that was lured here must not find a server to talk to (ALPACA);
 * what else a client may offer to a server without ALPN is ignored. */
static int
choose_protocol(SSL *ssl, const unsigned char **chosen,
                unsigned char *chosen_len, const unsigned char *offered,
                unsigned int len, void *ctx)
{
    const struct net_tls_stream *s = SSL_get_app_data(ssl);
    bool offers_web = false;

    (void)ctx;
    for (unsigned int i = 0; i < len; i += 1U + offered[i]) {
        struct slice name = slice_first(
            (struct slice){(const char *)offered + i + 1, len - i - 1},
            offered[i]);

        if (s->alpn && slice_is(name, s->alpn)) {
            *chosen = offered + i + 1;
            *chosen_len = offered[i];
            return SSL_TLSEXT_ERR_OK;
        }
        offers_web |= is_web(name);
    }
    return s->alpn || offers_web ? SSL_TLSEXT_ERR_ALERT_FATAL
                                 : SSL_TLSEXT_ERR_NOACK;
}

/* Runs once the client has said which name it wants. */
static int
choose_identity(SSL *ssl, void *ctx)
{
    struct net_tls_stream *s = ctx;

    net_tls_identities_choose(ssl, &s->identities);
    return 1;
}

/* ---- beginning and end ---- */

static void
offer_protocol(SSL *ssl, const char *alpn)
{
    unsigned char wire[1 + UCHAR_MAX];
    size_t len = strlen(alpn);

    if (len == 0 || len > UCHAR_MAX)
        return;
    wire[0] = (unsigned char)len;
    memcpy(wire + 1, alpn, len);
    (void)SSL_set_alpn_protos(ssl, wire, (unsigned)(len + 1));
}

static void
offer_session(struct net_tls_stream *s, const struct net_tls *t)
{
    const struct net_tls_session *known =
        s->key
            ? net_tls_cache_find(&t->sessions, s->key, net_clock_wall() / 1000)
            : NULL;

    if (known && SSL_set_session(s->ssl, known->session) == 1) {
        s->proof.facts = *known->facts;
        s->proven_s = known->proven_s;
    }
}

static void
become_client(struct net_tls_stream *s, const struct net_tls_setup *setup)
{
    SSL_CTX *context = SSL_get_SSL_CTX(s->ssl);

    SSL_CTX_set_cert_verify_callback(context, verify, NULL);
    SSL_CTX_sess_set_new_cb(context, session_came);
    SSL_set_connect_state(s->ssl);
    if (setup->sni)
        (void)SSL_set_tlsext_host_name(s->ssl, setup->sni);
    if (setup->alpn)
        offer_protocol(s->ssl, setup->alpn);
    net_tls_proof_prepare(&s->proof, s->ssl, setup);
    s->key = mem_text(setup->session_key);
    offer_session(s, setup->tls);
}

static void
become_server(struct net_tls_stream *s, const struct net_tls_setup *setup)
{
    SSL_CTX *context = SSL_get_SSL_CTX(s->ssl);

    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify, NULL);
    SSL_set_accept_state(s->ssl);
    net_tls_proof_prepare_server(&s->proof, s->ssl, setup);
    /* A share of its own: settings may be loaded anew during the handshake. */
    s->identities = net_tls_identities_share(&setup->tls->identities);
    if (s->identities.count > 0)
        SSL_set_cert_cb(s->ssl, choose_identity, s);
    s->alpn = mem_text(setup->alpn);
    s->is_server = true;
}

struct net_tls_stream *
net_tls_stream_new(const struct net_tls_setup *setup, struct buf *out)
{
    struct net_tls_stream *s = mem_new(struct net_tls_stream);

    ERR_clear_error();
    s->out = out;
    s->ssl = SSL_new(setup->tls->ssl);
    net_tls_need(s->ssl);
    SSL_set_app_data(s->ssl, s);
    connect_octets(s);
    if (setup->is_server)
        become_server(s, setup);
    else
        become_client(s, setup);
    return s;
}

void
net_tls_stream_free(struct net_tls_stream **s)
{
    if (!*s)
        return;
    SSL_free((*s)->ssl);
    BIO_meth_free((*s)->method);
    net_tls_identities_done(&(*s)->identities);
    free((*s)->key);
    free((*s)->alpn);
    free(*s);
    *s = NULL;
}

/* ---- handshake ---- */

static void
note_channel(struct net_tls_stream *s)
{
    struct net_tls_facts *facts = &s->proof.facts;

    if (!SSL_get_current_cipher(s->ssl))
        return;
    (void)snprintf(facts->version, sizeof(facts->version), "%s",
                   SSL_get_version(s->ssl));
    (void)snprintf(facts->cipher, sizeof(facts->cipher), "%s",
                   SSL_get_cipher_name(s->ssl));
}

void
net_tls_stream_abandon(struct net_tls_stream *s, const char *why)
{
    struct net_tls_facts *facts = &s->proof.facts;

    if (s->is_settled)
        return;
    s->is_settled = true;
    /* What a session that was only offered had proven is not proven now. */
    if (!s->proof.has_looked)
        *facts = (struct net_tls_facts){0};
    note_channel(s);
    if (s->proof.has_looked && !net_tls_proof_is_met(&s->proof))
        return; /* the certificate was the reason */
    facts->verdict = NET_TLS_BROKEN;
    (void)snprintf(facts->why, sizeof(facts->why), "%s", why);
}

static enum net_tls_shake
refused(struct net_tls_stream *s, const char *why, struct err *err)
{
    net_tls_stream_abandon(s, why);
    err_set(err, ERR_TLS, "%s", s->proof.facts.why);
    return NET_TLS_REFUSED;
}

static enum net_tls_shake
settle(struct net_tls_stream *s, struct err *err)
{
    bool is_resumed = SSL_session_reused(s->ssl) == 1;

    /* Whatever way a peer has found round its certificate, it ends here. */
    if (net_tls_proof_is_wanted(&s->proof) && !s->proof.has_looked &&
        (!is_resumed || !net_tls_proof_is_met(&s->proof)))
        return refused(s, "no certificate", err);
    s->is_settled = s->is_up = true;
    s->barren = 0;
    s->proof.facts.resumed = is_resumed;
    note_channel(s);
    net_tls_proof_note_record(&s->proof, s->ssl);
    return NET_TLS_SECURED;
}

enum net_tls_shake
net_tls_stream_shake(struct net_tls_stream *s, struct slice *in,
                     struct err *err)
{
    int status;

    ERR_clear_error();
    s->in = in;
    status = SSL_do_handshake(s->ssl);
    s->in = NULL;
    if (status == 1)
        return settle(s, err);
    if (s->is_flooded)
        return refused(s, "too many octets in the handshake", err);
    if (SSL_get_error(s->ssl, status) == SSL_ERROR_WANT_READ)
        return NET_TLS_WAITS;
    return refused(s, net_tls_reason("handshake failed"), err);
}

/* ---- data ---- */

bool
net_tls_stream_read(struct net_tls_stream *s, struct slice *in, char *plain,
                    size_t *got, struct err *err)
{
    int status;

    ERR_clear_error();
    *got = 0;
    s->in = in;
    status = SSL_read_ex(s->ssl, plain, NET_TLS_PLAIN_MAX, got);
    s->in = NULL;
    if (status == 1) {
        s->barren = 0;
        return true;
    }
    *got = 0;
    if (s->is_flooded)
        return err_set(err, ERR_TLS, "too many records without data");
    switch (SSL_get_error(s->ssl, status)) {
    case SSL_ERROR_WANT_READ:
        return true;
    case SSL_ERROR_ZERO_RETURN:
        s->is_ended = true;
        return true;
    default: /* an int, not an enum */
        s->is_up = false;
        return err_set(err, ERR_TLS, "%s", net_tls_reason("broken record"));
    }
}

bool
net_tls_stream_is_ended(const struct net_tls_stream *s)
{
    return s->is_ended;
}

bool
net_tls_stream_write(struct net_tls_stream *s, struct slice plain,
                     struct err *err)
{
    struct slice nothing = {0};
    size_t sent;
    int status;

    ERR_clear_error();
    s->in = &nothing;
    status = SSL_write_ex(s->ssl, plain.p, plain.len, &sent);
    s->in = NULL;
    if (status == 1)
        return true;
    s->is_up = false;
    return err_set(err, ERR_TLS, "%s", net_tls_reason("can't encrypt"));
}

void
net_tls_stream_finish(struct net_tls_stream *s)
{
    struct slice nothing = {0};

    if (!s->is_up)
        return;
    ERR_clear_error();
    s->in = &nothing;
    (void)SSL_shutdown(s->ssl);
    s->in = NULL;
    s->is_up = false;
}

const struct net_tls_facts *
net_tls_stream_facts(const struct net_tls_stream *s)
{
    return &s->proof.facts;
}

bool
net_tls_stream_binding(const struct net_tls_stream *s,
                       uint8_t out[NET_TLS_BINDING_LEN])
{
    static const char label[] = "EXPORTER-Channel-Binding";
    static const unsigned char nothing[1] = "";

    if (!s->is_up)
        return false;
    /* RFC 9266 section 4.2 would allow TLS 1.2 with an extended master secret;
     * but there clients bind by tls-unique, as GNU SASL does, and would be
     * refused. */
    if (SSL_version(s->ssl) < TLS1_3_VERSION)
        return false;
    return SSL_export_keying_material(s->ssl, out, NET_TLS_BINDING_LEN, label,
                                      sizeof(label) - 1, nothing, 0, 1) == 1;
}
