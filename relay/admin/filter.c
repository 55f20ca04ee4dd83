#include "relay/admin/filter.h"

#include "relay/base/id.h"
#include "relay/base/mem.h"
#include "relay/base/span.h"
#include "relay/mail/address.h"

#include <stdlib.h>

const char *const admin_filter_names[ADMIN_FILTER_COUNT] = {
    "id", "domain", "from", "to", "state", "older_than"};

static const char *const states[] = {
    [QUEUE_STATE_ANY] = "any",           [QUEUE_STATE_QUEUED] = "queued",
    [QUEUE_STATE_DEFERRED] = "deferred", [QUEUE_STATE_HELD] = "held",
    [QUEUE_STATE_ACTIVE] = "active",
};

const char *
admin_state_name(enum queue_state state)
{
    return states[state];
}

static bool
set_state(struct admin_filter *f, const char *value, struct err *err)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(states[i], value) == 0) {
            f->queue.state = (enum queue_state)i;
            return true;
        }
    return err_set(err, ERR_INPUT,
                   "\"%s\" is no state: queued, active, deferred or held",
                   value);
}

static bool
set_domain(struct admin_filter *f, const char *value, struct err *err)
{
    struct mail_domain domain;

    free(f->domain);
    f->domain = NULL;
    if (value[0] == '[') /* an address literal is a domain to the queue */
        f->domain = mem_text(value);
    else if (mail_domain_parse_any(slice_of(value), &domain, err))
        f->domain = mem_text(domain.text);
    f->queue.domain = f->domain;
    return f->domain != NULL;
}

static bool
set_address(char **place, const char **used, const char *value, bool is_from,
            struct err *err)
{
    char *text = mail_address_pattern(value, is_from, err);

    if (!text)
        return false;
    free(*place);
    *place = text;
    *used = text;
    return true;
}

static bool
set_age(struct admin_filter *f, const char *value, int64_t now_ms,
        struct err *err)
{
    int64_t span;

    if (!span_parse(slice_of(value), &span, err))
        return false;
    f->queue.older_than_ms = now_ms > span ? now_ms - span : 1;
    return true;
}

bool
admin_filter_set(struct admin_filter *f, const char *name, const char *value,
                 int64_t now_ms, struct err *err)
{
    bool ok;

    if (strcmp(name, "id") == 0)
        ok = id_parse(slice_of(value), &f->queue.id) ||
             err_set(err, ERR_INPUT, "\"%s\" is no queue id", value);
    else if (strcmp(name, "domain") == 0)
        ok = set_domain(f, value, err);
    else if (strcmp(name, "from") == 0)
        ok = set_address(&f->from, &f->queue.from, value, true, err);
    else if (strcmp(name, "to") == 0)
        ok = set_address(&f->to, &f->queue.to, value, false, err);
    else if (strcmp(name, "state") == 0)
        ok = set_state(f, value, err);
    else if (strcmp(name, "older_than") == 0)
        ok = set_age(f, value, now_ms, err);
    else
        return err_set(err, ERR_INPUT, "there is no filter \"%s\"", name);
    return ok || err_in(err, "%s", name);
}

bool
admin_filter_is_empty(const struct admin_filter *f)
{
    const struct queue_filter *q = &f->queue;

    return q->id == 0 && !q->domain && !q->from && !q->to &&
           q->state == QUEUE_STATE_ANY && q->older_than_ms == 0;
}

void
admin_filter_done(struct admin_filter *f)
{
    free(f->domain);
    free(f->from);
    free(f->to);
    *f = (struct admin_filter){0};
}
