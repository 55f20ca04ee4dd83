#include "relay/base/log.h"

#include "relay/base/hash.h"
#include "relay/base/id.h"
#include "relay/base/log_sink.h"
#include "relay/base/log_tap.h"
#include "relay/base/mem.h"
#include "relay/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_END = 24, /* kept free for the end of a line and the mark of a cut */
    TIME_SIZE = 32,
};

struct log {
    struct log_sink *sink;
    struct hash_key key;
    struct log_tap tap;
    bool is_terminal, may_colour;
    unsigned setup; /* atomic: see pack */
};

const char *
log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_DEBUG:
        return "debug";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_ERROR:
        return "error";
    }
    return "";
}

/* --- settings ---------------------------------------------------------- */

enum { ADDRESSES_SHIFT = 8, JSON_BIT = 1 << 16, COLOUR_BIT = 1 << 17 };

/* All settings in one word, so that a reload needs no lock. */
static unsigned
pack(const struct log *log, const struct log_setup *setup)
{
    bool json = setup->format == LOG_FORMAT_JSON ||
                (setup->format == LOG_FORMAT_AUTO && !log->is_terminal);

    return (unsigned)setup->level |
           (unsigned)setup->addresses << ADDRESSES_SHIFT |
           (json ? JSON_BIT : 0) | (!json && log->may_colour ? COLOUR_BIT : 0);
}

void
log_change(struct log *log, const struct log_setup *setup)
{
    __atomic_store_n(&log->setup, pack(log, setup), __ATOMIC_RELAXED);
}

/* --- writing into a line ----------------------------------------------- */

/* False when there is no room; then nothing was written. */
static bool
put(struct log_form *f, struct slice bytes)
{
    if (bytes.len > LOG_LINE_MAX - LINE_END - f->len) {
        f->cut = true;
        return false;
    }
    if (bytes.len > 0)
        memcpy(f->text + f->len, bytes.p, bytes.len);
    f->len += bytes.len;
    return true;
}

static bool
put_text(struct log_form *f, const char *text)
{
    return put(f, slice_of(text));
}

/* The character at the front of `in`, escaped as in JSON. */
static struct slice
escape(uint32_t code, struct slice in, char out[16])
{
    int n;

    if (code == '"' || code == '\\')
        n = snprintf(out, 16, "\\%c", (char)code);
    else if (text_may_show(code))
        return in;
    else if (code > 0xFFFF)
        n = snprintf(out, 16, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10),
                     0xDC00 + (code & 0x3FF));
    else
        n = snprintf(out, 16, "\\u%04x", code);
    return (struct slice){out, (size_t)n};
}

/* How many octets at the front are plain ASCII that nothing needs escaped. */
static size_t
plain_run(struct slice in)
{
    size_t n = 0;

    while (n < in.len && in.p[n] >= ' ' && in.p[n] <= '~' && in.p[n] != '"' &&
           in.p[n] != '\\')
        n++;
    return n;
}

static bool
put_quoted(struct log_form *f, struct slice in)
{
    bool ok = put_text(f, "\"");

    while (ok && in.len > 0) {
        size_t n = plain_run(in);
        uint32_t code = 0;
        char out[16];

        ok = put(f, slice_first(in, n));
        in = slice_from(in, n);
        if (!ok || in.len == 0)
            break;
        n = text_next(in, &code);
        ok = n == 0 ? put_text(f, "\xEF\xBF\xBD")
                    : put(f, escape(code, slice_first(in, n), out));
        in = slice_from(in, n ? n : 1);
    }
    return ok && put_text(f, "\"");
}

/* For people: bare when that can't be misread. */
static bool
put_value(struct log_form *f, struct slice in)
{
    bool is_bare = !f->json && in.len > 0 && plain_run(in) == in.len &&
                   !memchr(in.p, ' ', in.len) && !memchr(in.p, '=', in.len);

    return is_bare ? put(f, in) : put_quoted(f, in);
}

static bool
put_key(struct log_form *f, const char *key)
{
    assert(key[0] != '\0' && plain_run(slice_of(key)) == strlen(key));
    return f->json
               ? put_text(f, ",\"") && put_text(f, key) && put_text(f, "\":")
               : put_text(f, " ") && put_text(f, key) && put_text(f, "=");
}

/* A field that does not fit leaves no trace but the mark. */
static void
add_field(struct log_form *f, const char *key, struct slice value, bool is_text)
{
    size_t before = f->len;

    if (!put_key(f, key) || !(is_text ? put_value(f, value) : put(f, value)))
        f->len = before;
}

static bool
has_twin(const struct log_line *line)
{
    return line->is_tapped && !(line->is_logged && line->form.json);
}

/* `plain`: as it stands in a line for people. */
static void
put_either(struct log_line *line, const char *key, struct slice json,
           struct slice plain, bool is_text)
{
    if (line->log && line->is_logged)
        add_field(&line->form, key, line->form.json ? json : plain, is_text);
    if (line->log && has_twin(line))
        add_field(&line->twin, key, json, is_text);
}

static void
put_field(struct log_line *line, const char *key, struct slice value,
          bool is_text)
{
    put_either(line, key, value, value, is_text);
}

/* --- a line ------------------------------------------------------------ */

/* `width` digits of a number, in front of `end`; returns their start. */
static char *
digits(char *end, uint64_t number, unsigned width)
{
    while (width-- > 0) {
        *--end = (char)('0' + number % 10);
        number /= 10;
    }
    return end;
}

/* "2026-11-23T13:04:05.123Z".  By hand, as gmtime_r takes a lock that all
 * threads share, and printf as long as all the rest. */
static void
format_time(struct timespec now, char out[TIME_SIZE])
{
    uint64_t second, day, era_day, year, month, year_day;

    second = (uint64_t)now.tv_sec % 86400;
    /* Days from 1 March of the year 0, so that leap days come last: there are
     * 146097 days in 400 years, 153 in five months. */
    day = (uint64_t)now.tv_sec / 86400 + 719468;
    era_day = day % 146097;
    year =
        (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    year_day = era_day - (365 * year + year / 4 - year / 100);
    month = (5 * year_day + 2) / 153;
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    (void)digits(out + 10, year_day - (153 * month + 2) / 5 + 1, 2);
    (void)digits(out + 7, month < 10 ? month + 3 : month - 9, 2);
    (void)digits(out + 4, day / 146097 * 400 + year + (month >= 10), 4);
    (void)digits(out + 13, second / 3600, 2);
    (void)digits(out + 16, second / 60 % 60, 2);
    (void)digits(out + 19, second % 60, 2);
    (void)digits(out + 23, (uint64_t)now.tv_nsec / 1000000, 3);
}

static const char *
colour_of(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_DEBUG:
        return "\x1b[2m";
    case LOG_LEVEL_INFO:
        return "";
    case LOG_LEVEL_WARNING:
        return "\x1b[33m";
    case LOG_LEVEL_ERROR:
        return "\x1b[31m";
    }
    return "";
}

static void
start_text(struct log_form *f, enum log_level level, const char *now,
           const char *event)
{
    const char *name = log_level_name(level);
    const char *colour = f->colour ? colour_of(level) : "";

    (void)put_text(f, now);
    (void)put_text(f, " ");
    (void)put_text(f, colour);
    (void)put_text(f, name);
    (void)put(f, slice_first(slice_of("        "), 8 - strlen(name)));
    (void)put_text(f, event);
    (void)put_text(f, colour[0] != '\0' ? "\x1b[0m" : "");
}

/* As the settings packed in `setup` want it. */
static void
start(struct log_form *f, unsigned setup, enum log_level level, const char *now,
      const char *event)
{
    f->json = (setup & JSON_BIT) != 0;
    f->colour = (setup & COLOUR_BIT) != 0;
    f->cut = false;
    f->len = 0;
    if (!f->json) {
        start_text(f, level, now, event);
        return;
    }
    (void)put_text(f, "{\"ts\":\"");
    (void)put_text(f, now);
    (void)put_text(f, "\",\"level\":\"");
    (void)put_text(f, log_level_name(level));
    (void)put_text(f, "\"");
    (void)(put_key(f, "event") && put_quoted(f, slice_of(event)));
}

static const char *
time_now(char out[TIME_SIZE])
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    format_time(time, out);
    return out;
}

/* Ends it, in the room that was kept; the whole line. */
static struct slice
finish(struct log_form *f)
{
    struct slice cut = slice_of(f->json ? ",\"cut\":true" : " cut=true");
    struct slice end = slice_of(f->json ? "}\n" : "\n");

    assert(f->len <= LOG_LINE_MAX - LINE_END);
    if (f->cut) {
        memcpy(f->text + f->len, cut.p, cut.len);
        f->len += cut.len;
    }
    memcpy(f->text + f->len, end.p, end.len);
    f->len += end.len;
    return (struct slice){f->text, f->len};
}

void
log_begin(struct log_line *line, struct log *log, enum log_level level,
          const char *event)
{
    unsigned setup = log ? __atomic_load_n(&log->setup, __ATOMIC_RELAXED) : 0;
    char now[TIME_SIZE];

    line->is_logged = log && level >= (setup & 0xFF);
    line->is_tapped =
        log && level >= LOG_LEVEL_INFO && log_tap_is_open(&log->tap);
    line->log = line->is_logged || line->is_tapped ? log : NULL;
    if (!line->log)
        return;
    line->level = level;
    line->addresses = setup >> ADDRESSES_SHIFT & 0xFF;
    (void)time_now(now);
    if (line->is_logged)
        start(&line->form, setup, level, now, event);
    if (has_twin(line))
        start(&line->twin, JSON_BIT, level, now, event);
}

void
log_end(struct log_line *line)
{
    struct log *log = line->log;
    struct slice text = {0};

    if (!log)
        return;
    if (line->is_logged) {
        text = finish(&line->form);
        log_sink_put(log->sink, text);
    }
    if (has_twin(line))
        text = finish(&line->twin);
    if (line->is_tapped)
        log_tap_put(&log->tap, text);
    line->log = NULL;
}

/* --- fields ------------------------------------------------------------ */

void
log_slice(struct log_line *line, const char *key, struct slice value)
{
    struct slice seen = slice_first(value, LOG_VALUE_MAX);

    if (seen.len < value.len) { /* not within a character */
        while (seen.len > LOG_VALUE_MAX - 4 &&
               ((unsigned char)value.p[seen.len] & 0xC0) == 0x80)
            seen.len--;
        line->form.cut = line->twin.cut = true;
    }
    put_field(line, key, seen, true);
}

void
log_text(struct log_line *line, const char *key, const char *value)
{
    if (line->log && value)
        log_slice(line, key, slice_of(value));
}

void
log_int(struct log_line *line, const char *key, int64_t value)
{
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char text[24];
    char *end = text + sizeof(text), *p = end;

    do {
        p = digits(p, left, 1);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        *--p = '-';
    put_field(line, key, (struct slice){p, (size_t)(end - p)}, false);
}

void
log_bool(struct log_line *line, const char *key, bool value)
{
    put_field(line, key, slice_of(value ? "true" : "false"), false);
}

/* "queue":12,"dns":3 or queue:12,dns:3 */
static size_t
list_numbers(const struct log_number *list, size_t count, const char *quote,
             char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        int n = snprintf(out + len, size - len, "%s%s%s%s:%" PRId64,
                         i > 0 ? "," : "", quote, list[i].name, quote,
                         list[i].value);

        assert(n > 0 && (size_t)n < size - len);
        len += (size_t)n;
    }
    return len;
}

void
log_numbers(struct log_line *line, const char *key,
            const struct log_number *list, size_t count)
{
    enum { ROOM = LOG_NUMBERS_MAX * 48 };
    char json[ROOM + 2], plain[ROOM];
    size_t len;

    assert(count > 0 && count <= LOG_NUMBERS_MAX);
    if (!line->log)
        return;
    json[0] = '{';
    len = 1 + list_numbers(list, count, "\"", json + 1, ROOM);
    json[len++] = '}';
    put_either(
        line, key, (struct slice){json, len},
        (struct slice){plain, list_numbers(list, count, "", plain, ROOM)},
        false);
}

void
log_id(struct log_line *line, const char *key, uint64_t id)
{
    char text[ID_TEXT_SIZE];

    if (line->log)
        put_field(line, key, slice_of(id_text(id, text)), true);
}

void
log_address(struct log_line *line, const char *key, const char *address)
{
    const char *at = strrchr(address, '@');
    char hashed[LOG_VALUE_MAX];

    if (!line->log)
        return;
    if (address[0] == '\0')
        log_text(line, key, "<>");
    else if (line->addresses == LOG_ADDRESSES_FULL)
        log_text(line, key, address);
    else if (line->addresses == LOG_ADDRESSES_DOMAIN)
        log_text(line, key, at ? at : "?");
    else {
        uint64_t hash = hash_keyed(&line->log->key, slice_of(address));

        (void)snprintf(hashed, sizeof(hashed), "%08" PRIx32 "%s",
                       (uint32_t)hash, at ? at : "");
        log_text(line, key, hashed);
    }
}

/* --- the log ----------------------------------------------------------- */

static size_t
say_dropped(void *ctx, uint64_t dropped, char *out, size_t size)
{
    struct log *log = ctx;
    unsigned setup = __atomic_load_n(&log->setup, __ATOMIC_RELAXED);
    struct log_line line = {.log = log, .is_logged = true};
    struct slice text;
    char now[TIME_SIZE];

    start(&line.form, setup, LOG_LEVEL_WARNING, time_now(now), "log.dropped");
    log_int(&line, "lines", (int64_t)dropped);
    text = slice_first(finish(&line.form), size);
    memcpy(out, text.p, text.len);
    return text.len;
}

struct log *
log_open(int fd, const struct log_setup *setup, struct err *err)
{
    scoped(log_close) struct log *log = mem_new(struct log);
    const char *no_colour = getenv("NO_COLOR");

    log_tap_init(&log->tap);
    log->is_terminal = isatty(fd) == 1;
    log->may_colour = log->is_terminal && (!no_colour || no_colour[0] == '\0');
    log_change(log, setup);
    if (getrandom(&log->key, sizeof(log->key), 0) !=
        (ssize_t)sizeof(log->key)) {
        (void)err_errno(err, "random numbers for the log");
        return NULL;
    }
    log->sink = log_sink_open(fd, say_dropped, log, err);
    return log->sink ? take(&log) : NULL;
}

void
log_close(struct log **log)
{
    if (!*log)
        return;
    log_sink_close(&(*log)->sink);
    log_tap_done(&(*log)->tap);
    free(*log);
    *log = NULL;
}

struct log_tap *
log_tap(struct log *log)
{
    return &log->tap;
}

uint64_t
log_dropped(const struct log *log)
{
    return log_sink_dropped(log->sink);
}
