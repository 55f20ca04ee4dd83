#include "relay/admin/health.h"

#include "relay/base/own.h"
#include "relay/watch/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct admin_health good = {.can_commit = true, .has_room = true};

typedef bool verdict_fn(const struct admin_health *h, bool verbose,
                        struct buf *out);

static void
says(verdict_fn *verdict, const struct admin_health *h, bool verbose,
     bool is_good, const char *want)
{
    struct buf out scoped(buf_free) = {0};

    assert_int_equal(verdict(h, verbose, &out), is_good);
    assert_string_equal(buf_text(&out), want);
}

static void
whose_threads_turn_is_alive_whatever_else_is_wrong(void **state)
{
    struct admin_health h = {.is_draining = true};

    (void)state;
    h.loop_ms = PULSE_LOOP_LIMIT_MS - 1;
    h.store_ms = PULSE_STORE_LIMIT_MS - 1;
    says(admin_health_is_alive, &h, false, true, "ok\n");
}

static void
a_loop_that_hangs_is_no_life(void **state)
{
    struct admin_health h = good;

    (void)state;
    h.loop_ms = PULSE_LOOP_LIMIT_MS;
    says(admin_health_is_alive, &h, false, false, "a worker's loop hangs\n");
    says(admin_health_is_alive, &h, true, false,
         "[-]loops failed: a worker's loop hangs\n"
         "[+]store-thread ok\n"
         "livez check failed\n");
}

static void
a_store_thread_that_hangs_is_no_life(void **state)
{
    struct admin_health h = good;

    (void)state;
    h.store_ms = PULSE_STORE_LIMIT_MS;
    says(admin_health_is_alive, &h, false, false, "the store thread hangs\n");
}

static void
readiness_fails_by_each_of_its_reasons(void **state)
{
    static const struct {
        struct admin_health h;
        const char *want;
    } rows[] = {
        {{.can_commit = true, .has_room = true, .is_draining = true},
         "draining\n"},
        {{.has_room = true}, "the store can't commit\n"},
        {{.can_commit = true}, "the disk is nearly full\n"},
        {{.can_commit = true, .has_room = true, .loop_ms = PULSE_LOOP_LIMIT_MS},
         "a worker's loop hangs\n"},
        {{.can_commit = true,
          .has_room = true,
          .store_ms = PULSE_STORE_LIMIT_MS},
         "the store thread hangs\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        says(admin_health_is_ready, &rows[i].h, false, false, rows[i].want);
    says(admin_health_is_ready, &good, false, true, "ok\n");
}

static void
verbose_readiness_names_every_check(void **state)
{
    struct admin_health h = good;

    (void)state;
    says(admin_health_is_ready, &h, true, true,
         "[+]listeners ok\n[+]store ok\n[+]disk ok\n[+]loops ok\n"
         "[+]store-thread ok\nreadyz check passed\n");
    h.can_commit = false;
    h.is_draining = true;
    says(admin_health_is_ready, &h, true, false,
         "[-]listeners failed: draining\n"
         "[-]store failed: the store can't commit\n"
         "[+]disk ok\n[+]loops ok\n[+]store-thread ok\n"
         "readyz check failed\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_threads_turn_is_alive_whatever_else_is_wrong),
        cmocka_unit_test(a_loop_that_hangs_is_no_life),
        cmocka_unit_test(a_store_thread_that_hangs_is_no_life),
        cmocka_unit_test(readiness_fails_by_each_of_its_reasons),
        cmocka_unit_test(verbose_readiness_names_every_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
