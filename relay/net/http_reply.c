#include "relay/net/http_reply.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/net/http_head.h"

#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { SHOWN_SIZE = 61 };

struct net_http_reply {
    struct net_http_head head;
    char *media_type;
    llhttp_t llhttp;
    llhttp_settings_t settings;
    struct buf body;
    size_t framing, extensions;
    bool is_whole, has_failed;
    bool hears_refusals;
    struct err refusal, err;
};

__attribute__((format(printf, 3, 4))) static bool
fail(struct net_http_reply *r, enum err_kind kind, const char *fmt, ...)
{
    char why[sizeof(r->err.text)];
    va_list ap;

    if (r->has_failed)
        return false;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    r->has_failed = true;
    return err_set(&r->err, kind, "%s", why);
}

/* The beginning of a text of the server's, fit for a log line. */
static const char *
show(const char *text, char out[SHOWN_SIZE])
{
    size_t n = 0;

    for (; text[n] && n < SHOWN_SIZE - 1; n++)
        out[n] = text[n] >= ' ' && text[n] < 0x7f ? text[n] : '?';
    out[n] = '\0';
    return out;
}

/* --- the head --- */

/* The value before its parameters is the type. */
static bool
is_media_type(const char *value, const char *type)
{
    struct slice rest = slice_of(value);

    return slice_is_nocase(slice_trim(slice_cut(&rest, ';')), type);
}

/* What comes with it is of use only in the form that was asked for. */
static bool
note_refusal(struct net_http_reply *r, const char *status)
{
    const char *type = net_http_head_find(&r->head, "Content-Type");
    char shown[SHOWN_SIZE];

    if (!type || !is_media_type(type, r->media_type))
        return fail(r, ERR_INPUT, "expected status 200, got %s",
                    show(status, shown));
    err_set(&r->refusal, ERR_INPUT, "status %s", show(status, shown));
    return true;
}

/* RFC 9112 section 4: "HTTP/1.1 200 OK", the reason may be empty or, as many
 * servers have it, absent with its space. */
static bool
check_status(struct net_http_reply *r)
{
    const char *line = r->head.first;
    char shown[SHOWN_SIZE];

    if (strncmp(line, "HTTP/1.1 ", 9) != 0 &&
        strncmp(line, "HTTP/1.0 ", 9) != 0)
        return fail(r, ERR_INPUT, "expected HTTP/1.1, got \"%s\"",
                    show(line, shown));
    line += 9;
    if (strspn(line, "0123456789") != 3 || (line[3] && line[3] != ' '))
        return fail(r, ERR_INPUT, "expected a status of 3 digits, got \"%s\"",
                    show(line, shown));
    if (r->hears_refusals && line[0] == '4')
        return note_refusal(r, line);
    if (r->media_type ? strncmp(line, "200", 3) != 0 : line[0] != '2')
        return fail(r, ERR_INPUT, "expected status 200, got %s%s",
                    show(line, shown),
                    line[0] == '3' ? " (redirects are not followed)" : "");
    return true;
}

static bool
check_media_type(struct net_http_reply *r)
{
    const char *value = net_http_head_find(&r->head, "Content-Type");
    char shown[SHOWN_SIZE];

    if (!value)
        return fail(r, ERR_INPUT, "expected Content-Type %s, got none",
                    r->media_type);
    if (net_http_head_count(&r->head, "Content-Type") > 1)
        return fail(r, ERR_INPUT, "expected one Content-Type, got several");
    if (!is_media_type(value, r->media_type))
        return fail(r, ERR_INPUT, "expected Content-Type %s, got \"%s\"",
                    r->media_type, show(value, shown));
    return true;
}

/* A field that must be absent, or there once with the one value. */
static bool
check_only(struct net_http_reply *r, const char *name, const char *value)
{
    const char *got = net_http_head_find(&r->head, name);
    char shown[SHOWN_SIZE];

    if (!got || (net_http_head_count(&r->head, name) == 1 &&
                 strcasecmp(got, value) == 0))
        return true;
    return fail(r, ERR_INPUT, "expected %s %s or none, got \"%s\"", name, value,
                show(got, shown));
}

/* RFC 9112 section 6.3. */
static bool
check_length(struct net_http_reply *r)
{
    const char *length = net_http_head_find(&r->head, "Content-Length");
    unsigned long long n;
    char shown[SHOWN_SIZE];

    if (!length)
        return true;
    if (net_http_head_count(&r->head, "Content-Length") > 1 ||
        net_http_head_count(&r->head, "Transfer-Encoding") > 0)
        return fail(r, ERR_INPUT,
                    "more than one Content-Length or Transfer-Encoding");
    if (!*length || length[strspn(length, "0123456789")])
        return fail(r, ERR_INPUT,
                    "expected a number in Content-Length, got \"%s\"",
                    show(length, shown));
    if (!slice_number(slice_of(length), NET_HTTP_REPLY_BODY_MAX, &n))
        return fail(r, ERR_LIMIT, "expected at most %d octets, got %s",
                    NET_HTTP_REPLY_BODY_MAX, show(length, shown));
    return true;
}

static bool
check_head(struct net_http_reply *r)
{
    if (!r->media_type) {
        r->is_whole = check_status(r);
        return false;
    }
    return check_status(r) && check_media_type(r) &&
           check_only(r, "Content-Encoding", "identity") &&
           check_only(r, "Transfer-Encoding", "chunked") && check_length(r);
}

/* --- the body --- */

static bool
is_too_long(struct net_http_reply *r, uint64_t more)
{
    if (more <= NET_HTTP_REPLY_BODY_MAX - r->body.len)
        return false;
    fail(r, ERR_LIMIT, "expected at most %d octets, got more",
         NET_HTTP_REPLY_BODY_MAX);
    return true;
}

static int
got_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct net_http_reply *r = llhttp->data;

    if (is_too_long(r, len))
        return HPE_USER;
    buf_add(&r->body, (struct slice){at, len});
    return 0;
}

static int
got_chunk(llhttp_t *llhttp)
{
    return is_too_long(llhttp->data, llhttp->content_length) ? HPE_USER : 0;
}

static int
got_extension(llhttp_t *llhttp, const char *at, size_t len)
{
    struct net_http_reply *r = llhttp->data;

    (void)at;
    r->extensions += len;
    if (r->extensions <= NET_HTTP_REPLY_EXTENSIONS_MAX)
        return 0;
    fail(r, ERR_LIMIT, "chunk extensions exceed %d octets",
         NET_HTTP_REPLY_EXTENSIONS_MAX);
    return HPE_USER;
}

/* Fields behind the body have not been checked by http_head. */
static int
got_field(llhttp_t *llhttp, const char *at, size_t len)
{
    (void)at, (void)len;
    if (!(llhttp->flags & F_TRAILING))
        return 0;
    fail(llhttp->data, ERR_INPUT, "trailer fields are not taken");
    return HPE_USER;
}

static int
got_whole(llhttp_t *llhttp)
{
    struct net_http_reply *r = llhttp->data;

    r->is_whole = true;
    return HPE_PAUSED;
}

static void
run(struct net_http_reply *r, struct slice in)
{
    llhttp_errno_t e = llhttp_execute(&r->llhttp, in.p, in.len);

    if (e != HPE_OK && !r->is_whole)
        fail(r, ERR_INPUT, "%s", llhttp_get_error_reason(&r->llhttp));
}

/* --- the response --- */

struct net_http_reply *
net_http_reply_new(const char *media_type)
{
    struct net_http_reply *r = mem_new(struct net_http_reply);

    r->media_type = mem_text(media_type);
    llhttp_settings_init(&r->settings);
    r->settings.on_body = got_body;
    r->settings.on_chunk_header = got_chunk;
    r->settings.on_chunk_extension_name = got_extension;
    r->settings.on_chunk_extension_value = got_extension;
    r->settings.on_header_field = got_field;
    r->settings.on_message_complete = got_whole;
    llhttp_init(&r->llhttp, HTTP_RESPONSE, &r->settings);
    r->llhttp.data = r;
    return r;
}

void
net_http_reply_free(struct net_http_reply **slot)
{
    struct net_http_reply *r = *slot;

    if (!r)
        return;
    *slot = NULL;
    net_http_head_done(&r->head);
    secret_buf_free(&r->body);
    free(r->media_type);
    free(r);
}

static struct slice
feed_head(struct net_http_reply *r, struct slice in)
{
    struct err err;
    size_t used = net_http_head_feed(&r->head, in, &err);

    if (r->head.state == NET_HTTP_HEAD_BROKEN)
        fail(r, err.kind, "%s", err.text);
    if (r->head.state == NET_HTTP_HEAD_WHOLE && check_head(r))
        run(r, buf_slice(&r->head.text));
    return slice_from(in, used);
}

bool
net_http_reply_feed(struct net_http_reply *r, struct slice in, struct err *err)
{
    if (r->head.state == NET_HTTP_HEAD_MORE)
        in = feed_head(r, in);
    if (!r->has_failed && !r->is_whole && in.len > 0) {
        r->framing += in.len;
        run(r, in);
        if (!r->is_whole && r->framing > NET_HTTP_REPLY_FRAMING_MAX)
            fail(r, ERR_LIMIT, "the body and its chunk heads exceed %d octets",
                 NET_HTTP_REPLY_FRAMING_MAX);
    }
    if (r->has_failed)
        *err = r->err;
    return !r->has_failed;
}

bool
net_http_reply_end(struct net_http_reply *r, struct err *err)
{
    if (r->head.state == NET_HTTP_HEAD_WHOLE && !r->has_failed && !r->is_whole)
        (void)llhttp_finish(&r->llhttp); /* may call got_whole */
    if (!r->is_whole)
        fail(r, ERR_INPUT,
             "expected more, got the end of the connection after %zu octets "
             "of the body",
             r->body.len);
    if (r->has_failed)
        *err = r->err;
    return !r->has_failed;
}

void
net_http_reply_hear_refusals(struct net_http_reply *r)
{
    r->hears_refusals = true;
}

const struct err *
net_http_reply_refusal(const struct net_http_reply *r)
{
    return r->refusal.kind ? &r->refusal : NULL;
}

bool
net_http_reply_is_whole(const struct net_http_reply *r)
{
    return r->is_whole;
}

struct slice
net_http_reply_body(const struct net_http_reply *r)
{
    return buf_slice(&r->body);
}
