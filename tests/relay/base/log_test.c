#include "relay/base/log.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A log at one end of a pipe, and what has come out of the other. */
struct fixture {
    int from, to;
    struct log *log;
    struct buf out;
};

static const struct log_setup json = {LOG_FORMAT_JSON, LOG_LEVEL_INFO,
                                      LOG_ADDRESSES_FULL};

static void
init(struct fixture *f, const struct log_setup *setup)
{
    int fd[2];
    struct err err;

    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    *f = (struct fixture){.from = fd[0], .to = fd[1]};
    f->log = log_open(f->to, setup, &err);
    assert_non_null(f->log);
}

/* All that was logged; closes the log. */
static const char *
finish(struct fixture *f)
{
    ssize_t n;

    log_close(&f->log);
    own_close(&f->to);
    while ((n = read(f->from, buf_room(&f->out, 4096), 4096)) > 0)
        f->out.len += (size_t)n;
    return buf_text(&f->out);
}

static void
done(struct fixture *f)
{
    log_close(&f->log);
    own_close(&f->to);
    own_close(&f->from);
    buf_free(&f->out);
}

/* Lets Python read every line. */
static void
assert_is_json(const struct fixture *f, int lines)
{
    char command[400];
    FILE *to;

    (void)snprintf(command, sizeof(command),
                   "/usr/bin/python3 -c 'import json, sys\n"
                   "lines = sys.stdin.buffer.read().split(b\"\\n\")\n"
                   "assert lines.pop() == b\"\" and len(lines) == %d\n"
                   "for line in lines:\n"
                   "    first = list(json.loads(line))[:3]\n"
                   "    assert first == [\"ts\", \"level\", \"event\"]\n'",
                   lines);
    to = popen(command, "w");
    assert_non_null(to);
    (void)fwrite(f->out.p, 1, f->out.len, to);
    assert_int_equal(pclose(to), 0);
}

static size_t
count_lines(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void
a_line_of_json_holds_its_fields_in_order(void **state)
{
    scoped(done) struct fixture f;
    struct log_line line;

    (void)state;
    init(&f, &json);
    log_begin(&line, f.log, LOG_LEVEL_INFO, "delivery.sent");
    log_id(&line, "id", 12345678901);
    log_address(&line, "to", "a@b.example");
    log_text(&line, "none", NULL);
    log_int(&line, "size", -5);
    log_bool(&line, "tls", true);
    log_slice(&line, "reply", (struct slice){"250 \"ok\"\r\n", 10});
    log_end(&line);
    assert_non_null(
        strstr(finish(&f),
               "Z\",\"level\":\"info\",\"event\":\"delivery.sent\",\"id\":"
               "\"000bfxr71n\",\"to\":\"a@b.example\",\"size\":-5,\"tls\":true,"
               "\"reply\":\"250 \\\"ok\\\"\\u000d\\u000a\"}\n"));
}

static void
numbers_under_one_key_are_an_object_or_a_list(void **state)
{
    static const struct log_number list[] = {
        {"queue", INT64_MAX}, {"dns", INT64_MIN}, {"data", 0}};
    const struct log_setup text = {.format = LOG_FORMAT_TEXT};
    const struct log_setup *const setups[] = {&json, &text};
    static const char *const lines[] = {
        ",\"delays\":{\"queue\":9223372036854775807,\"dns\":"
        "-9223372036854775808,\"data\":0},\"x\":1}\n",
        " delays=queue:9223372036854775807,dns:-9223372036854775808,data:0"
        " x=1\n",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        scoped(done) struct fixture f;
        struct log_line line;

        init(&f, setups[i]);
        log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
        log_numbers(&line, "delays", list, 3);
        log_int(&line, "x", 1);
        log_end(&line);
        assert_non_null(strstr(finish(&f), lines[i]));
    }
}

static void
the_time_of_a_line_is_that_of_its_beginning(void **state)
{
    scoped(done) struct fixture f;
    struct log_line line;
    struct tm tm = {0};
    time_t before = time(NULL), said;
    struct timespec now;

    (void)state;
    init(&f, &json);
    log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
    log_end(&line);
    assert_non_null(strptime(finish(&f), "{\"ts\":\"%Y-%m-%dT%H:%M:%S", &tm));
    said = timegm(&tm);
    /* time() may be a few milliseconds behind. */
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    assert_true(said >= before && said <= now.tv_sec);
}

static void
a_line_for_people_is_plain(void **state)
{
    scoped(done) struct fixture f;
    struct log_setup setup = json;
    struct log_line line;

    (void)state;
    setup.format = LOG_FORMAT_TEXT;
    init(&f, &setup);
    log_begin(&line, f.log, LOG_LEVEL_WARNING, "session.reject");
    log_text(&line, "why", "not allowed");
    log_text(&line, "host", "mx.example");
    log_text(&line, "empty", "");
    log_text(&line, "odd", "a=b");
    log_end(&line);
    assert_non_null(strstr(finish(&f),
                           "Z warning session.reject why=\"not allowed\" "
                           "host=mx.example empty=\"\" odd=\"a=b\"\n"));
    assert_null(strstr(f.out.p, "\x1b"));
}

static void
what_is_below_the_level_is_left_out(void **state)
{
    scoped(done) struct fixture f;
    struct log_setup setup = json;
    struct log_line line;

    (void)state;
    setup.level = LOG_LEVEL_WARNING;
    init(&f, &setup);
    for (enum log_level l = LOG_LEVEL_DEBUG; l <= LOG_LEVEL_ERROR; l++) {
        log_begin(&line, f.log, l, log_level_name(l));
        log_text(&line, "x", "y");
        log_end(&line);
    }
    setup.level = LOG_LEVEL_DEBUG;
    log_change(f.log, &setup);
    log_begin(&line, f.log, LOG_LEVEL_DEBUG, "after.change");
    log_end(&line);
    assert_int_equal(count_lines(finish(&f)), 3);
    assert_non_null(strstr(f.out.p, "\"event\":\"warning\""));
    assert_non_null(strstr(f.out.p, "\"event\":\"error\""));
    assert_non_null(strstr(f.out.p, "\"event\":\"after.change\""));
}

static void
without_a_log_nothing_happens(void **state)
{
    struct log_line line;

    (void)state;
    log_begin(&line, NULL, LOG_LEVEL_ERROR, "x");
    log_text(&line, "x", "y");
    log_slice(&line, "x", slice_of("y"));
    log_int(&line, "x", 1);
    log_bool(&line, "x", true);
    log_id(&line, "x", 1);
    log_address(&line, "x", "a@b");
    log_end(&line);
}

static void
addresses_are_logged_as_the_settings_want(void **state)
{
    static const struct {
        enum log_addresses how;
        const char *address, *want;
    } rows[] = {
        {LOG_ADDRESSES_FULL, "a@b.example", "\"a\":\"a@b.example\""},
        {LOG_ADDRESSES_FULL, "", "\"a\":\"<>\""},
        {LOG_ADDRESSES_DOMAIN, "a@b.example", "\"a\":\"@b.example\""},
        {LOG_ADDRESSES_DOMAIN, "\"x@y\"@b.example", "\"a\":\"@b.example\""},
        {LOG_ADDRESSES_DOMAIN, "", "\"a\":\"<>\""},
        {LOG_ADDRESSES_DOMAIN, "nobody", "\"a\":\"?\""},
        {LOG_ADDRESSES_HASH, "a@b.example", "@b.example\""},
        {LOG_ADDRESSES_HASH, "", "\"a\":\"<>\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(done) struct fixture f;
        struct log_setup setup = json;
        struct log_line line;

        setup.addresses = rows[i].how;
        init(&f, &setup);
        log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
        log_address(&line, "a", rows[i].address);
        log_end(&line);
        assert_non_null(strstr(finish(&f), rows[i].want));
        if (rows[i].how != LOG_ADDRESSES_FULL)
            assert_null(strstr(f.out.p, "\"a@b")); /* a hash may end so */
    }
}

static void
the_same_address_has_the_same_hash(void **state)
{
    scoped(done) struct fixture f;
    struct log_setup setup = json;
    struct log_line line;
    const char *hash;

    (void)state;
    setup.addresses = LOG_ADDRESSES_HASH;
    init(&f, &setup);
    log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
    log_address(&line, "a", "one@b.example");
    log_address(&line, "b", "one@b.example");
    log_address(&line, "c", "two@b.example");
    log_end(&line);
    hash = strstr(finish(&f), "\"a\":\"") + 5;
    assert_memory_equal(hash, strstr(f.out.p, "\"b\":\"") + 5, 8);
    assert_memory_not_equal(hash, strstr(f.out.p, "\"c\":\"") + 5, 8);
    assert_int_equal(hash[8], '@');
}

static void
any_octets_come_out_as_one_line_of_json(void **state)
{
    scoped(done) struct fixture f;
    struct log_line line;
    char bytes[256];
    int lines = 0;

    (void)state;
    init(&f, &json);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t from = 0; from < sizeof(bytes); from += 16, lines++) {
        log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
        log_slice(&line, "bytes", (struct slice){bytes + from, 16});
        log_text(&line, "bidi", "a\xe2\x80\xae\xf3\xa0\x81\x81\xc2\x9b");
        log_text(&line, "inject", "\"},{\"x\":\"\n{\"ts\":1}");
        log_end(&line);
    }
    assert_int_equal(count_lines(finish(&f)), lines);
    assert_is_json(&f, lines);
    for (size_t i = 0; i < f.out.len; i++)
        assert_true(f.out.p[i] == '\n' || (unsigned char)f.out.p[i] >= ' ');
    assert_null(strstr(f.out.p, "\xe2\x80\xae"));
}

static void
a_long_value_is_cut_and_marked(void **state)
{
    scoped(done) struct fixture f;
    struct log_line line;
    char large[3 * LOG_VALUE_MAX + 1];

    (void)state;
    for (size_t i = 0; i + 3 < sizeof(large); i += 3)
        memcpy(large + i, "\xe2\x82\xac", 3);
    large[sizeof(large) - 1] = '\0';
    init(&f, &json);
    log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
    log_text(&line, "euros", large);
    log_end(&line);
    assert_non_null(strstr(finish(&f), ",\"cut\":true}\n"));
    assert_null(strstr(f.out.p, "\xEF\xBF\xBD")); /* no broken character */
    assert_true(f.out.len < LOG_VALUE_MAX + 200);
}

static void
a_line_never_grows_over_its_limit(void **state)
{
    scoped(done) struct fixture f;
    struct log_line line;
    char large[LOG_VALUE_MAX + 1];

    (void)state;
    memset(large, '\x01', LOG_VALUE_MAX);
    large[LOG_VALUE_MAX] = '\0';
    init(&f, &json);
    log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
    for (int i = 0; i < 4; i++) {
        log_text(&line, (char[]){(char)('a' + i), '\0'}, large);
        log_int(&line, (char[]){(char)('p' + i), '\0'}, i);
    }
    log_end(&line);
    assert_non_null(strstr(finish(&f), "\"cut\":true}\n"));
    assert_non_null(strstr(f.out.p, "\"s\":3")); /* small ones still fit */
    assert_true(f.out.len <= LOG_LINE_MAX);
    assert_is_json(&f, 1);
}

static void
a_full_pipe_holds_nobody_up_and_is_told_of(void **state)
{
    scoped(done) struct fixture f;
    struct log_line line;
    struct timespec pause = {0, 1000000};
    uint64_t dropped;

    (void)state;
    init(&f, &json);
    for (int i = 0; i < 20000; i++) {
        log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
        log_text(&line, "text",
                 "some text that makes the line longer, as "
                 "lines of a log tend to be");
        log_end(&line);
    }
    dropped = log_dropped(f.log);
    assert_true(dropped > 0 && dropped < 20000);
    /* Somebody reads again. */
    for (int i = 0; i < 2000; i++) {
        ssize_t n = read(f.from, buf_room(&f.out, 65536), 65536);

        f.out.len += n > 0 ? (size_t)n : 0;
        if (memmem(f.out.p, f.out.len, "log.dropped", 11))
            break;
        (void)nanosleep(&pause, NULL);
    }
    log_begin(&line, f.log, LOG_LEVEL_INFO, "after");
    log_end(&line);
    finish(&f);
    assert_non_null(strstr(buf_text(&f.out), "\"event\":\"log.dropped\""));
    assert_non_null(strstr(buf_text(&f.out), "\"event\":\"after\""));
    assert_int_equal(count_lines(buf_text(&f.out)), 20000 - dropped + 2);
}

static void
a_closed_pipe_kills_nobody(void **state)
{
    scoped(done) struct fixture f;
    struct log_line line;
    struct timespec pause = {0, 1000000};

    (void)state;
    init(&f, &json);
    own_close(&f.from);
    for (int i = 0; i < 1000 && log_dropped(f.log) == 0; i++) {
        log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
        log_end(&line);
        (void)nanosleep(&pause, NULL);
    }
    assert_true(log_dropped(f.log) > 0);
}

static void
closing_gives_up_on_a_reader_that_stands_still(void **state)
{
    scoped(done) struct fixture f;
    struct timespec before, after;
    struct log_line line;

    (void)state;
    init(&f, &json);
    for (int i = 0; i < 5000; i++) {
        log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
        log_end(&line);
    }
    clock_gettime(CLOCK_MONOTONIC, &before);
    log_close(&f.log);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec <= 2);
}

enum { THREADS = 8, LINES_EACH = 500 };

static void *
log_some(void *arg)
{
    struct log_line line;

    for (int i = 0; i < LINES_EACH; i++) {
        log_begin(&line, arg, LOG_LEVEL_INFO, "thread");
        log_int(&line, "i", i);
        log_end(&line);
    }
    return NULL;
}

static void *
read_all(void *arg)
{
    struct fixture *f = arg;
    ssize_t n;

    while ((n = read(f->from, buf_room(&f->out, 4096), 4096)) > 0)
        f->out.len += (size_t)n;
    return NULL;
}

static void
lines_of_many_threads_stay_whole(void **state)
{
    scoped(done) struct fixture f;
    pthread_t thread[THREADS], reader;

    (void)state;
    init(&f, &json);
    pthread_create(&reader, NULL, read_all, &f);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, log_some, f.log);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    log_close(&f.log);
    own_close(&f.to);
    pthread_join(reader, NULL);
    assert_int_equal(count_lines(buf_text(&f.out)), THREADS * LINES_EACH);
    assert_is_json(&f, THREADS * LINES_EACH);
}

/* What a terminal gets to see of an error. */
static void
log_to_terminal(char seen[512])
{
    struct log_setup setup = json;
    struct log_line line;
    struct log *log;
    struct err err;
    int ours, theirs;
    ssize_t n;

    setup.format = LOG_FORMAT_AUTO;
    assert_int_equal(openpty(&ours, &theirs, NULL, NULL, NULL), 0);
    log = log_open(theirs, &setup, &err);
    assert_non_null(log);
    log_begin(&line, log, LOG_LEVEL_ERROR, "x");
    log_end(&line);
    log_close(&log);
    n = read(ours, seen, 511);
    assert_true(n > 0);
    seen[n] = '\0';
    (void)close(ours);
    (void)close(theirs);
}

static void
a_terminal_gets_text_with_colour_unless_it_is_unwanted(void **state)
{
    char seen[512];

    (void)state;
    (void)unsetenv("NO_COLOR");
    log_to_terminal(seen);
    assert_non_null(strstr(seen, " \x1b[31merror   x\x1b[0m"));
    (void)setenv("NO_COLOR", "1", 1);
    log_to_terminal(seen);
    assert_non_null(strstr(seen, " error   x"));
    (void)unsetenv("NO_COLOR");
}

static void
a_pipe_gets_json_when_nothing_is_said(void **state)
{
    scoped(done) struct fixture f;
    struct log_setup setup = json;
    struct log_line line;

    (void)state;
    setup.format = LOG_FORMAT_AUTO;
    init(&f, &setup);
    log_begin(&line, f.log, LOG_LEVEL_INFO, "x");
    log_end(&line);
    assert_int_equal(finish(&f)[0], '{');
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_json_holds_its_fields_in_order),
        cmocka_unit_test(numbers_under_one_key_are_an_object_or_a_list),
        cmocka_unit_test(the_time_of_a_line_is_that_of_its_beginning),
        cmocka_unit_test(a_line_for_people_is_plain),
        cmocka_unit_test(what_is_below_the_level_is_left_out),
        cmocka_unit_test(without_a_log_nothing_happens),
        cmocka_unit_test(addresses_are_logged_as_the_settings_want),
        cmocka_unit_test(the_same_address_has_the_same_hash),
        cmocka_unit_test(any_octets_come_out_as_one_line_of_json),
        cmocka_unit_test(a_long_value_is_cut_and_marked),
        cmocka_unit_test(a_line_never_grows_over_its_limit),
        cmocka_unit_test(a_full_pipe_holds_nobody_up_and_is_told_of),
        cmocka_unit_test(a_closed_pipe_kills_nobody),
        cmocka_unit_test(closing_gives_up_on_a_reader_that_stands_still),
        cmocka_unit_test(lines_of_many_threads_stay_whole),
        cmocka_unit_test(
            a_terminal_gets_text_with_colour_unless_it_is_unwanted),
        cmocka_unit_test(a_pipe_gets_json_when_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
