#include "relay/mail/sender_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct mail_sender_map *
map_of(const char *text)
{
    struct err err;
    struct mail_sender_map *m = mail_sender_map_parse(slice_of(text), &err);

    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static const char *
find(const struct mail_sender_map *m, const char *address, bool any)
{
    struct mail_address a;
    struct err err;
    const char *value;

    assert_true(mail_address_parse(slice_of(address), true, &a, &err));
    value = mail_sender_map_find(m, &a, any);
    return value ? value : "-";
}

static void
the_exact_address_goes_before_its_domain_and_that_before_all(void **state)
{
    scoped(mail_sender_map_free) struct mail_sender_map *m =
        map_of("# senders\n"
               "\n"
               "root@app.lan  ops@example.com\r\n"
               "@app.lan\t@example.com\n"
               "  *   noreply@example.com");

    (void)state;
    assert_string_equal(find(m, "root@app.lan", true), "ops@example.com");
    assert_string_equal(find(m, "web@app.lan", true), "@example.com");
    assert_string_equal(find(m, "web@b.app.lan", true), "noreply@example.com");
    assert_string_equal(find(m, "web@b.app.lan", false), "-");
    assert_string_equal(find(m, "root@app.lan", false), "ops@example.com");
}

static void
case_and_spelling_of_a_domain_make_no_difference(void **state)
{
    scoped(mail_sender_map_free) struct mail_sender_map *m =
        map_of("Root@App.LAN a@b.example\n"
               "@b\xc3\xbc"
               "cher.example @x.example\n"
               "x@[192.0.2.1] y@b\xc3\xbc"
               "cher.example\n");

    (void)state;
    assert_string_equal(find(m, "rooT@app.lan", true), "a@b.example");
    assert_string_equal(find(m, "a@xn--bcher-kva.example", true), "@x.example");
    assert_string_equal(find(m,
                             "a@B\xc3\x9c"
                             "CHER.example",
                             true),
                        "@x.example");
    assert_string_equal(find(m, "x@[192.0.2.1]", true),
                        "y@xn--bcher-kva.example");
}

static void
an_empty_map_knows_nobody(void **state)
{
    scoped(mail_sender_map_free) struct mail_sender_map *m = map_of("");

    (void)state;
    assert_string_equal(find(m, "a@b.example", true), "-");
}

static void
what_is_wrong_is_told_with_its_line(void **state)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"a@b.example\n", "1: what it becomes is missing"},
        {"#\n\na@b.example c@d.example e\n", "3: more than two words"},
        {"a c@d.example", "1: address has no domain"},
        {"a@b.example c", "1: address has no domain"},
        {"a@b.example *", "1: address has no domain"},
        {"@ c@d.example", "1: "},
        {"@b.example @\n", "1: "},
        {"a@b.example \xc3\xa4@d.example", "1: a local part outside of ASCII"},
        {"* a@b.example\n* c@d.example", "2: * is there twice"},
        {"A@b.example a@b.example\na@B.example c@d.example",
         "2: a@b.example is there twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err err;
        struct mail_sender_map *m =
            mail_sender_map_parse(slice_of(wrong[i].text), &err);

        assert_null(m);
        if (strncasecmp(err.text, wrong[i].why, strlen(wrong[i].why)) != 0)
            fail_msg("%s", err.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_exact_address_goes_before_its_domain_and_that_before_all),
        cmocka_unit_test(case_and_spelling_of_a_domain_make_no_difference),
        cmocka_unit_test(an_empty_map_knows_nobody),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
