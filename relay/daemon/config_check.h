/*
 * relay/daemon/config_check - what no single key can say for itself: defaults
 * that depend on the machine, and values that must fit each other.
 */
#ifndef RELAY_DAEMON_CONFIG_CHECK_H
#define RELAY_DAEMON_CONFIG_CHECK_H

#include "relay/daemon/config_value.h"

/* Fills in what is still open in c, whose keys are all parsed, and reports
 * what does not fit. */
void config_check(struct config *c, struct config_errors *errs);

/* The default for state_directory; NULL: there is none to be had.  Allocated.
 */
char *config_default_state(void);
/* The full name of this machine, or as much of it as is known.  Allocated. */
char *config_default_hostname(void);
/* The default for control.socket.  Allocated. */
char *config_default_control(const char *state_directory);

#endif
