/*
 * One exchange of SASL with a client of any kind.
 *
 * The first octet chooses the mechanism; the lines behind it are the client's
 * responses, as octets.  Whatever comes, nobody proves what he doesn't know, an
 * exchange ends once, and what it leaves is fit for the next step.
 */
#include "smtp/sasl_server.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct smtp_sasl_verifier nobody = {.iterations = 4096,
                                                 .salt_len = 16};
static const uint8_t binding[SMTP_SASL_BINDING] = {1};

static void
check_end(const struct smtp_sasl_server *s, enum smtp_sasl_next next)
{
    assert(!s->is_proven);
    if (next != SMTP_SASL_JUDGE)
        return;
    assert(s->user);
    assert(s->why || s->user[0]);
    assert(s->password.len == 0 || !memchr(s->password.p, 0, s->password.len));
}

static void
check_challenge(const struct buf *out)
{
    assert(out->len < 512);
    for (size_t i = 0; i < out->len; i++)
        assert(out->p[i] > ' ' && out->p[i] < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum smtp_sasl_mechanism mechanisms[] = {
        SMTP_SASL_PLAIN, SMTP_SASL_LOGIN, SMTP_SASL_SCRAM_SHA_256,
        SMTP_SASL_SCRAM_SHA_256};
    enum smtp_sasl_next next = SMTP_SASL_CHALLENGE;
    scoped(buf_free) struct buf out = {0};
    struct smtp_sasl_server s;
    struct slice in;

    if (size == 0)
        return 0;
    in = (struct slice){(const char *)data + 1, size - 1};
    smtp_sasl_server_begin(&s, mechanisms[data[0] % 4], data[0] % 4 == 3,
                           data[0] & 4 || data[0] % 4 == 3 ? binding : NULL);
    while (in.len > 0 && next == SMTP_SASL_CHALLENGE) {
        buf_clear(&out);
        next = smtp_sasl_server_feed(&s, slice_cut(&in, '\n'), &out);
        if (next == SMTP_SASL_VERIFIER)
            next = smtp_sasl_server_verify(&s, &nobody, "nonce", &out);
        check_challenge(&out);
    }
    check_end(&s, next);
    smtp_sasl_server_done(&s);
    return 0;
}
