/*
 * Answers of a token endpoint, of any kind.
 *
 *   - a token that is taken can stand in a line: printable, no space
 *   - it lives for a time that has an end
 *   - what a refusal says is short and printable, and shows no secret
 */
#include "relay/daemon/token_grant.h"

#include "relay/base/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_token(const char *token)
{
    size_t len = strlen(token);

    assert(len > 0 && len <= TOKEN_GRANT_MAX);
    for (size_t i = 0; i < len; i++)
        assert(token[i] > ' ' && token[i] <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct token_grant_ask ask = {
        .client_id = "id",
        .client_secret = "correct-horse",
        .refresh_token = "battery-staple",
        .scope = "",
    };
    struct slice json = {(const char *)data, size};
    struct token_grant g = {0};
    struct buf said = {0};
    struct err err = {0};

    if (token_grant_read(json, &g, &err)) {
        check_token(g.access);
        if (g.refresh)
            check_token(g.refresh);
        assert(g.life_s > 0 && g.life_s <= TOKEN_GRANT_LIFE_MAX_S);
    } else {
        assert(err.text[0] && !g.access && !g.refresh);
    }
    token_grant_done(&g);

    token_grant_refusal(json, &ask, &said);
    assert(said.len < 400 && text_is_utf8(buf_slice(&said)));
    assert(!strstr(buf_text(&said), "correct-horse"));
    assert(!strstr(buf_text(&said), "battery-staple"));
    for (size_t i = 0; i < said.len; i++)
        assert((unsigned char)said.p[i] >= ' ');
    buf_free(&said);
    return 0;
}
