#include "relay/watch/webhook_sign.h"

#include "relay/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
sign(const char *secret, const char *id, const char *body, struct buf *out)
{
    struct buf key scoped(buf_free) = {0};

    assert_true(base64_read(slice_of(secret), &key));
    webhook_sign(buf_slice(&key), id, 1795442645, slice_of(body), out);
}

/* As another implementation of HMAC has it. */
static void
a_known_code_comes_out(void **state)
{
    struct buf out scoped(buf_free) = {0};

    (void)state;
    sign("MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=", "evt_000bfxr71n-0",
         "[{\"type\":\"delivery.sent\"}]", &out);
    assert_string_equal(buf_text(&out),
                        "webhook-id: evt_000bfxr71n-0\r\n"
                        "webhook-timestamp: 1795442645\r\n"
                        "webhook-signature: "
                        "v1,/pb38Dv6zwSY0G2JUZ5fze4MLHJOQfB4ukOl8V755f8=\r\n");
}

/* RFC 2104: another key, id or body gives another code. */
static void
nothing_of_it_can_be_changed(void **state)
{
    static const char *const rows[][3] = {
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a", "b"},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", "a", "b"},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "c", "b"},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a", ""},
    };
    char first[200] = "";

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct buf out scoped(buf_free) = {0};
        const char *mac;

        sign(rows[i][0], rows[i][1], rows[i][2], &out);
        mac = strstr(buf_text(&out), "v1,");
        assert_non_null(mac);
        assert_int_equal(strlen(mac), 3 + 44 + 2);
        if (i == 0)
            memcpy(first, mac, strlen(mac) + 1);
        else
            assert_string_not_equal(mac, first);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_code_comes_out),
        cmocka_unit_test(nothing_of_it_can_be_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
