#include "relay/mail/address.h"

#include "relay/base/text.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_safe(const char *text)
{
    for (; *text; text++)
        assert((unsigned char)*text >= ' ' && *text != 0x7F);
}

/* What was taken is taken again, and comes out the same. */
static void
check_domain(struct slice text)
{
    struct mail_domain once, twice;
    struct err err;

    if (mail_domain_parse(text, &once, &err)) {
        assert(mail_domain_parse(slice_of(once.text), &twice, &err));
        assert(strcmp(once.text, twice.text) == 0);
        assert(mail_domain_parse_host(slice_of(once.text), &twice, &err));
        assert(once.text[strspn(once.text, "abcdefghijklmnopqrstuvwxyz"
                                           "0123456789-_.")] == '\0');
    } else {
        check_safe(err.text);
    }
}

static void
check_address(struct slice text, bool utf8)
{
    struct mail_address once, twice;
    struct err err;

    if (!mail_address_parse(text, utf8, &once, &err)) {
        check_safe(err.text);
        return;
    }
    check_safe(once.text);
    assert(text_is_utf8(slice_of(once.text)));
    assert(once.is_ascii || utf8);
    assert(once.at > 0 && once.text[once.at] == '@');
    assert(once.is_literal == (once.domain.text[0] == '\0'));
    assert(once.is_literal == (once.text[once.at + 1] == '['));
    assert(
        mail_address_parse(slice_of(once.text), !once.is_ascii, &twice, &err));
    assert(strcmp(once.text, twice.text) == 0);
    assert(strcmp(once.domain.text, twice.domain.text) == 0);
    assert(once.at == twice.at && once.is_literal == twice.is_literal);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};

    check_address(text, false);
    check_address(text, true);
    check_domain(text);
    return 0;
}
