#include "relay/config/raw.h"

#include "relay/base/mem.h"

#include <stdlib.h>
#include <unistd.h>

/*
 * SEALPOST_HOSTNAME, SEALPOST_POLICY__TLS, SEALPOST_ROUTE__PROVIDER__VIA; with
 * _FILE behind it, the value is read from that file.
 */
enum {
    VALUE_MAX = 64 * 1024, /* octets of a value out of a file */
    WORD_MAX = 200,
};

static const char environment[] = "environment";
static const char prefix[] = "SEALPOST_";

struct env {
    char *const *variables;
    struct config_raw *raw;
    struct config_errors *errs;
};

static const char *
find_variable(const struct env *e, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; e->variables[i]; i++)
        if (strncmp(e->variables[i], name, len) == 0 &&
            e->variables[i][len] == '=')
            return e->variables[i] + len + 1;
    return NULL;
}

/* "route provider-1" as it stands in the name of a variable. */
static void
upper(const char *text, char out[WORD_MAX])
{
    size_t n = 0;

    for (; text[n] != '\0' && n < WORD_MAX - 1; n++) {
        char c = text[n];
        bool is_lower = c >= 'a' && c <= 'z';
        bool is_kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        out[n] = is_lower ? (char)(c - 'a' + 'A') : is_kept ? c : '_';
    }
    out[n] = '\0';
}

static char *
lower(struct slice text)
{
    char *out = mem_copy(text);

    for (char *p = out; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return out;
}

static bool
is_upper_of(struct slice word, const char *name)
{
    char want[WORD_MAX];

    upper(name, want);
    return slice_is(word, want);
}

/* Cuts at the first "__". */
static bool
cut_word(struct slice *rest, struct slice *word)
{
    for (size_t i = 0; i + 1 < rest->len; i++)
        if (rest->p[i] == '_' && rest->p[i + 1] == '_') {
            *word = slice_first(*rest, i);
            *rest = slice_from(*rest, i + 2);
            return true;
        }
    return false;
}

static const struct config_key *
find_key(const char *section, struct slice name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].section, section) == 0 &&
            is_upper_of(name, config_keys[i].name))
            return &config_keys[i];
    return NULL;
}

/* What the name of a variable stands for; all NULL when for nothing. */
struct target {
    const struct config_key *key;
    struct slice title; /* as written */
};

/* ROUTE__NAME__OAUTH__TENANT: the section within a route. */
static const struct config_key *
find_inner_key(const char *section, struct slice name)
{
    struct slice rest = name, word;

    if (strcmp(section, "route") == 0 && cut_word(&rest, &word) &&
        is_upper_of(word, "oauth"))
        return find_key("oauth", rest);
    return find_key(section, name);
}

static struct target
find_target(struct slice name)
{
    struct target t = {NULL, {"", 0}};
    struct slice rest = name, word;

    if (!cut_word(&rest, &word)) {
        t.key = find_key("", name);
        return t;
    }
    for (size_t i = 1; i < config_section_count; i++) {
        if (!is_upper_of(word, config_sections[i]))
            continue;
        if (!config_section_has_title(config_sections[i]))
            t.key = find_key(config_sections[i], rest);
        else if (cut_word(&rest, &t.title))
            t.key = find_inner_key(config_sections[i], rest);
    }
    return t;
}

/* The block whose title looks like this, or a new one.  The name of a domain
 * can't be told from a variable, so that its block must be in the file. */
static struct config_block *
find_block(const struct env *e, const struct target *t, const char *variable)
{
    const char *section = t->key->section;
    scoped(own_free) char *title = lower(t->title);

    for (size_t i = 0; i < e->raw->count; i++) {
        struct config_block *b = &e->raw->block[i];

        if (strcmp(b->section, section) == 0 && is_upper_of(t->title, b->title))
            return b;
    }
    if (strcmp(section, "domain") == 0 || strcmp(section, "dkim") == 0) {
        config_error(e->errs, environment, variable,
                     "the file has no such %s block", section);
        return NULL;
    }
    return config_raw_add(e->raw, section, title, environment);
}

static void
set_value(const struct env *e, const struct target *t, const char *variable,
          struct slice value)
{
    struct config_block *b = find_block(e, t, variable);
    struct config_setting *s;

    if (!b)
        return;
    s = config_block_set(b, t->key, environment, variable);
    if (config_key_is_list(t->key))
        config_setting_add_list(s, value);
    else
        config_setting_add(s, value);
}

static struct slice
trim_lines(struct slice s)
{
    while (s.len > 0 && (s.p[s.len - 1] == '\n' || s.p[s.len - 1] == '\r'))
        s.len--;
    return s;
}

/* Sets from the content of a file; a list may have one value a line. */
static void
set_from_file(const struct env *e, const struct target *t, const char *variable,
              const char *file)
{
    struct buf text = {0};
    struct err err;

    if (!config_read_text(file, VALUE_MAX, &text, &err)) {
        config_error(e->errs, environment, variable, "%s: %s", file, err.text);
    } else {
        struct slice value = trim_lines(buf_slice(&text));

        for (size_t i = 0; config_key_is_list(t->key) && i < value.len; i++)
            if (text.p[i] == '\n' || text.p[i] == '\r')
                text.p[i] = ',';
        set_value(e, t, variable, value);
    }
    buf_free(&text);
}

/* What `sealpost send` takes, and what Kubernetes sets for a service named like
 * us. */
static bool
is_of_others(const char *name)
{
    return strcmp(name, "SEALPOST_SMTP") == 0 || strstr(name, "_SERVICE_") ||
           strstr(name, "_PORT_") || strcmp(name, "SEALPOST_PORT") == 0 ||
           (strlen(name) > 5 && !strstr(name, "__") &&
            strcmp(name + strlen(name) - 5, "_PORT") == 0);
}

static void
report_unknown(const struct env *e, const char *variable, struct slice name)
{
    struct slice rest = name, section = {"", 0}, title;
    scoped(own_free) char *key = NULL;
    const char *near;

    if (is_of_others(variable))
        return;
    if (cut_word(&rest, &section))
        (void)cut_word(&rest, &title);
    key = lower(rest);
    for (size_t i = 0; i < config_section_count; i++) {
        if (!is_upper_of(section, config_sections[i]))
            continue;
        near = config_key_nearest(config_sections[i], key);
        if (near)
            config_error(e->errs, environment, variable,
                         "no such key; did you mean \"%s\"?", near);
        else
            config_error(e->errs, environment, variable, "no such key");
        return;
    }
    config_error(e->errs, environment, variable, "no such section");
}

static void
read_variable(const struct env *e, const char *variable, const char *value)
{
    struct slice name = slice_from(slice_of(variable), sizeof(prefix) - 1);
    struct target t = find_target(name);
    static const char file[] = "_FILE";
    size_t len = sizeof(file) - 1;

    if (t.key) {
        set_value(e, &t, variable, slice_of(value));
        return;
    }
    if (name.len > len && slice_is(slice_from(name, name.len - len), file)) {
        scoped(own_free) char *plain =
            mem_copy(slice_first(slice_of(variable), strlen(variable) - len));

        t = find_target(slice_first(name, name.len - len));
        if (t.key && find_variable(e, plain)) {
            config_error(e->errs, environment, variable, "%s is set as well",
                         plain);
            return;
        }
        if (t.key) {
            set_from_file(e, &t, variable, value);
            return;
        }
    }
    report_unknown(e, variable, name);
}

/* A credential is named like its key, "hostname" or "tls.key"; one of a key
 * that wants a path is that path, under the key's name with or without
 * "_file": "http.token". */
static void
read_credential(const struct env *e, const char *directory,
                const struct config_key *key)
{
    bool is_path = key->type == CONFIG_FILE || key->type == CONFIG_SECRET;
    scoped(own_free) char *name = config_name(key->section, "", key->name);
    scoped(own_free) char *file = mem_printf("%s/%s", directory, name);
    struct target t = {.key = key, .title = {"", 0}};
    size_t len = strlen(file);

    if (is_path && access(file, F_OK) != 0 && len > 5 &&
        strcmp(file + len - 5, "_file") == 0)
        file[len - 5] = '\0';
    if (access(file, F_OK) != 0)
        return;
    if (is_path)
        set_value(e, &t, file, slice_of(file));
    else
        set_from_file(e, &t, file, file);
}

static void
read_credentials(const struct env *e)
{
    const char *directory = find_variable(e, "CREDENTIALS_DIRECTORY");

    for (size_t i = 0; directory && i < config_key_count; i++)
        if (!config_section_has_title(config_keys[i].section) &&
            strcmp(config_keys[i].section, "oauth") != 0)
            read_credential(e, directory, &config_keys[i]);
}

/* A file in place of a path that is the key of a block: "route.NAME.password"
 * and the like. */
static void
read_block_credential(const struct env *e, const char *directory,
                      const char *title, const struct config_key *key)
{
    scoped(own_free) char *name = config_name(key->section, title, key->name);
    scoped(own_free) char *file = mem_printf("%s/%s", directory, name);
    char word[WORD_MAX];
    struct target t = {.key = key};
    size_t len = strlen(file);

    if (len > 5 && strcmp(file + len - 5, "_file") == 0)
        file[len - 5] = '\0';
    upper(title, word);
    t.title = slice_of(word);
    if (access(file, F_OK) == 0)
        set_value(e, &t, file, slice_of(file));
}

/* Keys, and the block that has them itself or by a section in it. */
static void
read_block_credentials(const struct env *e)
{
    static const char *const keys[][3] = {
        {"route", "route", "password_file"},
        {"route", "route", "key"},
        {"oauth", "route", "client_secret_file"},
        {"oauth", "route", "refresh_token_file"},
        {"webhook", "webhook", "secret_file"}};
    const char *directory = find_variable(e, "CREDENTIALS_DIRECTORY");
    size_t blocks = e->raw->count;

    for (size_t i = 0; directory && i < blocks; i++) {
        scoped(own_free) char *title = mem_text(e->raw->block[i].title);
        const char *section = e->raw->block[i].section;

        for (size_t j = 0; j < sizeof(keys) / sizeof(keys[0]); j++)
            if (strcmp(section, keys[j][1]) == 0)
                read_block_credential(e, directory, title,
                                      config_key_find(keys[j][0], keys[j][2]));
    }
}

void
config_env_read(char *const *variables, struct config_raw *raw,
                struct config_errors *errs)
{
    struct env e = {variables, raw, errs};

    if (!config_raw_find(raw, "", ""))
        (void)config_raw_add(raw, "", "", environment);
    read_credentials(&e);
    read_block_credentials(&e);
    for (size_t i = 0; variables[i]; i++) {
        const char *equal = strchr(variables[i], '=');
        scoped(own_free) char *name = NULL;

        if (!equal || strncmp(variables[i], prefix, sizeof(prefix) - 1) != 0)
            continue;
        name = mem_copy(
            (struct slice){variables[i], (size_t)(equal - variables[i])});
        read_variable(&e, name, equal + 1);
    }
    config_alias_read(variables, raw, errs);
}
