#include "relay/net/http_parse.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { FIRST_LINE_MAX = NET_HTTP_TARGET_MAX + 32 };

struct net_http_parse {
    struct net_http_head head;
    char *line;  /* the first line, cut into method, target and version */
    char *query; /* the query string, cut and decoded in place */
    const char *method, *path;
    struct net_http_field params[NET_HTTP_PARAMS_MAX];
    size_t param_count;
    bool is_old;

    llhttp_t llhttp;
    llhttp_settings_t settings;
    uint64_t length;   /* that was announced; 0: none */
    uint64_t body_max; /* octets of the body */
    uint64_t taken;    /* of its octets, no longer in `body` */
    struct buf body;
    uint64_t framing;
    size_t extensions;
    bool stops_at_head, is_at_head;
    bool is_whole, may_stay, asked_to_continue, has_begun;

    int status; /* once refused */
    struct err err;
};

__attribute__((format(printf, 4, 5))) static bool
refuse(struct net_http_parse *p, int status, enum err_kind kind,
       const char *fmt, ...)
{
    char why[sizeof(p->err.text)];
    va_list ap;

    if (p->status)
        return false;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    p->status = status;
    return err_set(&p->err, kind, "%s", why);
}

/* --- the first line --- */

static bool
is_target_byte(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"#<>\\^`{|}", c);
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The octet that %XX stands for; -1 when it is none, or NUL. */
static int
percent(const char *p)
{
    int high = hex_digit(p[1]);
    int low = high < 0 ? -1 : hex_digit(p[2]);

    return low < 0 || (high == 0 && low == 0) ? -1 : high * 16 + low;
}

/* Only the origin form is served (RFC 9112 section 3.2.1). */
static bool
check_target(struct net_http_parse *p, const char *target)
{
    if (strlen(target) > NET_HTTP_TARGET_MAX)
        return refuse(p, 414, ERR_LIMIT, "the target exceeds %d octets",
                      NET_HTTP_TARGET_MAX);
    if (target[0] != '/')
        return refuse(p, 400, ERR_INPUT, "the target is no path");
    for (const char *c = target; *c; c++) {
        if (!is_target_byte(*c))
            return refuse(p, 400, ERR_INPUT,
                          "the target holds an octet that is none of a URL");
        if (*c == '%' && percent(c) < 0)
            return refuse(p, 400, ERR_INPUT, "the target holds a bad %%XX");
    }
    return true;
}

static bool
check_method(struct net_http_parse *p)
{
    static const char *const known[] = {"GET",   "HEAD",   "POST",   "PUT",
                                        "PATCH", "DELETE", "OPTIONS"};

    if (!net_http_is_token(p->method))
        return refuse(p, 400, ERR_INPUT, "the method is no token");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(p->method, known[i]) == 0)
            return true;
    return refuse(p, 501, ERR_INPUT, "method %.20s is not known", p->method);
}

static bool
check_version(struct net_http_parse *p, const char *version)
{
    p->is_old = strcmp(version, "HTTP/1.0") == 0;
    if (p->is_old || strcmp(version, "HTTP/1.1") == 0)
        return true;
    if (strncmp(version, "HTTP/", 5) == 0)
        return refuse(p, 505, ERR_INPUT, "expected HTTP/1.1, got %.20s",
                      version);
    return refuse(p, 400, ERR_INPUT, "the request line has no version");
}

static void
decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (*from == '%') {
            *to = (char)percent(from);
            from += 3;
        } else {
            *to = *from == '+' ? ' ' : *from;
            from++;
        }
    }
    *to = '\0';
}

static bool
split_query(struct net_http_parse *p)
{
    char *rest = p->query;
    char *name, *value;

    while ((name = strsep(&rest, "&"))) {
        if (!*name)
            continue;
        if (p->param_count == NET_HTTP_PARAMS_MAX)
            return refuse(p, 400, ERR_LIMIT, "more than %d query parameters",
                          NET_HTTP_PARAMS_MAX);
        value = strchrnul(name, '=');
        if (*value)
            *value++ = '\0';
        decode(name);
        decode(value);
        p->params[p->param_count++] = (struct net_http_field){name, value};
    }
    return true;
}

static bool
read_first_line(struct net_http_parse *p)
{
    char *rest = p->line = mem_text(p->head.first);
    char *target;

    p->method = strsep(&rest, " ");
    target = strsep(&rest, " ");
    if (!target || !rest)
        return refuse(p, 400, ERR_INPUT,
                      "the request line is not METHOD TARGET VERSION");
    if (!check_method(p) || !check_version(p, rest) || !check_target(p, target))
        return false;
    p->path = strsep(&target, "?");
    p->query = mem_text(target ? target : "");
    return split_query(p);
}

/* --- the header --- */

static bool
is_host(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789-._:[]")] == '\0';
}

/* RFC 9112 section 3.2. */
static bool
check_host(struct net_http_parse *p)
{
    size_t n = net_http_head_count(&p->head, "Host");

    if (n > 1 || (n == 0 && !p->is_old))
        return refuse(p, 400, ERR_INPUT, "expected one Host field, got %zu", n);
    if (n == 1 && !is_host(net_http_head_find(&p->head, "Host")))
        return refuse(p, 400, ERR_INPUT, "Host is no host");
    return true;
}

static bool
refuse_length(struct net_http_parse *p)
{
    return refuse(p, 413, ERR_LIMIT, "the body exceeds %llu octets",
                  (unsigned long long)p->body_max);
}

/* RFC 9112 section 6: both at once, or one of them twice, is how requests are
 * smuggled. */
static bool
check_framing(struct net_http_parse *p)
{
    size_t codings = net_http_head_count(&p->head, "Transfer-Encoding");
    size_t lengths = net_http_head_count(&p->head, "Content-Length");
    const char *length = net_http_head_find(&p->head, "Content-Length");
    unsigned long long n = 0;

    if (codings + lengths > 1)
        return refuse(p, 400, ERR_INPUT,
                      "more than one Content-Length or Transfer-Encoding");
    if (codings && (p->is_old || strcasecmp(net_http_head_find(
                                                &p->head, "Transfer-Encoding"),
                                            "chunked") != 0))
        return refuse(p, 501, ERR_INPUT,
                      "Transfer-Encoding is not chunked in HTTP/1.1");
    if (lengths && (!*length || length[strspn(length, "0123456789")]))
        return refuse(p, 400, ERR_INPUT, "Content-Length is no number");
    if (lengths && !slice_number(slice_of(length), UINT64_MAX, &n))
        return refuse_length(p);
    p->length = n;
    return true;
}

static bool
check_expectations(struct net_http_parse *p)
{
    const char *expect = net_http_head_find(&p->head, "Expect");

    if (net_http_head_count(&p->head, "Upgrade"))
        return refuse(p, 501, ERR_INPUT, "Upgrade is not served");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return refuse(p, 417, ERR_INPUT, "Expect is not 100-continue");
    return true;
}

/* --- the body --- */

static uint64_t
room_of(const struct net_http_parse *p)
{
    return p->body_max - p->taken - p->body.len;
}

static int
got_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct net_http_parse *p = llhttp->data;

    if (len > room_of(p)) {
        (void)refuse_length(p);
        return HPE_USER;
    }
    buf_add(&p->body, (struct slice){at, len});
    return 0;
}

static int
got_chunk(llhttp_t *llhttp)
{
    struct net_http_parse *p = llhttp->data;

    if (llhttp->content_length <= room_of(p))
        return 0;
    (void)refuse_length(p);
    return HPE_USER;
}

static int
got_extension(llhttp_t *llhttp, const char *at, size_t len)
{
    struct net_http_parse *p = llhttp->data;

    (void)at;
    p->extensions += len;
    if (p->extensions <= NET_HTTP_EXTENSIONS_MAX)
        return 0;
    refuse(p, 400, ERR_LIMIT, "chunk extensions exceed %d octets",
           NET_HTTP_EXTENSIONS_MAX);
    return HPE_USER;
}

/* Fields behind the body would be read by nobody, and http_head has not
 * checked them. */
static int
got_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct net_http_parse *p = llhttp->data;

    (void)at, (void)len;
    if (!(llhttp->flags & F_TRAILING))
        return 0;
    refuse(p, 400, ERR_INPUT, "trailer fields are not taken");
    return HPE_USER;
}

static int
got_whole(llhttp_t *llhttp)
{
    struct net_http_parse *p = llhttp->data;

    p->is_whole = true;
    p->may_stay = llhttp_should_keep_alive(llhttp);
    return HPE_PAUSED;
}

/* --- the request --- */

struct net_http_parse *
net_http_parse_new(void)
{
    struct net_http_parse *p = mem_new(struct net_http_parse);

    p->head.first_max = FIRST_LINE_MAX;
    p->body_max = NET_HTTP_BODY_MAX;
    llhttp_settings_init(&p->settings);
    p->settings.on_body = got_body;
    p->settings.on_chunk_header = got_chunk;
    p->settings.on_chunk_extension_name = got_extension;
    p->settings.on_chunk_extension_value = got_extension;
    p->settings.on_header_field = got_field;
    p->settings.on_message_complete = got_whole;
    llhttp_init(&p->llhttp, HTTP_REQUEST, &p->settings);
    p->llhttp.data = p;
    return p;
}

void
net_http_parse_free(struct net_http_parse **slot)
{
    struct net_http_parse *p = *slot;

    if (!p)
        return;
    *slot = NULL;
    net_http_head_done(&p->head);
    buf_free(&p->body);
    free(p->line);
    free(p->query);
    free(p);
}

/* Gives llhttp bytes; returns how many belong to this request. */
static size_t
run(struct net_http_parse *p, struct slice in)
{
    llhttp_errno_t e = llhttp_execute(&p->llhttp, in.p, in.len);

    if (e == HPE_OK)
        return in.len;
    if (p->is_whole)
        return (size_t)(llhttp_get_error_pos(&p->llhttp) - in.p);
    refuse(p, 400, ERR_INPUT, "%s", llhttp_get_error_reason(&p->llhttp));
    return in.len;
}

static void
leave_head(struct net_http_parse *p)
{
    p->is_at_head = false;
    if (p->length > p->body_max)
        (void)refuse_length(p);
    else
        (void)run(p, buf_slice(&p->head.text));
}

static bool
has_body(const struct net_http_parse *p)
{
    return p->length > 0 || net_http_head_find(&p->head, "Transfer-Encoding");
}

static void
read_head(struct net_http_parse *p)
{
    if (!read_first_line(p) || !check_host(p) || !check_framing(p) ||
        !check_expectations(p))
        return;
    p->is_at_head = p->stops_at_head && has_body(p);
    if (!p->is_at_head)
        leave_head(p);
}

static void
feed_head(struct net_http_parse *p, struct slice in, size_t *used)
{
    struct err err;

    *used = net_http_head_feed(&p->head, in, &err);
    if (p->head.state == NET_HTTP_HEAD_WHOLE)
        read_head(p);
    else if (p->head.state == NET_HTTP_HEAD_BROKEN && err.kind != ERR_LIMIT)
        refuse(p, 400, err.kind, "%s", err.text);
    else if (p->head.state == NET_HTTP_HEAD_BROKEN)
        refuse(p, p->head.lines ? 431 : 414, err.kind, "%s", err.text);
}

static void
feed_body(struct net_http_parse *p, struct slice in, size_t *used)
{
    size_t n = run(p, in);

    *used += n;
    p->framing += n;
    if (p->framing / NET_HTTP_FRAMING_MAX > p->body_max)
        refuse(p, 413, ERR_LIMIT,
               "the body and its chunk heads exceed %d times %llu octets",
               NET_HTTP_FRAMING_MAX, (unsigned long long)p->body_max);
}

static bool
wants_continue(struct net_http_parse *p)
{
    if (p->asked_to_continue || p->framing > 0 ||
        p->head.state != NET_HTTP_HEAD_WHOLE || p->is_old ||
        !net_http_head_find(&p->head, "Expect"))
        return false;
    p->asked_to_continue = true;
    return true;
}

enum net_http_step
net_http_parse_feed(struct net_http_parse *p, struct slice in, size_t *used)
{
    *used = 0;
    p->has_begun |= in.len > 0;
    if (p->is_at_head)
        leave_head(p);
    if (p->head.state == NET_HTTP_HEAD_MORE)
        feed_head(p, in, used);
    if (p->is_at_head)
        return NET_HTTP_HEAD;
    if (p->head.state == NET_HTTP_HEAD_WHOLE && !p->status && !p->is_whole &&
        *used < in.len)
        feed_body(p, slice_from(in, *used), used);
    if (p->status)
        return NET_HTTP_REFUSED;
    if (p->is_whole)
        return NET_HTTP_WHOLE;
    return wants_continue(p) ? NET_HTTP_CONTINUE : NET_HTTP_MORE;
}

void
net_http_parse_stop_at_head(struct net_http_parse *p)
{
    p->stops_at_head = true;
}

void
net_http_parse_allow(struct net_http_parse *p, uint64_t body_max)
{
    p->body_max = body_max;
}

void
net_http_parse_take(struct net_http_parse *p, struct buf *out)
{
    p->taken += p->body.len;
    if (out->len == 0) {
        struct buf empty = *out;

        *out = p->body;
        p->body = empty;
        return;
    }
    buf_add(out, buf_slice(&p->body));
    buf_clear(&p->body);
}

bool
net_http_parse_is_empty(const struct net_http_parse *p)
{
    return !p->has_begun;
}

int
net_http_parse_status(const struct net_http_parse *p)
{
    return p->status;
}

const struct err *
net_http_parse_error(const struct net_http_parse *p)
{
    return &p->err;
}

const char *
net_http_parse_method(const struct net_http_parse *p)
{
    return p->method;
}

const char *
net_http_parse_path(const struct net_http_parse *p)
{
    return p->path;
}

const char *
net_http_parse_param(const struct net_http_parse *p, const char *name)
{
    for (size_t i = 0; i < p->param_count; i++)
        if (strcmp(p->params[i].name, name) == 0)
            return p->params[i].value;
    return NULL;
}

const char *
net_http_parse_header(const struct net_http_parse *p, const char *name,
                      size_t skip)
{
    return net_http_head_find_next(&p->head, name, skip);
}

struct slice
net_http_parse_body(const struct net_http_parse *p)
{
    return buf_slice(&p->body);
}

bool
net_http_parse_is_old(const struct net_http_parse *p)
{
    return p->is_old;
}

bool
net_http_parse_may_stay(const struct net_http_parse *p)
{
    return p->may_stay;
}
