#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/dkim.h"
#include "relay/cli/option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static bool
write_all(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.p, text.len);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            text = slice_from(text, (size_t)n);
    }
    return fsync(fd) == 0;
}

/* Never over a file that is there: it may be the key in use. */
static int
write_key(const char *path, const struct mail_dkim_key *key)
{
    scoped(own_close) int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct buf pem = {0};
    bool ok;

    if (fd < 0)
        return cli_fail(EX_CANTCREAT, "%s: %s%s", path, strerror(errno),
                        errno == EEXIST ? ", and is not overwritten" : "");
    mail_dkim_key_write(key, &pem);
    ok = write_all(fd, buf_slice(&pem));
    explicit_bzero(pem.p, pem.len);
    buf_free(&pem);
    if (ok)
        return EX_OK;
    (void)unlink(path);
    return cli_fail(EX_IOERR, "%s: %s", path, strerror(errno));
}

static void
tell(const char *path, const char *domain, const char *selector)
{
    char *where = realpath(path, NULL);

    (void)fprintf(stderr,
                  "The key is in %s.  Publish the record above, then add to "
                  "the configuration:\n\n"
                  "dkim \"%s\" { selector = \"%s\" key = \"%s\" }\n",
                  path, domain, selector, where ? where : path);
    free(where);
}

int
cli_dkim_keygen(const struct cli_command *self, int argc, char **argv)
{
    const char *path = NULL;
    bool is_ed25519 = false;
    const struct cli_option options[] = {
        {.name = "ed25519", .flag = &is_ed25519},
        {.name = "output", .letter = 'o', .value = &path}};
    scoped(mail_dkim_key_free) struct mail_dkim_key *key = NULL;
    scoped(own_free) char *preset = NULL;
    scoped(own_free) char *name = NULL;
    struct mail_domain domain;
    struct err err;
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    if (argc != 3)
        return cli_command_misuse(self, "a domain and a selector are needed");
    if (!mail_domain_parse(slice_of(argv[1]), &domain, &err))
        return cli_fail(EX_DATAERR, "%s: %s", argv[1], err.text);
    name = cli_dkim_name(domain.text, argv[2]);
    if (!mail_dkim_is_selector(argv[2]) || strlen(name) > MAIL_DOMAIN_MAX)
        return cli_fail(EX_DATAERR, "%s: not a selector", argv[2]);
    preset = mem_printf("%s.%s.pem", domain.text, argv[2]);
    path = path ? path : preset;
    key = mail_dkim_key_make(is_ed25519);
    code = write_key(path, key);
    if (code != EX_OK)
        return code;
    cli_dkim_print(name, key);
    (void)fflush(stdout);
    tell(path, domain.text, argv[2]);
    return EX_OK;
}
