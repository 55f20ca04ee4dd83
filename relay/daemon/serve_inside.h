/*
 * relay/daemon/serve_inside - what the files of the relay's life share; nobody
 * else's.
 *
 * Start and end are in serve.c, the store's start and the new routes of what
 * waits in serve_store.c, another configuration in serve_reload.c, and the way
 * to the end in serve_drain.c.
 */
#ifndef RELAY_DAEMON_SERVE_INSIDE_H
#define RELAY_DAEMON_SERVE_INSIDE_H

#include "relay/daemon/doors.h"
#include "relay/daemon/serve.h"
#include "relay/daemon/server_tls.h"
#include "relay/net/timer.h"

struct maildrop;

struct serve {
    struct relay relay;
    const char *config_file;
    const struct serve_api *api;
    void *api_ctx;
    struct net_http_server *http, *web_http; /* of each of these: */
    struct net_listen *control, *web;
    struct doors doors;
    struct maildrop *maildrop; /* NULL: none is watched */
    int lock_fd;
    uv_signal_t on_term, on_int, on_hup;
    struct net_timer *drain_timer;
    struct net_timer *broken_timer; /* NULL: the disk works, or is full */
    int64_t drain_until_ms;
    bool cut, over;
    unsigned cut_waits;
    int exit_code;

    struct config *old; /* still looked at by somebody, during a reload */
    unsigned reload_waits;
    struct server_tls **keys; /* until the workers have taken theirs */
    struct server_tls_facts key_facts;
    bool reload_again;
};

/* ---- serve.c ---- */

/* One line with one field. */
void serve_say(const struct relay *relay, enum log_level level,
               const char *event, const char *key, const char *text);

/* Whoever looks for mail that does not come finds this. */
void serve_warn_of_mode(const struct relay *relay);
/* No published policy is weakened without a word. */
void serve_warn_of_exemptions(const struct relay *relay);

/* ---- serve_store.c ---- */

bool serve_open_store(struct serve *s, struct err *err) must_use;

/* What waits finds its routes anew; then this part of a reload is done. */
void serve_reroute(struct serve *s);

/* ---- serve_reload.c ---- */

/* Somebody no longer looks at the old configuration. */
void serve_reload_part_done(void *serve);

/* What the configuration understood in its own way. */
void serve_log_notes(const struct serve *s, const struct config_errors *errs);

#endif
