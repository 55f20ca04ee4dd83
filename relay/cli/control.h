/*
 * relay/cli/control - one question to the running relay, over its control
 * socket: blocking HTTP/1.1, the response read by llhttp.
 */
#ifndef RELAY_CLI_CONTROL_H
#define RELAY_CLI_CONTROL_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

enum {
    CLI_CONTROL_WAIT_S = 120, /* for the next octets of a response */
    CLI_CONTROL_BODY_MAX = 64 * 1024 * 1024,
};

struct cli_answer {
    int status;
    struct buf body;
};

/* `body` NULL: none, else JSON.  ERR_MISSING: nobody listens there. */
bool cli_control_ask(const char *socket_path, const char *method,
                     const char *target, const char *body,
                     struct cli_answer *out, struct err *err) must_use;
/* Only asks; the answer is read from *fd, which is the caller's. */
bool cli_control_open(const char *socket_path, const char *method,
                      const char *target, int *fd, struct err *err) must_use;
void cli_answer_done(struct cli_answer *a);

/* Reads a whole response out of a stream. */
struct cli_reader;
struct cli_reader *cli_reader_new(struct cli_answer *out);
void cli_reader_free(struct cli_reader **r);
/* *whole: the response is complete; what lies behind it is ignored. */
bool cli_reader_feed(struct cli_reader *r, struct slice in, bool *whole,
                     struct err *err) must_use;
/* The stream has ended. */
bool cli_reader_end(struct cli_reader *r, struct err *err) must_use;

/* Appends `text` so that it can stand in a path or behind "key=". */
void cli_url_add(struct buf *url, const char *text);

#endif
