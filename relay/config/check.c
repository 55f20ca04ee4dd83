#include "relay/config/check.h"

#include "relay/base/mem.h"
#include "relay/config/dkim.h"
#include "relay/mail/address.h"

#include <assert.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>

enum {
    TOKEN_MIN = 16,
    TOKEN_MAX = 4096,
    WORKERS_MAX = 256,
};

struct check {
    struct config *c;
    struct config_errors *errs;
};

struct config_setting *
config_check_setting(const struct config *c, const char *section,
                     const char *title, const char *key)
{
    const struct config_block *b =
        config_raw_find(&c->origins->raw, section, title);
    struct config_setting *s = b ? config_block_find(b, key) : NULL;

    assert(s);
    return s;
}

bool
config_is_set(const struct config *c, const char *section, const char *key)
{
    const struct config_setting *s = config_check_setting(c, section, "", key);

    return strcmp(s->origin, "default") != 0;
}

const char *
config_origin(const struct config *c, const char *section, const char *title,
              const char *key)
{
    return c->origins ? config_check_setting(c, section, title, key)->origin
                      : "";
}

void
config_check_blame(const struct config *c, struct config_errors *errs,
                   const char *section, const char *title, const char *key,
                   const char *why)
{
    const struct config_setting *s =
        config_check_setting(c, section, title, key);
    const struct config_block *b =
        config_raw_find(&c->origins->raw, section, title);
    bool is_left_out = strcmp(s->origin, "default") == 0;

    config_error(errs, is_left_out ? b->origin : s->origin, s->name, "%s", why);
}

static struct config_setting *
setting_of(const struct check *k, const char *section, const char *title,
           const char *key)
{
    return config_check_setting(k->c, section, title, key);
}

static void
blame(const struct check *k, const char *section, const char *title,
      const char *key, const char *why)
{
    config_check_blame(k->c, k->errs, section, title, key, why);
}

/* Puts the default of this machine into a setting; the text it owns now. */
static const char *
settle(const struct check *k, const char *section, const char *key, char *value)
{
    struct config_setting *s = setting_of(k, section, "", key);

    free(s->value[0]);
    s->value[0] = value;
    return value;
}

/* RFC 5321 section 4.1.1.1 wants a fully-qualified name in EHLO. */
static void
warn_bare_name(const struct check *k)
{
    const struct config_setting *s = setting_of(k, "", "", "hostname");

    if (!strchr(k->c->hostname, '.'))
        config_warning(k->errs, s->origin, s->name,
                       "\"%.100s\" has no dot, so that many servers will "
                       "refuse mail: set the full name of this machine",
                       k->c->hostname);
}

static void
check_hostname(const struct check *k)
{
    struct config *c = k->c;
    struct mail_domain domain;
    struct err err;

    if (c->hostname[0] == '\0') {
        c->hostname = settle(k, "", "hostname", config_default_hostname());
        warn_bare_name(k);
        return;
    }
    if (mail_domain_parse(slice_of(c->hostname), &domain, &err) ||
        mail_domain_parse_host(slice_of(c->hostname), &domain, &err))
        c->hostname = config_keep(c->origins, mem_text(domain.text));
    else
        blame(k, "", "", "hostname", err.text);
    if (k->errs->count == 0)
        warn_bare_name(k);
}

static void
check_state(const struct check *k)
{
    struct config *c = k->c;

    if (c->state_directory[0] == '\0') {
        char *found = config_default_state();

        if (found)
            c->state_directory = settle(k, "", "state_directory", found);
        else
            blame(k, "", "", "state_directory",
                  "/var/lib/sealpost can't be used and HOME is not set");
    } else if (c->state_directory[0] != '/') {
        blame(k, "", "", "state_directory", "is not an absolute path");
    }
}

static void
check_top(const struct check *k)
{
    struct config *c = k->c;
    struct mail_address address;
    struct err err;
    cpu_set_t cores;

    check_hostname(k);
    check_state(k);
    if (c->redirect_to[0] != '\0' &&
        !mail_address_parse(slice_of(c->redirect_to), true, &address, &err))
        blame(k, "", "", "redirect_to", err.text);
    if (c->redirect_to[0] == '\0' && c->mode == CONFIG_MODE_REDIRECT)
        blame(k, "", "", "mode", "redirect needs redirect_to");
    if (c->user[0] != '\0' && !getpwnam(c->user))
        blame(k, "", "", "user", "there is no such user");
    if (c->workers == 0) {
        CPU_ZERO(&cores);
        (void)sched_getaffinity(0, sizeof(cores), &cores);
        c->workers = (unsigned)CPU_COUNT(&cores);
        c->workers = c->workers < 1             ? 1
                     : c->workers > WORKERS_MAX ? WORKERS_MAX
                                                : c->workers;
        (void)settle(k, "", "workers", mem_printf("%u", c->workers));
    }
}

static void
check_access(const struct check *k)
{
    const struct config_networks *n = &k->c->access.networks;

    for (size_t i = 0; i < n->count; i++) {
        if (config_check_is_wide(&n->net[i])) {
            const struct config_setting *s =
                setting_of(k, "access", "", "networks");

            config_error(k->errs, s->origin, s->name,
                         "%s would let the whole Internet relay", s->value[i]);
        }
    }
}

/* Else anchors would be there to be trusted, and nobody to look at them. */
static const char unverified[] =
    "trust anchors are of no use unless tls = \"verified\"";
static const char without_dnssec[] =
    "\"required\" delivers nothing while resolver.dnssec is \"off\"";

/* Who can forge answers on the way to such a server can forge the AD bit. */
static void
warn_far_trust(const struct check *k)
{
    const struct config *c = k->c;
    const struct config_setting *s = setting_of(k, "resolver", "", "servers");

    for (size_t i = 0; i < c->resolver.server_count &&
                       c->resolver.dnssec == CONFIG_DNSSEC_TRUST;
         i++)
        if (!addr_is_loopback(&c->resolver.server[i]))
            config_warning(k->errs, s->origin, s->name,
                           "%s is not on this machine: with resolver.dnssec = "
                           "\"trust\" all that lies between is trusted too",
                           s->value[i]);
}

static void
check_policy(const struct check *k)
{
    const struct config *c = k->c;

    if (c->policy.dane == POLICY_DANE_REQUIRED &&
        c->resolver.dnssec == CONFIG_DNSSEC_OFF)
        blame(k, "policy", "", "dane", without_dnssec);
}

static void
check_domain(const struct check *k, const char *title, struct config_domain *d,
             int64_t now_ms)
{
    struct config *c = k->c;
    const struct config_block *b =
        config_raw_find(&c->origins->raw, "domain", title);
    scoped(own_free) char *name = config_name("domain", title, "");

    d->is_exemption =
        (c->policy.sts && !d->sts) || d->dane < c->policy.dane ||
        d->half_dane < c->policy.half_dane || d->level < c->policy.level ||
        d->enforce < c->policy.enforce || d->requiretls < c->policy.requiretls;
    if (d->is_exemption && (d->reason[0] == '\0' || d->until_ms == 0))
        config_error(k->errs, b->origin, name,
                     "is weaker than the policy block: an exemption names its "
                     "reason and until when it holds");
    else if (d->is_exemption && d->until_ms <= now_ms)
        config_warning(k->errs, b->origin, name,
                       "the exemption has ended: the policy block applies");
    else if (!d->is_exemption && d->until_ms != 0)
        blame(k, "domain", title, "until",
              "is for exemptions only: this rule weakens nothing");
    if (d->anchors[0] && d->level < POLICY_LEVEL_VERIFIED)
        blame(k, "domain", title, "mx_ca", unverified);
    if (d->dane == POLICY_DANE_REQUIRED &&
        c->resolver.dnssec == CONFIG_DNSSEC_OFF)
        blame(k, "domain", title, "dane", without_dnssec);
}

static int
by_name(const void *a, const void *b)
{
    const struct config_domain *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Two blocks whose titles are one domain, written differently: names the
 * second. */
static void
report_twin(const struct check *k, const char *name)
{
    const struct config_raw *raw = &k->c->origins->raw;
    const struct config_block *last = NULL;
    struct mail_domain domain;
    struct err err;

    for (size_t i = 0; i < raw->count; i++)
        if (strcmp(raw->block[i].section, "domain") == 0 &&
            mail_domain_parse(slice_of(raw->block[i].title), &domain, &err) &&
            strcmp(domain.text, name) == 0)
            last = &raw->block[i];
    if (last) {
        scoped(own_free) char *key = config_name("domain", last->title, "");

        config_error(k->errs, last->origin, key,
                     "another block speaks of this domain");
    }
}

/* Until here the names are the titles. */
static void
check_domains(const struct check *k)
{
    struct config *c = k->c;
    int64_t now_ms = (int64_t)time(NULL) * 1000;

    for (size_t i = 0; i < c->domain_count; i++) {
        struct config_domain *d = &c->domain[i];
        const char *title = d->name;
        struct mail_domain domain;
        struct err err;

        check_domain(k, title, d, now_ms);
        if (mail_domain_parse(slice_of(title), &domain, &err)) {
            d->name = config_keep(c->origins, mem_text(domain.text));
        } else {
            scoped(own_free) char *name = config_name("domain", title, "");
            const struct config_block *b =
                config_raw_find(&c->origins->raw, "domain", title);

            config_error(k->errs, b->origin, name, "%s", err.text);
        }
    }
    if (c->domain_count > 0)
        qsort(c->domain, c->domain_count, sizeof(*c->domain), by_name);
    for (size_t i = 1; i < c->domain_count; i++)
        if (strcmp(c->domain[i - 1].name, c->domain[i].name) == 0)
            report_twin(k, c->domain[i].name);
}

static bool
is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return false;
    return text.len >= TOKEN_MIN;
}

/* Until here the token is the path of its file. */
static void
read_token(const struct check *k)
{
    struct config *c = k->c;
    struct buf text = {0};
    struct slice token;
    struct err err;

    if (c->http.token[0] == '\0')
        return;
    if (!config_read_text(c->http.token, TOKEN_MAX, &text, &err)) {
        blame(k, "http", "", "token_file", err.text);
        buf_free(&text);
        return;
    }
    token = buf_slice(&text);
    while (token.len > 0 &&
           (token.p[token.len - 1] == '\n' || token.p[token.len - 1] == '\r'))
        token.len--;
    if (is_token(token))
        c->http.token = config_keep(c->origins, mem_copy(token));
    else
        blame(k, "http", "", "token_file",
              "a token has 16 or more printable characters and no spaces");
    explicit_bzero(text.p, text.len);
    buf_free(&text);
}

static void
check_http(const struct check *k)
{
    const struct config *c = k->c;
    struct addr where;
    struct err err;

    read_token(k);
    if (c->http.address[0] == '\0')
        return;
    if (!config_check_where(c->http.address, &where, &err))
        blame(k, "http", "", "address", err.text);
    else if (where.any.sa_family != AF_UNSPEC && !addr_is_loopback(&where) &&
             c->http.token[0] == '\0')
        blame(k, "http", "", "address",
              "wider than loopback needs http.token_file");
}

static void
check_control(const struct check *k)
{
    struct config *c = k->c;

    if (c->control.socket[0] == '\0')
        c->control.socket = settle(k, "control", "socket",
                                   config_default_control(c->state_directory));
    if (c->control.socket[0] != '/')
        blame(k, "control", "", "socket", "is not an absolute path");
    else if (strlen(c->control.socket) >=
             sizeof(((struct sockaddr_un *)0)->sun_path))
        blame(k, "control", "", "socket", "the path is too long for a socket");
}

static void
check_maildrop(const struct check *k)
{
    struct config *c = k->c;

    if (c->maildrop.directory[0] == '\0')
        c->maildrop.directory =
            settle(k, "maildrop", "directory",
                   config_default_maildrop(c->state_directory));
    if (c->maildrop.directory[0] != '/')
        blame(k, "maildrop", "", "directory", "is not an absolute path");
}

static void
check_retry(const struct check *k)
{
    const struct queue_schedule *s = &k->c->retry;

    if (s->warn_ms >= s->expire_ms && s->warn_ms > 0)
        blame(k, "retry", "", "warn", "is not before retry.expire");
}

static void
check_tlsrpt(const struct check *k)
{
    struct config *c = k->c;
    struct mail_address from;
    struct err err;

    if (c->tlsrpt.from[0] == '\0')
        c->tlsrpt.from =
            settle(k, "tlsrpt", "from", mem_printf("noreply@%s", c->hostname));
    else if (!mail_address_parse(slice_of(c->tlsrpt.from), false, &from, &err))
        blame(k, "tlsrpt", "", "from", err.text);
    if (c->tlsrpt.organization[0] == '\0')
        c->tlsrpt.organization =
            settle(k, "tlsrpt", "organization", mem_text(c->hostname));
    if (c->tlsrpt.contact[0] == '\0')
        c->tlsrpt.contact =
            settle(k, "tlsrpt", "contact", mem_text(c->tlsrpt.from));
}

void
config_check(struct config *c, struct config_errors *errs)
{
    struct check k = {c, errs};

    check_top(&k);
    config_check_listeners(c, errs);
    config_check_auth(c, errs);
    check_access(&k);
    warn_far_trust(&k);
    check_policy(&k);
    check_domains(&k);
    for (size_t i = 0; i < c->route_count; i++)
        config_route_check(c, errs, &c->route[i]);
    config_dkim_check(c, errs);
    check_retry(&k);
    config_check_rewrite(c, errs);
    config_check_webhooks(c, errs);
    check_tlsrpt(&k);
    check_http(&k);
    check_control(&k);
    check_maildrop(&k);
}
