#include "relay/admin/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct config config = {.hostname = "relay.example"};

static void
only_this_machine_may_be_named(void **state)
{
    static const char *const good[] = {
        "localhost", "localhost:8025", "127.0.0.1",     "127.0.0.1:8025",
        "[::1]",     "[::1]:8025",     "Relay.Example", "relay.example:80",
        "192.0.2.7"};
    static const char *const bad[] = {"evil.example",
                                      "localhost.evil.example",
                                      "relay.example.evil.example",
                                      "127.0.0.1.evil.example",
                                      "",
                                      ":80"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!admin_guard_is_host(&config, good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (admin_guard_is_host(&config, bad[i]))
            fail_msg("%s", bad[i]);
}

static void
a_page_of_another_site_is_not_ours(void **state)
{
    static const char *const bad[] = {"",
                                      "null",
                                      "http://",
                                      "https://evil.example",
                                      "http://127.0.0.1:8025.evil.example",
                                      "http://127.0.0.1",
                                      "http://127.0.0.1:80",
                                      "ftp://127.0.0.1:8025"};

    (void)state;
    assert_true(admin_guard_is_own(NULL, "127.0.0.1:8025"));
    assert_true(admin_guard_is_own("http://127.0.0.1:8025", "127.0.0.1:8025"));
    assert_true(admin_guard_is_own("https://Relay.Example", "relay.example"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (admin_guard_is_own(bad[i], "127.0.0.1:8025"))
            fail_msg("%s", bad[i]);
}

static void
what_a_form_can_send_changes_nothing(void **state)
{
    static const char *const good[] = {"application/json",
                                       "Application/JSON ; charset=utf-8",
                                       "message/rfc822"};
    static const char *const bad[] = {"",
                                      "text/plain",
                                      "application/x-www-form-urlencoded",
                                      "multipart/form-data; boundary=x",
                                      "text/plain; application/json",
                                      "application/jsonx"};

    (void)state;
    assert_true(admin_guard_is_type(NULL, false));
    assert_false(admin_guard_is_type(NULL, true));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(admin_guard_is_type(good[i], i % 2));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (admin_guard_is_type(bad[i], i % 2))
            fail_msg("%s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_this_machine_may_be_named),
        cmocka_unit_test(a_page_of_another_site_is_not_ours),
        cmocka_unit_test(what_a_form_can_send_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
