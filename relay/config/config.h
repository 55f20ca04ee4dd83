/*
 * relay/config/config - what the operator wants, as one value.
 *
 * Read once from the file and the environment, checked as a whole, and never
 * changed again: a reload makes a new one.  Every string is set ("" where
 * nothing was said), every default is filled in, every name is in the form
 * that the rest of the daemon compares with.  The environment wins over the
 * file, the file over the default.
 *
 * Nothing is guessed: an unknown key, a wrong type or a value out of range is
 * an error, and all errors of a configuration are collected before any is
 * reported.
 */
#ifndef RELAY_CONFIG_CONFIG_H
#define RELAY_CONFIG_CONFIG_H

#include "policy/access.h"
#include "policy/plan.h"
#include "queue/schedule.h"
#include "relay/base/addr.h"
#include "relay/base/log.h"
#include "relay/base/span.h"
#include "relay/config/dkim_file.h"

#include <stdio.h>

#define CONFIG_FILE_DEFAULT "/etc/sealpost/sealpost.conf"

/* Where a relay that may write there has its control socket; a client run by
 * somebody else looks here when control.socket is not there. */
#define CONFIG_CONTROL_DEFAULT "/run/sealpost/control.sock"

/* The maildrop where an operator has made it, so that every user may have one;
 * a client that can't read the configuration looks here, too. */
#define CONFIG_MAILDROP_DEFAULT "/var/spool/sealpost"

enum {
    CONFIG_FILE_MAX = 1024 * 1024, /* octets of a configuration file */
    CONFIG_ERRORS_MAX = 100,       /* kept; one more says that there are more */
    CONFIG_ERROR_MAX = 500,        /* octets of one error */
    CONFIG_LIST_MAX = 10000,       /* values of one list */
    CONFIG_BLOCKS_MAX = 10000,     /* listener, domain and route blocks */
    CONFIG_DKIM_KEYS_MAX = 4,      /* of one domain */
};

/* A list of strings. */
struct config_texts {
    const char **text;
    size_t count;
};

struct config_networks {
    struct addr_net *net;
    size_t count;
};

enum config_mode {
    CONFIG_MODE_LIVE,
    CONFIG_MODE_REDIRECT, /* all mail goes to redirect_to */
    CONFIG_MODE_SINK,     /* accept, deliver nothing */
};

enum config_dnssec {
    CONFIG_DNSSEC_OFF,
    CONFIG_DNSSEC_TRUST,    /* the AD bit of the servers */
    CONFIG_DNSSEC_VALIDATE, /* in process */
    CONFIG_DNSSEC_AUTO,     /* whichever a probe finds to work */
};

enum config_enforce {
    CONFIG_ENFORCE_REPORT, /* weigh published policies, tell what they would
                              change, deliver as without */
    CONFIG_ENFORCE_STRICT,
};

/* TLSA records of hosts whose MX records are not authentic. */
enum config_half_dane {
    CONFIG_HALF_DANE_OFF,
    CONFIG_HALF_DANE_HEEDED,
};

/* What a host must offer for mail that asks for REQUIRETLS (RFC 8689). */
enum config_requiretls {
    CONFIG_REQUIRETLS_OPPORTUNISTIC, /* nothing; told where it is offered */
    CONFIG_REQUIRETLS_ENFORCE,       /* the extension */
};

enum config_tls {
    CONFIG_TLS_NONE,
    CONFIG_TLS_STARTTLS, /* offered */
    CONFIG_TLS_REQUIRED, /* STARTTLS before MAIL */
    CONFIG_TLS_IMPLICIT,
};

enum config_client_certificate {
    CONFIG_CLIENT_CERTIFICATE_OFF,
    CONFIG_CLIENT_CERTIFICATE_OPTIONAL,
    CONFIG_CLIENT_CERTIFICATE_REQUIRED,
};

struct config_listener {
    const char *name;
    const char *address; /* as net_listen_open takes it */
    enum config_tls tls;
    struct config_networks networks;   /* may connect; none: anybody.  Who may
                                          relay is said by access.networks */
    struct config_networks proxy_from; /* speak for others by PROXY; family
                                          AF_UNSPEC: by a Unix socket */
    unsigned socket_mode;              /* of a Unix socket's file */

    const char *tls_min_version;                       /* "1.0" to "1.3" */
    enum config_client_certificate client_certificate; /* a good one may
                                                          relay */

    unsigned connections; /* at once; 0: as many as there may be at all */
    unsigned connections_per_client;  /* 0: no limit */
    struct span_rate connection_rate; /* new ones of one client */

    /* As in access, unless the listener says otherwise. */
    struct config_texts sender_domains, recipient_domains;
    uint64_t size_max;
    unsigned rcpt_max;
    struct span_rate rate, rcpt_rate;

    enum policy_access_auth auth;
    bool auth_in_clear; /* where passwords can be overheard, too */
};

/* A certificate for clients that ask for one of its names. */
struct config_sni {
    const char *name;
    const char *certificate, *key; /* PEM files */
};

/* How mail for one domain and those below no rule of their own is sent. */
struct config_domain {
    const char *name; /* A-label form */
    bool sts;
    enum policy_dane_rule dane;
    enum config_half_dane half_dane;
    enum config_enforce enforce;
    enum config_requiretls requiretls;
    enum policy_level level;
    const char *anchors; /* PEM file that alone counts; "" none, else level is
                            POLICY_LEVEL_VERIFIED */
    struct policy_fingerprint *fingerprint; /* certificates that alone are
                                               accepted; none: any */
    size_t fingerprint_count;
    const char *reason; /* of an exemption, else maybe "" */
    int64_t until_ms;   /* wall clock; an exemption ends here.  0: no end */
    bool is_exemption;  /* weaker than the policy block in some way */
};

/* One host of a route. */
struct config_via {
    const char *host; /* a name, or an IP address without brackets */
    unsigned port;
    bool implicit_tls; /* port 465 */
    bool is_mx;        /* host is a domain: use its MX hosts */
    bool is_address;   /* host is an IP address */
};

/* Where tokens for a route come from (RFC 6749); in force when token_url is not
 * "". */
struct config_oauth {
    unsigned preset;       /* enum config_oauth_preset */
    const char *tenant;    /* of microsoft365 */
    const char *token_url; /* the next three, for people */
    struct {
        const char *name; /* A-label form */
        unsigned port;
    } host;
    const char *path;
    const char *client_id;
    const char *client_secret, *client_secret_file; /* one at most; each a
                                                       secret, or its path */
    const char *refresh_token, *refresh_token_file; /* none: client credentials
                                                     */
    const char *scope;
    const char *ca; /* PEM file besides the system's */
};

enum config_oauth_preset {
    CONFIG_OAUTH_OTHER,
    CONFIG_OAUTH_MICROSOFT365,
    CONFIG_OAUTH_GOOGLE,
};

/* The words of route.auth. */
enum config_auth {
    CONFIG_AUTH_AUTO, /* the best that is offered, where there is a user */
    CONFIG_AUTH_PLAIN,
    CONFIG_AUTH_LOGIN,
    CONFIG_AUTH_SCRAM_SHA_256,
    CONFIG_AUTH_XOAUTH2,
    CONFIG_AUTH_OAUTHBEARER,
};

struct config_route {
    const char *name;
    struct config_texts from, to; /* "local@domain", "@domain" or "*"; from
                                     may be empty: any sender */
    struct config_via *via;       /* tried in order; at least one */
    size_t via_count;
    enum policy_level level;
    const char *anchors;              /* as in a domain block */
    unsigned connections;             /* at once, to all its hosts */
    unsigned messages_per_connection; /* 0: as delivery says */
    struct span_rate rate;
    enum config_auth auth;
    unsigned mechanisms; /* that may be used; SMTP_SASL_BIT; 0: no AUTH */
    const char *user;
    const char *password, *password_file; /* one at most: a secret, or its path
                                           */
    const char *certificate, *key;        /* PEM files; both or neither */
    struct policy_fingerprint *fingerprint; /* as of a domain */
    size_t fingerprint_count;
    struct config_oauth oauth;
    struct addr *bind; /* source addresses; none: as delivery says */
    size_t bind_count;
};

/* The keys that sign for a domain and those below it (RFC 6376). */
struct config_dkim {
    const char *domain;                 /* A-label form */
    struct config_texts selector, file; /* as many of one as of the other */
    struct dkim_file *key;              /* likewise; what was read */
};

/* Which results a webhook is told of, as bits. */
enum config_webhook_event {
    CONFIG_WEBHOOK_SENT = 1,
    CONFIG_WEBHOOK_DEFERRED = 2,
    CONFIG_WEBHOOK_BOUNCED = 4,
};

enum { CONFIG_WEBHOOK_KEY_MIN = 24, CONFIG_WEBHOOK_KEY_MAX = 64 };

/* Somebody who is told what became of mail. */
struct config_webhook {
    const char *name;
    const char *url;  /* the next four, for people */
    const char *host; /* A-label form, or an IP address without brackets */
    unsigned port;
    const char *path;
    bool is_https;    /* else host is loopback */
    bool is_loopback; /* not to be looked up */
    const char *secret_file;
    unsigned char key[CONFIG_WEBHOOK_KEY_MAX]; /* what was in it; a secret */
    size_t key_len;
    struct config_texts event;
    unsigned events;              /* what those mean */
    struct config_texts from, to; /* as of a route; either may be empty */
    const char *ca;               /* PEM file besides the system's */
};

/* Where each value came from; config_print reads it. */
struct config_origins;

struct mail_sender_map;

struct config {
    uint64_t serial;      /* drawn by config_load: tells one from another */
    const char *hostname; /* A-label form; HELO and Received */
    const char *state_directory;
    enum config_mode mode;
    const char *redirect_to; /* an address; "" unless mode is redirect */
    unsigned workers;        /* never 0: the number of cores was put in */
    const char *user;        /* "" stay who we are */
    struct {
        int64_t keep_ms;
        uint64_t rows_max;
    } history;
    struct log_setup log;

    struct config_listener *listener; /* at least one */
    size_t listener_count;

    struct {
        const char *certificate, *key; /* PEM files; both or neither */
        const char *client_ca;         /* PEM file; "" none */
        const char *min_version;       /* "1.2" or "1.3" */
    } tls;
    struct config_sni *sni;
    size_t sni_count;

    struct {
        struct config_networks networks; /* may relay without AUTH */
        struct config_texts sender_domains, recipient_domains; /* none: any;
                                                             A-label form */
        uint64_t size_max;                /* octets of a message */
        unsigned rcpt_max;                /* recipients of a message */
        struct span_rate rate, rcpt_rate; /* messages and recipients of one
                                             user or client */
    } access;

    struct {
        const char *file; /* "" nobody can log in */
    } users;

    struct {
        struct addr *server; /* with port; none: /etc/resolv.conf */
        size_t server_count;
        enum config_dnssec dnssec;
        const char *trust_anchor; /* file; "" the root's */
        int64_t timeout_ms;
    } resolver;

    /* Of every direct delivery that no domain block speaks of. */
    struct {
        bool sts;
        enum policy_dane_rule dane;
        enum config_half_dane half_dane;
        enum config_enforce enforce;
        enum config_requiretls requiretls; /* of routes, too */
        enum policy_level level;           /* never POLICY_LEVEL_NONE */
        const char *https_ca; /* PEM file besides the system's; "" none */
        unsigned https_port;
        const char *mx_ca;
    } policy;

    struct config_domain *domain;
    size_t domain_count;
    struct config_route *route; /* first match wins */
    size_t route_count;
    struct config_dkim *dkim; /* by domain */
    size_t dkim_count;
    struct config_webhook *webhook;
    size_t webhook_count;

    struct queue_schedule retry;
    struct span_rate notices; /* retry.notices, to one sender */

    struct {
        unsigned connections_per_domain, connections;
        unsigned messages_per_connection;
        struct span_rate rate; /* messages of one destination */
        struct addr *bind;     /* source addresses; port 0 */
        size_t bind_count;
        unsigned port; /* of MX hosts */
        bool ipv6;
        bool allow_private; /* MX and policy hosts may resolve to addresses
                               that are not on the public Internet; only for
                               private networks and test beds, as any domain
                               can point its MX at them */
    } delivery;

    struct {
        const char *from_domain;         /* A-label form; "" none */
        const char *sender_map;          /* path; "" none */
        struct mail_sender_map *senders; /* as the file was; moves out to
                                            relay/daemon/sender_shelf.h */
        bool add_missing_headers;        /* Date, Message-ID and From */
        bool strip_received;
    } rewrite;

    struct { /* reports about TLS (RFC 8460) */
        bool enabled;
        const char *organization, *contact; /* never "" */
        const char *from;                   /* an address, never "" */
        struct config_texts exclude;        /* domains, A-label form */
    } tlsrpt;

    struct {
        const char *address; /* "" no HTTP over TCP */
        const char *token;   /* a secret; "" none, then address is loopback */
    } http;

    struct {
        const char *socket; /* path */
    } control;

    struct {
        bool enabled;
        const char *directory; /* an absolute path, never "" */
    } maildrop;

    struct config_origins *origins;
};

/* All that is wrong, each as "FILE:LINE: KEY: what is wrong"; zeroed storage
 * is an empty list. */
struct config_errors {
    char **text;
    size_t count;
    char **warning; /* does not stop the start */
    size_t warning_count;
    char **note; /* how something was understood */
    size_t note_count;
};

/* Reads `file` (NULL: CONFIG_FILE_DEFAULT if it exists) and the environment.
 * False: errs->count > 0 and *out is untouched.  Not for a loop's thread: it
 * reads files and may ask for this machine's full name; nor for two threads
 * at once. */
bool config_load(const char *file, struct config **out,
                 struct config_errors *errs) must_use;
void config_free(struct config **c);
void config_errors_done(struct config_errors *errs);

/* One value as it stands in the file or the environment, of a key without a
 * title, however wrong all the rest may be; NULL: nothing is said.  Allocated.
 * For who is about to mend it. */
char *config_peek(const char *file, const char *section, const char *key);

/* The effective values with where each came from, secrets masked. */
void config_print(const struct config *c, bool json, FILE *out);

/* Does the file or the environment set this key, of a section without a title?
 */
bool config_is_set(const struct config *c, const char *section,
                   const char *key);

/* Where the value of a key came from: "FILE:LINE", "environment" or "default";
 * "" in a configuration that was not loaded. */
const char *config_origin(const struct config *c, const char *section,
                          const char *title, const char *key);

/* NULL: there is no listener of that name. */
const struct config_listener *config_listener_find(const struct config *c,
                                                   const char *name);

/* The rule for a recipient's domain (A-label form): its domain block, unless
 * that is an exemption that has ended, else the policy block. */
struct config_domain config_rule_for(const struct config *c, const char *domain,
                                     int64_t now_ms);

const char *config_mode_name(enum config_mode mode); /* "live" */

/* Is nothing reported about TLS to this domain, or about it? */
bool config_is_unreported(const struct config *c, const char *domain);

/* The first route that takes mail from this reverse-path ("" is <>) to this
 * recipient; NULL: by MX.  Domains in any form. */
const struct config_route *config_route_for(const struct config *c,
                                            const char *from, const char *to);

/* Is it told of this result of mail from this reverse-path to this recipient?
 */
bool config_webhook_wants(const struct config_webhook *w,
                          enum config_webhook_event event, const char *from,
                          const char *to);

/* What one route makes of them: the pattern that each meets, "" where the list
 * of senders is empty; NULL: none. */
struct config_match {
    const char *from, *to;
};
struct config_match config_route_match(const struct config_route *r,
                                       const char *from, const char *to);

#endif
