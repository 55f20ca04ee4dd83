/*
 * relay/cli/command - which subcommand is meant, and what there is to say
 * about each: usage line, one line of summary, text of --help.
 *
 * The program is called by several names: as sendmail it is `sealpost send`,
 * as mailq and postqueue it lists the queue the way those do.
 */
#ifndef RELAY_CLI_COMMAND_H
#define RELAY_CLI_COMMAND_H

#include <stddef.h>
#include <stdio.h>

struct cli_command {
    const char *name;    /* "queue list" */
    const char *usage;   /* what stands behind the name */
    const char *summary; /* one line, for the overview */
    const char *help;    /* text behind the usage line; whole lines */
    /* argv[0] is the last word of the name; exit code of sysexits.h. */
    int (*run)(const struct cli_command *self, int argc, char **argv);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/* The program: picks the command by argv[0] or by the first words. */
int cli_main(int argc, char **argv);

/* What --help prints. */
void cli_command_help(const struct cli_command *c, FILE *out);

/* The usage line with `why` in front, on stderr; returns EX_USAGE. */
int cli_command_misuse(const struct cli_command *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "sealpost: why" on stderr; returns `code`. */
int cli_fail(int code, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
