#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/path.h"

static void
paths_are_cut_off_their_parameters(void **state)
{
    static const struct {
        const char *args, *path, *rest;
    } cases[] = {
        {"FROM:<>", "", ""},
        {"from:<a@b>", "a@b", ""},
        {"FROM: <a@b>", "a@b", ""},
        {"FROM:   <a@b>   SIZE=1", "a@b", "SIZE=1"},
        {"FROM:<a@b> BODY=7BIT SIZE=1", "a@b", "BODY=7BIT SIZE=1"},
        {"FROM:<\"a>b\"@c> X", "\"a>b\"@c", "X"},
        {"FROM:<\"a\\\">b\"@c> X", "\"a\\\">b\"@c", "X"},
        {"FROM:<\"a b\"@c>", "\"a b\"@c", ""},
        {"FROM:<@a,@b:c@d>", "@a,@b:c@d", ""},
        {"FROM:<a@b> >", "a@b", ">"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice args = slice_of(cases[i].args), path;
        struct err err = {0};

        assert_true(smtp_path_cut(&args, "FROM:", &path, &err));
        assert_true(slice_is(path, cases[i].path));
        assert_true(slice_is(args, cases[i].rest));
    }
}

static void
without_its_form_it_is_no_path(void **state)
{
    static const char *const cases[] = {
        "",
        "FROM",
        "FROM:",
        "FROM: ",
        "FROM:a@b",
        "FROM a@b",
        "TO:<a@b>",
        "FROM :<a@b>",
        "FROM:<",
        "FROM:<a@b",
        "FROM:<a@b>SIZE=1",
        "FROM:<a@b>>",
        "FROM:<a@b><c@d>",
        "FROM:<\"a@b>",
        "FROM:<\"a\\\">",
        "FROM:<\"a\\",
        "<a@b>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice args = slice_of(cases[i]), path;
        struct err err = {0};

        assert_false(smtp_path_cut(&args, "FROM:", &path, &err));
        assert_int_equal(err.kind, ERR_INPUT);
        assert_true(err.text[0]);
    }
}

static void
a_path_is_null_a_postmaster_or_a_mailbox(void **state)
{
    static const struct {
        const char *path;
        bool is_null, is_postmaster;
        const char *address;
    } cases[] = {
        {"", true, false, ""},
        {"postmaster", false, true, ""},
        {"PostMaster", false, true, ""},
        {"@a.example:postmaster", false, true, ""},
        {"postmaster@a.example", false, false, "postmaster@a.example"},
        {"a@b.example", false, false, "a@b.example"},
        {"\"a b\"@b.example", false, false, "\"a b\"@b.example"},
        {"@x.example:a@b.example", false, false, "a@b.example"},
        {"@x.example,@y.example:a@b.example", false, false, "a@b.example"},
        {"@[192.0.2.1],@y:a@b.example", false, false, "a@b.example"},
        {"@[IPv6:2001:db8::1]:a@b.example", false, false, "a@b.example"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct smtp_path path;
        struct err err = {0};

        assert_true(
            smtp_path_parse(slice_of(cases[i].path), false, &path, &err));
        assert_int_equal(path.is_null, cases[i].is_null);
        assert_int_equal(path.is_postmaster, cases[i].is_postmaster);
        assert_string_equal(path.address.text, cases[i].address);
    }
}

static void
broken_routes_and_mailboxes_are_refused(void **state)
{
    static const char *const cases[] = {
        "@",
        "@:",
        "@a",
        "@a:",
        "@a.example",
        "@a,",
        "@a,b:c@d.example",
        "@a,:c@d.example",
        "@a,@:c@d.example",
        "@a;@b:c@d.example",
        "@a b:c@d.example",
        "@[a:c@d.example",
        "@a.example,c@d.example",
        "@a.example:@b.example:c@d.example",
        "root",
        "postmaster2",
        "a@b@c.example",
        "a@localhost",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct smtp_path path;
        struct err err = {0};

        assert_false(smtp_path_parse(slice_of(cases[i]), false, &path, &err));
        assert_int_equal(err.kind, ERR_INPUT);
    }
}

static void
utf8_passes_only_when_it_was_asked_for(void **state)
{
    struct slice text = slice_of("\xc3\xbc@b.example");
    struct smtp_path path;
    struct err err = {0};

    (void)state;
    assert_false(smtp_path_parse(text, false, &path, &err));
    assert_true(smtp_path_parse(text, true, &path, &err));
    assert_string_equal(path.address.text, "\xc3\xbc@b.example");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_cut_off_their_parameters),
        cmocka_unit_test(without_its_form_it_is_no_path),
        cmocka_unit_test(a_path_is_null_a_postmaster_or_a_mailbox),
        cmocka_unit_test(broken_routes_and_mailboxes_are_refused),
        cmocka_unit_test(utf8_passes_only_when_it_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
