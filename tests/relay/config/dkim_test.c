#include "relay/config/config.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char ed25519_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char short_pem[] = /* RSA of 1024 bits: RFC 8463 appendix A.1 */
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

/* Files named GOOD, SHORT and OPEN in a configuration, and the result. */
struct fixture {
    char folder[32];
    struct config *c;
    struct config_errors errs;
};

static char *
path_of(const struct fixture *f, const char *name)
{
    return mem_printf("%s/%s", f->folder, name);
}

static void
write_file(const struct fixture *f, const char *name, const char *text,
           mode_t mode)
{
    scoped(own_free) char *path = path_of(f, name);
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
    assert_int_equal(chmod(path, mode), 0);
}

static bool
load(struct fixture *f, const char *text)
{
    scoped(own_free) char *file = NULL;

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/sealpost-dkim-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(chdir(f->folder), 0);
    write_file(f, "GOOD", ed25519_pem, 0600);
    write_file(f, "GROUP", ed25519_pem, 0640);
    write_file(f, "SHORT", short_pem, 0400);
    write_file(f, "OPEN", ed25519_pem, 0644);
    write_file(f, "HALF", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQY", 0600);
    write_file(f, "conf", text, 0600);
    file = path_of(f, "conf");
    return config_load(file, &f->c, &f->errs);
}

static void
done(struct fixture *f)
{
    static const char *const names[] = {"GOOD", "GROUP", "SHORT",
                                        "OPEN", "HALF",  "conf"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        scoped(own_free) char *path = path_of(f, names[i]);

        (void)unlink(path);
    }
    (void)rmdir(f->folder);
    config_free(&f->c);
    config_errors_done(&f->errs);
}

static void
a_block_names_one_key_or_several(void **state)
{
    scoped(done) struct fixture f = {0};
    bool ok = load(&f, "dkim \"z.example\" { selector = s1 key = GOOD }\n"
                       "dkim \"B\xc3\x9c"
                       "CHER.Example.\" {\n"
                       "  selector = {\"s1\", \"a.b\"}\n"
                       "  key = {\"SHORT\", \"GROUP\"}\n"
                       "}\n");

    (void)state;
    assert_true(ok);
    assert_int_equal(f.c->dkim_count, 2);
    assert_string_equal(f.c->dkim[0].domain, "xn--bcher-kva.example");
    assert_int_equal(f.c->dkim[0].file.count, 2);
    assert_string_equal(f.c->dkim[0].selector.text[1], "a.b");
    assert_string_equal(mail_dkim_key_algorithm(f.c->dkim[0].key[0].key),
                        "rsa-sha256");
    assert_string_equal(mail_dkim_key_algorithm(f.c->dkim[0].key[1].key),
                        "ed25519-sha256");
    assert_string_equal(f.c->dkim[1].domain, "z.example");
    assert_int_equal(f.errs.warning_count, 1); /* of the short one */
}

static void
check_error(const char *text, const char *want)
{
    scoped(done) struct fixture f = {0};
    bool found = false;

    assert_false(load(&f, text));
    for (size_t i = 0; i < f.errs.count; i++) {
        assert_null(strstr(f.errs.text[i], "MC4C"));
        found |= strstr(f.errs.text[i], want) != NULL;
    }
    if (!found)
        fail_msg("%s: %s", text, f.errs.text[0]);
}

static void
what_does_not_fit_is_an_error_with_its_line(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"dkim \"a.example\" { }",
         "conf:1: dkim.a.example.selector: is missing"},
        {"dkim \"a.example\" { }", "conf:1: dkim.a.example.key: is missing"},
        {"dkim \"a.example\" {\nselector = s1\n}",
         "dkim.a.example.key: is missing"},
        {"dkim \"a.example\" {\nkey = GOOD }",
         "dkim.a.example.selector: is missing"},
        {"dkim \"a.example\" {\nselector = {a, b}\nkey = GOOD }",
         "conf:3: dkim.a.example.key: 1 files for 2 selectors"},
        {"dkim \"a.example\" {\nselector = s1\nkey = NONE }",
         "conf:3: dkim.a.example.key: NONE can't be opened: No such file"},
        {"dkim \"a.example\" { selector = s1 key = HALF }",
         "HALF holds no key to sign with: not a private key"},
        {"dkim \"a.example\" { selector = s1 key = conf }", "holds no key"},
        {"dkim \"a.example\" { selector = s1 key = \"/tmp\" }",
         "/tmp is not a regular file"},
        {"dkim \"a.example\" { selector = s1 key = \"/dev/zero\" }",
         "is not a regular file"},
        {"dkim \"a.example\" { selector = \"\" key = GOOD }",
         "\"\" is no selector"},
        {"dkim \"a.example\" {\nselector = \"a b\"\nkey = GOOD }",
         "conf:2: dkim.a.example.selector: \"a b\" is no selector"},
        {"dkim \"a.example\" { selector = \"-a\" key = GOOD }",
         "is no selector"},
        {"dkim \"a.example\" { selector = \"a..b\" key = GOOD }",
         "is no selector"},
        {"dkim \"a.example\" { selector = {a, A} key = {GOOD, SHORT} }",
         "\"A\" stands for two keys"},
        {"dkim \"a.example\" { selector = {a,b,c,d,e} "
         "key = {GOOD,GOOD,GOOD,GOOD,GOOD} }",
         "has more than 4 values"},
        {"dkim \"example\" { selector = a key = GOOD }",
         "dkim.example: domain name has no dot"},
        {"dkim \"a b.example\" { selector = a key = GOOD }",
         "bad character in domain name"},
        {"dkim \"a.example\" { selector = a key = GOOD }\n"
         "dkim \"A.Example\" { selector = a key = GOOD }",
         "conf:2: dkim.A.Example: another block signs for this domain"},
        {"dkim \"a.example\" { selektor = a key = GOOD }",
         "did you mean \"selector\"?"},
        {"dkim { selector = a key = GOOD }", "conf:1: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check_error(rows[i].text, rows[i].want);
}

static void
a_selector_and_its_domain_fit_into_a_name(void **state)
{
    scoped(own_free) char *text = NULL;
    char label[61];

    (void)state;
    memset(label, 'a', sizeof(label) - 1);
    label[sizeof(label) - 1] = '\0';
    text = mem_printf("dkim \"%s.%s.%s.example\" { selector = \"%s\" "
                      "key = GOOD }",
                      label, label, label, label);
    check_error(text, "too long for DNS");
}

static void
a_key_that_others_may_read_is_warned_of(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_true(load(&f, "dkim \"a.example\" {\n"
                         "  selector = {a, b, c}\n"
                         "  key = {GOOD, OPEN, GROUP}\n}"));
    assert_int_equal(f.errs.warning_count, 1);
    assert_non_null(
        strstr(f.errs.warning[0], "conf:3: dkim.a.example.key: OPEN is open"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_names_one_key_or_several),
        cmocka_unit_test(what_does_not_fit_is_an_error_with_its_line),
        cmocka_unit_test(a_selector_and_its_domain_fit_into_a_name),
        cmocka_unit_test(a_key_that_others_may_read_is_warned_of),
    };

    (void)clearenv();
    (void)setenv("STATE_DIRECTORY", "/tmp/sealpost-state", 1);
    (void)setenv("SEALPOST_HOSTNAME", "relay.example.com", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
