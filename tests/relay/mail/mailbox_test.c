#include "relay/mail/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

enum { FOUND_SIZE = 512 };

/* What is found, as "span=text" with "?" behind a local part alone, each in
 * brackets; at the end "~" for what is no address, "!" for a broken field. */
static const char *
found(struct slice value, char out[FOUND_SIZE])
{
    struct mail_mailbox_scan s = {.rest = value};
    struct mail_mailbox box;
    size_t len = 0;

    out[0] = '\0';
    while (mail_mailbox_next(&s, &box)) {
        assert_true(box.span.p >= value.p);
        assert_true(box.span.p + box.span.len <= value.p + value.len);
        assert_int_equal(strlen(box.text), box.len);
        len += (size_t)snprintf(out + len, FOUND_SIZE - len, "[%.*s=%s%s]",
                                (int)box.span.len, box.span.p, box.text,
                                box.has_domain ? "" : "?");
        assert_true(len < FOUND_SIZE);
    }
    (void)snprintf(out + len, FOUND_SIZE - len, "%s%s", s.has_junk ? "~" : "",
                   s.is_broken ? "!" : "");
    return out;
}

static const struct {
    const char *value, *expect;
} cases[] = {
    {"a@b.example", "[a@b.example=a@b.example]"},
    {" <a@b.example>\r\n", "[a@b.example=a@b.example]"},
    {"<a@b>, c@d", "[a@b=a@b][c@d=c@d]"},
    {"Joe Q. Public <joe@x>", "[joe@x=joe@x]"},
    {"\"Public, Joe <x@y>\" <joe@x>", "[joe@x=joe@x]"},
    {"\"a\\\"b\" <joe@x>", "[joe@x=joe@x]"},
    {"joe@x (Joe (the <a@b>) Public\\))", "[joe@x=joe@x]"},
    {"=?utf-8?q?joe=40x?= <joe@x>", "[joe@x=joe@x]"},
    {"=?utf-8?q?joe@x?= <joe@x>", "[joe@x=joe@x]"},
    {"\xc3\xa4 <\xc3\xb6@x>", "[\xc3\xb6@x=\xc3\xb6@x]"},
    {"Friends: a@b, C <c@d>;, e@f", "[a@b=a@b][c@d=c@d][e@f=e@f]"},
    {"undisclosed-recipients:;", ""},
    {"\"a b\"@x", "[\"a b\"@x=\"a b\"@x]"},
    {"\"a@b\"@x", "[\"a@b\"@x=\"a@b\"@x]"},
    {"a@[192.0.2.1]", "[a@[192.0.2.1]=a@[192.0.2.1]]"},
    {"a@[IPv6:::1], b@c", "[a@[IPv6:::1]=a@[IPv6:::1]][b@c=b@c]"},
    {"<@r,@s:a@b>", "[a@b=a@b]"},
    {"a\r\n @ b", "[a\r\n @ b=a@b]"},
    {"john . doe (x) @ b . c", "[john . doe (x) @ b . c=john.doe@b.c]"},
    {"Joe\r\n <a@\r\n\tb>", "[a@\r\n\tb=a@b]"},
    {"root", "[root=root?]"},
    {"root (Cron Daemon)", "[root=root?]"},
    {"Cron <root>", "[root=root?]"},
    {"\"ro ot\"", "[\"ro ot\"=\"ro ot\"?]"},
    {"John Doe", "~"},
    {"John Doe a@b", "~"},
    {"a@b c@d", "~"},
    {"a@@b", "~"},
    {"a@b@c", "~"},
    {"@b", "~"},
    {"a@", "~"},
    {"a@b, John Doe, c@d", "[a@b=a@b][c@d=c@d]~"},
    {"John <a b@c>", "~"},
    {"<>", ""},
    {"", ""},
    {",;,", ""},
    {"a@b, \"unfinished", "[a@b=a@b]!"},
    {"a@b, (unfinished", "[a@b=a@b]!"},
    {"a@b, [unfinished", "[a@b=a@b]!"},
    {"a@b, c <unfinished@d", "[a@b=a@b]!"},
    {"a@b, <c@d<e@f>", "[a@b=a@b]!"},
};

static void
finds_each_address_and_nothing_else(void **state)
{
    char text[FOUND_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(found(slice_of(cases[i].value), text),
                            cases[i].expect);
}

static void
looks_no_further_than_a_field_that_is_cut(void **state)
{
    char text[FOUND_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t cut = 0; cut < strlen(cases[i].value); cut++) {
            scoped(own_free) char *value =
                strndup(cases[i].value, cut); /* no octet behind it */

            (void)found((struct slice){value, cut}, text);
        }
}

static void
takes_no_address_with_a_nul(void **state)
{
    static const char value[] = "a\0b@c, d@e";
    char text[FOUND_SIZE];

    (void)state;
    assert_string_equal(found((struct slice){value, sizeof(value) - 1}, text),
                        "[d@e=d@e]~");
}

static void
takes_no_address_that_is_too_long(void **state)
{
    char value[2 * MAIL_ADDRESS_MAX + 8], text[FOUND_SIZE];

    (void)state;
    memset(value, 'a', sizeof(value));
    memcpy(value + MAIL_ADDRESS_MAX, "@b, c@d", 8);
    assert_string_equal(found(slice_of(value), text), "[c@d=c@d]~");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_each_address_and_nothing_else),
        cmocka_unit_test(looks_no_further_than_a_field_that_is_cut),
        cmocka_unit_test(takes_no_address_with_a_nul),
        cmocka_unit_test(takes_no_address_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
