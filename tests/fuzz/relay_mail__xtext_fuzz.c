#include "relay/mail/xtext.h"

#include "relay/base/own.h"
#include "relay/base/text.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool decode_fn(struct slice text, struct buf *out);
typedef void encode_fn(struct slice bytes, struct buf *out);

static void
check(struct slice text, decode_fn *decode, encode_fn *encode)
{
    scoped(buf_free) struct buf once = {0}, coded = {0}, twice = {0};

    if (!decode(text, &once)) {
        assert(once.len == 0);
        return;
    }
    for (size_t i = 0; i < once.len; i++)
        assert((unsigned char)once.p[i] >= ' ' && once.p[i] != 0x7F);
    assert(text_is_utf8(buf_slice(&once)));
    encode(buf_slice(&once), &coded);
    for (size_t i = 0; i < coded.len; i++)
        assert(coded.p[i] > ' ' && coded.p[i] < 0x7F);
    assert(decode(buf_slice(&coded), &twice));
    assert(once.len == twice.len);
    assert(once.len == 0 || memcmp(once.p, twice.p, once.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};

    check(text, mail_xtext_decode, mail_xtext_encode);
    check(text, mail_xtext_decode_utf8, mail_xtext_encode_utf8);
    return 0;
}
