/*
 * relay/daemon/process - what the relay is to the operating system: its user,
 * its limits, what it leaves behind.
 */
#ifndef RELAY_DAEMON_PROCESS_H
#define RELAY_DAEMON_PROCESS_H

#include "relay/config/config.h"

enum {
    PROCESS_FILES_SPARE = 200, /* descriptors kept for all but clients */
};

/* Raises the limit of descriptors as far as it goes; returns how many clients
 * may have one. */
unsigned process_client_limit(void);

/* Started as root, with the listeners open: makes the directories that only
 * root may make, gives the user what is theirs, and becomes the user that the
 * configuration names, for good. */
bool process_become(const struct config *c, struct err *err) must_use;

/* No core, no ptrace, no new privileges; files for us alone; a closed pipe or a
 * file that grew too large is an error and no death. */
void process_harden(void);

#endif
