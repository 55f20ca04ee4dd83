/* Whatever is logged, exactly one line comes out, of well-formed UTF-8 without
 * control characters; as JSON, its strings end where they should.  A tap gets
 * the same as JSON, from either log. */
#include "relay/base/log.h"
#include "relay/base/log_tap.h"
#include "relay/base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct channel {
    int from;
    struct log *log;
};

static struct channel
open_channel(enum log_format format)
{
    const struct log_setup setup = {format, LOG_LEVEL_DEBUG,
                                    LOG_ADDRESSES_HASH};
    struct err err;
    int fd[2];

    assert(pipe2(fd, O_CLOEXEC) == 0);
    return (struct channel){fd[0], log_open(fd[1], &setup, &err)};
}

static struct slice
read_line(int fd, char *out, size_t size)
{
    size_t len = 0;

    while (len == 0 || out[len - 1] != '\n') {
        ssize_t n = read(fd, out + len, size - len);

        assert(n > 0 || (n < 0 && errno == EINTR));
        len += n > 0 ? (size_t)n : 0;
    }
    return (struct slice){out, len};
}

/* Walks over the strings and finds nothing but our own words outside. */
static void
check_json(struct slice s)
{
    bool in_string = false;

    for (size_t i = 0; i < s.len; i++) {
        if (in_string && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            in_string = !in_string;
        else if (!in_string)
            assert(memchr("{}:,-0123456789true", s.p[i], 19));
    }
    assert(!in_string && s.p[0] == '{' && s.p[s.len - 1] == '}');
}

/* What came out of the tap. */
static void
check_tap(struct log *log, struct buf *got)
{
    struct slice line;

    assert(log_tap_take(log_tap(log), got) == 0);
    line = buf_slice(got);
    assert(line.len > 0 && line.p[line.len - 1] == '\n');
    line.len--;
    assert(text_is_utf8(line) && !memchr(line.p, '\n', line.len));
    check_json(line);
}

static void
check(const struct channel *c, struct slice bytes, bool json)
{
    char text[LOG_LINE_MAX];
    struct log_line line;
    struct slice out;
    struct buf got = {0};
    char address[512];

    (void)snprintf(address, sizeof(address), "%.*s", (int)bytes.len % 500,
                   bytes.p);
    log_begin(&line, c->log, LOG_LEVEL_INFO, "event");
    log_slice(&line, "one", slice_first(bytes, bytes.len / 2));
    log_address(&line, "two", address);
    log_int(&line, "three", (int64_t)bytes.len);
    log_slice(&line, "four", slice_from(bytes, bytes.len / 2));
    log_slice(&line, "five", bytes);
    log_slice(&line, "six", bytes);
    log_end(&line);
    out = read_line(c->from, text, sizeof(text));
    assert(memchr(out.p, '\n', out.len) == out.p + out.len - 1);
    out.len--;
    assert(text_is_utf8(out));
    for (struct slice rest = out; rest.len > 0;) {
        uint32_t code = 0;

        rest = slice_from(rest, text_next(rest, &code));
        assert(text_may_show(code));
    }
    if (json)
        check_json(out);
    check_tap(c->log, &got);
    buf_free(&got);
}

static void
wake(void *ctx)
{
    (void)ctx;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel json, text;

    if (!json.log) {
        json = open_channel(LOG_FORMAT_JSON);
        text = open_channel(LOG_FORMAT_TEXT);
        assert(json.log && text.log);
        log_tap_open(log_tap(json.log), wake, NULL);
        log_tap_open(log_tap(text.log), wake, NULL);
    }
    check(&json, (struct slice){(const char *)data, size}, true);
    check(&text, (struct slice){(const char *)data, size}, false);
    return 0;
}
