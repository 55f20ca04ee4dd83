/*
 * relay/daemon/tls_result - tells how the sessions of deliveries ended, for the
 * reports of RFC 8460.
 *
 * A delivery has one of these for the policies of its destination, and says of
 * each TCP session once how its TLS went; tls_count does the rest.  Belongs to
 * a worker's thread.
 */
#ifndef RELAY_DAEMON_TLS_RESULT_H
#define RELAY_DAEMON_TLS_RESULT_H

#include "policy/tlsrpt.h"
#include "queue/message.h"
#include "relay/daemon/candidate.h"
#include "relay/daemon/worker.h"

#define TLS_RESULT_SHELF "tlsrpt" /* keys: "2026-11-23 example.com" */
#define TLS_RESULT_ORIGIN "TLS report about "

struct tls_result;

/* Counts at once what failed before any session.  NULL, which all functions
 * take: nothing is counted here, as for a route. */
struct tls_result *tls_result_new(struct worker *w,
                                  const struct policy_facts *facts,
                                  const struct policy_plan *plan);
void tls_result_free(struct tls_result **r);

/* One session, that a message stands for: reports about reports would never
 * end. */
struct tls_result_session {
    const struct queue_message *message;
    const struct candidate *candidate;
    const struct net_conn *conn;
    const char *helo; /* what the server calls itself; or "" */
};

/* It came as far as MAIL, with TLS or without. */
void tls_result_ready(struct tls_result *r, const struct tls_result_session *s);

/* STARTTLS was not to be had. */
void tls_result_no_starttls(struct tls_result *r,
                            const struct tls_result_session *s);

/* The handshake failed. */
void tls_result_failed(struct tls_result *r, const struct tls_result_session *s,
                       const struct err *err);

/* Is it one of our reports? */
bool tls_result_is_report(const struct queue_message *m);

#endif
