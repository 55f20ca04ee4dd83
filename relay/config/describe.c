#include "relay/config/describe.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/span.h"
#include "relay/base/text.h"
#include "relay/config/config.h"
#include "relay/config/raw.h"

#include <string.h>

static const char *
type_name(enum config_type type)
{
    switch (type) {
    case CONFIG_TEXT:
        return "Text";
    case CONFIG_PASSWORD:
        return "Secret";
    case CONFIG_FILE:
        return "Path";
    case CONFIG_SECRET:
        return "Path of a secret";
    case CONFIG_BOOL:
        return "Boolean";
    case CONFIG_CHOICE:
    case CONFIG_WORD:
        return "Word";
    case CONFIG_COUNT:
    case CONFIG_LARGE:
        return "Number";
    case CONFIG_OCTAL:
        return "Mode of a file";
    case CONFIG_SPAN:
        return "Span";
    case CONFIG_SIZE:
        return "Size";
    case CONFIG_RATE:
        return "Rate";
    case CONFIG_DATE:
        return "Date";
    case CONFIG_OFF:
    case CONFIG_OFF_LIST:
        return "Not in this version";
    case CONFIG_TEXTS:
        return "Texts";
    case CONFIG_DOMAINS:
        return "Domains";
    case CONFIG_PATTERNS:
        return "Patterns";
    case CONFIG_NETWORKS:
    case CONFIG_PEERS:
        return "Networks";
    case CONFIG_FINGERPRINTS:
        return "Fingerprints";
    case CONFIG_ADDRESSES:
        return "Addresses";
    case CONFIG_STEPS:
        return "Spans";
    case CONFIG_VIAS:
        return "Hosts";
    }
    return "";
}

static char *
span_range(const struct config_key *key, const char *front)
{
    char min[SPAN_TEXT_SIZE], max[SPAN_TEXT_SIZE];

    return mem_printf("%s%s to %s", front, span_text(key->min, min),
                      span_text(key->max, max));
}

static char *
size_range(const struct config_key *key)
{
    char min[SPAN_TEXT_SIZE], max[SPAN_TEXT_SIZE];

    return mem_printf(", %s to %s", span_size_text((uint64_t)key->min, min),
                      span_size_text((uint64_t)key->max, max));
}

/* What stands behind the name of the type; the caller's to free. */
static char *
range(const struct config_key *key)
{
    if (key->type == CONFIG_STEPS)
        return span_range(key, ", each ");
    if (config_key_is_list(key))
        return key->max == 0 || key->max == CONFIG_LIST_MAX
                   ? mem_text("")
                   : mem_printf(", up to %lld", key->max);
    if (key->type == CONFIG_CHOICE)
        return mem_printf(" or \"%s\"", key->words[0]);
    if (key->min >= key->max || key->type == CONFIG_OCTAL)
        return mem_text("");
    if (key->type == CONFIG_SPAN)
        return span_range(key, ", ");
    if (key->type == CONFIG_SIZE)
        return size_range(key);
    return mem_printf(", %lld to %lld", key->min, key->max);
}

char *
config_describe_type(const struct config_key *key)
{
    const char *name =
        key->type == CONFIG_CHOICE ? "Boolean" : type_name(key->type);
    scoped(own_free) char *behind = range(key);

    return mem_printf("%s%s", name, behind);
}

char *
config_describe_variable(const struct config_key *key)
{
    bool is_inner = strcmp(key->section, "oauth") == 0;
    const char *section = is_inner ? "route" : key->section;
    const char *title = config_section_has_title(section) ? "NAME__" : "";
    char *name;

    if (strcmp(section, "dkim") == 0)
        return mem_text("");
    name = mem_printf("SEALPOST_%s%s%s%s%s", section,
                      section[0] != '\0' ? "__" : "", title,
                      is_inner ? "OAUTH__" : "", key->name);
    for (char *p = name; *p != '\0'; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return name;
}

/* "policy.tls"; of a section with a title "route.NAME.via". */
static char *
full_name(const struct config_key *key)
{
    bool is_inner = strcmp(key->section, "oauth") == 0;
    bool has_title = config_section_has_title(key->section);

    if (is_inner)
        return mem_printf("route.NAME.oauth.%s", key->name);
    return config_name(key->section, has_title ? "NAME" : "", key->name);
}

static void
print_text(const struct config_key *key, FILE *out)
{
    scoped(own_free) char *name = full_name(key);
    scoped(own_free) char *type = config_describe_type(key);
    scoped(own_free) char *variable = config_describe_variable(key);
    bool is_of_listener = strcmp(key->section, "listener") == 0;
    const char *preset = key->preset      ? key->preset
                         : is_of_listener ? "as in access"
                                          : "as in policy";

    (void)fprintf(out, "%s\n    %s; default: %s", name, type,
                  preset[0] != '\0' ? preset : "empty");
    if (variable[0] != '\0')
        (void)fprintf(out, "; %s", variable);
    (void)fprintf(out, "\n    %s\n", key->help);
    for (size_t i = 0; key->words && key->words[i]; i++)
        if (key->words[i][0] != '\0')
            (void)fprintf(out, "        %s\n", key->words[i]);
}

static void
add_json(struct buf *b, const char *name, const char *value)
{
    text_json(slice_of(name), b);
    buf_add(b, slice_of(": "));
    if (value)
        text_json(slice_of(value), b);
    else
        buf_add(b, slice_of("null"));
}

static void
print_json(const struct config_key *key, FILE *out)
{
    scoped(own_free) char *name = full_name(key);
    scoped(own_free) char *type = config_describe_type(key);
    scoped(own_free) char *variable = config_describe_variable(key);
    scoped(buf_free) struct buf b = {0};

    add_json(&b, "section", key->section);
    buf_add(&b, slice_of(", "));
    add_json(&b, "name", key->name);
    buf_add(&b, slice_of(", "));
    add_json(&b, "key", name);
    buf_add(&b, slice_of(", "));
    add_json(&b, "type", type);
    buf_add(&b, slice_of(", "));
    add_json(&b, "default", key->preset);
    buf_add(&b, slice_of(", "));
    add_json(&b, "variable", variable[0] != '\0' ? variable : NULL);
    buf_add(&b, slice_of(", "));
    add_json(&b, "help", key->help);
    buf_add(&b, slice_of(", \"words\": ["));
    for (size_t i = 0; key->words && key->words[i]; i++) {
        buf_add(&b, slice_of(i > 0 ? ", " : ""));
        text_json(slice_of(key->words[i]), &b);
    }
    (void)fprintf(out, "{%.*s]}", (int)b.len, b.p);
}

void
config_describe(bool json, FILE *out)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (!json) {
            print_text(&config_keys[i], out);
            continue;
        }
        (void)fputs(i == 0 ? "[\n" : ",\n", out);
        print_json(&config_keys[i], out);
    }
    (void)fputs(json ? "\n]\n" : "", out);
}
