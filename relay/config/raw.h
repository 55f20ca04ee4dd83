/*
 * relay/config/raw - settings as text, before they are understood.
 *
 * What the file and the environment say, each value with where it was said.
 * A block is a section, or one titled instance of it; the top level is the
 * block of section "".
 */
#ifndef RELAY_CONFIG_RAW_H
#define RELAY_CONFIG_RAW_H

#include "relay/base/buf.h"
#include "relay/config/config.h"
#include "relay/config/key.h"

struct config_setting {
    const struct config_key *key;
    char **value; /* one, unless the key is a list */
    size_t count;
    char *origin; /* "FILE:LINE", "environment", "default" */
    char *name;   /* as the user wrote it: "policy.tls", or a variable */
};

struct config_block {
    const char *section; /* out of config_sections */
    char *title;         /* "" without one */
    char *origin;
    struct config_setting *row;
    size_t count;
};

struct config_raw {
    struct config_block *block;
    size_t count;
};

/* Frees everything; leaves an empty one. */
void config_raw_done(struct config_raw *raw);

struct config_block *config_raw_find(const struct config_raw *raw,
                                     const char *section, const char *title);

/* A block at the end; good until the next one is added. */
struct config_block *config_raw_add(struct config_raw *raw, const char *section,
                                    const char *title, const char *origin);

struct config_setting *config_block_find(const struct config_block *b,
                                         const char *key);

/* Sets a key without values, in place of an earlier setting of it; good until
 * the next call. */
struct config_setting *config_block_set(struct config_block *b,
                                        const struct config_key *key,
                                        const char *origin, const char *name);
void config_setting_add(struct config_setting *s, struct slice value);

/* The parts of a comma-separated list, trimmed; none of an empty text. */
void config_setting_add_list(struct config_setting *s, struct slice values);

/* "policy.tls", "route.provider.via"; the caller's to free. */
char *config_name(const char *section, const char *title, const char *key);

/* "ORIGIN: NAME: what", and the same as a warning or a note.  Without a name,
 * "ORIGIN: what". */
void config_error(struct config_errors *errs, const char *origin,
                  const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void config_warning(struct config_errors *errs, const char *origin,
                    const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void config_note(struct config_errors *errs, const char *origin,
                 const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds what the file says; false when it can't be read or breaks the syntax.
 * Not for two threads at once: libconfuse's lexer has one state for all. */
bool config_file_read(const char *file, struct config_raw *raw,
                      struct config_errors *errs);

/* Adds what the environment says, over what is there. */
void config_env_read(char *const *environment, struct config_raw *raw,
                     struct config_errors *errs);

/* The part of it that other relay images have made usual; behind the rest. */
void config_alias_read(char *const *environment, struct config_raw *raw,
                       struct config_errors *errs);

/* The content of a regular file, at most `max` octets of text. */
bool config_read_text(const char *file, size_t max, struct buf *out,
                      struct err *err) must_use;

#endif
