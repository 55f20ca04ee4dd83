/*
 * relay/base/metric - numbers that a monitoring system reads.
 *
 * A set holds families (a counter or a histogram each, by a table that its
 * owner has), a family its series, one for each combination of label values
 * that was met.  How many those are is bounded: behind METRIC_SERIES_MAX all
 * new ones are counted together as "other", so that no peer can make a page
 * grow.  Any thread may count, and neither waits for another nor asks for
 * memory once a series is there; whoever writes a page sees each number whole.
 *
 * A page is text in Prometheus' exposition format, 0.0.4 or OpenMetrics 1.0,
 * which differ in the names of counters and in the end.  Gauges are kept by
 * nobody: who writes the page looks and says them.
 */
#ifndef RELAY_BASE_METRIC_H
#define RELAY_BASE_METRIC_H

#include "relay/base/buf.h"

#include <stdint.h>

enum {
    METRIC_LABELS_MAX = 4,   /* of a family */
    METRIC_VALUE_MAX = 100,  /* octets of a label's value; the rest is cut */
    METRIC_SERIES_MAX = 500, /* of a family */
};

enum metric_kind {
    METRIC_COUNTER,
    METRIC_SECONDS, /* a counter of milliseconds, which a page gives in
                       seconds */
    METRIC_GAUGE,
    METRIC_HISTOGRAM, /* of seconds */
};

struct metric_family {
    const char *name; /* whole, but without "_total" */
    const char *help; /* one sentence */
    enum metric_kind kind;
    const char *labels[METRIC_LABELS_MAX + 1]; /* names; NULL ends them */
};

struct metric_set;

/* The table is borrowed and outlives the set.  Families without labels begin
 * at 0; the others have no series until something is counted. */
struct metric_set *metric_set_new(const struct metric_family *families,
                                  size_t count);
void metric_set_free(struct metric_set **s);

/* Adds to a counter.  `values` are the labels' in the order of the family's
 * names, NULL stands for ""; NULL where it has none.  Any text will do. */
void metric_add(struct metric_set *s, size_t family, const char *const *values,
                uint64_t n);
/* One observation, in milliseconds or microseconds, for a histogram. */
void metric_observe(struct metric_set *s, size_t family,
                    const char *const *values, int64_t ms);
void metric_observe_us(struct metric_set *s, size_t family,
                       const char *const *values, int64_t us);

/* The sum of a counter's series: all of them, or with `first` those whose first
 * label has this value. */
uint64_t metric_total(struct metric_set *s, size_t family, const char *first);

struct metric_page {
    struct buf *out;
    bool is_openmetrics;
};

/* All families of the set, in order. */
void metric_page_set(struct metric_page *p, struct metric_set *s);
/* One family by hand: its head, then its samples. */
void metric_page_family(struct metric_page *p, const struct metric_family *f);
void metric_page_sample(struct metric_page *p, const struct metric_family *f,
                        const char *const *values, double value);
/* The last thing on a page. */
void metric_page_end(struct metric_page *p);

const char *metric_page_media_type(const struct metric_page *p);

#endif
