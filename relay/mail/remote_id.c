#include "relay/mail/remote_id.h"

#include <string.h>

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_mark(char c)
{
    return c != '\0' && strchr("-._+/=", c);
}

/* The end of a sentence is no part of the name. */
static struct slice
without_end(struct slice word)
{
    while (word.len > 0 && strchr(".,;)]>", word.p[word.len - 1]))
        word.len--;
    return word;
}

static bool
take_name(struct slice word, char out[MAIL_REMOTE_ID_MAX + 1])
{
    bool has_digit = false;

    word = without_end(word);
    if (word.len == 0 || word.len > MAIL_REMOTE_ID_MAX)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.p[i];

        has_digit |= is_digit(c);
        if (!is_digit(c) && !is_letter(c) && !is_mark(c))
            return false;
    }
    if (!has_digit)
        return false;
    memcpy(out, word.p, word.len);
    out[word.len] = '\0';
    return true;
}

static struct slice
first_word(struct slice text)
{
    return slice_cut(&text, ' ');
}

static bool
begins(struct slice text, const char *with)
{
    return slice_is_nocase(slice_first(text, strlen(with)), with);
}

/* Behind the last `mark` that begins a word. */
static bool
find_behind(struct slice text, const char *mark,
            char out[MAIL_REMOTE_ID_MAX + 1])
{
    for (size_t i = text.len; i-- > 0;) {
        bool is_start = i == 0 || strchr(" (<[,;", text.p[i - 1]);

        if (is_start && begins(slice_from(text, i), mark))
            return take_name(first_word(slice_from(text, i + strlen(mark))),
                             out);
    }
    return false;
}

static bool
find_ahead(struct slice text, char out[MAIL_REMOTE_ID_MAX + 1])
{
    struct slice word = slice_cut(&text, ' ');

    return begins(text, "Message accepted for delivery") &&
           take_name(word, out);
}

bool
mail_remote_id(struct slice text, char out[MAIL_REMOTE_ID_MAX + 1])
{
    text = slice_trim(text);
    return find_behind(text, "queued as ", out) ||
           find_behind(text, "id=", out) || find_ahead(text, out);
}
