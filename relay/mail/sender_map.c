#include "relay/mail/sender_map.h"

#include "relay/base/mem.h"

#include <stdlib.h>
#include <strings.h>

enum { PATTERN_SIZE = MAIL_ADDRESS_MAX + 1 };

struct entry {
    char *pattern, *value;
    size_t line;
};

struct mail_sender_map {
    struct entry *entries; /* sorted by pattern */
    size_t count, room;
};

static int
compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return strcasecmp(x->pattern, y->pattern);
}

/* The local part as it came, the domain as an A-label. */
static bool
spell(const struct mail_address *a, char out[PATTERN_SIZE])
{
    const char *domain = a->is_literal ? a->text + a->at + 1 : a->domain.text;
    size_t len = strlen(domain);

    if (a->at + 1 + len >= PATTERN_SIZE)
        return false;
    memcpy(out, a->text, a->at + 1U);
    memcpy(out + a->at + 1, domain, len + 1);
    return true;
}

/* "@domain" or an address; a copy in the one form that is compared. */
static char *
parse_word(struct slice word, struct err *err)
{
    struct mail_address address;
    struct mail_domain domain;
    char text[PATTERN_SIZE];

    if (word.len > 0 && word.p[0] == '@')
        return mail_domain_parse(slice_from(word, 1), &domain, err)
                   ? mem_printf("@%s", domain.text)
                   : NULL;
    if (!mail_address_parse(word, true, &address, err))
        return NULL;
    if (!spell(&address, text)) {
        err_set(err, ERR_INPUT, "address too long");
        return NULL;
    }
    return mem_text(text);
}

/* Whatever it is put into can go to every server. */
static bool
check_ascii(const char *value, struct err *err)
{
    for (; *value; value++)
        if ((unsigned char)*value >= 0x80)
            return err_set(err, ERR_INPUT,
                           "a local part outside of ASCII can't be given to "
                           "others");
    return true;
}

static bool
parse_entry(struct slice whom, struct slice becomes, struct entry *e,
            struct err *err)
{
    if (becomes.len == 0)
        return err_set(err, ERR_INPUT, "what it becomes is missing");
    e->pattern = slice_is(whom, "*") ? mem_text("*") : parse_word(whom, err);
    e->value = e->pattern ? parse_word(becomes, err) : NULL;
    return e->value && check_ascii(e->value, err);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice
cut_word(struct slice *line)
{
    struct slice word;
    size_t n = 0;

    while (line->len > 0 && is_blank(line->p[0]))
        *line = slice_from(*line, 1);
    while (n < line->len && !is_blank(line->p[n]))
        n++;
    word = slice_first(*line, n);
    *line = slice_from(*line, n);
    return word;
}

static void
add_entry(struct mail_sender_map *m, const struct entry *e)
{
    if (m->count == m->room) {
        m->room = m->room * 2 + 16;
        m->entries = mem_resized(m->entries, m->room, sizeof(*m->entries));
    }
    m->entries[m->count++] = *e;
}

static bool
parse_line(struct mail_sender_map *m, struct slice line, size_t number,
           struct err *err)
{
    struct entry e = {.line = number};
    struct slice whom = cut_word(&line), becomes = cut_word(&line);

    if (whom.len == 0 || whom.p[0] == '#')
        return true;
    if (cut_word(&line).len > 0)
        return err_set(err, ERR_INPUT, "more than two words");
    if (parse_entry(whom, becomes, &e, err)) {
        add_entry(m, &e);
        return true;
    }
    free(e.pattern);
    free(e.value);
    return false;
}

static bool
sort(struct mail_sender_map *m, struct err *err)
{
    if (m->count > 0)
        qsort(m->entries, m->count, sizeof(*m->entries), compare);
    for (size_t i = 1; i < m->count; i++) {
        const struct entry *a = &m->entries[i - 1], *b = &m->entries[i];

        if (compare(a, b) == 0)
            return err_set(err, ERR_INPUT, "%zu: %s is there twice",
                           a->line > b->line ? a->line : b->line, a->pattern);
    }
    return true;
}

static bool
parse(struct mail_sender_map *m, struct slice text, struct err *err)
{
    if (text.len > MAIL_SENDER_MAP_MAX)
        return err_set(err, ERR_LIMIT, "1: more than %d octets",
                       MAIL_SENDER_MAP_MAX);
    for (size_t number = 1; text.len > 0; number++) {
        if (!parse_line(m, slice_cut(&text, '\n'), number, err))
            return err_in(err, "%zu", number);
    }
    return sort(m, err);
}

struct mail_sender_map *
mail_sender_map_parse(struct slice text, struct err *err)
{
    struct mail_sender_map *m = mem_new(struct mail_sender_map);

    if (!parse(m, text, err))
        mail_sender_map_free(&m);
    return m;
}

void
mail_sender_map_free(struct mail_sender_map **place)
{
    struct mail_sender_map *m = take(place);

    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++) {
        free(m->entries[i].pattern);
        free(m->entries[i].value);
    }
    free(m->entries);
    free(m);
}

static const char *
find(const struct mail_sender_map *m, char *pattern)
{
    struct entry key = {.pattern = pattern}, *e = NULL;

    if (m->count > 0)
        e = bsearch(&key, m->entries, m->count, sizeof(key), compare);
    return e ? e->value : NULL;
}

const char *
mail_sender_map_find(const struct mail_sender_map *m,
                     const struct mail_address *a, bool any)
{
    char pattern[PATTERN_SIZE], rest[] = "*";
    const char *value = NULL;

    if (spell(a, pattern)) {
        value = find(m, pattern);
        if (!value)
            value = find(m, pattern + a->at);
    }
    return value || !any ? value : find(m, rest);
}
