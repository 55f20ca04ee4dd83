#include "relay/daemon/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/relay/net/certificates.h"

static struct authority one, other;

static int
make(void **state)
{
    (void)state;
    authority_open(&one);
    authority_open(&other);
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    authority_close(&one);
    authority_close(&other);
    return 0;
}

static void
each_file_has_a_context_of_its_own(void **state)
{
    const char *a = authority_path(&one, "ca.pem");
    const char *b = authority_path(&other, "ca.pem");
    struct config_domain domains[] = {
        {.anchors = b}, {.anchors = ""}, {.anchors = a}, {.anchors = b}};
    struct config_route routes[] = {{.anchors = ""}, {.anchors = a}};
    struct config c = {.domain = domains,
                       .domain_count = 4,
                       .route = routes,
                       .route_count = 2};
    struct err err;
    struct trust *t = trust_new(&c, &err);
    struct trust *like = trust_like(t);
    struct net_tls *nobody = trust_find(t, "/gone.pem");

    (void)state;
    assert_non_null(nobody);
    assert_ptr_not_equal(trust_find(t, a), trust_find(t, b));
    assert_ptr_not_equal(trust_find(t, a), nobody);
    assert_ptr_not_equal(trust_find(t, b), nobody);
    assert_ptr_not_equal(trust_find(like, a), trust_find(t, a));
    trust_free(&t);
    assert_null(t);
    assert_ptr_not_equal(trust_find(like, a), trust_find(like, b));
    trust_free(&like);
    trust_free(&like);
}

static void
a_file_that_is_no_certificate_is_named(void **state)
{
    struct config_domain domain = {.anchors = authority_path(&one, "ca.key")};
    struct config c = {.domain = &domain, .domain_count = 1};
    struct err err;

    (void)state;
    assert_null(trust_new(&c, &err));
    assert_non_null(strstr(err.text, "ca.key"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_has_a_context_of_its_own),
        cmocka_unit_test(a_file_that_is_no_certificate_is_named),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
