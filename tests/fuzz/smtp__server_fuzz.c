/*
 * Whole sessions with a client of any kind.
 *
 * The first octet chooses what is offered and how the driver answers, the rest
 * is what the client sends.  What must hold whatever comes:
 *
 *   - questions come in their order: MAIL, RCPT, DATA; a body only behind DATA,
 *     and for each body one END or one DROP
 *   - a message that ends is canonical, within its limit, and has an envelope
 *   - a command gets one reply, the end of the session at most one more
 *   - nobody logs in twice, or without the right password
 *   - nothing follows OVER
 *   - the session is the same line by line and octet by octet
 */
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "smtp/server.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_LIMIT = 200, RCPTS = 3 };

enum wish {
    TLS = 1,
    LATE = 2,
    NO_DATA = 4,
    NO_END = 8,
    INSIDE = 16,
    LOGINS = 32
};

struct play {
    struct smtp_server *s;
    uint8_t wish;
    bool is_over, has_mail, has_rcpt, has_body;
    struct buf body, log;
    size_t replies; /* in the last call */
};

static void
check_body(const struct buf *body)
{
    assert(body->len <= SIZE_LIMIT + 2);
    for (size_t i = 0; i < body->len; i++) {
        bool is_cr = body->p[i] == '\r';
        bool before_lf = i + 1 < body->len && body->p[i + 1] == '\n';
        bool is_lf = body->p[i] == '\n';

        assert(body->p[i] != '\0' && (!is_cr || before_lf));
        assert(!is_lf || (i > 0 && body->p[i - 1] == '\r'));
    }
    assert(body->len == 0 || body->p[body->len - 1] == '\n');
}

static void
check_text(const char *text)
{
    for (; *text; text++)
        assert((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void
check_envelope(struct smtp_server *s)
{
    scoped(mail_envelope_done) struct mail_envelope e = {0};

    smtp_server_take_envelope(s, &e);
    assert(e.from && e.rcpt_count > 0 && e.rcpt_count <= RCPTS);
    assert(!e.requiretls || smtp_server_is_tls(s));
    check_text(e.from);
    for (size_t i = 0; i < e.rcpt_count; i++) {
        check_text(e.rcpt[i].address);
        check_text(e.rcpt[i].domain);
        assert(strchr(e.rcpt[i].address, '@') && e.rcpt[i].domain[0]);
    }
}

/* Nobody can prove that he knows what the hash of zeroes is made of. */
static bool
note_login(const struct smtp_server_event *ev, bool *is_ok)
{
    struct slice password = ev->auth.password;

    assert(!ev->auth.is_proven);
    assert(ev->auth.why || ev->auth.user[0]);
    *is_ok = ev->kind == SMTP_SERVER_VERIFIER ||
             (!ev->auth.why && password.len > 0 && password.p[0] == 'r');
    return true;
}

/* True when there is something to answer. */
static bool
note_event(struct play *p, const struct smtp_server_event *ev, bool *is_ok)
{
    assert(!p->is_over);
    *is_ok = true;
    if (ev->kind != SMTP_SERVER_BODY) /* cut as the octets were */
        buf_printf(&p->log, "! %d\n", (int)ev->kind);
    switch (ev->kind) {
    case SMTP_SERVER_START_TLS:
        assert(!smtp_server_is_tls(p->s));
        smtp_server_tls_up(p->s);
        p->has_mail = p->has_rcpt = false;
        return false;
    case SMTP_SERVER_MAIL:
        assert(!p->has_body);
        *is_ok = ev->address->text[0] != 'x';
        p->has_mail = *is_ok;
        p->has_rcpt = false;
        return true;
    case SMTP_SERVER_RCPT:
        assert(p->has_mail && !p->has_body && ev->address->text[0]);
        *is_ok = ev->address->text[0] != 'x';
        p->has_rcpt |= *is_ok;
        return true;
    case SMTP_SERVER_DATA:
        assert(p->has_rcpt && !p->has_body);
        *is_ok = !(p->wish & NO_DATA);
        p->has_body = *is_ok;
        p->has_rcpt = *is_ok;
        return true;
    case SMTP_SERVER_BODY:
        assert(p->has_body && ev->body.len > 0);
        buf_add(&p->body, ev->body);
        return false;
    case SMTP_SERVER_END:
        assert(p->has_body);
        check_body(&p->body);
        check_envelope(p->s);
        buf_add(&p->log, buf_slice(&p->body));
        buf_clear(&p->body);
        p->has_body = p->has_mail = p->has_rcpt = false;
        *is_ok = !(p->wish & NO_END);
        return true;
    case SMTP_SERVER_DROP:
        assert(p->has_body);
        buf_clear(&p->body);
        p->has_body = false;
        return false;
    case SMTP_SERVER_OVER:
        assert(!p->has_body && ev->why);
        p->is_over = true;
        return false;
    case SMTP_SERVER_VERIFIER:
    case SMTP_SERVER_AUTH:
        assert((p->wish & LOGINS) && !p->has_body && ev->auth.user);
        assert(!smtp_server_user(p->s));
        return note_login(ev, is_ok);
    }
    return false;
}

static void
answer(struct play *p, const struct smtp_server_event *ev, bool is_ok,
       struct slice rest)
{
    static const struct smtp_sasl_verifier nobody = {.iterations = 4096,
                                                     .salt_len = 16};
    struct mail_status status;

    if (is_ok)
        mail_status_set(&status, 250, "2.0.0", "yes");
    else
        mail_status_set(&status, 451, "4.3.0", "no");
    assert(smtp_server_wait_ms(p->s) == 0);
    if (p->wish & LATE)
        assert(smtp_server_feed(p->s, rest) == 0);
    if (ev->kind == SMTP_SERVER_VERIFIER)
        smtp_server_verify(p->s, &nobody, "nonce");
    else
        smtp_server_answer(p->s, &status);
}

static void
note_output(struct play *p)
{
    struct buf *out = smtp_server_output(p->s);
    struct slice rest = buf_slice(out);

    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');

        assert(line.len >= 5 && line.len <= 511);
        assert(line.p[0] >= '2' && line.p[0] <= '5');
        assert(line.p[line.len - 1] == '\r');
        p->replies += line.p[3] == ' ';
        for (size_t i = 0; i + 1 < line.len; i++)
            assert((unsigned char)line.p[i] >= ' ');
    }
    buf_add(&p->log, buf_slice(out));
    buf_clear(out);
}

static void
attend(struct play *p, struct slice rest)
{
    struct smtp_server_event ev;
    bool is_ok;

    while (smtp_server_next(p->s, &ev))
        if (note_event(p, &ev, &is_ok))
            answer(p, &ev, is_ok, rest);
    note_output(p);
}

static void
hear(struct play *p, struct slice in)
{
    while (in.len > 0 && !p->is_over) {
        bool was_in_body = smtp_server_is_in_body(p->s);
        size_t used = smtp_server_feed(p->s, in);
        bool is_line = used > 0 && in.p[used - 1] == '\n';

        p->replies = 0;
        in = slice_from(in, used);
        attend(p, in);
        assert(used > 0 || p->is_over);
        assert(p->replies <= 1U + p->is_over);
        if (is_line && !was_in_body && !smtp_server_is_in_body(p->s))
            assert(p->replies > 0);
    }
    if (p->is_over)
        assert(smtp_server_feed(p->s, slice_of("NOOP\r\n")) == 0);
}

static void
start(struct play *p, uint8_t wish)
{
    const struct smtp_server_config config = {
        .hostname = "mx.example",
        .size_max = SIZE_LIMIT,
        .rcpt_max = RCPTS,
        .offer_starttls = wish & TLS,
        .offer_requiretls = wish & TLS,
        .is_tls = wish & INSIDE,
        .auth = wish & LOGINS ? SMTP_SASL_SERVER_ALL : 0,
    };

    *p = (struct play){.s = smtp_server_new(&config), .wish = wish};
    smtp_server_greet(p->s, NULL);
    attend(p, (struct slice){0});
}

static void
end(struct play *p)
{
    if (!p->is_over) {
        smtp_server_timeout(p->s);
        attend(p, (struct slice){0});
        assert(p->is_over);
    }
    smtp_server_free(&p->s);
    buf_free(&p->body);
    buf_free(&p->log);
}

static void
check_cuts(uint8_t wish, struct slice in)
{
    struct play lines, octets;

    start(&lines, wish);
    start(&octets, wish);
    for (size_t i = 0; i < in.len; i++)
        hear(&octets, slice_first(slice_from(in, i), 1));
    while (in.len > 0) {
        const char *lf = memchr(in.p, '\n', in.len);
        size_t n = lf ? (size_t)(lf - in.p) + 1 : in.len;

        hear(&lines, slice_first(in, n));
        in = slice_from(in, n);
    }
    assert(lines.log.len == octets.log.len);
    assert(memcmp(lines.log.p, octets.log.p, lines.log.len) == 0);
    end(&lines);
    end(&octets);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play whole;
    struct slice in;

    if (size == 0)
        return 0;
    in = (struct slice){(const char *)data + 1, size - 1};
    start(&whole, data[0]);
    hear(&whole, in);
    end(&whole);
    check_cuts(data[0], in);
    return 0;
}
