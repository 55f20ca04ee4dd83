/*
 * relay/base/map - uthash as this tree uses it.
 *
 * Include this instead of <uthash.h>: its default hash function falls through
 * the labels of a switch, which clang warns of wherever the macro is used, and
 * its default answer to a lack of memory is exit.
 */
#ifndef RELAY_BASE_MAP_H
#define RELAY_BASE_MAP_H

#include <stdlib.h>

#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#define uthash_fatal(message) abort()

#include <uthash.h>

#endif
