#include "smtp/intake.h"

void
smtp_intake_open(struct smtp_server *s)
{
    s->unstuff = (struct smtp_unstuff){0};
    s->body_open = true;
}

/* By how much the message goes over the limit with `more` octets. */
static uint64_t
excess(const struct smtp_server *s, uint64_t more)
{
    uint64_t sum;

    if (__builtin_add_overflow(s->unstuff.octets, more, &sum))
        return UINT64_MAX;
    return sum > s->config.size_max ? sum - s->config.size_max : 0;
}

bool
smtp_intake_is_too_large(const struct smtp_server *s, uint64_t more)
{
    return excess(s, more) > 0;
}

bool
smtp_intake_is_flood(const struct smtp_server *s, uint64_t more)
{
    return excess(s, more) > s->config.size_max;
}

enum smtp_session_turn
smtp_intake_end_flood(struct smtp_server *s)
{
    return smtp_session_close(s, s->too_large, "message far too large");
}

/* NULL: the body so far is one that we take. */
static const char *
fault(const struct smtp_server *s)
{
    unsigned flaws = s->unstuff.flaws;

    if (smtp_intake_is_too_large(s, 0))
        return s->too_large;
    if (flaws & SMTP_UNSTUFF_BARE_LF)
        return "550 5.6.0 Message has a LF without CR";
    if (flaws & SMTP_UNSTUFF_BARE_CR)
        return "550 5.6.0 Message has a CR without LF";
    if (flaws & SMTP_UNSTUFF_NUL)
        return "550 5.6.0 Message has a NUL octet";
    if (flaws & SMTP_UNSTUFF_LONG_LINE)
        return "550 5.6.0 Message has a line longer than 65536 octets";
    return NULL;
}

/* Hands a piece on, or drops the body when that piece has spoilt it. */
static void
pass(struct smtp_server *s, struct slice piece)
{
    if (fault(s))
        smtp_session_drop(s,
                          fault(s) == s->too_large ? "too large" : "malformed");
    else if (piece.len > 0)
        smtp_session_event(s, SMTP_SERVER_BODY)->body = piece;
}

/* The octets are all in. */
static enum smtp_session_turn
finish(struct smtp_server *s)
{
    const char *refusal = fault(s);

    s->mode = SMTP_SESSION_COMMANDS;
    if (!refusal) {
        s->body_open = false;
        smtp_session_event(s, SMTP_SERVER_END);
        return smtp_session_ask(s, SMTP_SESSION_ASK_END);
    }
    smtp_session_reply(s, refusal);
    smtp_session_reset(s, "malformed");
    return SMTP_SESSION_PEER;
}

enum smtp_session_turn
smtp_intake_data(struct smtp_server *s, struct slice *in)
{
    struct slice piece;
    bool ended = smtp_unstuff_data(&s->unstuff, in, &piece);

    if (smtp_intake_is_flood(s, 0))
        return smtp_intake_end_flood(s);
    pass(s, piece);
    return ended ? finish(s) : SMTP_SESSION_PEER;
}

static enum smtp_session_turn
end_chunk(struct smtp_server *s)
{
    static const struct slice crlf = {"\r\n", 2};

    if (!s->last && !fault(s)) {
        s->mode = SMTP_SESSION_COMMANDS;
        s->state = SMTP_SESSION_BDAT;
        smtp_session_reply(s, "250 2.0.0 Chunk received");
        return SMTP_SESSION_PEER;
    }
    /* Deviation: a last line without CRLF gets one, because lines are how a
     * message is kept.  No DKIM signature suffers (RFC 6376 section 3.4.3). */
    if (s->last && s->unstuff.octets > 0 &&
        smtp_unstuff_chunks_end(&s->unstuff))
        pass(s, crlf);
    return finish(s);
}

enum smtp_session_turn
smtp_intake_chunk(struct smtp_server *s, struct slice *in)
{
    struct slice piece = *in;

    if (piece.len > s->left)
        piece.len = (size_t)s->left;
    *in = slice_from(*in, piece.len);
    s->left -= piece.len;
    smtp_unstuff_chunk(&s->unstuff, piece);
    pass(s, piece);
    return s->left == 0 ? end_chunk(s) : SMTP_SESSION_PEER;
}

enum smtp_session_turn
smtp_intake_chunk_start(struct smtp_server *s)
{
    s->mode = SMTP_SESSION_CHUNK;
    return s->left == 0 ? end_chunk(s) : SMTP_SESSION_PEER;
}

static enum smtp_session_turn
end_skip(struct smtp_server *s)
{
    s->mode = SMTP_SESSION_COMMANDS;
    smtp_session_reply(s, buf_text(&s->refusal));
    buf_clear(&s->refusal);
    return SMTP_SESSION_PEER;
}

/* RFC 3030 section 2: a refused chunk is read all the same. */
enum smtp_session_turn
smtp_intake_skip(struct smtp_server *s, struct slice *in)
{
    size_t n = s->left < in->len ? (size_t)s->left : in->len;

    *in = slice_from(*in, n);
    s->left -= n;
    return s->left == 0 ? end_skip(s) : SMTP_SESSION_PEER;
}

enum smtp_session_turn
smtp_intake_skip_start(struct smtp_server *s)
{
    s->mode = SMTP_SESSION_SKIP;
    return s->left == 0 ? end_skip(s) : SMTP_SESSION_PEER;
}
