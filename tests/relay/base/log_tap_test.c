#include "relay/base/log_tap.h"

#include "relay/base/log.h"
#include "relay/base/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    int null;
    struct log *log;
    struct log_tap *tap;
    unsigned woken;
    struct buf got;
};

static void
wake(void *ctx)
{
    unsigned *n = ctx;

    (*n)++;
}

static void
init(struct fixture *f, enum log_format format, enum log_level level)
{
    const struct log_setup setup = {format, level, LOG_ADDRESSES_DOMAIN};
    struct err err;

    *f = (struct fixture){.null = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    f->log = log_open(f->null, &setup, &err);
    assert_non_null(f->log);
    f->tap = log_tap(f->log);
}

static void
done(struct fixture *f)
{
    log_close(&f->log);
    own_close(&f->null);
    buf_free(&f->got);
}

static void
say(struct fixture *f, enum log_level level, const char *event,
    const char *text)
{
    struct log_line line;

    log_begin(&line, f->log, level, event);
    log_address(&line, "to", "bob@b.example");
    log_text(&line, "text", text);
    log_int(&line, "n", 7);
    log_end(&line);
}

static const char *
taken(struct fixture *f, uint64_t lost)
{
    assert_int_equal(log_tap_take(f->tap, &f->got), lost);
    return buf_text(&f->got);
}

static void
a_line_is_json_whatever_the_log_itself_is(void **state)
{
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_JSON};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f scoped(done);

        init(&f, formats[i], LOG_LEVEL_INFO);
        log_tap_open(f.tap, wake, &f.woken);
        say(&f, LOG_LEVEL_INFO, "x.y", "a \"b\"\n");
        assert_int_equal(f.woken, 1);
        assert_non_null(strstr(
            taken(&f, 0),
            "Z\",\"level\":\"info\",\"event\":\"x.y\",\"to\":\"@b.example"
            "\",\"text\":\"a \\\"b\\\"\\u000a\",\"n\":7}\n"));
        assert_int_equal(*f.got.p, '{');
        assert_string_equal(taken(&f, 0), "");
    }
}

static void
the_level_of_the_log_is_its_own_but_nothing_is_below_info(void **state)
{
    struct fixture f scoped(done);

    (void)state;
    init(&f, LOG_FORMAT_JSON, LOG_LEVEL_ERROR);
    log_tap_open(f.tap, wake, &f.woken);
    say(&f, LOG_LEVEL_DEBUG, "no", "");
    say(&f, LOG_LEVEL_INFO, "yes", "");
    assert_null(strstr(taken(&f, 0), "no"));
    assert_non_null(strstr(buf_text(&f.got), "yes"));
}

static void
a_closed_tap_holds_nothing(void **state)
{
    struct fixture f scoped(done);
    struct log_line line;

    (void)state;
    init(&f, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
    log_begin(&line, f.log, LOG_LEVEL_INFO, "nobody.listens");
    assert_null(line.log);
    say(&f, LOG_LEVEL_INFO, "x", "");
    log_tap_open(f.tap, wake, &f.woken);
    say(&f, LOG_LEVEL_INFO, "y", "");
    log_tap_close(f.tap);
    assert_string_equal(taken(&f, 0), "");
    say(&f, LOG_LEVEL_INFO, "z", "");
    assert_string_equal(taken(&f, 0), "");
    assert_int_equal(f.woken, 1);
}

static void
whoever_opens_it_is_woken_once_until_it_takes(void **state)
{
    struct fixture f scoped(done);

    (void)state;
    init(&f, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_tap_open(f.tap, wake, &f.woken);
    say(&f, LOG_LEVEL_INFO, "x", "");
    say(&f, LOG_LEVEL_INFO, "x", "");
    assert_int_equal(f.woken, 1);
    taken(&f, 0);
    say(&f, LOG_LEVEL_INFO, "x", "");
    assert_int_equal(f.woken, 2);
}

static void
what_finds_it_full_is_counted(void **state)
{
    struct fixture f scoped(done);
    char *text scoped(own_free) = mem_zeroed(1, 1000);
    size_t lines = 0, sent = 1000;

    (void)state;
    memset(text, 'x', 999);
    init(&f, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_tap_open(f.tap, wake, &f.woken);
    for (size_t i = 0; i < sent; i++)
        say(&f, LOG_LEVEL_INFO, "x", text);
    (void)log_tap_take(f.tap, &f.got);
    assert_true(f.got.len <= LOG_TAP_MAX);
    for (size_t i = 0; i < f.got.len; i++)
        lines += f.got.p[i] == '\n';
    assert_in_range(lines, 100, sent - 100);
    say(&f, LOG_LEVEL_INFO, "y", "");
    assert_non_null(strstr(taken(&f, 0), "\"y\""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_json_whatever_the_log_itself_is),
        cmocka_unit_test(
            the_level_of_the_log_is_its_own_but_nothing_is_below_info),
        cmocka_unit_test(a_closed_tap_holds_nothing),
        cmocka_unit_test(whoever_opens_it_is_woken_once_until_it_takes),
        cmocka_unit_test(what_finds_it_full_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
