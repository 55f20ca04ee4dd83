#include "relay/daemon/token_fetch.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/net/dns_host.h"
#include "relay/net/https.h"

#include <stdlib.h>

struct token_fetch {
    struct token_fetch **slot;
    uv_loop_t *loop;
    token_fetch_fn *done;
    void *ctx;
    struct token_fetch_place place; /* with texts of our own */
    char *host, *path;
    char *client_id, *client_secret, *refresh_token, *scope;
    struct net_dns_host where;
    struct net_https *https;
};

static void
destroy(struct token_fetch *f)
{
    net_dns_host_cancel(&f->where);
    net_https_cancel(&f->https);
    free(f->host);
    free(f->path);
    free(f->client_id);
    free(f->scope);
    secret_text_free(&f->client_secret);
    secret_text_free(&f->refresh_token);
    free(f);
}

static struct token_grant_ask
asked(const struct token_fetch *f)
{
    return (struct token_grant_ask){f->client_id, f->client_secret,
                                    f->refresh_token, f->scope};
}

/* To be called last. */
static void
finish(struct token_fetch *f, struct token_grant *grant, struct err *err)
{
    token_fetch_fn *done = f->done;
    void *ctx = f->ctx;

    if (err)
        err_in(err, "%s", f->host);
    *f->slot = NULL;
    destroy(f);
    done(ctx, grant, err);
}

/* What the server says of its refusal is worth more than its status. */
static void
refused(struct token_fetch *f, struct slice body, const struct err *err)
{
    scoped(buf_free) struct buf said = {0};
    struct token_grant_ask ask = asked(f);
    struct err why = *err;

    token_grant_refusal(body, &ask, &said);
    if (said.len > 0)
        err_set(&why, err->kind, "%s: %s", err->text, buf_text(&said));
    finish(f, NULL, &why);
}

static void
answered(void *ctx, struct slice body, const struct err *err,
         const struct net_tls_facts *facts)
{
    struct token_fetch *f = ctx;
    struct token_grant grant scoped(token_grant_done) = {0};
    struct err why;

    (void)facts;
    if (err)
        refused(f, body, err);
    else if (token_grant_read(body, &grant, &why))
        finish(f, &grant, NULL);
    else
        finish(f, NULL, &why);
}

static void
post(void *ctx)
{
    struct token_fetch *f = ctx;
    struct buf form scoped(secret_buf_free) = {0};
    struct token_grant_ask ask = asked(f);
    struct net_https_request request = {
        .tls = f->place.tls,
        .host = f->host,
        .path = f->path,
        .media_type = "application/json",
        .addresses = f->where.address,
        .address_count = f->where.count,
        .limit_ms = TOKEN_FETCH_LIMIT_MS,
        .body_type = "application/x-www-form-urlencoded",
    };
    struct err err;

    if (f->where.count == 0) {
        err_set(&err, ERR_MISSING, "%s", f->where.why);
        finish(f, NULL, &err);
        return;
    }
    token_grant_form(&ask, &form);
    request.body = buf_slice(&form);
    net_https_start(&f->https, f->loop, &request, answered, f);
}

void
token_fetch_start(struct token_fetch **slot, uv_loop_t *loop,
                  const struct token_fetch_place *place,
                  const struct token_grant_ask *ask, token_fetch_fn *done,
                  void *ctx)
{
    struct token_fetch *f = mem_new(struct token_fetch);

    *slot = f;
    f->slot = slot;
    f->loop = loop;
    f->done = done;
    f->ctx = ctx;
    f->place = *place;
    f->host = mem_text(place->host);
    f->path = mem_text(place->path);
    f->client_id = mem_text(ask->client_id);
    f->client_secret = mem_text(ask->client_secret);
    f->refresh_token = mem_text(ask->refresh_token);
    f->scope = mem_text(ask->scope);
    net_dns_host_start(&f->where, f->place.dns, f->host, f->place.port,
                       f->place.ipv6, post, f);
}

void
token_fetch_cancel(struct token_fetch **slot)
{
    if (*slot)
        destroy(take(slot));
}
