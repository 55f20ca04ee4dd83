/* GET /v1/events: the events of the log as they happen, as server-sent events
 * (HTML Living Standard, section 9.2). */
#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"
#include "relay/net/timer.h"
#include "relay/watch/event_hub.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    BEAT_MS = 15 * 1000, /* a comment, where there is nothing else to say */
    AGAIN_MS = 2000,     /* when a client comes again that lost its stream */
    PART = 32 * 1024,    /* octets, about, of one chunk */
};

struct stream {
    struct net_http_request *request;
    struct event_reader *reader;
    struct net_timer *beat;
};

static void
end_stream(struct stream *s)
{
    net_http_end(s->request);
    event_reader_free(&s->reader);
    net_timer_free(&s->beat);
    free(s);
}

static void
add_event(const struct event *e, struct buf *out)
{
    if (e->name) {
        buf_printf(out, "id: %s\nevent: %s\ndata: ", e->id, e->name);
        buf_add(out, e->line);
    } else {
        buf_add_text(out, "event: missed\ndata: {\"event\":\"missed\",");
        if (e->missed > 0)
            buf_printf(out, "\"count\":%" PRIu64 "}", e->missed);
        else
            buf_add_text(out, "\"count\":null}");
    }
    buf_add_text(out, "\n\n");
}

/* As much as the client takes; the rest waits in the hub, for as long as that
 * has room.  True: there was something. */
static bool
send_events(struct stream *s)
{
    struct buf out scoped(buf_free) = {0};
    bool had_any = false, more = true;
    struct event e;

    while (more && !net_http_is_full(s->request)) {
        while (out.len < PART && (more = event_reader_next(s->reader, &e)))
            add_event(&e, &out);
        had_any |= out.len > 0;
        (void)net_http_part(s->request, &out);
    }
    return had_any;
}

static void
changed(void *ctx)
{
    struct stream *s = ctx;

    if (net_http_is_gone(s->request)) {
        end_stream(s);
        return;
    }
    if (send_events(s))
        net_timer_set(s->beat, BEAT_MS);
    if (event_reader_is_over(s->reader))
        end_stream(s);
}

static void
beat(void *ctx)
{
    struct stream *s = ctx;
    struct buf out scoped(buf_free) = {0};

    buf_add_text(&out, ":\n\n");
    if (!net_http_is_full(s->request))
        (void)net_http_part(s->request, &out);
    net_timer_set(s->beat, BEAT_MS);
    changed(s);
}

static bool
read_filter(struct net_http_request *r, struct event_filter *out,
            struct err *err)
{
    for (size_t i = 0; i < EVENT_FILTER_NAMES; i++) {
        const char *value = net_http_query(r, event_filter_names[i]);

        if (value && !event_filter_set(out, event_filter_names[i], value, err))
            return false;
    }
    return true;
}

static void
begin_stream(struct relay *relay, struct net_http_request *r,
             struct event_reader *reader, struct stream *s)
{
    struct buf hello scoped(buf_free) = {0};

    s->request = r;
    s->reader = reader;
    s->beat = net_timer_new(&relay->loop, beat, s);
    net_http_add_header(r, "X-Accel-Buffering", "no"); /* for nginx */
    net_http_begin(r, 200, "text/event-stream");
    net_http_stream(r, changed, s);
    buf_printf(&hello, "retry: %d\n\n", AGAIN_MS);
    (void)net_http_part(r, &hello);
    net_timer_set(s->beat, BEAT_MS);
    changed(s);
}

void
admin_events(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct event_filter filter scoped(event_filter_done) = {0};
    const char *last = net_http_header(r, "Last-Event-ID");
    struct event_reader *reader = NULL;
    struct stream *s;
    struct err err;

    (void)name;
    if (!read_filter(r, &filter, &err)) {
        admin_answer_failure(r, &err);
        return;
    }
    s = mem_new(struct stream);
    reader =
        event_reader_new(relay->event_hub, &filter, last, changed, s, &err);
    if (reader) {
        begin_stream(relay, r, reader, s);
        return;
    }
    free(s);
    admin_answer_error(r, 503, err.text);
}
