#include "relay/base/secret.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
a_secret_in_a_text_is_scrubbed(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"5.7.8 no", "5.7.8 no"},
        {"wrong: correcthorsebattery", "wrong: ***"},
        {"correcthorsebatterycorrecthorsebattery", "******"},
        {"got correctho, no more", "got ***, no more"},
        {"ends in sebattery!", "ends in ***!"},
        {"seven octets: correct.", "seven octets: correct."},
        {"pin pin", "*** ***"},
        {"pi", "pi"},
    };
    const struct slice secrets[] = {slice_of("correcthorsebattery"),
                                    slice_of("pin"), slice_of("")};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(buf_free) struct buf out = {0};

        secret_scrub(slice_of(cases[i].text), secrets, 3, &out);
        assert_string_equal(buf_text(&out), cases[i].shown);
    }
}

static void
a_secret_cut_off_by_the_limit_does_not_show(void **state)
{
    scoped(buf_free) struct buf text = {0}, out = {0};
    const struct slice secret = slice_of("0123456789");

    (void)state;
    for (size_t i = 0; i < SECRET_SCRUB_MAX - 2; i++)
        buf_add_byte(&text, 'x');
    buf_add(&text, secret);
    secret_scrub(buf_slice(&text), &secret, 1, &out);
    assert_int_equal(out.len, SECRET_SCRUB_MAX - 2 + 3);
    assert_null(strstr(buf_text(&out), "0"));
}

static void
freeing_leaves_nothing_behind(void **state)
{
    struct buf b = {0};
    char *text = mem_text("secret");

    (void)state;
    buf_add_text(&b, "secret");
    secret_buf_free(&b);
    assert_null(b.p);
    assert_int_equal(b.len, 0);
    secret_buf_free(&b);
    secret_text_free(&text);
    assert_null(text);
    secret_text_free(&text);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_in_a_text_is_scrubbed),
        cmocka_unit_test(a_secret_cut_off_by_the_limit_does_not_show),
        cmocka_unit_test(freeing_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
