/*
 * relay/daemon/lifetime - when mail that waits is given up.
 *
 * After `retry.expire`; mailed reports about TLS sooner, since they are of no
 * use when they are old.  Pure: the time and the randomness are given.
 */
#ifndef RELAY_DAEMON_LIFETIME_H
#define RELAY_DAEMON_LIFETIME_H

#include "queue/message.h"
#include "queue/schedule.h"

enum {
    LIFETIME_REPORT_MS = 24 * 60 * 60 * 1000, /* RFC 8460 section 5.5 */
};

/* Its age counts from `born_ms`.  `attempts` have failed, the last of them now.
 * `random` is what the next one is planned with: a report for which that would
 * come too late is given up. */
bool lifetime_is_over(const struct queue_schedule *retry,
                      const struct queue_message *m, int64_t born_ms,
                      uint32_t attempts, int64_t now_ms, uint64_t random);

#endif
