#include "relay/daemon/receive_inside.h"

/* What a certificate is worth may have changed since the handshake. */
bool
receive_wants_certificate(const struct receive *r)
{
    const struct config_listener *l =
        config_listener_find(r->worker->config, r->pass.listener);

    return l && l->client_certificate != CONFIG_CLIENT_CERTIFICATE_OFF;
}

bool
receive_has_certificate(const struct receive *r)
{
    const struct net_tls_facts *tls = net_conn_tls(r->conn);

    return tls && tls->verdict == NET_TLS_VERIFIED &&
           receive_wants_certificate(r);
}

static void
begin_line(const struct receive *r, struct log_line *line, const char *event)
{
    log_begin(line, r->worker->relay->log, LOG_LEVEL_INFO, event);
    log_id(line, "sid", r->sid);
    log_text(line, "listener", r->pass.listener);
    log_text(line, "client_ip", r->peer_text);
}

/* Why a handshake fails is of interest only where a certificate may be the
 * reason: all the world tries handshakes. */
static void
log_failure(const struct receive *r, const struct err *err)
{
    struct log_line line;

    begin_line(r, &line, "session.reject");
    log_text(&line, "reason", err->text);
    log_end(&line);
}

void
receive_log_tls(const struct receive *r, const struct err *err)
{
    const struct net_tls_facts *tls = net_conn_tls(r->conn);
    struct log_line line;

    if (tls && !err)
        metrics_tls(r->worker->relay->metrics, true, tls->version,
                    tls->subject[0] ? net_tls_verdict_name(tls->verdict)
                                    : NULL);
    if (!receive_wants_certificate(r))
        return;
    if (err || !tls) {
        if (err)
            log_failure(r, err);
        return;
    }
    if (tls->subject[0] == '\0')
        return; /* it has shown none */
    begin_line(r, &line, "session.auth");
    log_text(&line, "user", tls->subject);
    log_text(&line, "mechanism", "certificate");
    log_text(&line, "issuer", tls->issuer);
    log_bool(&line, "tls", true);
    log_bool(&line, "ok", tls->verdict == NET_TLS_VERIFIED);
    if (tls->verdict != NET_TLS_VERIFIED)
        log_text(&line, "reason", tls->why);
    log_end(&line);
}
