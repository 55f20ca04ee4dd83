#include "smtp/sasl_scram.h"

#include "relay/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 7677 section 3: user "user", password "pencil". */
static void
the_vector_of_the_rfc_holds(void **state)
{
    static const char message[] =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    scoped(buf_free) struct buf salt = {0}, proof = {0}, verifier = {0};
    uint8_t salted[SMTP_SASL_SCRAM_KEY], signature[SMTP_SASL_SCRAM_KEY];
    struct smtp_sasl_scram_keys keys;

    (void)state;
    assert_true(base64_read(slice_of("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt));
    smtp_sasl_scram_salt(slice_of("pencil"), buf_slice(&salt), 4096, salted);
    smtp_sasl_scram_derive(salted, &keys);
    smtp_sasl_scram_sign(keys.stored, slice_of(message), signature);
    for (size_t i = 0; i < SMTP_SASL_SCRAM_KEY; i++)
        signature[i] ^= keys.client[i];
    base64_add((struct slice){(char *)signature, sizeof(signature)}, &proof);
    assert_string_equal(buf_text(&proof),
                        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    smtp_sasl_scram_sign(keys.server, slice_of(message), signature);
    base64_add((struct slice){(char *)signature, sizeof(signature)}, &verifier);
    assert_string_equal(buf_text(&verifier),
                        "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_of_the_rfc_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
