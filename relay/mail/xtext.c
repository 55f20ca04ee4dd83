#include "relay/mail/xtext.h"

#include "relay/base/own.h"
#include "relay/base/text.h"

#include <stdint.h>

/* Upper case only, as RFC 3461 section 4 and RFC 6533 section 3 have it. */
static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
is_graphic(char c)
{
    return c > ' ' && c < 0x7F;
}

/* What was hidden behind the encoding must be fit to be shown. */
static bool
keep(struct slice decoded, struct buf *out)
{
    struct slice rest = decoded;

    while (rest.len > 0) {
        uint32_t code;
        size_t n = text_next(rest, &code);

        if (n == 0 || !text_may_show(code))
            return false;
        rest = slice_from(rest, n);
    }
    buf_add(out, decoded);
    return true;
}

bool
mail_xtext_decode(struct slice text, struct buf *out)
{
    scoped(buf_free) struct buf decoded = {0};

    while (text.len > 0) {
        char c = text.p[0];

        if (!is_graphic(c) || c == '=')
            return false;
        if (c == '+') {
            int high = text.len > 2 ? hex_digit(text.p[1]) : -1;
            int low = text.len > 2 ? hex_digit(text.p[2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            text = slice_from(text, 2);
        }
        buf_add_byte(&decoded, c);
        text = slice_from(text, 1);
    }
    return keep(buf_slice(&decoded), out);
}

void
mail_xtext_encode(struct slice bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.p[i];

        if (is_graphic(c) && c != '+' && c != '=')
            buf_add_byte(out, c);
        else
            buf_printf(out, "+%02X", (unsigned)(unsigned char)c);
    }
}

static void
add_utf8(uint32_t code, struct buf *out)
{
    unsigned tails = code < 0x80      ? 0
                     : code < 0x800   ? 1
                     : code < 0x10000 ? 2
                                      : 3;
    static const uint8_t leads[] = {0, 0xC0, 0xE0, 0xF0};

    buf_add_byte(out, (char)(leads[tails] | code >> 6 * tails));
    while (tails-- > 0)
        buf_add_byte(out, (char)(0x80 | (code >> 6 * tails & 0x3F)));
}

/* Those of ASCII that may not stand for themselves, and everything behind it;
 * a surrogate is found out with the text as a whole. */
static bool
may_embed(uint32_t code)
{
    return code == ' ' || code == '+' || code == '=' || code == '\\' ||
           (code >= 0x80 && code <= 0x10FFFF);
}

/* EmbeddedUnicodeChar: "\x{", two to six digits without leading zeros, "}". */
static bool
cut_embedded(struct slice *rest, struct buf *out)
{
    struct slice digits;
    uint32_t code = 0;

    if (rest->len < 3 || rest->p[1] != 'x' || rest->p[2] != '{' ||
        !memchr(rest->p, '}', rest->len))
        return false;
    *rest = slice_from(*rest, 3);
    digits = slice_cut(rest, '}');
    if (digits.len < 2 || digits.len > 6 || digits.p[0] == '0')
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_digit(digits.p[i]);

        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    if (!may_embed(code))
        return false;
    add_utf8(code, out);
    return true;
}

bool
mail_xtext_decode_utf8(struct slice text, struct buf *out)
{
    scoped(buf_free) struct buf decoded = {0};

    while (text.len > 0) {
        char c = text.p[0];

        if (c == '\\') {
            if (!cut_embedded(&text, &decoded))
                return false;
            continue;
        }
        if (c == '+' || c == '=' || (!is_graphic(c) && (unsigned char)c < 0x80))
            return false;
        buf_add_byte(&decoded, c);
        text = slice_from(text, 1);
    }
    return keep(buf_slice(&decoded), out);
}

void
mail_xtext_encode_utf8(struct slice text, struct buf *out)
{
    while (text.len > 0) {
        uint32_t code = '?';
        size_t n = text_next(text, &code);

        if (code < 0x80 && is_graphic((char)code) && !may_embed(code))
            buf_add_byte(out, (char)code);
        else
            buf_printf(out, "\\x{%02X}", code);
        text = slice_from(text, n ? n : 1);
    }
}
