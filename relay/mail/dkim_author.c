#include "relay/mail/address_list.h"
#include "relay/mail/dkim_inside.h"

static void
take_domain(void *ctx, const char *address)
{
    struct mail_domain *domain = ctx;
    const char *at = strrchr(address, '@');
    struct err err;

    if (domain->text[0] == '\0' && at &&
        !mail_domain_parse(slice_of(at + 1), domain, &err))
        *domain = (struct mail_domain){0};
}

bool
mail_dkim_author(struct slice header, struct mail_domain *out)
{
    struct mail_dkim_field field;

    *out = (struct mail_domain){0};
    while (mail_dkim_field_cut(&header, &field))
        if (slice_is_nocase(field.name, "From")) {
            mail_address_list_each(field.value, take_domain, out);
            return out->text[0] != '\0';
        }
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
