#include "relay/admin/api.h"

#include "relay/admin/answer.h"
#include "relay/admin/guard.h"
#include "relay/admin/routes.h"
#include "relay/daemon/event_hub.h"

#include <string.h>

/* A '*' stands for one part of the path, which the handler gets. */
static const struct route {
    const char *method, *path;
    admin_handler_fn *handle;
} routes[] = {
    {"GET", "/livez", admin_livez},
    {"GET", "/healthz", admin_livez},
    {"GET", "/readyz", admin_readyz},
    {"GET", "/metrics", admin_metrics},
    {"GET", "/v1/status", admin_status},
    {"GET", "/v1/events", admin_events},
    {"GET", "/v1/queue", admin_queue},
    {"POST", "/v1/queue/*", admin_change},
    {"GET", "/v1/messages/*", admin_message},
    {"GET", "/v1/messages/*/trace", admin_trace},
    {"GET", "/v1/messages/*/body", admin_body},
    {"POST", "/v1/messages", admin_inject},
    {"GET", "/v1/policies", admin_policies},
    {"GET", "/v1/policies/*", admin_policy},
    {"POST", "/v1/policies/*/refresh", admin_refresh},
    {"POST", "/v1/policies/*/forget", admin_forget},
    {"GET", "/v1/reports", admin_reports},
    {"GET", "/v1/reports/*", admin_report},
    {"POST", "/v1/reports/*/send", admin_report_send},
    {"GET", "/v1/plan/*", admin_plan},
    {"GET", "/v1/probe/*", admin_probe},
    {"POST", "/v1/reload", admin_reload},
    {"POST", "/v1/drain", admin_drain},
    {"POST", "/v1/backup", admin_backup},
};

/* *part: what stands for the '*', or empty. */
static bool
is_path(const char *pattern, const char *path, struct slice *part)
{
    const char *star = strchr(pattern, '*');
    size_t before = star ? (size_t)(star - pattern) : 0;

    *part = (struct slice){0};
    if (!star)
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, before) != 0)
        return false;
    *part = (struct slice){path + before, strcspn(path + before, "/")};
    return part->len > 0 && strcmp(star + 1, part->p + part->len) == 0;
}

static void
call(const struct route *route, struct relay *relay, struct net_http_request *r,
     struct slice part)
{
    char name[ADMIN_NAME_MAX + 1];

    if (part.len > ADMIN_NAME_MAX) {
        admin_answer_error(r, 404, "there is nothing by so long a name");
        return;
    }
    memcpy(name, part.len > 0 ? part.p : "", part.len);
    name[part.len] = '\0';
    route->handle(relay, r, name);
}

static void
handle(void *ctx, struct net_http_request *r)
{
    const struct relay *relay = ctx;
    const char *path = net_http_path(r), *method = net_http_method(r);
    bool known = false;

    if (!admin_guard(relay->config, r))
        return;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        struct slice part;

        if (!is_path(routes[i].path, path, &part))
            continue;
        known = true;
        if (strcmp(routes[i].method, method) == 0) {
            call(&routes[i], ctx, r, part);
            return;
        }
    }
    if (known)
        admin_answer_error(r, 405, "not by this method");
    else
        admin_answer_error(r, 404, "there is no such path");
}

static void *
open_api(struct relay *relay)
{
    return relay;
}

/* Calls that are under way hold the relay and their request, nothing else; who
 * follows the events is told that this is the end. */
static void
close_api(void *api)
{
    const struct relay *relay = api;

    event_hub_close(relay->event_hub);
}

const struct serve_api admin_api = {
    .open = open_api,
    .handle = handle,
    .close = close_api,
};
