#include "relay/net/dns.h"

#include "relay/base/buf.h"
#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/net/dns_cache.h"
#include "relay/net/timer.h"

#include <ares.h>
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
 *   flight          what c-ares holds; gone when c-ares calls back, which may
 *                   be from inside ares_send or ares_destroy
 *
 * No owner is ever called from inside c-ares: `settle` only notes the answer,
 * and `deliver` runs from a timer of the loop.
 */

enum {
    QUERY_SIZE = 300,
    OPT_SIZE = 11, /* what dns_query_write adds for EDNS(0) */
    HEADER_SIZE = 12,
    UDP_SIZE = 1232, /* the same as the OPT record tells */
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

/* A socket of c-ares, watched for it. */
struct watch {
    struct net_dns *dns;
    uv_poll_t poll;
    ares_socket_t fd;
    LIST_ENTRY(watch) link;
};

struct net_dns {
    uv_loop_t *loop;
    ares_channel channel;
    size_t server_count;
    uint64_t timeout_ms;
    bool trust_ad;
    struct net_dns_cache *cache;
    LIST_HEAD(, watch) watches;
    struct net_timer *retry, *deadline, *turn;
    struct question *asked;
    struct questions under_way; /* the next deadline first */
    struct questions settled;
    size_t waiting; /* owners who have not been answered */
    bool is_delivering, is_freed;
};

/* --- the channel --- */

static void
set_retry(struct net_dns *dns)
{
    struct timeval tv;

    if (!ares_timeout(dns->channel, NULL, &tv)) {
        net_timer_stop(dns->retry);
        return;
    }
    net_timer_set(dns->retry,
                  (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
}

static void
process(struct net_dns *dns, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(dns->channel, readable, writable);
    set_retry(dns);
}

static void
time_to_retry(void *ctx)
{
    process(ctx, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void
socket_is_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    int both = UV_READABLE | UV_WRITABLE;
    ares_socket_t fd = w->fd;

    /* c-ares finds out itself what is wrong with the socket. */
    if (status < 0)
        events = both;
    process(w->dns, events & UV_READABLE ? fd : ARES_SOCKET_BAD,
            events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
}

static void
watch_closed(uv_handle_t *poll)
{
    free(poll->data);
}

static struct watch *
find_watch(struct net_dns *dns, ares_socket_t fd)
{
    struct watch *w;

    LIST_FOREACH(w, &dns->watches, link)
    if (w->fd == fd)
        return w;
    return NULL;
}

static struct watch *
new_watch(struct net_dns *dns, ares_socket_t fd)
{
    struct watch *w = mem_new(struct watch);

    if (uv_poll_init(dns->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->dns = dns;
    w->fd = fd;
    w->poll.data = w;
    LIST_INSERT_HEAD(&dns->watches, w, link);
    return w;
}

/* c-ares tells what it waits for; neither: it is about to close the socket. */
static void
socket_changed(void *data, ares_socket_t fd, int readable, int writable)
{
    struct net_dns *dns = data;
    struct watch *w = find_watch(dns, fd);
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

    if (!w && events)
        w = new_watch(dns, fd);
    if (!w)
        return;
    if (events) {
        (void)uv_poll_start(&w->poll, events, socket_is_ready);
        return;
    }
    LIST_REMOVE(w, link);
    uv_close((uv_handle_t *)&w->poll, watch_closed);
}

/* With one server its own word counts, SERVFAIL included; with several c-ares
 * goes on to the next one and tells only that none was willing. */
static bool
open_channel(struct net_dns *dns, struct err *err)
{
    uint64_t tries = 3 * dns->server_count; /* one, and one of twice the time */
    uint64_t try_ms = dns->timeout_ms / tries;
    struct ares_options o = {
        .flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
                 (dns->server_count == 1 ? ARES_FLAG_NOCHECKRESP : 0),
        .timeout = try_ms < 50     ? 50
                   : try_ms > 5000 ? 5000
                                   : (int)try_ms,
        .tries = NET_DNS_TRIES,
        .ednspsz = UDP_SIZE,
        .sock_state_cb = socket_changed,
        .sock_state_cb_data = dns,
    };
    /* ares_library_init does nothing here but count, and counts without a
     * lock. */
    int status =
        ares_init_options(&dns->channel, &o,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                              ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);

    if (status != ARES_SUCCESS)
        return err_set(err, ERR_SYSTEM, "DNS: %s", ares_strerror(status));
    return true;
}

static bool
set_servers(struct net_dns *dns, const struct net_dns_config *config,
            struct err *err)
{
    struct buf text = {0};
    char one[ADDR_TEXT_SIZE];
    int status;

    for (size_t i = 0; i < config->server_count; i++)
        buf_printf(&text, "%s%s", i ? "," : "",
                   addr_text_port(&config->servers[i], one));
    status = ares_set_servers_ports_csv(dns->channel, buf_text(&text));
    if (status != ARES_SUCCESS)
        err_set(err, ERR_INPUT, "DNS servers %.150s: %s", buf_text(&text),
                ares_strerror(status));
    buf_free(&text);
    return status == ARES_SUCCESS;
}

/* How many servers /etc/resolv.conf names, or c-ares assumes. */
static bool
count_system_servers(size_t *count, struct err *err)
{
    struct ares_addr_port_node *first = NULL;
    ares_channel channel;
    int status = ares_init(&channel);

    if (status != ARES_SUCCESS)
        return err_set(err, ERR_SYSTEM, "/etc/resolv.conf: %s",
                       ares_strerror(status));
    *count = 0;
    if (ares_get_servers_ports(channel, &first) == ARES_SUCCESS)
        for (struct ares_addr_port_node *n = first; n; n = n->next)
            ++*count;
    ares_free_data(first);
    ares_destroy(channel);
    if (*count == 0)
        return err_set(err, ERR_MISSING, "/etc/resolv.conf: no server");
    return true;
}

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

static const char *
reason(const struct net_dns *dns, int status)
{
    if (status == ARES_ETIMEOUT)
        return "timeout";
    if (status == ARES_ECONNREFUSED && dns->server_count == 1)
        return "the DNS server can't be reached";
    if (status == ARES_ECONNREFUSED || status == ARES_ESERVFAIL)
        return "no DNS server gave an answer";
    return ares_strerror(status);
}

static void send_flight(struct flight *f);

/* RFC 6891 section 7: a server that does not know OPT may say so by FORMERR,
 * old ones by NOTIMP.  Then it is asked once more without. */
static bool
retry_plain(struct flight *f, const uint8_t *answer, int len)
{
    int rcode = answer && len >= HEADER_SIZE ? answer[3] & 15 : 0;

    if (f->is_plain || (rcode != RCODE_FORMERR && rcode != RCODE_NOTIMP))
        return false;
    f->is_plain = true;
    f->len -= OPT_SIZE;
    f->query[10] = f->query[11] = 0; /* ARCOUNT */
    send_flight(f);
    return true;
}

/* Called by c-ares, exactly once for each ares_send. */
static void
answered(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
    struct flight *f = arg;
    struct question *q = f->question;

    (void)timeouts;
    if (q && retry_plain(f, answer, len))
        return;
    if (q) {
        if (answer && len > 0)
            dns_answer_read(answer, (size_t)len, q->name, q->type, &q->answer);
        else
            fail(q, reason(f->dns, status));
        if (!f->dns->trust_ad)
            q->answer.authentic = false;
        settle(f->dns, q);
    }
    free(f);
}

static void
send_flight(struct flight *f)
{
    ares_send(f->dns->channel, f->query, (int)f->len, answered, f);
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
    set_retry(dns);
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
    if (dns->channel)
        ares_destroy(dns->channel); /* calls `answered` for each flight */
    net_timer_free(&dns->retry);
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
    if (dns->is_freed)
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
    dns->server_count = config->server_count;
    LIST_INIT(&dns->watches);
    TAILQ_INIT(&dns->under_way);
    TAILQ_INIT(&dns->settled);
    dns->cache = net_dns_cache_new(NET_DNS_CACHE_MAX, CACHE_OCTETS_MAX);
    dns->retry = net_timer_new(loop, time_to_retry, dns);
    dns->deadline = net_timer_new(loop, deadline_passed, dns);
    dns->turn = net_timer_new(loop, deliver, dns);
    if ((dns->server_count == 0 &&
         !count_system_servers(&dns->server_count, err)) ||
        !open_channel(dns, err) ||
        (config->server_count > 0 && !set_servers(dns, config, err)))
        net_dns_free(&dns);
    return dns;
}

void
net_dns_free(struct net_dns **slot)
{
    struct net_dns *dns = *slot;

    if (!dns)
        return;
    assert(dns->waiting == 0);
    *slot = NULL;
    dns->is_freed = true;
    if (!dns->is_delivering)
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
