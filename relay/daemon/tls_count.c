#include "relay/daemon/tls_count.h"

#include "policy/tlsrpt_record.h"
#include "relay/base/mem.h"
#include "relay/daemon/tls_result.h"

#include <stdlib.h>

/* A result that waits for the record of its domain. */
struct tls_pending {
    struct worker *worker;
    struct tls_pending *next, **at; /* of worker->tls_pending */
    struct net_dns_query *dns;
    struct policy_tlsrpt_session session;
    int64_t at_ms; /* wall clock */
};

/* --- into the store ---------------------------------------------------- */

struct count_call {
    struct store_call call;
    struct policy_tlsrpt_session session;
    int64_t at_ms;
};

static bool
work_count(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct count_call *x = own_container(call, struct count_call, call);
    char day[POLICY_TLSRPT_DAY_SIZE];
    scoped(own_free) char *key = mem_printf(
        "%s %s", policy_tlsrpt_day(x->at_ms, day), x->session.domain);
    scoped(buf_free) struct buf before = {0};
    scoped(buf_free) struct buf after = {0};

    if (!queue_store_shelf_get(store, TLS_RESULT_SHELF, key, &before, err) &&
        err->kind != ERR_MISSING)
        return false;
    /* A count that can't be read is begun anew. */
    if (!policy_tlsrpt_add(buf_slice(&before), &x->session, &after, err) &&
        !policy_tlsrpt_add((struct slice){0}, &x->session, &after, err))
        return false;
    return queue_store_shelf_put(store, TLS_RESULT_SHELF, key,
                                 buf_slice(&after), x->at_ms, err);
}

/* On the store thread: nobody waits for it. */
static void
counted(struct task *task)
{
    struct count_call *x = own_container(task, struct count_call, call.task);

    policy_tlsrpt_session_done(&x->session);
    free(x);
}

static void
count(struct tls_pending *p)
{
    struct count_call *x = mem_new(struct count_call);

    metrics_count(p->worker->relay->metrics, METRICS_REPORTED,
                  policy_tlsrpt_result_name(p->session.result));
    x->call.work = work_count;
    x->call.task.run = counted;
    x->call.is_patient = true;
    x->session = p->session;
    x->at_ms = p->at_ms;
    p->session = (struct policy_tlsrpt_session){0};
    store_thread_post(p->worker->relay->store, &x->call);
}

/* --- does the domain want to know? ------------------------------------- */

static void
drop(struct tls_pending *p)
{
    *p->at = p->next;
    if (p->next)
        p->next->at = p->at;
    p->worker->tls_pending_count--;
    net_dns_cancel(&p->dns);
    policy_tlsrpt_session_done(&p->session);
    free(p);
}

static bool
has_record(const struct dns_answer *answer)
{
    struct slice txt[DNS_RECORDS_MAX];
    struct policy_tlsrpt_record record;
    struct err err;
    size_t n = 0;

    if (answer->outcome == DNS_FAILED)
        return true; /* the end of the day will tell */
    for (; n < answer->count && n < DNS_RECORDS_MAX; n++)
        txt[n] = (struct slice){answer->records[n].txt.p,
                                answer->records[n].txt.len};
    return policy_tlsrpt_record_parse(txt, n, &record, &err);
}

static void
record_known(void *ctx, const struct dns_answer *answer)
{
    struct tls_pending *p = ctx;

    if (has_record(answer) && !p->worker->is_cut &&
        !config_is_unreported(p->worker->config, p->session.domain))
        count(p);
    drop(p);
}

void
tls_count_add(struct worker *w, struct policy_tlsrpt_session *s)
{
    scoped(own_free) char *name = mem_printf("_smtp._tls.%s", s->domain);
    struct tls_pending *p;

    if (w->is_cut || w->tls_pending_count >= TLS_COUNTS_MAX) {
        policy_tlsrpt_session_done(s);
        return;
    }
    p = mem_new(struct tls_pending);
    p->worker = w;
    p->session = *s;
    p->at_ms = net_clock_wall();
    p->next = w->tls_pending;
    p->at = &w->tls_pending;
    if (p->next)
        p->next->at = &p->next;
    w->tls_pending = p;
    w->tls_pending_count++;
    net_dns_start(&p->dns, w->dns, name, DNS_TXT, record_known, p);
}

void
tls_count_cut(struct worker *w)
{
    while (w->tls_pending) {
        count(w->tls_pending);
        drop(w->tls_pending);
    }
}
