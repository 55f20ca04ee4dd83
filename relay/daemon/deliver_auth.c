#include "relay/daemon/deliver_inside.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/daemon/router.h"

#include <stdlib.h>

enum { NONCE_OCTETS = 18 };

static const struct config_route *
route_of(const struct deliver *d)
{
    bool gone;

    return router_route(d->worker->config, d->order->destination, &gone);
}

/* The configuration may have changed between the order and now, and its hosts
 * may be other people's: the next order is for the new one. */
bool
deliver_may_authenticate(const struct deliver *d)
{
    const struct config_route *route = route_of(d);
    bool wants = route && route->mechanisms != 0;

    if (d->credential && d->credential->serial != d->worker->config->serial)
        return false;
    return wants == (d->credential != NULL);
}

const char *
deliver_identity(const struct deliver *d)
{
    const struct config_route *route = route_of(d);
    bool has_own = route && route->certificate[0] != '\0';

    return has_own || d->credential ? d->order->destination : "";
}

void
deliver_authenticate(struct deliver *d)
{
    unsigned char octets[NONCE_OCTETS];
    scoped(buf_free) struct buf nonce = {0};

    if (!d->credential)
        return;
    arc4random_buf(octets, sizeof(octets));
    base64_add((struct slice){(const char *)octets, sizeof(octets)}, &nonce);
    (void)snprintf(d->nonce, sizeof(d->nonce), "%s", buf_text(&nonce));
    d->account = (struct smtp_sasl_account){
        .mechanisms = d->credential->mechanisms,
        .user = d->credential->user,
        .secret = d->credential->secret,
        .host = deliver_here(d)->host->name,
        .port = addr_port(&deliver_here(d)->address),
        .nonce = d->nonce,
    };
    smtp_client_authenticate(d->smtp, &d->account);
}

/* --- SCRAM's slow part --- */

struct derive_load {
    struct net_work_load load;
    struct buf password, salt;
    unsigned iterations;
    uint8_t salted[SMTP_SASL_SCRAM_KEY];
};

static void
derive_run(struct net_work_load *load)
{
    struct derive_load *x = own_container(load, struct derive_load, load);

    smtp_sasl_scram_salt(buf_slice(&x->password), buf_slice(&x->salt),
                         x->iterations, x->salted);
}

static void
derive_drop(struct net_work_load *load)
{
    struct derive_load *x = own_container(load, struct derive_load, load);

    secret_buf_free(&x->password);
    buf_free(&x->salt);
    explicit_bzero(x->salted, sizeof(x->salted));
    free(x);
}

static void
derived(void *ctx, struct net_work_load *load)
{
    struct deliver *d = ctx;
    const struct derive_load *x = own_container(load, struct derive_load, load);

    smtp_client_salted(d->smtp, x->salted);
    deliver_pump(d);
    deliver_settle(d);
}

void
deliver_derive(struct deliver *d)
{
    struct smtp_sasl_client_work work = smtp_client_auth_work(d->smtp);
    struct derive_load *x = mem_new(struct derive_load);

    x->load.run = derive_run;
    x->load.drop = derive_drop;
    buf_add(&x->password, work.password);
    buf_add(&x->salt, work.salt);
    x->iterations = work.iterations;
    net_work_start(&d->derive, &d->worker->loop, &x->load, derived, d);
}

/* --- trouble --- */

void
deliver_hold(struct deliver *d)
{
    report_decide_rest(d->report, &d->refusal);
    d->report->credential = d->credential ? d->credential->number : 0;
    deliver_send_report(d, REPORT_HELD);
    deliver_end_order(d);
}

static void
note_refusal(struct deliver *d, const char *why, const char *step)
{
    deliver_begin_report(d);
    d->is_refused = true;
    mail_status_set(&d->refusal, 454, "4.7.0", "%s: the route is held: %s",
                    deliver_here(d)->host->name, why);
    deliver_fail_here(d, &d->refusal, step);
}

/* Each further try of what was refused for good counts against us there, so no
 * other host is tried: who can't do the mechanism, or has no time, says nothing
 * of our word. */
static bool
is_final(const struct smtp_client_event *ev)
{
    int code = ev->reply ? ev->reply->code : 0;

    return ev->end == SMTP_CLIENT_END_AUTH && code / 100 == 5 && code != 502 &&
           code != 504;
}

void
deliver_auth_failed(struct deliver *d, const struct smtp_client_event *ev)
{
    bool final = is_final(ev);

    note_refusal(d, ev->err->text, "AUTH");
    deliver_hang_up(d, false);
    if (final)
        deliver_hold(d);
    else
        d->want = WANT_NEXT;
}

/* RFC 4954 section 6: 530 wants AUTH first, the others say what is wrong with
 * ours.  None of them is about the mail. */
bool
deliver_is_unwelcome(struct deliver *d, const struct mail_status *status,
                     const char *step)
{
    scoped(own_free) char *why = NULL;
    char enhanced[16];

    if (!route_of(d) || (status->code != 530 && status->code != 534 &&
                         status->code != 535 && status->code != 538))
        return false;
    why = mem_printf("%s: %d %s %s", step, status->code,
                     mail_status_enhanced(status, enhanced), status->text);
    note_refusal(d, why, step);
    deliver_hang_up(d, false); /* in the middle of a transaction */
    deliver_hold(d);
    return true;
}
