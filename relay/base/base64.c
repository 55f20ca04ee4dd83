#include "relay/base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* One to three octets as four characters. */
static void
add_group(struct slice octets, struct buf *out)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 3; i++)
        bits = bits << 8 | (i < octets.len ? (uint8_t)octets.p[i] : 0);
    for (size_t i = 0; i < 4; i++)
        buf_add_byte(out, i <= octets.len ? alphabet[bits >> (18 - 6 * i) & 63]
                                          : '=');
}

void
base64_add(struct slice octets, struct buf *out)
{
    while (octets.len > 0) {
        add_group(slice_first(octets, 3), out);
        octets = slice_from(octets, 3);
    }
}

static bool
read_digit(char c, uint32_t *out)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    *out = at ? (uint32_t)(at - alphabet) : 0;
    return at != NULL;
}

/* Four characters as one to three octets; padding only where it is the end. */
static bool
read_group(struct slice text, bool is_last, struct buf *out)
{
    size_t digits = is_last && text.p[3] == '=' ? 3 : 4;
    uint32_t bits = 0, digit;

    if (digits == 3 && text.p[2] == '=')
        digits = 2;
    for (size_t i = 0; i < digits; i++) {
        if (!read_digit(text.p[i], &digit))
            return false;
        bits |= digit << (18 - 6 * i);
    }
    if (bits & 0xFFFFFFU >> 8 * (digits - 1))
        return false; /* RFC 4648 section 3.5 */
    for (size_t i = 0; i + 1 < digits; i++)
        buf_add_byte(out, (char)(bits >> (16 - 8 * i) & 255));
    return true;
}

bool
base64_read(struct slice text, struct buf *out)
{
    size_t before = out->len;

    if (text.len % 4 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 4)
        if (!read_group(slice_first(slice_from(text, i), 4), i + 4 == text.len,
                        out)) {
            out->len = before;
            return false;
        }
    return true;
}
