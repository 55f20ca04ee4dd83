#include "relay/guard/quota.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static const int64_t start = 1800000000000;
static const struct quota_limits limits = {.messages = {3, HOUR},
                                           .recipients = {10, 24 * HOUR}};

static struct addr
peer(const char *text)
{
    struct addr a = {.any.sa_family = AF_UNSPEC};
    struct err err;

    if (text && !addr_parse(slice_of(text), &a, &err))
        fail_msg("%s", err.text);
    return a;
}

/* Of `user`, or of the client when that is NULL. */
static unsigned
take_one(struct quota *q, const char *user, const char *from,
         uint64_t recipients, int64_t now)
{
    struct addr a = peer(from);
    struct quota_sender sender = {user, &a};
    bool is_of_recipients;
    unsigned wait =
        quota_wait(q, &limits, &sender, recipients, now, &is_of_recipients);

    assert_int_equal(
        quota_take(q, &limits, &sender, recipients, now, &is_of_recipients),
        wait);
    return wait;
}

static void
a_span_begins_with_its_first_message(void **state)
{
    scoped(quota_free) struct quota *q = quota_new();

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(take_one(q, NULL, "192.0.2.1", 1, start + i * MINUTE),
                         0);
    assert_int_equal(take_one(q, NULL, "192.0.2.1", 1, start + 3 * MINUTE),
                     57 * 60);
    assert_int_equal(take_one(q, NULL, "192.0.2.1", 1, start + HOUR - 1), 1);
    assert_int_equal(take_one(q, NULL, "192.0.2.1", 1, start + HOUR), 0);
}

static void
recipients_are_counted_apart(void **state)
{
    scoped(quota_free) struct quota *q = quota_new();
    struct addr a = peer("192.0.2.1");
    struct quota_sender sender = {NULL, &a};
    bool is_of_recipients;

    (void)state;
    assert_int_equal(take_one(q, NULL, "192.0.2.1", 8, start), 0);
    assert_int_equal(
        quota_wait(q, &limits, &sender, 3, start + HOUR, &is_of_recipients),
        23 * 3600);
    assert_true(is_of_recipients);
    assert_int_equal(take_one(q, NULL, "192.0.2.1", 2, start + HOUR), 0);
    /* more than there ever may be */
    assert_int_equal(
        quota_wait(q, &limits, &sender, 11, start, &is_of_recipients),
        24 * 3600);
}

static void
what_came_to_nothing_does_not_count(void **state)
{
    scoped(quota_free) struct quota *q = quota_new();
    struct addr a = peer("192.0.2.1");
    struct quota_sender sender = {NULL, &a};

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(take_one(q, NULL, "192.0.2.1", 10, start), 0);
        quota_give_back(q, &sender, 10);
    }
    quota_give_back(q, &sender, 10); /* one too many */
    for (int i = 0; i < 3; i++)
        assert_int_equal(take_one(q, NULL, "192.0.2.1", 1, start), 0);
    assert_int_not_equal(take_one(q, NULL, "192.0.2.1", 1, start), 0);
}

static const struct {
    const char *user, *from;
    bool is_same; /* as the client ::1 of 2001:db8 without a name */
} senders[] = {
    {NULL, "2001:db8::1", true},
    {NULL, "2001:db8::ffff:1", true}, /* of the same /64 */
    {NULL, "2001:db8:0:1::1", false},
    {NULL, "192.0.2.1", false},
    {NULL, NULL, false},
    {"a", "2001:db8::1", false},
    {"a2001:db8::", "192.0.2.1", false},
};

static void
somebody_is_a_user_or_else_a_client(void **state)
{
    scoped(quota_free) struct quota *q = quota_new();

    (void)state;
    for (int i = 0; i < 3; i++)
        (void)take_one(q, NULL, "2001:db8::1", 1, start);
    for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
        if ((take_one(q, senders[i].user, senders[i].from, 1, start) > 0) !=
            senders[i].is_same)
            fail_msg("row %zu", i);
    /* wherever he comes from */
    assert_int_equal(take_one(q, "a", "192.0.2.7", 1, start), 0);
    assert_int_equal(take_one(q, "a", NULL, 1, start), 0);
    assert_int_not_equal(take_one(q, "a", "192.0.2.8", 1, start), 0);
}

static void
no_limit_is_none(void **state)
{
    static const struct quota_limits none = {{0, HOUR}, {0, HOUR}};
    scoped(quota_free) struct quota *q = quota_new();
    struct addr a = peer("192.0.2.1");
    struct quota_sender sender = {NULL, &a};
    bool is_of_recipients;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(
            quota_take(q, &none, &sender, 1000, start, &is_of_recipients), 0);
}

static void
whose_span_began_longest_ago_makes_room(void **state)
{
    scoped(quota_free) struct quota *q = quota_new();

    (void)state;
    for (int i = 0; i < 3; i++) {
        (void)take_one(q, "idle", NULL, 1, start);
        (void)take_one(q, "busy", NULL, 1, start);
    }
    for (unsigned i = 0; i < QUOTA_SENDERS_MAX; i++) {
        char user[32];

        if (i == QUOTA_SENDERS_MAX / 2)
            for (int j = 0; j < 3; j++)
                (void)take_one(q, "busy", NULL, 1, start + HOUR);
        (void)snprintf(user, sizeof(user), "user%u", i);
        (void)take_one(q, user, NULL, 1, start + HOUR);
    }
    assert_int_not_equal(take_one(q, "busy", NULL, 1, start + HOUR), 0);
    assert_int_equal(take_one(q, "idle", NULL, 1, start), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_begins_with_its_first_message),
        cmocka_unit_test(recipients_are_counted_apart),
        cmocka_unit_test(what_came_to_nothing_does_not_count),
        cmocka_unit_test(somebody_is_a_user_or_else_a_client),
        cmocka_unit_test(no_limit_is_none),
        cmocka_unit_test(whose_span_began_longest_ago_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
