#include "relay/base/addr.h"
#include "relay/base/id.h"
#include "relay/base/own.h"
#include "relay/base/span.h"
#include "relay/base/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_shown(struct slice text)
{
    while (text.len > 0) {
        uint32_t code;
        size_t n = text_next(text, &code);

        assert(n > 0 && text_may_show(code));
        text = slice_from(text, n);
    }
}

static void
check_text(struct slice in, size_t max)
{
    scoped(buf_free) struct buf clean = {0}, again = {0}, json = {0};

    text_clean(in, max, &clean);
    assert(clean.len <= max && clean.len <= in.len);
    check_shown(buf_slice(&clean));
    text_clean(buf_slice(&clean), max, &again);
    assert(clean.len == again.len);
    assert(clean.len == 0 || memcmp(clean.p, again.p, clean.len) == 0);

    text_json(in, &json);
    check_shown(buf_slice(&json));
    assert(json.len >= 2 && json.p[0] == '"' && json.p[json.len - 1] == '"');
    for (size_t i = 1; i + 1 < json.len; i++) {
        assert(json.p[i] != '"');
        if (json.p[i] == '\\')
            i++;
    }
}

static void
check_addr(struct slice in)
{
    struct addr a, again;
    struct addr_net net;
    struct err err;
    char text[ADDR_TEXT_SIZE];

    if (addr_parse_port(in, 25, &a, &err)) {
        assert(addr_parse_port(slice_of(addr_text_port(&a, text)), 0, &again,
                               &err));
        assert(addr_is_same_host(&a, &again));
        assert(addr_port(&a) == addr_port(&again));
        assert(!addr_is_loopback(&a) || addr_is_special(&a));
    }
    if (addr_net_parse(in, &net, &err))
        assert(addr_is_in(&net.base, &net));
}

static void
check_values(struct slice in)
{
    struct span_rate rate;
    struct err err;
    char text[SPAN_TEXT_SIZE], id_out[ID_TEXT_SIZE];
    int64_t ms, ms_again;
    uint64_t number, again;

    if (span_parse(in, &ms, &err)) {
        assert(span_parse(slice_of(span_text(ms, text)), &ms_again, &err));
        assert(ms == ms_again);
    }
    if (span_parse_size(in, &number, &err)) {
        assert(span_parse_size(slice_of(span_size_text(number, text)), &again,
                               &err));
        assert(number == again);
    }
    if (span_parse_rate(in, &rate, &err))
        assert(rate.per_ms > 0);
    if (id_parse(in, &number))
        assert(slice_is(in, id_text(number, id_out)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};

    check_text(in, size / 2);
    check_addr(in);
    check_values(in);
    return 0;
}
