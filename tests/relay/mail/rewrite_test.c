#include "relay/mail/rewrite.h"

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

    assert_non_null(m);
    return m;
}

static const char *
address(const struct mail_rewrite *r, enum mail_rewrite_class class,
        const char *from)
{
    static struct mail_address to;

    return mail_rewrite_address(r, class, from, &to) ? to.text : "-";
}

static void
the_map_goes_before_the_domain_of_all(void **state)
{
    scoped(mail_sender_map_free) struct mail_sender_map *m =
        map_of("root@app.lan ops@example.com\n@app.lan @a.example\n");
    struct mail_rewrite r = {m, "all.example", "host.lan"};

    (void)state;
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "root@app.lan"),
                        "ops@example.com");
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "\"x y\"@app.lan"),
                        "\"x y\"@a.example");
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "a@[192.0.2.1]"),
                        "a@all.example");
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "\xc3\xa4@b.lan"),
                        "\xc3\xa4@all.example");
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "a@all.example"), "-");
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, ""), "-");
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "no address"), "-");
}

static void
replies_go_elsewhere_only_by_a_rule_for_their_address(void **state)
{
    scoped(mail_sender_map_free) struct mail_sender_map *m = map_of(
        "root@app.lan ops@example.com\n@app.lan @a.example\n* n@b.example\n");
    struct mail_rewrite r = {m, "all.example", "host.lan"};

    (void)state;
    assert_string_equal(address(&r, MAIL_REWRITE_REPLY, "root@app.lan"),
                        "ops@example.com");
    assert_string_equal(address(&r, MAIL_REWRITE_REPLY, "x@app.lan"),
                        "x@a.example");
    assert_string_equal(address(&r, MAIL_REWRITE_REPLY, "guest@c.example"),
                        "-");
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "guest@c.example"),
                        "n@b.example");
}

static void
nothing_is_rewritten_without_a_rule(void **state)
{
    struct mail_rewrite r = {.from_domain = "", .hostname = "host.lan"};
    struct buf out = {0};

    (void)state;
    assert_string_equal(address(&r, MAIL_REWRITE_SENDER, "a@b.example"), "-");
    assert_false(mail_rewrite_field(&r, MAIL_REWRITE_SENDER,
                                    slice_of(" a@b.example, root\r\n"), &out));
    assert_int_equal(out.len, 0);
}

static const struct {
    const char *value, *expect; /* NULL: stays as it is */
} fields[] = {
    {" a@b.example\r\n", " a@n.example\r\n"},
    {" Joe <a@b.example>\r\n", " Joe <a@n.example>\r\n"},
    {" \"a@b.example\" <a@b.example> (a@b.example)\r\n",
     " \"a@b.example\" <a@n.example> (a@b.example)\r\n"},
    {" =?utf-8?q?J=C3=B6?=\r\n\t=?utf-8?q?rg?=\r\n <a@b.example>\r\n",
     " =?utf-8?q?J=C3=B6?=\r\n\t=?utf-8?q?rg?=\r\n <a@n.example>\r\n"},
    {" a@b.example,\r\n c@n.example ,d@e.example\r\n",
     " a@n.example,\r\n c@n.example ,d@n.example\r\n"},
    {" Us: a@b.example, X <y@z.example>;\r\n",
     " Us: a@n.example, X <y@n.example>;\r\n"},
    {" <@r.example:a@b.example>\r\n", " <@r.example:a@n.example>\r\n"},
    {" a (c) @\r\n b.example\r\n", " a@n.example\r\n"},
    {" root (Cron)\r\n", " root@n.example (Cron)\r\n"},
    {" \xc3\xa4 <\xc3\xb6@b.example>\r\n",
     " \xc3\xa4 <\xc3\xb6@n.example>\r\n"},
    {" a@n.example\r\n", NULL},
    {" A@N.example\r\n", NULL},
    {" Joe Doe\r\n", NULL},
    {" a@b.example, \"open\r\n", NULL},
    {"\r\n", NULL},
};

static void
only_addresses_in_a_field_change(void **state)
{
    struct mail_rewrite r = {.from_domain = "n.example",
                             .hostname = "host.lan"};

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        scoped(buf_free) struct buf out = {0};

        buf_add_text(&out, "x:");
        assert_int_equal(mail_rewrite_field(&r, MAIL_REWRITE_SENDER,
                                            slice_of(fields[i].value), &out),
                         fields[i].expect != NULL);
        assert_string_equal(buf_text(&out) + 2,
                            fields[i].expect ? fields[i].expect : "");
    }
}

static void
a_name_without_domain_is_looked_up_with_ours(void **state)
{
    scoped(mail_sender_map_free) struct mail_sender_map *m =
        map_of("root@host.lan ops@example.com\n");
    struct mail_rewrite r = {.map = m, .hostname = "host.lan"};
    scoped(buf_free) struct buf out = {0};

    (void)state;
    assert_true(mail_rewrite_field(&r, MAIL_REWRITE_SENDER,
                                   slice_of(" Cron <root>, other"), &out));
    assert_string_equal(buf_text(&out), " Cron <ops@example.com>, other");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_goes_before_the_domain_of_all),
        cmocka_unit_test(replies_go_elsewhere_only_by_a_rule_for_their_address),
        cmocka_unit_test(nothing_is_rewritten_without_a_rule),
        cmocka_unit_test(only_addresses_in_a_field_change),
        cmocka_unit_test(a_name_without_domain_is_looked_up_with_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
