#include "relay/base/metric.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/text.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper ends of a histogram's buckets, milliseconds: from a commit on a fast
 * disk to a message that waited for days. */
static const int64_t bounds_ms[] = {1,
                                    5,
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

enum {
    BOUNDS = sizeof(bounds_ms) / sizeof(*bounds_ms),
    CHAINS = 32,   /* of a family; as many as make the way short */
    KEY_MAX = 512, /* octets of labels that cost no memory of their own */
};

/* Never changed but for its numbers, and never gone before the set is. */
struct series {
    struct series *chain; /* the next one with the same hash */
    struct series *next;  /* in the order in which they came */
    char *key; /* its labels as they stand on a page, without braces */
    size_t len;
    _Atomic uint64_t count;              /* of a counter */
    _Atomic uint64_t bucket[BOUNDS + 1]; /* histogram: of this bucket alone;
                                            the last is what lies above */
    _Atomic uint64_t sum_us;
};

struct family {
    _Atomic(struct series *) chain[CHAINS];
    struct series *first, **end;
    size_t count;
};

/* Whoever counts finds a series without the lock, which is for those who add
 * one or walk through all. */
struct metric_set {
    pthread_mutex_t mutex;
    const struct metric_family *families;
    struct family *family;
    size_t count;
};

/* --- labels --- */

/* What a program names: as it stands, in the shortest way. */
static bool
is_plain(const char *value)
{
    size_t i = 0;

    while (i < METRIC_VALUE_MAX && value[i] >= ' ' && value[i] <= '~' &&
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

static bool
add_octets(char key[KEY_MAX], size_t *len, const char *text, size_t n)
{
    if (n > KEY_MAX - *len)
        return false;
    memcpy(key + *len, text, n);
    *len += n;
    return true;
}

/* As add_labels, where all values are plain and there is room. */
static bool
write_labels(char key[KEY_MAX], size_t *len, const struct metric_family *f,
             const char *const *values)
{
    for (size_t i = 0; f->labels[i]; i++) {
        const char *value = values[i] ? values[i] : "";

        if (!is_plain(value) || (i > 0 && !add_octets(key, len, ",", 1)) ||
            !add_octets(key, len, f->labels[i], strlen(f->labels[i])) ||
            !add_octets(key, len, "=\"", 2) ||
            !add_octets(key, len, value, strlen(value)) ||
            !add_octets(key, len, "\"", 1))
            return false;
    }
    return true;
}

/* Eight octets at a time.  Who could choose keys that collide is stopped by
 * their number. */
static size_t
chain_of(struct slice key)
{
    uint64_t hash = key.len, word;

    for (size_t i = 0; i < key.len; i += sizeof(word)) {
        size_t n = key.len - i < sizeof(word) ? key.len - i : sizeof(word);

        word = 0;
        memcpy(&word, key.p + i, n);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash % CHAINS;
}

static struct series *
find(struct family *all, struct slice key)
{
    struct series *x =
        atomic_load_explicit(&all->chain[chain_of(key)], memory_order_acquire);

    while (x && (x->len != key.len || memcmp(x->key, key.p, key.len) != 0))
        x = x->chain;
    return x;
}

static struct series *
add_series(struct family *all, struct slice key)
{
    struct series *x = mem_new(struct series);
    _Atomic(struct series *) *chain = &all->chain[chain_of(key)];

    x->key = mem_copy(key);
    x->len = key.len;
    x->chain = atomic_load_explicit(chain, memory_order_relaxed);
    *all->end = x;
    all->end = &x->next;
    all->count++;
    atomic_store_explicit(chain, x, memory_order_release);
    return x;
}

static struct series *
find_or_add(struct metric_set *s, size_t family, struct slice key)
{
    struct family *all = &s->family[family];
    struct buf other scoped(buf_free) = {0};
    struct series *x;

    (void)pthread_mutex_lock(&s->mutex);
    x = find(all, key); /* somebody else may have been faster */
    if (!x && all->count >= METRIC_SERIES_MAX) {
        add_labels(&other, &s->families[family], NULL, "other");
        key = buf_slice(&other);
        x = find(all, key);
    }
    if (!x)
        x = add_series(all, key);
    (void)pthread_mutex_unlock(&s->mutex);
    return x;
}

/* The series of these labels; a new one, or the one for all others. */
static struct series *
place(struct metric_set *s, size_t family, const char *const *values)
{
    const struct metric_family *f = &s->families[family];
    struct buf escaped scoped(buf_free) = {0};
    char plain[KEY_MAX];
    struct slice key = {plain, 0};
    struct series *x;

    if (!write_labels(plain, &key.len, f, values)) {
        add_labels(&escaped, f, values, NULL);
        key = buf_slice(&escaped);
    }
    x = find(&s->family[family], key);
    return x ? x : find_or_add(s, family, key);
}

static void
add(_Atomic uint64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static uint64_t
look(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

void
metric_add(struct metric_set *s, size_t family, const char *const *values,
           uint64_t n)
{
    assert(family < s->count && s->families[family].kind != METRIC_HISTOGRAM);
    add(&place(s, family, values)->count, n);
}

void
metric_observe_us(struct metric_set *s, size_t family,
                  const char *const *values, int64_t us)
{
    struct series *x;
    size_t i = 0;

    assert(family < s->count && s->families[family].kind == METRIC_HISTOGRAM);
    if (us < 0)
        us = 0;
    while (i < BOUNDS && us > bounds_ms[i] * 1000)
        i++;
    x = place(s, family, values);
    add(&x->bucket[i], 1);
    add(&x->sum_us, (uint64_t)us);
}

void
metric_observe(struct metric_set *s, size_t family, const char *const *values,
               int64_t ms)
{
    metric_observe_us(s, family, values, ms * 1000);
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
    for (const struct series *x = s->family[family].first; x; x = x->next)
        if (strncmp(x->key, buf_text(&start), start.len) == 0)
            sum += look(&x->count);
    (void)pthread_mutex_unlock(&s->mutex);
    return sum;
}

/* --- pages --- */

static bool
is_counter(const struct metric_family *f)
{
    return f->kind == METRIC_COUNTER || f->kind == METRIC_SECONDS;
}

void
metric_page_family(struct metric_page *p, const struct metric_family *f)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_SECONDS] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    /* OpenMetrics names a counter's family without the suffix. */
    const char *suffix = is_counter(f) && !p->is_openmetrics ? "_total" : "";

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
    add_sample(p, f->name, is_counter(f) ? "_total" : "", buf_text(&labels),
               value);
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

    /* Its count is what its buckets hold, so that they agree on any page. */
    for (size_t i = 0; i < BOUNDS; i++) {
        sum += look(&x->bucket[i]);
        (void)snprintf(bound, sizeof(bound), "%.15g",
                       (double)bounds_ms[i] / 1000);
        add_bucket(p, f, x, bound, sum);
    }
    sum += look(&x->bucket[BOUNDS]);
    add_bucket(p, f, x, "+Inf", sum);
    add_sample(p, f->name, "_sum", x->key, (double)look(&x->sum_us) / 1e6);
    add_sample(p, f->name, "_count", x->key, (double)sum);
}

static void
add_family(struct metric_page *p, const struct metric_family *f,
           const struct series *all)
{
    double unit = f->kind == METRIC_SECONDS ? 1000 : 1;

    metric_page_family(p, f);
    for (const struct series *x = all; x; x = x->next) {
        if (f->kind == METRIC_HISTOGRAM)
            add_histogram(p, f, x);
        else
            add_sample(p, f->name, "_total", x->key,
                       (double)look(&x->count) / unit);
    }
}

void
metric_page_set(struct metric_page *p, struct metric_set *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->count; i++)
        add_family(p, &s->families[i], s->family[i].first);
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
    s->family = mem_array(struct family, count);
    for (size_t i = 0; i < count; i++) {
        s->family[i].end = &s->family[i].first;
        if (!families[i].labels[0])
            (void)place(s, i, NULL);
    }
    return s;
}

void
metric_set_free(struct metric_set **slot)
{
    struct metric_set *s = take(slot);

    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        while (s->family[i].first) {
            struct series *x = s->family[i].first;

            s->family[i].first = x->next;
            free(x->key);
            free(x);
        }
    (void)pthread_mutex_destroy(&s->mutex);
    free(s->family);
    free(s);
}
