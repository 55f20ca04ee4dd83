/*
 * One exchange of SASL against a server of any kind: the first octet chooses
 * the mechanism, the rest is what stands behind each 334, ended by 0xff.
 *
 *   - it answers only so many challenges
 *   - SCRAM shows no password, and takes nobody's word without a signature
 */
#include "smtp/sasl_client.h"

#include "relay/base/own.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "correct-horse";

static void
check_answer(enum smtp_sasl_mechanism m, struct buf *answer)
{
    if (m == SMTP_SASL_SCRAM_SHA_256 && answer->len > 0)
        assert(!memmem(answer->p, answer->len, secret, sizeof(secret) - 1));
    buf_clear(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_sasl_account account = {.user = "us=er,",
                                        .secret = secret,
                                        .host = "mx.example.net",
                                        .port = 587,
                                        .nonce = "n"};
    enum smtp_sasl_mechanism m = size ? data[0] % SMTP_SASL_COUNT : 0;
    struct slice in = slice_from((struct slice){(const char *)data, size}, 1);
    struct smtp_sasl_client *c = smtp_sasl_client_new(&account, m);
    uint8_t salted[SMTP_SASL_SCRAM_KEY] = {7};
    struct buf answer = {0};
    unsigned answered = 0;
    struct err err = {0};

    if (size && data[0] & 0x80 && smtp_sasl_client_initial(c, &answer)) {
        check_answer(m, &answer);
        smtp_sasl_client_sent_initial(c);
    }
    while (in.len > 0) {
        enum smtp_sasl_client_move move = smtp_sasl_client_challenge(
            c, slice_cut(&in, '\xff'), &answer, &err);

        if (move == SMTP_SASL_CLIENT_CANCEL)
            break;
        if (move == SMTP_SASL_CLIENT_DERIVE) {
            assert(m == SMTP_SASL_SCRAM_SHA_256);
            assert(smtp_sasl_client_work(c).iterations >=
                   SMTP_SASL_SCRAM_ITERATIONS_MIN);
            smtp_sasl_client_salted(c, salted, &answer);
        }
        check_answer(m, &answer);
        assert(++answered <= 3);
    }
    if (m == SMTP_SASL_SCRAM_SHA_256)
        assert(!smtp_sasl_client_is_proven(c, &err));
    buf_free(&answer);
    smtp_sasl_client_free(&c);
    return 0;
}
