#include "relay/net/dns.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/net/dns_cache.h"
#include "relay/net/dns_channel.h"
#include "relay/net/dns_validator.h"
#include "relay/net/timer.h"

#include <assert.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

/*
 * Three things live apart from each other, because each ends when it likes:
 *
 *   net_dns_query   what an owner waits for; gone when answered or cancelled
 *   question        what is asked once for all who wait; gone a turn of the
 *                   loop after it is settled
 *   flight          what the channel carries; gone when it calls back, which
 *                   may be from inside of sending or closing
 *
 * No owner is ever called from inside c-ares: `settle` only notes the answer,
 * and `deliver` runs from a timer of the loop.
 */

enum {
    QUERY_SIZE = 300,
    OPT_SIZE = 11, /* what dns_query_write adds for EDNS(0) */
    HEADER_SIZE = 12,
    RCODE_FORMERR = 1,
    RCODE_NOTIMP = 4,
    CACHE_OCTETS_MAX = 32 * 1024 * 1024,
};

struct net_dns_query {
    struct net_dns *dns;
    struct net_dns_query **slot; /* where our owner keeps us */
    net_dns_fn *done;
    void *ctx;
    struct question *question;
    TAILQ_ENTRY(net_dns_query) link;
};
TAILQ_HEAD(waiters, net_dns_query);

struct flight {
    struct net_dns *dns;
    struct question *question; /* NULL: nobody wants the answer any more */
    bool is_plain;             /* sent without OPT */
    uint8_t query[QUERY_SIZE];
    size_t len;
};

struct question {
    char key[NET_DNS_KEY_SIZE];
    char name[DNS_NAME_MAX + 1];
    enum dns_type type;
    struct flight *flight; /* NULL once settled */
    struct waiters waiters;
    uint64_t deadline;
    bool may_keep; /* not forgotten meanwhile */
    struct dns_answer answer;
    TAILQ_ENTRY(question) link; /* in under_way, or in settled */
    UT_hash_handle hh;          /* in asked, until settled */
};
TAILQ_HEAD(questions, question);

struct net_dns {
    uv_loop_t *loop;
    struct net_dns_channel *channel; /* one of the two carries */
    struct net_dns_validator *validator;
    uint64_t timeout_ms;
    bool trust_ad;
    struct net_dns_cache *cache;
    struct net_timer *deadline, *turn;
    struct question *asked;
    struct questions under_way; /* the next deadline first */
    struct questions settled;
    size_t waiting; /* owners who have not been answered */
    bool is_delivering, is_freed;
};

/* --- questions --- */

static void
release(struct question *q)
{
    dns_answer_done(&q->answer);
    free(q);
}

/* q->answer is known; those who wait hear of it in the loop's next turn. */
static void
settle(struct net_dns *dns, struct question *q)
{
    HASH_DEL(dns->asked, q);
    TAILQ_REMOVE(&dns->under_way, q, link);
    TAILQ_INSERT_TAIL(&dns->settled, q, link);
    q->flight = NULL;
    if (q->may_keep)
        net_dns_cache_put(dns->cache, &q->answer, uv_now(dns->loop));
    net_timer_set(dns->turn, 0);
}

static void
fail(struct question *q, const char *why)
{
    dns_answer_fail(&q->answer, q->name, q->type, why);
}

static void send_flight(struct flight *f);

/* RFC 6891 section 7: a server that does not know OPT may say so by FORMERR,
 * old ones by NOTIMP.  Then it is asked once more without. */
static bool
retry_plain(struct flight *f, const uint8_t *answer, size_t len)
{
    int rcode = len >= HEADER_SIZE ? answer[3] & 15 : 0;

    if (f->is_plain || (rcode != RCODE_FORMERR && rcode != RCODE_NOTIMP))
        return false;
    f->is_plain = true;
    f->len -= OPT_SIZE;
    f->query[10] = f->query[11] = 0; /* ARCOUNT */
    send_flight(f);
    return true;
}

static void
answered(void *ctx, const uint8_t *answer, size_t len, const char *why)
{
    struct flight *f = ctx;
    struct question *q = f->question;

    if (q && retry_plain(f, answer, len))
        return;
    if (q) {
        if (answer)
            dns_answer_read(answer, len, q->name, q->type, &q->answer);
        else
            fail(q, why);
        if (!f->dns->trust_ad)
            q->answer.authentic = false;
        settle(f->dns, q);
    }
    free(f);
}

static void
validated(void *ctx, const uint8_t *answer, size_t len, bool secure,
          const char *why)
{
    struct flight *f = ctx;
    struct question *q = f->question;

    if (q) {
        if (answer)
            dns_answer_read(answer, len, q->name, q->type, &q->answer);
        else
            fail(q, why);
        q->answer.authentic = secure;
        settle(f->dns, q);
    }
    free(f);
}

static void
send_flight(struct flight *f)
{
    net_dns_channel_send(f->dns->channel, f->query, f->len, answered, f);
}

static void
set_deadline(struct net_dns *dns)
{
    struct question *q = TAILQ_FIRST(&dns->under_way);
    uint64_t now = uv_now(dns->loop);

    if (q)
        net_timer_set(dns->deadline, q->deadline > now ? q->deadline - now : 0);
    else
        net_timer_stop(dns->deadline);
}

static void
deadline_passed(void *ctx)
{
    struct net_dns *dns = ctx;
    struct question *q;

    while ((q = TAILQ_FIRST(&dns->under_way)) &&
           q->deadline <= uv_now(dns->loop)) {
        /* c-ares can't be told to drop one query; it ends by itself. */
        q->flight->question = NULL;
        fail(q, "timeout");
        settle(dns, q);
    }
    set_deadline(dns);
}

static void
ask(struct net_dns *dns, struct question *q)
{
    struct flight *f = mem_new(struct flight);
    uint16_t id;

    f->dns = dns;
    f->question = q;
    q->flight = f;
    if (dns->validator) {
        net_dns_validator_ask(dns->validator, q->name, q->type, validated, f);
        set_deadline(dns);
        return;
    }
    /* The answer's question is compared too; an id that happens to be in use
     * does no harm. */
    if (RAND_bytes((unsigned char *)&id, sizeof(id)) != 1)
        abort();
    f->len = dns_query_write(id, q->name, q->type, f->query);
    if (f->len == 0) {
        free(f);
        fail(q, "not a domain name");
        settle(dns, q);
        return;
    }
    send_flight(f);
    set_deadline(dns);
}

static struct question *
new_question(const char *key, const char *name, enum dns_type type)
{
    struct question *q = mem_new(struct question);

    TAILQ_INIT(&q->waiters);
    (void)snprintf(q->key, sizeof(q->key), "%s", key);
    (void)snprintf(q->name, sizeof(q->name), "%s", name);
    q->type = type;
    q->may_keep = true;
    return q;
}

/* The question under way, or one that has its answer already. */
static struct question *
find_question(struct net_dns *dns, const char *name, enum dns_type type)
{
    char key[NET_DNS_KEY_SIZE];
    struct dns_answer kept;
    struct question *q;

    net_dns_key(name, type, key);
    HASH_FIND_STR(dns->asked, key, q);
    if (q)
        return q;
    q = new_question(key, name, type);
    q->deadline = uv_now(dns->loop) + dns->timeout_ms;
    if (net_dns_cache_find(dns->cache, name, type, uv_now(dns->loop), &kept)) {
        q->answer = kept;
        TAILQ_INSERT_TAIL(&dns->settled, q, link);
        net_timer_set(dns->turn, 0);
        return q;
    }
    HASH_ADD_STR(dns->asked, key, q);
    TAILQ_INSERT_TAIL(&dns->under_way, q, link);
    ask(dns, q);
    return q;
}

/* Lower case and without the final dot; a name that is too long stays so. */
static void
normalize(const char *name, char out[DNS_NAME_MAX + 1])
{
    size_t n = 0;

    for (; name[n] && n < DNS_NAME_MAX; n++)
        out[n] = name[n] >= 'A' && name[n] <= 'Z' ? (char)(name[n] - 'A' + 'a')
                                                  : name[n];
    if (n > 1 && out[n - 1] == '.')
        n--;
    out[n] = '\0';
}

/* --- owners --- */

static void
answer_owners(struct net_dns *dns, struct question *q)
{
    struct net_dns_query *w;

    while ((w = TAILQ_FIRST(&q->waiters))) {
        net_dns_fn *done = w->done;
        void *ctx = w->ctx;

        TAILQ_REMOVE(&q->waiters, w, link);
        dns->waiting--;
        *w->slot = NULL;
        free(w);
        done(ctx, &q->answer);
    }
}

static void
destroy(struct net_dns *dns)
{
    struct question *q;

    while ((q = TAILQ_FIRST(&dns->under_way))) {
        TAILQ_REMOVE(&dns->under_way, q, link);
        HASH_DEL(dns->asked, q);
        q->flight->question = NULL;
        release(q);
    }
    while ((q = TAILQ_FIRST(&dns->settled))) {
        TAILQ_REMOVE(&dns->settled, q, link);
        release(q);
    }
    net_dns_channel_close(&dns->channel); /* these free each flight */
    net_dns_validator_close(&dns->validator);
    net_timer_free(&dns->deadline);
    net_timer_free(&dns->turn);
    net_dns_cache_free(&dns->cache);
    free(dns);
}

/* What an owner asks meanwhile waits for the next turn. */
static void
deliver(void *ctx)
{
    struct net_dns *dns = ctx;
    struct questions now = TAILQ_HEAD_INITIALIZER(now);
    struct question *q;

    TAILQ_CONCAT(&now, &dns->settled, link);
    dns->is_delivering = true;
    while ((q = TAILQ_FIRST(&now))) {
        answer_owners(dns, q);
        TAILQ_REMOVE(&now, q, link);
        release(q);
    }
    dns->is_delivering = false;
    if (dns->is_freed && dns->waiting == 0)
        destroy(dns);
}

struct net_dns *
net_dns_new(uv_loop_t *loop, const struct net_dns_config *config,
            struct err *err)
{
    struct net_dns *dns = mem_new(struct net_dns);

    assert(config->timeout_ms > 0);
    dns->loop = loop;
    dns->timeout_ms = (uint64_t)config->timeout_ms;
    dns->trust_ad = config->trust_ad;
    TAILQ_INIT(&dns->under_way);
    TAILQ_INIT(&dns->settled);
    dns->cache = net_dns_cache_new(NET_DNS_CACHE_MAX, CACHE_OCTETS_MAX);
    dns->deadline = net_timer_new(loop, deadline_passed, dns);
    dns->turn = net_timer_new(loop, deliver, dns);
    if (config->validate)
        dns->validator =
            net_dns_validator_open(loop, config, config->trust_anchor, err);
    else
        dns->channel = net_dns_channel_open(loop, config, err);
    if (!dns->channel && !dns->validator)
        net_dns_free(&dns);
    return dns;
}

void
net_dns_free(struct net_dns **slot)
{
    struct net_dns *dns = *slot;

    if (!dns)
        return;
    *slot = NULL;
    dns->is_freed = true;
    if (!dns->is_delivering && dns->waiting == 0)
        destroy(dns);
}

void
net_dns_start(struct net_dns_query **slot, struct net_dns *dns,
              const char *name, enum dns_type type, net_dns_fn *done, void *ctx)
{
    struct net_dns_query *w = mem_new(struct net_dns_query);
    char plain[DNS_NAME_MAX + 1];

    normalize(name, plain);
    w->dns = dns;
    w->slot = slot;
    w->done = done;
    w->ctx = ctx;
    w->question = find_question(dns, plain, type);
    TAILQ_INSERT_TAIL(&w->question->waiters, w, link);
    dns->waiting++;
    *slot = w;
}

void
net_dns_cancel(struct net_dns_query **slot)
{
    struct net_dns_query *w = *slot;

    if (!w)
        return;
    /* The question goes on: its answer is worth keeping. */
    TAILQ_REMOVE(&w->question->waiters, w, link);
    w->dns->waiting--;
    *slot = NULL;
    if (w->dns->is_freed && !w->dns->is_delivering && w->dns->waiting == 0)
        destroy(w->dns);
    free(w);
}

void
net_dns_forget(struct net_dns *dns, const char *name)
{
    char plain[DNS_NAME_MAX + 1];
    struct question *q;

    if (name)
        normalize(name, plain);
    net_dns_cache_forget(dns->cache, name ? plain : NULL);
    TAILQ_FOREACH(q, &dns->under_way, link)
    if (!name || strcmp(q->name, plain) == 0)
        q->may_keep = false;
}
