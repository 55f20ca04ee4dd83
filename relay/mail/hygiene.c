#include "relay/mail/hygiene.h"

#include "relay/mail/field.h"
#include "relay/mail/token.h"

/* What has to be known of the whole section before it is written anew. */
struct facts {
    bool has_date, has_message_id, has_from, is_signed;
};

static void
look(struct slice section, struct facts *f)
{
    struct mail_field field;

    while (mail_field_next(&section, &field)) {
        f->has_date |= slice_is_nocase(field.name, "Date");
        f->has_message_id |= slice_is_nocase(field.name, "Message-ID");
        f->has_from |= slice_is_nocase(field.name, "From");
        f->is_signed |= slice_is_nocase(field.name, "DKIM-Signature");
    }
}

static bool
add_field(struct buf *out, bool has, const char *name, const char *value)
{
    if (has || !value)
        return false;
    buf_printf(out, "%s: %s\r\n", name, value);
    return true;
}

/* RFC 5322 section 3.6: Date and From are required, Message-ID should be
 * there. */
static bool
add_missing(const struct facts *f, const struct mail_hygiene *rules,
            struct buf *out)
{
    bool changed = false;

    if (f->is_signed)
        return false;
    changed |= add_field(out, f->has_date, "Date", rules->date);
    changed |= add_field(out, f->has_from, "From", rules->from);
    changed |=
        add_field(out, f->has_message_id, "Message-ID", rules->message_id);
    return changed;
}

/* "by" and our name behind it (RFC 5321 section 4.4). */
static bool
is_our_trace(struct slice value, const char *hostname)
{
    struct mail_token t, before = {0};

    for (;;) {
        t = mail_token_next(&value);
        if (t.kind == MAIL_TOKEN_END || t.kind == MAIL_TOKEN_BROKEN)
            return false;
        if (slice_is_nocase(before.text, "by") &&
            slice_is_nocase(t.text, hostname))
            return true;
        before = t;
    }
}

static bool
is_dropped(const struct mail_field *field, const struct mail_hygiene *rules)
{
    if (slice_is_nocase(field->name, "Bcc") ||
        slice_is_nocase(field->name, "Resent-Bcc"))
        return true;
    return rules->strip_received && slice_is_nocase(field->name, "Received") &&
           !is_our_trace(field->value, rules->hostname);
}

static bool
may_rewrite(const struct mail_field *field, enum mail_rewrite_class *class)
{
    static const struct {
        const char *name;
        enum mail_rewrite_class class;
    } fields[] = {
        {"From", MAIL_REWRITE_SENDER},
        {"Sender", MAIL_REWRITE_SENDER},
        {"Resent-From", MAIL_REWRITE_SENDER},
        {"Resent-Sender", MAIL_REWRITE_SENDER},
        {"Reply-To", MAIL_REWRITE_REPLY},
        {"Resent-Reply-To", MAIL_REWRITE_REPLY},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (slice_is_nocase(field->name, fields[i].name)) {
            *class = fields[i].class;
            return true;
        }
    return false;
}

static bool
copy_field(const struct mail_field *field, const struct mail_hygiene *rules,
           struct buf *out)
{
    enum mail_rewrite_class class;
    size_t head = field->all.len - field->value.len;

    if (is_dropped(field, rules))
        return true;
    if (!may_rewrite(field, &class)) {
        buf_add(out, field->all);
        return false;
    }
    buf_add(out, slice_first(field->all, head));
    if (mail_rewrite_field(&rules->rewrite, class, field->value, out))
        return true;
    buf_add(out, field->value);
    return false;
}

bool
mail_hygiene(struct slice section, const struct mail_hygiene *rules,
             struct buf *out)
{
    struct facts facts = {0};
    struct mail_field field;
    bool changed;

    look(section, &facts);
    changed = add_missing(&facts, rules, out);
    while (mail_field_next(&section, &field))
        if (copy_field(&field, rules, out))
            changed = true;
    return changed;
}
