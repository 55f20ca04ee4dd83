/*
 * relay/daemon/worker - one network thread: a loop with its sessions,
 * deliveries, DNS client, TLS contexts and caches.
 *
 * Workers share nothing with each other.  All but worker_start, worker_post
 * and worker_stop is for the worker's own thread.
 */
#ifndef RELAY_DAEMON_WORKER_H
#define RELAY_DAEMON_WORKER_H

#include "relay/daemon/dnssec.h"
#include "relay/daemon/relay.h"
#include "relay/guard/gate.h"
#include "relay/net/conn.h"
#include "relay/net/dns.h"
#include "relay/net/timer.h"

struct arrival;
struct batch;
struct outage;
struct pool;
struct probe;
struct resolver;
struct receive;
struct server_tls;
struct submit;
struct deliver;
struct tls_pending;
struct trust;

struct worker {
    struct relay *relay;
    unsigned number;
    const struct config *config; /* swapped by a reload: never keep a pointer
                                    into it across callbacks */
    pthread_t thread;
    uv_loop_t loop;
    struct pulse pulse;
    struct net_inbox inbox;

    struct net_dns *dns;
    enum dnssec_way dnssec;      /* how dns resolves */
    struct net_tls *tls_mx;      /* client, towards MX hosts and smarthosts */
    struct trust *trust;         /* the same, where a rule names anchors */
    struct net_tls **tls_routes; /* the same, of those routes that show a
                                    certificate of ours; else NULL */
    size_t tls_route_count;
    struct net_tls *tls_https; /* client, towards policy hosts */
    struct server_tls *server_tls;

    struct resolver *resolver;
    struct pool *pool;
    struct outage *outage;
    struct arrival *arrivals;        /* list */
    struct receive *sessions;        /* list */
    size_t kept;                     /* octets; see INTAKE_KEEP_MAX */
    struct deliver *deliveries;      /* list */
    struct probe *probes;            /* list */
    struct batch *batches;           /* list */
    struct submit *submits;          /* list */
    struct tls_pending *tls_pending; /* list; see tls_count.h */
    size_t tls_pending_count;
    bool is_stopping; /* no more of anything is begun */
    bool is_cut;      /* and the store is asked nothing more */
};

/* Opens everything on the calling thread, so that errors stop the start, then
 * runs the loop on a thread of its own.  `set` is taken over once all of that
 * has worked. */
struct worker *worker_start(struct relay *relay, unsigned number,
                            struct server_tls **set, struct err *err) must_use;

/* Can the trust anchors of this configuration be used? */
bool worker_check_tls(const struct config *config, struct err *err) must_use;

/* The settings for a host that these trust anchors vouch for; "": those of
 * everybody.  With `route`, NULL: none, the certificate
 * that it shows.  Good until the next reload. */
struct net_tls *worker_tls(const struct worker *w, const char *anchors,
                           const struct config_route *route);

/* Any thread. */
void worker_post(struct worker *w, struct task *task);

/* Takes an accepted connection over, with the pass that names its listener.
 * Any thread. */
void worker_accept(struct worker *w, int fd, const struct addr *peer,
                   const struct gate_pass *pass);

/* Gives the worker another configuration, and takes the set that belongs to it;
 * `done` runs on the main thread when
 * the old one is no longer looked at. */
void worker_reload(struct worker *w, const struct config *config,
                   struct server_tls *set, void (*done)(void *ctx), void *ctx);

/* Takes over what clients are shown from now on. */
void worker_show(struct worker *w, struct server_tls *set);

/* Resolves in this way from now on; until the first time no name is looked
 * up. */
void worker_resolve(struct worker *w, enum dnssec_way way);

/* Asks sessions to end at the next command border. */
void worker_shut(struct worker *w);

/* The same, with short farewells; begins no further delivery, drops those that
 * no host has in hand, and closes idle outbound connections. */
void worker_drain(struct worker *w);

/* Cuts off sessions, deliveries and look-ups that are still under way; what was
 * being delivered is put off.  `done` runs on the main thread when the worker
 * will ask nothing more of the store. */
void worker_cut(struct worker *w, void (*done)(void *ctx), void *ctx);

/* Ends the thread.  The store thread has ended before: all its answers are in
 * the inbox and are worked first. */
void worker_stop(struct worker **w);

#endif
