#include "smtp/reply.h"

static bool
is_digit(char c, char low, char high)
{
    return c >= low && c <= high;
}

/* May `c` stand behind what the line has so far?  What can't become a reply
 * is found at its first octet, not at the end of a line that may never come.
 */
static bool
fits(const struct smtp_reply_reader *r, char c)
{
    size_t at = r->line_len;
    bool behind_cr = at > 0 && r->line[at - 1] == '\r';

    /* RFC 5321 section 2.3.8: CR and LF only together */
    if (at == SMTP_REPLY_LINE_MAX || behind_cr != (c == '\n'))
        return false;
    if (at == 0)
        return is_digit(c, '2', '5');
    if (at < 3)
        return is_digit(c, '0', '9');
    return at > 3 || c == ' ' || c == '-' || c == '\r';
}

/* A line is kept whole or not at all: half a keyword of an EHLO reply would
 * say something else. */
static void
keep(struct smtp_reply *reply, struct slice line, bool is_first)
{
    if (line.len + !is_first > SMTP_REPLY_TEXT_MAX - reply->len)
        return;
    if (!is_first)
        reply->text[reply->len++] = '\n';
    if (line.len > 0)
        memcpy(reply->text + reply->len, line.p, line.len);
    reply->len += line.len;
    reply->text[reply->len] = '\0';
}

static enum smtp_reply_got
add_line(struct smtp_reply_reader *r)
{
    const char *s = r->line;
    struct slice line = {s, r->line_len - 2};
    bool is_first = r->lines++ == 0;
    int code = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');

    r->line_len = 0;
    if (is_first)
        r->reply.code = code;
    if (code != r->reply.code || r->lines > SMTP_REPLY_LINES_MAX)
        return SMTP_REPLY_BAD;
    keep(&r->reply, slice_from(line, 4), is_first);
    /* The code alone is a last line too: RFC 5321 section 4.2.1 */
    return line.len > 3 && s[3] == '-' ? SMTP_REPLY_PART : SMTP_REPLY_WHOLE;
}

/* Not by zeroing it all: ten kilobytes for each reply would cost more than
 * reading it. */
static void
start_over(struct smtp_reply_reader *r)
{
    r->handed_out = false;
    r->lines = r->octets = r->line_len = 0;
    r->reply.code = 0;
    r->reply.len = 0;
    r->reply.text[0] = '\0';
}

enum smtp_reply_got
smtp_reply_read(struct smtp_reply_reader *r, struct slice *in)
{
    if (r->handed_out)
        start_over(r);

    while (in->len > 0) {
        enum smtp_reply_got got;
        char c = *in->p;

        if (r->octets == SMTP_REPLY_OCTETS_MAX || !fits(r, c))
            return SMTP_REPLY_BAD;
        r->octets++;
        r->line[r->line_len++] = c;
        *in = slice_from(*in, 1);
        if (c != '\n')
            continue;

        got = add_line(r);
        if (got == SMTP_REPLY_PART)
            continue;
        r->handed_out = true;
        return got;
    }
    return SMTP_REPLY_PART;
}
