/*
 * relay/cli/term - how things look: colour, times, sizes.
 *
 * Colour only on a terminal that is not "dumb", and never with NO_COLOR.
 */
#ifndef RELAY_CLI_TERM_H
#define RELAY_CLI_TERM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { CLI_TERM_TEXT = 40 }; /* room for any text made here */

enum cli_paint {
    CLI_PLAIN, /* back to it */
    CLI_BOLD,
    CLI_DIM,
    CLI_RED,
    CLI_GREEN,
    CLI_YELLOW,
};

/* The escape sequence for stdout, or "". */
const char *cli_term_paint(enum cli_paint p);
enum cli_paint cli_term_state(const char *state); /* "deferred" is yellow */

/* "45s", "3m", "2h10m", "5d". */
const char *cli_term_span(int64_t ms, char out[CLI_TERM_TEXT]);
/* "812", "4.1K", "12M". */
const char *cli_term_size(uint64_t octets, char out[CLI_TERM_TEXT]);
/* Local time: "2026-11-23 14:06:33"; without the date when it is today's. */
const char *cli_term_time(int64_t unix_ms, int64_t now_ms,
                          char out[CLI_TERM_TEXT]);

int64_t cli_now_ms(void);
/* "2026-11-23T14:04:05.123Z" as milliseconds since 1970; 0: it isn't. */
int64_t cli_time_parse(const char *text);

/* Members of a JSON object: "" and 0 where there is none. */
const char *cli_text(const json_t *object, const char *key);
int64_t cli_number(const json_t *object, const char *key);
int64_t cli_time(const json_t *object, const char *key);

void cli_print_json(const json_t *value);

#endif
