/*
 * relay/base/buf - a growable run of bytes that its holder owns.
 *
 * Zeroed storage is an empty buf.  What fills a buf from the network bounds
 * its length; the buf itself knows no limit.
 */
#ifndef RELAY_BASE_BUF_H
#define RELAY_BASE_BUF_H

#include "relay/base/slice.h"

struct buf {
    char *p;
    size_t len, cap;
};

void buf_add(struct buf *b, struct slice bytes);
void buf_add_text(struct buf *b, const char *text);
void buf_add_byte(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for at least `n` more bytes behind the last; add to `len` what was
 * written there. */
char *buf_room(struct buf *b, size_t n);

void buf_put_front(struct buf *b, struct slice bytes);
void buf_drop(struct buf *b, size_t n); /* forgets the first n bytes */
void buf_clear(struct buf *b);          /* forgets all, keeps the memory */
void buf_free(struct buf *b);

/* The bytes with a NUL behind them, good until the next change. */
const char *buf_text(struct buf *b);

static inline struct slice
buf_slice(const struct buf *b)
{
    return (struct slice){b->p, b->len};
}

#endif
