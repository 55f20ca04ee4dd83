#include "relay/admin/api.h"

#include "relay/admin/answer.h"
#include "relay/admin/guard.h"
#include "relay/admin/routes.h"
#include "relay/watch/event_hub.h"

#include <string.h>

/* A '*' stands for one part of the path, which the handler gets. */
static const struct route {
    const char *method, *path;
    admin_handler_fn *handle;
} routes[] = {
    {"GET", "/", admin_page},
    {"GET", "/page.css", admin_page},
    {"GET", "/page.js", admin_page},
    {"GET", "/livez", admin_livez},
    {"GET", "/healthz", admin_livez},
    {"GET", "/readyz", admin_readyz},
    {"GET", "/metrics", admin_metrics},
    {"GET", "/v1/status", admin_status},
    {"GET", "/v1/events", admin_events},
    {"GET", "/v1/history", admin_history},
    {"GET", "/v1/openapi.json", admin_openapi},
    {"GET", "/v1/queue", admin_queue},
    {"POST", "/v1/queue/*", admin_change},
    {"GET", "/v1/messages/*", admin_message},
    {"GET", "/v1/messages/*/trace", admin_trace},
    {"GET", "/v1/messages/*/body", admin_body},
    {"GET", "/v1/messages", admin_messages},
    {"POST", "/v1/messages", admin_inject_nothing},
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

enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

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

/* NULL: there is none for it. */
static const struct route *
find_route(const struct net_http_request *r, struct slice *part)
{
    const char *path = net_http_path(r), *method = net_http_method(r);

    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(routes[i].method, method) == 0 &&
            is_path(routes[i].path, path, part))
            return &routes[i];
    return NULL;
}

static void
call(admin_handler_fn *handler, struct relay *relay, struct net_http_request *r,
     struct slice part)
{
    char name[ADMIN_NAME_MAX + 1];

    if (part.len > ADMIN_NAME_MAX) {
        admin_answer_error(r, 404, "there is nothing by so long a name");
        return;
    }
    memcpy(name, part.len > 0 ? part.p : "", part.len);
    name[part.len] = '\0';
    handler(relay, r, name);
}

/* The methods that the path has, for an Allow field (RFC 9110 section 10.2.1);
 * "": there is no such path. */
static void
list_methods(const char *path, struct buf *out)
{
    struct slice ignored;

    for (size_t i = 0; i < ROUTES; i++)
        if (is_path(routes[i].path, path, &ignored))
            buf_printf(out, "%s%s", out->len > 0 ? ", " : "",
                       strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD"
                                                            : routes[i].method);
}

static void
answer_unknown(struct net_http_request *r)
{
    struct buf methods scoped(buf_free) = {0};

    list_methods(net_http_path(r), &methods);
    if (methods.len == 0) {
        admin_answer_error(r, 404, "there is no such path");
        return;
    }
    net_http_add_header(r, "Allow", buf_text(&methods));
    admin_answer_error(r, 405, "not by this method");
}

static void
handle(void *ctx, struct net_http_request *r)
{
    const struct route *route;
    struct slice part;

    if (!admin_guard(ctx, r))
        return;
    route = find_route(r, &part);
    if (route)
        call(route->handle, ctx, r, part);
    else
        answer_unknown(r);
}

/* Nobody who will be refused has to send his body first; and mail is not
 * gathered but met here. */
static void
meet(void *ctx, struct net_http_request *r)
{
    const struct route *route;
    struct slice part;

    if (!admin_guard(ctx, r))
        return;
    route = find_route(r, &part);
    if (!route)
        answer_unknown(r);
    else if (route->handle == admin_inject_nothing)
        call(admin_inject, ctx, r, part);
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
    .head = meet,
    .close = close_api,
};
