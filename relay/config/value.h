/*
 * relay/config/value - from text to values, one key at a time.
 */
#ifndef RELAY_CONFIG_VALUE_H
#define RELAY_CONFIG_VALUE_H

#include "relay/config/raw.h"

/* What a configuration owns besides the texts of its settings. */
struct config_origins {
    struct config_raw raw; /* every key, defaults included */
    void **owned;
    size_t owned_count;
};

/* Keeps p until the configuration goes; returns it. */
void *config_keep(struct config_origins *o, void *p);

/* Puts the value of s where its key says, in the struct at `base`.  Pointers
 * go to the texts of s or to what `o` keeps. */
bool config_value_parse(const struct config_setting *s, void *base,
                        struct config_origins *o, struct err *err) must_use;

/* The same for lists, with the place at hand. */
bool config_list_parse(const struct config_setting *s, void *place,
                       struct config_origins *o, struct err *err) must_use;

/* A length of time within the range of its key. */
bool config_span_parse(const struct config_key *k, const char *text,
                       int64_t *out, struct err *err) must_use;

/* "host", "host:port", "[2001:db8::1]:port", "mx:domain"; ports default to
 * 25. */
bool config_via_parse(struct slice text, struct config_via *out,
                      struct config_origins *o, struct err *err) must_use;

#endif
