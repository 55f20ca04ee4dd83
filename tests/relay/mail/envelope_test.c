#include "relay/mail/envelope.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
keeps_all_recipients_in_order(void **state)
{
    struct mail_envelope e = {.from = mem_text("a@b.example")};

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        struct mail_rcpt *r = mail_envelope_add(&e);

        assert_null(r->address);
        assert_int_equal(r->notify, 0);
        r->address = mem_printf("%zu@b.example", i);
        r->domain = mem_text("b.example");
    }
    assert_int_equal(e.rcpt_count, 1000);
    assert_string_equal(e.rcpt[0].address, "0@b.example");
    assert_string_equal(e.rcpt[512].address, "512@b.example");
    assert_string_equal(e.rcpt[999].address, "999@b.example");
    mail_envelope_done(&e);
}

static void
is_empty_and_usable_behind_done(void **state)
{
    struct mail_envelope e = {.envid = mem_text("x"), .smtputf8 = true};

    (void)state;
    mail_envelope_add(&e)->orcpt = mem_text("rfc822;a@b.example");
    mail_envelope_done(&e);
    assert_null(e.from);
    assert_null(e.envid);
    assert_null(e.rcpt);
    assert_int_equal(e.rcpt_count, 0);
    assert_false(e.smtputf8);
    mail_envelope_done(&e);
    mail_envelope_add(&e)->address = mem_text("a@b.example");
    mail_envelope_done(&e);
}

static void
can_be_cut_and_added_to_again(void **state)
{
    (void)state;
    for (size_t from = 1; from < 10; from++)
        for (size_t to = 0; to <= from; to++) {
            struct mail_envelope e = {0};

            while (e.rcpt_count < from)
                mail_envelope_add(&e)->address = mem_text("a@b.example");
            mail_envelope_cut(&e, to);
            assert_int_equal(e.rcpt_count, to);
            while (e.rcpt_count < from + 3)
                mail_envelope_add(&e)->address = mem_text("c@b.example");
            mail_envelope_cut(&e, 100);
            assert_int_equal(e.rcpt_count, from + 3);
            mail_envelope_done(&e);
        }
}

/* RFC 8689 section 5 */
static void
nobody_demands_requiretls_of_a_null_sender(void **state)
{
    char *senders[] = {(char *)"", (char *)"a@b.example"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct mail_envelope e = {.from = senders[i / 2],
                                  .requiretls = i % 2 == 1};

        assert_int_equal(mail_envelope_demands_requiretls(&e), i == 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_all_recipients_in_order),
        cmocka_unit_test(is_empty_and_usable_behind_done),
        cmocka_unit_test(can_be_cut_and_added_to_again),
        cmocka_unit_test(nobody_demands_requiretls_of_a_null_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
