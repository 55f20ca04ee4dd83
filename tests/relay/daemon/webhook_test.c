#include "relay/daemon/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
it_waits_longer_each_time_and_not_for_ever(void **state)
{
    int64_t middle = WEBHOOK_AGAIN_MS;

    (void)state;
    for (unsigned failures = 1; failures < 100; failures++) {
        int64_t least = webhook_again_ms(failures, 0);

        assert_int_equal(least, middle - middle / 5);
        for (uint32_t random = 0; random < 5000000; random += 99991)
            assert_in_range(webhook_again_ms(failures, random), least,
                            middle + middle / 5);
        middle = middle * 2 < WEBHOOK_AGAIN_MAX_MS ? middle * 2
                                                   : WEBHOOK_AGAIN_MAX_MS;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_waits_longer_each_time_and_not_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
