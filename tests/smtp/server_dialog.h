/*
 * tests/smtp/server_dialog - plays a client, and a driver, to the server
 * engine.
 *
 * A dialog is a list of steps: what the client sends in one go, and the log
 * that this must give.  In the log a line with "!" is an event, any other a
 * reply; of a reply of many lines only the last is there.  A body is shown with
 * its END, CRLF as "|".
 *
 * Each dialog is played whole, cut in two at every octet, cut everywhere, and
 * with a driver who answers late: the log must be the same each time.
 */
#ifndef TESTS_SMTP_SERVER_DIALOG_H
#define TESTS_SMTP_SERVER_DIALOG_H

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "smtp/server.h"

#include <stdlib.h>

struct step {
    const char *in;
    size_t len;
    const char *log;
};

#define SAYS(octets, log)                                                      \
    {                                                                          \
        octets, sizeof(octets) - 1, log                                        \
    }

struct dialog {
    struct step steps[16];
    struct smtp_server_config config; /* what is 0 gets a default */
    const uint8_t *binding;           /* that TLS gives */
    bool refuses_data, refuses_end;   /* the driver */
    bool is_rude; /* octets come where they may not: cuts change the outcome */
};

struct play {
    const struct dialog *d;
    struct smtp_server *s;
    struct buf body, log;
    bool is_late, is_over;
};

static inline void
show(struct buf *out, struct slice octets)
{
    for (size_t i = 0; i < octets.len; i++) {
        unsigned char c = (unsigned char)octets.p[i];

        if (c == '\r' && i + 1 < octets.len && octets.p[i + 1] == '\n')
            continue;
        if (c == '\n' && i > 0 && octets.p[i - 1] == '\r')
            buf_add_byte(out, '|');
        else if (c < ' ')
            buf_printf(out, "\\x%02x", c);
        else
            buf_add_byte(out, (char)c);
    }
}

/* "no@..." may not, "later@..." may not now. */
static inline struct mail_status
judge(const char *address)
{
    struct mail_status status;

    if (strncmp(address, "no@", 3) == 0)
        mail_status_set(&status, 550, "5.7.1", "no");
    else if (strncmp(address, "later@", 6) == 0)
        mail_status_set(&status, 450, "4.3.0", "later");
    else
        mail_status_set(&status, 250, "2.1.0", "yes");
    return status;
}

/* RFC 7677 section 3: everybody has the password "pencil". */
static inline void
verify(struct smtp_server *s)
{
    static const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12,
                                   0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14,
                                   0x12, 0x36, 0xfa, 0x81};
    static struct smtp_sasl_verifier v;

    if (v.iterations == 0)
        smtp_sasl_verifier_make(
            slice_of("pencil"),
            (struct slice){(const char *)salt, sizeof(salt)}, 4096, &v);
    smtp_server_verify(s, &v, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
}

/* The password says what comes of it. */
static inline struct mail_status
judge_login(const struct smtp_server_auth *auth)
{
    struct mail_status status;

    if (auth->why)
        mail_status_set(&status, 535, "5.7.8", "no");
    else if (auth->is_proven || slice_is(auth->password, "right"))
        mail_status_set(&status, 235, "2.7.0", "welcome");
    else if (slice_is(auth->password, "later"))
        mail_status_set(&status, 454, "4.7.0", "later");
    else if (slice_is(auth->password, "flood"))
        mail_status_set(&status, 421, "4.7.0", "go away");
    else
        mail_status_set(&status, 535, "5.7.8", "no");
    return status;
}

static inline void
answer_event(struct play *p, const struct smtp_server_event *ev)
{
    struct mail_status status;

    switch (ev->kind) {
    case SMTP_SERVER_MAIL:
    case SMTP_SERVER_RCPT:
        status = judge(ev->address->text);
        break;
    case SMTP_SERVER_DATA:
        if (p->d->refuses_data)
            mail_status_set(&status, 452, "4.3.1", "full");
        else
            mail_status_set(&status, 250, "2.0.0", "go");
        break;
    case SMTP_SERVER_END:
        if (p->d->refuses_end)
            mail_status_set(&status, 554, "5.4.6", "loop");
        else
            mail_status_set(&status, 250, "2.0.0", "queued");
        break;
    case SMTP_SERVER_START_TLS:
        smtp_server_tls_up(p->s);
        if (p->d->binding)
            smtp_server_bind(p->s, p->d->binding);
        return;
    case SMTP_SERVER_VERIFIER:
        if (strncmp(ev->auth.user, "later", 5) != 0) {
            verify(p->s);
            return;
        }
        mail_status_set(&status, 454, "4.7.0", "later");
        break;
    case SMTP_SERVER_AUTH:
        status = judge_login(&ev->auth);
        break;
    case SMTP_SERVER_BODY:
    case SMTP_SERVER_DROP:
    case SMTP_SERVER_OVER:
        return;
    }
    smtp_server_answer(p->s, &status);
}

static inline void
log_event(struct play *p, const struct smtp_server_event *ev)
{
    assert_false(p->is_over);
    switch (ev->kind) {
    case SMTP_SERVER_START_TLS:
        buf_add_text(&p->log, "! start-tls\n");
        break;
    case SMTP_SERVER_MAIL:
        buf_printf(&p->log, "! mail %s", ev->address->text);
        if (ev->size)
            buf_printf(&p->log, " %llu", (unsigned long long)ev->size);
        buf_add_byte(&p->log, '\n');
        break;
    case SMTP_SERVER_RCPT:
        buf_printf(&p->log, "! rcpt %s\n", ev->address->text);
        break;
    case SMTP_SERVER_DATA:
        assert_int_equal(p->body.len, 0);
        buf_add_text(&p->log, "! data\n");
        break;
    case SMTP_SERVER_BODY:
        assert_true(ev->body.len > 0);
        buf_add(&p->body, ev->body);
        break;
    case SMTP_SERVER_END:
        buf_add_text(&p->log, "! end ");
        show(&p->log, buf_slice(&p->body));
        buf_add_byte(&p->log, '\n');
        buf_clear(&p->body);
        break;
    case SMTP_SERVER_DROP:
        buf_printf(&p->log, "! drop %s\n", ev->why);
        buf_clear(&p->body);
        break;
    case SMTP_SERVER_OVER:
        buf_printf(&p->log, "! over %s\n", ev->why);
        p->is_over = true;
        break;
    case SMTP_SERVER_VERIFIER:
        buf_printf(&p->log, "! verifier %s\n", ev->auth.user);
        break;
    case SMTP_SERVER_AUTH:
        buf_printf(&p->log, "! auth %s %s", ev->auth.mechanism, ev->auth.user);
        if (ev->auth.password.len > 0)
            buf_printf(&p->log, " with %.*s", (int)ev->auth.password.len,
                       ev->auth.password.p);
        buf_printf(&p->log, "%s%s%s\n", ev->auth.is_proven ? " proven" : "",
                   ev->auth.why ? ", but " : "",
                   ev->auth.why ? ev->auth.why : "");
        break;
    }
}

static inline void
log_output(struct play *p)
{
    struct buf *out = smtp_server_output(p->s);
    struct slice rest = buf_slice(out);

    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');

        assert_true(line.len >= 4 && line.len < 512);
        assert_int_equal(line.p[line.len - 1], '\r');
        if (line.p[3] == '-')
            continue;
        line.len--;
        buf_add(&p->log, line);
        buf_add_byte(&p->log, '\n');
    }
    buf_clear(out);
}

/* What is owed an answer takes nothing in the meantime. */
static inline void
dawdle(struct play *p, struct slice rest)
{
    assert_int_equal(smtp_server_wait_ms(p->s), 0);
    if (rest.len > 0)
        assert_int_equal(smtp_server_feed(p->s, rest), 0);
}

static inline bool
is_question(enum smtp_server_event_kind kind)
{
    return kind == SMTP_SERVER_MAIL || kind == SMTP_SERVER_RCPT ||
           kind == SMTP_SERVER_DATA || kind == SMTP_SERVER_END ||
           kind == SMTP_SERVER_VERIFIER || kind == SMTP_SERVER_AUTH;
}

static inline void
attend(struct play *p, struct slice rest)
{
    struct smtp_server_event ev;

    while (smtp_server_next(p->s, &ev)) {
        log_event(p, &ev);
        if (p->is_late && is_question(ev.kind))
            dawdle(p, rest);
        answer_event(p, &ev);
    }
    log_output(p);
}

static inline void
hear(struct play *p, struct slice in)
{
    while (in.len > 0 && !p->is_over) {
        size_t used = smtp_server_feed(p->s, in);

        in = slice_from(in, used);
        attend(p, in);
        assert_true(used > 0 || p->is_over);
    }
}

static inline struct smtp_server *
new_server(const struct smtp_server_config *given)
{
    struct smtp_server_config config = *given;

    config.hostname = config.hostname ? config.hostname : "mx.example";
    config.size_max = config.size_max ? config.size_max : 100000;
    config.rcpt_max = config.rcpt_max ? config.rcpt_max : 3;
    return smtp_server_new(&config);
}

/* Greets, says EHLO, and gives the reply to that. */
static inline const char *
ehlo_reply(struct smtp_server *s)
{
    smtp_server_greet(s, NULL);
    buf_clear(smtp_server_output(s));
    smtp_server_feed(s, slice_of("EHLO c\r\n"));
    return buf_text(smtp_server_output(s));
}

/* Hears `in` in pieces that end at offset `cut` of the whole dialog, or of one
 * octet each when `cut` is SIZE_MAX. */
static inline void
hear_cut(struct play *p, struct slice in, size_t offset, size_t cut)
{
    if (cut == SIZE_MAX) {
        for (size_t i = 0; i < in.len; i++)
            hear(p, slice_first(slice_from(in, i), 1));
    } else if (cut > offset && cut < offset + in.len) {
        hear(p, slice_first(in, cut - offset));
        hear(p, slice_from(in, cut - offset));
    } else {
        hear(p, in);
    }
}

static inline void
play_once(const struct dialog *d, size_t cut, bool is_late)
{
    struct play p = {.d = d, .s = new_server(&d->config), .is_late = is_late};
    size_t offset = 0;

    smtp_server_greet(p.s, NULL);
    attend(&p, (struct slice){0});
    assert_string_equal(buf_text(&p.log), "220 mx.example ESMTP\n");
    for (const struct step *step = d->steps; step->in; step++) {
        buf_clear(&p.log);
        hear_cut(&p, (struct slice){step->in, step->len}, offset, cut);
        if (strcmp(buf_text(&p.log), step->log) != 0)
            print_error("step %zu, cut at %zd%s\n", step - d->steps,
                        (ssize_t)cut, is_late ? ", late" : "");
        assert_string_equal(buf_text(&p.log), step->log);
        offset += step->len;
    }
    buf_free(&p.body);
    buf_free(&p.log);
    smtp_server_free(&p.s);
}

static inline void
play_all(const struct dialog *d)
{
    size_t len = 0;

    play_once(d, 0, false);
    play_once(d, 0, true);
    if (d->is_rude)
        return;
    for (const struct step *step = d->steps; step->in; step++)
        len += step->len;
    for (size_t cut = 1; cut < len && len < 5000; cut++)
        play_once(d, cut, cut % 2);
    play_once(d, SIZE_MAX, false);
    play_once(d, SIZE_MAX, true);
}

/* DIALOG({steps}, other members of struct dialog) */
#define DIALOG(...) play_all(&(const struct dialog){.steps = __VA_ARGS__})

#define EHLO SAYS("EHLO c.example\r\n", "250 CHUNKING\n")
#define MAIL                                                                   \
    SAYS("MAIL FROM:<a@b.example>\r\n", "! mail a@b.example\n250 2.1.0 yes\n")
#define RCPT                                                                   \
    SAYS("RCPT TO:<c@d.example>\r\n", "! rcpt c@d.example\n250 2.1.0 yes\n")
#define DATA SAYS("DATA\r\n", "! data\n354 End with CRLF.CRLF\n")
#define QUIT SAYS("QUIT\r\n", "! over quit\n221 2.0.0 Bye\n")

#endif
