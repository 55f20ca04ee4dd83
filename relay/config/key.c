#include "relay/config/key.h"

#include "relay/config/config.h"

#include <string.h>

enum { DAY_MS = 24 * 60 * 60 * 1000, YEAR_DAYS = 365 };

#define AT(field) offsetof(struct config, field)
#define AT_LISTENER(field) offsetof(struct config_listener, field)
#define AT_SNI(field) offsetof(struct config_sni, field)
#define AT_DOMAIN(field) offsetof(struct config_domain, field)
#define AT_DKIM(field) offsetof(struct config_dkim, field)
#define AT_ROUTE(field) offsetof(struct config_route, field)
#define AT_WEBHOOK(field) offsetof(struct config_webhook, field)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define UNSET WORDS("")

#define LEVELS WORDS("opportunistic", "required", "verified")

/* Where min, max and words mean something else than a range: see the type. */
const struct config_key config_keys[] = {
    {"", "hostname", CONFIG_TEXT, "", 0, 0, NULL, AT(hostname),
     "name in HELO and Received; default: this machine's full name"},
    {"", "state_directory", CONFIG_TEXT, "", 0, 0, NULL, AT(state_directory),
     "where the queue lives; default: $STATE_DIRECTORY, /var/lib/sealpost, or "
     "~/.local/state/sealpost"},
    {"", "mode", CONFIG_WORD, "live", 0, 0, WORDS("live", "redirect", "sink"),
     AT(mode),
     "live; redirect: all mail to redirect_to; sink: deliver nothing"},
    {"", "redirect_to", CONFIG_TEXT, "", 0, 0, NULL, AT(redirect_to),
     "the address for mode redirect"},
    {"", "workers", CONFIG_COUNT, "0", 0, 256, NULL, AT(workers),
     "network threads; 0: one per core"},
    {"", "user", CONFIG_TEXT, "", 0, 0, NULL, AT(user),
     "started as root: become this user once the ports are bound"},

    {"history", "keep", CONFIG_SPAN, "7d", 0, 10LL * YEAR_DAYS *DAY_MS, NULL,
     AT(history.keep_ms), "how long finished messages are remembered"},
    {"history", "rows_max", CONFIG_LARGE, "1000000", 0, 1000000000, NULL,
     AT(history.rows_max), "how many events are remembered"},

    {"log", "format", CONFIG_WORD, "auto", 0, 0, WORDS("auto", "text", "json"),
     AT(log.format), "auto: text on a terminal, else json"},
    {"log", "level", CONFIG_WORD, "info", 0, 0,
     WORDS("debug", "info", "warning", "error"), AT(log.level),
     "what is below is not logged"},
    {"log", "addresses", CONFIG_WORD, "full", 0, 0,
     WORDS("full", "domain", "hash"), AT(log.addresses),
     "how much of an address is logged"},

    {"listener", "address", CONFIG_TEXT, "", 0, 0, NULL, AT_LISTENER(address),
     "\"127.0.0.1:25\", \"[::]:25\", \"unix:/path\" or \"systemd:NAME\""},
    {"listener", "tls", CONFIG_WORD, "none", 0, 0,
     WORDS("none", "starttls", "required", "implicit"), AT_LISTENER(tls),
     "whether clients may or must use TLS"},
    {"listener", "tls_min_version", CONFIG_TEXT, "", 0, 0, NULL,
     AT_LISTENER(tls_min_version),
     "as tls.min_version; 1.0 and 1.1 only with networks"},
    {"listener", "client_certificate", CONFIG_WORD, "off", 0, 0,
     WORDS("off", "optional", "required"), AT_LISTENER(client_certificate),
     "whoever shows one that tls.client_ca vouches for may relay"},
    {"listener", "auth", CONFIG_WORD, "off", 0, 0,
     WORDS("off", "optional", "required"), AT_LISTENER(auth),
     "whether clients may or must log in"},
    {"listener", "auth_in_clear", CONFIG_BOOL, "false", 0, 0, NULL,
     AT_LISTENER(auth_in_clear), "without TLS, too"},
    {"listener", "networks", CONFIG_NETWORKS, "", 0, CONFIG_LIST_MAX, NULL,
     AT_LISTENER(networks), "who may connect; empty: anybody"},
    {"listener", "socket_mode", CONFIG_OCTAL, "0660", 0, 0777, NULL,
     AT_LISTENER(socket_mode), "mode of a Unix socket"},
    {"listener", "connections", CONFIG_COUNT, "0", 0, 100000, NULL,
     AT_LISTENER(connections), "at once; 0: no limit of its own"},
    {"listener", "connections_per_client", CONFIG_COUNT, "50", 0, 100000, NULL,
     AT_LISTENER(connections_per_client),
     "at once, of one IPv4 address or IPv6 /64; 0: no limit"},
    {"listener", "connection_rate", CONFIG_RATE, "0/1m", 0, 0, NULL,
     AT_LISTENER(connection_rate), "new connections of one client"},
    {"listener", "sender_domains", CONFIG_DOMAINS, NULL, 0, CONFIG_LIST_MAX,
     NULL, AT_LISTENER(sender_domains), "as in access"},
    {"listener", "recipient_domains", CONFIG_DOMAINS, NULL, 0, CONFIG_LIST_MAX,
     NULL, AT_LISTENER(recipient_domains), "as in access"},
    {"listener", "message_size_max", CONFIG_SIZE, NULL, 1024, 1LL << 30, NULL,
     AT_LISTENER(size_max), "as in access"},
    {"listener", "recipients_max", CONFIG_COUNT, NULL, 1, 16384, NULL,
     AT_LISTENER(rcpt_max), "as in access"},
    {"listener", "rate", CONFIG_RATE, NULL, 0, 0, NULL, AT_LISTENER(rate),
     "as in access"},
    {"listener", "recipients_rate", CONFIG_RATE, NULL, 0, 0, NULL,
     AT_LISTENER(rcpt_rate), "as in access"},
    {"listener", "proxy_from", CONFIG_PEERS, "", 0, CONFIG_LIST_MAX, NULL,
     AT_LISTENER(proxy_from),
     "proxies that begin with a PROXY header, and are believed; \"unix\": by a "
     "Unix socket"},

    {"tls", "certificate", CONFIG_FILE, "", 0, 0, NULL, AT(tls.certificate),
     "PEM file with our certificate and its chain"},
    {"tls", "key", CONFIG_SECRET, "", 0, 0, NULL, AT(tls.key),
     "PEM file with its key"},
    {"tls", "client_ca", CONFIG_FILE, "", 0, 0, NULL, AT(tls.client_ca),
     "trust anchors for certificates of clients"},
    {"tls", "min_version", CONFIG_TEXT, "1.2", 0, 0, NULL, AT(tls.min_version),
     "1.2 or 1.3"},

    {"sni", "certificate", CONFIG_FILE, "", 0, 0, NULL, AT_SNI(certificate),
     "PEM file with a certificate and its chain, for clients that ask for one "
     "of its names"},
    {"sni", "key", CONFIG_SECRET, "", 0, 0, NULL, AT_SNI(key),
     "PEM file with its key"},

    {"access", "networks", CONFIG_NETWORKS, "127.0.0.0/8,::1/128", 0,
     CONFIG_LIST_MAX, NULL, AT(access.networks),
     "who may relay without authentication"},
    {"access", "sender_domains", CONFIG_DOMAINS, "", 0, CONFIG_LIST_MAX, NULL,
     AT(access.sender_domains), "domains that mail may come from; empty: any"},
    {"access", "recipient_domains", CONFIG_DOMAINS, "", 0, CONFIG_LIST_MAX,
     NULL, AT(access.recipient_domains),
     "domains that mail may go to; empty: any"},
    {"access", "message_size_max", CONFIG_SIZE, "50M", 1024, 1LL << 30, NULL,
     AT(access.size_max), "octets of a message"},
    {"access", "recipients_max", CONFIG_COUNT, "1000", 1, 16384, NULL,
     AT(access.rcpt_max), "recipients of a message"},
    {"access", "rate", CONFIG_RATE, "0/1h", 0, 0, NULL, AT(access.rate),
     "messages of one user, or client that has not logged in; 0: no limit"},
    {"access", "recipients_rate", CONFIG_RATE, "0/1d", 0, 0, NULL,
     AT(access.rcpt_rate), "their recipients, likewise"},

    {"users", "file", CONFIG_SECRET, "", 0, 0, NULL, AT(users.file),
     "who may log in, with hashes of passwords; sealpost user writes it"},

    {"resolver", "servers", CONFIG_ADDRESSES, "", 53, 16, NULL,
     AT(resolver.server), "DNS resolvers; empty: /etc/resolv.conf"},
    {"resolver", "dnssec", CONFIG_WORD, "auto", 0, 0,
     WORDS("off", "trust", "validate", "auto"), AT(resolver.dnssec),
     "trust: believe the servers' AD bit; validate: in process; auto: "
     "whichever is found to work"},
    {"resolver", "trust_anchor", CONFIG_FILE, "", 0, 0, NULL,
     AT(resolver.trust_anchor),
     "file with the trust anchor for validation; empty: the root's"},
    {"resolver", "timeout", CONFIG_SPAN, "5s", 100, 60000, NULL,
     AT(resolver.timeout_ms), "how long an answer may take"},

    {"policy", "sts", CONFIG_BOOL, "true", 0, 0, NULL, AT(policy.sts),
     "heed MTA-STS policies"},
    {"policy", "dane", CONFIG_CHOICE, "true", 0, 0, WORDS("required"),
     AT(policy.dane), "heed TLSA records; required: deliver by them alone"},
    {"policy", "dane_insecure_mx", CONFIG_WORD, "off", 0, 0,
     WORDS("off", "dane"), AT(policy.half_dane),
     "TLSA records of hosts that MX records without DNSSEC lead to; dane: heed "
     "them too"},
    {"policy", "tls", CONFIG_WORD, "opportunistic", POLICY_LEVEL_OPPORTUNISTIC,
     0, LEVELS, AT(policy.level), "the least for every direct delivery"},
    {"policy", "enforce", CONFIG_WORD, "strict", 0, 0,
     WORDS("report", "strict"), AT(policy.enforce),
     "report: weigh published policies, tell what they would change, deliver "
     "as without them"},
    {"policy", "requiretls", CONFIG_WORD, "enforce", 0, 0,
     WORDS("opportunistic", "enforce"), AT(policy.requiretls),
     "opportunistic: mail with REQUIRETLS also goes to verified hosts that do "
     "not offer it"},
    {"policy", "https_ca", CONFIG_FILE, "", 0, 0, NULL, AT(policy.https_ca),
     "extra trust anchors for policy hosts"},
    {"policy", "https_port", CONFIG_COUNT, "443", 1, 65535, NULL,
     AT(policy.https_port), "port of policy hosts"},
    {"policy", "mx_ca", CONFIG_FILE, "", 0, 0, NULL, AT(policy.mx_ca),
     "extra trust anchors for MX hosts"},

    {"domain", "sts", CONFIG_BOOL, NULL, 0, 0, NULL, AT_DOMAIN(sts),
     "as in policy"},
    {"domain", "dane", CONFIG_CHOICE, NULL, 0, 0, WORDS("required"),
     AT_DOMAIN(dane), "as in policy"},
    {"domain", "dane_insecure_mx", CONFIG_WORD, NULL, 0, 0,
     WORDS("off", "dane"), AT_DOMAIN(half_dane), "as in policy"},
    {"domain", "enforce", CONFIG_WORD, NULL, 0, 0, WORDS("report", "strict"),
     AT_DOMAIN(enforce), "as in policy"},
    {"domain", "requiretls", CONFIG_WORD, NULL, 0, 0,
     WORDS("opportunistic", "enforce"), AT_DOMAIN(requiretls), "as in policy"},
    {"domain", "tls", CONFIG_WORD, NULL, POLICY_LEVEL_OPPORTUNISTIC, 0, LEVELS,
     AT_DOMAIN(level), "as in policy"},
    {"domain", "fingerprint", CONFIG_FINGERPRINTS, "", 0, 16, NULL,
     AT_DOMAIN(fingerprint),
     "\"sha256:HEX\" of a certificate, \"spki-sha256:HEX\" of its public key: "
     "these alone are accepted"},
    {"domain", "mx_ca", CONFIG_FILE, "", 0, 0, NULL, AT_DOMAIN(anchors),
     "trust anchors for its MX hosts, instead of all others"},
    {"domain", "reason", CONFIG_TEXT, "", 0, 0, NULL, AT_DOMAIN(reason),
     "why an exemption is made"},
    {"domain", "until", CONFIG_DATE, "", 0, 0, NULL, AT_DOMAIN(until_ms),
     "the last day of an exemption, \"2027-01-31\""},

    {"route", "from", CONFIG_PATTERNS, "", 0, CONFIG_LIST_MAX, NULL,
     AT_ROUTE(from),
     "senders: address, \"@domain\", \"<>\" or \"*\"; empty: any"},
    {"route", "to", CONFIG_PATTERNS, "", 0, CONFIG_LIST_MAX, NULL, AT_ROUTE(to),
     "recipients: address, \"@domain\" or \"*\""},
    {"route", "via", CONFIG_VIAS, "", 0, 100, NULL, AT_ROUTE(via),
     "\"host:port\" or \"mx:domain\", tried in order"},
    {"route", "tls", CONFIG_WORD, "verified", POLICY_LEVEL_NONE, 0,
     WORDS("none", "opportunistic", "required", "verified"), AT_ROUTE(level),
     "what its hosts must prove"},
    {"route", "fingerprint", CONFIG_FINGERPRINTS, "", 0, 16, NULL,
     AT_ROUTE(fingerprint), "as of a domain"},
    {"route", "ca", CONFIG_FILE, "", 0, 0, NULL, AT_ROUTE(anchors),
     "trust anchors for its hosts, instead of all others"},
    {"route", "certificate", CONFIG_FILE, "", 0, 0, NULL, AT_ROUTE(certificate),
     "PEM file with our certificate there and its chain"},
    {"route", "key", CONFIG_SECRET, "", 0, 0, NULL, AT_ROUTE(key),
     "PEM file with its key"},
    {"route", "auth", CONFIG_WORD, "auto", 0, 0,
     WORDS("auto", "plain", "login", "scram-sha-256", "xoauth2", "oauthbearer"),
     AT_ROUTE(auth), "how we authenticate; auto: the best that is offered"},
    {"route", "user", CONFIG_TEXT, "", 0, 0, NULL, AT_ROUTE(user),
     "our name there"},
    {"route", "password", CONFIG_PASSWORD, "", 0, 0, NULL, AT_ROUTE(password),
     "our password there"},
    {"route", "password_file", CONFIG_SECRET, "", 0, 0, NULL,
     AT_ROUTE(password_file), "file with our password there"},
    {"route", "connections", CONFIG_COUNT, "10", 1, 1000, NULL,
     AT_ROUTE(connections), "at once"},
    {"route", "messages_per_connection", CONFIG_COUNT, "0", 0, 100000, NULL,
     AT_ROUTE(messages_per_connection),
     "then it is closed; 0: as delivery says"},
    {"route", "bind", CONFIG_ADDRESSES, "", -1, 16, NULL, AT_ROUTE(bind),
     "source addresses; empty: as delivery says"},
    {"route", "rate", CONFIG_RATE, "0/1s", 0, 0, NULL, AT_ROUTE(rate),
     "messages; 0: no limit"},

    {"rewrite", "from_domain", CONFIG_TEXT, "", 0, 0, NULL,
     AT(rewrite.from_domain), "domain put into every sender"},
    {"rewrite", "sender_map", CONFIG_FILE, "", 0, 0, NULL,
     AT(rewrite.sender_map), "file with senders and what they become"},
    {"rewrite", "add_missing_headers", CONFIG_BOOL, "true", 0, 0, NULL,
     AT(rewrite.add_missing_headers),
     "add Date, Message-ID and From where they lack"},
    {"rewrite", "strip_received", CONFIG_BOOL, "false", 0, 0, NULL,
     AT(rewrite.strip_received), "remove Received fields of before"},

    {"retry", "schedule", CONFIG_STEPS, "1m,5m,15m,30m,1h,2h,4h", 100,
     7LL * DAY_MS, NULL, AT(retry), "waits between attempts; the last repeats"},
    {"retry", "expire", CONFIG_SPAN, "5d", 1000, 60LL * DAY_MS, NULL,
     AT(retry.expire_ms), "when a message is given up"},
    {"retry", "warn", CONFIG_SPAN, "4h", 0, 60LL * DAY_MS, NULL,
     AT(retry.warn_ms), "when its sender is told of the delay; 0: never"},
    {"retry", "notices", CONFIG_RATE, "1000/1h", 0, 0, NULL, AT(notices),
     "bounces and other notices to one sender; more of them wait; 0: no "
     "limit"},

    {"delivery", "connections_per_domain", CONFIG_COUNT, "10", 1, 1000, NULL,
     AT(delivery.connections_per_domain), "at once, to one destination"},
    {"delivery", "connections", CONFIG_COUNT, "500", 1, 100000, NULL,
     AT(delivery.connections), "at once, in all"},
    {"delivery", "messages_per_connection", CONFIG_COUNT, "100", 1, 100000,
     NULL, AT(delivery.messages_per_connection), "then it is closed"},
    {"delivery", "rate", CONFIG_RATE, "0/1m", 0, 0, NULL, AT(delivery.rate),
     "messages to one destination; 0: no limit"},
    {"delivery", "bind", CONFIG_ADDRESSES, "", -1, 16, NULL, AT(delivery.bind),
     "source addresses"},
    {"delivery", "port", CONFIG_COUNT, "25", 1, 65535, NULL, AT(delivery.port),
     "port of MX hosts"},
    {"delivery", "ipv6", CONFIG_BOOL, "true", 0, 0, NULL, AT(delivery.ipv6),
     "use IPv6"},
    {"delivery", "allow_private", CONFIG_BOOL, "false", 0, 0, NULL,
     AT(delivery.allow_private),
     "connect to loopback and private addresses that DNS names; for private "
     "networks and test beds only"},

    {"tlsrpt", "enabled", CONFIG_BOOL, "true", 0, 0, NULL, AT(tlsrpt.enabled),
     "count how TLS went, and report it to the domains that ask for it"},
    {"tlsrpt", "organization", CONFIG_TEXT, "", 0, 0, NULL,
     AT(tlsrpt.organization), "our name in reports; default: hostname"},
    {"tlsrpt", "contact", CONFIG_TEXT, "", 0, 0, NULL, AT(tlsrpt.contact),
     "whom to ask about reports; default: the sender"},
    {"tlsrpt", "from", CONFIG_TEXT, "", 0, 0, NULL, AT(tlsrpt.from),
     "sender of reports; default: noreply@hostname"},
    {"tlsrpt", "exclude", CONFIG_DOMAINS, "", 0, CONFIG_LIST_MAX, NULL,
     AT(tlsrpt.exclude), "domains that no report is about, or goes to"},

    {"http", "address", CONFIG_TEXT, "127.0.0.1:8025", 0, 0, NULL,
     AT(http.address),
     "where the API listens besides the control socket; empty: nowhere"},
    {"http", "token_file", CONFIG_SECRET, "", 0, 0, NULL, AT(http.token),
     "file with the bearer token; needed off loopback"},

    {"control", "socket", CONFIG_TEXT, "", 0, 0, NULL, AT(control.socket),
     "default: /run/sealpost/control.sock where that can be used, else "
     "control.sock in the state directory"},

    {"maildrop", "enabled", CONFIG_BOOL, "true", 0, 0, NULL,
     AT(maildrop.enabled),
     "take in what `sealpost send` left while no relay ran"},
    {"maildrop", "directory", CONFIG_TEXT, "", 0, 0, NULL,
     AT(maildrop.directory),
     "where it is left; default: /var/spool/sealpost where that can be used, "
     "else maildrop in the state directory"},

    {"dkim", "selector", CONFIG_TEXTS, "", 0, CONFIG_DKIM_KEYS_MAX, NULL,
     AT_DKIM(selector), "names of its keys in DNS"},
    {"dkim", "key", CONFIG_TEXTS, "", 0, CONFIG_DKIM_KEYS_MAX, NULL,
     AT_DKIM(file), "PEM files with them, in the same order"},
    {"oauth", "preset", CONFIG_WORD, "", 0, 0,
     WORDS("", "microsoft365", "google"), AT_ROUTE(oauth.preset),
     "fills in via, token_url and scope"},
    {"oauth", "tenant", CONFIG_TEXT, "", 0, 0, NULL, AT_ROUTE(oauth.tenant),
     "for preset microsoft365: the directory's id or domain"},
    {"oauth", "token_url", CONFIG_TEXT, "", 0, 0, NULL,
     AT_ROUTE(oauth.token_url), "token endpoint, https://"},
    {"oauth", "client_id", CONFIG_TEXT, "", 0, 0, NULL,
     AT_ROUTE(oauth.client_id), "the client's id"},
    {"oauth", "client_secret", CONFIG_PASSWORD, "", 0, 0, NULL,
     AT_ROUTE(oauth.client_secret), "its secret"},
    {"oauth", "client_secret_file", CONFIG_SECRET, "", 0, 0, NULL,
     AT_ROUTE(oauth.client_secret_file), "file with its secret"},
    {"oauth", "scope", CONFIG_TEXT, "", 0, 0, NULL, AT_ROUTE(oauth.scope),
     "what the token is to be good for"},
    {"oauth", "refresh_token", CONFIG_PASSWORD, "", 0, 0, NULL,
     AT_ROUTE(oauth.refresh_token), "refresh token to begin with"},
    {"oauth", "refresh_token_file", CONFIG_SECRET, "", 0, 0, NULL,
     AT_ROUTE(oauth.refresh_token_file), "file with it"},
    {"oauth", "ca", CONFIG_FILE, "", 0, 0, NULL, AT_ROUTE(oauth.ca),
     "extra trust anchors for the token endpoint"},

    {"webhook", "url", CONFIG_TEXT, "", 0, 0, NULL, AT_WEBHOOK(url),
     "where events are posted: https, or http to loopback"},
    {"webhook", "secret_file", CONFIG_SECRET, "", 0, 0, NULL,
     AT_WEBHOOK(secret_file),
     "file with the secret that signs: whsec_ and base64"},
    {"webhook", "events", CONFIG_TEXTS, "sent,deferred,bounced", 0, 3, NULL,
     AT_WEBHOOK(event), "which: sent, deferred, bounced"},
    {"webhook", "from", CONFIG_PATTERNS, "", 0, CONFIG_LIST_MAX, NULL,
     AT_WEBHOOK(from),
     "of mail from: address, \"@domain\" or \"*\"; empty: any"},
    {"webhook", "to", CONFIG_PATTERNS, "", 0, CONFIG_LIST_MAX, NULL,
     AT_WEBHOOK(to), "of mail to, likewise; empty: any"},
    {"webhook", "ca", CONFIG_FILE, "", 0, 0, NULL, AT_WEBHOOK(ca),
     "extra trust anchors for it"},
};
const size_t config_key_count = sizeof(config_keys) / sizeof(*config_keys);

/* `oauth` stands inside a route. */
const char *const config_sections[] = {
    "",       "history", "log",      "listener", "tls",      "sni",
    "access", "users",   "resolver", "policy",   "domain",   "route",
    "oauth",  "dkim",    "rewrite",  "retry",    "delivery", "tlsrpt",
    "http",   "control", "maildrop", "webhook"};
const size_t config_section_count =
    sizeof(config_sections) / sizeof(*config_sections);

const char *
config_section_find(const char *name)
{
    for (size_t i = 0; i < config_section_count; i++)
        if (strcmp(config_sections[i], name) == 0)
            return config_sections[i];
    return NULL;
}

bool
config_section_has_title(const char *section)
{
    return strcmp(section, "listener") == 0 || strcmp(section, "sni") == 0 ||
           strcmp(section, "domain") == 0 || strcmp(section, "route") == 0 ||
           strcmp(section, "dkim") == 0 || strcmp(section, "webhook") == 0;
}

bool
config_key_is_list(const struct config_key *key)
{
    return key->type >= CONFIG_OFF_LIST;
}

const struct config_key *
config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].section, section) == 0 &&
            strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    return NULL;
}

enum { NAME_LEN_MAX = 40 };

/* How many letters must be changed, added, left out, or swapped with their
 * neighbour. */
static size_t
distance(const char *a, const char *b)
{
    size_t rows[3][NAME_LEN_MAX + 1];
    size_t len = strlen(b);

    if (strlen(a) > NAME_LEN_MAX || len > NAME_LEN_MAX)
        return NAME_LEN_MAX;
    for (size_t j = 0; j <= len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= strlen(a); i++) {
        const size_t *above = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];

        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (row[j - 1] + 1 < row[j])
                row[j] = row[j - 1] + 1;
            if (above[j] + 1 < row[j])
                row[j] = above[j] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1] && rows[(i - 2) % 3][j - 2] + 1 < row[j])
                row[j] = rows[(i - 2) % 3][j - 2] + 1;
        }
    }
    return rows[strlen(a) % 3][len];
}

/* Keeps the nearer one of `best` and `candidate`: one letter in three may be
 * wrong, or all behind the second be missing. */
static void
consider(const char *name, const char *candidate, const char **best,
         size_t *least)
{
    size_t len = strlen(name);
    bool is_start = len >= 2 && strncmp(name, candidate, len) == 0;
    size_t d = is_start ? 1 : distance(name, candidate);
    size_t most = len < 6 ? 1 : len / 3;

    if (d < *least && d <= most)
        *best = candidate, *least = d;
}

const char *
config_key_nearest(const char *section, const char *name)
{
    const char *best = NULL;
    size_t least = NAME_LEN_MAX;

    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].section, section) == 0)
            consider(name, config_keys[i].name, &best, &least);
    if (section[0] == '\0')
        for (size_t i = 1; i < config_section_count; i++)
            consider(name, config_sections[i], &best, &least);
    return best;
}

const char *
config_key_elsewhere(const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].section, section) != 0 &&
            config_keys[i].preset && strcmp(config_keys[i].name, name) == 0)
            return config_keys[i].section;
    return NULL;
}
