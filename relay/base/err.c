#include "relay/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;

    e->kind = kind;
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    return false;
}

bool
err_errno(struct err *e, const char *fmt, ...)
{
    int number = errno;
    char what[160];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    e->kind = number == ENOSPC || number == EDQUOT ? ERR_SPACE : ERR_SYSTEM;
    (void)snprintf(e->text, sizeof(e->text), "%s: %.70s", what,
                   strerror(number));
    return false;
}

bool
err_in(struct err *e, const char *fmt, ...)
{
    char inner[sizeof(e->text)];
    char context[100];
    va_list ap;

    memcpy(inner, e->text, sizeof(inner));
    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    (void)snprintf(e->text, sizeof(e->text), "%s: %.135s", context, inner);
    return false;
}
