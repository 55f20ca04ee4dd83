/* What is read as base64 is the one text for its octets, and all octets can be
 * written so (RFC 4648). */
#include "relay/base/base64.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    scoped(buf_free) struct buf octets = {0}, text = {0}, again = {0};

    if (base64_read(in, &octets)) {
        assert(octets.len <= size / 4 * 3);
        base64_add(buf_slice(&octets), &text);
        assert(text.len == size);
        assert(size == 0 || memcmp(text.p, data, size) == 0);
    } else {
        assert(octets.len == 0);
    }
    buf_clear(&text);
    base64_add(in, &text);
    assert(base64_read(buf_slice(&text), &again));
    assert(again.len == size);
    assert(size == 0 || memcmp(again.p, data, size) == 0);
    return 0;
}
