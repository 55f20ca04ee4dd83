#include "relay/admin/draft.h"

#include "relay/admin/json.h"
#include "relay/base/mem.h"
#include "relay/mail/compose.h"
#include "relay/mail/date.h"

#include <stdlib.h>
#include <strings.h>

struct list {
    struct mail_compose_mailbox *box;
    size_t count;
};

/* What the document says; texts are the document's. */
struct draft {
    json_t *document;
    struct list from, to, cc, bcc, reply_to, envelope_from, envelope_to;
    bool has_envelope_from, require_tls;
    struct mail_compose compose;
    struct mail_compose_field *fields;
    struct mail_compose_file *files;
};

static void
draft_done(struct draft *d)
{
    free(d->from.box);
    free(d->to.box);
    free(d->cc.box);
    free(d->bcc.box);
    free(d->reply_to.box);
    free(d->envelope_from.box);
    free(d->envelope_to.box);
    free(d->fields);
    free(d->files);
    json_decref(d->document);
}

static struct slice
text_of(const json_t *value)
{
    return (struct slice){json_string_value(value), json_string_length(value)};
}

static bool
read_text(const json_t *value, struct slice *out, struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, ERR_INPUT, "expected a text");
    *out = text_of(value);
    return true;
}

/* Of a header field, where a line end would begin another one. */
static bool
read_line(const json_t *value, struct slice *out, struct err *err)
{
    if (!read_text(value, out, err))
        return false;
    for (size_t i = 0; i < out->len; i++)
        if ((unsigned char)out->p[i] < ' ' || out->p[i] == 0x7F)
            return err_set(err, ERR_INPUT,
                           "has a line end or another control character");
    return true;
}

/* --- addresses --- */

static struct slice
unquoted(struct slice name)
{
    name = slice_trim(name);
    if (name.len >= 2 && name.p[0] == '"' && name.p[name.len - 1] == '"')
        return (struct slice){name.p + 1, name.len - 2};
    return name;
}

static bool
read_address(struct slice text, struct mail_address *out, struct err *err)
{
    return mail_address_parse(slice_trim(text), true, out, err);
}

/* "ann@example.org", "<ann@example.org>" or "Ann <ann@example.org>". */
static bool
read_mailbox_text(const json_t *value, struct mail_compose_mailbox *out,
                  struct err *err)
{
    struct slice text;
    const char *open;

    if (!read_line(value, &text, err))
        return false;
    text = slice_trim(text);
    open = text.len > 0 && text.p[text.len - 1] == '>'
               ? memrchr(text.p, '<', text.len)
               : NULL;
    if (!open)
        return read_address(text, &out->address, err);
    out->name = unquoted(slice_first(text, (size_t)(open - text.p)));
    text = slice_from(text, (size_t)(open - text.p) + 1);
    return read_address(slice_first(text, text.len - 1), &out->address, err);
}

/* {"name": "Ann", "address": "ann@example.org"} */
static bool
read_mailbox_object(json_t *value, struct mail_compose_mailbox *out,
                    struct err *err)
{
    struct slice address = {0};
    const char *key;
    json_t *one;

    json_object_foreach(value, key, one)
    {
        bool is_name = strcmp(key, "name") == 0;

        if (!is_name && strcmp(key, "address") != 0)
            return err_set(err, ERR_INPUT, "there is no \"%.40s\"", key);
        if (!read_line(one, is_name ? &out->name : &address, err))
            return err_in(err, "%s", key);
    }
    return read_address(address, &out->address, err);
}

static bool
read_mailbox(json_t *value, struct mail_compose_mailbox *out, struct err *err)
{
    if (json_is_object(value))
        return read_mailbox_object(value, out, err);
    return read_mailbox_text(value, out, err);
}

/* One, or a list of them. */
static bool
read_list(json_t *value, struct list *out, struct err *err)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;

    if (n > ADMIN_DRAFT_LIST_MAX)
        return err_set(err, ERR_INPUT, "more than %d addresses",
                       ADMIN_DRAFT_LIST_MAX);
    out->box = mem_array(struct mail_compose_mailbox, n > 0 ? n : 1);
    if (!json_is_array(value)) {
        out->count = 1;
        return read_mailbox(value, out->box, err);
    }
    for (; out->count < n; out->count++)
        if (!read_mailbox(json_array_get(value, out->count),
                          &out->box[out->count], err))
            return err_in(err, "[%zu]", out->count);
    return true;
}

/* --- the parts --- */

static bool
read_subject(struct draft *d, json_t *value, struct err *err)
{
    d->compose.has_subject = true;
    return read_line(value, &d->compose.subject, err);
}

static bool
read_plain(struct draft *d, json_t *value, struct err *err)
{
    d->compose.has_text = true;
    return read_text(value, &d->compose.text, err);
}

static bool
read_html(struct draft *d, json_t *value, struct err *err)
{
    d->compose.has_html = true;
    return read_text(value, &d->compose.html, err);
}

static bool
read_require_tls(struct draft *d, json_t *value, struct err *err)
{
    d->require_tls = json_is_true(value);
    return json_is_boolean(value) ||
           err_set(err, ERR_INPUT, "expected true or false");
}

/* Names of JSON are told apart by case, those of fields are not. */
static bool
has_field(const struct draft *d, const char *name)
{
    for (size_t i = 0; i < d->compose.field_count; i++)
        if (strcasecmp(d->fields[i].name, name) == 0)
            return true;
    return false;
}

static bool
read_headers(struct draft *d, json_t *value, struct err *err)
{
    const char *name;
    json_t *one;

    if (!json_is_object(value) ||
        json_object_size(value) > ADMIN_DRAFT_FIELDS_MAX)
        return err_set(err, ERR_INPUT, "expected an object of up to %d fields",
                       ADMIN_DRAFT_FIELDS_MAX);
    d->fields =
        mem_array(struct mail_compose_field, json_object_size(value) + 1);
    json_object_foreach(value, name, one)
    {
        struct mail_compose_field *f;

        if (!mail_compose_is_field(name))
            return err_set(err, ERR_INPUT, "\"%.60s\" can't be given here",
                           name);
        if (has_field(d, name))
            return err_set(err, ERR_INPUT, "\"%.60s\" is there twice", name);
        f = &d->fields[d->compose.field_count++];
        f->name = name;
        if (!read_line(one, &f->value, err))
            return err_in(err, "%s", name);
    }
    return true;
}

static bool
read_file_part(struct mail_compose_file *f, const char *key,
               const json_t *value, struct err *err)
{
    struct slice text;

    if (strcmp(key, "content") == 0)
        return read_text(value, &f->base64, err) &&
               (mail_compose_is_base64(f->base64) ||
                err_set(err, ERR_INPUT, "expected base64 without line breaks"));
    if (!read_line(value, &text, err))
        return false;
    if (strcmp(key, "filename") == 0)
        f->name = text;
    else if (strcmp(key, "type") == 0)
        f->type = text.p;
    else if (strcmp(key, "content_id") == 0)
        f->content_id = text.p;
    else
        return err_set(err, ERR_INPUT, "there is no such key");
    return true;
}

static bool
read_file(struct mail_compose_file *f, json_t *value, struct err *err)
{
    const char *key;
    json_t *one;

    f->type = "application/octet-stream";
    if (!json_is_object(value))
        return err_set(err, ERR_INPUT, "expected an object");
    json_object_foreach(
        value, key,
        one) if (!read_file_part(f, key, one, err)) return err_in(err, "%.40s",
                                                                  key);
    if (!json_object_get(value, "content"))
        return err_set(err, ERR_INPUT, "content: is missing");
    if (!mail_compose_is_type(f->type))
        return err_set(err, ERR_INPUT,
                       "type: expected \"type/subtype\", and neither multipart "
                       "nor message");
    return !f->content_id || mail_compose_is_content_id(f->content_id) ||
           err_set(err, ERR_INPUT,
                   "content_id: expected printable ASCII without brackets");
}

static bool
read_files(struct draft *d, json_t *value, struct err *err)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value) || n > ADMIN_DRAFT_FILES_MAX)
        return err_set(err, ERR_INPUT, "expected a list of up to %d",
                       ADMIN_DRAFT_FILES_MAX);
    d->files = mem_array(struct mail_compose_file, n + 1);
    for (size_t i = 0; i < n; i++)
        if (!read_file(&d->files[i], json_array_get(value, i), err))
            return err_in(err, "[%zu]", i);
    d->compose.file_count = n;
    return true;
}

static bool
read_envelope(struct draft *d, json_t *value, struct err *err)
{
    const char *key;
    json_t *one;

    if (!json_is_object(value))
        return err_set(err, ERR_INPUT, "expected an object");
    json_object_foreach(value, key, one)
    {
        bool is_from = strcmp(key, "from") == 0;

        if (!is_from && strcmp(key, "to") != 0)
            return err_set(err, ERR_INPUT, "there is no \"%.40s\"", key);
        d->has_envelope_from |= is_from;
        if (is_from && json_is_string(one) && json_string_length(one) == 0)
            continue; /* the null reverse-path */
        if (is_from && json_is_array(one))
            return err_set(err, ERR_INPUT, "from: expected one address");
        if (!read_list(one, is_from ? &d->envelope_from : &d->envelope_to, err))
            return err_in(err, "%s", key);
    }
    return true;
}

static bool
read_from(struct draft *d, json_t *value, struct err *err)
{
    if (json_is_array(value))
        return err_set(err, ERR_INPUT, "expected one address");
    return read_list(value, &d->from, err);
}

static bool
read_to(struct draft *d, json_t *value, struct err *err)
{
    return read_list(value, &d->to, err);
}

static bool
read_cc(struct draft *d, json_t *value, struct err *err)
{
    return read_list(value, &d->cc, err);
}

static bool
read_bcc(struct draft *d, json_t *value, struct err *err)
{
    return read_list(value, &d->bcc, err);
}

static bool
read_reply_to(struct draft *d, json_t *value, struct err *err)
{
    return read_list(value, &d->reply_to, err);
}

static bool
read_key(struct draft *d, const char *key, json_t *value, struct err *err)
{
    static const struct {
        const char *key;
        bool (*read)(struct draft *d, json_t *value, struct err *err);
    } keys[] = {
        {"from", read_from},
        {"to", read_to},
        {"cc", read_cc},
        {"bcc", read_bcc},
        {"reply_to", read_reply_to},
        {"subject", read_subject},
        {"text", read_plain},
        {"html", read_html},
        {"headers", read_headers},
        {"attachments", read_files},
        {"envelope", read_envelope},
        {"require_tls", read_require_tls},
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i].key, key) == 0)
            return keys[i].read(d, value, err) || err_in(err, "%s", key);
    return err_set(err, ERR_INPUT, "%.60s: there is no such key", key);
}

static bool
read_draft(struct draft *d, struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(d->document, key,
                        value) if (!read_key(d, key, value, err)) return false;
    if (d->from.count == 0)
        return err_set(err, ERR_INPUT, "from: is missing");
    if (d->to.count + d->cc.count + d->bcc.count + d->envelope_to.count == 0)
        return err_set(err, ERR_INPUT, "to: names nobody");
    if (!d->compose.has_text && !d->compose.has_html &&
        d->compose.file_count == 0)
        return err_set(err, ERR_INPUT,
                       "text: is missing, and so are html and attachments");
    return true;
}

/* --- what becomes of it --- */

void
admin_draft_add_rcpt(struct mail_envelope *e, const struct mail_address *to)
{
    struct mail_rcpt *rcpt = mail_envelope_add(e);

    rcpt->address = mem_text(to->text);
    rcpt->domain =
        mem_text(to->is_literal ? to->text + to->at + 1 : to->domain.text);
    e->smtputf8 |= !to->is_ascii;
}

static int
compare_addresses(const void *a, const void *b)
{
    const struct mail_address *const *x = a, *const *y = b;

    return strcmp((*x)->text, (*y)->text);
}

/* Whoever is named twice gets one copy. */
static void
add_rcpts(struct mail_envelope *e, const struct list *const *lists,
          size_t list_count)
{
    const struct mail_address **all;
    size_t count = 0;

    for (size_t i = 0; i < list_count; i++)
        count += lists[i]->count;
    all = mem_array(const struct mail_address *, count + 1);
    count = 0;
    for (size_t i = 0; i < list_count; i++)
        for (size_t k = 0; k < lists[i]->count; k++)
            all[count++] = &lists[i]->box[k].address;
    qsort(all, count, sizeof(*all), compare_addresses);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(all[i - 1]->text, all[i]->text) != 0)
            admin_draft_add_rcpt(e, all[i]);
    free(all);
}

static bool
is_ascii(const struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->box[i].address.is_ascii)
            return false;
    return true;
}

static void
make_envelope(const struct draft *d, struct mail_envelope *e)
{
    const struct list *named[] = {&d->to, &d->cc, &d->bcc};
    const struct list *given[] = {&d->envelope_to};
    const struct list *from =
        d->has_envelope_from ? &d->envelope_from : &d->from;

    e->from = mem_text(from->count ? from->box[0].address.text : "");
    e->requiretls = d->require_tls;
    if (d->envelope_to.count > 0)
        add_rcpts(e, given, 1);
    else
        add_rcpts(e, named, 3);
    e->smtputf8 |= !is_ascii(from) || !is_ascii(&d->from) ||
                   !is_ascii(&d->to) || !is_ascii(&d->cc) ||
                   !is_ascii(&d->reply_to);
}

static void
make_message(struct draft *d, const struct admin_draft_facts *facts,
             struct buf *out)
{
    struct mail_compose *c = &d->compose;
    char date[MAIL_DATE_SIZE];
    char *id scoped(own_free) =
        mem_printf("<%s@%s>", facts->unique, facts->hostname);

    c->from = d->from.box[0];
    c->to = (struct mail_compose_list){d->to.box, d->to.count};
    c->cc = (struct mail_compose_list){d->cc.box, d->cc.count};
    c->reply_to =
        (struct mail_compose_list){d->reply_to.box, d->reply_to.count};
    c->fields = d->fields;
    c->files = d->files;
    c->boundary = facts->unique;
    if (!has_field(d, "Date"))
        c->date = mail_date_header(facts->unix_ms, date);
    if (!has_field(d, "Message-ID"))
        c->message_id = id;
    mail_compose(c, out);
}

bool
admin_draft(struct buf *json, const struct admin_draft_facts *facts,
            struct mail_envelope *envelope, struct buf *message, bool *is_json,
            struct err *err)
{
    struct draft d scoped(draft_done) = {
        .document = admin_json_read(buf_slice(json), err)};

    buf_free(json); /* before there is a third copy of it */
    *is_json = d.document != NULL;
    if (!d.document || !read_draft(&d, err))
        return false;
    make_envelope(&d, envelope);
    make_message(&d, facts, message);
    return true;
}
