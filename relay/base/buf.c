#include "relay/base/buf.h"

#include "relay/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 256 };

char *
buf_room(struct buf *b, size_t n)
{
    size_t need = b->len + n;

    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : FIRST_CAP;

        while (cap < need)
            cap *= 2;
        b->p = mem_resized(b->p, cap, 1);
        b->cap = cap;
    }
    return b->p + b->len;
}

void
buf_add(struct buf *b, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    memcpy(buf_room(b, bytes.len), bytes.p, bytes.len);
    b->len += bytes.len;
}

void
buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, slice_of(text));
}

void
buf_add_byte(struct buf *b, char c)
{
    *buf_room(b, 1) = c;
    b->len++;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort();
    va_start(ap, fmt);
    (void)vsnprintf(buf_room(b, (size_t)n + 1), (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void
buf_put_front(struct buf *b, struct slice bytes)
{
    (void)buf_room(b, bytes.len);
    if (b->len)
        memmove(b->p + bytes.len, b->p, b->len);
    if (bytes.len)
        memcpy(b->p, bytes.p, bytes.len);
    b->len += bytes.len;
}

void
buf_drop(struct buf *b, size_t n)
{
    b->len -= n;
    if (b->len)
        memmove(b->p, b->p + n, b->len);
}

void
buf_clear(struct buf *b)
{
    b->len = 0;
}

void
buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

const char *
buf_text(struct buf *b)
{
    *buf_room(b, 1) = '\0';
    return b->p;
}
