#include "policy/tlsrpt.h"

#include "policy/sts.h"
#include "relay/base/mem.h"
#include "relay/base/text.h"
#include "relay/mail/date.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const type_names[] = {
    [POLICY_TLSRPT_STS] = "sts",
    [POLICY_TLSRPT_TLSA] = "tlsa",
    [POLICY_TLSRPT_NO_POLICY] = "no-policy-found",
};

static const char *const result_names[] = {
    [POLICY_TLSRPT_SUCCESS] = "success",
    [POLICY_TLSRPT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
    [POLICY_TLSRPT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
    [POLICY_TLSRPT_CERTIFICATE_EXPIRED] = "certificate-expired",
    [POLICY_TLSRPT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
    [POLICY_TLSRPT_VALIDATION_FAILURE] = "validation-failure",
    [POLICY_TLSRPT_TLSA_INVALID] = "tlsa-invalid",
    [POLICY_TLSRPT_DNSSEC_INVALID] = "dnssec-invalid",
    [POLICY_TLSRPT_DANE_REQUIRED] = "dane-required",
    [POLICY_TLSRPT_STS_FETCH_ERROR] = "sts-policy-fetch-error",
    [POLICY_TLSRPT_STS_INVALID] = "sts-policy-invalid",
    [POLICY_TLSRPT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
};

static const char summary_key[] = "summary";
static const char success_key[] = "total-successful-session-count";
static const char failure_key[] = "total-failure-session-count";
static const char details_key[] = "failure-details";
static const char count_key[] = "failed-session-count";

const char *
policy_tlsrpt_result_name(enum policy_tlsrpt_result r)
{
    return result_names[r];
}

void
policy_tlsrpt_session_done(struct policy_tlsrpt_session *s)
{
    free(s->domain);
    free(s->policy_text);
    free(s->sending_ip);
    free(s->mx_host);
    free(s->helo);
    free(s->receiving_ip);
    free(s->additional);
    free(s->reason_code);
    *s = (struct policy_tlsrpt_session){0};
}

/* --- texts ------------------------------------------------------------- */

/* Whatever a peer said, as text of bounded length in UTF-8. */
static json_t *
text(struct slice s)
{
    scoped(buf_free) struct buf clean = {0};

    text_clean(s, POLICY_TLSRPT_TEXT_MAX, &clean);
    return json_string(buf_text(&clean));
}

static void
set(json_t *object, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(object, key, text(slice_of(value)));
}

static json_t *
lines(const char *policy)
{
    json_t *list = json_array();
    struct slice rest = slice_of(policy ? policy : "");

    while (rest.len > 0 && json_array_size(list) < POLICY_TLSRPT_LINES_MAX) {
        struct slice line = slice_cut(&rest, '\n');

        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        if (line.len > 0)
            json_array_append_new(list, text(line));
    }
    return list;
}

/* RFC 8460 section 4.4: the patterns of an MTA-STS policy. */
static void
set_patterns(json_t *policy, const char *published)
{
    struct policy_sts sts;
    struct err err;
    json_t *list;

    if (!published || !policy_sts_parse(slice_of(published), &sts, &err))
        return;
    list = json_array();
    for (size_t i = 0; i < sts.mx_count; i++)
        json_array_append_new(list, text(slice_of(sts.mx[i])));
    if (sts.mx_count > 0)
        json_object_set(policy, "mx-host", list);
    json_decref(list);
    policy_sts_done(&sts);
}

static json_t *
policy_object(const struct policy_tlsrpt_session *s)
{
    json_t *policy = json_object();

    json_object_set_new(policy, "policy-type",
                        json_string(type_names[s->type]));
    if (s->policy_text && s->type != POLICY_TLSRPT_NO_POLICY)
        json_object_set_new(policy, "policy-string", lines(s->policy_text));
    set(policy, "policy-domain", s->domain);
    if (s->type == POLICY_TLSRPT_STS)
        set_patterns(policy, s->policy_text);
    return policy;
}

static json_t *
detail_object(const struct policy_tlsrpt_session *s)
{
    json_t *detail = json_object();

    json_object_set_new(detail, "result-type",
                        json_string(result_names[s->result]));
    set(detail, "sending-mta-ip", s->sending_ip);
    set(detail, "receiving-mx-hostname", s->mx_host);
    set(detail, "receiving-mx-helo", s->helo);
    set(detail, "receiving-ip", s->receiving_ip);
    set(detail, "additional-information", s->additional);
    set(detail, "failure-reason-code", s->reason_code);
    return detail;
}

/* --- counting ---------------------------------------------------------- */

static void
increase(json_t *object, const char *key)
{
    json_int_t now = json_integer_value(json_object_get(object, key));

    json_object_set_new(object, key, json_integer(now + 1));
}

/* The entry of a list that is `wanted`: as its member `key`, or as a whole but
 * for the number of sessions. */
static json_t *
find_policy(const json_t *list, const json_t *wanted)
{
    size_t i;
    json_t *one;

    json_array_foreach(
        list, i,
        one) if (json_equal(json_object_get(one, "policy"), wanted)) return one;
    return NULL;
}

static json_t *
find_detail(const json_t *list, const json_t *wanted)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        json_t *rest = json_copy(one);
        bool is_same;

        json_object_del(rest, count_key);
        is_same = json_equal(rest, wanted);
        json_decref(rest);
        if (is_same)
            return one;
    }
    return NULL;
}

static json_t *
get_policy(json_t *list, const struct policy_tlsrpt_session *s)
{
    json_t *wanted = policy_object(s);
    json_t *found = find_policy(list, wanted);

    if (!found && json_array_size(list) < POLICY_TLSRPT_POLICIES_MAX) {
        found = json_pack("{s:O, s:{s:i, s:i}}", "policy", wanted, summary_key,
                          success_key, 0, failure_key, 0);
        json_array_append_new(list, found);
    }
    json_decref(wanted);
    return found;
}

static void
add_detail(json_t *policy, const struct policy_tlsrpt_session *s)
{
    json_t *list = json_object_get(policy, details_key);
    json_t *wanted = detail_object(s);
    json_t *found;

    if (!list) {
        list = json_array();
        json_object_set_new(policy, details_key, list);
    }
    found = find_detail(list, wanted);
    if (!found && json_array_size(list) < POLICY_TLSRPT_DETAILS_MAX) {
        found = json_incref(wanted);
        json_array_append_new(list, found);
    }
    if (found)
        increase(found, count_key);
    json_decref(wanted);
}

static bool
load(struct slice count, json_t **out, struct err *err)
{
    *out =
        count.len > 0 ? json_loadb(count.p, count.len, 0, NULL) : json_array();
    if (json_is_array(*out))
        return true;
    json_decref(*out);
    return err_set(err, ERR_INPUT, "no count of TLS sessions");
}

bool
policy_tlsrpt_add(struct slice before, const struct policy_tlsrpt_session *s,
                  struct buf *out, struct err *err)
{
    scoped(own_free) char *dump = NULL;
    json_t *list, *policy, *summary;

    if (!load(before, &list, err))
        return false;
    policy = get_policy(list, s);
    summary = json_object_get(policy, summary_key);
    if (policy && s->result == POLICY_TLSRPT_SUCCESS) {
        increase(summary, success_key);
    } else if (policy) {
        increase(summary, failure_key);
        add_detail(policy, s);
    }
    dump = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    buf_add_text(out, dump ? dump : "[]");
    return true;
}

bool
policy_tlsrpt_sum(struct slice count, struct policy_tlsrpt_sums *out,
                  struct err *err)
{
    json_t *list, *one;
    size_t i;

    *out = (struct policy_tlsrpt_sums){0};
    if (!load(count, &list, err))
        return false;
    out->policies = json_array_size(list);
    json_array_foreach(list, i, one)
    {
        const json_t *summary = json_object_get(one, summary_key);

        out->succeeded +=
            (uint64_t)json_integer_value(json_object_get(summary, success_key));
        out->failed +=
            (uint64_t)json_integer_value(json_object_get(summary, failure_key));
    }
    json_decref(list);
    return true;
}

/* --- days -------------------------------------------------------------- */

const char *
policy_tlsrpt_day(int64_t unix_ms, char out[POLICY_TLSRPT_DAY_SIZE])
{
    char date[MAIL_DATE_SIZE];

    (void)snprintf(out, POLICY_TLSRPT_DAY_SIZE, "%.10s",
                   mail_date_rfc3339(unix_ms, date));
    return out;
}

bool
policy_tlsrpt_day_parse(struct slice text, int64_t *unix_ms)
{
    char again[POLICY_TLSRPT_DAY_SIZE];
    struct slice rest = text;
    struct slice year = slice_cut(&rest, '-');
    struct slice month = slice_cut(&rest, '-');
    unsigned long long y, m, d;
    struct tm tm = {0};

    if (text.len != POLICY_TLSRPT_DAY_SIZE - 1 ||
        !slice_number(year, 9999, &y) || !slice_number(month, 12, &m) ||
        !slice_number(rest, 31, &d) || y < 1970 || m < 1 || d < 1)
        return false;
    tm.tm_year = (int)y - 1900;
    tm.tm_mon = (int)m - 1;
    tm.tm_mday = (int)d;
    *unix_ms = (int64_t)timegm(&tm) * 1000;
    /* The 31st of February would be some other day. */
    return slice_is(text, policy_tlsrpt_day(*unix_ms, again));
}
