/*
 * relay/mail/mailbox - where the addresses stand in a field.
 *
 * Finds each address in a list as people write it (RFC 5322 section 3.4: names,
 * comments, groups, angle brackets, source routes) with its place, so that it
 * can be replaced without a change to anything around it.
 */
#ifndef RELAY_MAIL_MAILBOX_H
#define RELAY_MAIL_MAILBOX_H

#include "relay/mail/address.h"

struct mail_mailbox {
    struct slice span; /* from its first octet to its last */
    bool has_domain;   /* false: a local part alone, as in "From: root" */
    size_t len;        /* of the text */
    char text[MAIL_ADDRESS_MAX + 1]; /* without white space and comments */
};

/* With `rest` set to the value of a field, the rest zeroed: a scan at its
 * beginning. */
struct mail_mailbox_scan {
    struct slice rest;
    bool is_broken; /* the field can't be told apart: believe none of it */
    bool has_junk;  /* so far, something that is no address stood for one */
    /* private */
    bool in_angle, is_done;
};

/* The next address; false behind the last, or when the field is broken. */
bool mail_mailbox_next(struct mail_mailbox_scan *s, struct mail_mailbox *out);

#endif
