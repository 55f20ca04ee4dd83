#include "relay/config/check.h"

#include "relay/base/mem.h"
#include "relay/mail/domain.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
may_use(const char *directory, const char *parent)
{
    struct stat st;

    if (stat(directory, &st) == 0)
        return S_ISDIR(st.st_mode) && access(directory, W_OK | X_OK) == 0;
    return access(parent, W_OK | X_OK) == 0;
}

static const char *
variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] == '/' ? value : NULL;
}

char *
config_default_state(void)
{
    const char *given = variable("STATE_DIRECTORY");
    const char *home = variable("HOME");
    const char *state_home = variable("XDG_STATE_HOME");

    if (given) { /* systemd separates several by colons */
        struct slice rest = slice_of(given);

        return mem_copy(slice_cut(&rest, ':'));
    }
    if (may_use("/var/lib/sealpost", "/var/lib"))
        return mem_text("/var/lib/sealpost");
    if (state_home)
        return mem_printf("%s/sealpost", state_home);
    return home ? mem_printf("%s/.local/state/sealpost", home) : NULL;
}

char *
config_default_control(const char *state_directory)
{
    const char *given = variable("RUNTIME_DIRECTORY");

    if (given) {
        struct slice rest = slice_of(given);
        struct slice first = slice_cut(&rest, ':');

        return mem_printf("%.*s/control.sock", (int)first.len, first.p);
    }
    if (may_use("/run/sealpost", "/run"))
        return mem_text(CONFIG_CONTROL_DEFAULT);
    return mem_printf("%s/control.sock", state_directory);
}

char *
config_default_maildrop(const char *state_directory)
{
    if (access(CONFIG_MAILDROP_DEFAULT, W_OK | X_OK) == 0)
        return mem_text(CONFIG_MAILDROP_DEFAULT);
    return mem_printf("%s/maildrop", state_directory);
}

static char *
canonical_name(const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_CANONNAME,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char *name = NULL;

    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return NULL;
    if (found->ai_canonname)
        name = mem_text(found->ai_canonname);
    freeaddrinfo(found);
    return name;
}

char *
config_default_hostname(void)
{
    char host[256] = "";
    scoped(own_free) char *full = NULL;
    struct mail_domain domain;
    struct err err;

    (void)gethostname(host, sizeof(host) - 1);
    if (mail_domain_parse(slice_of(host), &domain, &err))
        return mem_text(domain.text);
    full = canonical_name(host);
    if (full && mail_domain_parse(slice_of(full), &domain, &err))
        return mem_text(domain.text);
    if (mail_domain_parse_host(slice_of(host), &domain, &err))
        return mem_text(domain.text);
    return mem_text("localhost");
}
