#include "store_fixture.h"

static const char *
get(struct fixture *f, const char *shelf, const char *key)
{
    static struct buf value;

    buf_free(&value);
    if (queue_store_shelf_get(f->s, shelf, key, &value, &f->err))
        return buf_text(&value);
    assert_int_equal(f->err.kind, ERR_MISSING);
    buf_free(&value);
    return NULL;
}

static void
put(struct fixture *f, const char *shelf, const char *key, const char *value,
    int64_t due_ms)
{
    OK(f, queue_store_shelf_put(f->s, shelf, key, slice_of(value), due_ms,
                                &f->err));
}

static void
what_is_put_is_got_replaced_and_dropped(void **state)
{
    struct fixture *f = *state;

    assert_null(get(f, "sts", "a.example"));
    put(f, "sts", "a.example", "one", 1);
    put(f, "sts", "a.example", "two", 2);
    reopen(f);
    assert_string_equal(get(f, "sts", "a.example"), "two");
    assert_null(get(f, "other", "a.example"));
    OK(f, queue_store_shelf_drop(f->s, "sts", "a.example", &f->err));
    OK(f, queue_store_shelf_drop(f->s, "sts", "a.example", &f->err));
    assert_null(get(f, "sts", "a.example"));
    (void)get(f, "", "");
}

static void
keys_and_values_are_plain_text(void **state)
{
    struct fixture *f = *state;

    put(f, "s", "'; DROP TABLE shelf; --", "' OR 1=1", 1);
    put(f, "s", "empty", "", 1);
    assert_string_equal(get(f, "s", "'; DROP TABLE shelf; --"), "' OR 1=1");
    assert_string_equal(get(f, "s", "empty"), "");
    assert_null(get(f, "s", "'"));
    (void)get(f, "", "");
}

static void
note(void *ctx, const char *key, struct slice value)
{
    buf_printf(ctx, "%s=%.*s ", key, (int)value.len, value.p);
}

static void
lists(struct fixture *f, const char *after, int64_t due_ms, size_t max,
      const char *want)
{
    struct buf text = {0};

    OK(f, queue_store_shelf_list(f->s, "s", after, due_ms, max, note, &text,
                                 &f->err));
    assert_string_equal(buf_text(&text), want);
    buf_free(&text);
}

static void
a_list_is_ordered_paged_and_of_what_is_due(void **state)
{
    struct fixture *f = *state;

    put(f, "s", "c", "3", 10);
    put(f, "s", "a", "1", 30);
    put(f, "s", "b", "2", 20);
    put(f, "t", "x", "9", 1);
    lists(f, "", INT64_MAX, 10, "a=1 b=2 c=3 ");
    lists(f, "", INT64_MAX, 2, "a=1 b=2 ");
    lists(f, "b", INT64_MAX, 2, "c=3 ");
    lists(f, "", 20, 10, "b=2 c=3 ");
    lists(f, "", 20, 1, "b=2 ");
    lists(f, "b", 20, 1, "c=3 ");
    lists(f, "", 9, 10, "");
    lists(f, "", 20, 0, "");
}

static uint64_t
count(struct fixture *f, const char *shelf)
{
    uint64_t n = 99;

    OK(f, queue_store_shelf_count(f->s, shelf, &n, &f->err));
    return n;
}

static void
a_shelf_is_counted_by_itself(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(count(f, "s"), 0);
    put(f, "s", "a", "1", 30);
    put(f, "s", "b", "2", 20);
    put(f, "s", "b", "3", 25);
    put(f, "t", "x", "9", 1);
    assert_int_equal(count(f, "s"), 2);
    assert_int_equal(count(f, "t"), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_got_replaced_and_dropped),
        TEST(keys_and_values_are_plain_text),
        TEST(a_list_is_ordered_paged_and_of_what_is_due),
        TEST(a_shelf_is_counted_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
