/*
 * relay/config/check - what no single key can say for itself: defaults
 * that depend on the machine, and values that must fit each other.
 */
#ifndef RELAY_CONFIG_CHECK_H
#define RELAY_CONFIG_CHECK_H

#include "relay/config/value.h"

/* Fills in what is still open in c, whose keys are all parsed, and reports
 * what does not fit. */
void config_check(struct config *c, struct config_errors *errs);

/* ---- config_listener.c ---- */

/* What does not fit in listeners and TLS towards clients. */
void config_check_listeners(struct config *c, struct config_errors *errs);

/* True when `where` is an address to listen on; *peer has family AF_UNSPEC for
 * a Unix socket. */
bool config_check_where(const char *where, struct addr *peer,
                        struct err *err) must_use;

/* Wider than any network of one's own: the Internet. */
bool config_check_is_wide(const struct addr_net *net);

/* ---- config_rewrite.c ---- */

/* The block `rewrite`; reads the sender map. */
void config_check_rewrite(struct config *c, struct config_errors *errs);

/* ---- config_auth.c ---- */

/* What does not fit in who may log in; reads the users file. */
void config_check_auth(struct config *c, struct config_errors *errs);

/* ---- for all of them ---- */

struct config_setting *config_check_setting(const struct config *c,
                                            const char *section,
                                            const char *title, const char *key);

/* An error of a key.  A key that was left out is to be looked for in its
 * block. */
void config_check_blame(const struct config *c, struct config_errors *errs,
                        const char *section, const char *title, const char *key,
                        const char *why);

/* ---- config_route.c ---- */
void config_route_check(struct config *c, struct config_errors *errs,
                        struct config_route *r);
/* Appends a secret, out of `file` unless that is "", without the line end. */
bool config_route_secret(const char *value, const char *file, struct buf *out,
                         struct err *err) must_use;

/* ---- config_webhook.c ---- */

/* The webhooks; reads their secrets. */
void config_check_webhooks(struct config *c, struct config_errors *errs);

/* ---- config_default.c ---- */

/* The default for state_directory; NULL: there is none to be had.  Allocated.
 */
char *config_default_state(void);
/* The full name of this machine, or as much of it as is known.  Allocated. */
char *config_default_hostname(void);
/* The default for control.socket.  Allocated. */
char *config_default_maildrop(const char *state_directory);
char *config_default_control(const char *state_directory);

#endif
