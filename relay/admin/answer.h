/*
 * relay/admin/answer - responses of the API.
 *
 * An error is {"error": "what is wrong"}.
 */
#ifndef RELAY_ADMIN_ANSWER_H
#define RELAY_ADMIN_ANSWER_H

#include "relay/base/err.h"
#include "relay/net/http_server.h"

#include <jansson.h>

void admin_answer_text(struct net_http_request *r, int status,
                       const char *text);
/* Takes the value over. */
void admin_answer_json(struct net_http_request *r, int status, json_t *value);
void admin_answer_error(struct net_http_request *r, int status,
                        const char *why);
/* ERR_MISSING is 404, ERR_INPUT 400, ERR_LIMIT 413, the rest 503. */
void admin_answer_failure(struct net_http_request *r, const struct err *err);

/* A string of whatever bytes, made fit to be shown; NULL gives null. */
json_t *admin_text(const char *text);
/* The same for a text of several lines, which '\n' ends. */
json_t *admin_lines(const char *text);
/* Milliseconds since 1970 as "2026-11-23T13:04:05.123Z"; 0 gives null. */
json_t *admin_time(int64_t unix_ms);

#endif
