/*
 * relay/admin/json - a body of JSON, read strictly.
 *
 * No key twice, nothing behind it, not deeper than ADMIN_JSON_DEPTH; its texts
 * are UTF-8 without a NUL.  Counted before it is read: an empty object of two
 * octets becomes a hundred times as many in memory.
 */
#ifndef RELAY_ADMIN_JSON_H
#define RELAY_ADMIN_JSON_H

#include "relay/base/err.h"
#include "relay/base/slice.h"

#include <jansson.h>

enum {
    ADMIN_JSON_DEPTH = 16,
    ADMIN_JSON_VALUES = 100000, /* lists of people as objects, and to spare */
};

/* An object, the caller's; or NULL, and where what is wrong. */
json_t *admin_json_read(struct slice text, struct err *err);

#endif
