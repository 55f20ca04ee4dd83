#include "relay/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 4648 section 10 */
static const struct {
    const char *octets, *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void
the_vectors_of_the_rfc_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        scoped(buf_free) struct buf text = {0}, octets = {0};

        base64_add(slice_of(vectors[i].octets), &text);
        assert_string_equal(buf_text(&text), vectors[i].text);
        assert_true(base64_read(buf_slice(&text), &octets));
        assert_string_equal(buf_text(&octets), vectors[i].octets);
    }
}

static void
every_octet_survives_at_every_place(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++)
        for (size_t len = 1; len <= 6; len++) {
            scoped(buf_free) struct buf in = {0}, text = {0}, out = {0};

            for (size_t i = 0; i < len; i++)
                buf_add_byte(&in, (char)(c + (int)i * 37));
            base64_add(buf_slice(&in), &text);
            assert_true(base64_read(buf_slice(&text), &out));
            assert_int_equal(out.len, len);
            assert_memory_equal(out.p, in.p, len);
        }
}

/* FAULTS A81 among them. */
static void
what_is_no_base64_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "=",     "====",   "A",    "AA",   "AAA",      "A===",    "*",
        "Zg=",   "Zg",     "Zh==", "Zm9=", "Zg==Zg==", " Zg=",    "Zg= ",
        "Z\ng=", "Zm9v\n", "-___", "=Zg=", "Z=g=",     "ZgZ\x80", "Zm9vYg=",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        scoped(buf_free) struct buf out = {0};

        buf_add_text(&out, "x");
        assert_false(base64_read(slice_of(bad[i]), &out));
        assert_string_equal(buf_text(&out), "x");
    }
    {
        scoped(buf_free) struct buf out = {0};

        assert_false(base64_read((struct slice){"Zm\0v", 4}, &out));
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_hold),
        cmocka_unit_test(every_octet_survives_at_every_place),
        cmocka_unit_test(what_is_no_base64_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
