#include "relay/config/config.h"

#include "relay/base/mem.h"
#include "relay/config/key.h"
#include "relay/config/raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* The manual and the sample say the same as the table of keys.  Tests run in
 * tests/. */
static const char manual[] = "../etc/man/sealpost.conf.5";
static const char sample[] = "../etc/sealpost.conf";

enum { KEYS_MAX = 200 };

/* Where each key of the table was met in a text. */
struct met {
    unsigned count[KEYS_MAX];
};

static char *
read_file(const char *path)
{
    struct buf text = {0};
    struct err err;

    if (!config_read_text(path, CONFIG_FILE_MAX, &text, &err))
        fail_msg("%s: %s", path, err.text);
    buf_add_byte(&text, '\0');
    return text.p;
}

static bool
cut_line(char **rest, char **line)
{
    *line = *rest;
    if (**rest == '\0')
        return false;
    *rest += strcspn(*rest, "\n");
    if (**rest == '\n')
        *(*rest)++ = '\0';
    return true;
}

static void
meet(struct met *met, const char *file, const char *section, const char *name)
{
    const struct config_key *key = config_key_find(section, name);

    if (!key)
        fail_msg("%s: \"%s\" has no key \"%s\"", file, section, name);
    met->count[key - config_keys]++;
}

static void
expect_all_once(const struct met *met, const char *file)
{
    unsigned wrong = 0;

    assert_true(config_key_count <= KEYS_MAX);
    for (size_t i = 0; i < config_key_count; i++) {
        if (met->count[i] == 1)
            continue;
        print_error("%s: \"%s\" \"%s\" is there %u times\n", file,
                    config_keys[i].section, config_keys[i].name, met->count[i]);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* --- the manual -------------------------------------------------------- */

/* The variable that sets a key, as the manual writes it; "" where there is
 * none. */
static char *
variable_of(const struct config_key *key)
{
    char *name;
    bool is_inner = strcmp(key->section, "oauth") == 0;

    if (strcmp(key->section, "dkim") == 0)
        return mem_text("");
    name =
        is_inner
            ? mem_printf("SEALPOST_ROUTE__NAME__OAUTH__%s", key->name)
            : mem_printf("SEALPOST_%s%s%s%s", key->section,
                         key->section[0] != '\0' ? "__" : "",
                         config_section_has_title(key->section) ? "NAME__" : "",
                         key->name);
    for (char *p = name; *p != '\0'; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return name;
}

static bool
says_default(const struct config_key *key, const char *line)
{
    scoped(own_free) char *plain = mem_text(line);
    char *to = plain;

    if (!key->preset)
        return strcmp(line, "default as in") == 0;
    if (key->preset[0] == '\0')
        return strstr(line, "empty by default") != NULL;
    for (const char *from = plain; *from != '\0'; from++)
        if (*from != ' ')
            *to++ = *from;
    *to = '\0';
    return strncmp(plain, ".Ql", 3) == 0 &&
           strncmp(plain + 3, key->preset, strlen(key->preset)) == 0 &&
           strchr(";.", plain[3 + strlen(key->preset)]);
}

/* An entry begins with type, default and variable. */
static void
check_entry(const struct config_key *key, char *rest)
{
    scoped(own_free) char *want = variable_of(key);
    bool has_default = false, has_variable = want[0] == '\0';
    char *line;

    for (int i = 0; i < 4 && cut_line(&rest, &line); i++) {
        has_default |= says_default(key, line);
        has_variable |= strncmp(line, ".Ev ", 4) == 0 &&
                        strncmp(line + 4, want, strlen(want)) == 0;
    }
    if (!has_default)
        fail_msg("%s: %s.%s: another default", manual, key->section, key->name);
    if (!has_variable)
        fail_msg("%s: %s.%s: another variable than %s", manual, key->section,
                 key->name, want);
}

static void
the_manual_tells_of_every_key_and_of_no_other(void **state)
{
    scoped(own_free) char *text = read_file(manual);
    char *rest = strstr(text, "\n.Sh KEYS\n"), *line;
    char section[64] = "";
    struct met met = {0};

    (void)state;
    assert_non_null(rest);
    rest += strlen("\n.Sh KEYS\n");
    while (cut_line(&rest, &line) && strncmp(line, ".Sh ", 4) != 0) {
        if (strncmp(line, ".Ss ", 4) == 0) {
            bool is_top = strcmp(line + 4, "Keys without a section") == 0;

            (void)snprintf(section, sizeof(section), "%s",
                           is_top ? "" : line + 4);
            if (!config_section_find(section))
                fail_msg("%s: no section \"%s\"", manual, section);
        } else if (strncmp(line, ".It Ic ", 7) == 0) {
            scoped(own_free) char *entry = mem_text(rest);

            meet(&met, manual, section, line + 7);
            check_entry(config_key_find(section, line + 7), entry);
        }
    }
    expect_all_once(&met, manual);
}

/* --- the sample -------------------------------------------------------- */

static bool
is_name(const char *text, size_t len)
{
    return len > 0 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") >= len;
}

/* Without quotes, braces and spaces: {"1m", "5m"} is 1m,5m. */
static char *
bare(const char *value)
{
    char *out = mem_text(value), *to = out;

    for (const char *from = value; *from != '\0'; from++)
        if (!strchr("\"{} ", *from))
            *to++ = *from;
    *to = '\0';
    return out;
}

/* Sections with a title are examples. */
static void
expect_default(const struct config_key *key, const char *value)
{
    scoped(own_free) char *got = bare(value);
    scoped(own_free) char *want = bare(key->preset ? key->preset : "");

    if (!config_section_has_title(key->section) && strcmp(got, want) != 0)
        fail_msg("%s: %s.%s = %s: another default", sample, key->section,
                 key->name, value);
}

/* Behind the comment signs: what begins a section, ends one, or sets a key. */
static void
look_at_setting(struct met *met, char section[64], const char *line)
{
    const char *text = line + strspn(line, "# ");
    size_t len = strcspn(text, " ");
    scoped(own_free) char *name = mem_copy((struct slice){text, len});

    if (text[0] == '}') {
        section[0] = '\0';
    } else if (is_name(text, len) && strncmp(text + len, " = ", 3) == 0) {
        meet(met, sample, section, name);
        expect_default(config_key_find(section, name), text + len + 3);
    } else if (is_name(text, len) && text[strlen(text) - 1] == '{') {
        if (!config_section_find(name))
            fail_msg("%s: no section \"%s\"", sample, name);
        (void)snprintf(section, 64, "%s", name);
    }
}

static void
the_sample_has_every_key_and_no_other(void **state)
{
    scoped(own_free) char *text = read_file(sample);
    char *rest = text, *line;
    char section[64] = "";
    struct met met = {0};

    (void)state;
    while (cut_line(&rest, &line))
        look_at_setting(&met, section, line);
    expect_all_once(&met, sample);
}

static char *
print(const struct config *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    config_print(c, false, out);
    (void)fclose(out);
    return text;
}

struct fixture {
    char file[64];
    struct config *c;
    struct config_errors errs;
};

static void
done(struct fixture *f)
{
    if (f->file[0] != '\0')
        (void)unlink(f->file);
    config_free(&f->c);
    config_errors_done(&f->errs);
}

/* A file of its own, whose descriptor is the caller's. */
static int
make_file(struct fixture *f)
{
    int fd;

    (void)snprintf(f->file, sizeof(f->file), "/tmp/sealpost-sample-XXXXXX");
    fd = mkstemp(f->file);
    assert_true(fd >= 0);
    return fd;
}

static void
load(struct fixture *f, const char *file)
{
    if (config_load(file, &f->c, &f->errs))
        return;
    for (size_t i = 0; i < f->errs.count; i++)
        print_error("%s\n", f->errs.text[i]);
    fail_msg("%s does not do", file);
}

static void
the_sample_changes_nothing(void **state)
{
    scoped(done) struct fixture f = {0}, none = {0};
    scoped(own_free) char *ours = NULL;
    scoped(own_free) char *theirs = NULL;

    (void)state;
    load(&f, sample);
    (void)close(make_file(&none));
    load(&none, none.file);
    ours = print(f.c);
    theirs = print(none.c);
    assert_string_equal(ours, theirs);
    assert_int_equal(f.errs.warning_count, 0);
}

/* "#key = 1", "#    key = 1", "#}", but neither "# text" nor "## later". */
static bool
is_to_uncomment(const char *line)
{
    const char *text = line + strspn(line, " ");

    return text[0] == '#' && text[1] != '\0' && text[1] != '#' &&
           !(text[1] == ' ' && text[2] != ' ');
}

static void
the_sample_holds_when_all_is_uncommented(void **state)
{
    scoped(own_free) char *text = read_file(sample);
    scoped(done) struct fixture f = {0};
    char *rest = text, *line;
    int fd = make_file(&f);

    (void)state;
    while (cut_line(&rest, &line)) {
        if (is_to_uncomment(line))
            line[strspn(line, " ")] = ' ';
        assert_true(dprintf(fd, "%s\n", line) > 0);
    }
    (void)close(fd);
    load(&f, f.file);
    assert_int_equal(f.errs.warning_count, 0);
    assert_int_equal(f.c->listener_count, 1);
    assert_int_equal(f.c->domain_count, 1);
    assert_int_equal(f.c->route_count, 1);
    assert_int_equal(f.c->retry.steps, 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_tells_of_every_key_and_of_no_other),
        cmocka_unit_test(the_sample_has_every_key_and_no_other),
        cmocka_unit_test(the_sample_changes_nothing),
        cmocka_unit_test(the_sample_holds_when_all_is_uncommented),
    };

    (void)clearenv();
    (void)setenv("STATE_DIRECTORY", "/tmp/sealpost-state", 1);
    (void)setenv("SEALPOST_HOSTNAME", "relay.example.com", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
