/*
 * relay/mail/remote_id - the name that a host gives a message in its reply to
 * the end of it, for whoever has to ask its operator.
 *
 * No standard has it.  A few forms that are widespread are known, and what is
 * not clearly one of them is none: a wrong name is worse than no name.
 */
#ifndef RELAY_MAIL_REMOTE_ID_H
#define RELAY_MAIL_REMOTE_ID_H

#include "relay/base/slice.h"

enum { MAIL_REMOTE_ID_MAX = 100 }; /* octets; what is longer is none */

/* `text` is a reply without its codes.  "queued as NAME", of which the last
 * counts, since a host in front of another quotes it; "id=NAME"; "NAME Message
 * accepted for delivery".  A name has letters, digits and -._+/= and a digit at
 * least.  False: it says none. */
bool mail_remote_id(struct slice text, char out[MAIL_REMOTE_ID_MAX + 1]);

#endif
