#include "relay/daemon/login_desk.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct scratch s;

static int
make(void **state)
{
    (void)state;
    scratch_make(&s);
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    scratch_remove(&s);
    return 0;
}

static struct login_desk *
open_desk(void)
{
    struct err err;
    struct login_desk *d = login_desk_open(s.path, &err);

    if (!d)
        fail_msg("%s", err.text);
    return d;
}

static struct users *
parse(const char *text)
{
    struct config_errors errs = {0};
    struct users *u = NULL;

    assert_true(users_parse(slice_of(text), "users", &u, &errs));
    return u;
}

static void
the_secret_outlives_a_restart_and_is_for_us_alone(void **state)
{
    uint8_t secret[LOGIN_DESK_SECRET];
    struct login_desk *d = open_desk();
    struct stat st;

    (void)state;
    memcpy(secret, d->secret, sizeof(secret));
    login_desk_close(&d);
    assert_int_equal(stat(scratch_file(&s, "login.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, LOGIN_DESK_SECRET);
    d = open_desk();
    assert_memory_equal(d->secret, secret, sizeof(secret));
    login_desk_close(&d);
}

static void
half_a_secret_is_drawn_anew(void **state)
{
    struct login_desk *d;
    struct stat st;

    (void)state;
    scratch_write(&s, "login.key", "half", 4);
    d = open_desk();
    login_desk_close(&d);
    assert_int_equal(stat(scratch_file(&s, "login.key"), &st), 0);
    assert_int_equal(st.st_size, LOGIN_DESK_SECRET);
}

static void
a_directory_that_is_not_there_is_an_error(void **state)
{
    struct err err;

    (void)state;
    assert_null(login_desk_open("/nowhere/at/all", &err));
}

static void
a_decoy_keeps_its_salt_and_nothing_else(void **state)
{
    scoped(users_drop) struct users *users = parse("a:*\n");
    struct smtp_sasl_verifier one, again, other;
    struct login_desk *d = open_desk();

    (void)state;
    login_desk_decoy(d, users, "nobody", &one);
    login_desk_decoy(d, users, "nobody", &again);
    login_desk_decoy(d, users, "somebody", &other);
    assert_int_equal(one.iterations, USERS_ITERATIONS);
    assert_int_equal(one.salt_len, USERS_SALT_LEN);
    assert_memory_equal(one.salt, again.salt, one.salt_len);
    assert_memory_not_equal(one.salt, other.salt, one.salt_len);
    assert_memory_not_equal(one.stored, again.stored, sizeof(one.stored));
    login_desk_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            the_secret_outlives_a_restart_and_is_for_us_alone, make, clear),
        cmocka_unit_test_setup_teardown(half_a_secret_is_drawn_anew, make,
                                        clear),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
        cmocka_unit_test_setup_teardown(a_decoy_keeps_its_salt_and_nothing_else,
                                        make, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
