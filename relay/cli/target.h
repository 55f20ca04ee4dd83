/*
 * relay/cli/target - which relay a command speaks to: the running one, by its
 * control socket; and for commands that only look, the store of one that does
 * not run.
 */
#ifndef RELAY_CLI_TARGET_H
#define RELAY_CLI_TARGET_H

#include "queue/store.h"
#include "relay/base/buf.h"
#include "relay/cli/filter.h"
#include "relay/cli/option.h"
#include "relay/config/config.h"

#include <jansson.h>

/* Zeroed storage, filled by options, then cli_target_open. */
struct cli_target {
    const char *file, *given_socket; /* --config, --socket */
    struct config *config;           /* cli_target_config's */
    bool tried;
    char *socket;
    struct queue_store *store; /* open: no relay runs */
    int lock_fd;
};

#define CLI_TARGET_OPTIONS(t)                                                  \
    {.name = "config", .letter = 'c', .value = &(t)->file},                    \
    {                                                                          \
        .name = "socket", .value = &(t)->given_socket                          \
    }

/* Finds the socket.  Of a configuration with mistakes only the socket that it
 * names counts: the relay that runs has read another. */
void cli_target_open(struct cli_target *t);
/* Read when it is first asked for; NULL: it can't be. */
const struct config *cli_target_config(struct cli_target *t);
void cli_target_close(struct cli_target *t);

/* Asks the running relay.  0 and *out (json_decref; `out` may be NULL), or
 * the exit code, after a line on stderr: EX_UNAVAILABLE when it does not run,
 * EX_NOINPUT for 404, EX_DATAERR for what it finds wrong, else EX_TEMPFAIL. */
int cli_target_call(struct cli_target *t, const char *method,
                    const char *target, const json_t *body, json_t **out);

/* Nobody could be asked: a line on stderr, EX_UNAVAILABLE. */
int cli_target_none(const struct err *err);

/* EX_OK: a relay runs, or t->store is the one of a relay that does not. */
int cli_target_choose(struct cli_target *t);

/* What can be looked at by name. */
enum cli_look {
    CLI_LOOK_MESSAGE,
    CLI_LOOK_TRACE,    /* key: an id */
    CLI_LOOK_POLICIES, /* key: the domain to begin behind, "" at first */
    CLI_LOOK_POLICY,   /* key: a domain */
    CLI_LOOK_REPORTS,  /* key: to begin behind, "" at first */
    CLI_LOOK_REPORT,   /* key: "DAY DOMAIN" */
};

/* As cli_target_call; without a running relay from the store. */
int cli_target_look(struct cli_target *t, enum cli_look what, const char *key,
                    json_t **out);
/* A page of the queue; `cursor` "" at first. */
int cli_target_queue(struct cli_target *t, const struct cli_filter *f,
                     const char *cursor, json_t **out);
/* Piece `sequence` of a message's body, appended; *end: there is none. */
int cli_target_piece(struct cli_target *t, const char *id, unsigned sequence,
                     struct buf *out, bool *end);

#endif
