#include "relay/mail/dkim_inside.h"

/* One of the words of a list with colons in between? */
static bool
has_word(struct slice list, const char *word)
{
    while (list.len > 0)
        if (slice_is(mail_dkim_bare(slice_cut(&list, ':')), word))
            return true;
    return false;
}

static void
drop_space(struct slice from, struct buf *to)
{
    for (size_t i = 0; i < from.len; i++)
        if (!strchr(" \t\r\n", from.p[i]))
            buf_add_byte(to, from.p[i]);
}

static bool
is_same_key(struct slice ours, struct slice theirs)
{
    scoped(buf_free) struct buf plain = {0};

    drop_space(theirs, &plain);
    return plain.len == ours.len && memcmp(plain.p, ours.p, ours.len) == 0;
}

bool
mail_dkim_record_serves(struct slice record, const char *service)
{
    struct slice services;

    return !mail_dkim_tag(record, "s", &services) || has_word(services, "*") ||
           has_word(services, service);
}

/* RFC 6376 section 3.6.1 */
bool
mail_dkim_record_fits(const struct mail_dkim_key *k, struct slice record,
                      struct err *err)
{
    scoped(buf_free) struct buf want = {0};
    struct slice ours, kind, value;

    mail_dkim_key_record(k, &want);
    if (mail_dkim_tag(record, "v", &value) && !slice_is(value, "DKIM1"))
        return err_set(err, ERR_INPUT, "no DKIM key: its v= is not DKIM1");
    if (!mail_dkim_tag(record, "p", &value))
        return err_set(err, ERR_INPUT, "no DKIM key: it has no p=");
    if (value.len == 0)
        return err_set(err, ERR_INPUT, "the key is revoked: its p= is empty");
    if (!mail_dkim_tag(buf_slice(&want), "p", &ours) ||
        !is_same_key(ours, value))
        return err_set(err, ERR_INPUT, "another key is published");
    (void)mail_dkim_tag(buf_slice(&want), "k", &ours);
    if (!mail_dkim_tag(record, "k", &kind))
        kind = slice_of("rsa");
    if (kind.len != ours.len || memcmp(kind.p, ours.p, ours.len) != 0)
        return err_set(err, ERR_INPUT, "its k= names another kind of key");
    if (mail_dkim_tag(record, "h", &value) && !has_word(value, "sha256"))
        return err_set(err, ERR_INPUT, "its h= does not allow sha256");
    if (!mail_dkim_record_serves(record, "email"))
        return err_set(err, ERR_INPUT, "its s= does not allow mail");
    return true;
}
