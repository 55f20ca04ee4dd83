#include "relay/mail/dkim_inside.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

/* The keys of RFC 8463 appendix A.1 and their records of A.2. */
static const char ed25519_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char rsa_pem[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\n"
    "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM\n"
    "KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\n"
    "AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm\n"
    "6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe\n"
    "zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy\n"
    "6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc\n"
    "uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy\n"
    "WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd\n"
    "WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a\n"
    "licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst\n"
    "o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe\n"
    "uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL\n"
    "-----END RSA PRIVATE KEY-----\n";
static const char rsa_record[] =
    "v=DKIM1; k=rsa; "
    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08"
    "a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz"
    "1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3Q"
    "IDAQAB";

static struct mail_dkim_key *
load(const char *pem)
{
    struct mail_dkim_key *k;
    struct err err;

    k = mail_dkim_key_new(slice_of(pem), &err);
    if (!k)
        fail_msg("%s", err.text);
    return k;
}

/* What is signed there: the fields in the order of h=, then the signature
 * field itself without its b=. */
static void
signed_text(const char *tags, struct buf *out)
{
    static const char *const fields[][2] = {
        {"from", " Joe SixPack <joe@football.example.com>\r\n"},
        {"to", " Suzie Q <suzie@shopping.example.net>\r\n"},
        {"subject", " Is dinner ready?\r\n"},
        {"date", " Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"},
        {"message-id", " <20030712040037.46341.5F8J@football.example.com>\r\n"},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        mail_dkim_field_relaxed(fields[i][0], slice_of(fields[i][1]), out);
        buf_add_text(out, "\r\n");
    }
    mail_dkim_field_relaxed("dkim-signature", slice_of(tags), out);
}

/* Both kinds of signature are the same each time. */
static void
check_example(const char *pem, const char *tags, const char *want)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = load(pem);
    scoped(buf_free) struct buf text = {0}, raw = {0}, b = {0};
    struct err err;

    signed_text(tags, &text);
    assert_true(mail_dkim_key_sign(k, buf_slice(&text), &raw, &err));
    mail_dkim_base64(buf_slice(&raw), &b);
    assert_string_equal(buf_text(&b), want);
}

/* RFC 8463 appendix A.3 */
static void
signatures_are_those_of_the_example(void **state)
{
    (void)state;
    check_example(ed25519_pem,
                  " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                  " d=football.example.com; i=@football.example.com;\r\n"
                  " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
                  " subject : date : message-id : from : subject : date;\r\n"
                  " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=",
                  "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
                  "Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==");
    check_example(rsa_pem,
                  " v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
                  " d=football.example.com; i=@football.example.com;\r\n"
                  " q=dns/txt; s=test; t=1528637909; h=from : to : subject :"
                  "\r\n date : message-id : from : subject : date;\r\n"
                  " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=",
                  "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3"
                  "DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz"
                  "dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=");
}

/* RFC 8463 appendix A.2 */
static void
records_are_those_of_the_example(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *rsa = load(rsa_pem),
                                                    *ed = load(ed25519_pem);
    scoped(buf_free) struct buf a = {0}, b = {0};

    (void)state;
    mail_dkim_key_record(rsa, &a);
    assert_string_equal(buf_text(&a), rsa_record);
    mail_dkim_key_record(ed, &b);
    assert_string_equal(buf_text(&b),
                        "v=DKIM1; k=ed25519; "
                        "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
}

static void
check_made(bool is_ed25519)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k =
        mail_dkim_key_make(is_ed25519);
    scoped(mail_dkim_key_free) struct mail_dkim_key *other =
        mail_dkim_key_make(is_ed25519);
    scoped(mail_dkim_key_free) struct mail_dkim_key *again = NULL;
    scoped(buf_free) struct buf pem = {0}, a = {0}, b = {0}, c = {0};
    struct err err;

    mail_dkim_key_write(k, &pem);
    again = mail_dkim_key_new(buf_slice(&pem), &err);
    assert_non_null(again);
    assert_false(mail_dkim_key_is_short(again));
    mail_dkim_key_record(k, &a);
    mail_dkim_key_record(again, &b);
    assert_string_equal(buf_text(&a), buf_text(&b));
    mail_dkim_key_record(other, &c);
    assert_string_not_equal(buf_text(&a), buf_text(&c));
}

/* RFC 8301 section 3.2: signers should use at least 2048 bits. */
static void
a_made_key_is_fresh_and_can_be_read_again(void **state)
{
    (void)state;
    check_made(false);
    check_made(true);
}

static void
a_second_owner_outlives_the_first(void **state)
{
    struct mail_dkim_key *first = load(ed25519_pem);
    scoped(mail_dkim_key_free) struct mail_dkim_key *second =
        mail_dkim_key_like(first);
    scoped(buf_free) struct buf out = {0};
    struct err err;

    (void)state;
    mail_dkim_key_free(&first);
    assert_null(first);
    assert_string_equal(mail_dkim_key_algorithm(second), "ed25519-sha256");
    assert_true(mail_dkim_key_sign(second, slice_of("x"), &out, &err));
}

struct signer {
    struct mail_dkim_key *key;
    _Atomic bool has_signed;
};

static void *
sign_once(void *arg)
{
    struct signer *s = arg;
    scoped(buf_free) struct buf out = {0};
    struct err err;

    assert_true(mail_dkim_key_sign(s->key, slice_of("x"), &out, &err));
    mail_dkim_key_free(&s->key);
    atomic_store_explicit(&s->has_signed, true, memory_order_relaxed);
    return NULL;
}

/* Nothing but the key itself orders its use there before its end here: the flag
 * is a relaxed one. */
static void
an_owner_on_another_thread_needs_no_lock(void **state)
{
    struct mail_dkim_key *mine = load(ed25519_pem);
    struct signer s = {.key = mail_dkim_key_like(mine)};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, sign_once, &s), 0);
    while (!atomic_load_explicit(&s.has_signed, memory_order_relaxed))
        sched_yield();
    mail_dkim_key_free(&mine);
    pthread_join(thread, NULL);
}

static void
short_keys_are_told_from_good_ones(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *rsa = load(rsa_pem),
                                                    *ed = load(ed25519_pem);

    (void)state;
    assert_true(mail_dkim_key_is_short(rsa));
    assert_false(mail_dkim_key_is_short(ed));
}

/* As while it is written, or by a bad disk.  What is still a key signs; none
 * brings the process down. */
static void
a_damaged_key_is_refused(void **state)
{
    size_t taken = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rsa_pem) - 1; i++) {
        scoped(mail_dkim_key_free) struct mail_dkim_key *cut = NULL,
                                                        *bent = NULL;
        scoped(buf_free) struct buf text = {0};
        struct err err = {0};

        if (i < sizeof(rsa_pem) - 2) {
            cut = mail_dkim_key_new((struct slice){rsa_pem, i}, &err);
            assert_null(cut);
            assert_int_equal(err.kind, ERR_INPUT);
        }
        if (i % 7 > 0 || rsa_pem[i] == 'B' || rsa_pem[i] == '\n')
            continue;
        buf_add(&text, (struct slice){rsa_pem, sizeof(rsa_pem) - 1});
        text.p[i] = 'B';
        bent = mail_dkim_key_new(buf_slice(&text), &err);
        taken += bent != NULL;
        if (!bent)
            assert_null(strstr(err.text, "MII"));
    }
    /* Where a factor alone is damaged OpenSSL signs without it. */
    assert_true(taken < sizeof(rsa_pem) / 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_example),
        cmocka_unit_test(records_are_those_of_the_example),
        cmocka_unit_test(a_made_key_is_fresh_and_can_be_read_again),
        cmocka_unit_test(a_second_owner_outlives_the_first),
        cmocka_unit_test(an_owner_on_another_thread_needs_no_lock),
        cmocka_unit_test(short_keys_are_told_from_good_ones),
        cmocka_unit_test(a_damaged_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
