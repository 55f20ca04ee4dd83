/* TLSRPT records: whatever stands in DNS, what comes out may be written to an
 * envelope and to the head of a request as it is. */
#include "policy/tlsrpt_record.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_address(const struct policy_tlsrpt_rua *u)
{
    struct mail_address again;
    struct err err;

    assert(mail_address_parse(slice_of(u->address.text), false, &again, &err));
    assert(u->address.is_ascii && !u->address.is_literal);
    for (const char *c = u->address.text; *c; c++)
        assert(*c >= ' ' && *c <= '~');
}

static void
check_https(const struct policy_tlsrpt_rua *u)
{
    struct mail_domain again;
    struct err err;

    assert(mail_domain_parse(slice_of(u->host.text), &again, &err));
    assert(strcmp(again.text, u->host.text) == 0);
    assert(u->port > 0 && u->port <= 65535);
    assert(u->path[0] == '/');
    for (const char *c = u->path; *c; c++)
        assert(*c > ' ' && *c <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data, size};
    struct slice txt[4];
    struct policy_tlsrpt_record r;
    struct err err = {0};
    size_t count = 0;

    while (rest.len > 0 && count < 4)
        txt[count++] = slice_cut(&rest, '\n');
    if (!policy_tlsrpt_record_parse(txt, count, &r, &err)) {
        assert(r.count == 0);
        assert(err.kind == ERR_MISSING || err.kind == ERR_INPUT);
        return 0;
    }
    assert(r.count > 0 && r.count <= POLICY_TLSRPT_RUAS_MAX);
    for (size_t i = 0; i < r.count; i++) {
        if (r.rua[i].scheme == POLICY_TLSRPT_MAILTO)
            check_address(&r.rua[i]);
        else
            check_https(&r.rua[i]);
    }
    return 0;
}
