/*
 * relay/daemon/tls_report - sends the reports about TLS of the days that are
 * over (RFC 8460 section 4.1).
 *
 * Some time in the first four hours of a UTC day, so that not all the world
 * reports at midnight.  What could not be sent is tried again for a day, then
 * dropped.  Main thread.
 */
#ifndef RELAY_DAEMON_TLS_REPORT_H
#define RELAY_DAEMON_TLS_REPORT_H

#include "relay/daemon/relay.h"

enum {
    TLS_REPORT_SPREAD_MS = 4 * 60 * 60 * 1000, /* behind midnight */
    TLS_REPORT_START_MS = 5 * 60 * 1000,       /* behind a start later on */
    TLS_REPORT_AGAIN_MS = 15 * 60 * 1000,      /* at first, then doubled */
    TLS_REPORT_AGAIN_MAX_MS = 4 * 60 * 60 * 1000,
    TLS_REPORT_KEEP_MS = 28 * 60 * 60 * 1000, /* behind the end of the day */
    TLS_REPORT_LOOK_MS = 10 * 60 * 1000,      /* at the wall clock */
    TLS_REPORT_BATCH = 50,                    /* counts in memory at a time */
};

struct tls_report;

struct tls_report *tls_report_new(struct relay *relay);
/* The store thread has ended, and its answers have come home. */
void tls_report_free(struct tls_report **t);

struct tls_report_sums {
    size_t sent, unwanted, failed;
};

/* Sends all reports of one day now, be it over or not; `done` runs later.
 * False: it is sending already, or the relay is ending. */
bool tls_report_send(struct tls_report *t, const char *day,
                     void (*done)(void *ctx, const struct tls_report_sums *s),
                     void *ctx) must_use;

/* When the next round is due that begins by itself; milliseconds since 1970,
 * like the others.  `covered_ms`: the midnight before which all has been
 * reported, 0 after a start.  `random` spreads it. */
int64_t tls_report_due_ms(int64_t now_ms, int64_t covered_ms, uint32_t random);

#endif
