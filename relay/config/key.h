/*
 * relay/config/key - every key of the configuration, once.
 *
 * This one table drives the parser, the environment, the printing of the
 * effective values and the documentation.  A key is named by its section and
 * its name, "policy.tls"; the sections `listener`, `domain`, `route` and
 * `dkim` come with a title and may stand more than once.
 */
#ifndef RELAY_CONFIG_KEY_H
#define RELAY_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>

enum config_type {
    CONFIG_TEXT,
    CONFIG_PASSWORD, /* likewise, never shown */
    CONFIG_FILE,     /* path of a file that must be readable; "" none */
    CONFIG_SECRET,   /* likewise, and closed to everybody else */
    CONFIG_BOOL,
    CONFIG_CHOICE, /* enum: false, true, or behind these an index into words */
    CONFIG_COUNT,  /* unsigned */
    CONFIG_OCTAL,  /* unsigned, the mode of a file */
    CONFIG_LARGE,  /* uint64_t */
    CONFIG_SPAN,   /* int64_t, milliseconds */
    CONFIG_SIZE,   /* uint64_t, octets */
    CONFIG_RATE,   /* struct span_rate */
    CONFIG_WORD,   /* enum: index into words, plus min */
    CONFIG_DATE,   /* int64_t: the end of that day, UTC, ms since 1970 */
    CONFIG_OFF,    /* not built yet: only the values in words are accepted */
    /* lists from here on */
    CONFIG_OFF_LIST,     /* not built yet: only an empty list is accepted */
    CONFIG_TEXTS,        /* struct config_texts */
    CONFIG_DOMAINS,      /* likewise, in A-label form */
    CONFIG_PATTERNS,     /* likewise: "*", "<>", "@domain", "local@domain" */
    CONFIG_NETWORKS,     /* struct config_networks */
    CONFIG_PEERS,        /* likewise; "unix" is of family AF_UNSPEC */
    CONFIG_FINGERPRINTS, /* array of struct policy_fingerprint, count behind */
    CONFIG_ADDRESSES,    /* struct addr *, size_t; min is the default port, -1
                            when there may be none */
    CONFIG_STEPS,        /* the steps of a struct queue_schedule */
    CONFIG_VIAS,         /* struct config_via *, size_t */
};

struct config_key {
    const char *section; /* "" for the top level */
    const char *name;
    enum config_type type;
    const char *preset; /* the default as text; lists with commas.  NULL: as
                           the key in policy (domain) or access (listener) */
    long long min, max; /* what the type says; 0, 0: no range.  Of a list:
                           max is the most values */
    const char *const *words;
    size_t at; /* offset in struct config, or in the struct of a block */
    const char *help;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* The sections, "" first; those with a title. */
extern const char *const config_sections[];
extern const size_t config_section_count;
const char *config_section_find(const char *name); /* NULL: no such section */
bool config_section_has_title(const char *section);

bool config_key_is_list(const struct config_key *key);
const struct config_key *config_key_find(const char *section, const char *name);

/* The nearest name to a mistyped one among the keys and sections within
 * `section`; NULL when none is near. */
const char *config_key_nearest(const char *section, const char *name);

/* The section where a key of that name would be at home, which is none that
 * takes it over from another; NULL: nowhere. */
const char *config_key_elsewhere(const char *section, const char *name);

#endif
