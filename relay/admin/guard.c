#include "relay/admin/guard.h"

#include "relay/admin/answer.h"
#include "relay/admin/bearer.h"
#include "relay/admin/page.h"
#include "relay/base/addr.h"

#include <strings.h>

bool
admin_guard_is_host(const struct config *c, const char *host)
{
    struct slice name = slice_of(host);
    struct slice rest = name;
    struct addr ignored;
    struct err err;

    if (addr_parse_port(name, 80, &ignored, &err))
        return true;
    name = slice_cut(&rest, ':');
    return slice_is_nocase(name, "localhost") ||
           slice_is_nocase(name, c->hostname);
}

bool
admin_guard_is_own(const char *origin, const char *host)
{
    struct slice rest = slice_of(origin ? origin : "");

    if (!origin)
        return true;
    if (slice_starts_nocase(rest, "http://"))
        rest = slice_from(rest, strlen("http://"));
    else if (slice_starts_nocase(rest, "https://"))
        rest = slice_from(rest, strlen("https://"));
    else
        return false;
    return slice_is_nocase(rest, host);
}

static bool
is_probe(const char *path)
{
    return strcmp(path, "/livez") == 0 || strcmp(path, "/healthz") == 0 ||
           strcmp(path, "/readyz") == 0;
}

/* A browser can't bring a token with the first page it opens; that one says
 * nothing of this relay, and brings the token with all it asks for. */
static bool
is_for_all(const char *path)
{
    return is_probe(path) || admin_page_is_path(path);
}

bool
admin_guard_is_trusted(const struct config *c, const struct net_http_request *r)
{
    return net_http_peer(r)->any.sa_family == AF_UNSPEC || c->http.token[0];
}

bool
admin_guard_is_type(const char *type, bool has_body)
{
    struct slice rest = slice_of(type ? type : "");
    struct slice name = slice_trim(slice_cut(&rest, ';'));

    if (!type)
        return !has_body;
    return slice_is_nocase(name, "application/json") ||
           slice_is_nocase(name, "message/rfc822");
}

static bool
has_body(const struct net_http_request *r)
{
    const char *length = net_http_header(r, "Content-Length");

    return net_http_header(r, "Transfer-Encoding") ||
           (length && length[strspn(length, "0")]);
}

/* What a page of another site's can send without asking first, a form or the
 * address of an image, is no request of ours: also looking costs, and a probe
 * goes out to whom it names.  The dashboard itself may be linked to. */
static bool
is_asked_for(const struct net_http_request *r)
{
    const char *site = net_http_header(r, "Sec-Fetch-Site");

    return !site || strcasecmp(site, "same-origin") == 0 ||
           strcasecmp(site, "none") == 0 ||
           admin_page_is_path(net_http_path(r));
}

/* False: it has been answered. */
static bool
may_ask(struct net_http_request *r)
{
    bool changes = strcmp(net_http_method(r), "GET") != 0;

    if (!is_asked_for(r)) {
        admin_answer_error(r, 403, "a page of some other site asks");
        return false;
    }
    if (changes &&
        !admin_guard_is_type(net_http_header(r, "Content-Type"), has_body(r))) {
        admin_answer_error(r, 415, "expected Content-Type application/json");
        return false;
    }
    return true;
}

bool
admin_guard(struct relay *relay, struct net_http_request *r)
{
    const struct config *c = relay->config;
    const char *host = net_http_header(r, "Host");
    bool has_token;

    if (net_http_peer(r)->any.sa_family == AF_UNSPEC)
        return true;
    if (is_probe(net_http_path(r)))
        return true;
    if (!admin_bearer(relay, r, &has_token))
        return false;
    /* Who brings the token may call us as he likes: a name of a container, or
     * of a service. */
    if (!host || (!has_token && !admin_guard_is_host(c, host))) {
        admin_answer_error(r, 421, "the Host field names some other machine");
        return false;
    }
    if (!admin_guard_is_own(net_http_header(r, "Origin"), host)) {
        admin_answer_error(r, 403, "a page of some other site asks");
        return false;
    }
    if (!c->http.token[0] || is_for_all(net_http_path(r)) || has_token)
        return may_ask(r);
    net_http_add_header(r, "WWW-Authenticate", "Bearer");
    admin_answer_error(r, 401, "a bearer token is needed");
    return false;
}
