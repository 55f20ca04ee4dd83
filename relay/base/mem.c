#include "relay/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *
or_abort(void *p)
{
    if (!p)
        abort();
    return p;
}

void *
mem_zeroed(size_t count, size_t size)
{
    return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *
mem_resized(void *p, size_t count, size_t size)
{
    return or_abort(reallocarray(p, count ? count : 1, size));
}

char *
mem_text(const char *text)
{
    return text ? or_abort(strdup(text)) : NULL;
}

char *
mem_copy(struct slice bytes)
{
    char *copy = mem_zeroed(bytes.len + 1, 1);

    if (bytes.len)
        memcpy(copy, bytes.p, bytes.len);
    return copy;
}

char *
mem_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return or_abort(n < 0 ? NULL : text);
}
