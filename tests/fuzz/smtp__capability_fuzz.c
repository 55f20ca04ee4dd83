/* Any text as an EHLO reply: what comes out is printable, and what is offered
 * stands in the text. */
#include "smtp/capability.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
has_word(struct slice text, const char *word)
{
    for (size_t i = 0; i < text.len; i++)
        if (slice_starts_nocase(slice_from(text, i), word))
            return true;
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct smtp_capability is;

    smtp_capability_parse(text, &is);
    for (const char *p = is.name; *p; p++)
        assert(*p > ' ' && *p <= '~');
    assert(!is.starttls || has_word(text, "STARTTLS"));
    assert(!is.pipelining || has_word(text, "PIPELINING"));
    assert(!is.chunking || has_word(text, "CHUNKING"));
    assert(!is.requiretls || has_word(text, "REQUIRETLS"));
    assert(!is.smtputf8 || has_word(text, "SMTPUTF8"));
    assert(!is.size || has_word(text, "SIZE"));
    assert(is.size_max == 0 || is.size);
    return 0;
}
