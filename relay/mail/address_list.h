/*
 * relay/mail/address_list - the addresses in a list as people write them:
 * names, comments, groups, angle brackets (RFC 5322 section 3.4).
 *
 * Forgiving where the meaning is clear; each address is checked afterwards by
 * whoever takes it.
 */
#ifndef RELAY_MAIL_ADDRESS_LIST_H
#define RELAY_MAIL_ADDRESS_LIST_H

#include "relay/base/slice.h"

/* `address` ends in NUL and is good during the call. */
typedef void mail_address_list_fn(void *ctx, const char *address);

/* Calls `each` for every address of a list, in order; folded lines may still
 * have their line ends. */
void mail_address_list_each(struct slice list, mail_address_list_fn *each,
                            void *ctx);

#endif
