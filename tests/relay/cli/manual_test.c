#include "relay/cli/command.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The manual tells of every command that --help prints, with every option, of
 * no other, and of every event in the log.  Tests run in tests/. */
static const char manual[] = "../etc/man/sealpost.8";

static char *
read_text(const char *path)
{
    FILE *in = fopen(path, "r");
    struct buf text = {0};
    char piece[4096];
    size_t n;

    if (!in)
        fail_msg("%s can't be read", path);
    while ((n = fread(piece, 1, sizeof(piece), in)) > 0)
        buf_add(&text, (struct slice){piece, n});
    (void)fclose(in);
    buf_add_byte(&text, '\0');
    return text.p;
}

/* The text below ".Ss name", up to the next heading; NULL: none. */
static char *
section_of(const char *text, const char *name)
{
    scoped(own_free) char *head = mem_printf("\n.Ss %s\n", name);
    const char *from = strstr(text, head), *next_section, *next_part;
    size_t len;

    if (!from)
        return NULL;
    from += strlen(head) - 1;
    next_section = strstr(from, "\n.Ss ");
    next_part = strstr(from, "\n.Sh ");
    len = next_section ? (size_t)(next_section - from) : strlen(from);
    if (next_part && (size_t)(next_part - from) < len)
        len = (size_t)(next_part - from);
    return mem_copy((struct slice){from, len});
}

/* Is there "Fl x", the macro for an option, ending there? */
static bool
has_option(const char *text, const char *option)
{
    scoped(own_free) char *macro = mem_printf("Fl %s", option);

    for (const char *p = strstr(text, macro); p; p = strstr(p + 1, macro))
        if (strchr(" \n", p[strlen(macro)]))
            return true;
    return false;
}

/* Commands that share their options are described in one place. */
static const char *
elsewhere(const char *name)
{
    if (strncmp(name, "queue ", 6) == 0)
        return "queue list";
    return NULL;
}

static bool
is_told(const char *text, const char *own, const char *name, const char *option)
{
    const char *other = elsewhere(name);
    scoped(own_free) char *there = other ? section_of(text, other) : NULL;
    scoped(own_free) char *retry =
        other ? section_of(text, "queue retry") : NULL;
    const char *common = strstr(text, "\n.Sh DESCRIPTION\n");
    const char *end = strstr(text, "\n.Sh COMMANDS\n");
    scoped(own_free) char *intro =
        mem_copy((struct slice){common, (size_t)(end - common)});

    return has_option(own, option) || has_option(intro, option) ||
           (there && has_option(there, option)) ||
           (retry && has_option(retry, option));
}

static unsigned
check_options(const char *text, const char *own, const char *name,
              const char *words)
{
    unsigned missing = 0;

    for (const char *p = strstr(words, "--"); p; p = strstr(p + 2, "--")) {
        size_t len = strspn(p + 2, "abcdefghijklmnopqrstuvwxyz-0123456789");
        scoped(own_free) char *option = mem_printf("-%.*s", (int)len, p + 2);

        if (len == 0 || is_told(text, own, name, option))
            continue;
        print_error("%s: %s: --%.*s is missing\n", manual, name, (int)len,
                    p + 2);
        missing++;
    }
    return missing;
}

static void
the_manual_tells_of_every_command_and_option(void **state)
{
    scoped(own_free) char *text = read_text(manual);
    unsigned missing = 0;

    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        scoped(own_free) char *own = section_of(text, c->name);

        if (own) {
            missing += check_options(text, own, c->name, c->usage);
            missing += check_options(text, own, c->name, c->help);
        } else if (c->summary) {
            print_error("%s: %s is missing\n", manual, c->name);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

static void
every_usage_fits_a_terminal(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        scoped(own_free) char *line =
            mem_printf("usage: sealpost %s %s", c->name, c->usage);

        if (strlen(line) > 79)
            fail_msg("%s", line);
    }
}

static bool
is_command(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return true;
    return false;
}

static void
it_tells_of_no_other(void **state)
{
    scoped(own_free) char *text = read_text(manual);
    const char *p = strstr(text, "\n.Sh COMMANDS\n");
    const char *end = p ? strstr(p + 1, "\n.Sh ") : NULL;

    (void)state;
    assert_non_null(end);
    for (p = strstr(p, "\n.Ss "); p && p < end; p = strstr(p + 1, "\n.Ss ")) {
        scoped(own_free) char *name =
            mem_copy((struct slice){p + 5, strcspn(p + 5, "\n")});

        if (!is_command(name) && strcmp(name, "Not in this version") != 0)
            fail_msg("%s: there is no command \"%s\"", manual, name);
    }
}

/* The first text in a call, or NULL. */
static char *
first_text(const char *call)
{
    const char *end = strchr(call, ';'), *from = strchr(call, '"');

    if (!end || !from || from > end)
        return NULL;
    return mem_copy((struct slice){from + 1, strcspn(from + 1, "\"")});
}

static unsigned
check_events(const char *text, const char *source, const char *call)
{
    unsigned missing = 0;

    for (const char *p = strstr(source, call); p; p = strstr(p + 1, call)) {
        scoped(own_free) char *event = first_text(p);

        if (!event || strstr(text, event))
            continue;
        print_error("%s: the event %s is missing\n", manual, event);
        missing++;
    }
    return missing;
}

static void
it_tells_of_every_event_that_is_logged(void **state)
{
    scoped(own_free) char *text = read_text(manual);
    unsigned missing = 0;
    glob_t files = {0};

    (void)state;
    assert_int_equal(glob("../relay/*/*.c", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        scoped(own_free) char *source = read_text(files.gl_pathv[i]);

        missing += check_events(text, source, "log_begin(&");
        missing += check_events(text, source, " say(&");
        missing += check_events(text, source, " serve_say(&");
    }
    globfree(&files);
    assert_int_equal(missing, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_tells_of_every_command_and_option),
        cmocka_unit_test(every_usage_fits_a_terminal),
        cmocka_unit_test(it_tells_of_no_other),
        cmocka_unit_test(it_tells_of_every_event_that_is_logged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
