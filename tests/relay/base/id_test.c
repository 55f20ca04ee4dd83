#include "relay/base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

static const int64_t now_ms = 1795439045123;

static void
writes_and_reads_text(void **state)
{
    static const uint64_t ids[] = {
        0, 1, 31, 32, 255, 0x1234567890AB, 0x1FFFFFFFFFFFF};

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char text[ID_TEXT_SIZE];
        uint64_t back = ~ids[i];

        assert_true(id_parse(slice_of(id_text(ids[i], text)), &back));
        assert_int_equal(back, ids[i]);
        assert_int_equal(strlen(text), ID_TEXT_SIZE - 1);
    }
}

static void
refuses_other_text(void **state)
{
    static const char *const bad[] = {
        "",           "0",          "000000000",  "00000000000", "000000000i",
        "000000000l", "000000000o", "000000000u", "000000000A",  "000000000-",
        " 000000000", "g000000000", "zzzzzzzzzz", "00000\n0000",
    };
    uint64_t id;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (id_parse(slice_of(bad[i]), &id))
            fail_msg("%s", bad[i]);
    assert_false(id_parse((struct slice){"00000\0"
                                         "0000",
                                         10},
                          &id));
    assert_true(id_parse(slice_of("fzzzzzzzzz"), &id));
}

static void
sorts_like_time(void **state)
{
    struct id_source s = {0};
    char before[ID_TEXT_SIZE], after[ID_TEXT_SIZE];

    (void)state;
    id_text(id_next(&s, now_ms), before);
    for (int i = 0; i < 1000; i++) {
        uint64_t id = id_next(&s, now_ms + i * 100);

        assert_true(strcmp(before, id_text(id, after)) < 0);
        assert_true(id >= id_at(now_ms + i * 100));
        assert_true(id < id_at(now_ms + i * 100 + 1));
        memcpy(before, after, sizeof(before));
    }
}

static void
grows_when_the_clock_does_not(void **state)
{
    struct id_source s = {0};
    uint64_t last = id_next(&s, now_ms);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t id = id_next(&s, i % 2 ? now_ms : now_ms - 100000);

        assert_true(id > last);
        last = id;
    }
    s.last = last = id_next(&s, now_ms + 1000000);
    assert_true(id_next(&s, 0) > last);
    assert_true(id_next(&s, -1) > last);
}

enum { THREADS = 4, EACH = 20000 };

static void *
draw(void *arg)
{
    struct id_source *s = arg;
    uint64_t last = 0;

    for (int i = 0; i < EACH; i++) {
        uint64_t id = id_next(s, now_ms);

        if (id <= last)
            return s;
        last = id;
    }
    return NULL;
}

/* So many numbers from so many threads, and none missing or twice. */
static void
serves_threads(void **state)
{
    struct id_source s = {0};
    uint64_t first = id_next(&s, now_ms);
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw, &s), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(s.last - first, THREADS * EACH);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_text),
        cmocka_unit_test(refuses_other_text),
        cmocka_unit_test(sorts_like_time),
        cmocka_unit_test(grows_when_the_clock_does_not),
        cmocka_unit_test(serves_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
