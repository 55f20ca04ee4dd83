#include "relay/base/text.h"
#include "relay/config/value.h"

/* The text can be read again as a configuration, but for the secrets. */

static bool
is_bare(enum config_type type)
{
    return type == CONFIG_BOOL || type == CONFIG_COUNT || type == CONFIG_LARGE;
}

static bool
is_shown(const struct config_key *key)
{
    return key->type != CONFIG_OFF && key->type != CONFIG_OFF_LIST;
}

/* Whether there is one may be told. */
static const char *
shown(const struct config_setting *s, size_t i)
{
    bool is_secret = s->key->type == CONFIG_PASSWORD && s->value[i][0] != '\0';

    return is_secret ? "***" : s->value[i];
}

static void
put_quoted(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (strchr("\"\\$", *text))
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static void
put_value(const struct config_setting *s, FILE *out)
{
    bool is_list = config_key_is_list(s->key);

    (void)fputs(is_list ? "{" : "", out);
    for (size_t i = 0; i < s->count; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        if (is_bare(s->key->type))
            (void)fputs(s->value[i], out);
        else
            put_quoted(shown(s, i), out);
    }
    (void)fputs(is_list ? "}" : "", out);
}

static void
put_rows(const struct config_block *b, const char *indent, FILE *out)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct config_setting *s = &b->row[i];

        if (!is_shown(s->key))
            continue;
        (void)fprintf(out, "%s%s = ", indent, s->key->name);
        put_value(s, out);
        (void)fprintf(out, "  # %s\n", s->origin);
    }
}

/* The section within a route. */
static void
put_inner(const struct config_raw *raw, const struct config_block *outer,
          FILE *out)
{
    const struct config_block *b = config_raw_find(raw, "oauth", outer->title);

    if (strcmp(outer->section, "route") != 0 || !b || b->count == 0)
        return;
    (void)fputs("    oauth {\n", out);
    put_rows(b, "        ", out);
    (void)fputs("    }\n", out);
}

static void
put_block(const struct config_raw *raw, const struct config_block *b, FILE *out)
{
    if (b->section[0] == '\0') {
        put_rows(b, "", out);
        return;
    }
    (void)fprintf(out, "%s ", b->section);
    if (config_section_has_title(b->section)) {
        put_quoted(b->title, out);
        (void)fputc(' ', out);
    }
    (void)fputs("{\n", out);
    put_rows(b, "    ", out);
    put_inner(raw, b, out);
    (void)fputs("}\n", out);
}

static bool
has_shown(const struct config_block *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (is_shown(b->row[i].key))
            return true;
    return false;
}

static void
put_json_text(const char *text, FILE *out)
{
    struct buf b = {0};

    text_json(slice_of(text), &b);
    (void)fwrite(b.p, 1, b.len, out);
    buf_free(&b);
}

static bool
is_false(const char *text)
{
    return strcmp(text, "false") == 0 || strcmp(text, "no") == 0 ||
           strcmp(text, "off") == 0;
}

/* JSON has no number that begins with a zero. */
static void
put_json_number(const char *text, FILE *out)
{
    size_t zeros = strspn(text, "0");

    (void)fputs(zeros > 0 && text[zeros] == '\0' ? "0" : text + zeros, out);
}

/* A number or a boolean as such, everything else as a string. */
static void
put_json_value(const struct config_setting *s, FILE *out)
{
    bool is_list = config_key_is_list(s->key);

    (void)fputs(is_list ? "[" : "", out);
    for (size_t i = 0; i < s->count; i++) {
        bool is_true = strcmp(s->value[i], "true") == 0 ||
                       strcmp(s->value[i], "yes") == 0 ||
                       strcmp(s->value[i], "on") == 0;

        (void)fputs(i > 0 ? ", " : "", out);
        if (s->key->type == CONFIG_BOOL || (s->key->type == CONFIG_CHOICE &&
                                            (is_true || is_false(s->value[i]))))
            (void)fputs(is_true ? "true" : "false", out);
        else if (is_bare(s->key->type))
            put_json_number(s->value[i], out);
        else
            put_json_text(shown(s, i), out);
    }
    (void)fputs(is_list ? "]" : "", out);
}

static void
put_json_block(const struct config_block *b, bool *first, FILE *out)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct config_setting *s = &b->row[i];
        scoped(own_free) char *name = NULL;

        if (!is_shown(s->key))
            continue;
        name = config_name(b->section, b->title, s->key->name);
        (void)fputs(*first ? "\n  " : ",\n  ", out);
        *first = false;
        put_json_text(name, out);
        (void)fputs(": {\"value\": ", out);
        put_json_value(s, out);
        (void)fputs(", \"origin\": ", out);
        put_json_text(s->origin, out);
        (void)fputc('}', out);
    }
}

/* Blocks in the order of the manual, those of one section as they came. */
static void
print_section(const struct config_raw *raw, const char *section, bool json,
              bool *first, FILE *out)
{
    for (size_t i = 0; i < raw->count; i++) {
        const struct config_block *b = &raw->block[i];

        if (strcmp(b->section, section) != 0)
            continue;
        if (json)
            put_json_block(b, first, out);
        else if (has_shown(b) && strcmp(section, "oauth") != 0)
            put_block(raw, b, out);
    }
}

void
config_print(const struct config *c, bool json, FILE *out)
{
    bool first = true;

    (void)fputs(json ? "{" : "", out);
    for (size_t i = 0; i < config_section_count; i++)
        print_section(&c->origins->raw, config_sections[i], json, &first, out);
    (void)fputs(json ? "\n}\n" : "", out);
}
