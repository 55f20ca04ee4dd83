#include "relay/mail/address_list.h"

#include "relay/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
add(void *ctx, const char *address)
{
    buf_printf(ctx, "%s%s", ((struct buf *)ctx)->len > 0 ? "|" : "", address);
}

static void
expect(const char *list, const char *addresses)
{
    struct buf got = {0};

    mail_address_list_each(slice_of(list), add, &got);
    if (strcmp(buf_text(&got), addresses) != 0)
        fail_msg("%s gave %s", list, buf_text(&got));
    buf_free(&got);
}

static void
addresses_are_found_however_they_are_written(void **state)
{
    static const char *const cases[][2] = {
        {"a@b.example", "a@b.example"},
        {"<a@b.example>", "a@b.example"},
        {" a@b.example , c@d.example ", "a@b.example|c@d.example"},
        {"A Name <a@b.example>", "a@b.example"},
        {"\"Name, A\" <a@b.example>, c@d.example", "a@b.example|c@d.example"},
        {"\"a, <b>\" <a@b.example>", "a@b.example"},
        {"\"a\\\"b\" <a@b.example>", "a@b.example"},
        {"a@b.example (A, comment)", "a@b.example"},
        {"a@b.example (a (nested) \\) one), c@d.example",
         "a@b.example|c@d.example"},
        {"A Name\r\n <a@b.example>,\r\n\tc@d.example\r\n",
         "a@b.example|c@d.example"},
        {"Friends: a@b.example, C <c@d.example>;, e@f.example",
         "a@b.example|c@d.example|e@f.example"},
        {"undisclosed-recipients:;", ""},
        {"\"a b\"@c.example", "\"a b\"@c.example"},
        {"<\"a>b\"@c.example>", "\"a>b\"@c.example"},
        {"a@[192.0.2.1]", "a@[192.0.2.1]"},
        {"a@[IPv6:2001:db8::1], b@c.example",
         "a@[IPv6:2001:db8::1]|b@c.example"},
        {"<@route.example,@other.example:a@b.example>", "a@b.example"},
        {"root", "root"},
        {"a @ b.example", "a@b.example"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(cases[i][0], cases[i][1]);
}

static void
where_there_is_none_none_is_told(void **state)
{
    static const char *const lists[] = {"",   " ",      ",",  ",,;",
                                        "<>", "(only)", "x:", "\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        expect(lists[i], "");
}

static void
a_list_may_end_anywhere(void **state)
{
    static const char list[] =
        "\"N, \\\" a\" <a@b.example> (c (d)), g: e@[192.0.2.1];";

    (void)state;
    for (size_t n = 0; n < sizeof(list); n++) {
        struct buf got = {0};

        mail_address_list_each((struct slice){list, n}, add, &got);
        buf_free(&got);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_found_however_they_are_written),
        cmocka_unit_test(where_there_is_none_none_is_told),
        cmocka_unit_test(a_list_may_end_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
