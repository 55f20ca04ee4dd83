#include "relay/base/mem.h"
#include "relay/daemon/receive_inside.h"
#include "relay/daemon/server_tls.h"

static bool
may_connect(const struct config_listener *l, const struct addr *peer)
{
    if (l->networks.count == 0 || peer->any.sa_family == AF_UNSPEC)
        return true;
    for (size_t i = 0; i < l->networks.count; i++)
        if (addr_is_in(peer, &l->networks.net[i]))
            return true;
    return false;
}

static void
greet(struct receive *r, const struct config_listener *l)
{
    struct mail_status refusal = {0};

    if (!may_connect(l, &r->peer)) {
        mail_status_set(&refusal, 554, "5.7.1",
                        "%s may not connect here (networks)", r->peer_text);
        receive_log_reject(r, &refusal, NULL);
        if (r->tls == CONFIG_TLS_IMPLICIT) {
            r->over = true; /* clear text would mean nothing to it */
            return;
        }
        smtp_server_greet(r->smtp, &refusal);
    } else if (r->tls == CONFIG_TLS_IMPLICIT) {
        receive_start_tls(r);
        return;
    } else {
        smtp_server_greet(r->smtp, NULL);
    }
    receive_pump(r);
}

void
receive_start(struct worker *w, int fd, const struct addr *peer,
              const struct config_listener *l, const struct gate_pass *pass)
{
    struct receive *r = mem_new(struct receive);
    bool has_tls = server_tls_find(w->server_tls, l->name) != NULL;
    bool is_private = strncmp(l->address, "unix:", 5) == 0 &&
                      peer->any.sa_family == AF_UNSPEC;
    struct smtp_server_config config = {
        .hostname = w->config->hostname,
        .size_max = l->size_max,
        .rcpt_max = l->rcpt_max,
        .offer_starttls = has_tls && (l->tls == CONFIG_TLS_STARTTLS ||
                                      l->tls == CONFIG_TLS_REQUIRED),
        .require_tls = l->tls == CONFIG_TLS_REQUIRED,
        .is_private = is_private,
        .offer_requiretls = is_private || has_tls,
        .is_tls = l->tls == CONFIG_TLS_IMPLICIT,
    };

    r->worker = w;
    r->sid = id_next(&w->relay->ids, net_clock_steady());
    r->pass = *pass;
    r->peer = *peer;
    r->tls = l->tls;
    r->turn = UINT32_MAX;
    (void)addr_text(peer, r->peer_text);
    r->next = w->sessions;
    r->at = &w->sessions;
    if (r->next)
        r->next->at = &r->next;
    w->sessions = r;
    receive_offer_auth(r, l, &config);
    r->smtp = smtp_server_new(&config);
    r->conn = net_conn_new(&w->loop, fd, &receive_events, r);
    net_conn_open(r->conn);
    greet(r, l);
    (void)receive_bury(r);
}
