#include "relay/admin/bearer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void
only_the_whole_token_opens(void **state)
{
    static const char token[] = "0123456789abcdef";
    static const char *const bad[] = {"",
                                      "Bearer ",
                                      "Bearer 0123456789abcde",
                                      "Bearer 0123456789abcdef0",
                                      "Bearer 0123456789abcdeF",
                                      "Basic 0123456789abcdef",
                                      "0123456789abcdef",
                                      "Bearer  123456789abcdef"};

    (void)state;
    assert_true(admin_bearer_is_token("Bearer 0123456789abcdef", token));
    assert_true(admin_bearer_is_token("bearer 0123456789abcdef", token));
    assert_false(admin_bearer_is_token(NULL, token));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (admin_bearer_is_token(bad[i], token))
            fail_msg("%s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_whole_token_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
