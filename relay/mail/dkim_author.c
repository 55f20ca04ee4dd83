#include "relay/mail/dkim_inside.h"
#include "relay/mail/mailbox.h"

static bool
find_domain(struct slice value, struct mail_domain *out)
{
    struct mail_mailbox_scan scan = {.rest = value};
    struct mail_mailbox box;
    struct err err;

    while (mail_mailbox_next(&scan, &box))
        if (box.has_domain &&
            mail_domain_parse(slice_of(strrchr(box.text, '@') + 1), out, &err))
            return true;
    *out = (struct mail_domain){0};
    return false;
}

bool
mail_dkim_author(struct slice header, struct mail_domain *out)
{
    struct mail_dkim_field field;

    *out = (struct mail_domain){0};
    while (mail_dkim_field_cut(&header, &field))
        if (slice_is_nocase(field.name, "From"))
            return find_domain(field.value, out);
    return false;
}

bool
mail_dkim_is_signed(struct slice header, const char *domain,
                    const char *selector)
{
    struct mail_dkim_field field;
    struct slice d, s;

    while (mail_dkim_field_cut(&header, &field))
        if (slice_is_nocase(field.name, "DKIM-Signature") &&
            mail_dkim_tag(field.value, "d", &d) &&
            mail_dkim_tag(field.value, "s", &s) && slice_is_nocase(d, domain) &&
            slice_is_nocase(s, selector))
            return true;
    return false;
}
