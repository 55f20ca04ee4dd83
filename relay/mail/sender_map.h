/*
 * relay/mail/sender_map - a table of senders and what they become.
 *
 * Read from a text that people write, one entry a line:
 *
 *     # whom            becomes
 *     root@app.lan      ops@example.com
 *     @app.lan          @example.com      (the local part stays)
 *     *                 noreply@example.com
 *
 * The exact address is looked for first, then its domain, then "*".  Case
 * makes no difference.  What an address becomes is not looked up again.
 */
#ifndef RELAY_MAIL_SENDER_MAP_H
#define RELAY_MAIL_SENDER_MAP_H

#include "relay/mail/address.h"

enum {
    MAIL_SENDER_MAP_MAX = 8 * 1024 * 1024, /* octets of the text */
};

struct mail_sender_map;

/* NULL with an error that begins with the number of the line. */
struct mail_sender_map *mail_sender_map_parse(struct slice text,
                                              struct err *err) must_use;
void mail_sender_map_free(struct mail_sender_map **m);

/* What the address becomes: "local@domain" or "@domain"; NULL: nothing else.
 * "*" counts only with `any`. */
const char *mail_sender_map_find(const struct mail_sender_map *m,
                                 const struct mail_address *a, bool any);

#endif
