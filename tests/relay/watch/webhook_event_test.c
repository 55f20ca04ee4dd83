#include "relay/watch/webhook_event.h"

#include "relay/base/mem.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct queue_attempt attempt = {.host = "mx.example",
                                             .address = "192.0.2.1:25",
                                             .policy = "mta-sts enforce",
                                             .tls_version = "TLSv1.3",
                                             .tls_cipher = "AES",
                                             .verdict = "verified"};

static struct queue_feed_row
row_of(const struct queue_result *r, uint64_t number)
{
    return (struct queue_feed_row){
        .number = number,
        .at_ms = 1795442645123,
        .message = {.id = 12345678901,
                    .arrived_ms = 1795442644000,
                    .from = "app@a.example",
                    .message_id = "<1@a.example>",
                    .envid = "QQ314159"},
        .sequence = (uint32_t)number,
        .result = r,
        .attempt = &attempt,
    };
}

static void
a_result_is_told_in_full(void **state)
{
    struct webhook_batch b scoped(webhook_batch_done) = {0};
    struct queue_result r = {.address = "bob@b.example",
                             .outcome = QUEUE_DEFERRED,
                             .next_ms = 1795442705123,
                             .reason = "451 4.2.0 \"no\"\r\n\x80"};
    struct queue_feed_row row = row_of(&r, 7);
    char id[WEBHOOK_BATCH_ID_SIZE];

    (void)state;
    webhook_batch_add(&b, &row);
    webhook_batch_end(&b);
    assert_string_equal(
        buf_text(&b.body),
        "[{\"type\":\"delivery.deferred\",\"id\":\"000bfxr71n-7\","
        "\"timestamp\":"
        "\"2026-11-23T14:04:05.123Z\",\"data\":{\"mid\":\"000bfxr71n\","
        "\"message_id\":\"<1@a.example>\",\"envid\":\"QQ314159\",\"accepted\":"
        "\"2026-11-23T14:04:04.000Z\",\"from\":\"app@a.example\",\"to\":"
        "\"bob@b.example\",\"reply\":\"451 4.2.0 "
        "\\\"no\\\"\\r\\n\xEF\xBF"
        "\xBD\",\"next_attempt\":\"2026-11-23T14:05:05.123Z\",\"host\":"
        "\"mx.example\",\"address\":\"192.0.2.1:25\",\"policy\":\"mta-sts "
        "enforce\",\"tls_version\":\"TLSv1.3\",\"tls_cipher\":\"AES\","
        "\"certificate\":\"verified\"}}]");
    assert_string_equal(webhook_batch_id(&b, id), "evt_000bfxr71n-7");
    assert_int_equal(b.last, 7);
}

static void
what_there_is_not_is_left_out(void **state)
{
    static const struct {
        enum queue_outcome outcome;
        const char *type;
    } rows[] = {{QUEUE_DELIVERED, "delivery.sent"},
                {QUEUE_FAILED, "delivery.bounced"},
                {QUEUE_EXPIRED, "delivery.expired"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct webhook_batch b scoped(webhook_batch_done) = {0};
        struct queue_result r = {.address = "b@b.example",
                                 .outcome = rows[i].outcome};
        struct queue_feed_row row = row_of(&r, 0);
        json_auto_t *all = NULL;
        const json_t *one, *data;

        row.attempt = NULL;
        row.message.envid = row.message.message_id = NULL;
        webhook_batch_add(&b, &row);
        webhook_batch_end(&b);
        all = json_loadb(b.body.p, b.body.len, 0, NULL);
        one = json_array_get(all, 0);
        data = json_object_get(one, "data");
        assert_string_equal(json_string_value(json_object_get(one, "type")),
                            rows[i].type);
        assert_int_equal(json_object_size(data), 4);
    }
}

static void
a_body_has_an_end(void **state)
{
    struct webhook_batch b scoped(webhook_batch_done) = {0};
    char *text scoped(own_free) = mem_zeroed(1, 10001);
    struct queue_result r = {.address = "b@b.example",
                             .outcome = QUEUE_DELIVERED};
    char first[WEBHOOK_BATCH_ID_SIZE], second[WEBHOOK_BATCH_ID_SIZE];

    (void)state;
    for (uint64_t i = 1; i <= 300; i++) {
        struct queue_feed_row row = row_of(&r, i);

        webhook_batch_add(&b, &row);
    }
    assert_int_equal(b.count, WEBHOOK_EVENT_COUNT_MAX);
    assert_int_equal(b.last, WEBHOOK_EVENT_COUNT_MAX);
    assert_true(b.is_full);
    assert_string_equal(webhook_batch_id(&b, first),
                        "evt_000bfxr71n-1_000bfxr71n-100");
    webhook_batch_done(&b);

    memset(text, 'x', 10000);
    r.reason = text;
    for (uint64_t i = 1; i <= 300; i++) {
        struct queue_feed_row row = row_of(&r, i);

        webhook_batch_add(&b, &row);
    }
    assert_in_range(b.body.len, WEBHOOK_EVENT_OCTETS_MAX,
                    WEBHOOK_EVENT_OCTETS_MAX + 11000);
    assert_in_range(b.count, 20, 30);
    assert_string_not_equal(webhook_batch_id(&b, second), first);
}

static void
nothing_is_an_empty_list(void **state)
{
    struct webhook_batch b scoped(webhook_batch_done) = {0};

    (void)state;
    webhook_batch_end(&b);
    assert_string_equal(buf_text(&b.body), "[]");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_is_told_in_full),
        cmocka_unit_test(what_there_is_not_is_left_out),
        cmocka_unit_test(a_body_has_an_end),
        cmocka_unit_test(nothing_is_an_empty_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
