/*
 * smtp/param - the parameters behind MAIL FROM and RCPT TO.
 *
 * A parameter is understood or refused, never passed over: one that asks for
 * something we don't do must not look as if it were done.
 *
 * Both functions return NULL when all is well, else the reply that refuses the
 * command: a static line of code, enhanced code and text, without CRLF.  What
 * was stored before the fault stays in the target, which the caller releases.
 */
#ifndef SMTP_PARAM_H
#define SMTP_PARAM_H

#include "relay/base/own.h"
#include "relay/base/slice.h"
#include "relay/mail/envelope.h"

enum {
    SMTP_PARAM_ENVID_MAX = 100, /* RFC 3461 section 4.4 */
    SMTP_PARAM_ORCPT_MAX = 500, /* RFC 3461 section 4.2 */
    SMTP_PARAM_AUTH_MAX = 500,  /* RFC 4954 section 3 */
};

/* What the session allows. */
struct smtp_param_session {
    bool is_tls;
    bool offers_requiretls;
    bool offers_auth;
};

/* SIZE, BODY, SMTPUTF8, RET, ENVID, REQUIRETLS, AUTH.  `size` is what SIZE
 * declared, 0 when it was not there; comparing it with a limit is the caller's.
 */
const char *smtp_param_mail(struct slice params,
                            const struct smtp_param_session *session,
                            struct mail_envelope *out, uint64_t *size) must_use;

/* NOTIFY, ORCPT.  UTF-8 may stand in ORCPT only when `utf8`. */
const char *smtp_param_rcpt(struct slice params, bool utf8,
                            struct mail_rcpt *out) must_use;

#endif
