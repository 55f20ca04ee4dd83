/*
 * relay/admin/api - the control API: HTTP and JSON over the control socket,
 * and over TCP where http.address says so.
 *
 * Runs on the main loop; the store is reached by calls to its thread, policies
 * by tasks for a worker.  Who may ask is relay/admin/guard's matter.
 */
#ifndef RELAY_ADMIN_API_H
#define RELAY_ADMIN_API_H

#include "relay/daemon/serve.h"

extern const struct serve_api admin_api;

#endif
