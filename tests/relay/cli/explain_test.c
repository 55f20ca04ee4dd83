#include "relay/cli/explain.h"

#include "relay/cli/term.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* 2026-11-23T14:00:00Z */
static const int64_t now = 1795442400000;

static const char message[] =
    "{\"id\": \"0g3k1x9d2a\", \"arrived\": \"2026-11-23T13:00:00.000Z\","
    " \"events\": ["
    "  {\"to\": \"a@x.test\", \"attempt\": {\"host\": \"old.test\","
    "   \"policy\": \"dane\", \"proof\": \"dane\"}},"
    "  {\"to\": \"a@x.test\", \"attempt\": {\"host\": \"mx.test\","
    "   \"address\": \"192.0.2.1:25\", \"policy\": \"mta-sts enforce\","
    "   \"proof\": \"pkix\", \"verdict\": \"expired\", \"step\": \"TLS\","
    "   \"tls_version\": null, \"reply\": \"451 4.7.5 no\"}},"
    "  {\"to\": \"b@x.test\", \"attempt\": {\"host\": \"grey.test\","
    "   \"policy\": \"opportunistic\", \"proof\": \"none\","
    "   \"reply\": \"450 4.2.1 grey\"}},"
    "  {\"to\": null, \"attempt\": {\"host\": \"other.test\"}},"
    "  {\"to\": \"a@x.test\", \"attempt\": null}]}";

static json_t *
json(const char *text)
{
    json_t *value = text ? json_loads(text, 0, NULL) : NULL;

    assert_true(!text || value);
    return value;
}

static json_t *
explain(const char *recipient, const char *plan, bool relay_runs)
{
    json_t *m = json(message), *r = json(recipient), *p = json(plan);
    json_t *out = cli_explain(m, r, p, relay_runs, now);

    json_decref(m);
    json_decref(r);
    json_decref(p);
    return out;
}

#define RCPT(state)                                                            \
    "{\"to\": \"a@x.test\", \"destination\": \"x.test\", \"state\": "          \
    "\"" state "\", \"last\": \"451 4.2.0 busy\","                             \
    " \"next\": \"2026-11-23T14:05:00.000Z\"}"
#define BLOCKED "\"blocked_until\": \"2026-11-23T14:09:00.000Z\""
#define PLAN(more)                                                             \
    "{\"domain\": \"x.test\", \"route\": \"out\", \"relay\": \"running\","     \
    " \"verdict\": \"go\", \"retry\": {\"expire_ms\": 86400000},"              \
    " \"why\": \"because of it\"" more "}"

static void
the_reason_that_counts_comes_first(void **state)
{
    static const struct {
        const char *recipient, *plan, *because, *would_go;
    } rows[] = {
        {RCPT("held"), PLAN(", " BLOCKED), "somebody held it",
         "release 0g3k1x9d2a"},
        {"{\"destination\": \"ended:operator\", \"state\": \"queued\"}", NULL,
         "gave it up", "never"},
        {RCPT("deferred"),
         "{\"relay\": \"store trouble\", \"verdict\": \"go\", " BLOCKED "}",
         "can't record", "runs again"},
        {RCPT("deferred"), "{\"relay\": \"draining\", \"verdict\": \"go\"}",
         "451 4.2.0 busy", "mx.test proves what mta-sts enforce demands: pkix"},
        {RCPT("deferred"), PLAN(", \"held\": true, " BLOCKED),
         "route \"out\" is held", "credentials"},
        {RCPT("deferred"), PLAN(", \"failures\": 3, " BLOCKED),
         "3 times in a row: because of it", "retry 0g3k1x9d2a"},
        {RCPT("deferred"), PLAN(", \"failures\": 1, " BLOCKED),
         "did not prove what it has to: because of it", "retry"},
        {RCPT("active"), PLAN(", \"eased\": 1"), "too much, and has at most 1",
         "its turn"},
        {RCPT("queued"), PLAN(", \"paced\": true, " BLOCKED), "a rate",
         "its turn"},
        {RCPT("active"), PLAN(""), "next in line", "now"},
        {RCPT("deferred"),
         "{\"verdict\": \"defer\", \"status\": \"451 4.7.5 no\","
         " \"rejected\": [{\"name\": \"mx.x.test\", \"why\": \"not in it\"}]}",
         "451 4.7.5 no", "mx.x.test were not passed over: not in it"},
        {RCPT("deferred"), "{\"verdict\": \"refuse\", \"status\": \"556 no\"}",
         "556 no", "DNS and policies"},
        {RCPT("deferred"), PLAN(""), "failed: 451 4.2.0 busy",
         "mx.test proves what mta-sts enforce demands: pkix"},
        {RCPT("deferred"), NULL, "failed: 451 4.2.0 busy", "mx.test proves"},
        {"{\"to\": \"b@x.test\", \"state\": \"deferred\","
         " \"last\": \"450 4.2.1 grey\"}",
         PLAN(""), "450 4.2.1 grey", "taken: grey.test may say"},
        {"{\"to\": \"c@x.test\", \"state\": \"deferred\","
         " \"last\": \"451 4.4.3 DNS\"}",
         PLAN(""), "451 4.4.3 DNS", "nothing is known against it"},
        {RCPT("deferred"),
         "{\"verdict\": \"go\", \"retry\": {\"expire_ms\": 3700000}}",
         "the next one is the last, as it is too old by then: 451 4.2.0",
         "proves"},
        {RCPT("queued"), PLAN(""), "put off: 451", "retry 0g3k1x9d2a"},
        {"{\"state\": \"queued\", \"last\": \"451 4.2.0 busy\"}", PLAN(""),
         "due again; the last time: 451", "now"},
        {"{\"state\": \"queued\"}", PLAN(""), "not tried yet", "now"},
        {RCPT("deferred"),
         "{\"verdict\": \"go\", \"failures\": 2, \"why\": \"451 "
         "4.7.5\", " BLOCKED "}",
         "did not prove what it has to, 2", "mx.test proves"},
        {RCPT("active"), PLAN(", \"paced\": true, " BLOCKED), "a rate",
         "its turn"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        json_t *x = explain(rows[i].recipient, rows[i].plan, true);

        if (!strstr(cli_text(x, "because"), rows[i].because) ||
            !strstr(cli_text(x, "would_go"), rows[i].would_go))
            fail_msg("row %zu: %s; %s", i, cli_text(x, "because"),
                     cli_text(x, "would_go"));
        json_decref(x);
    }
}

static void
times_are_those_that_count(void **state)
{
    static const struct {
        const char *recipient, *plan;
        int64_t next, expires; /* minutes from now; INT64_MAX: none */
    } rows[] = {
        {RCPT("deferred"), PLAN(""), 5, 23 * 60},
        {RCPT("deferred"), PLAN(", " BLOCKED), 9, 23 * 60},
        {RCPT("held"), PLAN(", " BLOCKED), INT64_MAX, INT64_MAX},
        {RCPT("deferred"), PLAN(", \"held\": true, " BLOCKED), 9, INT64_MAX},
        {RCPT("active"), PLAN(""), INT64_MAX, 23 * 60},
        /* the relay was away, before it came in and behind that */
        {RCPT("deferred"), PLAN(", \"ages_from\": null"), 5, 23 * 60},
        {RCPT("deferred"),
         PLAN(", \"ages_from\": \"2026-11-23T12:00:00.000Z\""), 5, 23 * 60},
        {RCPT("deferred"),
         PLAN(", \"ages_from\": \"2026-11-23T13:30:00.000Z\""), 5,
         23 * 60 + 30},
        {RCPT("held"), PLAN(", \"ages_from\": \"2026-11-23T13:30:00.000Z\""),
         INT64_MAX, INT64_MAX},
        {RCPT("active"), PLAN(", \"paced\": true, " BLOCKED), 9, 23 * 60},
        {RCPT("deferred"), NULL, 5, INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        json_t *x = explain(rows[i].recipient, rows[i].plan, true);
        int64_t next = cli_time(x, "next"), end = cli_time(x, "expires");

        assert_int_equal(next ? (next - now) / 60000 : INT64_MAX, rows[i].next);
        assert_int_equal(end ? (end - now) / 60000 : INT64_MAX,
                         rows[i].expires);
        json_decref(x);
    }
}

/* RFC 8460 section 5.5 */
static void
a_report_about_tls_is_given_up_after_a_day(void **state)
{
    json_t *m = json("{\"arrived\": \"2026-11-23T13:00:00.000Z\","
                     " \"origin\": \"TLS report about x.test\"}");
    json_t *p = json("{\"verdict\": \"go\", \"retry\": {\"expire_ms\":"
                     " 432000000}, \"ages_from\": "
                     "\"2026-11-23T13:30:00.000Z\"}");
    json_t *r = json(RCPT("deferred"));
    json_t *x = cli_explain(m, r, p, true, now);

    (void)state;
    assert_int_equal((cli_time(x, "expires") - now) / 60000, 23 * 60);
    json_decref(m);
    json_decref(p);
    json_decref(r);
    json_decref(x);
}

static void
what_was_expected_is_of_the_last_attempt_for_it(void **state)
{
    json_t *x = explain(RCPT("deferred"), PLAN(""), true);

    (void)state;
    assert_string_equal(cli_text(x, "expected"),
                        "mta-sts enforce: must prove pkix");
    assert_string_equal(cli_text(x, "seen"),
                        "mx.test [192.0.2.1:25], as far as TLS: TLS none, "
                        "certificate expired; 451 4.7.5 no");
    json_decref(x);
}

static void
without_a_relay_nothing_else_matters_but_a_hold(void **state)
{
    json_t *x = explain(RCPT("deferred"), NULL, false);

    (void)state;
    assert_string_equal(cli_text(x, "because"), "no relay is running");
    json_decref(x);
    x = explain(RCPT("held"), NULL, false);
    assert_string_equal(cli_text(x, "because"), "somebody held it");
    json_decref(x);
}

static void
nothing_known_is_no_crash(void **state)
{
    json_t *x = cli_explain(NULL, NULL, NULL, true, now);

    (void)state;
    assert_string_equal(cli_text(x, "because"), "it was not tried yet");
    assert_true(json_is_null(json_object_get(x, "seen")));
    json_decref(x);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reason_that_counts_comes_first),
        cmocka_unit_test(times_are_those_that_count),
        cmocka_unit_test(a_report_about_tls_is_given_up_after_a_day),
        cmocka_unit_test(what_was_expected_is_of_the_last_attempt_for_it),
        cmocka_unit_test(without_a_relay_nothing_else_matters_but_a_hold),
        cmocka_unit_test(nothing_known_is_no_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
