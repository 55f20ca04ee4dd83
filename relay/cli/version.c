#include "relay/cli/commands.h"
#include "relay/cli/option.h"

#include <ares.h>
#include <confuse.h>
#include <crypt.h>
#include <idn2.h>
#include <jansson.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <string.h>
#include <sysexits.h>
#include <unbound.h>
#include <uv.h>
#include <zlib.h>

static const char *
revision(void)
{
    return SEALPOST_REVISION[0] ? SEALPOST_REVISION : "unknown";
}

static json_t *
libraries(void)
{
    char llhttp[32];

    (void)snprintf(llhttp, sizeof(llhttp), "%d.%d.%d", LLHTTP_VERSION_MAJOR,
                   LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
                     "openssl", OpenSSL_version(OPENSSL_VERSION_STRING),
                     "sqlite", sqlite3_libversion(), "libuv",
                     uv_version_string(), "c-ares", ares_version(NULL),
                     "libunbound", ub_version(), "llhttp", llhttp, "jansson",
                     JANSSON_VERSION, "zlib", zlibVersion(), "libidn2",
                     idn2_check_version(NULL), "libconfuse", confuse_version,
                     "libxcrypt", XCRYPT_VERSION_STR);
}

static void
print_text(json_t *libs)
{
    const char *name;
    json_t *version;

    printf("sealpost %s (revision %s)\n", SEALPOST_VERSION, revision());
    json_object_foreach(libs, name, version)
        printf("  %-10s %s\n", name, json_string_value(version));
}

int
cli_version(const struct cli_command *self, int argc, char **argv)
{
    bool json = false;
    const struct cli_option options[] = {{.name = "json", .flag = &json}};
    int code = cli_option_parse(self, options, 1, &argc, argv);
    json_t *libs, *all;

    if (code != CLI_GO_ON)
        return code;
    libs = libraries();
    all = json_pack("{s:s, s:s, s:o}", "version", SEALPOST_VERSION, "revision",
                    revision(), "libraries", libs);
    if (json) {
        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        (void)fputc('\n', stdout);
    } else {
        print_text(libs);
    }
    json_decref(all);
    return EX_OK;
}
