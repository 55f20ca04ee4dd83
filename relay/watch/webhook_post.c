#include "relay/watch/webhook_post.h"

#include "relay/base/mem.h"
#include "relay/net/dns_host.h"
#include "relay/net/https.h"

#include <stdio.h>
#include <stdlib.h>

struct webhook_post {
    struct webhook_post **slot;
    uv_loop_t *loop;
    webhook_post_fn *done;
    void *ctx;
    struct webhook_place place; /* with texts of our own */
    char *host, *path, *fields;
    struct buf body;
    struct net_dns_host where;
    struct net_https *https;
};

static void
destroy(struct webhook_post *p)
{
    net_dns_host_cancel(&p->where);
    net_https_cancel(&p->https);
    free(p->host);
    free(p->path);
    free(p->fields);
    buf_free(&p->body);
    free(p);
}

static void
answered(void *ctx, struct slice body, const struct err *err,
         const struct net_tls_facts *facts)
{
    struct webhook_post *p = ctx;
    webhook_post_fn *done = p->done;
    void *to = p->ctx;

    (void)body;
    (void)facts;
    *p->slot = NULL;
    destroy(p);
    done(to, err);
}

/* A literal of IPv6 stands in brackets. */
static char *
host_field(const char *host)
{
    return strchr(host, ':') ? mem_printf("[%s]", host) : mem_text(host);
}

static void
post(void *ctx)
{
    struct webhook_post *p = ctx;
    struct net_https_request request = {
        .tls = p->place.tls,
        .host = p->host,
        .path = p->path,
        .addresses = p->where.address,
        .address_count = p->where.count,
        .limit_ms = WEBHOOK_POST_LIMIT_MS,
        .body_type = "application/json",
        .body = buf_slice(&p->body),
        .fields = p->fields,
    };
    struct err err;

    if (p->where.count > 0) {
        net_https_start(&p->https, p->loop, &request, answered, p);
        return;
    }
    err_set(&err, ERR_MISSING, "%s", p->where.why);
    answered(p, (struct slice){0}, &err, NULL);
}

/* A literal, or "localhost". */
static void
take_loopback(struct webhook_post *p, const char *host)
{
    static const char *const both[] = {"127.0.0.1", "::1"};
    struct err err;

    if (addr_parse(slice_of(host), &p->where.address[0], &err))
        p->where.count = 1;
    for (size_t i = 0;
         p->where.count < 2 && i < 2 && strcmp(host, "localhost") == 0; i++)
        if (addr_parse(slice_of(both[i]), &p->where.address[p->where.count],
                       &err))
            p->where.count++;
    for (size_t i = 0; i < p->where.count; i++)
        addr_set_port(&p->where.address[i], p->place.port);
}

void
webhook_post_start(struct webhook_post **slot, uv_loop_t *loop,
                   const struct webhook_place *place, const char *fields,
                   struct slice body, webhook_post_fn *done, void *ctx)
{
    struct webhook_post *p = mem_new(struct webhook_post);

    *slot = p;
    p->slot = slot;
    p->loop = loop;
    p->done = done;
    p->ctx = ctx;
    p->place = *place;
    p->host = host_field(place->host);
    p->path = mem_text(place->path);
    p->fields = mem_text(fields);
    buf_add(&p->body, body);
    if (place->dns) {
        net_dns_host_start(&p->where, place->dns, p->host, p->place.port,
                           p->place.ipv6, post, p);
        return;
    }
    take_loopback(p, place->host);
    post(p);
}

void
webhook_post_cancel(struct webhook_post **slot)
{
    if (*slot)
        destroy(take(slot));
}
