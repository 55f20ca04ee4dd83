#include "relay/cli/term.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool
has_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no && *no) && term &&
           strcmp(term, "dumb") != 0;
}

const char *
cli_term_paint(enum cli_paint p)
{
    static const char *const codes[] = {
        [CLI_PLAIN] = "\033[0m",  [CLI_BOLD] = "\033[1m",
        [CLI_DIM] = "\033[2m",    [CLI_RED] = "\033[31m",
        [CLI_GREEN] = "\033[32m", [CLI_YELLOW] = "\033[33m",
    };

    return has_colour() ? codes[p] : "";
}

enum cli_paint
cli_term_state(const char *state)
{
    if (strcmp(state, "deferred") == 0 || strcmp(state, "draining") == 0)
        return CLI_YELLOW;
    if (strcmp(state, "held") == 0 || strcmp(state, "failed") == 0 ||
        strcmp(state, "expired") == 0 || strcmp(state, "store trouble") == 0)
        return CLI_RED;
    if (strcmp(state, "active") == 0 || strcmp(state, "delivered") == 0 ||
        strcmp(state, "running") == 0)
        return CLI_GREEN;
    return CLI_PLAIN;
}

const char *
cli_term_span(int64_t ms, char out[CLI_TERM_TEXT])
{
    int64_t s = (ms > 0 ? ms : 0) / 1000, m = s / 60, h = m / 60;

    if (s < 60)
        (void)snprintf(out, CLI_TERM_TEXT, "%" PRId64 "s", s);
    else if (m < 60)
        (void)snprintf(out, CLI_TERM_TEXT, "%" PRId64 "m", m);
    else if (h < 24 && m % 60 > 0)
        (void)snprintf(out, CLI_TERM_TEXT, "%" PRId64 "h%" PRId64 "m", h,
                       m % 60);
    else if (h < 24)
        (void)snprintf(out, CLI_TERM_TEXT, "%" PRId64 "h", h);
    else
        (void)snprintf(out, CLI_TERM_TEXT, "%" PRId64 "d", h / 24);
    return out;
}

const char *
cli_term_size(uint64_t octets, char out[CLI_TERM_TEXT])
{
    static const char units[] = "KMGTP";
    double value = (double)octets;
    size_t unit = 0;

    if (octets < 1024) {
        (void)snprintf(out, CLI_TERM_TEXT, "%" PRIu64, octets);
        return out;
    }
    for (value /= 1024; value >= 1023.5 && units[unit + 1]; unit++)
        value /= 1024;
    (void)snprintf(out, CLI_TERM_TEXT, value < 9.95 ? "%.1f%c" : "%.0f%c",
                   value, units[unit]);
    return out;
}

const char *
cli_term_time(int64_t unix_ms, int64_t now_ms, char out[CLI_TERM_TEXT])
{
    time_t then = (time_t)(unix_ms / 1000), now = (time_t)(now_ms / 1000);
    struct tm at, today;
    bool is_today;

    if (!localtime_r(&then, &at) || !localtime_r(&now, &today)) {
        out[0] = '\0';
        return out;
    }
    is_today = at.tm_yday == today.tm_yday && at.tm_year == today.tm_year;
    (void)strftime(out, CLI_TERM_TEXT,
                   is_today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &at);
    return out;
}

int64_t
cli_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
cli_time_parse(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0;

    if (!rest)
        return 0;
    if (*rest == '.')
        for (int scale = 100; *++rest >= '0' && *rest <= '9'; scale /= 10)
            ms += scale * (*rest - '0');
    if (strcmp(rest, "Z") != 0)
        return 0;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

const char *
cli_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

int64_t
cli_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

int64_t
cli_time(const json_t *object, const char *key)
{
    return cli_time_parse(cli_text(object, key));
}

void
cli_print_json(const json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
}
