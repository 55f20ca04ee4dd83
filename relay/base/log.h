/*
 * relay/base/log - one line per event, for people or for machines.
 *
 * A line is put together on the caller's stack, copied into a bounded buffer
 * under one short lock, and written by a thread of its own: a terminal that
 * stands still, a full pipe or a closed one never holds up or ends the
 * process.  What finds the buffer full is dropped and counted, and the count
 * is logged as soon as there is room again.
 *
 *     struct log_line line;
 *
 *     log_begin(&line, log, LOG_LEVEL_INFO, "delivery.sent");
 *     log_id(&line, "id", message->id);
 *     log_address(&line, "to", rcpt->address);
 *     log_end(&line);
 *
 * Whatever bytes are logged, exactly one line comes out, of valid UTF-8
 * without control characters.  Only this module reads the wall clock below
 * relay/net: the time of a line is the time of its log_begin.
 */
#ifndef RELAY_BASE_LOG_H
#define RELAY_BASE_LOG_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

#include <stdint.h>

enum {
    LOG_LINE_MAX = 8192,  /* octets of a line; what no longer fits is
                             left out, and "cut":true says so */
    LOG_VALUE_MAX = 1024, /* octets of one text that are looked at */
    LOG_NUMBERS_MAX = 8,
    LOG_BUFFER_MAX = 1024 * 1024, /* octets waiting to be written */
};

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
};

enum log_format {
    LOG_FORMAT_AUTO, /* text on a terminal, else JSON */
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
};

enum log_addresses {
    LOG_ADDRESSES_FULL,
    LOG_ADDRESSES_DOMAIN, /* "@example.com" */
    LOG_ADDRESSES_HASH,   /* "3f1c09b2@example.com": the same address gives
                             the same hash until the process ends */
};

struct log_setup {
    enum log_format format;
    enum log_level level; /* what is below is not logged */
    enum log_addresses addresses;
};

struct log;
struct log_tap; /* relay/base/log_tap.h */

/* Writes to fd (1 for stdout), which stays the caller's.  Starts the thread
 * that writes; call it behind a change of user.  SIGPIPE is the caller's to
 * ignore; the writing thread blocks it for itself. */
struct log *log_open(int fd, const struct log_setup *setup,
                     struct err *err) must_use;

/* Waits a second for what is buffered, then gives up on the rest. */
void log_close(struct log **log);

/* Other settings from the next line on (a reload); any thread. */
void log_change(struct log *log, const struct log_setup *setup);

/* Lines dropped so far because the buffer was full. */
uint64_t log_dropped(const struct log *log);

/* Whoever wants to read along; lives as long as the log. */
struct log_tap *log_tap(struct log *log);

/* One way to write a line down; private. */
struct log_form {
    bool json, colour, cut;
    size_t len;
    char text[LOG_LINE_MAX];
};

/* A line under way; private.  Not kept across threads. */
struct log_line {
    struct log *log; /* NULL: nobody wants it, nothing is formatted */
    enum log_level level;
    enum log_addresses addresses;
    bool is_logged, is_tapped;
    struct log_form form; /* the log's, where it is logged */
    struct log_form twin; /* the tap's, where the log has no JSON for it */
};

/* log may be NULL: then nothing is logged.  `event` and every `key` are words
 * of ours, "delivery.sent" and "remote_mta"; a key is used once a line. */
void log_begin(struct log_line *line, struct log *log, enum log_level level,
               const char *event);
void log_text(struct log_line *line, const char *key,
              const char *value); /* NULL: no field */
void log_slice(struct log_line *line, const char *key, struct slice value);
void log_int(struct log_line *line, const char *key, int64_t value);
void log_bool(struct log_line *line, const char *key, bool value);

struct log_number {
    const char *name; /* a word of ours */
    int64_t value;
};
/* Several under one key, at most LOG_NUMBERS_MAX: an object in JSON, else
 * "key=name:1,other:2". */
void log_numbers(struct log_line *line, const char *key,
                 const struct log_number *list, size_t count);
void log_id(struct log_line *line, const char *key, uint64_t id);
/* As the settings for addresses want it; "" is written "<>". */
void log_address(struct log_line *line, const char *key, const char *address);
void log_end(struct log_line *line);

const char *log_level_name(enum log_level level); /* "warning" */

#endif
