#include "relay/daemon/report.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mail_status
status(int code)
{
    struct mail_status s = {0};

    mail_status_set(&s, code,
                    code / 100 == 2   ? "2.0.0"
                    : code / 100 == 4 ? "4.0.0"
                                      : "5.0.0",
                    "as told");
    return s;
}

static void
each_class_of_reply_has_its_outcome(void **state)
{
    size_t rcpt[] = {4, 7, 9};
    struct queue_job job = {.rcpt = rcpt, .rcpt_count = 3};
    struct report *r = report_new(NULL, &job);
    struct mail_status ok = status(250), later = status(450), no = status(550);

    (void)state;
    assert_true(report_has_undecided(r));
    assert_false(report_has_decided(r));
    for (size_t i = 0; i < 3; i++) /* nobody has mail by default */
        assert_int_equal(r->rcpt[i].outcome, QUEUE_DEFERRED);
    report_decide(r, 0, &ok);
    report_decide(r, 1, &later);
    assert_true(report_has_undecided(r));
    assert_true(report_has_decided(r));
    report_decide(r, 2, &no);
    assert_false(report_has_undecided(r));
    assert_int_equal(r->rcpt[0].outcome, QUEUE_DELIVERED);
    assert_int_equal(r->rcpt[1].outcome, QUEUE_DEFERRED);
    assert_int_equal(r->rcpt[2].outcome, QUEUE_FAILED);
    assert_int_equal(r->rcpt[2].rcpt, 9);
    report_free(&r);
}

/* One recipient is never both delivered and refused. */
static void
what_is_decided_stays_as_it_is(void **state)
{
    size_t rcpt[] = {0, 1};
    struct queue_job job = {.rcpt = rcpt, .rcpt_count = 2};
    struct report *r = report_new(NULL, &job);
    struct mail_status ok = status(250), no = status(550);

    (void)state;
    report_decide(r, 1, &no);
    report_decide_rest(r, &ok);
    assert_int_equal(r->rcpt[0].outcome, QUEUE_DELIVERED);
    assert_int_equal(r->rcpt[1].outcome, QUEUE_FAILED);
    report_free(&r);
}

static void
a_decision_belongs_to_the_attempt_before_it(void **state)
{
    size_t rcpt[] = {0, 1};
    struct queue_job job = {.rcpt = rcpt, .rcpt_count = 2};
    struct report *r = report_new(NULL, &job);
    struct mail_status ok = status(250);

    (void)state;
    report_decide(r, 0, &ok);
    assert_int_equal(r->rcpt[0].attempt, SIZE_MAX);
    report_add(r)->host = mem_text("mx.example");
    report_add(r)->reply = mem_text("250 ok");
    report_decide(r, 1, &ok);
    assert_int_equal(r->rcpt[1].attempt, 1);
    report_free(&r);
    assert_null(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_of_reply_has_its_outcome),
        cmocka_unit_test(what_is_decided_stays_as_it_is),
        cmocka_unit_test(a_decision_belongs_to_the_attempt_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
