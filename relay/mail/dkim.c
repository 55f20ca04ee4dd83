#include "relay/mail/dkim.h"

#include "relay/base/mem.h"
#include "relay/mail/dkim_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

enum { LINE_MAX_AIM = 76 };

struct fields {
    struct mail_dkim_field *all;
    size_t count, room;
};

static void
free_fields(struct fields *f)
{
    free(f->all);
}

static void
split(struct slice header, struct fields *out)
{
    struct mail_dkim_field field;

    while (mail_dkim_field_cut(&header, &field)) {
        if (out->count == out->room) {
            out->room = out->room * 2 + 16;
            out->all = mem_resized(out->all, out->room, sizeof(*out->all));
        }
        out->all[out->count++] = field;
    }
}

/* --- the signature field --- */

struct maker {
    struct buf signed_text; /* the fields in relaxed form */
    struct buf names;       /* h=, folded */
    size_t line;            /* octets of its last line */
    size_t name_count;
};

static void
free_maker(struct maker *m)
{
    buf_free(&m->signed_text);
    buf_free(&m->names);
}

static void
add_name(struct maker *m, const char *name)
{
    size_t len = strlen(name) + 1;

    if (m->name_count++ > 0) {
        buf_add_byte(&m->names, ':');
        m->line++;
    }
    if (m->line + len > LINE_MAX_AIM) {
        buf_add_text(&m->names, "\r\n  ");
        m->line = 2;
    }
    buf_add_text(&m->names, name);
    m->line += len - 1;
}

/* All of that name, from the last to the first (RFC 6376 section 5.4.2). */
static size_t
add_fields(struct maker *m, const struct fields *f, const char *name)
{
    size_t found = 0;

    for (size_t i = f->count; i-- > 0;) {
        if (!slice_is_nocase(f->all[i].name, name))
            continue;
        found++;
        if (m->name_count >= MAIL_DKIM_SIGNED_MAX)
            continue;
        add_name(m, name);
        mail_dkim_field_relaxed(name, f->all[i].value, &m->signed_text);
        buf_add_text(&m->signed_text, "\r\n");
    }
    return found;
}

/* What may stand in h= without quoting: ftext of RFC 5322 section 3.6.8, less
 * the semicolon. */
static bool
is_field_name(const char *name)
{
    size_t len = strlen(name);

    for (const char *p = name; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == ':' || *p == ';')
            return false;
    return len > 0 && len <= MAIL_DKIM_NAME_MAX;
}

static bool
is_label(struct slice label)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    for (size_t i = 0; i < label.len; i++)
        if (!memchr(good, label.p[i], sizeof(good) - 1))
            return false;
    return label.len > 0 && label.len <= MAIL_LABEL_MAX && label.p[0] != '-' &&
           label.p[label.len - 1] != '-';
}

bool
mail_dkim_is_selector(const char *text)
{
    struct slice rest = slice_of(text);

    if (rest.len == 0 || rest.len > MAIL_DOMAIN_MAX ||
        rest.p[rest.len - 1] == '.')
        return false;
    while (rest.len > 0)
        if (!is_label(slice_cut(&rest, '.')))
            return false;
    return true;
}

static bool
check(const struct mail_dkim_request *r, struct err *err)
{
    if (!mail_dkim_is_selector(r->domain))
        return err_set(err, ERR_INPUT, "not a domain to sign for");
    if (!mail_dkim_is_selector(r->selector))
        return err_set(err, ERR_INPUT, "not a selector");
    for (size_t i = 0; i < r->name_count; i++)
        if (!is_field_name(r->names[i]))
            return err_set(err, ERR_INPUT, "not the name of a header field");
    return true;
}

static bool
choose(struct maker *m, const struct mail_dkim_request *r, struct err *err)
{
    scoped(free_fields) struct fields f = {0};

    split(r->header, &f);
    if (add_fields(m, &f, "From") == 0)
        return err_set(err, ERR_INPUT, "there is no From to be signed");
    add_name(m, "From");
    for (size_t i = 0; i < r->name_count; i++)
        if (strcasecmp(r->names[i], "From") != 0)
            (void)add_fields(m, &f, r->names[i]);
    if (m->name_count >= MAIL_DKIM_SIGNED_MAX)
        return err_set(err, ERR_LIMIT, "%d header fields to sign or more",
                       MAIL_DKIM_SIGNED_MAX);
    return true;
}

/* All but the value of b=, which stands last. */
static void
add_tags(const struct mail_dkim_key *k, const struct mail_dkim_request *r,
         const struct maker *m, struct buf *out)
{
    struct slice hash = {(const char *)r->body_hash, MAIL_DKIM_HASH_SIZE};

    buf_printf(out, " v=1; a=%s; c=relaxed/relaxed;\r\n",
               mail_dkim_key_algorithm(k));
    buf_printf(out, " d=%s;\r\n s=%s; t=%" PRId64 ";\r\n h=", r->domain,
               r->selector, r->unix_s);
    buf_add(out, buf_slice(&m->names));
    buf_add_text(out, ";\r\n bh=");
    mail_dkim_base64(hash, out);
    buf_add_text(out, ";\r\n b=");
}

static void
add_signature(struct slice signature, struct buf *out)
{
    struct buf text = {0};
    struct slice rest;

    mail_dkim_base64(signature, &text);
    rest = buf_slice(&text);
    while (rest.len > 0) {
        buf_add(out, slice_first(rest, LINE_MAX_AIM - 4));
        rest = slice_from(rest, LINE_MAX_AIM - 4);
        buf_add_text(out, rest.len > 0 ? "\r\n  " : "\r\n");
    }
    buf_free(&text);
}

bool
mail_dkim_sign(const struct mail_dkim_key *k, const struct mail_dkim_request *r,
               struct buf *out, struct err *err)
{
    scoped(free_maker) struct maker m = {.line = 3};
    scoped(buf_free) struct buf tags = {0}, signature = {0};

    if (!check(r, err) || !choose(&m, r, err))
        return false;
    add_tags(k, r, &m, &tags);
    /* RFC 6376 section 3.7: our own field last, b= empty, no end of line. */
    mail_dkim_field_relaxed("dkim-signature", buf_slice(&tags), &m.signed_text);
    if (!mail_dkim_key_sign(k, buf_slice(&m.signed_text), &signature, err))
        return false;
    buf_add_text(out, "DKIM-Signature:");
    buf_add(out, buf_slice(&tags));
    add_signature(buf_slice(&signature), out);
    return true;
}
