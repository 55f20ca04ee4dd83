/*
 * tests/smtp/dialog - the client engine against a script.
 *
 * A script is what goes over the line and what the engine says, in order:
 *
 *     S: 220 hi       the server sends a line; lines behind each other come in
 *                     one segment, "--" between them starts another
 *     R: 250 o^~      the server sends raw octets: ^ is CR, ~ is LF, @ is NUL
 *     C: EHLO us      the client sends a line
 *     ! ready         an event
 *
 * The driver here mails at READY, sends the body at BODY, and quits when all
 * is mailed.  A script is run with the server's octets cut at every place, and
 * octet by octet: nothing may change.
 */
#ifndef TESTS_SMTP_DIALOG_H
#define TESTS_SMTP_DIALOG_H

#include "relay/base/own.h"
#include "smtp/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct dialog {
    const char *script;
    enum smtp_client_tls tls;
    const struct smtp_sasl_account *account;
    const struct smtp_client_mail *mail;
    const char *pieces[3]; /* of the body */
    unsigned mails;        /* to send before QUIT */
    bool stays;            /* at READY instead of QUIT */
    bool stalls;           /* in the body: no body_end */
    bool is_by_segment;    /* the cut matters, so do not cut */
};

struct dialog_run {
    const struct dialog *d;
    struct smtp_client *c;
    struct buf log;
    unsigned mails;
    bool is_over;
};

static const char *
dialog_end(enum smtp_client_end end)
{
    static const char *const names[] = {
        [SMTP_CLIENT_END_QUIT] = "quit",
        [SMTP_CLIENT_END_REFUSED] = "refused",
        [SMTP_CLIENT_END_NO_STARTTLS] = "no-starttls",
        [SMTP_CLIENT_END_NO_AUTH] = "no-auth",
        [SMTP_CLIENT_END_AUTH] = "auth",
        [SMTP_CLIENT_END_PROTOCOL] = "protocol",
    };

    return names[end];
}

static void
dialog_note(struct dialog_run *run, const struct smtp_client_event *ev)
{
    static const char *const names[] = {
        [SMTP_CLIENT_START_TLS] = "start-tls",
        [SMTP_CLIENT_READY] = "ready",
        [SMTP_CLIENT_DERIVE] = "derive",
        [SMTP_CLIENT_RCPT] = "rcpt",
        [SMTP_CLIENT_BODY] = "body",
        [SMTP_CLIENT_VERDICT] = "verdict",
        [SMTP_CLIENT_OVER] = "over",
    };

    buf_printf(&run->log, "! %s", names[ev->kind]);
    if (ev->kind == SMTP_CLIENT_RCPT)
        buf_printf(&run->log, " %zu", ev->rcpt);
    if (ev->kind == SMTP_CLIENT_OVER)
        buf_printf(&run->log, " %s", dialog_end(ev->end));
    if (ev->is_ours)
        buf_add_text(&run->log, " ours");
    if (ev->reply)
        buf_printf(&run->log, " %s %d", ev->command, ev->reply->code);
    if (ev->err)
        buf_printf(&run->log, ": %s", ev->err->text);
    if (ev->kind == SMTP_CLIENT_OVER && smtp_client_is_in_doubt(run->c))
        buf_add_text(&run->log, " (in doubt)");
    buf_add_byte(&run->log, '\n');
}

static void
dialog_derive(struct smtp_client *c)
{
    struct smtp_sasl_client_work work = smtp_client_auth_work(c);
    uint8_t salted[SMTP_SASL_SCRAM_KEY];

    smtp_sasl_scram_salt(work.password, work.salt, work.iterations, salted);
    smtp_client_salted(c, salted);
}

static void
dialog_act(struct dialog_run *run, const struct smtp_client_event *ev)
{
    const struct dialog *d = run->d;

    switch (ev->kind) {
    case SMTP_CLIENT_START_TLS:
        smtp_client_tls_up(run->c);
        break;
    case SMTP_CLIENT_DERIVE:
        dialog_derive(run->c);
        break;
    case SMTP_CLIENT_READY:
        if (run->mails < d->mails)
            run->mails++, smtp_client_mail(run->c, d->mail);
        else if (!d->stays)
            smtp_client_quit(run->c);
        break;
    case SMTP_CLIENT_BODY:
        for (size_t i = 0; i < 3 && d->pieces[i]; i++)
            smtp_client_body(run->c, slice_of(d->pieces[i]));
        if (!d->stalls)
            smtp_client_body_end(run->c);
        break;
    case SMTP_CLIENT_OVER:
        assert_false(run->is_over);
        run->is_over = true;
        break;
    case SMTP_CLIENT_RCPT:
    case SMTP_CLIENT_VERDICT:
        break;
    }
}

static void
dialog_pump(struct dialog_run *run)
{
    struct buf *out = smtp_client_output(run->c);
    struct slice sent = buf_slice(out);
    struct smtp_client_event ev;

    while (smtp_client_next(run->c, &ev)) {
        dialog_note(run, &ev);
        dialog_act(run, &ev);
    }
    for (sent = buf_slice(out); sent.len > 0;) {
        struct slice line = slice_cut(&sent, '\n');

        assert_true(line.len > 0 && line.p[line.len - 1] == '\r');
        buf_printf(&run->log, "C: %.*s\n", (int)line.len - 1, line.p);
    }
    buf_clear(out);
}

static void
dialog_hear(struct dialog_run *run, struct slice in)
{
    while (in.len > 0) {
        in = slice_from(in, smtp_client_feed(run->c, in));
        dialog_pump(run);
    }
}

static void
dialog_add_line(struct slice line, struct buf *segment)
{
    struct slice bytes = slice_from(line, 3);

    if (line.p[0] == 'S') {
        buf_add(segment, bytes);
        buf_add_text(segment, "\r\n");
        return;
    }
    for (size_t i = 0; i < bytes.len; i++)
        buf_add_byte(segment, bytes.p[i] == '^'   ? '\r'
                              : bytes.p[i] == '~' ? '\n'
                              : bytes.p[i] == '@' ? '\0'
                                                  : bytes.p[i]);
}

static bool
dialog_is_server(struct slice line)
{
    return slice_starts_nocase(line, "S: ") || slice_starts_nocase(line, "R: ");
}

enum { DIALOG_WHOLE = 1000000, DIALOG_OCTETS };

/* Cuts at octet `cut` of all that the server sends; returns their number. */
static size_t
dialog_run_cut(const struct dialog *d, size_t cut)
{
    struct dialog_run run = {d, smtp_client_new("us", d->tls), .mails = 0};
    struct slice rest = slice_of(d->script);
    size_t heard = 0;

    if (d->account)
        smtp_client_authenticate(run.c, d->account);
    while (rest.len > 0) {
        scoped(buf_free) struct buf segment = {0};
        struct slice line = slice_cut(&rest, '\n');

        if (slice_is(line, "--"))
            buf_add_text(&run.log, "--\n");
        if (!dialog_is_server(line))
            continue;
        for (;;) {
            buf_printf(&run.log, "%.*s\n", (int)line.len, line.p);
            dialog_add_line(line, &segment);
            if (!dialog_is_server(rest))
                break;
            line = slice_cut(&rest, '\n');
        }
        for (size_t i = 0; i < segment.len;) {
            size_t n = segment.len - i;

            if (cut == DIALOG_OCTETS)
                n = 1;
            else if (cut > heard && cut - heard < n)
                n = cut - heard;
            dialog_hear(&run, (struct slice){segment.p + i, n});
            i += n, heard += n;
        }
    }
    if (strcmp(buf_text(&run.log), d->script) != 0) {
        printf("cut at %zu:\n%s", cut, buf_text(&run.log));
        assert_string_equal(buf_text(&run.log), d->script);
    }
    buf_free(&run.log);
    smtp_client_free(&run.c);
    return heard;
}

static inline void
dialog(const struct dialog *d)
{
    size_t total = dialog_run_cut(d, DIALOG_WHOLE);

    if (d->is_by_segment)
        return;
    for (size_t cut = 1; cut < total; cut++)
        (void)dialog_run_cut(d, cut);
    (void)dialog_run_cut(d, DIALOG_OCTETS);
}

#define DIALOG(...) dialog(&(struct dialog){__VA_ARGS__})

#endif
