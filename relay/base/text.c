#include "relay/base/text.h"

/* The second octet is confined for the lead octets that could begin overlong
 * forms, surrogates or numbers above 10FFFF; all later ones are 80 to BF. */
static const struct {
    unsigned char lead_low, lead_high, next_low, next_high, len;
} forms[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3},
    {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static unsigned char
octet(struct slice in, size_t i)
{
    return (unsigned char)in.p[i];
}

static size_t
next_wide(struct slice in, uint32_t *code)
{
    unsigned char lead = octet(in, 0);
    size_t form = 0, len;

    while (form < sizeof(forms) / sizeof(forms[0]) &&
           (lead < forms[form].lead_low || lead > forms[form].lead_high))
        form++;
    if (form == sizeof(forms) / sizeof(forms[0]))
        return 0;
    len = forms[form].len;
    if (in.len < len || octet(in, 1) < forms[form].next_low ||
        octet(in, 1) > forms[form].next_high)
        return 0;
    *code = lead & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((octet(in, i) & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (octet(in, i) & 0x3FU);
    }
    return len;
}

size_t
text_next(struct slice in, uint32_t *code)
{
    if (in.len == 0)
        return 0;
    if (octet(in, 0) >= 0x80)
        return next_wide(in, code);
    *code = octet(in, 0);
    return 1;
}

bool
text_may_show(uint32_t code)
{
    static const struct {
        uint32_t low, high;
    } hidden[] = {
        {0x00, 0x1F},       {0x7F, 0x9F},     {0x061C, 0x061C},
        {0x200E, 0x200F},   {0x2028, 0x202E}, {0x2066, 0x2069},
        {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB}, {0xFDD0, 0xFDEF},
        {0xE0000, 0xE007F},
    };

    if ((code & 0xFFFE) == 0xFFFE)
        return false;
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (code >= hidden[i].low && code <= hidden[i].high)
            return false;
    return true;
}

bool
text_is_utf8(struct slice in)
{
    while (in.len > 0) {
        uint32_t code;
        size_t n = text_next(in, &code);

        if (n == 0)
            return false;
        in = slice_from(in, n);
    }
    return true;
}

void
text_clean(struct slice in, size_t max, struct buf *out)
{
    while (in.len > 0) {
        uint32_t code;
        size_t n = text_next(in, &code);
        struct slice shown = slice_of("?");

        if (n > 0 && text_may_show(code))
            shown = slice_first(in, n);
        if (shown.len > max)
            return;
        buf_add(out, shown);
        max -= shown.len;
        in = slice_from(in, n ? n : 1);
    }
}

static void
escape(uint32_t code, struct buf *out)
{
    if (code == '"' || code == '\\')
        buf_printf(out, "\\%c", (char)code);
    else if (code == '\n')
        buf_add_text(out, "\\n");
    else if (code == '\r')
        buf_add_text(out, "\\r");
    else if (code == '\t')
        buf_add_text(out, "\\t");
    else if (code > 0xFFFF)
        buf_printf(out, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10),
                   0xDC00 + (code & 0x3FF));
    else
        buf_printf(out, "\\u%04x", code);
}

void
text_json(struct slice in, struct buf *out)
{
    buf_add_byte(out, '"');
    while (in.len > 0) {
        uint32_t code = 0;
        size_t n = text_next(in, &code);

        if (n == 0)
            buf_add_text(out, "\xEF\xBF\xBD");
        else if (text_may_show(code) && code != '"' && code != '\\')
            buf_add(out, slice_first(in, n));
        else
            escape(code, out);
        in = slice_from(in, n ? n : 1);
    }
    buf_add_byte(out, '"');
}
