/*
 * relay/daemon/serve - the life of the relay: start, reload, drain, stop.
 */
#ifndef RELAY_DAEMON_SERVE_H
#define RELAY_DAEMON_SERVE_H

#include "relay/daemon/relay.h"
#include "relay/net/http_server.h"

enum {
    SERVE_DRAIN_MS = 8 * 1000, /* for what is under way at SIGTERM */
    SERVE_LAST_MS = 2 * 1000,  /* and for recording what was cut off then */
    SERVE_POLL_MS = 20,
    SERVE_BROKEN_MS = 10 * 60 * 1000, /* a disk that fails; then a restart may
                                         help, and a supervisor sees it */
};

enum { /* exit codes, of sysexits.h */
       SERVE_OK = 0,
       SERVE_TEMPFAIL = 75,
       SERVE_CONFIG = 78,
};

/* The API behind the control socket: relay/admin fills it in. */
struct serve_api {
    void *(*open)(struct relay *relay);
    net_http_fn *handle; /* ctx is what open gave */
    net_http_fn *head;   /* net_http_server_hear_heads; the same ctx */
    void (*close)(void *api);
};

/* Runs the relay until SIGTERM or SIGINT, and returns the exit code.  What
 * stops the start goes to stderr, one line each. */
int serve_run(const char *config_file, const struct serve_api *api);

/* Reads the configuration again, as SIGHUP does.  Main thread.  False: it stays
 * as it was, and `why` (NULL: only the log) has a line for each reason. */
bool serve_reload(struct relay *relay, struct buf *why);

/* Takes no more mail: closes the listeners, asks sessions to end.  Delivery
 * goes on.  Main thread. */
void serve_close(struct relay *relay);

/* The same, stops delivering, and ends, as SIGTERM does.  Main thread. */
void serve_stop(struct relay *relay);

#endif
