/* Octets as replies: the same replies, and the same end, however cut. */
#include "smtp/reply.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPLIES_MAX = 64 };

struct story {
    struct {
        int code;
        size_t len;
        size_t hash;
    } replies[REPLIES_MAX];
    size_t count;
    enum smtp_reply_got end;
};

static size_t
hash(struct slice s)
{
    size_t h = s.len;

    for (size_t i = 0; i < s.len; i++)
        h = h * 31 + (unsigned char)s.p[i];
    return h;
}

static void
note(struct story *story, const struct smtp_reply *r)
{
    assert(r->code >= 200 && r->code <= 599);
    assert(r->len <= SMTP_REPLY_TEXT_MAX && r->text[r->len] == '\0');
    assert(!memchr(r->text, '\r', r->len));
    story->replies[story->count].code = r->code;
    story->replies[story->count].len = r->len;
    story->replies[story->count++].hash = hash((struct slice){r->text, r->len});
}

/* Reads in pieces of `step` octets. */
static void
tell(struct slice in, size_t step, struct story *story)
{
    scoped(own_free) struct smtp_reply_reader *r =
        mem_new(struct smtp_reply_reader);

    story->end = SMTP_REPLY_PART;
    while (in.len > 0 && story->count < REPLIES_MAX) {
        struct slice piece = slice_first(in, step);
        size_t before = piece.len;

        story->end = smtp_reply_read(r, &piece);
        in = slice_from(in, before - piece.len);
        if (story->end == SMTP_REPLY_BAD)
            return;
        assert(story->end == SMTP_REPLY_WHOLE || piece.len == 0);
        if (story->end == SMTP_REPLY_WHOLE)
            note(story, &r->reply);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    static const size_t steps[] = {1, 2, 3, 7, 64};
    struct story whole = {.count = 0};

    tell(in, size + 1, &whole);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct story cut = {.count = 0};

        tell(in, steps[i], &cut);
        assert(cut.end == whole.end && cut.count == whole.count);
        assert(memcmp(cut.replies, whole.replies,
                      whole.count * sizeof(whole.replies[0])) == 0);
    }
    return 0;
}
