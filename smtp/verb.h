/* smtp/verb - carries out one command line.  Private to the server engine. */
#ifndef SMTP_VERB_H
#define SMTP_VERB_H

#include "smtp/session.h"

/* `line`: without CRLF.  `behind`: octets have come behind it already, without
 * waiting for the reply. */
enum smtp_session_turn smtp_verb_run(struct smtp_server *s, struct slice line,
                                     bool behind);

#endif
