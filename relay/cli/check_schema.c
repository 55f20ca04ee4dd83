#include "relay/cli/check_schema.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"
#include "relay/config/config.h"
#include "relay/config/describe.h"
#include "relay/config/raw.h"

#include <stdlib.h>
#include <string.h>

#define SPAN "(0|(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)"

static json_t *
text(const char *pattern)
{
    return pattern
               ? json_pack("{s:s, s:s}", "type", "string", "pattern", pattern)
               : json_pack("{s:s}", "type", "string");
}

static json_t *
number(const struct config_key *key)
{
    json_t *n = json_pack("{s:s}", "type", "integer");

    if (key->min < key->max) {
        json_object_set_new(n, "minimum", json_integer(key->min));
        json_object_set_new(n, "maximum", json_integer(key->max));
    }
    return n;
}

/* One of the words; of a choice also a boolean. */
static json_t *
word(const struct config_key *key)
{
    json_t *all = json_array();

    if (key->type == CONFIG_CHOICE) {
        json_array_append_new(all, json_true());
        json_array_append_new(all, json_false());
    }
    for (size_t i = 0; key->words[i]; i++)
        json_array_append_new(all, json_string(key->words[i]));
    return json_pack("{s:o}", "enum", all);
}

static json_t *
list(const struct config_key *key)
{
    bool is_span = key->type == CONFIG_STEPS;
    json_t *l = json_pack("{s:s, s:o}", "type", "array", "items",
                          text(is_span ? "^" SPAN "$" : NULL));

    /* Of steps the range is that of each. */
    if (!is_span && key->max > 0)
        json_object_set_new(l, "maxItems", json_integer(key->max));
    return l;
}

static json_t *
scalar(const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case CONFIG_CHOICE:
    case CONFIG_WORD:
    case CONFIG_OFF:
        return word(key);
    case CONFIG_COUNT:
    case CONFIG_LARGE:
        return number(key);
    case CONFIG_PASSWORD: /* it is never shown */
        return text("^([*]{3})?$");
    case CONFIG_OCTAL:
        return text("^[0-7]+$");
    case CONFIG_SPAN:
        return text("^" SPAN "$");
    case CONFIG_SIZE:
        return text("^[0-9]+[KMG]?$");
    case CONFIG_RATE:
        return text("^(0|[0-9]+/" SPAN ")$");
    case CONFIG_DATE:
        return text("^([0-9]{4}-[0-9]{2}-[0-9]{2})?$");
    case CONFIG_TEXT:
    case CONFIG_FILE:
    case CONFIG_SECRET:
    case CONFIG_OFF_LIST:
    case CONFIG_TEXTS:
    case CONFIG_DOMAINS:
    case CONFIG_PATTERNS:
    case CONFIG_NETWORKS:
    case CONFIG_PEERS:
    case CONFIG_FINGERPRINTS:
    case CONFIG_ADDRESSES:
    case CONFIG_STEPS:
    case CONFIG_VIAS:
        break;
    }
    return text(NULL);
}

static json_t *
preset(const struct config_key *key)
{
    struct slice rest = slice_of(key->preset);
    json_t *all;

    if (key->type == CONFIG_COUNT || key->type == CONFIG_LARGE)
        return json_integer(strtoll(key->preset, NULL, 10));
    if (strcmp(key->preset, "true") == 0)
        return json_true();
    if (strcmp(key->preset, "false") == 0)
        return json_false();
    if (!config_key_is_list(key))
        return json_string(key->preset);
    all = json_array();
    while (rest.len > 0) {
        struct slice one = slice_cut(&rest, ',');

        json_array_append_new(all, json_stringn(one.p, one.len));
    }
    return all;
}

static json_t *
describe(const struct config_key *key)
{
    scoped(own_free) char *type = config_describe_type(key);
    scoped(own_free) char *told = mem_printf("%s (%s)", key->help, type);
    json_t *value = config_key_is_list(key) ? list(key) : scalar(key);

    if (key->preset)
        json_object_set_new(value, "default", preset(key));
    return json_pack("{s:s, s:s, s:{s:o, s:{s:s}}, s:[ss], s:b}", "description",
                     told, "type", "object", "properties", "value", value,
                     "origin", "$ref", "#/$defs/origin", "required", "value",
                     "origin", "additionalProperties", 0);
}

/* Of a section with a title: "^route\\.(.+)\\.via$". */
static char *
pattern_of(const struct config_key *key)
{
    bool is_inner = strcmp(key->section, "oauth") == 0;

    return mem_printf("^%s\\.(.+)\\.%s%s$", is_inner ? "route" : key->section,
                      is_inner ? "oauth\\." : "", key->name);
}

static bool
has_title(const struct config_key *key)
{
    return config_section_has_title(key->section) ||
           strcmp(key->section, "oauth") == 0;
}

json_t *
cli_check_schema(void)
{
    json_t *fixed = json_object(), *titled = json_object();
    json_t *required = json_array();

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        scoped(own_free) char *name =
            has_title(key) ? pattern_of(key)
                           : config_name(key->section, "", key->name);

        if (key->type == CONFIG_OFF || key->type == CONFIG_OFF_LIST)
            continue;
        json_object_set_new(has_title(key) ? titled : fixed, name,
                            describe(key));
        if (!has_title(key))
            json_array_append_new(required, json_string(name));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:{s:{s:s, s:s, s:i}}}",
        "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
        "The configuration of Sealpost in force", "description",
        "What `sealpost check --json` prints.", "type", "object", "properties",
        fixed, "patternProperties", titled, "required", required,
        "additionalProperties", 0, "$defs", "origin", "description",
        "default, FILE:LINE, environment, or as in another section", "type",
        "string", "minLength", 1);
}
