/*
 * relay/daemon/tls_count - adds one result to the day's count in the store, if
 * its domain wants to know.
 *
 * Whether it does, its TLSRPT record says (RFC 8460 section 3), which is asked
 * for first; of a domain without one nothing is kept.  Belongs to a worker's
 * thread.
 */
#ifndef RELAY_DAEMON_TLS_COUNT_H
#define RELAY_DAEMON_TLS_COUNT_H

#include "policy/tlsrpt.h"
#include "relay/daemon/worker.h"

enum { TLS_COUNTS_MAX = 1000 }; /* results of a worker that wait for DNS */

/* Takes the session's texts over. */
void tls_count_add(struct worker *w, struct policy_tlsrpt_session *s);

/* Stores what waits for DNS as it is.  The worker asks the store nothing
 * behind this. */
void tls_count_cut(struct worker *w);

#endif
