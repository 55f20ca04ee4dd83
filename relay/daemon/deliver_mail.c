#include "relay/daemon/deliver_inside.h"

#include "relay/watch/doubt.h"
#include "smtp/request.h"

#include <string.h>

/* --- who comes along --- */

static const struct mail_rcpt *
recipient(const struct deliver *d, size_t i)
{
    const struct queue_job *j = deliver_job(d);

    return &j->message->envelope.rcpt[j->rcpt[i]];
}

static bool
is_new_domain(const struct deliver *d, size_t i)
{
    const char *domain = recipient(d, i)->domain;

    for (size_t k = 0; k < d->flight.count; k++)
        if (strcmp(recipient(d, d->flight.place[k])->domain, domain) == 0)
            return false;
    return true;
}

/* One whose address the host can't take does not come along with those whose
 * addresses it can: RFC 6531 section 3.2. */
static bool
is_of_another_kind(const struct deliver *d, size_t i)
{
    const char *first;

    if (smtp_client_capability(d->smtp)->smtputf8 || d->flight.count == 0)
        return false;
    first = recipient(d, d->flight.place[0])->address;
    return smtp_request_is_international(first) !=
           smtp_request_is_international(recipient(d, i)->address);
}

/* Those without a word yet, as many as the host takes at a time: RFC 9422
 * section 3. */
static void
choose(struct deliver *d)
{
    const struct smtp_capability *can = smtp_client_capability(d->smtp);
    size_t most = SMTP_CLIENT_RCPT_MAX, domains = 0;

    if (can->rcpt_max && can->rcpt_max < most)
        most = can->rcpt_max;
    d->flight.count = d->flight.accepted = 0;
    for (size_t i = 0; i < d->report->rcpt_count; i++) {
        if (d->report->rcpt[i].decided || d->flight.count == most ||
            is_of_another_kind(d, i))
            continue;
        if (is_new_domain(d, i)) {
            if (can->rcpt_domain_max && domains == can->rcpt_domain_max)
                continue;
            domains++;
        }
        d->flight.is_left[d->flight.count] = false;
        d->flight.rcpt[d->flight.count] = deliver_job(d)->rcpt[i];
        d->flight.place[d->flight.count++] = i;
    }
}

void
deliver_say_mail(struct deliver *d)
{
    const struct queue_job *j = deliver_job(d);
    struct smtp_client_mail mail = {
        .envelope = &j->message->envelope,
        .rcpt = d->flight.rcpt,
        .rcpt_count = d->flight.count,
        .size = j->message->size,
        .has_8bit = j->message->has_8bit,
        .is_header_ascii = j->message->is_header_ascii,
        .is_unconvertible = d->is_unconvertible,
        .may_lose_requiretls = !deliver_here(d)->host->requires_requiretls,
    };

    deliver_begin_phase(d, METRICS_MAIL);
    smtp_client_mail(d->smtp, &mail);
}

void
deliver_start_mail(struct deliver *d)
{
    deliver_begin_report(d);
    choose(d);
    d->began_ms = net_clock_steady();
    d->got_ready = true;
    d->lost_requiretls =
        d->requiretls && !smtp_client_capability(d->smtp)->requiretls;
    d->messages++;
    deliver_note_shadow(d);
    if (!deliver_look_first(d))
        deliver_say_mail(d);
}

/* --- what the host says --- */

void
deliver_reply_status(const struct smtp_reply *reply, struct mail_status *out)
{
    mail_status_from_reply(out, reply->code,
                           (struct slice){reply->text, reply->len});
}

/* Moves on to the last address of the host under way. */
static void
end_host(struct deliver *d)
{
    const struct policy_host *host = deliver_here(d)->host;

    while (d->candidate + 1 < d->candidate_count &&
           d->candidates[d->candidate + 1].host == host)
        d->candidate++;
}

/* What this host can't carry another one may: it is the last word only when all
 * hosts have been asked, and none was missing that might do.  True: the next
 * host is tried. */
static bool
is_limit_of_host(struct deliver *d, const struct mail_status *status,
                 const char *step)
{
    bool is_of_all = d->flight.count == d->report->rcpt_count &&
                     !report_has_decided(d->report);

    if (!is_of_all || !mail_status_is_permanent(status))
        return false;
    end_host(d);
    if (d->limits == d->failures && deliver_is_all_tried(d))
        return false;
    d->limits++;
    deliver_fail_here(d, status, step);
    deliver_hang_up(d, true);
    d->want = WANT_NEXT;
    return true;
}

/* A message that the host refuses or puts off is so for all; one that is taken,
 * or that we know can't be, is so for those of this flight. */
void
deliver_on_verdict(struct deliver *d, const struct smtp_client_event *ev)
{
    struct mail_status status;

    deliver_stop_body(d);
    deliver_end_phase(d, METRICS_DATA);
    deliver_reply_status(ev->reply, &status);
    if (!ev->is_ours && deliver_is_unwelcome(d, &status, ev->command))
        return;
    status.is_reply = !ev->is_ours;
    if (ev->is_ours && is_limit_of_host(d, &status, ev->command))
        return;
    deliver_record(d, &status, ev->command);
    if (!mail_status_is_success(&status) && !ev->is_ours) {
        report_decide_rest(d->report, &status);
        return;
    }
    for (size_t k = 0; k < d->flight.count; k++)
        if (!d->flight.is_left[k] &&
            !d->report->rcpt[d->flight.place[k]].decided)
            report_decide(d->report, d->flight.place[k], &status);
}

/* "Too many recipients": RFC 5321 section 4.5.3.1.10, which has us send what
 * was accepted, and the others behind it.  552 is the old code for it. */
static bool
is_too_many(const struct mail_status *s)
{
    return (s->code == 452 || s->code == 552) &&
           (s->klass == 0 || (s->subject == 5 && s->detail == 3));
}

void
deliver_on_rcpt(struct deliver *d, const struct smtp_client_event *ev)
{
    struct mail_status status;

    deliver_reply_status(ev->reply, &status);
    if (mail_status_is_success(&status)) {
        d->flight.accepted++; /* the verdict will tell */
        return;
    }
    if (deliver_is_unwelcome(d, &status, ev->command))
        return;
    if (is_too_many(&status) && d->flight.accepted > 0) {
        d->flight.is_left[ev->rcpt] = true;
        return;
    }
    if (status.code == 552 && ev->rcpt > 0) {
        status.code = 452;
        status.klass = status.klass ? 4 : 0;
    }
    deliver_record(d, &status, ev->command);
    report_decide(d->report, d->flight.place[ev->rcpt], &status);
}

bool
deliver_has_more_to_fly(struct deliver *d)
{
    struct mail_status status = {0};

    if (!d->report->is_throttled && deliver_can_record(d) &&
        deliver_is_current(d))
        return report_has_undecided(d->report);
    mail_status_set(&status, 451, "4.4.5",
                    "%s; the other recipients of the message wait",
                    d->report->is_throttled ? "the host gets too much now"
                                            : "this relay can't go on now");
    report_decide_rest(d->report, &status);
    return false;
}

void
deliver_note_doubt(struct deliver *d)
{
    struct doubt *doubt = d->worker->relay->doubt;
    uint32_t numbers[SMTP_CLIENT_RCPT_MAX];
    size_t n = 0;

    if (!d->smtp || !smtp_client_is_in_doubt(d->smtp)) {
        doubt_drop(doubt, &d->doubt);
        return;
    }
    if (d->doubt)
        return;
    for (size_t k = 0; k < d->flight.count; k++)
        if (!d->flight.is_left[k] &&
            !d->report->rcpt[d->flight.place[k]].decided)
            numbers[n++] =
                deliver_job(d)->message->rcpt[d->flight.rcpt[k]].number;
    d->doubt = doubt_add(doubt, deliver_job(d)->message->id, numbers, n);
}

unsigned
deliver_messages_max(const struct deliver *d)
{
    unsigned most = d->messages_max;
    const struct smtp_capability *can =
        d->smtp ? smtp_client_capability(d->smtp) : NULL;

    return can && can->mail_max && can->mail_max < most ? can->mail_max : most;
}
