/*
 * smtp/auth - the AUTH command of a server session (RFC 4954): what is offered,
 * the lines of an exchange, and what its end means.  Private to the server
 * engine, as smtp/session.h is.
 *
 * What was said during an exchange is overwritten at its end, whichever that
 * is.
 */
#ifndef SMTP_AUTH_H
#define SMTP_AUTH_H

#include "smtp/session.h"

/* A line of the EHLO reply, when there is something to offer here and now. */
void smtp_auth_add_keyword(const struct smtp_server *s, struct buf *out);

enum smtp_session_turn smtp_auth_command(struct smtp_server *s,
                                         struct slice args);

/* Reads a line of the exchange. */
enum smtp_session_turn smtp_auth_response(struct smtp_server *s,
                                          struct slice *in);

/* The driver's answers. */
enum smtp_session_turn smtp_auth_verify(struct smtp_server *s,
                                        const struct smtp_sasl_verifier *v,
                                        const char *nonce);
enum smtp_session_turn smtp_auth_answer(struct smtp_server *s,
                                        const struct mail_status *status);

/* Ends an exchange, if one is under way. */
void smtp_auth_end(struct smtp_server *s);

#endif
