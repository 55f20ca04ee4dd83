#include "relay/mail/downgrade.h"

#include "relay/base/mem.h"
#include "relay/mail/encoder.h"
#include "relay/mail/mime_type.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

enum place {
    IN_HEADER,
    IN_LEAF,
    AROUND, /* in front of the first part of a multipart, behind its last */
};

/* Content-Transfer-Encoding, RFC 2045 section 6 */
enum declared {
    DECLARED_7BIT, /* or nothing */
    DECLARED_8BIT, /* or binary */
    DECLARED_QP,
    DECLARED_ELSE, /* base64, where such octets do not belong, or unknown */
};

/* Fields whose value is kept until it is whole. */
enum watched { WATCHED_NONE, WATCHED_TYPE, WATCHED_ENCODING };

/* The message, or the part of it, that is being read. */
struct entity {
    unsigned index; /* in the order of their header sections */
    unsigned level; /* of parts in parts; 0: the message */
    bool in_signed;
    bool in_digest;
    bool has_field;
    bool has_type, has_encoding, has_version;
    bool is_odd; /* can be read in more than one way */
    enum watched watched;
    enum declared declared;
    struct mail_mime_type type;
};

/* A multipart that is open. */
struct frame {
    unsigned level;
    bool in_signed; /* the multipart as a whole */
    bool is_signed; /* its parts */
    bool is_digest;
    size_t len;
    char boundary[MAIL_MIME_BOUNDARY_MAX];
};

struct mail_downgrade {
    bool converts; /* the second time */
    bool any;      /* some octet above 127 is not in a header section */
    const char *refusal;
    uint8_t marked[MAIL_DOWNGRADE_PARTS_MAX / 8]; /* parts to be changed */

    enum place place;
    struct entity entity;
    unsigned parts; /* begun so far */
    struct frame frame[MAIL_DOWNGRADE_DEPTH_MAX];
    size_t frames;
    bool around_signed;
    struct mail_encoder encoder;
    struct buf value; /* of the watched field */
    struct buf line;
    bool inside_line; /* the beginning of the line was taken already */
};

static void
refuse(struct mail_downgrade *d, const char *why)
{
    if (!d->refusal)
        d->refusal = why;
}

static void
mark(struct mail_downgrade *d)
{
    unsigned i = d->entity.index;

    if (i >= MAIL_DOWNGRADE_PARTS_MAX) {
        refuse(d, "it has too many parts");
        return;
    }
    d->marked[i / 8] |= (uint8_t)(1U << i % 8);
}

static bool
is_changed(const struct mail_downgrade *d)
{
    unsigned i = d->entity.index;

    return d->converts && d->any && i < MAIL_DOWNGRADE_PARTS_MAX &&
           d->marked[i / 8] >> i % 8 & 1;
}

static bool
has_8bit(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

static void
emit(const struct mail_downgrade *d, struct slice text, bool ends,
     struct buf *out)
{
    if (!d->converts)
        return;
    buf_add(out, text);
    if (ends)
        buf_add_text(out, "\r\n");
}

/* --- bodies --- */

static void
note_8bit(struct mail_downgrade *d)
{
    const struct entity *e = &d->entity;

    d->any = true;
    if (d->place == AROUND) {
        if (d->around_signed)
            refuse(d, "it is signed content");
        return;
    }
    if (e->in_signed)
        refuse(d, "it is signed content");
    else if (e->type.kind == MAIL_MIME_OPAQUE)
        refuse(d, "its parts can't be told");
    else if (e->declared == DECLARED_ELSE || e->is_odd)
        refuse(d, "a part of it is in an unclear encoding");
    else
        mark(d);
}

static void
body_line(struct mail_downgrade *d, struct slice text, bool ends,
          struct buf *out)
{
    if (d->converts)
        mail_encoder_add(&d->encoder, text, ends, out);
    else if (has_8bit(text))
        note_8bit(d);
}

static void
end_body(struct mail_downgrade *d, bool in_part, struct buf *out)
{
    if (d->converts)
        mail_encoder_end(&d->encoder, in_part, out);
}

/* --- header sections --- */

static void
begin_entity(struct mail_downgrade *d, unsigned level, bool in_signed,
             bool in_digest)
{
    d->entity = (struct entity){.index = d->parts++,
                                .level = level,
                                .in_signed = in_signed,
                                .in_digest = in_digest};
    d->place = IN_HEADER;
    buf_clear(&d->value);
}

static enum declared
parse_declared(struct slice value)
{
    static const struct {
        const char *name;
        enum declared declared;
    } names[] = {
        {"7bit", DECLARED_7BIT},
        {"8bit", DECLARED_8BIT},
        {"binary", DECLARED_8BIT},
        {"quoted-printable", DECLARED_QP},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_is_nocase(value, names[i].name))
            return names[i].declared;
    return DECLARED_ELSE;
}

/* The watched field is whole. */
static void
end_field(struct mail_downgrade *d)
{
    struct entity *e = &d->entity;

    if (e->watched == WATCHED_TYPE)
        mail_mime_type_parse(buf_slice(&d->value), &e->type);
    else if (e->watched == WATCHED_ENCODING)
        e->declared = parse_declared(slice_trim(buf_slice(&d->value)));
    e->watched = WATCHED_NONE;
    buf_clear(&d->value);
}

static void
watch(struct entity *e, bool *has, enum watched watched)
{
    e->is_odd = e->is_odd || *has;
    *has = true;
    e->watched = watched;
}

/* A field begins.  False: it is none. */
static bool
begin_field(struct mail_downgrade *d, struct slice text)
{
    struct entity *e = &d->entity;
    bool has_colon = memchr(text.p, ':', text.len);
    struct slice name = slice_trim(slice_cut(&text, ':'));
    bool is_mailbox_line =
        e->index == 0 && !e->has_field && slice_starts_nocase(name, "From ");

    if (is_mailbox_line)
        return e->has_field = true;
    if (!has_colon || name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7F)
            return false;
    e->has_field = true;
    if (slice_is_nocase(name, "Content-Type"))
        watch(e, &e->has_type, WATCHED_TYPE);
    else if (slice_is_nocase(name, "Content-Transfer-Encoding"))
        watch(e, &e->has_encoding, WATCHED_ENCODING);
    else if (slice_is_nocase(name, "MIME-Version"))
        e->has_version = true;
    return true;
}

static void
add_to_value(struct mail_downgrade *d, struct slice text)
{
    if (d->value.len + text.len > MAIL_DOWNGRADE_VALUE_MAX)
        d->entity.is_odd = true;
    else
        buf_add(&d->value, text);
}

static bool
is_open_boundary(const struct mail_downgrade *d, const struct mail_mime_type *t)
{
    for (size_t i = 0; i < d->frames; i++)
        if (d->frame[i].len == t->boundary_len &&
            memcmp(d->frame[i].boundary, t->boundary, t->boundary_len) == 0)
            return true;
    return false;
}

/* What nobody could read for certain is not taken apart. */
static void
settle_type(struct mail_downgrade *d)
{
    struct entity *e = &d->entity;
    struct mail_mime_type *t = &e->type;
    bool is_composite;

    if (!e->has_type)
        t->kind = e->in_digest ? MAIL_MIME_MESSAGE : MAIL_MIME_TEXT;
    is_composite =
        t->kind == MAIL_MIME_MULTIPART || t->kind == MAIL_MIME_MESSAGE;
    if (is_composite &&
        (e->is_odd || e->level + 1 >= MAIL_DOWNGRADE_DEPTH_MAX ||
         e->declared == DECLARED_QP || e->declared == DECLARED_ELSE ||
         (t->kind == MAIL_MIME_MULTIPART && is_open_boundary(d, t))))
        t->kind = MAIL_MIME_OPAQUE;
}

static const char *
new_encoding(const struct entity *e)
{
    switch (e->type.kind) {
    case MAIL_MIME_TEXT:
        return "quoted-printable";
    case MAIL_MIME_OTHER:
        return e->declared == DECLARED_QP ? "quoted-printable" : "base64";
    case MAIL_MIME_MULTIPART:
    case MAIL_MIME_MESSAGE:
    case MAIL_MIME_OPAQUE:
        break;
    }
    return "7bit";
}

/* True: some field was added. */
static bool
add_fields(const struct mail_downgrade *d, struct buf *out)
{
    const struct entity *e = &d->entity;
    bool adds_version =
        d->converts && d->any && e->index == 0 && !e->has_version;

    if (adds_version)
        buf_add_text(out, "MIME-Version: 1.0\r\n");
    if (!is_changed(d))
        return adds_version;
    /* RFC 1428 section 2: a charset that nobody told */
    if (e->index == 0 && !e->has_type)
        buf_add_text(out, "Content-Type: text/plain; charset=unknown-8bit\r\n");
    buf_printf(out, "Content-Transfer-Encoding: %s\r\n", new_encoding(e));
    return true;
}

static enum mail_encoding
leaf_encoding(const struct mail_downgrade *d)
{
    const struct entity *e = &d->entity;

    if (!is_changed(d))
        return MAIL_ENCODING_NONE;
    if (e->declared == DECLARED_QP)
        return MAIL_ENCODING_QP_FIX;
    return e->type.kind == MAIL_MIME_TEXT ? MAIL_ENCODING_QP
                                          : MAIL_ENCODING_BASE64;
}

static void
open_multipart(struct mail_downgrade *d)
{
    const struct entity *e = &d->entity;
    struct frame *f = &d->frame[d->frames++];

    f->level = e->level;
    f->in_signed = e->in_signed;
    f->is_signed = e->in_signed || e->type.is_signed;
    f->is_digest = e->type.is_digest;
    f->len = e->type.boundary_len;
    memcpy(f->boundary, e->type.boundary, f->len);
}

static void
begin_around(struct mail_downgrade *d, bool in_signed)
{
    d->place = AROUND;
    d->around_signed = in_signed;
    d->encoder = (struct mail_encoder){.encoding = MAIL_ENCODING_MASK};
}

static void
begin_body(struct mail_downgrade *d)
{
    struct entity *e = &d->entity;
    bool is_relabelled = !d->converts && e->declared == DECLARED_8BIT;

    switch (e->type.kind) {
    case MAIL_MIME_TEXT:
    case MAIL_MIME_OTHER:
    case MAIL_MIME_OPAQUE:
        d->place = IN_LEAF;
        d->encoder = (struct mail_encoder){.encoding = leaf_encoding(d)};
        break;
    case MAIL_MIME_MULTIPART:
        if (is_relabelled)
            mark(d);
        open_multipart(d);
        begin_around(d, e->in_signed);
        break;
    case MAIL_MIME_MESSAGE:
        if (is_relabelled)
            mark(d);
        begin_entity(d, e->level + 1, e->in_signed, false);
        break;
    }
}

static void
end_header(struct mail_downgrade *d, bool has_blank_line, struct buf *out)
{
    end_field(d);
    settle_type(d);
    if (add_fields(d, out) || has_blank_line)
        emit(d, slice_of(""), true, out);
    begin_body(d);
}

/* A field's first line, or one that goes on; false: the section is over. */
static bool
take_field(struct mail_downgrade *d, struct slice text)
{
    struct entity *e = &d->entity;
    bool goes_on = text.p[0] == ' ' || text.p[0] == '\t';

    if (goes_on && e->has_field) {
        if (e->watched != WATCHED_NONE)
            add_to_value(d, text);
        return true;
    }
    e->is_odd = e->is_odd || goes_on;
    end_field(d);
    if (!begin_field(d, text))
        return false;
    if (e->watched != WATCHED_NONE) {
        (void)slice_cut(&text, ':');
        add_to_value(d, text);
    }
    return true;
}

static void
header_line(struct mail_downgrade *d, struct slice text, bool starts, bool ends,
            struct buf *out)
{
    if (starts && text.len == 0) {
        end_header(d, true, out);
        return;
    }
    /* It may be no field of a message inside either; and converted it must not
     * become one. */
    while (starts && d->place == IN_HEADER && !take_field(d, text))
        end_header(d, d->converts && d->any, out);
    if (d->place != IN_HEADER) {
        body_line(d, text, ends, out);
        return;
    }
    if (!starts && d->entity.watched != WATCHED_NONE)
        add_to_value(d, text);
    if (d->entity.watched != WATCHED_ENCODING || !is_changed(d))
        emit(d, text, ends, out);
}

/* --- boundaries --- */

static bool
is_padding(struct slice s)
{
    return slice_trim(s).len == 0;
}

/* RFC 2046 section 5.1.1.  The frame whose boundary the line is; SIZE_MAX:
 * none. */
static size_t
find_boundary(const struct mail_downgrade *d, struct slice text, bool *is_last)
{
    if (text.len < 3 || text.p[0] != '-' || text.p[1] != '-')
        return SIZE_MAX;
    text = slice_from(text, 2);
    for (size_t i = d->frames; i-- > 0;) {
        const struct frame *f = &d->frame[i];
        struct slice rest = slice_from(text, f->len);

        if (text.len < f->len || memcmp(text.p, f->boundary, f->len) != 0)
            continue;
        *is_last = rest.len >= 2 && rest.p[0] == '-' && rest.p[1] == '-';
        if (is_padding(*is_last ? slice_from(rest, 2) : rest))
            return i;
    }
    return SIZE_MAX;
}

static void
at_boundary(struct mail_downgrade *d, size_t frame, bool is_last,
            struct buf *out)
{
    const struct frame *f = &d->frame[frame];

    /* A header section that it cuts off may have opened others. */
    while (d->place == IN_HEADER)
        end_header(d, false, out);
    end_body(d, true, out);
    if (is_last) {
        d->frames = frame;
        begin_around(d, f->in_signed);
        return;
    }
    d->frames = frame + 1;
    begin_entity(d, f->level + 1, f->is_signed, f->is_digest);
}

/* --- lines --- */

static void
take_line(struct mail_downgrade *d, struct slice text, bool ends,
          struct buf *out)
{
    bool starts = !d->inside_line, is_last = false;
    size_t frame = starts && ends ? find_boundary(d, text, &is_last) : SIZE_MAX;

    d->inside_line = !ends;
    if (frame != SIZE_MAX) {
        at_boundary(d, frame, is_last, out);
        emit(d, text, ends, out);
    } else if (d->place == IN_HEADER) {
        header_line(d, text, starts, ends, out);
    } else {
        body_line(d, text, ends, out);
    }
}

/* What is in `line`, as far as it may be taken. */
static void
take_lines(struct mail_downgrade *d, struct buf *out)
{
    struct slice text = buf_slice(&d->line);
    bool ends = text.len >= 2 && text.p[text.len - 1] == '\n' &&
                text.p[text.len - 2] == '\r';

    if (ends) {
        take_line(d, slice_first(text, text.len - 2), true, out);
        buf_clear(&d->line);
    } else if (text.len > MAIL_DOWNGRADE_LINE_MAX) {
        size_t len = text.len - (text.p[text.len - 1] == '\r');

        take_line(d, slice_first(text, len), false, out);
        buf_drop(&d->line, len);
    }
}

void
mail_downgrade_feed(struct mail_downgrade *d, struct slice in, struct buf *out)
{
    while (in.len > 0) {
        struct slice some = slice_first(in, MAIL_DOWNGRADE_LINE_MAX);
        const char *lf = memchr(some.p, '\n', some.len);
        size_t len = lf ? (size_t)(lf - some.p) + 1 : some.len;

        buf_add(&d->line, slice_first(some, len));
        take_lines(d, out);
        in = slice_from(in, len);
    }
}

/* What is left has no end of line. */
static void
finish(struct mail_downgrade *d, struct buf *out)
{
    if (d->line.len > 0)
        take_line(d, buf_slice(&d->line), false, out);
    while (d->place == IN_HEADER)
        end_header(d, false, out);
    end_body(d, false, out);
    buf_clear(&d->line);
}

bool
mail_downgrade_turn(struct mail_downgrade *d, struct err *err)
{
    assert(!d->converts);
    finish(d, NULL);
    if (d->refusal)
        return err_set(err, ERR_INPUT, "%s", d->refusal);
    d->converts = true;
    d->inside_line = false;
    d->parts = 0;
    d->frames = 0;
    d->encoder = (struct mail_encoder){0};
    begin_entity(d, 0, false, false);
    return true;
}

void
mail_downgrade_end(struct mail_downgrade *d, struct buf *out)
{
    assert(d->converts);
    finish(d, out);
}

struct mail_downgrade *
mail_downgrade_new(void)
{
    struct mail_downgrade *d = mem_new(struct mail_downgrade);

    begin_entity(d, 0, false, false);
    return d;
}

void
mail_downgrade_free(struct mail_downgrade **place)
{
    struct mail_downgrade *d = take(place);

    if (!d)
        return;
    buf_free(&d->value);
    buf_free(&d->line);
    free(d);
}
