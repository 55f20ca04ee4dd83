#include "relay/mail/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The syntax of RFC 3463 section 2. */
static void
splits_an_enhanced_code_off_a_reply(void **state)
{
    static const struct {
        int code;
        const char *reply, *text;
        int klass, subject, detail;
    } cases[] = {
        {250, "2.0.0 ok", "ok", 2, 0, 0},
        {250, "2.0.0", "", 2, 0, 0},
        {550, "5.7.1 no", "no", 5, 7, 1},
        {550, "5.999.999 no", "no", 5, 999, 999},
        {550, "5.7.1 a\n5.7.1 b", "a b", 5, 7, 1},
        {550, "5.7.1 a\n5.7.2 b", "a 5.7.2 b", 5, 7, 1},
        {550, "a\n5.7.1 b", "a 5.7.1 b", 0, 0, 0},
        {550, "", "", 0, 0, 0},
        {550, "no", "no", 0, 0, 0},
        {550, "2.0.0 no", "2.0.0 no", 0, 0, 0},
        {450, "5.7.1 no", "5.7.1 no", 0, 0, 0},
        {354, "3.0.0 go", "3.0.0 go", 0, 0, 0},
        {550, "5.7 no", "5.7 no", 0, 0, 0},
        {550, "5.7.1.2 no", "5.7.1.2 no", 0, 0, 0},
        {550, "5.7.1000 no", "5.7.1000 no", 0, 0, 0},
        {550, "5.1000.1 no", "5.1000.1 no", 0, 0, 0},
        {550, "5..1 no", "5..1 no", 0, 0, 0},
        {550, "5.7. no", "5.7. no", 0, 0, 0},
        {550, "5.-7.1 no", "5.-7.1 no", 0, 0, 0},
        {550, "55.7.1 no", "55.7.1 no", 0, 0, 0},
        {550, "5.7.1-no", "5.7.1-no", 0, 0, 0},
        {550, " 5.7.1 no", "5.7.1 no", 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_status s;

        mail_status_from_reply(&s, cases[i].code, slice_of(cases[i].reply));
        assert_int_equal(s.code, cases[i].code);
        assert_string_equal(s.text, cases[i].text);
        assert_int_equal(s.klass, cases[i].klass);
        assert_int_equal(s.subject, cases[i].subject);
        assert_int_equal(s.detail, cases[i].detail);
    }
}

static void
cleans_what_a_peer_says(void **state)
{
    struct mail_status s;

    (void)state;
    mail_status_from_reply(&s, 550, slice_of("a\x1b[2Jb\rc\td\nX: y\xff"));
    assert_string_equal(s.text, "a?[2Jb?c d X: y?");
    mail_status_from_reply(&s, 550, (struct slice){"a\0b", 3});
    assert_string_equal(s.text, "a?b");
    mail_status_from_reply(&s, 550, slice_of("gr\xc3\xbc\xc3\x9f"));
    assert_string_equal(s.text, "gr\xc3\xbc\xc3\x9f");
}

static void
keeps_so_much_and_whole_characters(void **state)
{
    char reply[3001];
    struct mail_status s;

    (void)state;
    for (size_t i = 0; i < 3000; i += 3)
        memcpy(reply + i, "\xe2\x82\xac", 3);
    reply[3000] = '\0';
    mail_status_from_reply(&s, 250, slice_of(reply));
    assert_int_equal(strlen(s.text), MAIL_STATUS_TEXT_MAX / 3 * 3);
    mail_status_set(&s, 250, NULL, "%s", reply);
    assert_int_equal(strlen(s.text), MAIL_STATUS_TEXT_MAX / 3 * 3);
}

static void
makes_our_own(void **state)
{
    struct mail_status s;
    char enhanced[16];

    (void)state;
    mail_status_from_reply(&s, 250, slice_of("ok"));
    assert_true(s.is_reply);
    mail_status_set(&s, 451, "4.3.0", "%s: %d\nmore", "disk", 3);
    assert_false(s.is_reply);
    assert_int_equal(s.code, 451);
    assert_string_equal(s.text, "disk: 3 more");
    assert_string_equal(mail_status_enhanced(&s, enhanced), "4.3.0");
    mail_status_set(&s, 550, NULL, "no");
    assert_int_equal(s.klass, 0);
    assert_string_equal(mail_status_enhanced(&s, enhanced), "5.0.0");
}

static void
tells_the_outcomes_apart(void **state)
{
    static const int codes[] = {200, 250, 299, 354, 400, 421, 499, 500, 599};

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct mail_status s = {.code = codes[i]};

        assert_int_equal(mail_status_is_success(&s), codes[i] < 300);
        assert_int_equal(mail_status_is_transient(&s),
                         codes[i] >= 400 && codes[i] < 500);
        assert_int_equal(mail_status_is_permanent(&s), codes[i] >= 500);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_an_enhanced_code_off_a_reply),
        cmocka_unit_test(cleans_what_a_peer_says),
        cmocka_unit_test(keeps_so_much_and_whole_characters),
        cmocka_unit_test(makes_our_own),
        cmocka_unit_test(tells_the_outcomes_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
