/*
 * smtp/path - the angle brackets of MAIL and RCPT and what stands in them
 * (RFC 5321 section 4.1.2).
 *
 * In two steps, because whether a path may hold UTF-8 is said behind it, by
 * the SMTPUTF8 parameter.
 */
#ifndef SMTP_PATH_H
#define SMTP_PATH_H

#include "relay/mail/address.h"

/* Cuts "FROM:<path>" or "TO:<path>" off the front of `args`: `path` becomes
 * what stands between the brackets, `args` the parameters behind.  `keyword`
 * is the word with its colon, in any case.  Spaces behind the colon are let
 * pass, since many clients send them; anything but a space behind the closing
 * bracket is not.  ERR_INPUT. */
bool smtp_path_cut(struct slice *args, const char *keyword, struct slice *path,
                   struct err *err) must_use;

struct smtp_path {
    bool is_null;       /* <> */
    bool is_postmaster; /* <postmaster> without a domain, RFC 5321 section
                           4.5.1; any case */
    struct mail_address address; /* "" when either is true */
};

/* A source route in front is checked for its form and then forgotten
 * (RFC 5321 appendix C).  ERR_INPUT with a reason fit for a 501 reply. */
bool smtp_path_parse(struct slice path, bool utf8, struct smtp_path *out,
                     struct err *err) must_use;

#endif
