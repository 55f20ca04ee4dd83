#include "relay/base/mem.h"
#include "relay/cli/doctor.h"
#include "relay/cli/term.h"
#include "relay/net/dial.h"
#include "relay/net/dns.h"

#include <stdlib.h>
#include <unistd.h>

/* One question or connection, and whether it is over. */
struct wait {
    bool is_over;
    struct dns_answer *answer;
    struct err *err;
    bool is_connected;
};

static int64_t
left_ms(const struct cli_doctor *d, int64_t most)
{
    int64_t left = d->end_ms - cli_now_ms();

    return left < most ? left : most;
}

static void
run(struct cli_doctor *d, const struct wait *w)
{
    while (!w->is_over)
        (void)uv_run(&d->loop, UV_RUN_ONCE);
}

static struct net_dns *
open_dns(struct cli_doctor *d, enum dnssec_way way, struct err *err)
{
    struct net_dns_config config = dnssec_config(d->c, way);

    if (config.timeout_ms > CLI_DOCTOR_ANSWER_MS)
        config.timeout_ms = CLI_DOCTOR_ANSWER_MS;
    return net_dns_new(&d->loop, &config, err);
}

bool
cli_doctor_net_open(struct cli_doctor *d, struct err *err)
{
    if (uv_loop_init(&d->loop) != 0)
        abort();
    d->end_ms = cli_now_ms() + CLI_DOCTOR_TIME_MS;
    d->dns = open_dns(d, DNSSEC_OFF, err);
    return d->dns != NULL;
}

void
cli_doctor_net_close(struct cli_doctor *d)
{
    net_dns_free(&d->dns);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&d->loop);
}

static void
answered(void *ctx, const struct dns_answer *answer)
{
    struct wait *w = ctx;

    dns_answer_copy(answer, w->answer);
    w->is_over = true;
}

static void
ask(struct cli_doctor *d, struct net_dns *dns, const char *name,
    enum dns_type type, struct dns_answer *out)
{
    struct net_dns_query *query = NULL;
    struct wait w = {.answer = out};

    if (!dns || left_ms(d, 1) <= 0) {
        dns_answer_fail(out, name, type,
                        dns ? "no time was left to ask" : "DNS can't be asked");
        return;
    }
    net_dns_start(&query, dns, name, type, answered, &w);
    run(d, &w);
}

void
cli_doctor_ask(struct cli_doctor *d, const char *name, enum dns_type type,
               struct dns_answer *out)
{
    ask(d, d->dns, name, type, out);
}

bool
cli_doctor_is_authentic(struct cli_doctor *d, enum dnssec_way way,
                        struct err *err)
{
    struct dns_answer a scoped(dns_answer_done) = {0};
    struct net_dns *dns = open_dns(d, way, err);

    if (!dns)
        return false;
    ask(d, dns, DNSSEC_SIGNED_NAME, DNS_A, &a);
    net_dns_free(&dns);
    if (a.authentic && a.outcome != DNS_FAILED)
        return true;
    return err_set(err, ERR_SYSTEM, "%s",
                   a.outcome == DNS_FAILED ? a.why
                                           : "no signatures come along");
}

static size_t
add_addresses(struct cli_doctor *d, const char *host, enum dns_type type,
              unsigned port, struct addr *out, size_t most, struct err *err)
{
    struct dns_answer a scoped(dns_answer_done) = {0};
    size_t n = 0;

    cli_doctor_ask(d, host, type, &a);
    if (a.outcome == DNS_FAILED)
        (void)err_set(err, ERR_TIMEOUT, "%s %s: %s", host, dns_type_name(type),
                      a.why);
    for (size_t i = 0; i < a.count && n < most; i++)
        out[n++] = type == DNS_A ? addr_from_v4(a.records[i].a, port)
                                 : addr_from_v6(a.records[i].aaaa, port);
    return n;
}

size_t
cli_doctor_addresses(struct cli_doctor *d, const char *host, unsigned port,
                     struct addr out[CLI_DOCTOR_ADDRESSES_MAX], struct err *err)
{
    struct err ignored;
    size_t n;

    if (addr_parse(slice_of(host), &out[0], &ignored)) {
        addr_set_port(&out[0], port);
        return 1;
    }
    (void)err_set(err, ERR_MISSING, "%s has no address", host);
    n = add_addresses(d, host, DNS_A, port, out, CLI_DOCTOR_ADDRESSES_MAX / 2,
                      err);
    if (d->c->delivery.ipv6)
        n += add_addresses(d, host, DNS_AAAA, port, out + n,
                           CLI_DOCTOR_ADDRESSES_MAX - n, err);
    return n;
}

static void
dialled(void *ctx, int fd, const struct err *err)
{
    struct wait *w = ctx;

    if (err)
        *w->err = *err;
    else
        (void)close(fd);
    w->is_connected = err == NULL;
    w->is_over = true;
}

bool
cli_doctor_connect(struct cli_doctor *d, const struct addr *to, struct err *err)
{
    struct net_dial *dial = NULL;
    struct wait w = {.err = err};
    int64_t limit = left_ms(d, CLI_DOCTOR_CONNECT_MS);

    if (limit <= 0)
        return err_set(err, ERR_TIMEOUT, "no time was left to try");
    net_dial_start(&dial, &d->loop, to,
                   d->c->delivery.bind_count > 0 &&
                           d->c->delivery.bind[0].any.sa_family ==
                               to->any.sa_family
                       ? &d->c->delivery.bind[0]
                       : NULL,
                   (uint64_t)limit, dialled, &w);
    run(d, &w);
    return w.is_connected;
}
