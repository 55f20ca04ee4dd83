#include "relay/mail/envelope.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

struct mail_rcpt *
mail_envelope_add(struct mail_envelope *e)
{
    size_t n = e->rcpt_count;

    /* The room doubles whenever the count reaches a power of two. */
    if ((n & (n - 1)) == 0)
        e->rcpt = mem_resized(e->rcpt, n ? n * 2 : 1, sizeof(*e->rcpt));
    e->rcpt[n] = (struct mail_rcpt){0};
    e->rcpt_count++;
    return &e->rcpt[n];
}

void
mail_envelope_cut(struct mail_envelope *e, size_t count)
{
    for (size_t i = count; i < e->rcpt_count; i++) {
        own_free(&e->rcpt[i].address);
        own_free(&e->rcpt[i].domain);
        own_free(&e->rcpt[i].orcpt);
    }
    if (count < e->rcpt_count)
        e->rcpt_count = count;
}

void
mail_envelope_done(struct mail_envelope *e)
{
    mail_envelope_cut(e, 0);
    own_free(&e->rcpt);
    own_free(&e->from);
    own_free(&e->envid);
    *e = (struct mail_envelope){0};
}

bool
mail_envelope_demands_requiretls(const struct mail_envelope *e)
{
    return e->requiretls && e->from[0] != '\0';
}
