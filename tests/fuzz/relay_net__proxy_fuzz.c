/* Any octets as the beginning of a connection: the verdict does not depend on
 * what stands behind a header, and none is given before all of it is there. */
#include "relay/net/proxy.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct net_proxy whole, part;
    struct err err;
    enum net_proxy_step step = net_proxy_parse(in, &whole, &err);

    if (step == NET_PROXY_WAITS)
        assert(size < NET_PROXY_HEADER_MAX);
    if (step != NET_PROXY_DONE)
        return 0;
    assert(whole.len <= size && whole.len <= NET_PROXY_HEADER_MAX);
    assert((whole.kind == NET_PROXY_CLIENT) ==
           (whole.client.any.sa_family != AF_UNSPEC));
    for (size_t i = 0; i < whole.len; i++)
        assert(net_proxy_parse(slice_first(in, i), &part, &err) ==
               NET_PROXY_WAITS);
    assert(net_proxy_parse(slice_first(in, whole.len), &part, &err) ==
           NET_PROXY_DONE);
    assert(part.len == whole.len);
    return 0;
}
