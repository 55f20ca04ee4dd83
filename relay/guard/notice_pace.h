/*
 * relay/guard/notice_pace - how many notices one sender gets in a span of time.
 *
 * A sender may be forged or mistyped, and then bounces flood somebody who sent
 * nothing (backscatter); or it is a person whose list was bad.  None of them is
 * dropped, as RFC 5321 section 6.1 has each failure told: what is too much now
 * waits for its turn, and goes out evenly.
 *
 * Senders are told apart without regard to case.  Of bounded size: who was
 * touched longest ago is forgotten first.  The main thread's; time is
 * net_clock_steady's.
 */
#ifndef RELAY_GUARD_NOTICE_PACE_H
#define RELAY_GUARD_NOTICE_PACE_H

#include "relay/base/hash.h"
#include "relay/base/span.h"

enum {
    NOTICE_PACE_SENDERS_MAX = 20000,
    /* No notice waits longer, however many there are: who sent so much for
     * good has to hear of it while he can still act on it. */
    NOTICE_PACE_WAIT_MAX_MS = 24 * 60 * 60 * 1000,
};

struct notice_pace;

struct notice_pace *notice_pace_new(const struct hash_key *key);
void notice_pace_free(struct notice_pace **p);

/* One more for this sender: how long it is to wait, at most `most_ms`.  A rate
 * of 0 is no limit. */
int64_t notice_pace_take(struct notice_pace *p, const struct span_rate *rate,
                         const char *sender, int64_t most_ms, int64_t now_ms);

#endif
