#include "relay/net/tls_stream.h"

#include "relay/net/tls_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/net/certificates.h"
#include "relay/net/tls_pair.h"

static struct authority ca, stranger;

static const char *
path(const char *file)
{
    return authority_path(&ca, file);
}

static void
issue(const char *file, const char *names)
{
    authority_issue(&ca, file,
                    &(struct wish){.common_name = "x", .names = names});
}

static int
make(void **state)
{
    (void)state;
    authority_open(&ca);
    authority_open(&stranger);
    issue("good", "DNS:mx.example.com");
    issue("several", "DNS:a.example.com,DNS:b.example.com");
    issue("star", "DNS:*.example.com");
    issue("partial", "DNS:m*.example.com,DNS:*x.example.com");
    issue("middle", "DNS:mx.*.com");
    issue("top", "DNS:*.com");
    issue("all", "DNS:*");
    issue("address", "IP:192.0.2.1");
    issue("other", "otherName:1.2.3.4;UTF8:mx.example.com");
    issue("mail", "email:postmaster@mx.example.com");
    authority_issue(&ca, "common",
                    &(struct wish){.common_name = "mx.example.com"});
    authority_issue(&ca, "old",
                    &(struct wish){"x", "DNS:mx.example.com", -3L * DAY_S,
                                   -1L * DAY_S, false, false});
    authority_issue(&ca, "early",
                    &(struct wish){"x", "DNS:mx.example.com", DAY_S, 2L * DAY_S,
                                   false, false});
    authority_issue(
        &ca, "self",
        &(struct wish){"x", "DNS:mx.example.com", 0, 0, false, true});
    authority_issue(
        &stranger, "good",
        &(struct wish){.common_name = "x", .names = "DNS:mx.example.com"});
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    authority_close(&ca);
    authority_close(&stranger);
    return 0;
}

static struct net_tls *
server_of(struct authority *a, const char *file)
{
    char certificate[PATH_SIZE], key[PATH_SIZE];
    struct err err;
    struct net_tls *t;

    (void)snprintf(certificate, sizeof(certificate), "%s/%s.pem", a->dir, file);
    (void)snprintf(key, sizeof(key), "%s/%s.key", a->dir, file);
    t = make_server(certificate, key, (struct net_tls_server_setup){0}, &err);
    assert_non_null(t);
    return t;
}

static struct net_tls *
client(void)
{
    struct err err;
    struct net_tls *t = net_tls_client(path("ca.pem"), &err);

    assert_non_null(t);
    return t;
}

/* ---- the table of certificates ---- */

static const struct {
    const char *file; /* "!": of an authority nobody trusts */
    const char *name;
    enum net_tls_verdict verdict;
} certificates[] = {
    {"good", "mx.example.com", NET_TLS_VERIFIED},
    {"good", "MX.Example.COM", NET_TLS_VERIFIED},
    {"several", "b.example.com", NET_TLS_VERIFIED},
    {"star", "mx.example.com", NET_TLS_VERIFIED},

    {"good", "my.example.com", NET_TLS_WRONG_NAME},
    {"good", "example.com", NET_TLS_WRONG_NAME},
    {"good", "a.mx.example.com", NET_TLS_WRONG_NAME},
    {"star", "example.com", NET_TLS_WRONG_NAME},
    {"star", "a.mx.example.com", NET_TLS_WRONG_NAME},
    {"partial", "mx.example.com", NET_TLS_WRONG_NAME},
    {"middle", "mx.example.com", NET_TLS_WRONG_NAME},
    {"top", "example.com", NET_TLS_WRONG_NAME},
    {"top", "mx.example.com", NET_TLS_WRONG_NAME},
    {"all", "mx.example.com", NET_TLS_WRONG_NAME},
    {"all", "com", NET_TLS_WRONG_NAME},
    {"address", "192.0.2.1", NET_TLS_WRONG_NAME},
    {"address", "mx.example.com", NET_TLS_WRONG_NAME},
    {"other", "mx.example.com", NET_TLS_WRONG_NAME},
    {"mail", "mx.example.com", NET_TLS_WRONG_NAME},
    {"common", "mx.example.com", NET_TLS_WRONG_NAME},

    /* Reference names that are no hosts match nothing. */
    {"good", NULL, NET_TLS_WRONG_NAME},
    {"good", "", NET_TLS_WRONG_NAME},
    {"good", ".example.com", NET_TLS_WRONG_NAME},
    {"star", "*.example.com", NET_TLS_WRONG_NAME},

    {"old", "mx.example.com", NET_TLS_EXPIRED},
    {"early", "mx.example.com", NET_TLS_EXPIRED},
    {"self", "mx.example.com", NET_TLS_NOT_TRUSTED},
    {"!good", "mx.example.com", NET_TLS_NOT_TRUSTED},
};

static void
try_certificate(size_t i, enum net_tls_check check)
{
    bool is_strange = certificates[i].file[0] == '!';
    bool is_good = certificates[i].verdict == NET_TLS_VERIFIED;
    bool may_go = is_good || check != NET_TLS_CHECK_PKIX;
    struct net_tls *server = server_of(is_strange ? &stranger : &ca,
                                       certificates[i].file + is_strange);
    struct net_tls_setup setup = {
        .tls = client(), .check = check, .names = {certificates[i].name}};
    struct pair p;

    meet(&p, &setup, server);
    assert_int_equal(facts(&p)->verdict, certificates[i].verdict);
    assert_int_equal(p.client.step, may_go ? NET_TLS_SECURED : NET_TLS_REFUSED);
    if (!may_go) {
        assert_int_equal(p.client.err.kind, ERR_TLS);
        assert_string_equal(p.client.err.text, facts(&p)->why);
        /* The server has been told by an alert. */
        assert_false(p.server.step == NET_TLS_SECURED &&
                     p.server.err.kind == ERR_NONE);
    }
    assert_true((facts(&p)->why[0] == '\0') == is_good);
    assert_true((facts(&p)->matched[0] != '\0') == is_good);
    if (is_good)
        assert_string_equal(facts(&p)->matched, certificates[i].name);
    assert_true(facts(&p)->not_after > 0);
    assert_string_equal(facts(&p)->version, "TLSv1.3");
    part(&p);
    net_tls_free(&setup.tls);
    net_tls_free(&server);
}

/* Reference names by RFC 6125 section 6.4. */
static void
pkix_refuses_all_but_the_named_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++)
        try_certificate(i, NET_TLS_CHECK_PKIX);
}

static void
observing_finds_the_same_and_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++)
        try_certificate(i, NET_TLS_CHECK_OBSERVE);
}

static void
without_a_check_the_certificate_is_only_recorded(void **state)
{
    struct net_tls *server = server_of(&stranger, "good");
    struct net_tls_setup setup = {.tls = client()};
    struct pair p;

    (void)state;
    meet(&p, &setup, server);
    assert_int_equal(p.client.step, NET_TLS_SECURED);
    assert_int_equal(facts(&p)->verdict, NET_TLS_UNCHECKED);
    assert_string_equal(facts(&p)->subject, "mx.example.com");
    assert_string_equal(facts(&p)->issuer, "CN=Test Authority");
    assert_int_equal(net_tls_stream_facts(p.server.stream)->verdict,
                     NET_TLS_UNCHECKED);
    assert_string_equal(net_tls_stream_facts(p.server.stream)->version,
                        "TLSv1.3");
    part(&p);
    net_tls_free(&setup.tls);
    net_tls_free(&server);
}

/* The SHA-256 of a certificate, or of its public key. */
static struct net_tls_fingerprint
fingerprint_of(const char *file, bool of_key)
{
    struct net_tls_fingerprint f = {.of_key = of_key};
    FILE *in = fopen(path(file), "r");
    X509 *x = in ? PEM_read_X509(in, NULL, NULL, NULL) : NULL;
    unsigned char *der = NULL;
    int len;

    assert_non_null(x);
    (void)fclose(in);
    len = of_key ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der)
                 : i2d_X509(x, &der);
    assert_true(len > 0);
    (void)SHA256(der, (size_t)len, f.sha256);
    OPENSSL_free(der);
    X509_free(x);
    return f;
}

static void
only_a_pinned_certificate_will_do(void **state)
{
    static const enum net_tls_check checks[] = {
        NET_TLS_CHECK_NONE, NET_TLS_CHECK_OBSERVE, NET_TLS_CHECK_PKIX};
    struct net_tls *server = server_of(&ca, "good");
    struct net_tls_fingerprint pins[2];

    (void)state;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        for (int of_key = 0; of_key < 2; of_key++) {
            struct net_tls_setup setup = {.tls = client(),
                                          .check = checks[i],
                                          .names = {"mx.example.com"},
                                          .fingerprints = pins,
                                          .fingerprint_count = 2};
            struct pair p;

            pins[0] = fingerprint_of("several.pem", of_key);
            pins[1] = fingerprint_of("good.pem", of_key);
            meet(&p, &setup, server);
            assert_int_equal(p.client.step, NET_TLS_SECURED);
            part(&p);
            setup.fingerprint_count = 1;
            meet(&p, &setup, server);
            assert_int_not_equal(p.client.step, NET_TLS_SECURED);
            assert_string_equal(facts(&p)->why,
                                "the certificate is none of those pinned");
            part(&p);
            net_tls_free(&setup.tls);
        }
    }
    net_tls_free(&server);
}

static enum net_tls_verdict
verdict_under(struct net_tls *anchors, struct authority *issuer)
{
    struct net_tls *server = server_of(issuer, "good");
    struct net_tls_setup setup = {.tls = anchors,
                                  .check = NET_TLS_CHECK_PKIX,
                                  .names = {"mx.example.com"}};
    enum net_tls_verdict verdict;
    struct pair p;

    meet(&p, &setup, server);
    verdict = facts(&p)->verdict;
    part(&p);
    net_tls_free(&server);
    return verdict;
}

/* An anchor need not sign itself: the host's own certificate may be one. */
static void
anchors_of_ones_own_stand_instead_of_all_others(void **state)
{
    static const struct {
        const char *anchors;
        enum net_tls_verdict of_ours, of_the_strangers;
    } rows[] = {
        {"ca.pem", NET_TLS_VERIFIED, NET_TLS_NOT_TRUSTED},
        {"good.pem", NET_TLS_VERIFIED, NET_TLS_NOT_TRUSTED},
        {"several.pem", NET_TLS_NOT_TRUSTED, NET_TLS_NOT_TRUSTED},
        {NULL, NET_TLS_NOT_TRUSTED, NET_TLS_NOT_TRUSTED},
    };

    (void)state;
    setenv("SSL_CERT_FILE", authority_path(&stranger, "ca.pem"), 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err err;
        struct net_tls *t = net_tls_client_of(
            rows[i].anchors ? path(rows[i].anchors) : "", &err);
        struct net_tls *like = net_tls_client_like(t);

        assert_int_equal(verdict_under(t, &ca), rows[i].of_ours);
        assert_int_equal(verdict_under(t, &stranger), rows[i].of_the_strangers);
        net_tls_free(&t);
        assert_int_equal(verdict_under(like, &ca), rows[i].of_ours);
        assert_int_equal(verdict_under(like, &stranger),
                         rows[i].of_the_strangers);
        net_tls_free(&like);
    }
    unsetenv("SSL_CERT_FILE");
}

static void
any_one_of_the_names_is_enough(void **state)
{
    struct net_tls *server = server_of(&ca, "several");
    struct net_tls_setup setup = {
        .tls = client(),
        .check = NET_TLS_CHECK_PKIX,
        .names = {"c.example.com", "b.example.com", "a.example.com"}};
    struct pair p;

    (void)state;
    meet(&p, &setup, server);
    assert_int_equal(facts(&p)->verdict, NET_TLS_VERIFIED);
    assert_string_equal(facts(&p)->matched, "b.example.com");
    part(&p);
    net_tls_free(&setup.tls);
    net_tls_free(&server);
}

/* ---- DANE ---- */

/* The SHA-256 digest of a certificate, for TLSA x 0 1. */
static void
digest_of(const char *certificate, uint8_t digest[32])
{
    FILE *f = fopen(certificate, "r");
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    unsigned len;

    fclose(f);
    assert_int_equal(X509_digest(x, EVP_sha256(), digest, &len), 1);
    X509_free(x);
}

static enum net_tls_verdict
try_dane(const char *file, uint8_t usage, const uint8_t *digest, size_t len)
{
    struct net_tls_tlsa tlsa = {usage, 0, 1, digest, len};
    struct net_tls *server = server_of(&ca, file);
    struct net_tls_setup setup = {.tls = client(),
                                  .check = NET_TLS_CHECK_DANE,
                                  .dane_base = "mx.example.com",
                                  .tlsa = &tlsa,
                                  .tlsa_count = 1};
    struct pair p;
    enum net_tls_verdict verdict;

    meet(&p, &setup, server);
    verdict = facts(&p)->verdict;
    assert_int_equal(p.client.step, verdict == NET_TLS_VERIFIED
                                        ? NET_TLS_SECURED
                                        : NET_TLS_REFUSED);
    part(&p);
    net_tls_free(&setup.tls);
    net_tls_free(&server);
    return verdict;
}

static void
dane_believes_the_records_and_nothing_else(void **state)
{
    static const char *const files[] = {"good", "old", "self", "common"};
    uint8_t digest[32];

    (void)state;
    /* DANE-EE: RFC 7672 section 3.1.1, neither names nor dates. */
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char file[32];

        (void)snprintf(file, sizeof(file), "%s.pem", files[i]);
        digest_of(path(file), digest);
        assert_int_equal(try_dane(files[i], 3, digest, 32), NET_TLS_VERIFIED);
        digest[7] ^= 1;
        assert_int_equal(try_dane(files[i], 3, digest, 32),
                         NET_TLS_NOT_TRUSTED);
    }
    /* The same certificate under PKIX usages, and what is no record. */
    digest_of(path("good.pem"), digest);
    assert_int_equal(try_dane("good", 0, digest, 32), NET_TLS_NOT_TRUSTED);
    assert_int_equal(try_dane("good", 1, digest, 32), NET_TLS_NOT_TRUSTED);
    assert_int_equal(try_dane("good", 4, digest, 32), NET_TLS_NOT_TRUSTED);
    assert_int_equal(try_dane("good", 255, digest, 32), NET_TLS_NOT_TRUSTED);
    for (size_t len = 0; len < 32; len++)
        assert_int_equal(try_dane("good", 3, digest, len), NET_TLS_NOT_TRUSTED);
}

/* A server that sends its authority as well, as DANE-TA needs it. */
static void
with_chain(const char *file)
{
    char command[4 * PATH_SIZE];

    (void)snprintf(command, sizeof(command),
                   "cd %s && cat %s.pem ca.pem > chain.pem && "
                   "cp %s.key chain.key",
                   ca.dir, file, file);
    assert_int_equal(system(command), 0);
}

/* By DANE all of them are good; what PKIX would say is noted beside it. */
static void
beside_dane_the_facts_say_what_pkix_would(void **state)
{
    static const struct {
        const char *file;
        enum net_tls_verdict verdict;
    } rows[] = {{"good", NET_TLS_VERIFIED},
                {"old", NET_TLS_EXPIRED},
                {"several", NET_TLS_WRONG_NAME},
                {"common", NET_TLS_WRONG_NAME},
                {"self", NET_TLS_NOT_TRUSTED}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct net_tls *c = client(), *server = server_of(&ca, rows[i].file);
        char file[32];
        uint8_t digest[32];
        struct net_tls_tlsa record = {3, 0, 1, digest, 32};
        struct net_tls_setup setup = {.tls = c,
                                      .check = NET_TLS_CHECK_DANE,
                                      .dane_base = "base.example",
                                      .names = {"base.example"},
                                      .pkix_name = "mx.example.com",
                                      .tlsa = &record,
                                      .tlsa_count = 1};
        struct pair p;

        (void)snprintf(file, sizeof(file), "%s.pem", rows[i].file);
        digest_of(path(file), digest);
        meet(&p, &setup, server);
        assert_int_equal(facts(&p)->verdict, NET_TLS_VERIFIED);
        assert_int_equal(facts(&p)->pkix_verdict, rows[i].verdict);
        assert_int_equal(facts(&p)->pkix_why[0] == '\0',
                         rows[i].verdict == NET_TLS_VERIFIED);
        part(&p);
        net_tls_free(&c);
        net_tls_free(&server);
    }
}

static void
observing_the_records_finds_the_same_and_goes_on(void **state)
{
    (void)state;
    for (int is_right = 0; is_right < 2; is_right++) {
        struct net_tls *c = client(), *server = server_of(&ca, "self");
        uint8_t digest[32];
        struct net_tls_tlsa record = {3, 0, 1, digest, 32};
        struct net_tls_setup setup = {.tls = c,
                                      .check = NET_TLS_CHECK_OBSERVE_DANE,
                                      .dane_base = "base.example",
                                      .tlsa = &record,
                                      .tlsa_count = 1};
        struct pair p;

        digest_of(path("self.pem"), digest);
        digest[7] ^= !is_right;
        meet(&p, &setup, server);
        assert_int_equal(p.client.step, NET_TLS_SECURED);
        assert_int_equal(facts(&p)->verdict,
                         is_right ? NET_TLS_VERIFIED : NET_TLS_NOT_TRUSTED);
        part(&p);
        net_tls_free(&c);
        net_tls_free(&server);
    }
}

static void
dane_ta_wants_the_name_and_the_dates(void **state)
{
    uint8_t digest[32];

    (void)state;
    digest_of(path("ca.pem"), digest);
    with_chain("good");
    assert_int_equal(try_dane("chain", 2, digest, 32), NET_TLS_VERIFIED);
    with_chain("several");
    assert_int_equal(try_dane("chain", 2, digest, 32), NET_TLS_WRONG_NAME);
    with_chain("old");
    assert_int_equal(try_dane("chain", 2, digest, 32), NET_TLS_EXPIRED);
    digest[0] ^= 1;
    with_chain("good");
    assert_int_equal(try_dane("chain", 2, digest, 32), NET_TLS_NOT_TRUSTED);
}

/* ---- what is shown to people ---- */

static void
show(const char *file, const struct net_tls_tlsa *tlsa,
     struct net_tls_chain *chain)
{
    struct net_tls *server = server_of(&ca, file);
    struct net_tls_setup setup = {.tls = client(),
                                  .check = tlsa ? NET_TLS_CHECK_DANE
                                                : NET_TLS_CHECK_PKIX,
                                  .names = {"mx.example.com"},
                                  .dane_base = "mx.example.com",
                                  .tlsa = tlsa,
                                  .tlsa_count = tlsa ? 1 : 0,
                                  .chain = chain};
    struct pair p;

    *chain = (struct net_tls_chain){0};
    meet(&p, &setup, server);
    part(&p);
    net_tls_free(&setup.tls);
    net_tls_free(&server);
}

static void
the_chain_is_shown_whether_it_will_do_or_not(void **state)
{
    struct net_tls_chain chain;
    time_t now = time(NULL);

    (void)state;
    with_chain("good");
    show("chain", NULL, &chain);
    assert_int_equal(chain.count, 2);
    assert_string_equal(chain.certificates[0].issuer, "CN=Test Authority");
    assert_string_equal(chain.certificates[1].subject, "CN=Test Authority");
    assert_true(chain.certificates[0].not_before < now);
    assert_true(chain.certificates[0].not_after > now);
    assert_false(chain.tlsa.is_found);
    show("other", NULL, &chain);
    assert_int_equal(chain.count, 1);
    show("old", NULL, &chain);
    assert_int_equal(chain.count, 1);
    assert_true(chain.certificates[0].not_after < now);
}

static void
the_record_that_matched_is_shown(void **state)
{
    struct net_tls_chain chain;
    uint8_t digest[32];
    struct net_tls_tlsa tlsa = {3, 0, 1, digest, sizeof(digest)};

    (void)state;
    digest_of(path("good.pem"), digest);
    show("good", &tlsa, &chain);
    assert_true(chain.tlsa.is_found);
    assert_int_equal(chain.tlsa.usage, 3);
    assert_int_equal(chain.tlsa.selector, 0);
    assert_int_equal(chain.tlsa.matching, 1);
    assert_int_equal(chain.tlsa.len, sizeof(digest));
    assert_memory_equal(chain.tlsa.data, digest, sizeof(digest));
    digest[0] ^= 1;
    show("good", &tlsa, &chain);
    assert_false(chain.tlsa.is_found);
    assert_int_equal(chain.count, 1);
}

/* ---- sessions ---- */

static bool
is_resumed(struct net_tls *c, struct net_tls *s, const char *key,
           enum net_tls_check check)
{
    struct net_tls_setup setup = {.tls = c,
                                  .check = check,
                                  .names = {"mx.example.com"},
                                  .session_key = key};
    struct pair p;
    bool resumed;

    meet(&p, &setup, s);
    assert_int_equal(p.client.step, NET_TLS_SECURED);
    resumed = facts(&p)->resumed;
    assert_int_equal(net_tls_stream_facts(p.server.stream)->resumed, resumed);
    assert_int_equal(facts(&p)->verdict, check == NET_TLS_CHECK_NONE
                                             ? NET_TLS_UNCHECKED
                                             : NET_TLS_VERIFIED);
    assert_string_equal(facts(&p)->subject, "mx.example.com");
    net_tls_stream_finish(p.client.stream);
    part(&p);
    return resumed;
}

static void
sessions_are_resumed_only_under_an_equal_key(void **state)
{
    struct net_tls *c = client(), *s = server_of(&ca, "good");

    (void)state;
    assert_false(is_resumed(c, s, NULL, NET_TLS_CHECK_PKIX));
    assert_false(is_resumed(c, s, "mx pkix", NET_TLS_CHECK_PKIX));
    assert_true(is_resumed(c, s, "mx pkix", NET_TLS_CHECK_PKIX));
    assert_true(is_resumed(c, s, "mx pkix", NET_TLS_CHECK_PKIX));
    assert_false(is_resumed(c, s, "mx none", NET_TLS_CHECK_NONE));
    assert_false(is_resumed(c, s, NULL, NET_TLS_CHECK_PKIX));
    assert_false(is_resumed(c, s, "", NET_TLS_CHECK_PKIX));
    net_tls_free(&c);
    net_tls_free(&s);
}

static void
tickets_are_good_for_one_listener(void **state)
{
    struct net_tls *c = client(), *one = server_of(&ca, "good"),
                   *two = server_of(&ca, "good");

    (void)state;
    assert_false(is_resumed(c, one, "k", NET_TLS_CHECK_PKIX));
    assert_false(is_resumed(c, two, "k", NET_TLS_CHECK_PKIX));
    net_tls_free(&c);
    net_tls_free(&one);
    net_tls_free(&two);
}

static void
a_server_that_declines_is_checked_as_any_other(void **state)
{
    struct net_tls *c = client(), *one = server_of(&ca, "good"),
                   *two = server_of(&stranger, "good");
    struct net_tls_setup setup = {.tls = c,
                                  .check = NET_TLS_CHECK_PKIX,
                                  .names = {"mx.example.com"},
                                  .session_key = "k"};
    struct pair p;

    (void)state;
    assert_false(is_resumed(c, one, "k", NET_TLS_CHECK_PKIX));
    meet(&p, &setup, two);
    assert_int_equal(p.client.step, NET_TLS_REFUSED);
    assert_int_equal(facts(&p)->verdict, NET_TLS_NOT_TRUSTED);
    assert_false(facts(&p)->resumed);
    part(&p);
    net_tls_free(&c);
    net_tls_free(&one);
    net_tls_free(&two);
}

static void
a_failed_check_is_never_kept(void **state)
{
    struct net_tls *c = client(), *s = server_of(&stranger, "good");
    struct net_tls_setup setup = {.tls = c,
                                  .check = NET_TLS_CHECK_OBSERVE,
                                  .names = {"mx.example.com"},
                                  .session_key = "k"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pair p;

        meet(&p, &setup, s);
        assert_int_equal(facts(&p)->verdict, NET_TLS_NOT_TRUSTED);
        assert_false(facts(&p)->resumed);
        part(&p);
    }
    net_tls_free(&c);
    net_tls_free(&s);
}

static void
a_stream_outlives_its_context(void **state)
{
    struct net_tls *s = server_of(&ca, "good");
    struct net_tls_setup client_setup = {.tls = client(), .session_key = "k"};
    struct net_tls_setup server_setup = {.tls = s, .is_server = true};
    struct slice nothing = {0};
    struct pair p = {0};

    (void)state;
    p.client.stream = net_tls_stream_new(&client_setup, &p.client.out);
    p.server.stream = net_tls_stream_new(&server_setup, &p.server.out);
    net_tls_free(&client_setup.tls);
    net_tls_free(&s);
    shake(&p.client, &nothing);
    for (int i = 0; i < 6; i++) {
        carry(&p.client, &p.server, SIZE_MAX);
        carry(&p.server, &p.client, SIZE_MAX);
    }
    assert_int_equal(p.client.step, NET_TLS_SECURED);
    assert_int_equal(p.server.step, NET_TLS_SECURED);
    part(&p);
}

/* ---- channel bindings ---- */

static void
expect_binding(int version, bool want)
{
    struct net_tls *c = client(), *s = server_of(&ca, "good");
    struct net_tls_setup setup = {.tls = c};
    uint8_t ours[NET_TLS_BINDING_LEN], theirs[NET_TLS_BINDING_LEN];
    uint8_t others[NET_TLS_BINDING_LEN];
    struct pair p, q;

    SSL_CTX_set_max_proto_version(c->ssl, version);
    meet(&p, &setup, s);
    assert_int_equal(p.client.step, NET_TLS_SECURED);
    assert_int_equal(net_tls_stream_binding(p.client.stream, ours), want);
    assert_int_equal(net_tls_stream_binding(p.server.stream, theirs), want);
    if (want) {
        assert_memory_equal(ours, theirs, sizeof(ours));
        meet(&q, &setup, s);
        assert_true(net_tls_stream_binding(q.server.stream, others));
        assert_memory_not_equal(ours, others, sizeof(ours));
        part(&q);
    }
    part(&p);
    net_tls_free(&c);
    net_tls_free(&s);
}

/* RFC 9266 */
static void
both_ends_and_no_other_session_have_the_same_binding(void **state)
{
    (void)state;
    expect_binding(TLS1_3_VERSION, true);
    expect_binding(TLS1_2_VERSION, false);
}

static void
there_is_no_binding_before_the_handshake(void **state)
{
    struct net_tls_setup setup = {.tls = client()};
    struct buf out = {0};
    struct net_tls_stream *s = net_tls_stream_new(&setup, &out);
    uint8_t binding[NET_TLS_BINDING_LEN];

    (void)state;
    assert_false(net_tls_stream_binding(s, binding));
    net_tls_stream_free(&s);
    net_tls_free(&setup.tls);
    buf_free(&out);
}

/* ---- splits, and what must not happen ---- */

static void
records_may_be_cut_anywhere(void **state)
{
    struct net_tls *s = server_of(&ca, "good");
    struct net_tls_setup server_setup = {.tls = s, .is_server = true};
    struct net_tls_setup setup = {.tls = client(),
                                  .check = NET_TLS_CHECK_PKIX,
                                  .names = {"mx.example.com"}};
    struct err err;

    (void)state;
    for (size_t cut = 1; cut < 8; cut++) {
        struct pair p;
        char plain[NET_TLS_PLAIN_MAX];
        struct buf heard = {0};

        meet_cut(&p, &setup, &server_setup, cut);
        assert_int_equal(p.client.step, NET_TLS_SECURED);
        assert_int_equal(p.server.step, NET_TLS_SECURED);
        assert_true(net_tls_stream_write(p.client.stream,
                                         slice_of("EHLO x\r\n"), &err));
        net_tls_stream_finish(p.client.stream);
        for (size_t i = 0; i < p.client.out.len; i += cut) {
            struct slice in =
                slice_first(slice_from(buf_slice(&p.client.out), i), cut);
            size_t got;

            while (in.len > 0) {
                assert_true(net_tls_stream_read(p.server.stream, &in, plain,
                                                &got, &err));
                buf_add(&heard, (struct slice){plain, got});
            }
        }
        assert_true(slice_is(buf_slice(&heard), "EHLO x\r\n"));
        assert_true(net_tls_stream_is_ended(p.server.stream));
        buf_free(&heard);
        part(&p);
    }
    net_tls_free(&setup.tls);
    net_tls_free(&s);
}

static void
clear_text_is_no_handshake(void **state)
{
    static const char *const texts[] = {
        "EHLO evil.example\r\n", "220 mx.example.com ESMTP\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"};
    struct net_tls *s = server_of(&ca, "good");
    struct net_tls *c = client();

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(texts) / sizeof(texts[0]); i++) {
        bool is_server = i % 2;
        struct net_tls_setup setup = {.tls = is_server ? s : c,
                                      .is_server = is_server};
        struct slice in = slice_of(texts[i / 2]);
        struct side side = {0};

        side.stream = net_tls_stream_new(&setup, &side.out);
        shake(&side, &in);
        assert_int_equal(side.step, NET_TLS_REFUSED);
        assert_int_equal(side.err.kind, ERR_TLS);
        assert_int_equal(net_tls_stream_facts(side.stream)->verdict,
                         NET_TLS_BROKEN);
        assert_true(net_tls_stream_facts(side.stream)->why[0] != '\0');
        net_tls_stream_free(&side.stream);
        buf_free(&side.out);
    }
    net_tls_free(&s);
    net_tls_free(&c);
}

static void
a_handshake_takes_no_more_octets_than_it_needs(void **state)
{
    /* A handshake message of a megabyte that never ends. */
    static const char head[] = {22, 3, 3, 64, 0, 11, 15, (char)255, (char)255};
    static char record[5 + 16384];
    struct net_tls *c = client();
    struct net_tls_setup setup = {.tls = c};
    struct slice in = {0};
    struct side side = {0};
    size_t fed = 0;

    (void)state;
    side.stream = net_tls_stream_new(&setup, &side.out);
    shake(&side, &in);
    memcpy(record, head, sizeof(head));
    while (side.step == NET_TLS_WAITS && fed < 10 * 1024 * 1024) {
        in = (struct slice){record, sizeof(record)};
        shake(&side, &in);
        fed += sizeof(record);
    }
    assert_int_equal(side.step, NET_TLS_REFUSED);
    assert_true(fed <= NET_TLS_HANDSHAKE_MAX + sizeof(record));
    net_tls_stream_free(&side.stream);
    buf_free(&side.out);
    net_tls_free(&c);
}

/* ---- against a peer that OpenSSL plays without our rules ---- */

struct raw {
    SSL_CTX *context;
    SSL *ssl;
};

static void
raw_open(struct raw *r, bool is_server, const char *file)
{
    char pem[32], key[32];

    r->context = SSL_CTX_new(TLS_method());
    SSL_CTX_set_min_proto_version(r->context, TLS1_VERSION);
    SSL_CTX_set_security_level(r->context, 0);
    if (is_server) {
        (void)snprintf(pem, sizeof(pem), "%s.pem", file);
        (void)snprintf(key, sizeof(key), "%s.key", file);
        SSL_CTX_use_certificate_chain_file(r->context, path(pem));
        SSL_CTX_use_PrivateKey_file(r->context, path(key), SSL_FILETYPE_PEM);
    }
    r->ssl = SSL_new(r->context);
    SSL_set_bio(r->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (is_server)
        SSL_set_accept_state(r->ssl);
    else
        SSL_set_connect_state(r->ssl);
}

static void
raw_close(struct raw *r)
{
    SSL_free(r->ssl);
    SSL_CTX_free(r->context);
}

/* Moves everything both ways once; false when our side has failed. */
static bool
swap(struct raw *r, struct side *ours)
{
    char plain[NET_TLS_PLAIN_MAX];
    char *p;
    long len;
    struct slice in;
    bool is_well = true;

    if (ours->out.len)
        BIO_write(SSL_get_rbio(r->ssl), ours->out.p, (int)ours->out.len);
    buf_clear(&ours->out);
    if (!SSL_is_init_finished(r->ssl))
        SSL_do_handshake(r->ssl);
    else
        SSL_read(r->ssl, plain, sizeof(plain));
    len = BIO_get_mem_data(SSL_get_wbio(r->ssl), &p);
    in = (struct slice){p, (size_t)len};
    shake(ours, &in);
    while (is_well && in.len && ours->step == NET_TLS_SECURED) {
        size_t got;

        is_well =
            net_tls_stream_read(ours->stream, &in, plain, &got, &ours->err);
    }
    (void)BIO_reset(SSL_get_wbio(r->ssl));
    return is_well && ours->step != NET_TLS_REFUSED;
}

static void
side_open(struct side *s, const struct net_tls_setup *setup)
{
    *s = (struct side){0};
    s->stream = net_tls_stream_new(setup, &s->out);
}

static void
side_close(struct side *s)
{
    net_tls_stream_free(&s->stream);
    buf_free(&s->out);
}

static void
old_protocols_are_refused_in_both_roles(void **state)
{
    (void)state;
    for (int is_server = 0; is_server < 2; is_server++) {
        struct net_tls_setup setup = {.tls = is_server ? server_of(&ca, "good")
                                                       : client(),
                                      .is_server = is_server};
        struct raw r;
        struct side ours;
        bool is_well = true;

        raw_open(&r, !is_server, "good");
        SSL_set_max_proto_version(r.ssl, TLS1_1_VERSION);
        side_open(&ours, &setup);
        for (int i = 0; i < 6 && is_well; i++)
            is_well = swap(&r, &ours);
        assert_int_equal(ours.step, NET_TLS_REFUSED);
        side_close(&ours);
        raw_close(&r);
        net_tls_free(&setup.tls);
    }
}

static void
secure(struct raw *r, struct side *ours)
{
    for (int i = 0; i < 6; i++)
        assert_true(swap(r, ours));
    assert_int_equal(ours->step, NET_TLS_SECURED);
    assert_true(SSL_is_init_finished(r->ssl));
}

static void
renegotiation_is_refused(void **state)
{
    struct net_tls_setup setup = {.tls = server_of(&ca, "good"),
                                  .is_server = true};
    struct raw r;
    struct side ours;

    (void)state;
    raw_open(&r, false, NULL);
    SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
    side_open(&ours, &setup);
    secure(&r, &ours);
    assert_string_equal(net_tls_stream_facts(ours.stream)->version, "TLSv1.2");
    assert_int_equal(SSL_renegotiate(r.ssl), 1);
    SSL_do_handshake(r.ssl);
    for (int i = 0; i < 6; i++)
        (void)swap(&r, &ours);
    assert_false(SSL_is_init_finished(r.ssl)); /* it never came about */
    side_close(&ours);
    raw_close(&r);
    net_tls_free(&setup.tls);
}

static void
a_flood_of_key_updates_ends_the_connection(void **state)
{
    struct net_tls_setup setup = {.tls = server_of(&ca, "good"),
                                  .is_server = true};
    struct raw r;
    struct side ours;
    int updates = 0;

    (void)state;
    raw_open(&r, false, NULL);
    side_open(&ours, &setup);
    secure(&r, &ours);
    do {
        assert_int_equal(SSL_key_update(r.ssl, SSL_KEY_UPDATE_NOT_REQUESTED),
                         1);
        SSL_do_handshake(r.ssl);
        updates++;
    } while (swap(&r, &ours) && updates < 100000);
    assert_in_range(updates, 10, 5000);
    assert_string_equal(ours.err.text, "too many records without data");
    side_close(&ours);
    raw_close(&r);
    net_tls_free(&setup.tls);
}

static void
key_updates_between_data_are_fine(void **state)
{
    struct net_tls_setup setup = {.tls = server_of(&ca, "good"),
                                  .is_server = true};
    struct raw r;
    struct side ours;

    (void)state;
    raw_open(&r, false, NULL);
    side_open(&ours, &setup);
    secure(&r, &ours);
    for (int i = 0; i < 1500; i++) {
        SSL_key_update(r.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        SSL_do_handshake(r.ssl);
        assert_int_equal(SSL_write(r.ssl, "x", 1), 1);
        assert_true(swap(&r, &ours));
    }
    side_close(&ours);
    raw_close(&r);
    net_tls_free(&setup.tls);
}

/* ---- ALPN ---- */

static enum net_tls_shake
try_alpn(const char *ours_has, const char *wire, char chosen[16])
{
    struct net_tls_setup setup = {
        .tls = server_of(&ca, "good"), .is_server = true, .alpn = ours_has};
    struct raw r;
    struct side ours;
    enum net_tls_shake step;
    const unsigned char *name;
    unsigned len;

    raw_open(&r, false, NULL);
    if (wire)
        SSL_set_alpn_protos(r.ssl, (const unsigned char *)wire,
                            (unsigned)strlen(wire));
    side_open(&ours, &setup);
    for (int i = 0; i < 4; i++)
        (void)swap(&r, &ours);
    step = ours.step;
    SSL_get0_alpn_selected(r.ssl, &name, &len);
    (void)snprintf(chosen, 16, "%.*s", (int)len, (const char *)name);
    side_close(&ours);
    raw_close(&r);
    net_tls_free(&setup.tls);
    return step;
}

static void
a_browser_is_turned_away_by_a_mail_server(void **state)
{
    static const struct {
        const char *ours, *offered, *chosen;
        enum net_tls_shake step;
    } cases[] = {
        {NULL, NULL, "", NET_TLS_SECURED},
        {NULL, "\x02h2", "", NET_TLS_REFUSED},
        {NULL, "\x08http/1.1", "", NET_TLS_REFUSED},
        {NULL, "\x04smtp\x08http/1.1", "", NET_TLS_REFUSED},
        {NULL, "\x02h2\x08http/1.1", "", NET_TLS_REFUSED},
        {NULL, "\x04smtp", "", NET_TLS_SECURED},
        {"http/1.1", NULL, "", NET_TLS_SECURED},
        {"http/1.1", "\x02h2\x08http/1.1", "http/1.1", NET_TLS_SECURED},
        {"http/1.1", "\x02h2", "", NET_TLS_REFUSED},
        {"http/1.1", "\x03xyz", "", NET_TLS_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char chosen[16];

        assert_int_equal(try_alpn(cases[i].ours, cases[i].offered, chosen),
                         cases[i].step);
        assert_string_equal(chosen, cases[i].chosen);
    }
}

static void
a_client_sends_name_and_protocol(void **state)
{
    struct net_tls_setup setup = {
        .tls = client(), .sni = "mx.example.com", .alpn = "http/1.1"};
    struct raw r;
    struct side ours;

    (void)state;
    raw_open(&r, true, "good");
    side_open(&ours, &setup);
    secure(&r, &ours);
    assert_string_equal(SSL_get_servername(r.ssl, TLSEXT_NAMETYPE_host_name),
                        "mx.example.com");
    side_close(&ours);
    raw_close(&r);
    net_tls_free(&setup.tls);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pkix_refuses_all_but_the_named_host),
        cmocka_unit_test(observing_finds_the_same_and_goes_on),
        cmocka_unit_test(without_a_check_the_certificate_is_only_recorded),
        cmocka_unit_test(only_a_pinned_certificate_will_do),
        cmocka_unit_test(anchors_of_ones_own_stand_instead_of_all_others),
        cmocka_unit_test(any_one_of_the_names_is_enough),
        cmocka_unit_test(dane_believes_the_records_and_nothing_else),
        cmocka_unit_test(dane_ta_wants_the_name_and_the_dates),
        cmocka_unit_test(beside_dane_the_facts_say_what_pkix_would),
        cmocka_unit_test(observing_the_records_finds_the_same_and_goes_on),
        cmocka_unit_test(the_chain_is_shown_whether_it_will_do_or_not),
        cmocka_unit_test(the_record_that_matched_is_shown),
        cmocka_unit_test(sessions_are_resumed_only_under_an_equal_key),
        cmocka_unit_test(tickets_are_good_for_one_listener),
        cmocka_unit_test(a_server_that_declines_is_checked_as_any_other),
        cmocka_unit_test(a_failed_check_is_never_kept),
        cmocka_unit_test(a_stream_outlives_its_context),
        cmocka_unit_test(both_ends_and_no_other_session_have_the_same_binding),
        cmocka_unit_test(there_is_no_binding_before_the_handshake),
        cmocka_unit_test(records_may_be_cut_anywhere),
        cmocka_unit_test(clear_text_is_no_handshake),
        cmocka_unit_test(a_handshake_takes_no_more_octets_than_it_needs),
        cmocka_unit_test(old_protocols_are_refused_in_both_roles),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_flood_of_key_updates_ends_the_connection),
        cmocka_unit_test(key_updates_between_data_are_fine),
        cmocka_unit_test(a_browser_is_turned_away_by_a_mail_server),
        cmocka_unit_test(a_client_sends_name_and_protocol),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
