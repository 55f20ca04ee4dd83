#include "relay/base/metric.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/text.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper ends of a histogram's buckets, milliseconds: from a hand-over on the
 * same host to a message that waited for days. */
static const int64_t bounds_ms[] = {5,
                                    25,
                                    100,
                                    500,
                                    1000,
                                    5 * 1000,
                                    30 * 1000,
                                    120 * 1000,
                                    600 * 1000,
                                    3600 * 1000,
                                    6 * 3600 * 1000,
                                    24 * 3600 * 1000,
                                    120 * 3600 * 1000};
enum { BOUNDS = sizeof(bounds_ms) / sizeof(*bounds_ms) };

struct series {
    UT_hash_handle hh;
    char *key; /* its labels as they stand on a page, without braces */
    uint64_t count;
    uint64_t bucket[BOUNDS]; /* histogram: of this bucket alone */
    int64_t sum_ms;
};

struct metric_set {
    pthread_mutex_t mutex;
    const struct metric_family *families;
    struct series **series; /* of each family */
    size_t count;
};

/* --- labels --- */

/* What a program names: as it stands, in the shortest way. */
static bool
is_plain(const char *value)
{
    size_t i = 0;

    while (i < METRIC_VALUE_MAX && value[i] > ' ' && value[i] <= '~' &&
           value[i] != '"' && value[i] != '\\')
        i++;
    return value[i] == '\0';
}

static void
add_escaped(struct buf *out, const char *value)
{
    struct buf clean scoped(buf_free) = {0};

    if (is_plain(value)) {
        buf_add_text(out, value);
        return;
    }
    text_clean(slice_of(value), METRIC_VALUE_MAX, &clean);
    for (size_t i = 0; i < clean.len; i++) {
        if (clean.p[i] == '"' || clean.p[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, clean.p[i]);
    }
}

static void
add_labels(struct buf *out, const struct metric_family *f,
           const char *const *values, const char *instead)
{
    for (size_t i = 0; f->labels[i]; i++) {
        const char *value = instead ? instead : values[i];

        buf_printf(out, "%s%s=\"", i ? "," : "", f->labels[i]);
        add_escaped(out, value ? value : "");
        buf_add_byte(out, '"');
    }
}

/* --- counting --- */

static struct series *
add_series(struct series **all, struct buf *key)
{
    struct series *x = mem_new(struct series);

    x->key = mem_copy(buf_slice(key));
    HASH_ADD_KEYPTR(hh, *all, x->key, key->len, x);
    return x;
}

static struct series *
find(struct series **all, struct buf *key)
{
    struct series *x;

    HASH_FIND(hh, *all, key->p, key->len, x);
    return x;
}

/* The series of these labels; a new one, or the one for all others. */
static struct series *
place(struct metric_set *s, size_t family, const char *const *values)
{
    const struct metric_family *f = &s->families[family];
    struct series **all = &s->series[family], *x;
    struct buf key scoped(buf_free) = {0};

    (void)buf_text(&key);
    add_labels(&key, f, values, NULL);
    x = find(all, &key);
    if (!x && HASH_COUNT(*all) >= METRIC_SERIES_MAX) {
        buf_clear(&key);
        add_labels(&key, f, values, "other");
        x = find(all, &key);
    }
    return x ? x : add_series(all, &key);
}

void
metric_add(struct metric_set *s, size_t family, const char *const *values,
           uint64_t n)
{
    assert(family < s->count && s->families[family].kind == METRIC_COUNTER);
    (void)pthread_mutex_lock(&s->mutex);
    place(s, family, values)->count += n;
    (void)pthread_mutex_unlock(&s->mutex);
}

void
metric_observe(struct metric_set *s, size_t family, const char *const *values,
               int64_t ms)
{
    struct series *x;
    size_t i = 0;

    assert(family < s->count && s->families[family].kind == METRIC_HISTOGRAM);
    if (ms < 0)
        ms = 0;
    while (i < BOUNDS && ms > bounds_ms[i])
        i++;
    (void)pthread_mutex_lock(&s->mutex);
    x = place(s, family, values);
    x->count++;
    x->sum_ms += ms;
    if (i < BOUNDS)
        x->bucket[i]++;
    (void)pthread_mutex_unlock(&s->mutex);
}

uint64_t
metric_total(struct metric_set *s, size_t family, const char *first)
{
    struct buf start scoped(buf_free) = {0};
    uint64_t sum = 0;

    if (first) {
        buf_printf(&start, "%s=\"", s->families[family].labels[0]);
        add_escaped(&start, first);
        buf_add_byte(&start, '"');
    }
    (void)pthread_mutex_lock(&s->mutex);
    for (struct series *x = s->series[family]; x; x = x->hh.next)
        if (strncmp(x->key, buf_text(&start), start.len) == 0)
            sum += x->count;
    (void)pthread_mutex_unlock(&s->mutex);
    return sum;
}

/* --- pages --- */

void
metric_page_family(struct metric_page *p, const struct metric_family *f)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    /* OpenMetrics names a counter's family without the suffix. */
    const char *suffix =
        f->kind == METRIC_COUNTER && !p->is_openmetrics ? "_total" : "";

    buf_printf(p->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", f->name, suffix,
               f->help, f->name, suffix, types[f->kind]);
}

static void
add_sample(struct metric_page *p, const char *name, const char *suffix,
           const char *labels, double value)
{
    buf_printf(p->out, labels[0] ? "%s%s{%s} " : "%s%s%s ", name, suffix,
               labels);
    buf_printf(p->out, "%.15g\n", value);
}

void
metric_page_sample(struct metric_page *p, const struct metric_family *f,
                   const char *const *values, double value)
{
    struct buf labels scoped(buf_free) = {0};

    add_labels(&labels, f, values, NULL);
    add_sample(p, f->name, f->kind == METRIC_COUNTER ? "_total" : "",
               buf_text(&labels), value);
}

static void
add_bucket(struct metric_page *p, const struct metric_family *f,
           const struct series *x, const char *bound, uint64_t value)
{
    struct buf labels scoped(buf_free) = {0};

    buf_printf(&labels, "%s%sle=\"%s\"", x->key, x->key[0] ? "," : "", bound);
    add_sample(p, f->name, "_bucket", buf_text(&labels), (double)value);
}

static void
add_histogram(struct metric_page *p, const struct metric_family *f,
              const struct series *x)
{
    uint64_t sum = 0;
    char bound[32];

    for (size_t i = 0; i < BOUNDS; i++) {
        sum += x->bucket[i];
        (void)snprintf(bound, sizeof(bound), "%.15g",
                       (double)bounds_ms[i] / 1000);
        add_bucket(p, f, x, bound, sum);
    }
    add_bucket(p, f, x, "+Inf", x->count);
    add_sample(p, f->name, "_sum", x->key, (double)x->sum_ms / 1000);
    add_sample(p, f->name, "_count", x->key, (double)x->count);
}

static void
add_family(struct metric_page *p, const struct metric_family *f,
           const struct series *all)
{
    metric_page_family(p, f);
    for (const struct series *x = all; x; x = x->hh.next) {
        if (f->kind == METRIC_HISTOGRAM)
            add_histogram(p, f, x);
        else
            add_sample(p, f->name, "_total", x->key, (double)x->count);
    }
}

void
metric_page_set(struct metric_page *p, struct metric_set *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->count; i++)
        add_family(p, &s->families[i], s->series[i]);
    (void)pthread_mutex_unlock(&s->mutex);
}

void
metric_page_end(struct metric_page *p)
{
    if (p->is_openmetrics)
        buf_add_text(p->out, "# EOF\n");
}

const char *
metric_page_media_type(const struct metric_page *p)
{
    return p->is_openmetrics
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* --- birth and end --- */

struct metric_set *
metric_set_new(const struct metric_family *families, size_t count)
{
    struct metric_set *s = mem_new(struct metric_set);

    (void)pthread_mutex_init(&s->mutex, NULL);
    s->families = families;
    s->count = count;
    s->series = mem_array(struct series *, count);
    for (size_t i = 0; i < count; i++)
        if (!families[i].labels[0])
            (void)place(s, i, NULL);
    return s;
}

void
metric_set_free(struct metric_set **slot)
{
    struct metric_set *s = take(slot);
    struct series *x, *next;

    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        HASH_ITER(hh, s->series[i], x, next)
        {
            HASH_DEL(s->series[i], x);
            free(x->key);
            free(x);
        }
    (void)pthread_mutex_destroy(&s->mutex);
    free(s->series);
    free(s);
}
