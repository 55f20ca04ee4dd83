#include "relay/daemon/server_tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <utime.h>

#include <cmocka.h>

#include "relay/net/certificates.h"

static struct authority ca;

static int
make(void **state)
{
    (void)state;
    authority_open(&ca);
    authority_issue(&ca, "late",
                    &(struct wish){.common_name = "late",
                                   .from_s = -1,
                                   .until_s = 50L * DAY_S});
    authority_issue(&ca, "soon",
                    &(struct wish){.common_name = "soon",
                                   .from_s = -1,
                                   .until_s = 3L * DAY_S});
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    authority_close(&ca);
    return 0;
}

/* Three listeners, two of them with TLS; one certificate besides the default.
 */
struct house {
    struct config_listener listener[3];
    struct config_sni sni[1];
    struct config config;
};

static void
settle(struct house *h)
{
    *h = (struct house){
        .listener = {{.name = "clear", .tls = CONFIG_TLS_NONE},
                     {.name = "offered", .tls = CONFIG_TLS_STARTTLS},
                     {.name = "inside", .tls = CONFIG_TLS_IMPLICIT}},
        .sni = {{.name = "other",
                 .certificate = authority_path(&ca, "soon.pem"),
                 .key = authority_path(&ca, "soon.key")}},
    };
    h->config.listener = h->listener;
    h->config.listener_count = 3;
    h->config.sni = h->sni;
    h->config.sni_count = 1;
    h->config.tls.certificate = authority_path(&ca, "late.pem");
    h->config.tls.key = authority_path(&ca, "late.key");
    h->config.tls.client_ca = "";
}

static void
each_worker_gets_a_context_for_each_listener_with_tls(void **state)
{
    struct server_tls *sets[3];
    struct server_tls_facts facts;
    struct house h;
    struct err err;

    (void)state;
    settle(&h);
    assert_true(server_tls_load(&h.config, sets, 3, &facts, &err));
    for (int i = 0; i < 3; i++) {
        assert_null(server_tls_find(sets[i], "clear"));
        assert_null(server_tls_find(sets[i], "nobody"));
        assert_non_null(server_tls_find(sets[i], "offered"));
        assert_non_null(server_tls_find(sets[i], "inside"));
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(server_tls_find(sets[i], "inside"),
                                 server_tls_find(sets[j], "inside"));
    }
    server_tls_free_all(sets, 3);
    assert_null(sets[0]);
    assert_null(server_tls_find(NULL, "inside"));
}

static void
the_certificate_that_ends_first_is_told_of(void **state)
{
    struct server_tls *set;
    struct server_tls_facts facts;
    struct house h;
    struct err err;

    (void)state;
    settle(&h);
    assert_true(server_tls_load(&h.config, &set, 1, &facts, &err));
    assert_string_equal(facts.file, h.sni[0].certificate);
    assert_true(facts.not_after > time(NULL) + 2L * DAY_S);
    assert_true(facts.not_after < time(NULL) + 4L * DAY_S);
    server_tls_free(&set);
}

static void
without_a_certificate_there_is_no_tls(void **state)
{
    struct server_tls *set;
    struct server_tls_facts facts;
    struct house h;
    struct err err;

    (void)state;
    settle(&h);
    h.config.tls.certificate = h.config.tls.key = "";
    h.config.sni_count = 0;
    assert_true(server_tls_load(&h.config, &set, 1, &facts, &err));
    assert_null(server_tls_find(set, "inside"));
    assert_int_equal(facts.not_after, 0);
    server_tls_free(&set);
}

static void
what_is_wrong_is_told_with_its_key_and_file(void **state)
{
    struct server_tls *sets[2];
    struct server_tls_facts facts;
    struct house h;
    struct err err;

    (void)state;
    settle(&h);
    h.config.tls.key = authority_path(&ca, "soon.key");
    assert_false(server_tls_load(&h.config, sets, 2, &facts, &err));
    assert_non_null(strstr(err.text, "tls.certificate: "));
    assert_non_null(strstr(err.text, "soon.key: not the key of the"));
    assert_null(sets[0]);
    assert_null(sets[1]);

    settle(&h);
    h.sni[0].certificate = "/nowhere.pem";
    assert_false(server_tls_check(&h.config, &err));
    assert_non_null(strstr(err.text, "sni.other.certificate: /nowhere.pem: "));

    settle(&h);
    h.listener[2].client_certificate = CONFIG_CLIENT_CERTIFICATE_REQUIRED;
    h.config.tls.client_ca = authority_path(&ca, "late.key");
    assert_false(server_tls_check(&h.config, &err));
    assert_non_null(strstr(err.text, "listener.inside.tls: "));
    assert_non_null(strstr(err.text, "late.key: "));
}

static void
the_stamp_is_another_once_a_file_is(void **state)
{
    struct house h;
    uint64_t first, second, third;
    char link[PATH_SIZE];

    (void)state;
    settle(&h);
    first = server_tls_stamp(&h.config);
    assert_int_equal(server_tls_stamp(&h.config), first);

    (void)utime(h.sni[0].key, &(struct utimbuf){1, 1}); /* written to */
    second = server_tls_stamp(&h.config);
    assert_int_not_equal(second, first);

    (void)snprintf(link, sizeof(link), "%s/link", ca.dir);
    assert_int_equal(symlink("late.pem", link), 0);
    h.config.tls.certificate = link;
    third = server_tls_stamp(&h.config);
    assert_int_equal(unlink(link), 0); /* gone */
    assert_int_not_equal(server_tls_stamp(&h.config), third);
    assert_int_equal(symlink("soon.pem", link), 0); /* and another */
    assert_int_not_equal(server_tls_stamp(&h.config), third);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_worker_gets_a_context_for_each_listener_with_tls),
        cmocka_unit_test(the_certificate_that_ends_first_is_told_of),
        cmocka_unit_test(without_a_certificate_there_is_no_tls),
        cmocka_unit_test(what_is_wrong_is_told_with_its_key_and_file),
        cmocka_unit_test(the_stamp_is_another_once_a_file_is),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
