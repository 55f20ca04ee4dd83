#include "smtp/request.h"

#include "relay/mail/address.h"
#include "relay/mail/xtext.h"
#include "smtp/client.h"

#include <inttypes.h>

static const struct smtp_request_obstacle
    too_large = {552, "5.3.4 the message is larger than the server takes"},
    not_utf8 = {550, "5.6.7 the message needs SMTPUTF8, which the server does "
                     "not offer"},
    not_8bit = {554, "5.6.3 the message has octets above 127, which the server "
                     "does not take, and can't be converted"},
    not_requiretls = {550, "5.7.30 the message needs REQUIRETLS, which the "
                           "server does not offer"};

static bool
is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text > 127)
            return false;
    return true;
}

/* A server without SMTPUTF8 may have the domain in A-label form instead (RFC
 * 6531 section 3.2); nothing can stand for a local part. */
static bool
has_ascii_form(const char *address, struct mail_address *out)
{
    struct err ignored;

    if (!mail_address_parse(slice_of(address), true, out, &ignored))
        return false;
    out->text[out->at] = '\0';
    return is_ascii(out->text);
}

bool
smtp_request_is_international(const char *address)
{
    struct mail_address a;

    return !is_ascii(address) && !has_ascii_form(address, &a);
}

/* What is all ASCII can go to any server, whatever its sender declared. */
static bool
needs_utf8(const struct smtp_client_mail *m)
{
    const struct mail_envelope *e = m->envelope;

    if (smtp_request_is_international(e->from))
        return true;
    for (size_t i = 0; i < m->rcpt_count; i++)
        if (smtp_request_is_international(e->rcpt[m->rcpt[i]].address))
            return true;
    return e->smtputf8 && m->has_8bit && !m->is_header_ascii;
}

static bool
loses_requiretls(const struct smtp_capability *offer,
                 const struct mail_envelope *e)
{
    return mail_envelope_demands_requiretls(e) && !offer->requiretls;
}

const struct smtp_request_obstacle *
smtp_request_find_obstacle(const struct smtp_capability *offer,
                           const struct smtp_client_mail *m)
{
    if (loses_requiretls(offer, m->envelope) && !m->may_lose_requiretls)
        return &not_requiretls; /* RFC 8689 section 4.2.1 */
    if (!offer->smtputf8 && needs_utf8(m))
        return &not_utf8; /* RFC 6531 section 3.2 */
    if (!offer->eightbitmime && m->is_unconvertible)
        return &not_8bit; /* RFC 6152 section 3 */
    if (offer->size && offer->size_max > 0 && m->size > offer->size_max)
        return &too_large; /* RFC 1870 section 4 */
    return NULL;
}

static void
add_address(const struct smtp_capability *offer, const char *address,
            struct buf *out)
{
    struct mail_address a;

    if (!offer->smtputf8 && !is_ascii(address) && has_ascii_form(address, &a))
        buf_printf(out, "<%s@%s>", a.text, a.domain.text);
    else
        buf_printf(out, "<%s>", address);
}

/* An address in UTF-8 goes only with the parameter (RFC 6531 section 3.4). */
static bool
wants_utf8(const struct smtp_client_mail *m)
{
    const struct mail_envelope *e = m->envelope;

    if (e->smtputf8 || !is_ascii(e->from))
        return true;
    for (size_t i = 0; i < m->rcpt_count; i++)
        if (!is_ascii(e->rcpt[m->rcpt[i]].address))
            return true;
    return false;
}

/* Notices about a message with REQUIRETLS hold no body (RFC 8689 section 5);
 * those who are not told that it has it are told this. */
static void
add_dsn_of_mail(const struct smtp_capability *offer,
                const struct mail_envelope *e, struct buf *out)
{
    static const char *const rets[] = {
        [MAIL_RET_NONE] = "",
        [MAIL_RET_FULL] = " RET=FULL",
        [MAIL_RET_HDRS] = " RET=HDRS",
    };

    buf_add_text(out,
                 rets[loses_requiretls(offer, e) ? MAIL_RET_HDRS : e->ret]);
    if (e->envid) {
        buf_add_text(out, " ENVID=");
        mail_xtext_encode(slice_of(e->envid), out);
    }
}

void
smtp_request_add_mail(const struct smtp_capability *offer,
                      const struct smtp_client_mail *m, struct buf *out)
{
    const struct mail_envelope *e = m->envelope;

    buf_add_text(out, "MAIL FROM:");
    add_address(offer, e->from, out);
    if (offer->size && m->size > 0)
        buf_printf(out, " SIZE=%" PRIu64, m->size);
    if (offer->eightbitmime && (m->has_8bit || e->body_8bit))
        buf_add_text(out, " BODY=8BITMIME");
    if (offer->smtputf8 && wants_utf8(m))
        buf_add_text(out, " SMTPUTF8");
    if (offer->requiretls && e->requiretls)
        buf_add_text(out, " REQUIRETLS");
    if (offer->dsn)
        add_dsn_of_mail(offer, e, out);
    buf_add_text(out, "\r\n");
}

static void
add_notify(uint8_t notify, struct buf *out)
{
    static const struct {
        uint8_t bit;
        const char *name;
    } words[] = {
        {MAIL_NOTIFY_SUCCESS, "SUCCESS"},
        {MAIL_NOTIFY_FAILURE, "FAILURE"},
        {MAIL_NOTIFY_DELAY, "DELAY"},
    };
    const char *between = " NOTIFY=";

    /* NEVER stands alone: RFC 3461 section 4.1 */
    if (notify & MAIL_NOTIFY_NEVER) {
        buf_add_text(out, " NOTIFY=NEVER");
        return;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!(notify & words[i].bit))
            continue;
        buf_add_text(out, between);
        buf_add_text(out, words[i].name);
        between = ",";
    }
}

/* Takes one code point off the front; U+FFFD for what is no UTF-8. */
static uint32_t
cut_point(struct slice *s)
{
    unsigned char first = (unsigned char)s->p[0];
    size_t len = first < 0x80   ? 1
                 : first < 0xc2 ? 0
                 : first < 0xe0 ? 2
                 : first < 0xf0 ? 3
                 : first < 0xf5 ? 4
                                : 0;
    uint32_t point = len < 2 ? first : first & (0x7fU >> len);

    for (size_t i = 1; i < len; i++) {
        unsigned char next = i < s->len ? (unsigned char)s->p[i] : 0;

        if ((next & 0xc0) != 0x80)
            len = 0;
        point = point << 6 | (next & 0x3f);
    }
    *s = slice_from(*s, len ? len : 1);
    return len ? point : 0xfffd;
}

/* utf-8-addr-xtext, which is 7-bit and so fits with and without SMTPUTF8:
 * RFC 6533 section 3. */
static void
add_utf8_address(struct slice address, struct buf *out)
{
    while (address.len > 0) {
        uint32_t point = cut_point(&address);

        if (point > ' ' && point < 0x7f && point != '+' && point != '=' &&
            point != '\\')
            buf_add_byte(out, (char)point);
        else
            buf_printf(out, "\\x{%02" PRIX32 "}", point);
    }
}

static void
add_orcpt(const char *orcpt, struct buf *out)
{
    struct slice address = slice_of(orcpt);
    struct slice type = slice_cut(&address, ';');

    if (type.len == 0 || address.len == 0)
        return;
    buf_add_text(out, " ORCPT=");
    mail_xtext_encode(type, out);
    buf_add_byte(out, ';');
    if (slice_is_nocase(type, "utf-8"))
        add_utf8_address(address, out);
    else
        mail_xtext_encode(address, out);
}

void
smtp_request_add_rcpt(const struct smtp_capability *offer,
                      const struct mail_rcpt *rcpt, struct buf *out)
{
    buf_add_text(out, "RCPT TO:");
    add_address(offer, rcpt->address, out);
    if (offer->dsn) {
        add_notify(rcpt->notify, out);
        if (rcpt->orcpt)
            add_orcpt(rcpt->orcpt, out);
    }
    buf_add_text(out, "\r\n");
}
