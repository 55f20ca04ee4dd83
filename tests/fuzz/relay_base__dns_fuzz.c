#include "relay/base/dns.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum dns_type types[] = {DNS_A,   DNS_CNAME, DNS_MX,
                                      DNS_TXT, DNS_AAAA,  DNS_TLSA};

static void
check_name(const char *name)
{
    assert(strlen(name) <= 253);
    assert(name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] ==
           '\0');
}

static void
check_record(const struct dns_answer *a, const struct dns_record *r)
{
    assert(r->ttl_s <= DNS_TTL_MAX && a->ttl_s <= r->ttl_s);
    if (a->type == DNS_MX)
        check_name(r->mx.host);
    if (a->type == DNS_TXT)
        assert(r->txt.len <= DNS_TXT_MAX && r->txt.p[r->txt.len] == '\0');
}

static void
check_answer(const struct dns_answer *a)
{
    check_name(a->name);
    check_name(a->canonical);
    assert(a->count <= DNS_RECORDS_MAX);
    assert(a->outcome == DNS_FOUND || a->count == 0);
    assert((a->outcome == DNS_FAILED) == (a->why[0] != '\0'));
    assert(a->outcome != DNS_FAILED || !a->authentic);
    assert(a->type == DNS_MX || a->outcome != DNS_FOUND || a->count > 0);
    for (size_t i = 0; i < a->count; i++)
        check_record(a, &a->records[i]);
}

/* A query turned into an answer says that there is nothing. */
static void
check_query(const char *name, enum dns_type type)
{
    uint8_t query[300];
    struct dns_answer a;
    size_t len = dns_query_write(1, name, type, query);

    if (len == 0)
        return;
    query[2] |= 0x80;
    dns_answer_read(query, len, name, type, &a);
    assert(a.outcome == DNS_NODATA && a.authentic);
    dns_answer_done(&a);
}

/* The type asked for, then the message, which answers for x.example. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_answer a, b;
    char name[300] = "";
    enum dns_type type;

    if (size == 0)
        return 0;
    type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    dns_answer_read(data + 1, size - 1, "x.example", type, &a);
    check_answer(&a);
    dns_answer_copy(&a, &b);
    dns_answer_done(&a);
    check_answer(&b);
    dns_answer_done(&b);
    memcpy(name, data + 1, size - 1 < 299 ? size - 1 : 299);
    check_query(name, type);
    return 0;
}
