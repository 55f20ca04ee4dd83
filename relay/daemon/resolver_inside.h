/*
 * relay/daemon/resolver_inside - what the resolver's files share; nobody
 * else's.
 */
#ifndef RELAY_DAEMON_RESOLVER_INSIDE_H
#define RELAY_DAEMON_RESOLVER_INSIDE_H

#include "relay/base/map.h"
#include "relay/daemon/resolver.h"
#include "relay/net/https.h"

#include <sys/queue.h>

/* One thing that the look-up asked for and that is under way. */
struct resolver_query {
    TAILQ_ENTRY(resolver_query) link;
    struct resolver_entry *entry;
    unsigned number;
    struct net_dns_query *dns;
    struct net_https *https;
    char *host;             /* FETCH */
    struct addr *addresses; /* FETCH */
    size_t address_count;
};

TAILQ_HEAD(resolver_queries, resolver_query);
TAILQ_HEAD(resolver_waits, resolver_wait);
TAILQ_HEAD(resolver_entries, resolver_entry);

/* One destination: a look-up under way, or its facts. */
struct resolver_entry {
    struct resolver *resolver;
    char *key;
    UT_hash_handle hh;
    TAILQ_ENTRY(resolver_entry)
    link;                         /* of resolver->entries, least used first */
    struct policy_lookup *lookup; /* NULL: facts are there, or none */
    struct resolver_queries queries;
    unsigned store_calls; /* under way; they hold the entry */
    struct resolver_waits waits;
    struct policy_facts facts;
    int64_t until_ms; /* then an exemption ends that the look-up went by */
    bool has_facts;
    bool is_stale; /* to be forgotten: what the look-up under way finds, too */
    struct task finish; /* under way while `finishing` */
    bool finishing;
    bool is_telling; /* those who waited */
};

struct resolver_wait {
    struct resolver_wait **slot;
    struct resolver_entry *entry;
    resolver_fn *done;
    void *ctx;
    bool is_late; /* began while others were told: not meant by it */
    TAILQ_ENTRY(resolver_wait) link;
};

struct resolver {
    struct worker *worker;
    struct resolver_entry *by_key; /* uthash */
    struct resolver_entries entries;
    size_t count;
    bool has_begun, is_cut;
    unsigned fetches;
    struct resolver_queries fetches_waiting;
};

/* --- resolver_ask.c --- */

/* Sets about what the look-up wants to know. */
void resolver_ask(struct resolver_entry *e, const struct policy_ask *ask);
void resolver_stop_queries(struct resolver_queries *list);

/* --- resolver.c --- */

/* An answer was told to the look-up. */
void resolver_pump(struct resolver_entry *e);

#endif
