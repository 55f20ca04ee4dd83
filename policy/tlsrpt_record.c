#include "policy/tlsrpt_record.h"

#include <stdio.h>

enum { HTTPS_PORT = 443 };

static int
hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Percent-decodes; what comes out is checked by the address's own grammar,
 * which lets no control character through. */
static bool
decode(struct slice in, char *out, size_t size, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.p[i];

        if (c == '%') {
            int high = i + 2 < in.len ? hex(in.p[i + 1]) : -1;
            int low = high >= 0 ? hex(in.p[i + 2]) : -1;

            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (*len == size)
            return false;
        out[(*len)++] = c;
    }
    return true;
}

/* RFC 6068 section 2 lets header fields stand behind a '?': they are not for a
 * stranger to choose. */
static bool
read_mailto(struct slice uri, struct policy_tlsrpt_rua *out)
{
    char plain[MAIL_ADDRESS_MAX];
    struct slice text = slice_cut(&uri, '?');
    struct err err;
    size_t len;

    out->scheme = POLICY_TLSRPT_MAILTO;
    return decode(text, plain, sizeof(plain), &len) &&
           mail_address_parse((struct slice){plain, len}, false, &out->address,
                              &err) &&
           !out->address.is_literal;
}

static bool
is_request_text(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

/* A mail_domain is no address: "https://127.0.0.1/" and "https://[::1]/" end
 * here, user names and passwords too. */
static bool
read_authority(struct slice authority, struct policy_tlsrpt_rua *out)
{
    struct slice host = slice_cut(&authority, ':');
    unsigned long long port = HTTPS_PORT;
    struct err err;

    if (authority.len > 0 && !slice_number(authority, 65535, &port))
        return false;
    out->port = (unsigned)port;
    return port > 0 && mail_domain_parse(host, &out->host, &err);
}

static bool
read_https(struct slice uri, struct policy_tlsrpt_rua *out)
{
    struct slice rest = slice_cut(&uri, '#');
    size_t end = 0;
    struct slice path;

    out->scheme = POLICY_TLSRPT_HTTPS;
    while (end < rest.len && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    path = slice_from(rest, end);
    if (!is_request_text(path) || path.len >= POLICY_TLSRPT_PATH_MAX ||
        !read_authority(slice_first(rest, end), out))
        return false;
    (void)snprintf(out->path, sizeof(out->path), "%s%.*s",
                   path.len > 0 && path.p[0] == '/' ? "" : "/", (int)path.len,
                   path.len > 0 ? path.p : "");
    return true;
}

static bool
read_uri(struct slice uri, struct policy_tlsrpt_rua *out)
{
    static const char mailto[] = "mailto:", https[] = "https://";

    *out = (struct policy_tlsrpt_rua){0};
    if (slice_starts_nocase(uri, mailto))
        return read_mailto(slice_from(uri, sizeof(mailto) - 1), out);
    if (slice_starts_nocase(uri, https))
        return read_https(slice_from(uri, sizeof(https) - 1), out);
    return false;
}

static bool
is_same(const struct policy_tlsrpt_rua *a, const struct policy_tlsrpt_rua *b)
{
    return a->scheme == b->scheme &&
           strcmp(a->address.text, b->address.text) == 0 &&
           strcmp(a->host.text, b->host.text) == 0 && a->port == b->port &&
           strcmp(a->path, b->path) == 0;
}

static void
add(struct policy_tlsrpt_record *to, const struct policy_tlsrpt_rua *rua)
{
    for (size_t i = 0; i < to->count; i++)
        if (is_same(&to->rua[i], rua))
            return;
    if (to->count < POLICY_TLSRPT_RUAS_MAX)
        to->rua[to->count++] = *rua;
}

/* Fields with other names are extensions. */
static void
read_fields(struct slice rest, struct policy_tlsrpt_record *out)
{
    while (rest.len > 0) {
        struct slice list = slice_trim(slice_cut(&rest, ';'));
        struct slice name = slice_cut(&list, '=');
        struct policy_tlsrpt_rua rua;

        if (!slice_is(slice_trim(name), "rua"))
            continue;
        while (list.len > 0)
            if (read_uri(slice_trim(slice_cut(&list, ',')), &rua))
                add(out, &rua);
    }
}

bool
policy_tlsrpt_record_parse(const struct slice *txt, size_t count,
                           struct policy_tlsrpt_record *out, struct err *err)
{
    static const char version[] = "v=TLSRPTv1;";
    const struct slice *record = NULL;

    *out = (struct policy_tlsrpt_record){0};
    for (size_t i = 0; i < count; i++) {
        if (!slice_is(slice_first(txt[i], sizeof(version) - 1), version))
            continue;
        if (record)
            return err_set(err, ERR_MISSING,
                           "there are several TLSRPTv1 records");
        record = &txt[i];
    }
    if (!record)
        return err_set(err, ERR_MISSING, "there is no TLSRPTv1 record");
    read_fields(slice_from(*record, sizeof(version) - 1), out);
    return out->count > 0 ||
           err_set(err, ERR_INPUT, "the TLSRPTv1 record has no rua of use");
}
