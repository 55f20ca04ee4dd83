/*
 * relay/cli/send_options - the command line of sendmail, as far as programs
 * use it.
 */
#ifndef RELAY_CLI_SEND_OPTIONS_H
#define RELAY_CLI_SEND_OPTIONS_H

#include "relay/cli/command.h"
#include "relay/mail/envelope.h"

#include <stdbool.h>

enum cli_send_mode {
    CLI_SEND_MESSAGE,
    CLI_SEND_SMTP,    /* -bs */
    CLI_SEND_QUEUE,   /* -bp */
    CLI_SEND_NOTHING, /* -q, -bi: the relay sees to it by itself */
};

struct cli_send_options {
    enum cli_send_mode mode;
    bool take_recipients; /* -t */
    bool dots;            /* -i, -oi: a dot alone is a line like others */
    bool verbose;         /* -v */
    bool requiretls;      /* -O requiretls=yes */
    const char *from;     /* -f, -r; NULL not given, "" is <> */
    const char *name;     /* -F */
    const char *envid;    /* -V */
    enum mail_ret ret;    /* -R */
    uint8_t notify;       /* -N */
    const char *config;   /* --config; for tests and several relays */
    const char *socket;   /* --socket */
};

/* CLI_GO_ON and the recipients in argv[1] to argv[*argc - 1], or the exit
 * code. */
int cli_send_options(const struct cli_command *c, struct cli_send_options *out,
                     int *argc, char **argv);

#endif
