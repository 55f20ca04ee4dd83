/* doctor: state directory, disk, clock, certificates, the relay itself. */
#include "relay/base/mem.h"
#include "relay/cli/control.h"
#include "relay/cli/doctor.h"
#include "relay/cli/term.h"
#include "relay/daemon/filesystem.h"
#include "relay/daemon/server_tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

enum {
    MB = 1024 * 1024,
    DAY_S = 24 * 60 * 60,
    LEAST_PERCENT = 10,
};

/* 2026-01-01: no clock that is right shows less. */
static const int64_t least_clock_ms = 1767225600000;

/* Of a directory that is still to be made, the one that it will be in. */
static char *
existing(const char *path)
{
    char *part = mem_text(path);

    while (access(part, F_OK) != 0 && strrchr(part, '/') > part)
        *strrchr(part, '/') = '\0';
    return part;
}

static void
look_at_disk(struct cli_doctor *d, const char *path)
{
    struct statvfs fs;
    uint64_t free_mb, percent;
    enum cli_doctor_level level = CLI_DOCTOR_OK;

    if (statvfs(path, &fs) != 0) {
        cli_doctor_tell(d, "disk", CLI_DOCTOR_WARNING, "%s: %s", path,
                        strerror(errno));
        return;
    }
    free_mb = (uint64_t)fs.f_bavail * fs.f_frsize / MB;
    percent = fs.f_blocks > 0 ? (uint64_t)fs.f_bavail * 100 / fs.f_blocks : 0;
    if (free_mb < CLI_DOCTOR_DISK_MIN_MB ||
        (percent < LEAST_PERCENT && free_mb < 10 * CLI_DOCTOR_DISK_MIN_MB))
        level = CLI_DOCTOR_WARNING;
    if (free_mb < CLI_DOCTOR_DISK_LEAST_MB)
        level = CLI_DOCTOR_FAILURE;
    cli_doctor_tell(d, "disk", level,
                    "%" PRIu64 " MB free (%" PRIu64 " %%) in %s%s", free_mb,
                    percent, path,
                    level == CLI_DOCTOR_FAILURE ? ": no mail is taken" : "");
}

static void
look_at_filesystem(struct cli_doctor *d, const char *path)
{
    switch (filesystem_of(path)) {
    case FILESYSTEM_LOCAL:
        cli_doctor_tell(d, "filesystem", CLI_DOCTOR_OK, "%s is on a local one",
                        path);
        break;
    case FILESYSTEM_NETWORK:
        cli_doctor_tell(d, "filesystem", CLI_DOCTOR_FAILURE,
                        "%s is on a network file system, whose locks can't be "
                        "trusted: the relay does not start there",
                        path);
        break;
    case FILESYSTEM_MEMORY:
        cli_doctor_tell(
            d, "filesystem", CLI_DOCTOR_WARNING,
            "%s is in memory: mail is lost with the next start of the "
            "machine",
            path);
        break;
    case FILESYSTEM_OVERLAY:
        cli_doctor_tell(d, "filesystem", CLI_DOCTOR_WARNING,
                        "%s is a container's own layer: mail is lost with the "
                        "container; mount a volume",
                        path);
        break;
    }
}

static void
look_at_state(struct cli_doctor *d)
{
    const char *path = d->c->state_directory;
    char *part scoped(own_free) = existing(path);

    if (strcmp(part, path) != 0)
        cli_doctor_tell(d, "state", CLI_DOCTOR_NOTE,
                        "%s is not there yet: the first start makes it", path);
    else if (access(path, R_OK | W_OK | X_OK) != 0)
        cli_doctor_tell(d, "state", CLI_DOCTOR_NOTE,
                        "%s: not writable by this user", path);
    else
        cli_doctor_tell(d, "state", CLI_DOCTOR_OK, "%s", path);
    look_at_filesystem(d, part);
    look_at_disk(d, part);
}

static void
look_at_clock(struct cli_doctor *d)
{
    struct timex t = {0};
    int state = adjtimex(&t);

    if (cli_now_ms() < least_clock_ms)
        cli_doctor_tell(
            d, "clock", CLI_DOCTOR_FAILURE,
            "it is wrong: certificates and signatures can't be judged");
    else if (state < 0)
        cli_doctor_tell(d, "clock", CLI_DOCTOR_NOTE, "can't be asked: %s",
                        strerror(errno));
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        cli_doctor_tell(
            d, "clock", CLI_DOCTOR_WARNING,
            "nothing keeps it right (no NTP): certificates, DKIM and "
            "policies go by it");
    else
        cli_doctor_tell(d, "clock", CLI_DOCTOR_OK, "is kept right");
}

static void
look_at_certificates(struct cli_doctor *d)
{
    struct server_tls *set = NULL;
    struct server_tls_facts facts = {0};
    struct err err;
    int64_t left;

    if (!server_tls_load(d->c, &set, 1, &facts, &err)) {
        cli_doctor_tell(d, "certificate", CLI_DOCTOR_FAILURE, "%s", err.text);
        return;
    }
    server_tls_free(&set);
    left = facts.not_after - cli_now_ms() / 1000;
    if (facts.not_after == 0)
        cli_doctor_tell(d, "certificate", CLI_DOCTOR_NOTE,
                        "no listener has TLS");
    else if (left <= 0)
        cli_doctor_tell(d, "certificate", CLI_DOCTOR_FAILURE, "%s has expired",
                        facts.file);
    else
        cli_doctor_tell(
            d, "certificate",
            left < CLI_DOCTOR_CERTIFICATE_DAYS * DAY_S ? CLI_DOCTOR_WARNING
                                                       : CLI_DOCTOR_OK,
            "%s is good for %" PRId64 " days", facts.file, left / DAY_S);
}

static void
look_at_relay(struct cli_doctor *d)
{
    struct cli_answer answer;
    struct err err;

    if (!cli_control_ask(d->target->socket, "GET", "/readyz", NULL, &answer,
                         &err)) {
        cli_doctor_tell(d, "relay", CLI_DOCTOR_NOTE, "none answers at %s",
                        d->target->socket);
        return;
    }
    cli_doctor_tell(d, "relay",
                    answer.status == 200 ? CLI_DOCTOR_OK : CLI_DOCTOR_WARNING,
                    "%s",
                    answer.status == 200 ? "runs and takes mail"
                                         : "runs, but takes no mail now");
    cli_answer_done(&answer);
}

void
cli_doctor_look_at_host(struct cli_doctor *d)
{
    look_at_relay(d);
    look_at_state(d);
    look_at_clock(d);
    look_at_certificates(d);
}
