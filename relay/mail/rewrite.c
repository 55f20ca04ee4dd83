#include "relay/mail/rewrite.h"

#include "relay/mail/mailbox.h"

#include <stdio.h>

enum { TEXT_SIZE = MAIL_ADDRESS_MAX + MAIL_DOMAIN_MAX + 2 };

/* The local part of one and the domain of another. */
static bool
join(const struct mail_address *a, const char *domain, struct mail_address *out)
{
    char text[TEXT_SIZE];
    struct err ignored;

    (void)snprintf(text, sizeof(text), "%.*s@%s", (int)a->at, a->text, domain);
    return mail_address_parse(slice_of(text), true, out, &ignored);
}

static bool
apply_map(const struct mail_rewrite *r, enum mail_rewrite_class class,
          const struct mail_address *a, struct mail_address *out)
{
    bool any = class == MAIL_REWRITE_SENDER;
    const char *value = r->map ? mail_sender_map_find(r->map, a, any) : NULL;
    struct err ignored;

    if (!value)
        return false;
    return value[0] == '@'
               ? join(a, value + 1, out)
               : mail_address_parse(slice_of(value), true, out, &ignored);
}

bool
mail_rewrite_address(const struct mail_rewrite *r,
                     enum mail_rewrite_class class, const char *address,
                     struct mail_address *out)
{
    struct mail_address a;
    struct err ignored;

    if (!mail_address_parse(slice_of(address), true, &a, &ignored))
        return false;
    if (!apply_map(r, class, &a, out) &&
        (class == MAIL_REWRITE_REPLY || !r->from_domain || !r->from_domain[0] ||
         !join(&a, r->from_domain, out)))
        return false;
    return strcmp(out->text, a.text) != 0;
}

static bool
rewrite_box(const struct mail_rewrite *r, enum mail_rewrite_class class,
            const struct mail_mailbox *box, struct mail_address *out)
{
    char text[TEXT_SIZE];

    if (box->has_domain)
        return mail_rewrite_address(r, class, box->text, out);
    (void)snprintf(text, sizeof(text), "%s@%s", box->text, r->hostname);
    return mail_rewrite_address(r, class, text, out);
}

bool
mail_rewrite_field(const struct mail_rewrite *r, enum mail_rewrite_class class,
                   struct slice value, struct buf *out)
{
    struct mail_mailbox_scan s = {.rest = value};
    struct mail_mailbox box;
    struct mail_address to;
    const char *done = value.p;
    size_t was = out->len;

    while (mail_mailbox_next(&s, &box)) {
        if (!rewrite_box(r, class, &box, &to))
            continue;
        buf_add(out, (struct slice){done, (size_t)(box.span.p - done)});
        buf_add_text(out, to.text);
        done = box.span.p + box.span.len;
    }
    if (done == value.p || s.is_broken) {
        out->len = was;
        return false;
    }
    buf_add(out, slice_from(value, (size_t)(done - value.p)));
    return true;
}
