/* user add, passwd, remove and list. */
#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/cli/commands.h"
#include "relay/cli/option.h"
#include "relay/cli/password.h"
#include "relay/cli/term.h"
#include "relay/cli/user_file.h"

#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <sysexits.h>

/* The words of all four. */
struct words {
    const char *config, *file, *senders;
    bool has_no_scram, json;
    char *found; /* the file that the configuration names */
    gid_t group; /* of a new file */
};

static void
words_done(struct words *w)
{
    free(w->found);
}

/* The configuration need not be whole: it may name a file that is about to be
 * made. */
static int
find_file(struct words *w)
{
    scoped(own_free) char *user = config_peek(w->config, "", "user");
    const struct passwd *pw = user && *user ? getpwnam(user) : NULL;

    w->group = pw ? pw->pw_gid : (gid_t)-1;
    if (w->file)
        return EX_OK;
    w->found = config_peek(w->config, "users", "file");
    w->file = w->found;
    if (w->file && *w->file)
        return EX_OK;
    return cli_fail(EX_CONFIG, "the configuration names no users.file; set it, "
                               "or say --file PATH");
}

static int
parse(const struct cli_command *self, struct words *w, size_t options,
      int *argc, char **argv)
{
    const struct cli_option all[] = {
        {.name = "config", .letter = 'c', .value = &w->config},
        {.name = "file", .letter = 'f', .value = &w->file},
        {.name = "no-scram", .flag = &w->has_no_scram},
        {.name = "senders", .letter = 's', .value = &w->senders},
    };
    int code = cli_option_parse(self, all, options, argc, argv);

    if (code != CLI_GO_ON)
        return code;
    if (*argc != 2)
        return cli_command_misuse(self, "one name, please");
    return CLI_GO_ON;
}

static int
tell_errors(struct config_errors *errs, int code)
{
    for (size_t i = 0; i < errs->count; i++)
        (void)fprintf(stderr, "sealpost: %s\n", errs->text[i]);
    config_errors_done(errs);
    return code;
}

static int
open_file(struct words *w, struct cli_user_file *f, bool is_for_change)
{
    struct config_errors errs = {0};
    int code = find_file(w);

    if (code != EX_OK)
        return code;
    if (cli_user_file_open(f, w->file, is_for_change, w->group, &errs))
        return EX_OK;
    return tell_errors(&errs, EX_NOINPUT);
}

/* A password is asked for before the file is locked: somebody may think about
 * it for long. */
static int
read_password(const char *name, struct buf *out)
{
    struct err err = {0};

    if (!cli_password_read(name, out, &err))
        return cli_fail(err.kind == ERR_CANCELLED ? EX_TEMPFAIL : EX_DATAERR,
                        "%s", err.text);
    if (!users_check_password(buf_slice(out), &err))
        return cli_fail(EX_DATAERR, "%s", err.text);
    return EX_OK;
}

static int
write_user(const struct words *w, struct cli_user_file *f, const char *name,
           struct slice senders, struct slice password)
{
    scoped(secret_buf_free) struct buf line = {0};
    struct err err;

    if (!users_add_line(slice_of(name), senders, password, !w->has_no_scram,
                        &line, &err) ||
        !cli_user_file_set(f, slice_of(name), buf_slice(&line), &err))
        return cli_fail(EX_CANTCREAT, "%s", err.text);
    return EX_OK;
}

int
cli_user_add(const struct cli_command *self, int argc, char **argv)
{
    scoped(secret_buf_free) struct buf password = {0};
    scoped(cli_user_file_close) struct cli_user_file f = {.fd = -1};
    scoped(words_done) struct words w = {0};
    struct slice senders;
    struct err err;
    int code = parse(self, &w, 4, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    senders = slice_of(w.senders ? w.senders : "");
    if (!users_check_name(slice_of(argv[1]), &err) ||
        !users_check_senders(senders, &err))
        return cli_fail(EX_DATAERR, "%s", err.text);
    code = find_file(&w);
    if (code == EX_OK)
        code = read_password(argv[1], &password);
    if (code == EX_OK)
        code = open_file(&w, &f, true);
    if (code == EX_OK && users_find(f.users, argv[1]))
        return cli_fail(EX_DATAERR,
                        "%s is there already; sealpost user passwd gives "
                        "another password",
                        argv[1]);
    if (code == EX_OK)
        code = write_user(&w, &f, argv[1], senders, buf_slice(&password));
    return code;
}

static int
missing(const char *name, const char *file)
{
    return cli_fail(EX_NOUSER, "%s has no user %s", file, name);
}

int
cli_user_passwd(const struct cli_command *self, int argc, char **argv)
{
    scoped(secret_buf_free) struct buf password = {0};
    scoped(cli_user_file_close) struct cli_user_file f = {.fd = -1};
    scoped(words_done) struct words w = {0};
    int code = parse(self, &w, 3, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    code = open_file(&w, &f, false);
    if (code == EX_OK && !users_find(f.users, argv[1]))
        code = missing(argv[1], w.file);
    cli_user_file_close(&f);
    if (code == EX_OK)
        code = read_password(argv[1], &password);
    if (code == EX_OK)
        code = open_file(&w, &f, true);
    if (code != EX_OK)
        return code;
    if (!users_find(f.users, argv[1]))
        return missing(argv[1], w.file);
    return write_user(&w, &f, argv[1],
                      cli_user_file_senders(&f, slice_of(argv[1])),
                      buf_slice(&password));
}

int
cli_user_remove(const struct cli_command *self, int argc, char **argv)
{
    scoped(cli_user_file_close) struct cli_user_file f = {.fd = -1};
    scoped(words_done) struct words w = {0};
    struct err err;
    int code = parse(self, &w, 2, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    code = open_file(&w, &f, false);
    if (code == EX_OK && !users_find(f.users, argv[1]))
        code = missing(argv[1], w.file);
    cli_user_file_close(&f);
    if (code == EX_OK)
        code = open_file(&w, &f, true);
    if (code == EX_OK &&
        !cli_user_file_set(&f, slice_of(argv[1]), (struct slice){"", 0}, &err))
        code = cli_fail(EX_CANTCREAT, "%s", err.text);
    return code;
}

/* --- list --- */

static void
add_row(void *ctx, const struct user *user)
{
    json_t *senders = json_array();

    for (size_t i = 0; i < user->access.sender_count; i++)
        (void)json_array_append_new(senders,
                                    json_string(user->access.senders[i]));
    (void)json_array_append_new(
        ctx, json_pack("{s:s, s:b, s:b, s:o}", "name", user->name, "locked",
                       !user->hash[0], "scram", user->has_verifier, "senders",
                       senders));
}

static void
print_row(void *ctx, const struct user *user)
{
    (void)ctx;
    printf("%-24s  %-6s  %-5s ", user->name, user->hash[0] ? "open" : "locked",
           user->has_verifier ? "yes" : "no");
    if (user->access.sender_count == 0)
        printf(" any");
    for (size_t i = 0; i < user->access.sender_count; i++)
        printf(" %s", user->access.senders[i]);
    printf("\n");
}

static void
print_all(const struct users *users)
{
    if (users_count(users) == 0) {
        printf("there are no users\n");
        return;
    }
    printf("%s%-24s  %-6s  %-5s  %s%s\n", cli_term_paint(CLI_BOLD), "NAME",
           "STATE", "SCRAM", "SENDERS", cli_term_paint(CLI_PLAIN));
    users_each(users, print_row, NULL);
    if (!users_have_verifiers(users))
        printf("SCRAM is not offered: not every user has a verifier\n");
}

int
cli_user_list(const struct cli_command *self, int argc, char **argv)
{
    scoped(cli_user_file_close) struct cli_user_file f = {.fd = -1};
    scoped(words_done) struct words w = {0};
    const struct cli_option options[] = {
        {.name = "config", .letter = 'c', .value = &w.config},
        {.name = "file", .letter = 'f', .value = &w.file},
        {.name = "json", .flag = &w.json},
    };
    int code = cli_option_parse(self, options, 3, &argc, argv);

    if (code == CLI_GO_ON && argc != 1)
        code = cli_command_misuse(self, "no more words, please");
    if (code != CLI_GO_ON)
        return code;
    code = open_file(&w, &f, false);
    if (code == EX_OK && w.json) {
        json_t *list = json_array();

        users_each(f.users, add_row, list);
        cli_print_json(list);
        json_decref(list);
    } else if (code == EX_OK) {
        print_all(f.users);
    }
    return code;
}
