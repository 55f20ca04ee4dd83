#include "relay/config/users.h"

#include "relay/base/mem.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define YESCRYPT                                                               \
    "$y$j9T$0TSyG59TtP/9x94neA5LC1$"                                           \
    "qu4MKg7wFacTjHfWMvhp2eBN2x8iLZR5zKoEQtJkFB6"
#define SHA512                                                                 \
    "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuB"                       \
    "fMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1"
#define SHA256 "$5$abcdefgh$4PbtPZdUc33o7LmNsM4HTsjYbIhyCeh4aCe.rEbHkq1"
#define BCRYPT "$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW"
#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define VERIFIER "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY

static struct users *
parse(const char *text)
{
    struct config_errors errs = {0};
    struct users *u = NULL;

    if (!users_parse(slice_of(text), "users", &u, &errs))
        fail_msg("%s", errs.text[0]);
    return u;
}

static void
lines_name_users_and_what_they_may(void **state)
{
    scoped(users_drop) struct users *u =
        parse("# people\n"
              "\n"
              "app:" YESCRYPT "\n"
              "b\xc3\xbc@x:" BCRYPT
              ":a@B.example, @c\xc3\xbc.example,<>,*@d.example\n"
              "mailer:" SHA512 "::" VERIFIER "\n"
              "old:" SHA512 ":*:\n"
              "gone:!" SHA256 ":@x.example:" VERIFIER "\n"
              "never:*");
    const struct user *user;

    (void)state;
    assert_int_equal(users_count(u), 6);
    user = users_find(u, "app");
    assert_string_equal(user->hash, YESCRYPT);
    assert_int_equal(user->access.sender_count, 0);
    assert_false(user->has_verifier);

    user = users_find(u, "b\xc3\xbc@x");
    assert_int_equal(user->access.sender_count, 4);
    assert_string_equal(user->access.senders[0], "a@b.example");
    assert_string_equal(user->access.senders[1], "@xn--c-eha.example");
    assert_string_equal(user->access.senders[2], "<>");
    assert_string_equal(user->access.senders[3], "@d.example");

    user = users_find(u, "mailer");
    assert_true(user->has_verifier);
    assert_int_equal(user->verifier.iterations, 4096);
    assert_int_equal(user->access.sender_count, 0);

    assert_string_equal(users_find(u, "gone")->hash, "");
    assert_false(users_find(u, "gone")->has_verifier);
    assert_string_equal(users_find(u, "never")->hash, "");
    assert_null(users_find(u, "App"));
    assert_null(users_find(u, "# people"));
    assert_null(users_find(u, ""));
}

static const struct {
    const char *line, *want;
} broken[] = {
    {"app", "there is no hash"},
    {"app:", "there is no hash"},
    {":" YESCRYPT, "there is no name"},
    {" app:" YESCRYPT, "neither begins with # nor with a space"},
    {"app :" YESCRYPT, "neither begins with # nor with a space"},
    {"a\tb:" YESCRYPT, "without control characters"},
    {"a\x1b[2J:" YESCRYPT, "without control characters"},
    {"a\xff:" YESCRYPT, "is UTF-8"},
    {"a\xe2\x80\xae:" YESCRYPT, "without control characters"},
    {"app:sesame", "the hash is none of"},
    {"app:$1$abcdefgh$irWbblnpmw.5z7wgBnprh0", "the hash is none of"},
    {"app:abJnggxhB/yWI", "the hash is none of"},
    {"app:$y$j9T$0TSyG59TtP/9x94neA5LC1", "the hash is none of"},
    {"app:" YESCRYPT "x", "the hash is none of"},
    {"app:" YESCRYPT "\r", "the hash is none of"},
    {"app:$6$abcdefgh", "the hash is none of"},
    {"app:" SHA256, "the hash is none of"},
    {"app:" YESCRYPT ":a@b.example,,@c.example", "sender \"\""},
    {"app:" YESCRYPT ":example.com", "sender \"example.com\""},
    {"app:" YESCRYPT ":@", "sender \"@\""},
    {"app:" YESCRYPT ":a@b.example c@d.example", "sender \"a@b.example c@d"},
    {"app:" YESCRYPT "::SCRAM-SHA-1$4096:AAAA$" KEY ":" KEY,
     "a verifier begins with SCRAM-SHA-256$"},
    {"app:" YESCRYPT "::" VERIFIER ":", "a key is no base64"},
};

/* The hash that was meant is never shown. */
static void
a_broken_line_is_named_with_its_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        scoped(own_free) char *text = mem_printf(
            "# one\nfirst:%s\n%s\nlast:*\n", YESCRYPT, broken[i].line);
        scoped(users_drop) struct users *u = NULL;
        struct config_errors errs = {0};

        if (users_parse(slice_of(text), "/etc/users", &u, &errs))
            fail_msg("accepted: %s", broken[i].line);
        assert_int_equal(errs.count, 1);
        if (strncmp(errs.text[0], "/etc/users:3: ", 14) != 0 ||
            !strstr(errs.text[0], broken[i].want) ||
            strstr(errs.text[0], "0TSyG59TtP"))
            fail_msg("%s: %s", broken[i].line, errs.text[0]);
        config_errors_done(&errs);
    }
}

static void
all_broken_lines_are_told_and_twins_are_broken(void **state)
{
    scoped(users_drop) struct users *u = NULL;
    struct config_errors errs = {0};

    (void)state;
    assert_false(users_parse(slice_of("a:*\nb\na:*\n"), "f", &u, &errs));
    assert_int_equal(errs.count, 2);
    assert_non_null(strstr(errs.text[0], "f:2: there is no hash"));
    assert_non_null(strstr(errs.text[1], "f:3: another line has this name"));
    config_errors_done(&errs);
}

static void
scram_is_for_all_or_for_none(void **state)
{
    static const struct {
        const char *text;
        bool may;
        unsigned iterations;
    } rows[] = {
        {"", false, USERS_ITERATIONS},
        {"a:" SHA512 "::" VERIFIER "\n", true, 4096},
        {"a:" SHA512 "::" VERIFIER "\nb:" SHA512 "\n", false, 4096},
        {"a:" SHA512 "::" VERIFIER "\nb:*\n", true, 4096},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scoped(users_drop) struct users *u = parse(rows[i].text);

        assert_int_equal(users_have_verifiers(u), rows[i].may);
        assert_int_equal(users_iterations(u), rows[i].iterations);
    }
}

static void
a_decoy_costs_what_others_cost(void **state)
{
    scoped(users_drop) struct users *none = parse("");
    scoped(users_drop) struct users *some = parse("a:*\nb:" BCRYPT "\n");

    (void)state;
    assert_int_equal(strncmp(users_decoy_hash(none), "$y$", 3), 0);
    assert_string_equal(users_decoy_hash(some), BCRYPT);
}

static void
a_list_lives_until_the_last_lets_go(void **state)
{
    struct users *u = parse("a:*\n"), *other = users_hold(u);

    (void)state;
    users_drop(&u);
    assert_null(u);
    assert_non_null(users_find(other, "a"));
    users_drop(&other);
}

static void
a_file_that_cannot_be_read_is_an_error(void **state)
{
    scoped(users_drop) struct users *u = NULL;
    struct config_errors errs = {0};
    struct scratch s;

    (void)state;
    scratch_make(&s);
    assert_false(users_load(scratch_file(&s, "none"), &u, &errs));
    assert_non_null(strstr(errs.text[0], "can't be opened"));
    scratch_write(&s, "users", "a:*\n", 4);
    assert_true(users_load(s.file, &u, &errs));
    assert_non_null(users_find(u, "a"));
    config_errors_done(&errs);
    scratch_remove(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_name_users_and_what_they_may),
        cmocka_unit_test(a_broken_line_is_named_with_its_number),
        cmocka_unit_test(all_broken_lines_are_told_and_twins_are_broken),
        cmocka_unit_test(scram_is_for_all_or_for_none),
        cmocka_unit_test(a_decoy_costs_what_others_cost),
        cmocka_unit_test(a_list_lives_until_the_last_lets_go),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
