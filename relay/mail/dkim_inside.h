/* relay/mail/dkim_inside - what the files dkim*.c share. */
#ifndef RELAY_MAIL_DKIM_INSIDE_H
#define RELAY_MAIL_DKIM_INSIDE_H

#include "relay/mail/dkim.h"

/* Aborts: OpenSSL refuses such a call only without memory. */
void mail_dkim_need(bool ok);

/* Appends the base64 form; line breaks are the caller's. */
void mail_dkim_base64(struct slice bytes, struct buf *out);

/* Appends the signature of `data`, raw.  ERR_SYSTEM. */
bool mail_dkim_key_sign(const struct mail_dkim_key *k, struct slice data,
                        struct buf *out, struct err *err) must_use;

/* A field of a header section, its lines as they came. */
struct mail_dkim_field {
    struct slice name, value;
};

/* Takes the next one off the front; false: the section ends here.  What is no
 * field, such as a line without a colon, has all of it for a name. */
bool mail_dkim_field_cut(struct slice *header, struct mail_dkim_field *out);

/* Appends a field in the relaxed form without its end of line (RFC 6376
 * section 3.4.2). */
void mail_dkim_field_relaxed(const char *name, struct slice value,
                             struct buf *out);

/* Without the white space at both ends, line ends too. */
struct slice mail_dkim_bare(struct slice s);

/* The value of a tag in a tag-list (RFC 6376 section 3.2), white space around
 * it left off; false: there is none. */
bool mail_dkim_tag(struct slice list, const char *name, struct slice *out);

#endif
