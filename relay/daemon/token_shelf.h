/*
 * relay/daemon/token_shelf - OAuth tokens as the store keeps them.
 *
 * Lines "key: value".
 */
#ifndef RELAY_DAEMON_TOKEN_SHELF_H
#define RELAY_DAEMON_TOKEN_SHELF_H

#include "relay/daemon/token_fetch.h"

enum { TOKEN_SHELF_SOURCE_SIZE = 65 }; /* SHA-256 in hexadecimal digits */

struct token_shelf {
    char source[TOKEN_SHELF_SOURCE_SIZE]; /* of the settings it was got with */
    char *access;                         /* NULL: there is none */
    char *refresh; /* that the server gave instead of the first; NULL: none */
    int64_t obtained_ms, expires_ms; /* steady clock */
};

/* Tells apart whose tokens they are, without telling it. */
void token_shelf_source(const struct token_fetch_place *place,
                        const struct token_grant_ask *ask,
                        char out[TOKEN_SHELF_SOURCE_SIZE]);

void token_shelf_format(const struct token_shelf *t, struct buf *out);
/* ERR_INPUT: none of ours. */
bool token_shelf_parse(struct slice text, struct token_shelf *out,
                       struct err *err) must_use;
void token_shelf_done(struct token_shelf *t); /* leaves an empty one */

#endif
