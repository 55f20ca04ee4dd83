#include "relay/config/raw.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <confuse.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

/*
 * libconfuse stops at the first unknown key.  To report all of them, each one
 * found becomes known as a stranger, first as a list, then as a section if it
 * turns out to be one, and the text is parsed anew.
 */
enum { STRANGERS_MAX = 50, OPTIONS_MAX = 40 };

/* libconfuse takes the end of the file for the end of any section or comment.
 * This stands behind the last line, to see where that is. */
static const char last_key[] = "end-of-file";

struct stranger {
    char *section, *name;
    enum { AS_LIST, AS_SECTION, AS_TITLED } kind;
};

struct parse {
    const char *file;
    struct config_errors *errs;
    struct stranger stranger[STRANGERS_MAX];
    size_t stranger_count;
    bool again;    /* a stranger was found: parse anew */
    bool ended;    /* the last key stands at the top level */
    char *problem; /* what else stopped the parser */
    int line;
};

/* libconfuse hands its callbacks no context. */
static _Thread_local struct parse *under_way;

static struct stranger *
find_stranger(struct parse *p, const char *section, const char *name)
{
    for (size_t i = 0; i < p->stranger_count; i++)
        if (strcmp(p->stranger[i].name, name) == 0 &&
            (!section || strcmp(p->stranger[i].section, section) == 0))
            return &p->stranger[i];
    return NULL;
}

static const char *
section_of(const cfg_t *cfg)
{
    return strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
}

static void
report_unknown(struct parse *p, const cfg_t *cfg, const char *name)
{
    const char *section = section_of(cfg);
    const char *near = config_key_nearest(section, name);
    const char *home = config_key_elsewhere(section, name);
    scoped(own_free) char *origin = mem_printf("%s:%d", p->file, cfg->line);
    scoped(own_free) char *full =
        config_name(section, cfg->title ? cfg->title : "", name);

    if (near)
        config_error(p->errs, origin, full, "no such key; did you mean \"%s\"?",
                     near);
    else if (home && home[0] != '\0')
        config_error(p->errs, origin, full,
                     "no such key here; it belongs into \"%s\"", home);
    else
        config_error(p->errs, origin, full, "no such key");
}

static void
meet_stranger(struct parse *p, const cfg_t *cfg, const char *name)
{
    /* The content of an unknown section is no further news. */
    if (!find_stranger(p, NULL, section_of(cfg)))
        report_unknown(p, cfg, name);
    if (p->stranger_count == STRANGERS_MAX ||
        find_stranger(p, section_of(cfg), name))
        return;
    p->stranger[p->stranger_count++] = (struct stranger){
        .section = mem_text(section_of(cfg)), .name = mem_text(name)};
    p->again = true;
}

/* The text between the single quotes of a message. */
static char *
quoted(const char *message)
{
    const char *from = strchr(message, '\'');
    const char *to = strrchr(message, '\'');

    if (!from || to == from)
        return mem_text("");
    return mem_copy((struct slice){from + 1, (size_t)(to - from) - 1});
}

static bool
starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    struct parse *p = under_way;
    scoped(own_free) char *name = NULL;
    struct stranger *s;
    char message[CONFIG_ERROR_MAX];

    (void)vsnprintf(message, sizeof(message), fmt, ap);
    name = quoted(message);
    if (starts(message, "no such option ") && strcmp(name, last_key) == 0) {
        p->problem = mem_printf("section '%s' is not closed", cfg->name);
        p->line = cfg->line - 1;
        return;
    }
    if (starts(message, "no such option ")) {
        meet_stranger(p, cfg, name);
        return;
    }
    s = find_stranger(p, section_of(cfg), name);
    if (s && starts(message, "missing equal sign ") && s->kind == AS_LIST) {
        s->kind = AS_SECTION;
        p->again = true;
    } else if (s && starts(message, "missing opening brace ") &&
               s->kind == AS_SECTION) {
        s->kind = AS_TITLED;
        p->again = true;
    } else if (!p->problem) {
        p->problem = mem_text(message);
        p->line = cfg->line;
    }
}

/* Runs behind each value: keeps the line of the first one where libconfuse
 * would keep a comment. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    if (!opt->comment) {
        opt->comment = mem_printf("%d", cfg->line);
    } else if (!(opt->flags & CFGF_LIST)) {
        scoped(own_free) char *origin =
            mem_printf("%s:%d", under_way->file, cfg->line);
        scoped(own_free) char *name = config_name(
            section_of(cfg), cfg->title ? cfg->title : "", opt->name);

        config_error(under_way->errs, origin, name, "already set in line %s",
                     opt->comment);
    }
    if (opt->nvalues <= CONFIG_LIST_MAX)
        return 0;
    cfg_error(cfg, "more than %d values", CONFIG_LIST_MAX);
    return 1;
}

static int
on_end(cfg_t *cfg, cfg_opt_t *opt)
{
    (void)cfg, (void)opt;
    under_way->ended = true;
    return 0;
}

static int
on_section(cfg_t *cfg, cfg_opt_t *opt)
{
    if (opt->nvalues <= CONFIG_BLOCKS_MAX)
        return 0;
    cfg_error(cfg, "more than %d blocks '%s'", CONFIG_BLOCKS_MAX, opt->name);
    return 1;
}

/* The options of one section, in a list so that they can be freed together;
 * libconfuse makes its own copy of them all. */
struct options {
    struct options *next;
    cfg_opt_t opt[OPTIONS_MAX + STRANGERS_MAX + 1]; /* ends with a zeroed one */
    size_t count;
};

static void
free_options(struct options **first)
{
    while (*first) {
        struct options *o = *first;

        *first = o->next;
        free(o);
    }
}

static cfg_opt_t *
add_option(struct options *o, const char *name, cfg_type_t type,
           cfg_flag_t flags)
{
    cfg_opt_t *opt = &o->opt[o->count++];

    assert(o->count <= OPTIONS_MAX + STRANGERS_MAX);
    *opt = (cfg_opt_t){.name = name, .type = type, .flags = flags};
    return opt;
}

static struct options *
new_options(struct options **all)
{
    struct options *o = mem_new(struct options);

    o->next = *all;
    *all = o;
    return o;
}

/* All values are strings to libconfuse: what they must look like is said in
 * config_value.c, with better words. */
static void
add_keys(struct options *o, const char *section)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        cfg_flag_t list = config_key_is_list(k) ? CFGF_LIST : CFGF_NONE;

        if (strcmp(k->section, section) == 0)
            add_option(o, k->name, CFGT_STR, CFGF_NODEFAULT | list)->validcb =
                on_value;
    }
}

static struct options *add_section(struct parse *p, struct options **all,
                                   const char *section, unsigned depth);

static void
add_strangers(struct parse *p, struct options **all, struct options *o,
              const char *section, unsigned depth)
{
    for (size_t i = 0; i < p->stranger_count; i++) {
        struct stranger *s = &p->stranger[i];

        if (strcmp(s->section, section) != 0)
            continue;
        if (s->kind == AS_LIST) {
            add_option(o, s->name, CFGT_STR, CFGF_NODEFAULT | CFGF_LIST);
            continue;
        }
        add_option(o, s->name, CFGT_SEC,
                   CFGF_MULTI | (s->kind == AS_TITLED ? CFGF_TITLE : 0))
            ->subopts = add_section(p, all, s->name, depth + 1)->opt;
    }
}

/* `depth` counts sections within sections, of which none of ours has more
 * than two. */
static struct options *
add_section(struct parse *p, struct options **all, const char *section,
            unsigned depth)
{
    struct options *o = new_options(all);

    add_keys(o, section);
    if (depth < 3)
        add_strangers(p, all, o, section, depth);
    if (section[0] == '\0')
        add_option(o, last_key, CFGT_STR, CFGF_NODEFAULT)->validcb = on_end;
    if (strcmp(section, "route") == 0)
        add_option(o, "oauth", CFGT_SEC, CFGF_NONE)->subopts =
            add_section(p, all, "oauth", depth + 1)->opt;
    for (size_t i = 1; section[0] == '\0' && i < config_section_count; i++) {
        const char *name = config_sections[i];
        cfg_opt_t *opt;

        if (strcmp(name, "oauth") == 0)
            continue;
        opt = add_option(o, name, CFGT_SEC,
                         config_section_has_title(name)
                             ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES
                             : CFGF_NONE);
        opt->subopts = add_section(p, all, name, depth + 1)->opt;
        opt->validcb = on_section;
    }
    return o;
}

static void
free_cfg(cfg_t **cfg)
{
    if (*cfg)
        (void)cfg_free(*cfg);
    *cfg = NULL;
}

static cfg_t *
parse_once(struct parse *p, const struct buf *text)
{
    scoped(free_options) struct options *all = NULL;
    scoped(free_cfg) cfg_t *cfg =
        cfg_init(add_section(p, &all, "", 0)->opt, CFGF_NONE);
    FILE *in;
    int result;

    p->again = false;
    if (!cfg)
        return NULL;
    in = fmemopen(text->p, text->len, "r");
    if (!in)
        return NULL;
    (void)cfg_set_error_function(cfg, on_error);
    cfg->filename = mem_text(p->file);
    under_way = p;
    result = cfg_parse_fp(cfg, in);
    under_way = NULL;
    (void)fclose(in);
    return result == CFG_SUCCESS && !p->again ? take(&cfg) : NULL;
}

static void
collect_values(struct config_block *b, const char *file, const cfg_t *cfg,
               cfg_opt_t *opt)
{
    const struct config_key *key = config_key_find(b->section, opt->name);
    scoped(own_free) char *origin = NULL;
    scoped(own_free) char *name = NULL;
    struct config_setting *s;

    if (!key || !(opt->flags & CFGF_MODIFIED))
        return;
    /* An empty list has no line of its own: that of its section must do. */
    origin = opt->comment ? mem_printf("%s:%s", file, opt->comment)
                          : mem_printf("%s:%d", file, cfg->line);
    name = config_name(b->section, b->title, key->name);
    s = config_block_set(b, key, origin, name);
    for (unsigned i = 0; i < opt->nvalues; i++)
        config_setting_add(s, slice_of(opt->values[i]->string));
}

static void
collect(struct config_raw *raw, const char *file, cfg_t *cfg,
        const char *section, const char *title)
{
    scoped(own_free) char *origin = mem_printf("%s:%d", file, cfg->line);
    struct config_block *b = config_raw_add(raw, section, title, origin);

    for (cfg_opt_t *opt = cfg->opts; opt->name; opt++)
        if (opt->type == CFGT_STR)
            collect_values(b, file, cfg, opt);
    for (cfg_opt_t *opt = cfg->opts; opt->name; opt++)
        for (unsigned i = 0; opt->type == CFGT_SEC && i < opt->nvalues; i++) {
            cfg_t *inner = opt->values[i]->section;
            const char *of = config_section_find(opt->name);

            if (of)
                collect(raw, file, inner, of,
                        inner->title ? inner->title : title);
        }
}

static void
done_parse(struct parse *p)
{
    for (size_t i = 0; i < p->stranger_count; i++) {
        free(p->stranger[i].section);
        free(p->stranger[i].name);
    }
    free(p->problem);
}

static bool
parse_text(const char *file, const struct buf *text, struct config_raw *raw,
           struct config_errors *errs)
{
    scoped(done_parse) struct parse p = {.file = file, .errs = errs};
    scoped(free_cfg) cfg_t *cfg = NULL;

    do {
        free_cfg(&cfg);
        cfg = parse_once(&p, text);
    } while (p.again);
    if (p.problem) {
        scoped(own_free) char *origin = mem_printf("%s:%d", file, p.line);

        config_error(errs, origin, NULL, "%s", p.problem);
    } else if (!p.ended && errs->count == 0) {
        config_error(errs, file, NULL, "a comment is not closed");
    }
    if (!cfg || !p.ended)
        return false;
    collect(raw, file, cfg, "", "");
    return true;
}

/* A file of its own could be closed to everybody else. */
static void
warn_of_open_secrets(const struct config_block *b, unsigned mode,
                     struct config_errors *errs)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct config_setting *s = &b->row[i];

        if (s->key->type == CONFIG_PASSWORD && s->value[0][0] != '\0')
            config_warning(errs, s->origin, s->name,
                           "everybody may read this file (mode %04o): put the "
                           "secret into one of its own, or close this one",
                           mode & 07777);
    }
}

bool
config_file_read(const char *file, struct config_raw *raw,
                 struct config_errors *errs)
{
    struct buf text = {0};
    struct err err;
    struct stat st;
    bool ok;

    if (!config_read_text(file, CONFIG_FILE_MAX, &text, &err)) {
        config_error(errs, file, NULL, "%s", err.text);
        buf_free(&text);
        return false;
    }
    if (stat(file, &st) != 0)
        st.st_mode = 0; /* gone meanwhile */
    if (st.st_mode & S_IWOTH)
        config_warning(errs, file, NULL, "everybody may write it");
    buf_printf(&text, "\n%s = 1\n", last_key);
    ok = parse_text(file, &text, raw, errs);
    for (size_t i = 0; i < raw->count && (st.st_mode & S_IROTH); i++)
        warn_of_open_secrets(&raw->block[i], st.st_mode, errs);
    buf_free(&text);
    return ok;
}
