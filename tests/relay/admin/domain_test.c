#include "relay/admin/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *
domain(const char *name)
{
    static struct mail_domain out;
    struct err err;

    return admin_domain(name, &out, &err) ? out.text : NULL;
}

static void
a_domain_may_be_encoded(void **state)
{
    (void)state;
    assert_string_equal(domain("Example.COM"), "example.com");
    assert_string_equal(domain("%65xample%2Ecom"), "example.com");
    assert_string_equal(domain("b%C3%BCcher.example"), "xn--bcher-kva.example");
}

static void
what_is_no_domain_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "com",
        "%",
        "a.example%",
        "a.example%6",
        "%zz.example",
        "a%00.example",
        "a%20b.example",
        "a%2F.example",
        "..",
        "%-1.example",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (domain(bad[i]))
            fail_msg("%s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_may_be_encoded),
        cmocka_unit_test(what_is_no_domain_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
