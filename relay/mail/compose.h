/*
 * relay/mail/compose - a message out of its parts, as MIME (RFC 2045 and 2046).
 *
 * Text and HTML become alternatives, attachments stand behind them, images that
 * the HTML shows beside it (RFC 2387).  Lines are short, and of ASCII alone but
 * for addresses that are not.
 */
#ifndef RELAY_MAIL_COMPOSE_H
#define RELAY_MAIL_COMPOSE_H

#include "relay/base/buf.h"
#include "relay/mail/address.h"

/* All slices are borrowed, and UTF-8. */

struct mail_compose_mailbox {
    struct slice name; /* empty: the address alone */
    struct mail_address address;
};

struct mail_compose_list {
    const struct mail_compose_mailbox *box;
    size_t count;
};

struct mail_compose_field {
    const char *name; /* mail_compose_is_field */
    struct slice value;
};

struct mail_compose_file {
    const char *type;       /* mail_compose_is_type */
    struct slice name;      /* empty: none */
    const char *content_id; /* without angle brackets; NULL: none */
    struct slice base64;    /* mail_compose_is_base64 */
};

struct mail_compose {
    struct mail_compose_mailbox from;
    struct mail_compose_list to, cc, reply_to;
    const struct mail_compose_field *fields; /* besides these */
    size_t field_count;
    struct slice subject, text, html;
    bool has_subject, has_text, has_html;
    const struct mail_compose_file *files;
    size_t file_count;
    const char *date, *message_id; /* NULL: it is among the fields */
    const char *boundary;          /* that nobody can know */
};

/* May it be given by whoever composes?  Neither what is made here nor what only
 * servers write. */
bool mail_compose_is_field(const char *name);
/* "type/subtype", maybe with parameters; no multipart, no message. */
bool mail_compose_is_type(const char *type);
bool mail_compose_is_content_id(const char *id);
/* Base64 without line breaks (RFC 4648 section 4). */
bool mail_compose_is_base64(struct slice text);

/* CRLF lines. */
void mail_compose(const struct mail_compose *c, struct buf *out);

#endif
