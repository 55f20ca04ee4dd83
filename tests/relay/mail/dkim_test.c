#include "relay/mail/dkim.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char header[] = "Received: from a.example\r\n"
                             "\tby b.example; x\r\n"
                             "FROM:  \"Joe\t SixPack\"  <joe@one.example> \r\n"
                             "To: Suzie <suzie@two.example>\r\n"
                             "Subject:\r\n"
                             " Is dinner\r\n"
                             "\t ready?\r\n"
                             "Comments: first\r\n"
                             "Comments: second\r\n"
                             "X-Empty:\r\n";
static const char body[] = "Hi.\r\n\r\nWe lost  the \tgame. \r\n"
                           "\t Are you hungry yet?\r\n\r\nJoe. \r\n \r\n\r\n";

static const char *const names[] = {"To", "Subject", "Comments", "Date",
                                    "X-Empty"};

static void
drop_pkey(EVP_PKEY **p)
{
    EVP_PKEY_free(*p);
}

/* As a PEM file has it; behind a passphrase when one is given. */
static void
write_pem(EVP_PKEY *pkey, const char *passphrase, struct buf *out)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *p;
    long len;

    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
                         text, pkey, passphrase ? EVP_aes_128_cbc() : NULL,
                         passphrase, passphrase ? (int)strlen(passphrase) : 0,
                         NULL, NULL),
                     1);
    len = BIO_get_mem_data(text, &p);
    buf_add(out, (struct slice){p, (size_t)len});
    BIO_free(text);
}

static struct mail_dkim_key *
load(EVP_PKEY *pkey)
{
    scoped(buf_free) struct buf pem = {0};
    struct mail_dkim_key *k;
    struct err err;

    write_pem(pkey, NULL, &pem);
    k = mail_dkim_key_new(buf_slice(&pem), &err);
    if (!k)
        fail_msg("%s", err.text);
    return k;
}

/* RSA with that many bits, or Ed25519 for 0. */
static struct mail_dkim_key *
new_key(unsigned bits)
{
    scoped(drop_pkey) EVP_PKEY *pkey =
        bits ? EVP_RSA_gen(bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    assert_non_null(pkey);
    return load(pkey);
}

static void
hash_cut(struct slice text, size_t cut, uint8_t out[MAIL_DKIM_HASH_SIZE])
{
    scoped(mail_dkim_body_free) struct mail_dkim_body *b = mail_dkim_body_new();

    mail_dkim_body_feed(b, slice_first(text, cut));
    mail_dkim_body_feed(b, slice_from(text, cut));
    mail_dkim_body_end(b, out);
}

static bool
sign(const struct mail_dkim_key *k, const char *head, const char *text,
     struct buf *out, struct err *err)
{
    uint8_t hash[MAIL_DKIM_HASH_SIZE];
    struct mail_dkim_request r = {
        .domain = "one.example",
        .selector = "s1",
        .header = slice_of(head),
        .names = names,
        .name_count = sizeof(names) / sizeof(*names),
        .body_hash = hash,
        .unix_s = 1795000000,
    };

    hash_cut(slice_of(text), 0, hash);
    return mail_dkim_sign(k, &r, out, err);
}

/* The signature field of the usual message. */
static void
signature(const struct mail_dkim_key *k, const char *head, const char *text,
          struct buf *out)
{
    struct err err;

    if (!sign(k, head, text, out, &err))
        fail_msg("%s", err.text);
}

static bool
is_good(const struct mail_dkim_key *k, struct slice fields, const char *head,
        const char *text)
{
    scoped(buf_free) struct buf record = {0};
    FILE *to = popen("exec /usr/bin/python3 relay/mail/dkim_verify.py 1 "
                     "2>/dev/null",
                     "w");
    int status;

    assert_non_null(to);
    mail_dkim_key_record(k, &record);
    (void)fprintf(to, "s1._domainkey.one.example %s\n\n", buf_text(&record));
    (void)fwrite(fields.p, 1, fields.len, to);
    (void)fprintf(to, "%s\r\n%s", head, text);
    status = pclose(to);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 0;
}

static void
check_kind(unsigned bits, const char *algorithm)
{
    static const char *const bodies[] = {body, "", "\r\n \r\n\r\n", "no end",
                                         "lone \rCR\r\n"};
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(bits);

    assert_string_equal(mail_dkim_key_algorithm(k), algorithm);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        scoped(buf_free) struct buf field = {0};

        signature(k, header, bodies[i], &field);
        if (!is_good(k, buf_slice(&field), header, bodies[i]))
            fail_msg("%s, body %zu:\n%s", algorithm, i, buf_text(&field));
    }
}

/* RFC 6376 section 3.3 */
static void
an_rsa_signature_is_good_to_another_library(void **state)
{
    (void)state;
    check_kind(2048, "rsa-sha256");
}

/* RFC 8463 section 3 */
static void
an_ed25519_signature_is_good_to_another_library(void **state)
{
    (void)state;
    check_kind(0, "ed25519-sha256");
}

/* Old keys of 1024 bits are still in use: RFC 8301 section 3.2. */
static void
the_shortest_rsa_key_signs_too(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(1024);
    scoped(buf_free) struct buf field = {0};

    (void)state;
    signature(k, header, body, &field);
    assert_true(is_good(k, buf_slice(&field), header, body));
}

/* What relays may do on the way: RFC 6376 section 3.4. */
static void
it_stands_refolding_and_spaces_at_line_ends(void **state)
{
    static const char other[] =
        "received: added behind us\r\n"
        "from: \"Joe SixPack\" <joe@one.example>\r\n"
        "to:Suzie\r\n <suzie@two.example>  \r\n"
        "subject: Is dinner ready?\r\n"
        "Comments:first\r\nComments:second\r\nX-Empty: \r\n";
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    scoped(buf_free) struct buf field = {0};

    (void)state;
    signature(k, header, body, &field);
    assert_true(is_good(k, buf_slice(&field), other,
                        "Hi.\r\n\r\nWe lost the game.\t\r\n"
                        " Are you hungry yet?\r\n\r\nJoe.\r\n"));
}

/* RFC 6376 section 3.4.2; the other library knows no such fields. */
static void
space_in_front_of_the_colon_does_not_count(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    scoped(buf_free) struct buf with = {0}, without = {0};

    (void)state;
    signature(k, "From \t: a@one.example\r\n", body, &with);
    signature(k, "From:a@one.example\r\n", body, &without);
    assert_string_equal(buf_text(&with), buf_text(&without));
}

static void
what_is_changed_no_longer_verifies(void **state)
{
    static const struct {
        const char *head, *text;
    } rows[] = {
        {header, "Hi.\r\n\r\nWe won the game.\r\n"},
        {"From: mallory@one.example\r\nTo: Suzie <suzie@two.example>\r\n",
         body},
        {"From: \"Joe SixPack\" <joe@one.example>\r\n", body},
    };
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    scoped(mail_dkim_key_free) struct mail_dkim_key *other = new_key(0);
    scoped(buf_free) struct buf field = {0};

    (void)state;
    signature(k, header, body, &field);
    assert_true(is_good(k, buf_slice(&field), header, body));
    assert_false(is_good(other, buf_slice(&field), header, body));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_false(is_good(k, buf_slice(&field), rows[i].head, rows[i].text));
}

/* RFC 6376 section 8.15 */
static void
nobody_can_add_a_second_from(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    scoped(buf_free) struct buf field = {0}, above = {0}, below = {0};

    (void)state;
    signature(k, header, body, &field);
    buf_add_text(&above, "From: mallory@one.example\r\n");
    buf_add_text(&above, header);
    buf_add_text(&below, header);
    buf_add_text(&below, "From: mallory@one.example\r\n");
    assert_true(is_good(k, buf_slice(&field), header, body));
    assert_false(is_good(k, buf_slice(&field), buf_text(&above), body));
    assert_false(is_good(k, buf_slice(&field), buf_text(&below), body));
}

static void
every_instance_is_signed_and_no_absent_one(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    scoped(buf_free) struct buf field = {0};

    (void)state;
    signature(k, header, body, &field);
    assert_non_null(strstr(buf_text(&field),
                           " h=From:From:To:Subject:Comments:Comments:"
                           "X-Empty;\r\n"));
    assert_null(strstr(buf_text(&field), "Date"));
    assert_non_null(strstr(buf_text(&field), "; t=1795000000;\r\n"));
    assert_non_null(strstr(buf_text(&field), " d=one.example;\r\n s=s1;"));
    assert_null(strstr(buf_text(&field), "l="));
}

/* RFC 5322 section 2.1.1 */
static void
lines_stay_short(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(2048);
    scoped(buf_free) struct buf field = {0}, head = {0};
    struct slice rest;

    (void)state;
    buf_add_text(&head, header);
    for (int i = 0; i < 40; i++)
        buf_printf(&head, "Comments: %d\r\n", i);
    signature(k, buf_text(&head), body, &field);
    assert_true(is_good(k, buf_slice(&field), buf_text(&head), body));
    for (rest = buf_slice(&field); rest.len > 0;)
        assert_true(slice_cut(&rest, '\n').len <= 79); /* 78 and the CR */
}

/* The example of RFC 8463 appendix A.3, and RFC 6376 section 3.4.5. */
static void
body_hashes_are_those_of_the_standard(void **state)
{
    static const struct {
        const char *text, *hash;
    } rows[] = {
        {"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n",
         "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="},
        {"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
        {"\r\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
        {" \t\r\n \r\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint8_t hash[MAIL_DKIM_HASH_SIZE];
        char text[MAIL_DKIM_HASH_SIZE * 2];

        hash_cut(slice_of(rows[i].text), 0, hash);
        (void)EVP_EncodeBlock((unsigned char *)text, hash, sizeof(hash));
        assert_string_equal(text, rows[i].hash);
    }
}

static void
pieces_of_any_size_give_the_same_hash(void **state)
{
    static const char *const texts[] = {body, "\r\n\r\n a\r\n\r\n",
                                        "a\rb\r\r\nc\nd \r", " "};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct slice text = slice_of(texts[i]);
        uint8_t whole[MAIL_DKIM_HASH_SIZE], hash[MAIL_DKIM_HASH_SIZE];
        scoped(mail_dkim_body_free) struct mail_dkim_body *b =
            mail_dkim_body_new();

        hash_cut(text, 0, whole);
        for (size_t cut = 0; cut <= text.len; cut++) {
            hash_cut(text, cut, hash);
            assert_memory_equal(hash, whole, sizeof(hash));
            if (cut < text.len)
                mail_dkim_body_feed(b, (struct slice){text.p + cut, 1});
        }
        mail_dkim_body_end(b, hash);
        assert_memory_equal(hash, whole, sizeof(hash));
    }
}

/* More than is held at a time, and line ends that never come to count. */
static void
a_large_body_is_hashed_as_it_comes(void **state)
{
    scoped(buf_free) struct buf text = {0}, padded = {0};
    uint8_t a[MAIL_DKIM_HASH_SIZE], b[MAIL_DKIM_HASH_SIZE];

    (void)state;
    for (int i = 0; i < 20000; i++)
        buf_add_text(&text, i % 3 ? "word\r\n" : "\r\n");
    buf_add_text(&text, "end\r\n");
    buf_add(&padded, buf_slice(&text));
    for (int i = 0; i < 20000; i++)
        buf_add_text(&padded, " \r\n");
    hash_cut(buf_slice(&text), 0, a);
    hash_cut(buf_slice(&padded), 4097, b);
    assert_memory_equal(a, b, sizeof(a));
    buf_add_text(&padded, "x");
    hash_cut(buf_slice(&padded), 4097, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* RFC 8463 appendix A.2 */
static void
the_record_has_the_public_key(void **state)
{
    static const char seed[] = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    unsigned char raw[48];
    scoped(drop_pkey) EVP_PKEY *pkey = NULL;
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = NULL, *rsa = NULL;
    scoped(buf_free) struct buf record = {0}, other = {0};

    (void)state;
    (void)EVP_DecodeBlock(raw, (const unsigned char *)seed, (int)strlen(seed));
    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, 32);
    k = load(pkey);
    mail_dkim_key_record(k, &record);
    assert_string_equal(buf_text(&record),
                        "v=DKIM1; k=ed25519; "
                        "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    rsa = new_key(2048);
    mail_dkim_key_record(rsa, &other);
    assert_memory_equal(other.p, "v=DKIM1; k=rsa; p=MII", 21);
}

static void
refused_key(EVP_PKEY *pkey, const char *passphrase, const char *why)
{
    scoped(buf_free) struct buf pem = {0};
    struct err err = {0};

    write_pem(pkey, passphrase, &pem);
    assert_null(mail_dkim_key_new(buf_slice(&pem), &err));
    assert_int_equal(err.kind, ERR_INPUT);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

static void
keys_that_can_t_sign_are_refused(void **state)
{
    static const char *const texts[] = {
        "", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n",
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
        "-----END PUBLIC KEY-----\n"};
    scoped(drop_pkey) EVP_PKEY *small = EVP_RSA_gen(512),
                               *ec = EVP_EC_gen("P-256"),
                               *good = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct err err;

    (void)state;
    refused_key(small, NULL, "512 bits");
    refused_key(ec, NULL, "neither");
    refused_key(good, "secret", "passphrase");
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_null(mail_dkim_key_new(slice_of(texts[i]), &err));
}

static void
a_message_without_from_is_not_signed(void **state)
{
    static const char *const heads[] = {"", "To: a@b.example\r\n",
                                        "To: a\r\n\r\nFrom: in the body\r\n",
                                        "X-From: a\r\n From: folded\r\n"};
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    scoped(buf_free) struct buf out = {0};
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        assert_false(sign(k, heads[i], body, &out, &err));
        assert_int_equal(err.kind, ERR_INPUT);
    }
    assert_int_equal(out.len, 0);
}

static void
a_header_section_that_breaks_off_is_signed_as_far_as_it_goes(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);

    (void)state;
    for (size_t len = 0; len < sizeof(header); len++) {
        scoped(buf_free) struct buf out = {0}, head = {0};
        struct err err;

        buf_add(&head, (struct slice){header, len});
        (void)sign(k, buf_text(&head), body, &out, &err);
    }
}

static void
too_many_fields_are_refused(void **state)
{
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    scoped(buf_free) struct buf head = {0}, out = {0};
    struct err err;

    (void)state;
    buf_add_text(&head, "From: a@one.example\r\n");
    for (int i = 0; i < MAIL_DKIM_SIGNED_MAX; i++)
        buf_add_text(&head, "Comments: x\r\n");
    assert_false(sign(k, buf_text(&head), body, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(out.len, 0);
}

static void
names_that_would_break_the_field_are_refused(void **state)
{
    static const struct {
        const char *domain, *selector, *name;
    } rows[] = {
        {"", "s1", "To"},
        {"one.example; x=1", "s1", "To"},
        {"one.example\r\nX: y", "s1", "To"},
        {"one.example", "", "To"},
        {"one.example", "s 1", "To"},
        {"one.example", "s1", ""},
        {"one.example", "s1", "To:Cc"},
        {"one.example", "s1", "To;"},
        {"one.example", "s1", "To\r\n"},
        {"one.example", "s1", "T\xc3\xb6"},
    };
    scoped(mail_dkim_key_free) struct mail_dkim_key *k = new_key(0);
    static const uint8_t hash[MAIL_DKIM_HASH_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(buf_free) struct buf out = {0};
        struct mail_dkim_request r = {
            .domain = rows[i].domain,
            .selector = rows[i].selector,
            .header = slice_of(header),
            .names = &rows[i].name,
            .name_count = 1,
            .body_hash = hash,
        };
        struct err err;

        assert_false(mail_dkim_sign(k, &r, &out, &err));
        assert_int_equal(err.kind, ERR_INPUT);
        assert_int_equal(out.len, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_rsa_signature_is_good_to_another_library),
        cmocka_unit_test(an_ed25519_signature_is_good_to_another_library),
        cmocka_unit_test(the_shortest_rsa_key_signs_too),
        cmocka_unit_test(it_stands_refolding_and_spaces_at_line_ends),
        cmocka_unit_test(space_in_front_of_the_colon_does_not_count),
        cmocka_unit_test(what_is_changed_no_longer_verifies),
        cmocka_unit_test(nobody_can_add_a_second_from),
        cmocka_unit_test(every_instance_is_signed_and_no_absent_one),
        cmocka_unit_test(lines_stay_short),
        cmocka_unit_test(body_hashes_are_those_of_the_standard),
        cmocka_unit_test(pieces_of_any_size_give_the_same_hash),
        cmocka_unit_test(a_large_body_is_hashed_as_it_comes),
        cmocka_unit_test(the_record_has_the_public_key),
        cmocka_unit_test(keys_that_can_t_sign_are_refused),
        cmocka_unit_test(a_message_without_from_is_not_signed),
        cmocka_unit_test(
            a_header_section_that_breaks_off_is_signed_as_far_as_it_goes),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(names_that_would_break_the_field_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
