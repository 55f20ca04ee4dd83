/* What a connection has proven, and what is counted of it. */
#include "policy/channel.h"
#include "relay/base/mem.h"
#include "relay/daemon/deliver_inside.h"
#include "relay/watch/metrics.h"
#include "relay/watch/refusals.h"

void
deliver_count_refusal(const struct deliver *d, bool is_shadow,
                      enum policy_source policy, enum policy_cause cause,
                      const char *why)
{
    struct relay *relay = d->worker->relay;

    metric_add(relay->metrics, is_shadow ? METRICS_SHADOWS : METRICS_REFUSALS,
               NULL, 1);
    refusals_add(relay->refusals, &(struct refusals_row){
                                      .is_shadow = is_shadow,
                                      .destination = d->order->destination,
                                      .policy = policy,
                                      .cause = cause,
                                      .text = why,
                                      .last_ms = net_clock_wall(),
                                  });
}

/* What a connection lacks whose host should have had this proof. */
static enum policy_cause
cause_of(enum policy_proof proof, const struct net_tls_facts *tls)
{
    if (!tls)
        return POLICY_CAUSE_NO_TLS;
    if (tls->is_stranger)
        return POLICY_CAUSE_STRANGER;
    switch (tls->verdict) {
    case NET_TLS_EXPIRED:
        return POLICY_CAUSE_EXPIRED;
    case NET_TLS_WRONG_NAME:
        return POLICY_CAUSE_WRONG_NAME;
    case NET_TLS_NOT_TRUSTED:
        return proof == POLICY_PROOF_DANE ? POLICY_CAUSE_NO_TLSA_MATCH
                                          : POLICY_CAUSE_NOT_TRUSTED;
    case NET_TLS_UNCHECKED:
    case NET_TLS_VERIFIED:
    case NET_TLS_BROKEN:
        break;
    }
    return POLICY_CAUSE_HANDSHAKE;
}

enum policy_cause
deliver_cause(const struct deliver *d)
{
    return cause_of(deliver_here(d)->proof, net_conn_tls(d->conn));
}

void
deliver_count_unproven(struct deliver *d, enum policy_cause cause,
                       bool is_passing, const char *why)
{
    enum policy_source source = cause == POLICY_CAUSE_NO_REQUIRETLS
                                    ? POLICY_SOURCE_REQUIRETLS
                                    : deliver_here(d)->host->source;

    deliver_begin_report(d);
    d->unproven += !is_passing;
    deliver_count_refusal(d, false, source, cause, why);
}

static struct policy_channel
channel_of(const struct deliver *d)
{
    const struct net_tls_facts *tls = net_conn_tls(d->conn);

    return (struct policy_channel){
        .has_tls = tls != NULL,
        .is_verified = tls && tls->verdict == NET_TLS_VERIFIED,
        .is_stranger = tls && tls->is_stranger,
        .offers_requiretls = smtp_client_capability(d->smtp)->requiretls,
    };
}

static void
log_shadow(const struct deliver *d, const char *why)
{
    struct log_line line;

    log_begin(&line, d->worker->relay->log, LOG_LEVEL_WARNING, "policy.shadow");
    log_id(&line, "mid", deliver_job(d)->message->id);
    log_text(&line, "destination", d->order->destination);
    log_text(&line, "mx", deliver_here(d)->host->name);
    log_text(&line, "policy",
             policy_source_name(deliver_here(d)->host->shadow_source));
    log_text(&line, "would", "refuse");
    log_text(&line, "reason", why);
    log_end(&line);
}

/* Would a policy that is only reported have let this message go here? */
void
deliver_note_shadow(struct deliver *d)
{
    const struct policy_host *host = deliver_here(d)->host;
    const struct policy_shadow *all = d->plan.shadow;
    const struct net_tls_facts *tls = net_conn_tls(d->conn);
    struct policy_channel channel = channel_of(d);
    char *why scoped(own_free) = NULL;

    if (d->plan.shadow_count > 0 && all->cause != POLICY_CAUSE_NONE) {
        deliver_count_refusal(d, true, all->source, all->cause, all->why);
        return;
    }
    if (host->shadow_proof == POLICY_PROOF_CLEAR ||
        policy_channel_weigh(host, host->shadow_proof, &channel) ==
            POLICY_CHANNEL_GOOD)
        return;
    why = mem_printf("%s: %s", host->name,
                     tls && tls->why[0] ? tls->why : "no TLS");
    log_shadow(d, why);
    deliver_count_refusal(d, true, host->shadow_source,
                          cause_of(host->shadow_proof, tls), why);
}

/* What the connection has proven, against what the plan wants: nothing gets
 * past this to MAIL, be the connection new or out of the pool. */
bool
deliver_is_good_enough(struct deliver *d)
{
    struct policy_channel channel = channel_of(d);
    const struct candidate *here = deliver_here(d);
    struct mail_status status = {0};

    switch (policy_channel_weigh(here->host, here->proof, &channel)) {
    case POLICY_CHANNEL_GOOD:
        return true;
    case POLICY_CHANNEL_UNPROVEN:
        mail_status_set(&status, 451, "4.7.5", "%s: %s demands %s",
                        here->host->name, candidate_policy(here),
                        candidate_demand(here));
        deliver_count_unproven(d, deliver_cause(d), false, status.text);
        break;
    case POLICY_CHANNEL_NO_REQUIRETLS:
        mail_status_set(&status, 450, "4.7.30",
                        "%s: the message needs REQUIRETLS, which this host "
                        "does not offer",
                        here->host->name);
        deliver_count_unproven(d, POLICY_CAUSE_NO_REQUIRETLS, false,
                               status.text);
        break;
    }
    deliver_fail_here(d, &status, "EHLO");
    deliver_hang_up(d, true);
    d->want = WANT_NEXT;
    return false;
}
