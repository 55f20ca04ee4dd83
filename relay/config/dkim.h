/*
 * relay/config/dkim - what the dkim blocks say must fit together, and
 * the keys that they name must be keys.
 */
#ifndef RELAY_CONFIG_DKIM_H
#define RELAY_CONFIG_DKIM_H

#include "relay/config/raw.h"

/* Reads the keys into c->dkim, whose domains are the titles until here, and
 * puts the blocks in order. */
void config_dkim_check(struct config *c, struct config_errors *errs);
/* Lets its keys go. */
void config_dkim_done(struct config_dkim *d);

#endif
