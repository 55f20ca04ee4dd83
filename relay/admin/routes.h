/* relay/admin/routes - the handlers behind the paths of api.c. */
#ifndef RELAY_ADMIN_ROUTES_H
#define RELAY_ADMIN_ROUTES_H

#include "relay/daemon/relay.h"
#include "relay/mail/domain.h"
#include "relay/net/http_server.h"

enum { ADMIN_NAME_MAX = 255 }; /* octets of an id or a domain in a path */

/* Answers the request, now or later.  `name` is the part of the path that the
 * route leaves open, or "". */
typedef void admin_handler_fn(struct relay *relay, struct net_http_request *r,
                              const char *name);

admin_handler_fn admin_livez, admin_readyz;
admin_handler_fn admin_page; /* and its style and script */
admin_handler_fn admin_status, admin_history, admin_metrics;
admin_handler_fn admin_queue, admin_message, admin_messages, admin_trace,
    admin_body;
admin_handler_fn admin_change; /* name: the verb */
admin_handler_fn admin_policies, admin_policy;
admin_handler_fn admin_plan, admin_probe, admin_refresh, admin_forget;
admin_handler_fn admin_reports, admin_report; /* name: the day */
admin_handler_fn admin_report_send;           /* the same */
admin_handler_fn admin_openapi;
admin_handler_fn admin_events;
admin_handler_fn admin_inject;         /* at the head of a request */
admin_handler_fn admin_inject_nothing; /* of one without a body */
admin_handler_fn admin_reload, admin_drain, admin_backup;

/* The domain in a path: in any form, percent-encoded where it is not ASCII. */
bool admin_domain(const char *name, struct mail_domain *out,
                  struct err *err) must_use;

/* "DAY DOMAIN", as reports are kept; a heap string, or NULL. */
char *admin_report_key(const char *day, const char *domain, struct err *err);

/* "running", "draining" or "store trouble". */
const char *admin_relay_state(const struct relay *relay);

#endif
