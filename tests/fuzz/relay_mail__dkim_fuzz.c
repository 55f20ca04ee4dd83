#include "relay/mail/dkim.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* That of RFC 8463 appendix A.2: signing the same twice gives the same. */
static const char pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

static void
hash(struct slice body, size_t piece, uint8_t out[MAIL_DKIM_HASH_SIZE])
{
    scoped(mail_dkim_body_free) struct mail_dkim_body *b = mail_dkim_body_new();

    for (; body.len > 0; body = slice_from(body, piece))
        mail_dkim_body_feed(b, slice_first(body, piece));
    mail_dkim_body_end(b, out);
}

/* One field: its lines begin with a space but for the first. */
static void
check_field(struct slice field)
{
    assert(slice_starts_nocase(field, "DKIM-Signature: "));
    assert(field.p[field.len - 1] == '\n');
    for (size_t i = 0; i + 1 < field.len; i++)
        assert(field.p[i] != '\n' ||
               (field.p[i - 1] == '\r' && field.p[i + 1] == ' '));
}

/* What is found is what the relay compares with and puts into names. */
static void
check_header(struct slice header)
{
    struct mail_domain domain, again;
    struct err err;

    (void)mail_dkim_is_signed(header, "a.example", "s");
    if (!mail_dkim_author(header, &domain)) {
        assert(domain.text[0] == '\0');
        return;
    }
    assert(mail_domain_parse(slice_of(domain.text), &again, &err));
    assert(strcmp(again.text, domain.text) == 0);
}

/* A record that fits has our key in it. */
static void
check_record(const struct mail_dkim_key *k, struct slice record)
{
    struct err err;

    (void)mail_dkim_record_serves(record, "tlsrpt");
    if (mail_dkim_record_fits(k, record, &err))
        assert(memmem(record.p, record.len, "11q", 3) ||
               memchr(record.p, ' ', record.len) ||
               memchr(record.p, '\t', record.len) ||
               memchr(record.p, '\n', record.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"To", "Subject", "X"};
    struct slice text = {(const char *)data, size};
    uint8_t whole[MAIL_DKIM_HASH_SIZE], cut[MAIL_DKIM_HASH_SIZE];
    scoped(buf_free) struct buf out = {0};
    scoped(mail_dkim_key_free) struct mail_dkim_key *other = NULL;
    static struct mail_dkim_key *k; /* reading one takes long */
    struct mail_dkim_request r = {.domain = "a.example",
                                  .selector = "s",
                                  .header = text,
                                  .names = names,
                                  .name_count = 3,
                                  .body_hash = whole};
    struct err err;

    hash(text, size + 1, whole);
    hash(text, size % 7 + 1, cut);
    assert(memcmp(whole, cut, sizeof(whole)) == 0);
    if (!k)
        k = mail_dkim_key_new(slice_of(pem), &err);
    assert(k);
    check_header(text);
    check_record(k, text);
    if (mail_dkim_sign(k, &r, &out, &err))
        check_field(buf_slice(&out));
    else
        assert(out.len == 0);
    if (slice_starts_nocase(text, "-----BEGIN"))
        other = mail_dkim_key_new(text, &err);
    return 0;
}
