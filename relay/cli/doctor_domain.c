/* doctor: keys against DNS, and what a domain publishes. */
#include "relay/base/mem.h"
#include "relay/cli/dkim.h"
#include "relay/cli/doctor.h"

#include <inttypes.h>
#include <string.h>

static void
look_at_key(struct cli_doctor *d, const struct config_dkim *block, size_t key)
{
    static const enum cli_doctor_level levels[] = {
        [CLI_DKIM_GOOD] = CLI_DOCTOR_OK,
        [CLI_DKIM_WRONG] = CLI_DOCTOR_FAILURE,
        [CLI_DKIM_UNKNOWN] = CLI_DOCTOR_WARNING,
    };
    char *name scoped(own_free) =
        cli_dkim_name(block->domain, block->selector.text[key]);
    struct dns_answer a scoped(dns_answer_done) = {0};
    struct err err = {0};
    enum cli_dkim_state state;

    cli_doctor_ask(d, name, DNS_TXT, &a);
    state = cli_dkim_judge(d->c, block, key, &a, &err);
    cli_doctor_tell(d, "dkim", levels[state], "%s%s%s", name,
                    state == CLI_DKIM_GOOD ? " is the key we have" : ": ",
                    state == CLI_DKIM_GOOD ? "" : err.text);
}

/* A record that is looked for among the TXT of a name. */
static const struct kind {
    const char *check, *below, *begins;
    enum cli_doctor_level missing;
    const char *without; /* what follows from that */
} kinds[] = {
    {"spf", "", "v=spf1", CLI_DOCTOR_WARNING,
     "nobody is named who may send for it"},
    {"dmarc", "_dmarc.", "v=DMARC1", CLI_DOCTOR_WARNING,
     "large receivers ask for it"},
    {"mta-sts", "_mta-sts.", "v=STSv1", CLI_DOCTOR_NOTE,
     "mail to it may go in clear"},
    {"tlsrpt", "_smtp._tls.", "v=TLSRPTv1", CLI_DOCTOR_NOTE,
     "nobody tells it of trouble with TLS"},
};

static bool
is_of(const struct kind *k, const struct dns_record *r)
{
    size_t len = strlen(k->begins);

    return r->txt.len >= len && memcmp(r->txt.p, k->begins, len) == 0 &&
           (r->txt.len == len || strchr(" ;", r->txt.p[len]));
}

static void
look_at_record(struct cli_doctor *d, const struct kind *k)
{
    char *name scoped(own_free) = mem_printf("%s%s", k->below, d->domain);
    struct dns_answer a scoped(dns_answer_done) = {0};
    const struct dns_record *one = NULL;
    size_t count = 0;

    cli_doctor_ask(d, name, DNS_TXT, &a);
    for (size_t i = 0; i < a.count; i++)
        if (is_of(k, &a.records[i])) {
            one = &a.records[i];
            count++;
        }
    if (a.outcome == DNS_FAILED)
        cli_doctor_tell(d, k->check, CLI_DOCTOR_WARNING, "%s: %s", name, a.why);
    else if (count == 0)
        cli_doctor_tell(d, k->check, k->missing, "%s has none: %s", name,
                        k->without);
    else if (count > 1)
        cli_doctor_tell(d, k->check, CLI_DOCTOR_FAILURE,
                        "%s has %zu, and so none that counts", name, count);
    else
        cli_doctor_tell(d, k->check, CLI_DOCTOR_OK, "%s: %.*s", name,
                        (int)one->txt.len, one->txt.p);
}

static bool
is_signed(const struct cli_doctor *d)
{
    const char *name = d->domain;

    for (; name; name = strchr(name, '.')) {
        name += name[0] == '.';
        for (size_t i = 0; i < d->c->dkim_count; i++)
            if (strcmp(d->c->dkim[i].domain, name) == 0)
                return true;
    }
    return false;
}

void
cli_doctor_look_at_domain(struct cli_doctor *d)
{
    for (size_t i = 0; i < d->c->dkim_count; i++)
        for (size_t k = 0; k < d->c->dkim[i].file.count; k++)
            look_at_key(d, &d->c->dkim[i], k);
    if (!d->domain)
        return;
    if (!is_signed(d))
        cli_doctor_tell(
            d, "dkim", CLI_DOCTOR_WARNING,
            "mail of %s is not signed: there is no dkim block for it",
            d->domain);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        look_at_record(d, &kinds[i]);
}
