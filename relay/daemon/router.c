#include "relay/daemon/router.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <stdlib.h>

char *
router_destination(const struct config *c, const char *from,
                   const char *address, const char *domain)
{
    const struct config_route *route = config_route_for(c, from, address);

    if (route)
        return mem_printf(ROUTER_PREFIX "%s", route->name);
    return mem_text(domain);
}

const struct config_route *
router_route(const struct config *c, const char *destination, bool *gone)
{
    size_t skip = strlen(ROUTER_PREFIX);

    *gone = strncmp(destination, ROUTER_PREFIX, skip) == 0;
    if (!*gone)
        return NULL;
    for (size_t i = 0; i < c->route_count; i++)
        if (strcmp(c->route[i].name, destination + skip) == 0) {
            *gone = false;
            return &c->route[i];
        }
    return NULL;
}

char *
router_fingerprint(const struct config *c)
{
    struct buf b = {0};

    for (size_t i = 0; i < c->route_count; i++) {
        const struct config_route *r = &c->route[i];

        buf_printf(&b, "%s\n", r->name);
        for (size_t k = 0; k < r->from.count; k++)
            buf_printf(&b, "from %s\n", r->from.text[k]);
        for (size_t k = 0; k < r->to.count; k++)
            buf_printf(&b, "to %s\n", r->to.text[k]);
    }
    (void)buf_text(&b);
    return b.p;
}
