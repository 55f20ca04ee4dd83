#include "relay/net/http_head.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdlib.h>
#include <strings.h>

/* RFC 9110 section 5.6.2. */
static bool
is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool
net_http_is_token(const char *text)
{
    size_t n = 0;

    while (is_token_byte(text[n]))
        n++;
    return n > 0 && !text[n];
}

/* May c stand behind the bytes that are there?  RFC 9112 section 2.2. */
static bool
check_byte(const struct net_http_head *h, char c, struct err *err)
{
    bool after_cr = h->text.len > 0 && h->text.p[h->text.len - 1] == '\r';

    if (after_cr && c != '\n')
        return err_set(err, ERR_INPUT, "a CR that no LF follows");
    if (c == '\n' && !after_cr)
        return err_set(err, ERR_INPUT, "a line that ends in LF without CR");
    if (c != '\r' && c != '\n' && c != '\t' &&
        ((unsigned char)c < ' ' || c == 0x7f))
        return err_set(err, ERR_INPUT, "control character 0x%02x",
                       (unsigned)(unsigned char)c);
    return true;
}

static bool
check_size(const struct net_http_head *h, struct err *err)
{
    if (h->lines == 0 && h->first_max && h->text.len > h->first_max)
        return err_set(err, ERR_LIMIT, "the first line exceeds %zu octets",
                       h->first_max);
    if (h->text.len > NET_HTTP_HEAD_MAX)
        return err_set(err, ERR_LIMIT, "the head exceeds %d octets",
                       NET_HTTP_HEAD_MAX);
    /* The first line and the empty one are no fields. */
    if (h->lines > NET_HTTP_HEADERS_MAX + 1)
        return err_set(err, ERR_LIMIT, "more than %d header fields",
                       NET_HTTP_HEADERS_MAX);
    return true;
}

static void
trim_end(char *from, char *end)
{
    while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
}

static bool
add_field(struct net_http_head *h, char *line, char *end, struct err *err)
{
    char *colon = memchr(line, ':', (size_t)(end - line));
    char *value;

    if (!colon)
        return err_set(err, ERR_INPUT, "a header line without a colon");
    *colon = '\0';
    /* Also refuses a continued line and a space before the colon. */
    if (!net_http_is_token(line))
        return err_set(err, ERR_INPUT, "a header name that is no token");
    if (h->count == NET_HTTP_HEADERS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d header fields",
                       NET_HTTP_HEADERS_MAX);
    value = colon + 1;
    while (*value == ' ' || *value == '\t')
        value++;
    trim_end(value, end);
    h->fields[h->count++] = (struct net_http_field){line, value};
    return true;
}

/* Every line of the text is known to end in CRLF. */
static bool
split(struct net_http_head *h, struct err *err)
{
    char *line, *end;

    h->cut = mem_copy(buf_slice(&h->text));
    for (line = h->cut; *line != '\r'; line = end + 2) {
        end = strchr(line, '\r');
        *end = '\0';
        if (line == h->cut)
            h->first = line;
        else if (!add_field(h, line, end, err))
            return false;
    }
    return true;
}

static bool
end_line(struct net_http_head *h, struct err *err)
{
    bool is_empty = h->text.len - h->line_at == 2;

    h->line_at = h->text.len;
    if (!is_empty) {
        h->lines++;
        return true;
    }
    if (h->lines == 0)
        return err_set(err, ERR_INPUT, "an empty first line");
    if (!split(h, err))
        return false;
    h->state = NET_HTTP_HEAD_WHOLE;
    return true;
}

static bool
add_byte(struct net_http_head *h, char c, struct err *err)
{
    if (!check_byte(h, c, err))
        return false;
    buf_add_byte(&h->text, c);
    if (c == '\n' && !end_line(h, err))
        return false;
    return check_size(h, err);
}

size_t
net_http_head_feed(struct net_http_head *h, struct slice in, struct err *err)
{
    size_t used = 0;

    while (h->state == NET_HTTP_HEAD_MORE && used < in.len)
        if (!add_byte(h, in.p[used++], err))
            h->state = NET_HTTP_HEAD_BROKEN;
    return used;
}

void
net_http_head_done(struct net_http_head *h)
{
    buf_free(&h->text);
    own_free(&h->cut);
    *h = (struct net_http_head){0};
}

size_t
net_http_head_count(const struct net_http_head *h, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->count; i++)
        n += strcasecmp(h->fields[i].name, name) == 0;
    return n;
}

const char *
net_http_head_find(const struct net_http_head *h, const char *name)
{
    return net_http_head_find_next(h, name, 0);
}

const char *
net_http_head_find_next(const struct net_http_head *h, const char *name,
                        size_t skip)
{
    for (size_t i = 0; i < h->count; i++)
        if (strcasecmp(h->fields[i].name, name) == 0 && skip-- == 0)
            return h->fields[i].value;
    return NULL;
}
