#include "queue/message.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
freeing_nothing_is_fine(void **state)
{
    struct queue_message *m = NULL;

    (void)state;
    queue_message_free(&m);
    assert_null(m);
}

static void
a_new_message_is_empty(void **state)
{
    struct queue_message *m = queue_message_new();

    (void)state;
    assert_int_equal(m->envelope.rcpt_count, 0);
    assert_null(m->rcpt);
    assert_int_equal(m->body.len, 0);
    queue_message_number(m);
    queue_message_free(&m);
    assert_null(m);
}

static void
recipients_are_numbered_from_zero(void **state)
{
    struct queue_message *m = queue_message_new();

    (void)state;
    for (int i = 0; i < 3; i++)
        mail_envelope_add(&m->envelope)->address = mem_text("a@b.example");
    queue_message_number(m);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(m->rcpt[i].number, i);
        assert_int_equal(m->rcpt[i].attempts, 0);
        assert_false(m->rcpt[i].held);
    }
    queue_message_free(&m);
}

static void
everything_in_a_message_is_freed_with_it(void **state)
{
    struct queue_message *m = queue_message_new();

    (void)state;
    m->envelope.from = mem_text("s@a.example");
    m->envelope.envid = mem_text("e");
    m->origin = mem_text("origin");
    m->message_id = mem_text("<1@a>");
    buf_add_text(&m->body, "body");
    mail_envelope_add(&m->envelope)->address = mem_text("a@b.example");
    m->envelope.rcpt[0].domain = mem_text("b.example");
    m->envelope.rcpt[0].orcpt = mem_text("rfc822;a@b.example");
    queue_message_number(m);
    m->rcpt[0].destination = mem_text("b.example");
    m->rcpt[0].last = mem_text("later");
    queue_message_free(&m);
    assert_null(m);
}

static void
a_message_without_numbers_is_freed_too(void **state)
{
    struct queue_message *m = queue_message_new();

    (void)state;
    mail_envelope_add(&m->envelope)->address = mem_text("a@b.example");
    queue_message_free(&m);
    assert_null(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freeing_nothing_is_fine),
        cmocka_unit_test(a_new_message_is_empty),
        cmocka_unit_test(recipients_are_numbered_from_zero),
        cmocka_unit_test(everything_in_a_message_is_freed_with_it),
        cmocka_unit_test(a_message_without_numbers_is_freed_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
