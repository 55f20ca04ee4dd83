/*
 * relay/daemon/relay - what the threads of the daemon share.
 *
 * Everything here is either set before the first thread starts and never
 * changed, or atomic, or says to which thread it belongs.
 */
#ifndef RELAY_DAEMON_RELAY_H
#define RELAY_DAEMON_RELAY_H

#include "relay/base/id.h"
#include "relay/base/log.h"
#include "relay/config/config.h"
#include "relay/daemon/store_thread.h"
#include "relay/daemon/task.h"
#include "relay/watch/metrics.h"
#include "relay/watch/pulse.h"

#include <stdatomic.h>

struct absence;
struct accounts;
struct cert_watch;
struct dispatch;
struct dkim_shelf;
struct dnssec;
struct doubt;
struct event_hub;
struct expiring;
struct gate;
struct history;
struct inject;
struct login_desk;
struct notice_pace;
struct notify;
struct quota;
struct recent;
struct refresher;
struct refusals;
struct sender_shelf;
struct serve;
struct sites;
struct tls_report;
struct user_book;
struct webhooks;
struct worker;

struct relay {
    struct log *log;
    struct id_source ids;
    struct store_thread *store;
    struct net_inbox inbox;        /* of the main loop */
    struct metric_set *metrics;    /* relay/watch/metrics.h */
    struct dkim_shelf *dkim;       /* any thread may take keys */
    struct sender_shelf *senders;  /* any thread may borrow the map */
    struct doubt *doubt;           /* any thread */
    struct refusals *refusals;     /* any thread may add */
    struct login_desk *login_desk; /* any thread */
    struct user_book *user_book;   /* any thread may take the list */
    struct quota *quota;           /* any thread */
    _Atomic bool store_is_healthy;
    _Atomic bool is_draining;
    _Atomic bool reload_is_good; /* the last one was, or there was none */

    /* The main thread's. */
    uv_loop_t loop;
    struct pulse pulse;
    struct config *config;
    struct absence *absence;
    struct accounts *accounts;
    struct cert_watch *cert_watch;
    struct dispatch *dispatch;
    struct dnssec *dnssec;
    struct event_hub *event_hub;
    struct expiring *expiring;
    struct gate *gate;
    struct history *history;
    struct inject *injects; /* list; relay/admin's */
    size_t inject_octets;   /* the same */
    struct notice_pace *notice_pace;
    struct notify *notify; /* or NULL */
    struct recent *recent;
    struct refresher *refresher;
    struct serve *serve;
    struct sites *sites;
    struct tls_report *tls_report;
    struct webhooks *webhooks; /* NULL at the end */
    struct worker **workers;
    unsigned worker_count;
    int64_t ages_from_ms; /* see relay/daemon/absence.h */
    size_t open_warnings; /* ways in that may be wider than they seem */
    int64_t started_ms;
};

#endif
