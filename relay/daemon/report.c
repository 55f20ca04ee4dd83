#include "relay/daemon/report.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdlib.h>

struct report *
report_new(struct queue_order *order, struct queue_job *job)
{
    struct report *r = mem_new(struct report);

    r->order = order;
    r->job = job;
    r->rcpt_count = job->rcpt_count;
    r->rcpt = mem_array(struct report_rcpt, job->rcpt_count);
    for (size_t i = 0; i < job->rcpt_count; i++) {
        r->rcpt[i].rcpt = job->rcpt[i];
        r->rcpt[i].outcome = QUEUE_DEFERRED; /* nobody has mail by default */
        r->rcpt[i].attempt = SIZE_MAX;
    }
    return r;
}

static void
free_text(const char *text)
{
    void *p;

    memcpy(&p, &text, sizeof(p)); /* ours, though seen as const by others */
    free(p);
}

void
report_free(struct report **place)
{
    struct report *r = take(place);

    if (!r)
        return;
    for (size_t i = 0; i < r->attempt_count; i++) {
        struct queue_attempt *a = &r->attempts[i];

        free_text(a->host);
        free_text(a->address);
        free_text(a->policy);
        free_text(a->proof);
        free_text(a->tls_version);
        free_text(a->tls_cipher);
        free_text(a->verdict);
        free_text(a->reply);
        free_text(a->step);
    }
    free(r->attempts);
    free(r->rcpt);
    free(r->remote);
    free(r->explanation);
    free(r);
}

struct queue_attempt *
report_add(struct report *r)
{
    struct queue_attempt *a;

    r->attempts =
        mem_resized(r->attempts, r->attempt_count + 1, sizeof(r->attempts[0]));
    a = &r->attempts[r->attempt_count++];
    *a = (struct queue_attempt){0};
    return a;
}

void
report_decide(struct report *r, size_t i, const struct mail_status *status)
{
    struct report_rcpt *rcpt = &r->rcpt[i];

    rcpt->decided = true;
    rcpt->status = *status;
    rcpt->attempt = r->attempt_count ? r->attempt_count - 1 : SIZE_MAX;
    if (mail_status_is_success(status))
        rcpt->outcome = QUEUE_DELIVERED;
    else if (mail_status_is_permanent(status))
        rcpt->outcome = QUEUE_FAILED;
    else
        rcpt->outcome = QUEUE_DEFERRED;
}

void
report_decide_rest(struct report *r, const struct mail_status *status)
{
    for (size_t i = 0; i < r->rcpt_count; i++)
        if (!r->rcpt[i].decided)
            report_decide(r, i, status);
}

bool
report_has_undecided(const struct report *r)
{
    for (size_t i = 0; i < r->rcpt_count; i++)
        if (!r->rcpt[i].decided)
            return true;
    return false;
}

bool
report_has_decided(const struct report *r)
{
    for (size_t i = 0; i < r->rcpt_count; i++)
        if (r->rcpt[i].decided)
            return true;
    return false;
}
