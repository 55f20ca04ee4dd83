#include "smtp/sasl_server.h"

#include "relay/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t binding[SMTP_SASL_BINDING] =
    "what TLS has agreed upon here!!";

#define SAYS(octets)                                                           \
    (struct slice)                                                             \
    {                                                                          \
        octets, sizeof(octets) - 1                                             \
    }

/* --- PLAIN: RFC 4616 --- */

static const struct {
    const char *name;
    struct slice in;
    enum smtp_sasl_next next;
    const char *user, *password;
} plain[] = {
    {"plain", SAYS("\0tim\0tanstaaftanstaaf"), SMTP_SASL_JUDGE, "tim",
     "tanstaaftanstaaf"},
    {"for oneself", SAYS("tim\0tim\0pw"), SMTP_SASL_JUDGE, "tim", "pw"},
    {"one character", SAYS("\0a\0b"), SMTP_SASL_JUDGE, "a", "b"},
    {"UTF-8", SAYS("\0\xc3\xbc\0\xe2\x82\xac"), SMTP_SASL_JUDGE, "\xc3\xbc",
     "\xe2\x82\xac"},
    {"a name for logs", SAYS("\0admin\r\n250 ok\0x"), SMTP_SASL_JUDGE,
     "admin\r\n250 ok", "x"},
    {"for somebody else", SAYS("Ursel\0Kurt\0xipj3plmq"), SMTP_SASL_JUDGE,
     "Kurt", NULL},
    {"nothing", SAYS(""), SMTP_SASL_MALFORMED, NULL, NULL},
    {"no NUL", SAYS("tim"), SMTP_SASL_MALFORMED, NULL, NULL},
    {"one NUL", SAYS("\0tim"), SMTP_SASL_MALFORMED, NULL, NULL},
    {"one NUL between", SAYS("tim\0pw"), SMTP_SASL_MALFORMED, NULL, NULL},
    {"three NULs", SAYS("\0tim\0pw\0"), SMTP_SASL_MALFORMED, NULL, NULL},
    {"no name", SAYS("\0\0pw"), SMTP_SASL_MALFORMED, NULL, NULL},
    {"no password", SAYS("\0tim\0"), SMTP_SASL_MALFORMED, NULL, NULL},
    {"NULs alone", SAYS("\0\0\0\0"), SMTP_SASL_MALFORMED, NULL, NULL},
};

static void
plain_has_two_nuls_a_user_and_a_password(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        struct smtp_sasl_server s;
        struct buf out = {0};
        enum smtp_sasl_next next;

        smtp_sasl_server_begin(&s, SMTP_SASL_PLAIN, false, NULL);
        assert_int_equal(smtp_sasl_server_ask(&s, &out), SMTP_SASL_CHALLENGE);
        assert_int_equal(out.len, 0);
        next = smtp_sasl_server_feed(&s, plain[i].in, &out);
        if (next != plain[i].next)
            fail_msg("%s: %d", plain[i].name, next);
        assert_int_equal(out.len, 0);
        assert_false(s.is_proven);
        if (next == SMTP_SASL_JUDGE) {
            assert_string_equal(s.user, plain[i].user);
            assert_int_equal(s.why == NULL, plain[i].password != NULL);
        }
        if (plain[i].password)
            assert_string_equal(buf_text(&s.password), plain[i].password);
        smtp_sasl_server_done(&s);
        buf_free(&out);
    }
}

/* --- LOGIN --- */

static void
login_asks_for_a_user_and_then_for_a_password(void **state)
{
    struct smtp_sasl_server s;
    struct buf out = {0};

    (void)state;
    smtp_sasl_server_begin(&s, SMTP_SASL_LOGIN, false, NULL);
    assert_int_equal(smtp_sasl_server_ask(&s, &out), SMTP_SASL_CHALLENGE);
    assert_string_equal(buf_text(&out), "Username:");
    buf_clear(&out);
    assert_int_equal(smtp_sasl_server_feed(&s, SAYS("tim"), &out),
                     SMTP_SASL_CHALLENGE);
    assert_string_equal(buf_text(&out), "Password:");
    buf_clear(&out);
    assert_int_equal(smtp_sasl_server_feed(&s, SAYS("pw"), &out),
                     SMTP_SASL_JUDGE);
    assert_int_equal(out.len, 0);
    assert_string_equal(s.user, "tim");
    assert_string_equal(buf_text(&s.password), "pw");
    smtp_sasl_server_done(&s);
    buf_free(&out);
}

static void
login_refuses_what_is_empty_or_holds_a_nul(void **state)
{
    static const struct slice bad[] = {{"", 0}, {"\0", 1}, {"a\0b", 3}};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct smtp_sasl_server s;
        struct buf out = {0};

        smtp_sasl_server_begin(&s, SMTP_SASL_LOGIN, false, NULL);
        if (i >= 3)
            assert_int_equal(smtp_sasl_server_feed(&s, SAYS("tim"), &out),
                             SMTP_SASL_CHALLENGE);
        assert_int_equal(smtp_sasl_server_feed(&s, bad[i % 3], &out),
                         SMTP_SASL_MALFORMED);
        smtp_sasl_server_done(&s);
        buf_free(&out);
    }
}

/* --- SCRAM-SHA-256: RFC 7677 section 3 --- */

static const char server_nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define SERVER_FIRST "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define PROOF ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define FINAL "c=biws,r=" NONCE PROOF

static const struct smtp_sasl_verifier *
pencil(void)
{
    static struct smtp_sasl_verifier v;
    struct buf salt = {0};

    if (v.iterations == 0) {
        assert_true(base64_read(slice_of("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt));
        smtp_sasl_verifier_make(slice_of("pencil"), buf_slice(&salt), 4096, &v);
        buf_free(&salt);
    }
    return &v;
}

/* Feeds both messages; what came of the last that was fed. */
static enum smtp_sasl_next
play(struct smtp_sasl_server *s, bool is_plus, bool has_binding,
     struct slice first, struct slice final, struct buf *out)
{
    enum smtp_sasl_next next;

    smtp_sasl_server_begin(s, SMTP_SASL_SCRAM_SHA_256, is_plus,
                           has_binding ? binding : NULL);
    next = smtp_sasl_server_feed(s, first, out);
    if (next != SMTP_SASL_VERIFIER)
        return next;
    assert_int_equal(smtp_sasl_server_verify(s, pencil(), server_nonce, out),
                     SMTP_SASL_CHALLENGE);
    buf_clear(out);
    return smtp_sasl_server_feed(s, final, out);
}

static void
scram_goes_as_in_the_example_of_the_rfc(void **state)
{
    struct smtp_sasl_server s;
    struct buf out = {0};

    (void)state;
    smtp_sasl_server_begin(&s, SMTP_SASL_SCRAM_SHA_256, false, NULL);
    assert_int_equal(smtp_sasl_server_ask(&s, &out), SMTP_SASL_CHALLENGE);
    assert_int_equal(out.len, 0);
    assert_int_equal(smtp_sasl_server_feed(&s, SAYS(FIRST), &out),
                     SMTP_SASL_VERIFIER);
    assert_string_equal(s.user, "user");
    assert_int_equal(smtp_sasl_server_verify(&s, pencil(), server_nonce, &out),
                     SMTP_SASL_CHALLENGE);
    assert_string_equal(buf_text(&out), SERVER_FIRST);
    buf_clear(&out);
    assert_int_equal(smtp_sasl_server_feed(&s, SAYS(FINAL), &out),
                     SMTP_SASL_CHALLENGE);
    assert_string_equal(buf_text(&out),
                        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_false(s.is_proven); /* not before the client has taken that */
    assert_int_equal(smtp_sasl_server_feed(&s, SAYS(""), &out),
                     SMTP_SASL_JUDGE);
    assert_true(s.is_proven);
    assert_null(s.why);
    smtp_sasl_server_done(&s);
    buf_free(&out);
}

static void
scram_wants_an_empty_response_at_the_end(void **state)
{
    struct smtp_sasl_server s;
    struct buf out = {0};

    (void)state;
    assert_int_equal(play(&s, false, false, SAYS(FIRST), SAYS(FINAL), &out),
                     SMTP_SASL_CHALLENGE);
    assert_int_equal(smtp_sasl_server_feed(&s, SAYS("x"), &out),
                     SMTP_SASL_MALFORMED);
    assert_false(s.is_proven);
    smtp_sasl_server_done(&s);
    buf_free(&out);
}

static void
a_scram_message_cut_anywhere_proves_nothing(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(FIRST) - 1; cut++) {
        struct smtp_sasl_server s;
        struct buf out = {0};

        /* A shorter nonce is one, too: the proof is then for another. */
        if (play(&s, false, false, slice_first(SAYS(FIRST), cut), SAYS(FINAL),
                 &out) == SMTP_SASL_CHALLENGE)
            fail_msg("the first message cut at %zu", cut);
        smtp_sasl_server_done(&s);
        buf_free(&out);
    }
    for (size_t cut = 0; cut < sizeof(FINAL) - 1; cut++) {
        struct smtp_sasl_server s;
        struct buf out = {0};
        enum smtp_sasl_next next = play(&s, false, false, SAYS(FIRST),
                                        slice_first(SAYS(FINAL), cut), &out);

        if (next != SMTP_SASL_MALFORMED)
            fail_msg("the final message cut at %zu: %d", cut, next);
        smtp_sasl_server_done(&s);
        buf_free(&out);
    }
}

static void
a_scram_message_with_one_bit_wrong_proves_nothing(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * (sizeof(FINAL) - 1); bit++) {
        struct smtp_sasl_server s;
        struct buf out = {0}, final = {0};
        enum smtp_sasl_next next;

        buf_add_text(&final, FINAL);
        final.p[bit / 8] = (char)(final.p[bit / 8] ^ 1 << bit % 8);
        next = play(&s, false, false, SAYS(FIRST), buf_slice(&final), &out);
        if (next == SMTP_SASL_CHALLENGE || s.is_proven)
            fail_msg("bit %zu", bit);
        smtp_sasl_server_done(&s);
        buf_free(&out);
        buf_free(&final);
    }
}

static const struct {
    const char *first, *final;
    enum smtp_sasl_next next;
    const char *user;
} messages[] = {
    /* for oneself, and names that need coding: RFC 5802 section 5.1 */
    {"n,a=user,n=user,r=x", "c=biws,r=x" PROOF, SMTP_SASL_JUDGE, "user"},
    {"n,,n=a=2Cb=3Dc,r=x", "c=biws,r=x" PROOF, SMTP_SASL_JUDGE, "a,b=c"},
    {"n,,n=user,r=x,extension=1", "c=biws,r=x" PROOF, SMTP_SASL_JUDGE, "user"},
    /* for somebody else */
    {"n,a=other,n=user,r=x", NULL, SMTP_SASL_JUDGE, "user"},
    {"n,a==,n=user,r=x", NULL, SMTP_SASL_JUDGE, "user"},
    {"n,a=,n=user,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,", NULL, SMTP_SASL_MALFORMED, NULL},
    {"x,,n=user,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,n=user,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,n=user", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,n=,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,n=us=er,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,n=user=2,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,n=user=2c,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,n=user,r=", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,n=user,r=a b", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,r=x,n=user", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,m=must,n=user,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    {"n,,a=user,n=user,r=x", NULL, SMTP_SASL_MALFORMED, NULL},
    /* the second message */
    {FIRST, "", SMTP_SASL_MALFORMED, "user"},
    {FIRST, "p=AAAA", SMTP_SASL_MALFORMED, "user"},
    {FIRST, "c=biws,r=" NONCE, SMTP_SASL_MALFORMED, "user"},
    {FIRST, "c=biws,r=" NONCE ",p=", SMTP_SASL_MALFORMED, "user"},
    {FIRST, "c=biws,r=" NONCE ",p=AAAA", SMTP_SASL_MALFORMED, "user"},
    {FIRST, "c=biws" PROOF, SMTP_SASL_MALFORMED, "user"},
    {FIRST, "r=" NONCE ",c=biws" PROOF, SMTP_SASL_MALFORMED, "user"},
    {FIRST, FINAL ",x=1", SMTP_SASL_MALFORMED, "user"},
    {FIRST, "c=biws,r=rOprNGfwEbeRWgbNEkqO" PROOF, SMTP_SASL_JUDGE, "user"},
    {FIRST, "c=biws,r=" NONCE "x" PROOF, SMTP_SASL_JUDGE, "user"},
    {FIRST, "c=eSws,r=" NONCE PROOF, SMTP_SASL_JUDGE, "user"},
    {FIRST, "c=,r=" NONCE PROOF, SMTP_SASL_JUDGE, "user"},
    {FIRST, "c=!,r=" NONCE PROOF, SMTP_SASL_JUDGE, "user"},
    {FIRST, "c=biws,r=" NONCE ",x=1" PROOF, SMTP_SASL_JUDGE, "user"},
};

static void
no_other_scram_message_proves_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct smtp_sasl_server s;
        struct buf out = {0};
        const char *final = messages[i].final ? messages[i].final : "";
        enum smtp_sasl_next next =
            play(&s, false, false, slice_of(messages[i].first), slice_of(final),
                 &out);

        if (next != messages[i].next)
            fail_msg("%s, then %s: %d", messages[i].first, final, next);
        assert_false(s.is_proven);
        if (messages[i].user)
            assert_string_equal(s.user, messages[i].user);
        if (next == SMTP_SASL_JUDGE && !messages[i].final)
            assert_non_null(s.why);
        smtp_sasl_server_done(&s);
        buf_free(&out);
    }
}

/* --- SCRAM-SHA-256-PLUS: RFC 5802 section 6, RFC 9266 --- */

/* The final message of a client that knows the password and binds to this. */
static void
add_final(const char *gs2, const char *bare, const uint8_t *bound,
          struct buf *out)
{
    struct buf c = {0}, message = {0}, salt = {0};
    uint8_t salted[SMTP_SASL_SCRAM_KEY], signature[SMTP_SASL_SCRAM_KEY];
    struct smtp_sasl_scram_keys keys;

    assert_true(base64_read(slice_of("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt));
    smtp_sasl_scram_salt(slice_of("pencil"), buf_slice(&salt), 4096, salted);
    smtp_sasl_scram_derive(salted, &keys);
    buf_add_text(&c, gs2);
    if (bound)
        buf_add(&c, (struct slice){(const char *)bound, SMTP_SASL_BINDING});
    buf_add_text(out, "c=");
    base64_add(buf_slice(&c), out);
    buf_printf(out, ",r=x%s", server_nonce);
    buf_printf(&message, "%s,r=x%s,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,", bare,
               server_nonce);
    buf_add(&message, buf_slice(out));
    smtp_sasl_scram_sign(keys.stored, buf_slice(&message), signature);
    for (size_t i = 0; i < sizeof(signature); i++)
        signature[i] ^= keys.client[i];
    buf_add_text(out, ",p=");
    base64_add((struct slice){(const char *)signature, sizeof(signature)}, out);
    buf_free(&c);
    buf_free(&message);
    buf_free(&salt);
}

static const uint8_t elsewhere[SMTP_SASL_BINDING] =
    "what TLS agreed with a thief!!!";

static const struct {
    const char *name;
    bool is_plus, has_binding;
    const char *gs2;
    const uint8_t *bound;
    enum smtp_sasl_next next;
} bindings[] = {
    {"bound to this connection", true, true, "p=tls-exporter,,", binding,
     SMTP_SASL_CHALLENGE},
    {"bound to another connection", true, true, "p=tls-exporter,,", elsewhere,
     SMTP_SASL_JUDGE},
    {"bound to nothing", true, true, "p=tls-exporter,,", NULL, SMTP_SASL_JUDGE},
    {"by another way", true, true, "p=tls-unique,,", binding, SMTP_SASL_JUDGE},
    {"-PLUS without a binding", true, true, "n,,", NULL, SMTP_SASL_MALFORMED},
    {"-PLUS and a lost offer", true, true, "y,,", NULL, SMTP_SASL_MALFORMED},
    {"a binding without -PLUS", false, true, "p=tls-exporter,,", binding,
     SMTP_SASL_MALFORMED},
    {"a client that can't", false, true, "n,,", NULL, SMTP_SASL_CHALLENGE},
    {"a client that can and saw no offer", false, true, "y,,", NULL,
     SMTP_SASL_JUDGE},
    {"the same where there was none", false, false, "y,,", NULL,
     SMTP_SASL_CHALLENGE},
    {"a binding that was not announced", false, true, "n,,", binding,
     SMTP_SASL_JUDGE},
};

static void
a_binding_has_to_be_that_of_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
        struct smtp_sasl_server s;
        struct buf out = {0}, first = {0}, final = {0};
        enum smtp_sasl_next next;

        buf_printf(&first, "%sn=user,r=x", bindings[i].gs2);
        add_final(bindings[i].gs2, "n=user,r=x", bindings[i].bound, &final);
        next = play(&s, bindings[i].is_plus, bindings[i].has_binding,
                    buf_slice(&first), buf_slice(&final), &out);
        if (next != bindings[i].next)
            fail_msg("%s: %d", bindings[i].name, next);
        smtp_sasl_server_done(&s);
        buf_free(&out);
        buf_free(&first);
        buf_free(&final);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_has_two_nuls_a_user_and_a_password),
        cmocka_unit_test(login_asks_for_a_user_and_then_for_a_password),
        cmocka_unit_test(login_refuses_what_is_empty_or_holds_a_nul),
        cmocka_unit_test(scram_goes_as_in_the_example_of_the_rfc),
        cmocka_unit_test(scram_wants_an_empty_response_at_the_end),
        cmocka_unit_test(a_scram_message_cut_anywhere_proves_nothing),
        cmocka_unit_test(a_scram_message_with_one_bit_wrong_proves_nothing),
        cmocka_unit_test(no_other_scram_message_proves_anything),
        cmocka_unit_test(a_binding_has_to_be_that_of_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
