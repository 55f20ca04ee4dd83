#include "relay/watch/event_filter.h"

#include "relay/base/id.h"
#include "relay/base/mem.h"
#include "relay/mail/address.h"

#include <stdlib.h>

const char *const event_filter_names[EVENT_FILTER_NAMES] = {
    "event", "domain", "from", "to", "id", "level"};

/* --- what is asked for --- */

static bool
set_events(struct event_filter *f, const char *value, struct err *err)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyz0123456789._,*";

    if (strlen(value) > EVENT_FILTER_EVENTS_MAX)
        return err_set(err, ERR_INPUT, "too long a list");
    if (value[0] == '\0' || value[strspn(value, word)] != '\0')
        return err_set(err, ERR_INPUT,
                       "\"%.100s\" is no list of events: delivery.sent, or "
                       "delivery.*, with commas",
                       value);
    free(f->events);
    f->events = mem_text(value);
    return true;
}

static bool
set_domain(struct event_filter *f, const char *value, struct err *err)
{
    struct mail_domain domain;

    if (!mail_domain_parse_any(slice_of(value), &domain, err))
        return false;
    free(f->domain);
    f->domain = mem_text(domain.text);
    return true;
}

static bool
set_address(char **place, const char *value, bool is_from, struct err *err)
{
    char *text = mail_address_pattern(value, is_from, err);

    if (!text)
        return false;
    free(*place);
    *place = text;
    return true;
}

static bool
set_id(struct event_filter *f, const char *value, struct err *err)
{
    char text[ID_TEXT_SIZE];
    uint64_t id;

    if (!id_parse(slice_of(value), &id))
        return err_set(err, ERR_INPUT, "\"%.100s\" is no queue id", value);
    free(f->id);
    f->id = mem_text(id_text(id, text));
    return true;
}

static bool
find_level(const char *value, enum log_level *out)
{
    for (int i = LOG_LEVEL_INFO; i <= LOG_LEVEL_ERROR; i++)
        if (strcmp(log_level_name((enum log_level)i), value) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

bool
event_filter_set(struct event_filter *f, const char *name, const char *value,
                 struct err *err)
{
    bool ok;

    if (strcmp(name, "event") == 0)
        ok = set_events(f, value, err);
    else if (strcmp(name, "domain") == 0)
        ok = set_domain(f, value, err);
    else if (strcmp(name, "from") == 0)
        ok = set_address(&f->from, value, true, err);
    else if (strcmp(name, "to") == 0)
        ok = set_address(&f->to, value, false, err);
    else if (strcmp(name, "id") == 0)
        ok = set_id(f, value, err);
    else if (strcmp(name, "level") == 0)
        ok = find_level(value, &f->level) ||
             err_set(err, ERR_INPUT, "info, warning or error");
    else
        return err_set(err, ERR_INPUT, "there is no filter \"%s\"", name);
    return ok || err_in(err, "%s", name);
}

void
event_filter_done(struct event_filter *f)
{
    free(f->events);
    free(f->domain);
    free(f->from);
    free(f->to);
    free(f->id);
    *f = (struct event_filter){0};
}

/* --- what there is --- */

static const char *
field(const json_t *event, const char *name)
{
    return json_string_value(json_object_get(event, name));
}

/* "delivery.sent", "delivery.*", "*". */
static bool
is_pattern(struct slice pattern, const char *name)
{
    if (pattern.len == 0 || pattern.p[pattern.len - 1] != '*')
        return slice_is(pattern, name);
    return strncmp(name, pattern.p, pattern.len - 1) == 0;
}

static bool
is_listed(const char *list, const char *name)
{
    struct slice rest = slice_of(list);

    while (rest.len > 0)
        if (is_pattern(slice_cut(&rest, ','), name))
            return true;
    return false;
}

static bool
is_domain(const char *text, const char *domain)
{
    struct mail_domain seen;
    struct err err;

    if (slice_is_nocase(slice_of(text), domain))
        return true;
    return mail_domain_parse_any(slice_of(text), &seen, &err) &&
           strcmp(seen.text, domain) == 0;
}

/* As the log shows it: all of it, its domain, or a hash at its domain. */
static bool
is_address(const char *shown, const char *wanted)
{
    struct mail_address address;
    const char *at = shown ? strrchr(shown, '@') : NULL;
    struct err err;

    if (!shown)
        return false;
    if (wanted[0] == '\0')
        return strcmp(shown, "<>") == 0;
    if (wanted[0] == '@')
        return at && is_domain(at + 1, wanted + 1);
    if (!mail_address_parse(slice_of(shown), true, &address, &err))
        return slice_is_nocase(slice_of(shown), wanted);
    return slice_is_nocase(slice_of(address.text), wanted);
}

/* The recipient's, or the one that the event is about. */
static bool
is_about(const json_t *event, const char *domain)
{
    static const char *const names[] = {"domain", "destination"};
    const char *to = field(event, "to");
    const char *at = to ? strrchr(to, '@') : NULL;

    if (at && is_domain(at + 1, domain))
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *text = field(event, names[i]);

        if (text && is_domain(text, domain))
            return true;
    }
    return false;
}

static bool
has_level(const json_t *event, enum log_level least)
{
    const char *text = field(event, "level");
    enum log_level level;

    return least <= LOG_LEVEL_INFO ||
           (text && find_level(text, &level) && level >= least);
}

const char *
event_filter_name(const json_t *event)
{
    const char *name = field(event, "event");

    return name ? name : "";
}

bool
event_filter_wants(const struct event_filter *f, const json_t *event)
{
    const char *id = field(event, "mid");

    return (!f->events || is_listed(f->events, event_filter_name(event))) &&
           has_level(event, f->level) &&
           (!f->id || (id && strcmp(id, f->id) == 0)) &&
           (!f->domain || is_about(event, f->domain)) &&
           (!f->from || is_address(field(event, "from"), f->from)) &&
           (!f->to || is_address(field(event, "to"), f->to));
}

json_t *
event_filter_read(struct slice line)
{
    json_t *event = json_loadb(line.p ? line.p : "", line.len, 0, NULL);

    if (json_is_object(event) && *event_filter_name(event))
        return event;
    json_decref(event);
    return NULL;
}
