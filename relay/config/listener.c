#include "relay/config/check.h"

#include "relay/base/mem.h"
#include "relay/net/passed.h"

#include <sys/un.h>

enum {
    V4_BITS_MIN = 8,
    V6_BITS_MIN = 7, /* fc00::/7 is a private network */
    SOCKET_NAME_MAX = 255,
};

struct check {
    struct config *c;
    struct config_errors *errs;
};

static void
blame(const struct check *k, const char *section, const char *title,
      const char *key, const char *why)
{
    config_check_blame(k->c, k->errs, section, title, key, why);
}

bool
config_check_is_wide(const struct addr_net *net)
{
    bool is_v6 = net->base.any.sa_family == AF_INET6;

    return net->base.any.sa_family != AF_UNSPEC &&
           net->bits < (is_v6 ? V6_BITS_MIN : V4_BITS_MIN);
}

bool
config_check_where(const char *where, struct addr *peer, struct err *err)
{
    struct slice text = slice_of(where);

    *peer = (struct addr){.any = {.sa_family = AF_UNSPEC}};
    if (!slice_starts_nocase(text, "unix:"))
        return addr_parse_port(text, 0, peer, err);
    text = slice_from(text, 5);
    if (text.len == 0 || text.p[0] != '/')
        return err_set(err, ERR_INPUT, "is not an absolute path");
    if (text.len >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return err_set(err, ERR_LIMIT, "the path is too long for a socket");
    return true;
}

static void
check_sni(const struct check *k, const struct config_sni *sni)
{
    if (sni->certificate[0] == '\0')
        blame(k, "sni", sni->name, "certificate", "is missing");
    if (sni->key[0] == '\0')
        blame(k, "sni", sni->name, "key", "is missing");
    if (k->c->tls.certificate[0] == '\0')
        blame(k, "sni", sni->name, "certificate",
              "needs tls.certificate, for clients that ask for no name of it");
}

static void
check_tls(const struct check *k)
{
    const struct config *c = k->c;
    const char *version = c->tls.min_version;
    bool has_certificate = c->tls.certificate[0] != '\0';
    bool has_key = c->tls.key[0] != '\0';

    if (strcmp(version, "1.2") != 0 && strcmp(version, "1.3") != 0)
        blame(k, "tls", "", "min_version", "is neither 1.2 nor 1.3");
    if (has_certificate && !has_key)
        blame(k, "tls", "", "certificate", "needs tls.key as well");
    if (has_key && !has_certificate)
        blame(k, "tls", "", "key", "needs tls.certificate as well");
    for (size_t i = 0; i < c->sni_count; i++)
        check_sni(k, &c->sni[i]);
}

/* RFC 8996: TLS 1.0 and 1.1 must not be used.  Where a printer knows nothing
 * better, its network is named, so that nobody else is led there. */
static void
check_version(const struct check *k, struct config_listener *l)
{
    static const char *const known[] = {"1.0", "1.1", "1.2", "1.3"};
    size_t i = 0;

    if (l->tls_min_version[0] == '\0') {
        l->tls_min_version = k->c->tls.min_version;
        return;
    }
    while (i < 4 && strcmp(known[i], l->tls_min_version) != 0)
        i++;
    if (i == 4)
        blame(k, "listener", l->name, "tls_min_version",
              "is none of 1.0, 1.1, 1.2, 1.3");
    else if (i < 2 && l->networks.count == 0)
        blame(k, "listener", l->name, "tls_min_version",
              "below 1.2 needs the networks of those who know nothing better");
}

static void
check_client_certificate(const struct check *k, const struct config_listener *l)
{
    static const char key[] = "client_certificate";

    if (l->client_certificate == CONFIG_CLIENT_CERTIFICATE_OFF)
        return;
    if (k->c->tls.client_ca[0] == '\0')
        blame(k, "listener", l->name, key, "needs tls.client_ca");
    if (l->tls == CONFIG_TLS_NONE)
        blame(k, "listener", l->name, key, "needs TLS");
    if (l->client_certificate == CONFIG_CLIENT_CERTIFICATE_REQUIRED &&
        l->tls == CONFIG_TLS_STARTTLS)
        blame(k, "listener", l->name, key,
              "required needs tls = \"required\" or \"implicit\"");
}

static void
check_proxies(const struct check *k, const struct config_listener *l)
{
    const struct config_networks *n = &l->proxy_from;
    char why[120];

    for (size_t i = 0; i < n->count; i++) {
        const struct config_setting *s =
            config_check_setting(k->c, "listener", l->name, "proxy_from");

        if (!config_check_is_wide(&n->net[i]))
            continue;
        (void)snprintf(why, sizeof(why),
                       "%.60s would let anybody pass for anybody", s->value[i]);
        blame(k, "listener", l->name, "proxy_from", why);
    }
}

/* As systemd's FileDescriptorName. */
static bool
check_socket_name(const char *name, struct err *err)
{
    return (name[0] != '\0' && strlen(name) <= SOCKET_NAME_MAX &&
            !strchr(name, ':')) ||
           err_set(err, ERR_INPUT,
                   "a socket's name has from 1 to %d characters and no colon",
                   SOCKET_NAME_MAX);
}

static void
check_listener(const struct check *k, size_t i)
{
    const struct config *c = k->c;
    struct config_listener *l = &c->listener[i];
    struct addr where;
    struct err err;

    if (l->address[0] == '\0')
        blame(k, "listener", l->name, "address", "is missing");
    else if (net_passed_name(l->address)
                 ? !check_socket_name(net_passed_name(l->address), &err)
                 : !config_check_where(l->address, &where, &err))
        blame(k, "listener", l->name, "address", err.text);
    if (l->tls != CONFIG_TLS_NONE && c->tls.certificate[0] == '\0')
        blame(k, "listener", l->name, "tls", "needs tls.certificate");
    check_version(k, l);
    check_client_certificate(k, l);
    check_proxies(k, l);
    for (size_t j = 0; j < i && l->address[0] != '\0'; j++)
        if (strcmp(c->listener[j].address, l->address) == 0)
            blame(k, "listener", l->name, "address",
                  "another listener has this address");
}

void
config_check_listeners(struct config *c, struct config_errors *errs)
{
    struct check k = {c, errs};

    check_tls(&k);
    for (size_t i = 0; i < c->listener_count; i++)
        check_listener(&k, i);
}
