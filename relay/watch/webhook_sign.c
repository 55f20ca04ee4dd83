#include "relay/watch/webhook_sign.h"

#include "relay/base/base64.h"
#include "relay/base/own.h"

#include <inttypes.h>
#include <openssl/hmac.h>
#include <stdlib.h>

void
webhook_sign(struct slice key, const char *id, int64_t unix_s,
             struct slice body, struct buf *out)
{
    struct buf text scoped(buf_free) = {0};
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    buf_printf(&text, "%s.%" PRId64 ".", id, unix_s);
    buf_add(&text, body);
    /* RFC 2104, with SHA-256. */
    if (!HMAC(EVP_sha256(), key.p, (int)key.len, (const unsigned char *)text.p,
              text.len, mac, &len))
        abort(); /* out of memory */
    buf_printf(out,
               "webhook-id: %s\r\nwebhook-timestamp: %" PRId64
               "\r\nwebhook-signature: v1,",
               id, unix_s);
    base64_add((struct slice){(const char *)mac, len}, out);
    buf_add_text(out, "\r\n");
}
