#include "relay/mail/dkim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static const char pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

/* RFC 6376 section 3.6.1 */
static void
a_record_fits_or_it_is_said_why_not(void **state)
{
    static const struct {
        const char *record, *why; /* NULL: it fits */
    } rows[] = {
        {"v=DKIM1; k=ed25519; p=" P, NULL},
        {"k=ed25519;p=" P ";", NULL},
        {"v=DKIM1;k=ed25519;h=sha1:sha256;s=*;t=y;p=11qYAYKxCrfVS/7Ty WQHOg7h\t"
         "cvPapiMlrwIaaPcHURo=",
         NULL},
        {"v=DKIM1; k=ed25519; s=email : tlsrpt; p=" P, NULL},
        {"v=DKIM2; k=ed25519; p=" P, "its v="},
        {"v=DKIM1; k=rsa; p=" P, "its k="},
        {"v=DKIM1; p=" P, "its k="},
        {"v=DKIM1; k=ed25519; p=", "revoked"},
        {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=",
         "another key"},
        {"v=DKIM1; k=ed25519; p=11qY", "another key"},
        {"v=DKIM1; k=ed25519", "no p="},
        {"v=spf1 -all", "its v="},
        {"", "no p="},
        {"v=DKIM1; k=ed25519; h=sha1; p=" P, "its h="},
        {"v=DKIM1; k=ed25519; s=tlsrpt; p=" P, "its s="},
        {"v=DKIM1; k=ed25519; s=emails; p=" P, "its s="},
    };
    struct err err;
    scoped(mail_dkim_key_free) struct mail_dkim_key *k =
        mail_dkim_key_new(slice_of(pem), &err);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        bool fits = mail_dkim_record_fits(k, slice_of(rows[i].record), &err);

        if (fits != (rows[i].why == NULL) ||
            (!fits && !strstr(err.text, rows[i].why)))
            fail_msg("%s: %s", rows[i].record, fits ? "fits" : err.text);
    }
}

static void
a_record_cut_off_anywhere_does_not_fit(void **state)
{
    static const char record[] = "v=DKIM1; k=ed25519; p=" P;
    struct err err;
    scoped(mail_dkim_key_free) struct mail_dkim_key *k =
        mail_dkim_key_new(slice_of(pem), &err);

    (void)state;
    for (size_t len = 0; len < sizeof(record) - 1; len++)
        assert_false(
            mail_dkim_record_fits(k, (struct slice){record, len}, &err));
}

/* RFC 8460 section 3 */
static void
a_record_says_what_it_is_for(void **state)
{
    static const struct {
        const char *record;
        bool is_for_reports;
    } rows[] = {
        {"v=DKIM1; p=x", true},
        {"v=DKIM1; s=*; p=x", true},
        {"v=DKIM1; s=email:tlsrpt; p=x", true},
        {"v=DKIM1; s=email : *; p=x", true},
        {"v=DKIM1; s=tlsrpt; p=x", true},
        {"v=DKIM1; s=email; p=x", false},
        {"v=DKIM1; s=; p=x", false},
        {"v=DKIM1; s=tlsrpts; p=x", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(
            mail_dkim_record_serves(slice_of(rows[i].record), "tlsrpt"),
            rows[i].is_for_reports);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_fits_or_it_is_said_why_not),
        cmocka_unit_test(a_record_cut_off_anywhere_does_not_fit),
        cmocka_unit_test(a_record_says_what_it_is_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
