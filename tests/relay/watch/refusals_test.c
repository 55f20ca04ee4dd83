#include "relay/watch/refusals.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
add(struct refusals *r, const char *where, enum policy_cause cause, int64_t at,
    const char *text)
{
    refusals_add(r, &(struct refusals_row){.destination = where,
                                           .policy = POLICY_SOURCE_STS,
                                           .cause = cause,
                                           .last_ms = at,
                                           .text = text});
}

static void
write_row(void *ctx, const struct refusals_row *row)
{
    buf_printf(ctx, "%s%s %s %s %d at %d: %s\n", row->is_shadow ? "would " : "",
               row->destination, policy_source_name(row->policy),
               policy_cause_name(row->cause), (int)row->count,
               (int)row->last_ms, row->text);
}

static void
each_reason_of_each_domain_is_counted_and_the_last_comes_first(void **state)
{
    struct refusals *r = refusals_new();
    struct buf text scoped(buf_free) = {0};

    (void)state;
    add(r, "a.example", POLICY_CAUSE_EXPIRED, 1, "one");
    add(r, "b.example", POLICY_CAUSE_EXPIRED, 2, "two");
    add(r, "a.example", POLICY_CAUSE_NO_TLS, 3, "three");
    add(r, "a.example", POLICY_CAUSE_EXPIRED, 4, "four");
    refusals_add(r, &(struct refusals_row){.is_shadow = true,
                                           .destination = "a.example",
                                           .policy = POLICY_SOURCE_STS,
                                           .cause = POLICY_CAUSE_EXPIRED,
                                           .last_ms = 5,
                                           .text = "five"});
    refusals_each(r, write_row, &text);
    assert_string_equal(
        buf_text(&text),
        "would a.example mta-sts certificate expired 1 at 5: five\n"
        "a.example mta-sts certificate expired 2 at 4: four\n"
        "a.example mta-sts no TLS 1 at 3: three\n"
        "b.example mta-sts certificate expired 1 at 2: two\n");
    refusals_free(&r);
    refusals_free(&r);
}

struct sums {
    size_t rows;
    uint64_t other, all;
};

static void
sum(void *ctx, const struct refusals_row *row)
{
    struct sums *s = ctx;

    s->rows++;
    s->all += row->count;
    if (strcmp(row->destination, "other") == 0)
        s->other += row->count;
}

static void
however_many_domains_there_are_the_rows_are_bounded(void **state)
{
    enum { MORE = 500 };
    struct refusals *r = refusals_new();
    struct sums s = {0};
    char *long_text scoped(own_free) = mem_array(char, 10000);

    (void)state;
    memset(long_text, 'x', 9999);
    for (int i = 0; i < REFUSALS_MAX + MORE; i++) {
        char *where scoped(own_free) = mem_printf("d%d.example", i);

        add(r, where, POLICY_CAUSE_NO_TLS, i, long_text);
    }
    add(r, "d0.example", POLICY_CAUSE_NO_TLS, 0, "known ones go on");
    refusals_each(r, sum, &s);
    assert_int_equal(s.rows, REFUSALS_MAX + 1);
    assert_int_equal(s.other, MORE);
    assert_int_equal(s.all, REFUSALS_MAX + MORE + 1);
    refusals_free(&r);
}

static void
cut(void *ctx, const struct refusals_row *row)
{
    *(size_t *)ctx = strlen(row->text);
}

static void
a_text_is_cut(void **state)
{
    struct refusals *r = refusals_new();
    char text[REFUSALS_TEXT_MAX + 2] = "";
    size_t len = 0;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    add(r, "a.example", POLICY_CAUSE_NO_TLS, 1, text);
    refusals_each(r, cut, &len);
    assert_int_equal(len, REFUSALS_TEXT_MAX);
    refusals_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            each_reason_of_each_domain_is_counted_and_the_last_comes_first),
        cmocka_unit_test(however_many_domains_there_are_the_rows_are_bounded),
        cmocka_unit_test(a_text_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
