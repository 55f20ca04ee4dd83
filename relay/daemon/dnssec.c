#include "relay/daemon/dnssec.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/daemon/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Published with a broken signature on purpose, for tests like this one. */
#define BOGUS_NAME "dnssec-failed.org"

struct dnssec {
    char *asked; /* what the configuration asks; see question */
    struct relay *relay;
    struct net_timer *again;

    enum dnssec_way trying;
    struct net_dns *dns; /* of the probe under way */
    struct net_dns_query *query;

    enum dnssec_way way; /* in force, or about to be */
    bool is_decided;
    bool is_guessed;  /* nobody has answered yet */
    int64_t until_ms; /* so long the first answer is waited for */
    char why[200];
};

const char *
dnssec_way_name(enum dnssec_way way)
{
    static const char *const names[] = {
        [DNSSEC_OFF] = "off",
        [DNSSEC_TRUST] = "trust",
        [DNSSEC_VALIDATE] = "validate",
        [DNSSEC_RECURSE] = "validate from the root",
    };

    return names[way];
}

struct net_dns_config
dnssec_config(const struct config *c, enum dnssec_way way)
{
    return (struct net_dns_config){
        .servers = c->resolver.server,
        .server_count = c->resolver.server_count,
        .timeout_ms = c->resolver.timeout_ms,
        .trust_ad = way == DNSSEC_TRUST,
        .validate = way == DNSSEC_VALIDATE || way == DNSSEC_RECURSE,
        .recurse = way == DNSSEC_RECURSE,
        .trust_anchor = c->resolver.trust_anchor,
    };
}

/* --- the decision --- */

static void
log_decision(const struct dnssec *d)
{
    bool loud = d->way == DNSSEC_OFF &&
                d->relay->config->resolver.dnssec != CONFIG_DNSSEC_OFF;
    struct log_line line;

    log_begin(&line, d->relay->log, loud ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "resolver.dnssec");
    log_text(&line, "way", dnssec_way_name(d->way));
    log_text(&line, "reason", d->why);
    log_end(&line);
}

static void
log_kept(const struct dnssec *d, const char *why)
{
    struct log_line line;

    log_begin(&line, d->relay->log, LOG_LEVEL_WARNING, "resolver.dnssec");
    log_text(&line, "way", dnssec_way_name(d->way));
    log_text(&line, "reason", "kept, though a probe failed");
    log_text(&line, "probe", why);
    log_end(&line);
}

/* What has worked is not switched off because a probe fails: whoever can make
 * that happen could strip mail of DANE.  What can't be authenticated waits. */
static bool
is_downgrade(const struct dnssec *d, enum dnssec_way way)
{
    return d->is_decided && !d->is_guessed && d->way != DNSSEC_OFF &&
           way == DNSSEC_OFF &&
           d->relay->config->resolver.dnssec != CONFIG_DNSSEC_OFF;
}

static void
decide(struct dnssec *d, enum dnssec_way way, const char *why)
{
    bool changes = !d->is_decided || d->way != way;

    if (is_downgrade(d, way)) {
        log_kept(d, why);
        net_timer_set(d->again, DNSSEC_SOON_MS);
        return;
    }
    d->way = way;
    d->is_guessed = false;
    (void)snprintf(d->why, sizeof(d->why), "%s", why);
    d->is_decided = true;
    net_timer_set(d->again, DNSSEC_AGAIN_MS);
    if (!changes)
        return;
    log_decision(d);
    for (unsigned i = 0; i < d->relay->worker_count; i++)
        worker_resolve(d->relay->workers[i], way);
}

/* --- a probe: first the resolver as it is, then validation in process --- */

static void
open_for(struct dnssec *d, enum dnssec_way way, net_dns_fn *answered)
{
    struct net_dns_config config = dnssec_config(d->relay->config, way);
    struct err err = {0};

    net_dns_free(&d->dns);
    d->trying = way;
    d->dns = net_dns_new(&d->relay->loop, &config, &err);
    if (d->dns)
        net_dns_start(&d->query, d->dns, DNSSEC_SIGNED_NAME, DNS_A, answered,
                      d);
    else
        decide(d, DNSSEC_OFF, err.text);
}

static void
found(struct dnssec *d, const char *why)
{
    net_dns_free(&d->dns);
    decide(d, d->trying, why);
}

/* Not even that it can't be had: c-ares and the time limit say so. */
static bool
is_silence(const struct dns_answer *answer)
{
    return strcmp(answer->why, "timeout") == 0 ||
           strcmp(answer->why, "the DNS server can't be reached") == 0;
}

static void
validation_answered(void *ctx, const struct dns_answer *answer)
{
    struct dnssec *d = ctx;

    if (answer->authentic && answer->outcome != DNS_FAILED) {
        found(d, d->trying == DNSSEC_VALIDATE
                     ? "signatures get through the resolver"
                     : "the resolver strips signatures, the root does not");
    } else if (d->trying == DNSSEC_VALIDATE) {
        open_for(d, DNSSEC_RECURSE, validation_answered);
    } else {
        net_dns_free(&d->dns);
        decide(d, DNSSEC_OFF,
               "the resolver strips signatures, and the root can't be "
               "reached: DANE is not used");
        if (is_silence(answer))
            net_timer_set(d->again, DNSSEC_SOON_MS);
    }
}

static void
bogus_answered(void *ctx, const struct dns_answer *answer)
{
    struct dnssec *d = ctx;

    if (answer->outcome == DNS_FOUND)
        open_for(d, DNSSEC_VALIDATE, validation_answered);
    else
        found(d, "the resolver on this machine validates");
}

/* A machine that starts may have its resolver a little later, and what can be
 * authenticated then must not go out unauthenticated meanwhile.  So the first
 * answer is waited for, and when there is none at all nothing is believed
 * unless it validates.  A resolver that goes on failing has none to give. */
static void
not_answered(struct dnssec *d, const struct dns_answer *answer)
{
    bool is_silent = is_silence(answer);

    if (!d->is_decided && net_clock_steady() < d->until_ms) {
        net_timer_set(d->again, DNSSEC_RETRY_MS);
        return;
    }
    if (is_silent && (!d->is_decided || d->is_guessed)) {
        decide(d, DNSSEC_VALIDATE,
               "the resolver does not answer: nothing is believed unless it "
               "validates");
        d->is_guessed = true;
    } else {
        decide(d, DNSSEC_OFF, "the resolver does not answer: DANE is not used");
    }
    net_timer_set(d->again, is_silent ? DNSSEC_RETRY_MS : DNSSEC_SOON_MS);
}

static void
plain_answered(void *ctx, const struct dns_answer *answer)
{
    struct dnssec *d = ctx;
    struct net_dns_config config = dnssec_config(d->relay->config, d->trying);
    bool may_trust = d->relay->config->resolver.dnssec == CONFIG_DNSSEC_AUTO &&
                     net_dns_is_local(&config);

    if (answer->outcome == DNS_FAILED) {
        net_dns_free(&d->dns);
        not_answered(d, answer);
    } else if (may_trust && answer->authentic) {
        net_dns_start(&d->query, d->dns, BOGUS_NAME, DNS_A, bogus_answered, d);
    } else {
        open_for(d, DNSSEC_VALIDATE, validation_answered);
    }
}

static void
probe(void *ctx)
{
    struct dnssec *d = ctx;

    net_dns_cancel(&d->query);
    switch (d->relay->config->resolver.dnssec) {
    case CONFIG_DNSSEC_OFF:
        decide(d, DNSSEC_OFF, "resolver.dnssec is off");
        break;
    case CONFIG_DNSSEC_TRUST:
        decide(d, DNSSEC_TRUST, "resolver.dnssec says so");
        break;
    case CONFIG_DNSSEC_VALIDATE:
    case CONFIG_DNSSEC_AUTO:
        open_for(d, DNSSEC_TRUST, plain_answered);
        break;
    }
}

/* What the decision hangs on: the servers, by name or by the system's file, and
 * the way that is asked for. */
static char *
question(const struct config *c)
{
    struct buf text = {0};
    struct stat file = {0};
    char name[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < c->resolver.server_count; i++)
        buf_printf(&text, "%s ", addr_text_port(&c->resolver.server[i], name));
    if (c->resolver.server_count == 0)
        (void)stat("/etc/resolv.conf", &file);
    buf_printf(&text, "%d %s %lld %llu %lld.%09ld", (int)c->resolver.dnssec,
               c->resolver.trust_anchor, (long long)c->resolver.timeout_ms,
               (unsigned long long)file.st_ino, (long long)file.st_mtim.tv_sec,
               file.st_mtim.tv_nsec);
    (void)buf_text(&text);
    return text.p;
}

/* With nothing changed what was found out stays, whatever a probe says now. */
void
dnssec_configure(struct dnssec *d)
{
    char *asked scoped(own_free) = question(d->relay->config);

    if (d->is_decided && strcmp(asked, d->asked) == 0) {
        probe(d);
        return;
    }
    own_free(&d->asked);
    d->asked = take(&asked);
    d->is_decided = false; /* servers may be others: the workers open anew */
    d->until_ms = net_clock_steady() + DNSSEC_PATIENCE_MS;
    probe(d);
}

enum dnssec_way
dnssec_way(const struct dnssec *d)
{
    return d->way;
}

const char *
dnssec_why(const struct dnssec *d)
{
    return d->is_decided ? d->why : "being looked into";
}

struct dnssec *
dnssec_new(struct relay *relay)
{
    struct dnssec *d = mem_new(struct dnssec);

    d->relay = relay;
    d->asked = question(relay->config);
    d->again = net_timer_new(&relay->loop, probe, d);
    d->until_ms = net_clock_steady() + DNSSEC_PATIENCE_MS;
    net_timer_set(d->again, 0);
    return d;
}

void
dnssec_free(struct dnssec **place)
{
    struct dnssec *d = take(place);

    if (!d)
        return;
    net_dns_cancel(&d->query);
    net_dns_free(&d->dns);
    net_timer_free(&d->again);
    free(d->asked);
    free(d);
}
