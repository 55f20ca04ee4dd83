/* doctor: the way out, and what we are called there. */
#include "relay/base/mem.h"
#include "relay/cli/control.h"
#include "relay/cli/doctor.h"
#include "relay/cli/term.h"
#include "relay/config/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- DNSSEC --- */

static void
look_at_own_resolver(struct cli_doctor *d)
{
    static const enum dnssec_way ways[] = {DNSSEC_VALIDATE, DNSSEC_RECURSE};
    struct err err = {0};

    if (d->c->resolver.dnssec == CONFIG_DNSSEC_OFF) {
        cli_doctor_tell(d, "dnssec", CLI_DOCTOR_WARNING,
                        "resolver.dnssec is off: DANE is not used");
        return;
    }
    if (d->c->resolver.dnssec == CONFIG_DNSSEC_TRUST) {
        bool ok = cli_doctor_is_authentic(d, DNSSEC_TRUST, &err);

        cli_doctor_tell(
            d, "dnssec", ok ? CLI_DOCTOR_OK : CLI_DOCTOR_WARNING,
            ok ? "the resolver validates"
               : "the resolver is trusted, but does not validate: %s",
            err.text);
        return;
    }
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        if (cli_doctor_is_authentic(d, ways[i], &err)) {
            cli_doctor_tell(d, "dnssec", CLI_DOCTOR_OK,
                            "answers can be validated (%s)",
                            dnssec_way_name(ways[i]));
            return;
        }
    cli_doctor_tell(d, "dnssec", CLI_DOCTOR_WARNING,
                    "answers can't be validated, DANE is not used: %s",
                    err.text);
}

/* A relay that runs knows. */
static bool
ask_relay(struct cli_doctor *d, json_t **status)
{
    struct cli_answer answer;
    struct err err;

    if (!cli_control_ask(d->target->socket, "GET", "/v1/status", NULL, &answer,
                         &err))
        return false;
    *status = answer.status == 200
                  ? json_loadb(buf_text(&answer.body), answer.body.len, 0, NULL)
                  : NULL;
    cli_answer_done(&answer);
    return *status != NULL;
}

static void
look_at_dnssec(struct cli_doctor *d)
{
    json_t *status = NULL;
    const json_t *part;
    const char *way;

    if (!ask_relay(d, &status)) {
        look_at_own_resolver(d);
        return;
    }
    part = json_object_get(status, "dnssec");
    way = cli_text(part, "way");
    cli_doctor_tell(d, "dnssec",
                    strcmp(way, "off") == 0 ? CLI_DOCTOR_WARNING
                                            : CLI_DOCTOR_OK,
                    "the relay has it %s: %s", way, cli_text(part, "reason"));
    json_decref(status);
}

/* --- connections --- */

static bool
reach(struct cli_doctor *d, const char *host, unsigned port, struct addr *where,
      struct err *err)
{
    struct addr all[CLI_DOCTOR_ADDRESSES_MAX];
    size_t n = cli_doctor_addresses(d, host, port, all, err);

    for (size_t i = 0; i < n; i++)
        if (cli_doctor_connect(d, &all[i], err)) {
            *where = all[i];
            return true;
        }
    return false;
}

static int
by_preference(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;

    return x->mx.preference - y->mx.preference;
}

static bool
reach_mx(struct cli_doctor *d, const char *domain, unsigned port, char **host,
         struct addr *where, struct err *err)
{
    struct dns_answer mx scoped(dns_answer_done) = {0};
    bool ok = false;

    cli_doctor_ask(d, domain, DNS_MX, &mx);
    if (mx.outcome == DNS_FAILED)
        return err_set(err, ERR_TIMEOUT, "%s MX: %s", domain, mx.why);
    if (mx.count > 0)
        qsort(mx.records, mx.count, sizeof(*mx.records), by_preference);
    for (size_t i = 0;
         !ok && i < CLI_DOCTOR_HOSTS_MAX && (i == 0 || i < mx.count); i++) {
        own_free(host);
        *host = mem_text(i < mx.count ? mx.records[i].mx.host : domain);
        ok = reach(d, *host, port, where, err);
    }
    return ok;
}

static bool
is_for_all(const struct config_route *r)
{
    bool any = false;

    for (size_t i = 0; i < r->to.count; i++)
        any |= strcmp(r->to.text[i], "*") == 0;
    return any && r->from.count == 0;
}

static void
look_at_route(struct cli_doctor *d, const struct config_route *r)
{
    char *host scoped(own_free) = NULL;
    struct err err = {0};
    struct addr where;

    for (size_t i = 0; i < r->via_count && i < CLI_DOCTOR_HOSTS_MAX; i++) {
        const struct config_via *v = &r->via[i];
        bool ok = v->is_mx ? reach_mx(d, v->host, v->port, &host, &where, &err)
                           : reach(d, v->host, v->port, &where, &err);

        if (ok) {
            cli_doctor_tell(d, "route",
                            i == 0 ? CLI_DOCTOR_OK : CLI_DOCTOR_WARNING,
                            "\"%s\": %s port %u answers%s", r->name, v->host,
                            v->port, i == 0 ? "" : ", but not those before it");
            return;
        }
    }
    cli_doctor_tell(d, "route", CLI_DOCTOR_FAILURE,
                    "\"%s\": no host answers: %s", r->name, err.text);
}

/* True: *where was reached. */
static bool
look_at_port(struct cli_doctor *d, struct addr *where)
{
    char *host scoped(own_free) = NULL;
    char text[ADDR_TEXT_SIZE];
    struct err err = {0};

    if (!reach_mx(d, d->to, d->c->delivery.port, &host, where, &err)) {
        cli_doctor_tell(
            d, "port 25", CLI_DOCTOR_FAILURE,
            "no MX host of %s can be reached: %s; many networks close "
            "port 25 outwards",
            d->to, err.text);
        return false;
    }
    cli_doctor_tell(d, "port 25", CLI_DOCTOR_OK, "%s (%s) answers", host,
                    addr_text_port(where, text));
    return true;
}

/* --- names --- */

/* Where connections to `to` come from; no packet is sent for it. */
static bool
source_of(const struct addr *to, struct addr *out)
{
    int fd scoped(own_close) =
        socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage own;
    socklen_t len = sizeof(own);

    if (fd < 0 || connect(fd, &to->any, addr_len(to)) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &len) != 0)
        return false;
    *out = addr_from_sockaddr((struct sockaddr *)&own);
    return true;
}

static bool
has_address(const struct addr *all, size_t n, const struct addr *a)
{
    for (size_t i = 0; i < n; i++)
        if (addr_is_same_host(&all[i], a))
            return true;
    return false;
}

/* Does the name lead back to the address? */
static bool
is_confirmed(struct cli_doctor *d, const char *name, const struct addr *a)
{
    struct addr all[CLI_DOCTOR_ADDRESSES_MAX];
    struct err err;

    return has_address(all, cli_doctor_addresses(d, name, 0, all, &err), a);
}

static void
look_at_address(struct cli_doctor *d, const struct addr *a)
{
    struct dns_answer ptr scoped(dns_answer_done) = {0};
    char reverse[ADDR_REVERSE_SIZE], text[ADDR_TEXT_SIZE];
    const char *helo = d->c->hostname, *other = NULL;

    (void)addr_text(a, text);
    cli_doctor_ask(d, addr_reverse(a, reverse), DNS_PTR, &ptr);
    for (size_t i = 0; i < ptr.count; i++) {
        const char *name = ptr.records[i].ptr.host;

        if (strcmp(name, helo) == 0 && is_confirmed(d, name, a)) {
            cli_doctor_tell(d, "ptr", CLI_DOCTOR_OK, "%s is %s, both ways",
                            text, name);
            return;
        }
        other = name;
    }
    if (ptr.outcome == DNS_FAILED)
        cli_doctor_tell(d, "ptr", CLI_DOCTOR_WARNING,
                        "%s: could not be asked: %s", text, ptr.why);
    else if (!other)
        cli_doctor_tell(
            d, "ptr", CLI_DOCTOR_FAILURE,
            "%s has no PTR record: many hosts take no mail from there; "
            "have it set to %s",
            text, helo);
    else if (strcmp(other, helo) != 0)
        cli_doctor_tell(d, "ptr", CLI_DOCTOR_WARNING,
                        "%s is %s, but we say %s (hostname): let them agree",
                        text, other, helo);
    else
        cli_doctor_tell(d, "ptr", CLI_DOCTOR_WARNING,
                        "%s is %s, but that name does not lead back to it",
                        text, other);
}

/* The addresses that we send from, as far as they can be known. */
static size_t
find_sources(struct cli_doctor *d, const struct addr *reached,
             const struct addr *named, size_t named_count,
             struct addr out[CLI_DOCTOR_ADDRESSES_MAX])
{
    char text[ADDR_TEXT_SIZE];
    size_t n = 0;

    for (; n < d->c->delivery.bind_count && n < CLI_DOCTOR_ADDRESSES_MAX; n++)
        out[n] = d->c->delivery.bind[n];
    if (n == 0 && reached && source_of(reached, &out[0]))
        n = 1;
    if (n == 1 && addr_is_special(&out[0]) && !d->c->delivery.allow_private &&
        named_count > 0) {
        cli_doctor_tell(
            d, "source", CLI_DOCTOR_NOTE,
            "%s is behind NAT: the addresses of %s are taken for what "
            "others see",
            addr_text(&out[0], text), d->c->hostname);
        n = 0;
    }
    if (n == 0) {
        memcpy(out, named, named_count * sizeof(*named));
        n = named_count;
    }
    return n;
}

static void
look_at_names(struct cli_doctor *d, const struct addr *reached)
{
    struct addr named[CLI_DOCTOR_ADDRESSES_MAX], from[CLI_DOCTOR_ADDRESSES_MAX];
    struct err err = {0};
    const char *name = d->c->hostname;
    size_t named_count = 0, n;

    if (!strchr(name, '.') || strcmp(name, "localhost.localdomain") == 0) {
        cli_doctor_tell(d, "helo", CLI_DOCTOR_FAILURE,
                        "\"%s\" is no full name: set hostname", name);
    } else {
        named_count = cli_doctor_addresses(d, name, 0, named, &err);
        cli_doctor_tell(
            d, "helo", named_count > 0 ? CLI_DOCTOR_OK : CLI_DOCTOR_FAILURE,
            named_count > 0 ? "we say %s" : "we say %s: %s", name, err.text);
    }
    n = find_sources(d, reached, named, named_count, from);
    for (size_t i = 0; i < n; i++) {
        look_at_address(d, &from[i]);
        if (named_count > 0 && !has_address(named, named_count, &from[i]))
            cli_doctor_tell(d, "helo", CLI_DOCTOR_WARNING,
                            "%s does not have an address that we send from",
                            name);
    }
}

void
cli_doctor_look_at_sending(struct cli_doctor *d)
{
    bool all_by_route = false, reached = false;
    struct addr where;

    look_at_dnssec(d);
    for (size_t i = 0; i < d->c->route_count; i++) {
        look_at_route(d, &d->c->route[i]);
        all_by_route |= is_for_all(&d->c->route[i]);
    }
    if (all_by_route) {
        cli_doctor_tell(d, "port 25", CLI_DOCTOR_NOTE,
                        "not tried: all mail goes by a route");
        return;
    }
    reached = look_at_port(d, &where);
    look_at_names(d, reached ? &where : NULL);
}
