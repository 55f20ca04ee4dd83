#include "relay/admin/draft.h"
#include "relay/admin/inject_inside.h"
#include "relay/base/mem.h"
#include "relay/mail/address.h"

/* --- Idempotency-Key --- */

static bool
add_octet(char *out, size_t *len, char c, struct err *err)
{
    if (c < ' ' || c > '~')
        return err_set(err, ERR_INPUT,
                       "Idempotency-Key has an octet that is not printable "
                       "ASCII");
    if (*len == QUEUE_RECEIPT_KEY_MAX)
        return err_set(err, ERR_INPUT, "Idempotency-Key exceeds %d octets",
                       QUEUE_RECEIPT_KEY_MAX);
    out[(*len)++] = c;
    return true;
}

static bool
is_quoted(const char *field)
{
    size_t len = strlen(field);

    return len >= 2 && field[0] == '"' && field[len - 1] == '"';
}

/* RFC 9651 section 4.2.5: a backslash stands before itself and a quote, and
 * neither of them stands alone. */
bool
admin_inject_key(const char *field, char *out, struct err *err)
{
    bool quoted = is_quoted(field);
    const char *end = field + strlen(field) - quoted;
    size_t len = 0;

    for (const char *c = field + quoted; c < end; c++) {
        if (*c == '\\' && quoted && c + 1 < end &&
            (c[1] == '\\' || c[1] == '"'))
            c++;
        else if (*c == '"' || *c == '\\')
            return err_set(err, ERR_INPUT, "Idempotency-Key is no string");
        if (!add_octet(out, &len, *c, err))
            return false;
    }
    out[len] = '\0';
    return len > 0 || err_set(err, ERR_INPUT, "Idempotency-Key is empty");
}

static bool
read_key(struct inject *x, struct err *err)
{
    const char *field = net_http_header(x->request, "Idempotency-Key");

    if (!field)
        return true;
    if (net_http_header_next(x->request, "Idempotency-Key", 1))
        return err_set(err, ERR_INPUT, "more than one Idempotency-Key");
    if (!admin_inject_key(field, x->key, err))
        return false;
    x->digest = digest_new();
    return true;
}

/* --- the envelope --- */

static struct slice
without_brackets(struct slice s)
{
    s = slice_trim(s);
    if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
        return (struct slice){s.p + 1, s.len - 2};
    return s;
}

static bool
read_from(struct inject *x, struct err *err)
{
    const char *field = net_http_header(x->request, "X-Envelope-From");
    struct slice text = without_brackets(slice_of(field ? field : ""));
    struct mail_address from = {0};

    if (!field || net_http_header_next(x->request, "X-Envelope-From", 1))
        return err_set(err, ERR_INPUT, "expected one X-Envelope-From field");
    if (text.len > 0 && !mail_address_parse(text, true, &from, err))
        return err_in(err, "X-Envelope-From");
    x->envelope.from = mem_text(from.text);
    x->envelope.smtputf8 = text.len > 0 && !from.is_ascii;
    return true;
}

static bool
add_rcpts(struct inject *x, struct slice list, struct err *err)
{
    while (list.len > 0) {
        struct slice text = without_brackets(slice_cut(&list, ','));
        struct mail_address to;

        if (text.len == 0)
            continue;
        if (!mail_address_parse(text, true, &to, err))
            return err_in(err, "X-Envelope-To");
        admin_draft_add_rcpt(&x->envelope, &to);
    }
    return true;
}

static bool
read_to(struct inject *x, struct err *err)
{
    const char *field;
    size_t i = 0;

    for (; (field = net_http_header_next(x->request, "X-Envelope-To", i)); i++)
        if (!add_rcpts(x, slice_of(field), err))
            return false;
    return x->envelope.rcpt_count > 0 ||
           err_set(err, ERR_INPUT, "%s",
                   i > 0 ? "X-Envelope-To names nobody"
                         : "X-Envelope-To is missing");
}

/* What else the request is made of, so that another one has another digest. */
static void
begin_digest(struct inject *x)
{
    const struct mail_envelope *e = &x->envelope;

    if (!x->digest)
        return;
    digest_add_text(x->digest, slice_of(x->is_json ? "json" : "rfc822"));
    digest_add_text(x->digest, slice_of(e->from ? e->from : ""));
    for (size_t i = 0; i < e->rcpt_count; i++)
        digest_add_text(x->digest, slice_of(e->rcpt[i].address));
    digest_add_text(x->digest, slice_of(""));
}

/* --- all of it --- */

static bool
is_type(struct slice type, const char *wanted)
{
    return slice_is_nocase(slice_trim(slice_cut(&type, ';')), wanted);
}

static bool
read_type(struct inject *x, struct err *err)
{
    const char *field = net_http_header(x->request, "Content-Type");
    struct slice type = slice_of(field ? field : "");

    x->is_json = is_type(type, "application/json");
    if (!x->is_json && !is_type(type, "message/rfc822"))
        return err_set(err, ERR_INPUT,
                       "expected Content-Type message/rfc822 or "
                       "application/json");
    x->size_max =
        x->is_json ? ADMIN_INJECT_JSON_MAX : x->relay->config->access.size_max;
    return true;
}

static bool
is_length_good(const struct inject *x, struct err *err)
{
    const char *field = net_http_header(x->request, "Content-Length");
    unsigned long long n;

    return !field || slice_number(slice_of(field), x->size_max, &n) ||
           err_set(err, ERR_LIMIT, "the body exceeds %llu octets",
                   (unsigned long long)x->size_max);
}

int
admin_inject_head(struct inject *x, struct err *err)
{
    if (!read_type(x, err))
        return 415;
    if (!is_length_good(x, err))
        return 413;
    if (!read_key(x, err))
        return 400;
    if (!x->is_json && (!read_from(x, err) || !read_to(x, err)))
        return 422;
    begin_digest(x);
    return 0;
}
