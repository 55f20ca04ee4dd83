#include "smtp/param.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/mail/xtext.h"

/* Where values go; a table's handlers use the part they know. */
struct target {
    const struct smtp_param_session *session;
    struct mail_envelope *mail;
    uint64_t *size;
    struct mail_rcpt *rcpt;
    bool utf8;
};

typedef const char *take_fn(struct target *t, struct slice value);

struct keyword {
    const char *name;
    bool wants_value;
    take_fn *store;
};

static const char *
take_size(struct target *t, struct slice value)
{
    unsigned long long size;

    if (!slice_number(value, UINT64_MAX, &size)) /* RFC 1870 section 3 */
        return "501 5.5.4 SIZE wants a number of octets";
    *t->size = size;
    return NULL;
}

static const char *
take_body(struct target *t, struct slice value)
{
    if (slice_is_nocase(value, "BINARYMIME"))
        return "555 5.5.4 BINARYMIME is not offered";
    t->mail->body_8bit = slice_is_nocase(value, "8BITMIME");
    if (!t->mail->body_8bit && !slice_is_nocase(value, "7BIT"))
        return "501 5.5.4 BODY is 7BIT or 8BITMIME"; /* RFC 6152 */
    return NULL;
}

static const char *
take_smtputf8(struct target *t, struct slice value)
{
    (void)value;
    t->mail->smtputf8 = true;
    return NULL;
}

static const char *
take_requiretls(struct target *t, struct slice value)
{
    (void)value;
    if (!t->session->offers_requiretls)
        return "555 5.5.4 REQUIRETLS is not offered";
    if (!t->session->is_tls)
        return "530 5.7.0 REQUIRETLS wants STARTTLS first";
    t->mail->requiretls = true;
    return NULL;
}

static const char *
take_ret(struct target *t, struct slice value)
{
    if (slice_is_nocase(value, "FULL"))
        t->mail->ret = MAIL_RET_FULL;
    else if (slice_is_nocase(value, "HDRS"))
        t->mail->ret = MAIL_RET_HDRS;
    else
        return "501 5.5.4 RET is FULL or HDRS";
    return NULL;
}

static const char *
take_envid(struct target *t, struct slice value)
{
    scoped(buf_free) struct buf text = {0};

    if (value.len > SMTP_PARAM_ENVID_MAX)
        return "501 5.5.4 ENVID is too long";
    if (!mail_xtext_decode(value, &text))
        return "501 5.5.4 ENVID is no xtext";
    t->mail->envid = mem_copy(buf_slice(&text));
    return NULL;
}

/* Who a client says has written the message.  We believe it as little as
 * "<>", which says that it doesn't tell (RFC 4954 section 5), and pass it on to
 * nobody. */
static const char *
take_auth(struct target *t, struct slice value)
{
    scoped(buf_free) struct buf text = {0};

    if (!t->session->offers_auth)
        return "555 5.5.4 AUTH is not offered";
    if (value.len > SMTP_PARAM_AUTH_MAX ||
        (!slice_is(value, "<>") && !mail_xtext_decode(value, &text)))
        return "501 5.5.4 AUTH is <> or a mailbox in xtext";
    return NULL;
}

static unsigned
notify_bit(struct slice word)
{
    static const struct {
        const char *name;
        enum mail_notify bit;
    } words[] = {
        {"NEVER", MAIL_NOTIFY_NEVER},
        {"SUCCESS", MAIL_NOTIFY_SUCCESS},
        {"FAILURE", MAIL_NOTIFY_FAILURE},
        {"DELAY", MAIL_NOTIFY_DELAY},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (slice_is_nocase(word, words[i].name))
            return words[i].bit;
    return 0;
}

static const char *
take_notify(struct target *t, struct slice value)
{
    bool more = true;
    unsigned all = 0;

    while (more) {
        size_t len = value.len;
        struct slice word = slice_cut(&value, ',');
        unsigned bit = notify_bit(word);

        more = word.len < len;
        if (bit == 0)
            return "501 5.5.4 NOTIFY is NEVER or of SUCCESS,FAILURE,DELAY";
        all |= bit;
    }
    /* RFC 3461 section 4.1: NEVER stands alone. */
    if ((all & MAIL_NOTIFY_NEVER) && all != MAIL_NOTIFY_NEVER)
        return "501 5.5.4 NOTIFY=NEVER stands alone";
    t->rcpt->notify = (uint8_t)all;
    return NULL;
}

static bool
is_word_octet(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-';
}

/* A keyword, or the type in front of an ORCPT address. */
static bool
is_word(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_word_octet(s.p[i]))
            return false;
    return s.len > 0 && s.p[0] != '-';
}

static const char *
take_orcpt(struct target *t, struct slice value)
{
    scoped(buf_free) struct buf text = {0};
    struct slice rest = value, type = slice_cut(&rest, ';');
    bool decoded;

    if (value.len > SMTP_PARAM_ORCPT_MAX)
        return "501 5.5.4 ORCPT is too long";
    if (!is_word(type) || rest.len == 0)
        return "501 5.5.4 ORCPT is a type, a semicolon and an address";
    buf_add(&text, type);
    buf_add_byte(&text, ';');
    if (slice_is_nocase(type, "utf-8")) /* RFC 6533 section 3 */
        decoded = mail_xtext_decode_utf8(rest, &text);
    else
        decoded = mail_xtext_decode(rest, &text);
    if (!decoded)
        return "501 5.5.4 ORCPT is no xtext";
    t->rcpt->orcpt = mem_copy(buf_slice(&text));
    return NULL;
}

static const struct keyword mail_keywords[] = {
    {"SIZE", true, take_size},
    {"BODY", true, take_body},
    {"SMTPUTF8", false, take_smtputf8},
    {"REQUIRETLS", false, take_requiretls},
    {"RET", true, take_ret},
    {"ENVID", true, take_envid},
    {"AUTH", true, take_auth},
    {NULL, false, NULL},
};

static const struct keyword rcpt_keywords[] = {
    {"NOTIFY", true, take_notify},
    {"ORCPT", true, take_orcpt},
    {NULL, false, NULL},
};

/* esmtp-value of RFC 5321 section 4.1.2 and RFC 6531 section 3.3 */
static bool
is_value(struct slice s, bool utf8)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= ' ' || c == '=' || c == 0x7f || (c > 0x7f && !utf8))
            return false;
    }
    return s.len > 0;
}

static const char *
take_one(struct slice item, const struct keyword *table, unsigned *seen,
         struct target *t)
{
    struct slice value = item, name = slice_cut(&value, '=');
    bool has_value = name.len < item.len;
    unsigned bit = 1;

    for (; table->name; table++, bit <<= 1) {
        if (!slice_is_nocase(name, table->name))
            continue;
        if (*seen & bit)
            return "501 5.5.4 The same parameter twice";
        *seen |= bit;
        if (has_value != table->wants_value)
            return has_value ? "501 5.5.4 The parameter takes no value"
                             : "501 5.5.4 The parameter wants a value";
        if (has_value && !is_value(value, t->utf8))
            return "501 5.5.4 Malformed parameter value";
        return table->store(t, value);
    }
    return is_word(name) ? "555 5.5.4 Unknown parameter"
                         : "501 5.5.4 Malformed parameter";
}

static const char *
take_all(struct slice params, const struct keyword *table, struct target *t)
{
    const char *refusal = NULL;
    unsigned seen = 0;

    params = slice_trim(params);
    while (params.len > 0 && !refusal) {
        refusal = take_one(slice_cut(&params, ' '), table, &seen, t);
        params = slice_trim(params);
    }
    return refusal;
}

const char *
smtp_param_mail(struct slice params, const struct smtp_param_session *session,
                struct mail_envelope *out, uint64_t *size)
{
    struct target t = {.session = session, .mail = out, .size = size};

    *size = 0;
    return take_all(params, mail_keywords, &t);
}

const char *
smtp_param_rcpt(struct slice params, bool utf8, struct mail_rcpt *out)
{
    struct target t = {.rcpt = out, .utf8 = utf8};

    return take_all(params, rcpt_keywords, &t);
}
