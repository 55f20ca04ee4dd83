#include "relay/daemon/webhook_post.h"

#include "relay/base/mem.h"
#include "relay/net/https.h"

#include <stdio.h>
#include <stdlib.h>

enum { ADDRESSES_MAX = 6 };

struct webhook_post {
    struct webhook_post **slot;
    uv_loop_t *loop;
    webhook_post_fn *done;
    void *ctx;
    struct webhook_place place; /* with texts of our own */
    char *host, *path, *fields;
    struct buf body;
    struct net_dns_query *query;
    struct net_https *https;
    struct addr addresses[ADDRESSES_MAX];
    size_t count;
    char why[160]; /* there is no address */
};

static void
destroy(struct webhook_post *p)
{
    net_dns_cancel(&p->query);
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
post(struct webhook_post *p)
{
    struct net_https_request request = {
        .tls = p->place.tls,
        .host = p->host,
        .path = p->path,
        .addresses = p->addresses,
        .address_count = p->count,
        .limit_ms = WEBHOOK_POST_LIMIT_MS,
        .body_type = "application/json",
        .body = buf_slice(&p->body),
        .fields = p->fields,
    };
    struct err err;

    if (p->count > 0) {
        net_https_start(&p->https, p->loop, &request, answered, p);
        return;
    }
    err_set(&err, ERR_MISSING, "%s", p->why);
    answered(p, (struct slice){0}, &err, NULL);
}

static void
note_failure(struct webhook_post *p, const struct dns_answer *answer)
{
    const char *why =
        answer->outcome == DNS_FAILED ? answer->why : "it has no address";

    if (!p->why[0] || answer->outcome == DNS_FAILED)
        (void)snprintf(p->why, sizeof(p->why), "DNS: %s", why);
}

static void
v6_known(void *ctx, const struct dns_answer *answer)
{
    struct webhook_post *p = ctx;

    for (size_t i = 0; i < answer->count && p->count < ADDRESSES_MAX; i++)
        p->addresses[p->count++] =
            addr_from_v6(answer->records[i].aaaa, p->place.port);
    note_failure(p, answer);
    post(p);
}

static void
v4_known(void *ctx, const struct dns_answer *answer)
{
    struct webhook_post *p = ctx;

    for (size_t i = 0; i < answer->count && p->count < ADDRESSES_MAX / 2; i++)
        p->addresses[p->count++] =
            addr_from_v4(answer->records[i].a, p->place.port);
    note_failure(p, answer);
    if (p->place.ipv6)
        net_dns_start(&p->query, p->place.dns, p->host, DNS_AAAA, v6_known, p);
    else
        post(p);
}

/* A literal, or "localhost". */
static void
take_loopback(struct webhook_post *p, const char *host)
{
    static const char *const both[] = {"127.0.0.1", "::1"};
    struct err err;

    if (addr_parse(slice_of(host), &p->addresses[0], &err))
        p->count = 1;
    for (size_t i = 0; p->count < 2 && i < 2 && strcmp(host, "localhost") == 0;
         i++)
        if (addr_parse(slice_of(both[i]), &p->addresses[p->count], &err))
            p->count++;
    for (size_t i = 0; i < p->count; i++)
        addr_set_port(&p->addresses[i], p->place.port);
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
        net_dns_start(&p->query, place->dns, p->host, DNS_A, v4_known, p);
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
