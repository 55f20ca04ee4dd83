/*
 * relay/mail/parameter - a parameter of Content-Type or Content-Disposition,
 * in any language and of any length (RFC 2045 section 5.1, RFC 2231).
 */
#ifndef RELAY_MAIL_PARAMETER_H
#define RELAY_MAIL_PARAMETER_H

#include "relay/base/buf.h"

/* Appends it on a line, or lines, of its own, with the semicolon before it. */
void mail_parameter_add(const char *name, struct slice value, struct buf *out);

#endif
