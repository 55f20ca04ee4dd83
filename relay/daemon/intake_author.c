/* Whom the From fields of a user's message may name. */
#include "policy/access.h"
#include "relay/config/users.h"
#include "relay/daemon/intake_inside.h"
#include "relay/daemon/user_book.h"
#include "relay/mail/field.h"
#include "relay/mail/mailbox.h"

static bool
may_name(const struct policy_access_user *user, const struct mail_mailbox *box,
         struct mail_status *why)
{
    struct mail_address author;
    struct err err;

    if (mail_address_parse((struct slice){box->text, box->len}, true, &author,
                           &err))
        return policy_access_author(user, &author, why);
    mail_status_set(why, 550, "5.7.1",
                    "this login's mail needs whole addresses in From");
    return false;
}

static bool
may_name_all(const struct policy_access_user *user, struct slice value,
             struct mail_status *why)
{
    struct mail_mailbox_scan scan = {.rest = value};
    struct mail_mailbox box;
    unsigned count = 0;

    for (; mail_mailbox_next(&scan, &box); count++)
        if (!may_name(user, &box, why))
            return false;
    if (count > 0 && !scan.has_junk && !scan.is_broken)
        return true;
    mail_status_set(why, 550, "5.7.1",
                    "the From field of this login's mail can't be read");
    return false;
}

static bool
may_say(const struct policy_access_user *user, struct slice section,
        struct mail_status *why)
{
    struct mail_field field;

    while (mail_field_next(&section, &field))
        if (slice_is_nocase(field.name, "From") &&
            !may_name_all(user, field.value, why))
            return false;
    return true;
}

bool
intake_is_own(const struct intake *in, struct mail_status *why)
{
    scoped(users_drop) struct users *users = NULL;
    const struct user *user;

    if (!in->user)
        return true;
    users = user_book_get(in->worker->relay->user_book);
    user = users ? users_find(users, in->user) : NULL;
    if (!user) {
        mail_status_set(why, 451, "4.3.0", "users can't be looked up now");
        return false;
    }
    if (!policy_access_is_limited(&user->access))
        return true;
    if (in->scan.is_cut) {
        mail_status_set(why, 552, "5.3.4",
                        "the header section is larger than %d octets",
                        MAIL_HEADER_BUDGET);
        return false;
    }
    return may_say(&user->access, intake_header(in), why);
}
