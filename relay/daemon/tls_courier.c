#include "relay/daemon/tls_courier.h"

#include "policy/tlsrpt_record.h"
#include "policy/tlsrpt_report.h"
#include "relay/base/mem.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dkim_signer.h"
#include "relay/daemon/router.h"
#include "relay/daemon/tls_result.h"
#include "relay/net/https.h"

#include <stdio.h>
#include <stdlib.h>

enum { ADDRESSES_MAX = 5 };

struct settle_call;

struct tls_courier {
    struct tls_courier **slot;
    struct relay *relay;
    struct net_dns *dns;
    struct net_tls *tls;
    tls_courier_fn *done;
    void *ctx;

    char *key, *domain;
    char unique[ID_TEXT_SIZE];
    struct buf count, packed;
    char *organization, *contact, *submitter;
    struct policy_tlsrpt_report report; /* borrows from those before */

    struct policy_tlsrpt_record record;
    size_t rua; /* the place under way */
    struct net_dns_query *query;
    struct net_https *https;
    struct addr addresses[ADDRESSES_MAX];
    size_t address_count;

    struct dkim_signer *signer;
    struct queue_message *mail[POLICY_TLSRPT_RUAS_MAX];
    size_t mail_count; /* the last is being signed while there is a signer */
    bool is_posted;    /* a place has taken it */
    struct settle_call *call;
};

/* The end of a report in the store: its mails in, its count out. */
struct settle_call {
    struct store_call call;
    struct relay *relay;
    struct tls_courier *courier; /* NULL: it is gone */
    char *key;
    struct queue_message *mail[POLICY_TLSRPT_RUAS_MAX];
    size_t mail_count;
    enum tls_courier_end end;
};

/* --- the end ----------------------------------------------------------- */

static void
destroy(struct tls_courier *c)
{
    net_dns_cancel(&c->query);
    net_https_cancel(&c->https);
    dkim_signer_free(&c->signer);
    if (c->call)
        c->call->courier = NULL;
    while (c->mail_count > 0)
        queue_message_free(&c->mail[--c->mail_count]);
    buf_free(&c->count);
    buf_free(&c->packed);
    free(c->organization);
    free(c->contact);
    free(c->submitter);
    free(c->domain);
    free(c->key);
    free(c);
}

static void
finish(struct tls_courier *c, enum tls_courier_end end)
{
    tls_courier_fn *done = c->done;
    void *ctx = c->ctx;

    *c->slot = NULL;
    destroy(c);
    done(ctx, end);
}

static void
log_sent(const struct tls_courier *c, const char *to, const char *why)
{
    char day[POLICY_TLSRPT_DAY_SIZE];
    struct log_line line;

    log_begin(&line, c->relay->log, why ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "tlsrpt.sent");
    log_text(&line, "domain", c->domain);
    log_text(&line, "day", policy_tlsrpt_day(c->report.day_ms, day));
    log_text(&line, "report", c->unique);
    log_text(&line, "to", to);
    log_text(&line, "result", why ? "failed" : "ok");
    log_text(&line, "reason", why);
    log_end(&line);
    metrics_count(c->relay->metrics, METRICS_REPORTS, why ? "failed" : "ok");
}

/* --- the store --------------------------------------------------------- */

static bool
work_settle(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct settle_call *x = own_container(call, struct settle_call, call);

    for (size_t i = 0; i < x->mail_count; i++)
        if (!queue_store_enqueue(store, x->mail[i], true, err))
            return false;
    return queue_store_shelf_drop(store, TLS_RESULT_SHELF, x->key, err);
}

static void
send_mail(struct settle_call *x)
{
    for (size_t i = 0; i < x->mail_count; i++) {
        if (x->call.failed || atomic_load(&x->relay->is_draining)) {
            queue_message_free(&x->mail[i]); /* a start finds it again */
            continue;
        }
        metrics_count(x->relay->metrics, METRICS_ACCEPTED, "report");
        dispatch_send(x->relay, take(&x->mail[i]));
    }
}

static void
settled(struct task *task)
{
    struct settle_call *x = own_container(task, struct settle_call, call.task);
    struct tls_courier *c = x->courier;
    enum tls_courier_end end = x->call.failed ? TLS_COURIER_FAILED : x->end;

    if (c) {
        c->call = NULL;
        for (size_t i = 0; i < x->mail_count; i++)
            log_sent(c, x->mail[i]->envelope.rcpt[0].address,
                     x->call.failed ? x->call.err.text : NULL);
    }
    send_mail(x);
    free(x->key);
    free(x);
    if (c)
        finish(c, end);
}

static void
settle(struct tls_courier *c, enum tls_courier_end end)
{
    struct settle_call *x = mem_new(struct settle_call);

    x->call.work = work_settle;
    x->call.grows = c->mail_count > 0;
    x->call.task.run = settled;
    x->call.home = &c->relay->inbox;
    x->relay = c->relay;
    x->courier = c;
    x->key = mem_text(c->key);
    x->end = end;
    for (; x->mail_count < c->mail_count; x->mail_count++)
        x->mail[x->mail_count] = c->mail[x->mail_count];
    c->mail_count = 0;
    c->call = x;
    store_thread_post(c->relay->store, &x->call);
}

/* --- places ------------------------------------------------------------ */

static void
address_mail(const struct config *config, struct queue_message *m,
             const struct mail_address *to)
{
    struct mail_rcpt *rcpt = mail_envelope_add(&m->envelope);
    bool is_redirected = config->mode == CONFIG_MODE_REDIRECT;
    const char *at = strrchr(config->redirect_to, '@');

    rcpt->address = mem_text(is_redirected ? config->redirect_to : to->text);
    rcpt->domain = mem_text(is_redirected ? at + 1 : to->domain.text);
    rcpt->notify = MAIL_NOTIFY_NEVER; /* nobody reads them */
    queue_message_number(m);
    m->rcpt[0].destination = router_destination(config, m->envelope.from,
                                                rcpt->address, rcpt->domain);
}

static void
write_mail(struct tls_courier *c, const struct mail_address *to)
{
    const struct config *config = c->relay->config;
    struct queue_message *m = queue_message_new();
    char id[ID_TEXT_SIZE];
    struct policy_tlsrpt_mail mail = {
        .from = config->tlsrpt.from,
        .to = to->text,
        .now_ms = net_clock_wall(),
    };
    scoped(own_free) char *message_id = NULL;

    m->arrived_ms = net_clock_steady();
    m->id = id_next(&c->relay->ids, m->arrived_ms);
    message_id =
        mem_printf("%s.tlsrpt@%s", id_text(m->id, id), c->report.submitter);
    mail.message_id = message_id;
    policy_tlsrpt_report_mail(&c->report, &mail, buf_slice(&c->packed),
                              &m->body);
    m->size = m->body.len;
    m->tls_required_no = true;
    m->envelope.from = mem_text(config->tlsrpt.from);
    m->origin = mem_printf(TLS_RESULT_ORIGIN "%s", c->domain);
    m->message_id = mem_printf("<%s>", message_id);
    address_mail(config, m, to);
    c->mail[c->mail_count++] = m;
}

static void next_place(struct tls_courier *c);

static const struct policy_tlsrpt_rua *
place(const struct tls_courier *c)
{
    return &c->record.rua[c->rua];
}

static void
mail_signed(void *ctx, const struct slice *fields,
            const struct mail_status *refusal)
{
    struct tls_courier *c = ctx;
    struct queue_message *m = c->mail[c->mail_count - 1];

    dkim_signer_free(&c->signer);
    if (fields) {
        buf_put_front(&m->body, *fields);
        m->size = m->body.len;
    } else {
        log_sent(c, m->envelope.rcpt[0].address, refusal->text);
        queue_message_free(&c->mail[--c->mail_count]);
    }
    c->rua++;
    next_place(c);
}

/* RFC 8460 section 3: a report by mail is signed in the name of its sender.
 * False: that domain has no key. */
static bool
sign_mail(struct tls_courier *c)
{
    const struct queue_message *m = c->mail[c->mail_count - 1];

    return dkim_signer_start_whole(&c->signer, c->relay->dkim, &c->relay->loop,
                                   buf_slice(&m->body), m->envelope.from,
                                   mail_signed, c);
}

/* One place is through, whichever way. */
static void
end_post(struct tls_courier *c, const char *why)
{
    scoped(own_free) char *to = mem_printf(
        "https://%s:%u%s", place(c)->host.text, place(c)->port, place(c)->path);

    log_sent(c, to, why);
    c->is_posted |= why == NULL;
    c->rua++;
    next_place(c);
}

static void
posted(void *ctx, struct slice body, const struct err *err,
       const struct net_tls_facts *facts)
{
    (void)body;
    (void)facts;
    end_post(ctx, err ? err->text : NULL);
}

static void
post(struct tls_courier *c)
{
    struct net_https_request request = {
        .tls = c->tls,
        .host = place(c)->host.text,
        .path = place(c)->path,
        .addresses = c->addresses,
        .address_count = c->address_count,
        .limit_ms = NET_HTTPS_LIMIT_MS,
        .body_type = "application/tlsrpt+gzip",
        .body = buf_slice(&c->packed),
    };

    if (c->address_count == 0)
        end_post(c, "the host has no address that may be used");
    else
        net_https_start(&c->https, &c->relay->loop, &request, posted, c);
}

/* Names lead anywhere: where nobody has allowed it not to this network. */
static void
add_address(struct tls_courier *c, struct addr a)
{
    if (c->address_count == ADDRESSES_MAX ||
        (addr_is_special(&a) && !c->relay->config->delivery.allow_private))
        return;
    c->addresses[c->address_count++] = a;
}

static void
v6_known(void *ctx, const struct dns_answer *answer)
{
    struct tls_courier *c = ctx;

    for (size_t i = 0; i < answer->count; i++)
        add_address(c, addr_from_v6(answer->records[i].aaaa, place(c)->port));
    post(c);
}

static void
v4_known(void *ctx, const struct dns_answer *answer)
{
    struct tls_courier *c = ctx;

    for (size_t i = 0; i < answer->count; i++)
        add_address(c, addr_from_v4(answer->records[i].a, place(c)->port));
    if (c->relay->config->delivery.ipv6)
        net_dns_start(&c->query, c->dns, place(c)->host.text, DNS_AAAA,
                      v6_known, c);
    else
        post(c);
}

/* RFC 8460 section 5: each is tried, and one is enough. */
static void
next_place(struct tls_courier *c)
{
    struct mail_address from;
    struct err err;
    bool may_mail = mail_address_parse(slice_of(c->relay->config->tlsrpt.from),
                                       false, &from, &err);

    for (; c->rua < c->record.count; c->rua++) {
        if (place(c)->scheme == POLICY_TLSRPT_HTTPS) {
            c->address_count = 0;
            net_dns_start(&c->query, c->dns, place(c)->host.text, DNS_A,
                          v4_known, c);
            return;
        }
        if (!may_mail) {
            log_sent(c, place(c)->address.text, err.text);
            continue;
        }
        write_mail(c, &place(c)->address);
        if (sign_mail(c))
            return;
    }
    if (c->is_posted || c->mail_count > 0)
        settle(c, TLS_COURIER_SENT);
    else
        finish(c, TLS_COURIER_FAILED);
}

/* --- the report -------------------------------------------------------- */

static bool
write_report(struct tls_courier *c)
{
    const struct config *config = c->relay->config;
    const char *at = strrchr(config->tlsrpt.from, '@');
    scoped(buf_free) struct buf json = {0};
    struct err err;

    id_text(id_next(&c->relay->ids, net_clock_steady()), c->unique);
    /* A reload may come before the end. */
    c->report.organization = c->organization =
        mem_text(config->tlsrpt.organization);
    c->report.contact = c->contact = mem_text(config->tlsrpt.contact);
    c->report.submitter = c->submitter =
        mem_text(at ? at + 1 : config->hostname);
    c->report.domain = c->domain;
    c->report.unique = c->unique;
    c->report.count = buf_slice(&c->count);
    if (!policy_tlsrpt_report_json(&c->report, &json, &err)) {
        log_sent(c, NULL, err.text);
        return false;
    }
    policy_tlsrpt_report_pack(buf_slice(&json), &c->packed);
    return true;
}

/* Leaves the places that the operator allows. */
static bool
has_place(struct tls_courier *c)
{
    struct policy_tlsrpt_record *r = &c->record;
    size_t kept = 0;

    if (config_is_unreported(c->relay->config, c->domain))
        return false;
    for (size_t i = 0; i < r->count; i++) {
        const struct policy_tlsrpt_rua *rua = &r->rua[i];
        const char *domain = rua->scheme == POLICY_TLSRPT_HTTPS
                                 ? rua->host.text
                                 : rua->address.domain.text;

        if (!config_is_unreported(c->relay->config, domain))
            r->rua[kept++] = *rua;
    }
    r->count = kept;
    return kept > 0;
}

static void
record_known(void *ctx, const struct dns_answer *answer)
{
    struct tls_courier *c = ctx;
    struct slice txt[DNS_RECORDS_MAX];
    struct err err;
    size_t n = 0;

    if (answer->outcome == DNS_FAILED) {
        log_sent(c, NULL, answer->why);
        finish(c, TLS_COURIER_FAILED);
        return;
    }
    for (; n < answer->count && n < DNS_RECORDS_MAX; n++)
        txt[n] = (struct slice){answer->records[n].txt.p,
                                answer->records[n].txt.len};
    if (!policy_tlsrpt_record_parse(txt, n, &c->record, &err) ||
        !has_place(c) || !write_report(c))
        settle(c, TLS_COURIER_UNWANTED);
    else
        next_place(c);
}

static void
ask_record(struct tls_courier *c)
{
    scoped(own_free) char *name = mem_printf("_smtp._tls.%s", c->domain);

    net_dns_start(&c->query, c->dns, name, DNS_TXT, record_known, c);
}

void
tls_courier_start(struct tls_courier **slot, const struct tls_courier_job *job,
                  tls_courier_fn *done, void *ctx)
{
    struct tls_courier *c = mem_new(struct tls_courier);
    struct slice domain = slice_of(job->key);
    struct slice day = slice_cut(&domain, ' ');

    *slot = c;
    c->slot = slot;
    c->relay = job->relay;
    c->dns = job->dns;
    c->tls = job->tls;
    c->done = done;
    c->ctx = ctx;
    c->key = mem_text(job->key);
    c->domain = mem_copy(domain);
    buf_add(&c->count, job->count);
    (void)policy_tlsrpt_day_parse(day, &c->report.day_ms);
    ask_record(c);
}

void
tls_courier_cancel(struct tls_courier **slot)
{
    if (*slot)
        destroy(take(slot));
}
