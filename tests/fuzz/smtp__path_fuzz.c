/* What stands behind MAIL and RCPT: whatever is accepted is safe to write to
 * the wire and is the same when it is read again. */
#include "relay/base/mem.h"
#include "smtp/param.h"
#include "smtp/path.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text)
{
    for (; *text; text++)
        assert((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void
check_path(struct slice text, bool utf8)
{
    struct smtp_path path, again;
    struct err err = {0};

    if (!smtp_path_parse(text, utf8, &path, &err)) {
        assert(err.kind == ERR_INPUT && err.text[0]);
        return;
    }
    assert(path.is_null + path.is_postmaster + (path.address.text[0] != 0) ==
           1);
    check_text(path.address.text);
    if (!path.address.text[0])
        return;
    assert(utf8 || path.address.is_ascii);
    assert(smtp_path_parse(slice_of(path.address.text), utf8, &again, &err));
    assert(strcmp(path.address.text, again.address.text) == 0);
    assert(strcmp(path.address.domain.text, again.address.domain.text) == 0);
}

static void
check_refusal(const char *refusal)
{
    assert(refusal[0] == '5' && refusal[3] == ' ' && refusal[4] == '5');
    check_text(refusal);
}

static void
check_mail_params(struct slice params, bool is_tls)
{
    const struct smtp_param_session session = {.is_tls = is_tls,
                                               .offers_requiretls = is_tls};
    scoped(mail_envelope_done) struct mail_envelope e = {0};
    uint64_t declared;
    const char *refusal = smtp_param_mail(params, &session, &e, &declared);

    if (refusal)
        check_refusal(refusal);
    if (e.envid)
        check_text(e.envid);
    assert(!e.requiretls || is_tls);
}

static void
check_rcpt_params(struct slice params, bool utf8)
{
    struct mail_rcpt r = {0};
    const char *refusal = smtp_param_rcpt(params, utf8, &r);

    if (refusal)
        check_refusal(refusal);
    if (r.orcpt)
        check_text(r.orcpt);
    assert(!(r.notify & MAIL_NOTIFY_NEVER) || r.notify == MAIL_NOTIFY_NEVER);
    free(r.orcpt);
}

/* The first octet says whether there is UTF-8 and TLS. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice args, path;
    struct err err = {0};

    if (size == 0)
        return 0;
    args = (struct slice){(const char *)data + 1, size - 1};
    if (smtp_path_cut(&args, "FROM:", &path, &err)) {
        check_path(path, data[0] & 1);
        assert(path.len + args.len + 7 <= size - 1);
    }
    check_mail_params(args, data[0] & 2);
    check_rcpt_params(args, data[0] & 1);
    return 0;
}
