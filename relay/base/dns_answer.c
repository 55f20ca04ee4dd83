#include "relay/base/dns.h"
#include "relay/base/dns_wire.h"
#include "relay/base/mem.h"

enum {
    FLAG_QR = 0x8000,
    FLAG_AA = 0x0400,
    FLAG_TC = 0x0200,
    FLAG_AD = 0x0020,
    OPCODE = 0x7800,
    RCODE = 0x000F,
    RCODE_NXDOMAIN = 3,
    TYPE_NS = 2,
    TYPE_SOA = 6,
    TYPE_OPT = 41,
    TLSA_HEAD = 3, /* octets in front of the data; RFC 6698 section 2.1 */
};

/* What is known of a message while it is read. */
struct reading {
    struct dns_wire answers; /* the answer section; reads stop at its count */
    unsigned answer_count;
    unsigned flags, rcode;
    bool has_soa, has_ns;
    uint32_t negative_ttl;
    struct dns_answer *out;
    size_t cap;
    bool left_out; /* a record of the type was malformed */
    bool dropped;  /* an MX was well formed and no host name */
};

static uint32_t
least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static const char *
rcode_name(unsigned rcode)
{
    static const char *const names[] = {
        [1] = "FORMERR",  [2] = "SERVFAIL", [4] = "NOTIMP",     [5] = "REFUSED",
        [6] = "YXDOMAIN", [7] = "YXRRSET",  [8] = "NXRRSET",    [9] = "NOTAUTH",
        [10] = "NOTZONE", [16] = "BADVERS", [23] = "BADCOOKIE",
    };

    if (rcode < sizeof(names) / sizeof(names[0]) && names[rcode])
        return names[rcode];
    return "unknown response code";
}

/* The TTL of a negative answer (RFC 2308 section 5). */
static bool
read_soa(struct dns_wire_record *record, struct reading *r)
{
    struct dns_wire *w = &record->data;
    struct dns_wire_name ignored;
    uint32_t minimum;

    dns_wire_name(w, &ignored);
    dns_wire_name(w, &ignored);
    (void)dns_wire_bytes(w, 4 * sizeof(uint32_t));
    minimum = dns_wire_u32(w);
    if (w->is_broken || dns_wire_left(w) > 0)
        return false;
    r->has_soa = true;
    r->negative_ttl = least(least(record->ttl, minimum), DNS_NEGATIVE_TTL_MAX);
    return true;
}

static bool
read_authority(struct dns_wire *w, unsigned count, struct reading *r)
{
    while (count-- > 0) {
        struct dns_wire_record record;

        dns_wire_record(w, &record);
        if (w->is_broken)
            return false;
        if (record.type == TYPE_NS)
            r->has_ns = true;
        if (record.type == TYPE_SOA && !read_soa(&record, r))
            return false;
    }
    return true;
}

/* The upper bits of the response code are in the OPT record, of which there is
 * at most one (RFC 6891 section 6.1). */
static bool
read_additional(struct dns_wire *w, unsigned count, struct reading *r)
{
    bool has_opt = false;

    while (count-- > 0) {
        struct dns_wire_record record;

        dns_wire_record(w, &record);
        if (w->is_broken || (record.type == TYPE_OPT && has_opt))
            return false;
        if (record.type != TYPE_OPT)
            continue;
        has_opt = true;
        r->rcode |= record.ttl >> 24 << 4;
    }
    return true;
}

static bool
skip_records(struct dns_wire *w, unsigned count)
{
    struct dns_wire_record record;

    while (count-- > 0 && !w->is_broken)
        dns_wire_record(w, &record);
    return !w->is_broken;
}

static const char *
read_question(struct dns_wire *w, unsigned count, const struct dns_answer *out)
{
    struct dns_wire_name name;
    unsigned type, klass;

    if (count != 1)
        return "no single question in the answer";
    dns_wire_name(w, &name);
    type = dns_wire_u16(w);
    klass = dns_wire_u16(w);
    if (w->is_broken)
        return "malformed question";
    if (!dns_wire_is_same(&name, out->name) || type != (unsigned)out->type ||
        klass != DNS_WIRE_IN)
        return "answer to another question";
    return NULL;
}

/* Checks the frame of the whole message, and finds its answer section; what is
 * wrong with it, NULL when nothing is. */
static const char *
read_frame(struct dns_wire *w, struct reading *r)
{
    unsigned questions, authorities, additionals;
    const char *wrong;

    (void)dns_wire_u16(w); /* the id is for whoever asked */
    r->flags = dns_wire_u16(w);
    questions = dns_wire_u16(w);
    r->answer_count = dns_wire_u16(w);
    authorities = dns_wire_u16(w);
    additionals = dns_wire_u16(w);
    r->rcode = r->flags & RCODE;
    if (w->is_broken)
        return "message too short";
    if (!(r->flags & FLAG_QR) || (r->flags & OPCODE) != 0)
        return "not an answer to a query";
    if (r->flags & FLAG_TC)
        return "truncated";
    /* Servers that fail may leave out everything else. */
    if (r->rcode != 0 && r->rcode != RCODE_NXDOMAIN)
        return rcode_name(r->rcode);
    wrong = read_question(w, questions, r->out);
    if (wrong)
        return wrong;
    r->answers = *w;
    if (!skip_records(w, r->answer_count) ||
        !read_authority(w, authorities, r) ||
        !read_additional(w, additionals, r))
        return "malformed message";
    if (r->rcode != 0 && r->rcode != RCODE_NXDOMAIN)
        return rcode_name(r->rcode);
    return NULL;
}

/* TTLs with the highest bit set are large, not negative (RFC 8767 section 4).
 */
static void
keep_ttl(struct dns_answer *out, uint32_t ttl)
{
    out->ttl_s = least(out->ttl_s, ttl);
}

/* The next record of `type` that belongs to the canonical name. */
static bool
next_record(struct dns_wire *w, unsigned *left, unsigned type,
            const char *owner, struct dns_wire_record *record)
{
    while (*left > 0) {
        --*left;
        dns_wire_record(w, record);
        if (record->type == type && record->klass == DNS_WIRE_IN &&
            dns_wire_is_same(&record->owner, owner))
            return true;
    }
    return false;
}

/* All there is to a CNAME is where it leads. */
static bool
read_cname(struct dns_wire *w, struct dns_answer *out)
{
    struct dns_wire_name target;

    dns_wire_name(w, &target);
    if (w->is_broken || dns_wire_left(w) > 0 || target.text[0] == '\0')
        return false;
    memcpy(out->canonical, target.text, sizeof(target.text));
    return true;
}

/* Moves the canonical name to the end of the chain of CNAMEs. */
static const char *
follow_cnames(struct reading *r)
{
    struct dns_answer *out = r->out;

    if (out->type == DNS_CNAME)
        return NULL;
    for (unsigned links = 0;; links++) {
        struct dns_wire w = r->answers;
        unsigned left = r->answer_count;
        struct dns_wire_record record;

        if (!next_record(&w, &left, DNS_CNAME, out->canonical, &record))
            return NULL;
        if (links == DNS_CNAMES_MAX)
            return "chain of CNAMEs too long, or a loop";
        if (!read_cname(&record.data, out))
            return "malformed CNAME";
        keep_ttl(out, record.ttl);
    }
}

static bool
read_address(struct dns_wire *w, void *to, size_t size)
{
    const uint8_t *p = dns_wire_bytes(w, size);

    if (p)
        memcpy(to, p, size);
    return p;
}

/* The strings of one TXT record, of which there is at least one (RFC 1035
 * section 3.3.14), joined without anything between them. */
static bool
read_txt(struct dns_wire *w, struct dns_record *to)
{
    struct dns_wire counting = *w;
    size_t len = 0;

    if (dns_wire_left(w) == 0)
        return false;
    while (dns_wire_left(&counting) > 0) {
        size_t n = dns_wire_u8(&counting);

        (void)dns_wire_bytes(&counting, n);
        len += n;
    }
    if (counting.is_broken || len > DNS_TXT_MAX)
        return false;
    to->txt.p = mem_array(char, len + 1);
    while (to->txt.len < len) {
        size_t n = dns_wire_u8(w);

        memcpy(to->txt.p + to->txt.len, dns_wire_bytes(w, n), n);
        to->txt.len += n;
    }
    *w = counting;
    return true;
}

static bool
read_tlsa(struct dns_wire *w, struct dns_record *to)
{
    if (dns_wire_left(w) < TLSA_HEAD)
        return false;
    to->tlsa.usage = dns_wire_u8(w);
    to->tlsa.selector = dns_wire_u8(w);
    to->tlsa.matching = dns_wire_u8(w);
    to->tlsa.len = dns_wire_left(w);
    to->tlsa.data = mem_array(uint8_t, to->tlsa.len);
    memcpy(to->tlsa.data, dns_wire_bytes(w, to->tlsa.len), to->tlsa.len);
    return true;
}

/* A second MX of the same host only matters when it is better. */
static bool
is_repeated(struct dns_answer *out, const struct dns_record *record)
{
    for (size_t i = 0; i < out->count; i++) {
        struct dns_record *have = &out->records[i];

        if (strcmp(have->mx.host, record->mx.host) != 0)
            continue;
        if (record->mx.preference < have->mx.preference)
            have->mx.preference = record->mx.preference;
        return true;
    }
    return false;
}

static bool
read_mx(struct dns_wire *w, struct reading *r, struct dns_record *to,
        bool *is_wanted)
{
    struct dns_wire_name host;

    to->mx.preference = dns_wire_u16(w);
    dns_wire_name(w, &host);
    if (w->is_broken || dns_wire_left(w) > 0)
        return false;
    memcpy(to->mx.host, host.text, sizeof(host.text));
    if (host.is_odd || (host.text[0] && !dns_wire_is_host(host.text))) {
        r->dropped = true;
        *is_wanted = false;
    } else if (is_repeated(r->out, to)) {
        *is_wanted = false;
    }
    return true;
}

/* What is no host's name is of no use to anybody. */
static bool
read_ptr(struct dns_wire *w, struct reading *r, struct dns_record *to,
         bool *is_wanted)
{
    struct dns_wire_name host;

    dns_wire_name(w, &host);
    if (w->is_broken || dns_wire_left(w) > 0)
        return false;
    memcpy(to->ptr.host, host.text, sizeof(host.text));
    *is_wanted = !host.is_odd && dns_wire_is_host(host.text);
    r->dropped |= !*is_wanted;
    return true;
}

static bool
read_data(struct dns_wire *w, struct reading *r, struct dns_record *to,
          bool *is_wanted)
{
    switch (r->out->type) {
    case DNS_A:
        return read_address(w, &to->a, sizeof(to->a));
    case DNS_AAAA:
        return read_address(w, &to->aaaa, sizeof(to->aaaa));
    case DNS_MX:
        return read_mx(w, r, to, is_wanted);
    case DNS_PTR:
        return read_ptr(w, r, to, is_wanted);
    case DNS_TXT:
        return read_txt(w, to);
    case DNS_TLSA:
        return read_tlsa(w, to);
    case DNS_CNAME:
        return read_cname(w, r->out);
    }
    return false;
}

static void
add_record(struct reading *r, struct dns_wire_record *record)
{
    struct dns_answer *out = r->out;
    struct dns_record read = {.ttl_s = least(record->ttl, DNS_TTL_MAX)};
    bool is_wanted = true;

    if (!read_data(&record->data, r, &read, &is_wanted) ||
        dns_wire_left(&record->data) > 0) {
        r->left_out = true;
        return;
    }
    keep_ttl(out, record->ttl);
    if (!is_wanted)
        return;
    if (out->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 4;
        out->records = mem_resized(out->records, r->cap, sizeof(read));
    }
    out->records[out->count++] = read;
}

static void
collect(struct reading *r)
{
    struct dns_wire w = r->answers;
    unsigned left = r->answer_count;
    struct dns_wire_record record;
    char owner[sizeof(r->out->canonical)];

    memcpy(owner, r->out->canonical, sizeof(owner));
    while (r->out->count < DNS_RECORDS_MAX &&
           next_record(&w, &left, r->out->type, owner, &record))
        add_record(r, &record);
}

/* Decides the outcome once everything is read; what is wrong with the answer,
 * NULL when nothing is. */
static const char *
settle(struct reading *r)
{
    struct dns_answer *out = r->out;
    bool is_found = out->count > 0 || r->dropped;

    if (r->left_out && out->count == 0)
        return "malformed record";
    if (is_found && r->rcode == RCODE_NXDOMAIN)
        return "records of a name that does not exist";
    if (!is_found && r->has_ns && !r->has_soa && !(r->flags & FLAG_AA))
        return "referral instead of an answer";
    out->authentic = r->flags & FLAG_AD;
    if (is_found) {
        out->outcome = DNS_FOUND;
        return NULL;
    }
    out->outcome = r->rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA;
    /* Without an SOA it may not be kept at all (RFC 2308 section 5). */
    keep_ttl(out, r->has_soa ? r->negative_ttl : 0);
    return NULL;
}

void
dns_answer_read(const uint8_t *message, size_t len, const char *name,
                enum dns_type type, struct dns_answer *out)
{
    struct reading r = {.out = out};
    struct dns_wire w = {.message = message, .end = len};
    const char *wrong = "no domain name was asked for";

    dns_answer_fail(out, name, type, "");
    out->ttl_s = DNS_TTL_MAX;
    if (out->name[0])
        wrong = read_frame(&w, &r);
    if (!wrong)
        wrong = follow_cnames(&r);
    if (!wrong) {
        collect(&r);
        wrong = settle(&r);
    }
    if (!wrong)
        return;
    dns_answer_done(out);
    dns_answer_fail(out, name, type, wrong);
}
