#include "relay/admin/page.h"

#include "relay/admin/routes.h"
#include "relay/base/own.h"

#include <string.h>

/* Nothing but what this host itself gives, and nobody frames it. */
static const char csp[] =
    "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; img-src 'self' data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'";

static const struct admin_page_file *
find(const char *path)
{
    for (size_t i = 0; i < ADMIN_PAGE_FILES; i++)
        if (strcmp(admin_page_files[i].path, path) == 0)
            return &admin_page_files[i];
    return NULL;
}

bool
admin_page_is_path(const char *path)
{
    return find(path);
}

static void
give(struct net_http_request *r, const struct admin_page_file *file)
{
    const char *known = net_http_header(r, "If-None-Match");
    struct buf body scoped(buf_free) = {0};

    net_http_add_header(r, "Cache-Control", "no-cache");
    net_http_add_header(r, "ETag", file->etag);
    if (known && strcmp(known, file->etag) == 0) {
        net_http_respond(r, 304, file->media_type, &body);
        return;
    }
    buf_add(&body, file->content);
    net_http_respond(r, 200, file->media_type, &body);
}

void
admin_page(struct relay *relay, struct net_http_request *r, const char *name)
{
    (void)relay;
    (void)name;
    net_http_add_header(r, "Content-Security-Policy", csp);
    give(r, find(net_http_path(r)));
}

void
admin_openapi(struct relay *relay, struct net_http_request *r, const char *name)
{
    (void)relay;
    (void)name;
    give(r, &admin_page_openapi[0]);
}
