#include "relay/config/raw.h"

#include "relay/base/mem.h"
#include "relay/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
clear_setting(struct config_setting *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->key->type == CONFIG_PASSWORD)
            explicit_bzero(s->value[i], strlen(s->value[i]));
        free(s->value[i]);
    }
    free(s->value);
    free(s->origin);
    free(s->name);
    *s = (struct config_setting){0};
}

void
config_raw_done(struct config_raw *raw)
{
    for (size_t i = 0; i < raw->count; i++) {
        struct config_block *b = &raw->block[i];

        for (size_t j = 0; j < b->count; j++)
            clear_setting(&b->row[j]);
        free(b->row);
        free(b->title);
        free(b->origin);
    }
    free(raw->block);
    *raw = (struct config_raw){0};
}

struct config_block *
config_raw_find(const struct config_raw *raw, const char *section,
                const char *title)
{
    for (size_t i = 0; i < raw->count; i++)
        if (strcmp(raw->block[i].section, section) == 0 &&
            strcmp(raw->block[i].title, title) == 0)
            return &raw->block[i];
    return NULL;
}

struct config_block *
config_raw_add(struct config_raw *raw, const char *section, const char *title,
               const char *origin)
{
    struct config_block *b;

    raw->block = mem_resized(raw->block, raw->count + 1, sizeof(*raw->block));
    b = &raw->block[raw->count++];
    *b = (struct config_block){.section = section,
                               .title = mem_text(title),
                               .origin = mem_text(origin)};
    return b;
}

struct config_setting *
config_block_find(const struct config_block *b, const char *key)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->row[i].key->name, key) == 0)
            return &b->row[i];
    return NULL;
}

struct config_setting *
config_block_set(struct config_block *b, const struct config_key *key,
                 const char *origin, const char *name)
{
    struct config_setting *s = config_block_find(b, key->name);

    if (s) {
        clear_setting(s);
    } else {
        b->row = mem_resized(b->row, b->count + 1, sizeof(*b->row));
        s = &b->row[b->count++];
    }
    *s = (struct config_setting){
        .key = key, .origin = mem_text(origin), .name = mem_text(name)};
    return s;
}

void
config_setting_add(struct config_setting *s, struct slice value)
{
    s->value = mem_resized(s->value, s->count + 1, sizeof(*s->value));
    s->value[s->count++] = mem_copy(value);
}

void
config_setting_add_list(struct config_setting *s, struct slice values)
{
    while (values.len > 0) {
        struct slice one = slice_trim(slice_cut(&values, ','));

        if (one.len > 0)
            config_setting_add(s, one);
    }
}

char *
config_name(const char *section, const char *title, const char *key)
{
    bool is_inner = strcmp(section, "oauth") == 0;
    const char *outer = is_inner ? "route" : section;
    const char *inner = is_inner ? ".oauth" : "";
    const char *dot = key[0] != '\0' ? "." : "";

    if (section[0] == '\0')
        return mem_text(key);
    if (title[0] == '\0')
        return mem_printf("%s%s%s%s", outer, inner, dot, key);
    return mem_printf("%s.%s%s%s%s", outer, title, inner, dot, key);
}

/* Adds one line to a list of texts; whatever was quoted in it is cleaned. */
static void
add_line(char ***list, size_t *count, const char *origin, const char *name,
         const char *what)
{
    scoped(own_free) char *line = NULL;
    struct buf clean = {0};

    if (*count > CONFIG_ERRORS_MAX)
        return;
    line = *count == CONFIG_ERRORS_MAX
               ? mem_text("and more")
               : mem_printf("%s: %s%s%s", origin, name ? name : "",
                            name ? ": " : "", what);
    text_clean(slice_of(line), CONFIG_ERROR_MAX, &clean);
    *list = mem_resized(*list, *count + 1, sizeof(**list));
    (*list)[(*count)++] = mem_copy(buf_slice(&clean));
    buf_free(&clean);
}

void
config_error(struct config_errors *errs, const char *origin, const char *name,
             const char *fmt, ...)
{
    char what[CONFIG_ERROR_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    add_line(&errs->text, &errs->count, origin, name, what);
}

void
config_warning(struct config_errors *errs, const char *origin, const char *name,
               const char *fmt, ...)
{
    char what[CONFIG_ERROR_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    add_line(&errs->warning, &errs->warning_count, origin, name, what);
}

void
config_note(struct config_errors *errs, const char *origin, const char *name,
            const char *fmt, ...)
{
    char what[CONFIG_ERROR_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    add_line(&errs->note, &errs->note_count, origin, name, what);
}

static bool
read_all(int fd, size_t max, struct buf *out, struct err *err)
{
    for (;;) {
        ssize_t n = read(fd, buf_room(out, 4096), 4096);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "can't be read");
        if (n == 0)
            break;
        out->len += (size_t)n;
        if (out->len > max)
            return err_set(err, ERR_LIMIT, "is larger than %zu octets", max);
    }
    if (out->len > 0 && memchr(out->p, '\0', out->len))
        return err_set(err, ERR_INPUT, "holds a NUL: that is no text file");
    return true;
}

bool
config_read_text(const char *file, size_t max, struct buf *out, struct err *err)
{
    /* Without O_NONBLOCK a FIFO would hold us up for ever. */
    scoped(own_close) int fd =
        open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_errno(err, "can't be opened");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "is not a regular file");
    return read_all(fd, max, out, err);
}
