/* Reports about TLS: whatever a peer is called and says, and whatever lies in
 * the store as a count, what comes out is JSON, and a mail whose lines may be
 * sent as they are. */
#include "policy/tlsrpt_report.h"
#include "relay/base/mem.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SESSIONS_MAX = 20 };

static char *
text_of(struct slice *rest)
{
    struct slice word = slice_cut(rest, '\n');

    return word.len > 0 ? mem_copy(word) : NULL;
}

/* One session out of a few lines, as a driver would tell it. */
static void
read_session(struct slice *rest, struct policy_tlsrpt_session *s)
{
    unsigned char kind = (unsigned char)(rest->len > 0 ? rest->p[0] : 0);

    *rest = slice_from(*rest, rest->len > 0);
    *s = (struct policy_tlsrpt_session){
        .type = kind % 3,
        .result = kind / 3 % (POLICY_TLSRPT_STS_WEBPKI_INVALID + 1),
    };
    s->domain = text_of(rest);
    if (!s->domain)
        s->domain = strdup("example.com");
    s->policy_text = text_of(rest);
    s->mx_host = text_of(rest);
    s->helo = text_of(rest);
    s->sending_ip = text_of(rest);
    s->receiving_ip = text_of(rest);
    s->additional = text_of(rest);
    s->reason_code = text_of(rest);
}

static void
check_json(struct slice document)
{
    json_error_t error;
    json_t *json = json_loadb(document.p, document.len, 0, &error);

    assert(json && json_is_array(json_object_get(json, "policies")));
    assert(json_is_string(json_object_get(json, "report-id")));
    json_decref(json);
}

/* RFC 5322 section 2.1.1: 998 octets and CRLF. */
static void
check_lines(struct slice mail)
{
    size_t len = 0;

    assert(mail.len > 2);
    for (size_t i = 0; i < mail.len; i++) {
        bool ends = i > 0 && mail.p[i - 1] == '\r';

        assert(mail.p[i] != '\0');
        assert((mail.p[i] == '\n') == ends);
        len = ends ? 0 : len + 1;
        assert(len <= 999);
    }
    assert(len == 0);
}

static void
check_report(struct slice count)
{
    struct policy_tlsrpt_report r = {
        .organization = "Example \"Inc\"",
        .contact = "tls@example.com",
        .submitter = "relay.example.com",
        .domain = "example.net",
        .day_ms = 1795392000000,
        .unique = "k3x9",
        .count = count,
    };
    struct policy_tlsrpt_mail m = {
        .from = "tls@example.com",
        .to = "reports@example.net",
        .message_id = "1@relay.example.com",
        .now_ms = 1795392000000,
    };
    struct buf document scoped(buf_free) = {0}, packed scoped(buf_free) = {0},
                        mail scoped(buf_free) = {0};
    struct err err;

    if (!policy_tlsrpt_report_json(&r, &document, &err)) {
        assert(err.kind == ERR_INPUT);
        return;
    }
    check_json(buf_slice(&document));
    policy_tlsrpt_report_pack(buf_slice(&document), &packed);
    policy_tlsrpt_report_mail(&r, &m, buf_slice(&packed), &mail);
    check_lines(buf_slice(&mail));
}

/* What was counted can be reported. */
static void
check_sessions(struct slice rest)
{
    struct buf count scoped(buf_free) = {0};
    struct policy_tlsrpt_sums sums;
    struct err err;

    for (int i = 0; i < SESSIONS_MAX && rest.len > 0; i++) {
        struct policy_tlsrpt_session s;
        struct buf next = {0};

        read_session(&rest, &s);
        assert(policy_tlsrpt_add(buf_slice(&count), &s, &next, &err));
        policy_tlsrpt_session_done(&s);
        buf_free(&count);
        count = next;
        assert(policy_tlsrpt_sum(buf_slice(&count), &sums, &err));
        assert(sums.policies <= POLICY_TLSRPT_POLICIES_MAX);
    }
    if (count.len > 0)
        check_report(buf_slice(&count));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};

    check_report(in);
    check_sessions(in);
    return 0;
}
