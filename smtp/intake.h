/*
 * smtp/intake - receives the body of a message, by DATA or by BDAT.  Private
 * to the server engine.
 *
 * A body with a flaw, or larger than we take, is read to its end and dropped
 * on the way: the octets of a message must never be left to be read as
 * commands.  Twice the size limit ends the session instead.
 */
#ifndef SMTP_INTAKE_H
#define SMTP_INTAKE_H

#include "smtp/session.h"

/* Each takes octets off the front of `in`, which is not empty. */
enum smtp_session_turn smtp_intake_data(struct smtp_server *s,
                                        struct slice *in);
enum smtp_session_turn smtp_intake_chunk(struct smtp_server *s,
                                         struct slice *in);
enum smtp_session_turn smtp_intake_skip(struct smtp_server *s,
                                        struct slice *in);

/* The driver is ready for a body. */
void smtp_intake_open(struct smtp_server *s);

/* A chunk of s->left octets begins: to be received, or to be skipped and then
 * refused with s->refusal. */
enum smtp_session_turn smtp_intake_chunk_start(struct smtp_server *s);
enum smtp_session_turn smtp_intake_skip_start(struct smtp_server *s);

/* Would `more` octets go over the limit by so much that we don't read on? */
bool smtp_intake_is_flood(const struct smtp_server *s, uint64_t more);
bool smtp_intake_is_too_large(const struct smtp_server *s, uint64_t more);

enum smtp_session_turn smtp_intake_end_flood(struct smtp_server *s);

#endif
