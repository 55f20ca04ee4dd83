#include "relay/mail/trace_parent.h"

#include <string.h>

enum {
    VERSION_LEN = 2,
    TRACE_LEN = 32,
    PARENT_LEN = 16,
    FLAGS_LEN = 2,
    LEN = VERSION_LEN + 1 + TRACE_LEN + 1 + PARENT_LEN + 1 + FLAGS_LEN,
};

/* Of small letters only, as the specification wants it. */
static bool
is_hex(struct slice s, size_t len)
{
    if (s.len != len)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!(s.p[i] >= '0' && s.p[i] <= '9') &&
            !(s.p[i] >= 'a' && s.p[i] <= 'f'))
            return false;
    return true;
}

static bool
is_zero(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] != '0')
            return false;
    return true;
}

bool
mail_trace_id(struct slice value, char out[MAIL_TRACE_ID_SIZE])
{
    struct slice rest = slice_first(value, LEN);
    struct slice version = slice_cut(&rest, '-');
    struct slice trace = slice_cut(&rest, '-');
    struct slice parent = slice_cut(&rest, '-');

    if (!is_hex(version, VERSION_LEN) || slice_is(version, "ff") ||
        !is_hex(trace, TRACE_LEN) || is_zero(trace) ||
        !is_hex(parent, PARENT_LEN) || is_zero(parent) ||
        !is_hex(rest, FLAGS_LEN))
        return false;
    if (value.len > LEN && (slice_is(version, "00") || value.p[LEN] != '-'))
        return false;
    memcpy(out, trace.p, TRACE_LEN);
    out[TRACE_LEN] = '\0';
    return true;
}
