/*
 * relay/admin/health - what probes are told.
 *
 * Alive is whose threads turn; nothing outside the process counts.  Ready is
 * who takes mail; no other host counts.
 */
#ifndef RELAY_ADMIN_HEALTH_H
#define RELAY_ADMIN_HEALTH_H

#include "relay/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct admin_health {
    int64_t loop_ms, store_ms; /* since the slowest loop turned; since the
                                  store thread did */
    bool is_draining;
    bool can_commit; /* the store */
    bool has_room;   /* on the disk, for more mail */
};

/* True: alive, or ready.  `out` gets the text: "ok", or the first thing that is
 * wrong; with `verbose` a line for each check, and the verdict. */
bool admin_health_is_alive(const struct admin_health *h, bool verbose,
                           struct buf *out);
bool admin_health_is_ready(const struct admin_health *h, bool verbose,
                           struct buf *out);

struct relay;

/* Why it is not ready now, in words that stay; "": it is.  Main thread. */
const char *admin_health_trouble(const struct relay *relay);

#endif
