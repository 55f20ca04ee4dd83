/*
 * relay/base/mem - allocation that does not fail.
 *
 * Without memory the process aborts: the queue is crash-proof, so a restart
 * loses nothing.  The price is that every size a peer can influence has a
 * named limit elsewhere.
 */
#ifndef RELAY_BASE_MEM_H
#define RELAY_BASE_MEM_H

#include "relay/base/slice.h"

/* A zeroed object, or a zeroed array of `count`, from the heap. */
#define mem_new(type) ((type *)mem_zeroed(1, sizeof(type)))
#define mem_array(type, count) ((type *)mem_zeroed((count), sizeof(type)))

void *mem_zeroed(size_t count, size_t size);
void *mem_resized(void *p, size_t count, size_t size);
char *mem_text(const char *text);   /* a copy; NULL gives NULL */
char *mem_copy(struct slice bytes); /* a copy with a NUL behind it */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
