#include "relay/daemon/sts_shelf.h"

#include "relay/base/mem.h"

#include <inttypes.h>
#include <stdio.h>

void
sts_shelf_format(const struct policy_sts_entry *e, struct buf *out)
{
    buf_printf(out, "id: %s\n", e->id);
    buf_printf(out, "fetched: %" PRId64 "\n", e->fetched_ms);
    buf_printf(out, "expires: %" PRId64 "\n", e->expires_ms);
    buf_printf(out, "used: %" PRId64 "\n", e->used_ms);
    buf_printf(out, "checked: %" PRId64 "\n", e->checked_ms);
    buf_printf(out, "failed-id: %s\n", e->failed_id);
    buf_printf(out, "backoff: %" PRId64 "\n", e->backoff_ms);
    if (e->failure)
        buf_printf(out, "failure: %s\n", e->failure);
    if (e->text)
        buf_printf(out, "\n%s", e->text);
}

static bool
set_time(struct slice value, int64_t *out)
{
    unsigned long long number;

    if (!slice_number(value, INT64_MAX, &number))
        return false;
    *out = (int64_t)number;
    return true;
}

static bool
set_id(struct slice value, char id[POLICY_STS_ID_MAX + 1])
{
    if (value.len > POLICY_STS_ID_MAX)
        return false;
    memcpy(id, value.p, value.len);
    id[value.len] = '\0';
    return true;
}

static bool
set_field(struct policy_sts_entry *e, struct slice key, struct slice value)
{
    if (slice_is(key, "id"))
        return set_id(value, e->id);
    if (slice_is(key, "failed-id"))
        return set_id(value, e->failed_id);
    if (slice_is(key, "fetched"))
        return set_time(value, &e->fetched_ms);
    if (slice_is(key, "expires"))
        return set_time(value, &e->expires_ms);
    if (slice_is(key, "used"))
        return set_time(value, &e->used_ms);
    if (slice_is(key, "checked"))
        return set_time(value, &e->checked_ms);
    if (slice_is(key, "backoff"))
        return set_time(value, &e->backoff_ms);
    if (slice_is(key, "failure") && !e->failure)
        e->failure = mem_copy(value);
    return true; /* of a later version */
}

bool
sts_shelf_parse(const char *domain, struct slice text,
                struct policy_sts_entry *out, struct err *err)
{
    struct policy_sts_entry e = {0};

    (void)snprintf(e.domain.text, sizeof(e.domain.text), "%s", domain);
    while (text.len > 0 && text.p[0] != '\n') {
        struct slice value = slice_cut(&text, '\n');
        struct slice key = slice_cut(&value, ':');

        if (!set_field(&e, key, slice_trim(value))) {
            policy_sts_entry_done(&e);
            return err_set(err, ERR_INPUT, "policy cache of %s: bad %.*s",
                           domain, (int)key.len, key.p);
        }
    }
    if (text.len > 0)
        e.text = mem_copy(slice_from(text, 1));
    *out = e;
    return true;
}
