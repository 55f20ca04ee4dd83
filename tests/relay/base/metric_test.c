#include "relay/base/metric.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

enum { PLAIN, LABELLED, TIMES, FAMILIES };

static const struct metric_family families[FAMILIES] = {
    [PLAIN] = {"test_commits", "Commits.", METRIC_COUNTER, {NULL}},
    [LABELLED] = {"test_results",
                  "Results.",
                  METRIC_COUNTER,
                  {"kind", "route"}},
    [TIMES] = {"test_delay_seconds", "Delays.", METRIC_HISTOGRAM, {"kind"}},
};

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

static const char *
page(struct metric_set *s, bool is_openmetrics, struct buf *out)
{
    struct metric_page p = {.out = out, .is_openmetrics = is_openmetrics};

    buf_clear(out);
    metric_page_set(&p, s);
    metric_page_end(&p);
    return buf_text(out);
}

static void
has(const char *text, const char *want)
{
    if (!strstr(text, want))
        fail_msg("\"%s\" is not in:\n%s", want, text);
}

static void
a_family_without_labels_begins_at_zero(void **state)
{
    struct metric_set *s scoped(metric_set_free) =
        metric_set_new(families, FAMILIES);
    struct buf out scoped(buf_free) = {0};

    (void)state;
    has(page(s, false, &out), "# HELP test_commits_total Commits.\n"
                              "# TYPE test_commits_total counter\n"
                              "test_commits_total 0\n");
    metric_add(s, PLAIN, NULL, 3);
    metric_add(s, PLAIN, NULL, 4);
    has(page(s, false, &out), "\ntest_commits_total 7\n");
}

static void
openmetrics_names_a_counter_without_its_suffix_and_ends(void **state)
{
    struct metric_set *s scoped(metric_set_free) =
        metric_set_new(families, FAMILIES);
    struct buf out scoped(buf_free) = {0};
    const char *text = page(s, true, &out);

    (void)state;
    has(text, "# TYPE test_commits counter\ntest_commits_total 0\n");
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    assert_null(strstr(page(s, false, &out), "EOF"));
}

static void
each_combination_of_labels_is_a_series(void **state)
{
    struct metric_set *s scoped(metric_set_free) =
        metric_set_new(families, FAMILIES);
    struct buf out scoped(buf_free) = {0};
    const char *text;

    (void)state;
    metric_add(s, LABELLED, LABELS("sent", "mx"), 1);
    metric_add(s, LABELLED, LABELS("sent", "provider"), 2);
    metric_add(s, LABELLED, LABELS("sent", "mx"), 1);
    metric_add(s, LABELLED, LABELS("sent", NULL), 5);
    text = page(s, false, &out);
    has(text, "test_results_total{kind=\"sent\",route=\"mx\"} 2\n");
    has(text, "test_results_total{kind=\"sent\",route=\"provider\"} 2\n");
    has(text, "test_results_total{kind=\"sent\",route=\"\"} 5\n");
}

static void
a_label_can_not_break_the_page(void **state)
{
    struct metric_set *s scoped(metric_set_free) =
        metric_set_new(families, FAMILIES);
    struct buf out scoped(buf_free) = {0};

    (void)state;
    metric_add(s, LABELLED, LABELS("a\"} 1\n# EOF", "b\\"), 1);
    has(page(s, false, &out), "{kind=\"a\\\"} 1?# EOF\",route=\"b\\\\\"} 1\n");
}

static void
a_histogram_counts_up_to_each_bound(void **state)
{
    struct metric_set *s scoped(metric_set_free) =
        metric_set_new(families, FAMILIES);
    struct buf out scoped(buf_free) = {0};
    const char *text;

    (void)state;
    metric_observe(s, TIMES, LABELS("x"), 5);
    metric_observe(s, TIMES, LABELS("x"), 6);
    metric_observe(s, TIMES, LABELS("x"), -1);
    metric_observe(s, TIMES, LABELS("x"), 1000LL * 86400 * 365);
    text = page(s, false, &out);
    has(text, "test_delay_seconds_bucket{kind=\"x\",le=\"0.005\"} 2\n");
    has(text, "test_delay_seconds_bucket{kind=\"x\",le=\"0.001\"} 1\n");
    has(text, "test_delay_seconds_bucket{kind=\"x\",le=\"0.025\"} 3\n");
    has(text, "test_delay_seconds_bucket{kind=\"x\",le=\"432000\"} 3\n");
    has(text, "test_delay_seconds_bucket{kind=\"x\",le=\"+Inf\"} 4\n");
    has(text, "test_delay_seconds_sum{kind=\"x\"} 31536000.011\n");
    has(text, "test_delay_seconds_count{kind=\"x\"} 4\n");
}

static void
more_series_than_allowed_are_counted_together(void **state)
{
    struct metric_set *s scoped(metric_set_free) =
        metric_set_new(families, FAMILIES);
    struct buf out scoped(buf_free) = {0};
    char name[32];
    const char *text;

    (void)state;
    for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "k%d", i);
        metric_add(s, LABELLED, LABELS(name, "mx"), 1);
    }
    text = page(s, false, &out);
    has(text, "{kind=\"other\",route=\"other\"} 10\n");
    has(text, "{kind=\"k0\",route=\"mx\"} 1\n");
    assert_null(strstr(text, "k505"));
}

static void
a_counter_of_milliseconds_is_told_in_seconds(void **state)
{
    static const struct metric_family waits = {
        "test_waited_seconds", "Waits.", METRIC_SECONDS, {NULL}};
    struct metric_set *s scoped(metric_set_free) = metric_set_new(&waits, 1);
    struct buf out scoped(buf_free) = {0};

    (void)state;
    metric_add(s, 0, NULL, 1500);
    metric_add(s, 0, NULL, 250);
    has(page(s, false, &out), "# TYPE test_waited_seconds_total counter\n"
                              "test_waited_seconds_total 1.75\n");
}

/* Some longer than what is put together without memory, some with octets that
 * are written otherwise. */
static void
long_and_odd_labels_are_one_series_each(void **state)
{
    static const struct metric_family four = {
        "test_four", "Four.", METRIC_COUNTER, {"a", "b", "c", "d"}};
    struct metric_set *s scoped(metric_set_free) = metric_set_new(&four, 1);
    struct buf out scoped(buf_free) = {0};
    char longest[METRIC_VALUE_MAX + 2];
    const char *text;

    (void)state;
    memset(longest, '"', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (int i = 0; i < 3; i++) {
        metric_add(s, 0, LABELS(longest, longest, longest, longest), 1);
        metric_add(s, 0, LABELS("x", "y z", NULL, "w"), 2);
    }
    text = page(s, false, &out);
    has(text, "test_four_total{a=\"x\",b=\"y z\",c=\"\",d=\"w\"} 6\n");
    has(text, "\\\"\"} 3\n");
}

static void *
count_up(void *set)
{
    char name[32];

    for (int i = 0; i < 1000; i++) {
        metric_add(set, LABELLED, LABELS("sent", "mx"), 1);
        (void)snprintf(name, sizeof(name), "k%d", i % 100);
        metric_add(set, LABELLED, LABELS(name, "new"), 1);
    }
    return NULL;
}

static void
threads_lose_no_count(void **state)
{
    struct metric_set *s scoped(metric_set_free) =
        metric_set_new(families, FAMILIES);
    struct buf out scoped(buf_free) = {0};
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, s), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    has(page(s, false, &out), "route=\"mx\"} 4000\n");
    assert_int_equal(metric_total(s, LABELLED, NULL), 8000);
    assert_int_equal(metric_total(s, LABELLED, "k7"), 40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_without_labels_begins_at_zero),
        cmocka_unit_test(
            openmetrics_names_a_counter_without_its_suffix_and_ends),
        cmocka_unit_test(each_combination_of_labels_is_a_series),
        cmocka_unit_test(a_label_can_not_break_the_page),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound),
        cmocka_unit_test(more_series_than_allowed_are_counted_together),
        cmocka_unit_test(a_counter_of_milliseconds_is_told_in_seconds),
        cmocka_unit_test(long_and_odd_labels_are_one_series_each),
        cmocka_unit_test(threads_lose_no_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
