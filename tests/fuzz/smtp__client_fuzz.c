/*
 * Whole sessions against a server of any kind.
 *
 * The first octets choose what the driver wants, the rest is what the server
 * sends, in segments ended by 0xff.  What must hold whatever comes:
 *
 *   - no MAIL in clear when TLS is required
 *   - success is said only of a message that was asked for by 354 or went by
 *     BDAT, was sent to its end, and was answered behind it by a whole line
 *     that starts with 2
 *   - each recipient hears one word at most and, before READY, at least one
 *   - with an account, nothing is mailed before AUTH has succeeded, nothing of
 *     it goes out in clear, and what the server echoes is not told
 *   - nothing follows OVER
 *   - a session that is not over either waits for somebody or is idle
 */
#include "smtp/client.h"

#include "relay/base/own.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RCPTS = 3, MAILS_MAX = 4, HAS_ACCOUNT = 0x80 };

static const char secret[] = "correct-horse";

struct play {
    struct smtp_client *c;
    uint8_t wish;
    struct smtp_client_mail mail;
    bool has_account, is_authentic;
    unsigned mails;
    bool is_tls, is_over, is_ready, is_open; /* open: a mail, no last word */
    bool has_body, has_end, has_word[RCPTS];
    char line[4]; /* the start of the line that is being heard */
    char last_line[4];
    bool is_whole; /* the last octet heard ended a line */
    size_t heard, heard_at_end, accepted;
};

static void
check_sent(struct play *p, bool in_body)
{
    struct buf *out = smtp_client_output(p->c);

    if (!in_body && (p->wish & 3) == SMTP_CLIENT_TLS_REQUIRED && !p->is_tls)
        assert(!out->len || (!memmem(out->p, out->len, "MAIL", 4) &&
                             !memmem(out->p, out->len, "AUTH", 4)));
    buf_clear(out);
}

static void
send_body(struct play *p)
{
    size_t pieces = p->wish >> 4 & 3;

    p->has_body = true;
    for (size_t i = 0; i < pieces; i++)
        smtp_client_body(p->c, slice_of(".x\r\n"));
    if (p->wish >> 6 == 3)
        return; /* the driver is slow */
    p->has_end = true;
    p->heard_at_end = p->heard;
    smtp_client_body_end(p->c);
}

static void
start_mail(struct play *p)
{
    p->mails++;
    p->is_open = true;
    p->has_body = p->has_end = false;
    memset(p->has_word, 0, sizeof(p->has_word));
    p->accepted = 0;
    smtp_client_mail(p->c, &p->mail);
}

static void
check_verdict(const struct play *p, const struct smtp_client_event *ev)
{
    assert(p->is_open && ev->reply);
    if (ev->reply->code / 100 != 2)
        return;
    assert(!ev->is_ours && p->has_body && p->has_end && p->accepted > 0);
    assert(p->heard >= p->heard_at_end + 5);
    assert(p->is_whole && p->last_line[0] == '2');
}

/* Without a verdict every recipient must have had a refusal. */
static void
check_ready(const struct play *p)
{
    for (size_t i = 0; p->is_open && i < p->mail.rcpt_count; i++)
        assert(p->has_word[i]);
    assert(!p->is_open || p->accepted == 0);
}

static void
derive(struct play *p)
{
    struct smtp_sasl_client_work work = smtp_client_auth_work(p->c);
    uint8_t salted[SMTP_SASL_SCRAM_KEY] = {1};

    assert(slice_is(work.password, secret) && work.salt.len > 0);
    smtp_client_salted(p->c, salted);
}

/* It ended in the middle of AUTH, or for want of it. */
static void
check_unsaid(const struct smtp_client_event *ev)
{
    if (ev->end != SMTP_CLIENT_END_AUTH && ev->end != SMTP_CLIENT_END_NO_AUTH)
        return;
    assert(!strstr(ev->err->text, secret));
    assert(!ev->reply || !strstr(ev->reply->text, secret));
}

static void
act_on(struct play *p, const struct smtp_client_event *ev)
{
    assert(!p->is_over);
    p->is_ready = false;
    switch (ev->kind) {
    case SMTP_CLIENT_START_TLS:
        assert(!p->is_tls && (p->wish & 3) != SMTP_CLIENT_TLS_NEVER);
        check_sent(p, false);
        p->is_tls = true;
        smtp_client_tls_up(p->c);
        break;
    case SMTP_CLIENT_DERIVE:
        assert(p->has_account && !p->is_authentic);
        derive(p);
        break;
    case SMTP_CLIENT_READY:
        check_ready(p);
        if (p->has_account && !p->is_authentic) {
            assert(strncmp(p->last_line, "235", 3) == 0);
            p->is_authentic = true;
        }
        p->is_open = false;
        p->is_ready = true;
        if (p->mails < MAILS_MAX)
            start_mail(p);
        else
            smtp_client_quit(p->c);
        break;
    case SMTP_CLIENT_RCPT:
        assert(p->is_open && ev->rcpt < RCPTS && !p->has_word[ev->rcpt]);
        assert(ev->reply->code / 100 != 3);
        p->has_word[ev->rcpt] = true;
        p->accepted += ev->reply->code / 100 == 2;
        break;
    case SMTP_CLIENT_BODY:
        assert(p->is_open && !p->has_body);
        send_body(p);
        break;
    case SMTP_CLIENT_VERDICT:
        check_verdict(p, ev);
        p->is_open = false;
        break;
    case SMTP_CLIENT_OVER:
        p->is_over = true;
        check_unsaid(ev);
        assert(!ev->reply || ev->reply->code >= 400);
        assert((ev->end == SMTP_CLIENT_END_QUIT) == !ev->err);
        break;
    }
}

static void
hear_octets(struct play *p, struct slice used)
{
    for (size_t i = 0; i < used.len; i++) {
        size_t at = strnlen(p->line, 3);

        p->heard++;
        p->is_whole = used.p[i] == '\n';
        if (p->is_whole) {
            memcpy(p->last_line, p->line, 4);
            p->line[0] = '\0';
        } else if (at < 3) {
            p->line[at] = used.p[i];
            p->line[at + 1] = '\0';
        }
    }
}

static void
hear(struct play *p, struct slice in)
{
    struct smtp_client_event ev;

    while (in.len > 0) {
        size_t used = smtp_client_feed(p->c, in);

        assert(used > 0 && used <= in.len);
        hear_octets(p, slice_first(in, used));
        in = slice_from(in, used);
        while (smtp_client_next(p->c, &ev))
            act_on(p, &ev);
        check_sent(p, p->has_body);
        assert(p->is_over || smtp_client_wait_s(p->c) > 0 || p->is_ready);
        assert(smtp_client_step(p->c)[0]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t rcpts[RCPTS] = {0, 1, 2};
    struct mail_rcpt list[RCPTS] = {
        {.address = "a@example.net", .orcpt = "rfc822;a@example.net"},
        {.address = "b@example.net", .notify = MAIL_NOTIFY_NEVER},
        {.address = "c@example.net", .notify = MAIL_NOTIFY_SUCCESS},
    };
    struct mail_envelope envelope = {
        .from = "s@example.org", .rcpt = list, .rcpt_count = RCPTS};
    struct slice in = slice_from((struct slice){(const char *)data, size}, 2);
    struct play p = {.wish = size > 2 ? data[0] : 3};
    struct smtp_sasl_account account = {
        .mechanisms = size > 2 ? data[1] >> 2 & 31 : 0,
        .user = "user",
        .secret = secret,
        .host = "mx.example.net",
        .nonce = "n",
    };

    if ((p.wish & 3) == 3)
        return 0;
    envelope.smtputf8 = p.wish & 4;
    envelope.requiretls = p.wish & 8;
    p.mail = (struct smtp_client_mail){.envelope = &envelope,
                                       .rcpt = rcpts,
                                       .rcpt_count = 1 + data[1] % RCPTS,
                                       .size = 8,
                                       .has_8bit = p.wish & 4};
    p.c = smtp_client_new("us", (enum smtp_client_tls)(p.wish & 3));
    p.has_account =
        data[1] & HAS_ACCOUNT && (p.wish & 3) != SMTP_CLIENT_TLS_OFFERED;
    if (p.has_account)
        smtp_client_authenticate(p.c, &account);
    while (in.len > 0)
        hear(&p, slice_cut(&in, '\xff'));
    smtp_client_free(&p.c);
    return 0;
}
