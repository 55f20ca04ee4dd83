/* MTA-STS record and policy: what is parsed, printed and parsed again is the
 * same; and patterns match as a second implementation says. */
#include "policy/sts.h"

#include "relay/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_record(struct slice in)
{
    struct slice txt[8];
    char id[POLICY_STS_ID_MAX + 1], again[POLICY_STS_ID_MAX + 1];
    char text[80];
    struct err err = {0};
    size_t count = 0;

    while (in.len > 0 && count < 8)
        txt[count++] = slice_cut(&in, '\n');
    if (!policy_sts_record_parse(txt, count, id, &err)) {
        assert(err.kind == ERR_MISSING || err.kind == ERR_INPUT);
        assert(!id[0]);
        return;
    }
    snprintf(text, sizeof(text), "v=STSv1; id=%s;", id);
    txt[0] = slice_of(text);
    assert(policy_sts_record_parse(txt, 1, again, &err));
    assert(strcmp(id, again) == 0);
}

static void
print(const struct policy_sts *p, struct buf *out)
{
    buf_printf(out, "version: STSv1\r\nmode: %s\r\nmax_age: %lld\r\n",
               policy_sts_mode_name(p->mode), (long long)p->max_age_s);
    for (size_t i = 0; i < p->mx_count; i++)
        buf_printf(out, "mx: %s\r\n", p->mx[i]);
}

static bool
reference_matches(const char *pattern, const char *host)
{
    size_t label = strcspn(host, ".");
    char only[600];

    snprintf(only, sizeof(only), "%.*s%s", pattern[0] == '*' ? (int)label : 0,
             host, pattern + (pattern[0] == '*'));
    return (pattern[0] != '*' || label > 0) && strcasecmp(only, host) == 0;
}

/* Each pattern against hosts made from itself, with the wildcard filled by
 * nothing, one label and two. */
static void
check_match(const struct policy_sts *p, size_t index)
{
    static const char *const fill[] = {"", "a", "a.b", "*"};
    struct policy_sts one = {.mx = &p->mx[index], .mx_count = 1};
    const char *rest = p->mx[index] + (p->mx[index][0] == '*');

    for (size_t i = 0; i < sizeof(fill) / sizeof(fill[0]); i++) {
        char host[300];

        snprintf(host, sizeof(host), "%s%s", fill[i], rest);
        assert(policy_sts_has_mx(&one, host) ==
               reference_matches(p->mx[index], host));
    }
}

static void
check_policy(struct slice in)
{
    struct buf text = {0}, second = {0};
    struct policy_sts p, again;
    struct err err = {0};

    if (!policy_sts_parse(in, &p, &err)) {
        assert(err.kind == ERR_INPUT);
        return;
    }
    assert(p.max_age_s >= 0 && p.max_age_s <= POLICY_STS_AGE_MAX);
    assert(p.mx_count <= POLICY_STS_MX_MAX);
    assert(p.mx_count > 0 || p.mode == POLICY_STS_NONE);
    print(&p, &text);
    assert(policy_sts_parse(buf_slice(&text), &again, &err));
    print(&again, &second);
    assert(strcmp(buf_text(&text), buf_text(&second)) == 0);
    for (size_t i = 0; i < p.mx_count; i++)
        check_match(&p, i);
    buf_free(&text);
    buf_free(&second);
    policy_sts_done(&p);
    policy_sts_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};

    check_record(in);
    check_policy(in);
    return 0;
}
