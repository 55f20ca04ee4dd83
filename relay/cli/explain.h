/*
 * relay/cli/explain - why a recipient still waits: out of what the relay says
 * of it, of its destination and of the last attempt, the one reason that
 * counts now, and what would end the wait.
 */
#ifndef RELAY_CLI_EXPLAIN_H
#define RELAY_CLI_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* As JSON:
 *   because   why it waits
 *   next      when it is tried next; null: not by itself
 *   would_go  what would end the wait
 *   expires   when it is given up; null: not by itself, or not known
 *   age_from  since when its time counts, where that is not since it came in
 *   expected, seen  what policy demanded at the last attempt, and what was
 *                   found there; null where nothing was demanded
 * `message` is as GET /v1/messages/ID/trace has it, `recipient` one of its;
 * `plan` as GET /v1/plan/DOMAIN, NULL: no relay runs, or it does not know. */
json_t *cli_explain(const json_t *message, const json_t *recipient,
                    const json_t *plan, bool relay_runs, int64_t now_ms);

/* The same and the plan for people, below the recipient's own lines.
 * `is_same`: the plan was told for the recipient before. */
void cli_explain_print(const json_t *explanation, const json_t *plan,
                       bool is_same, int64_t now_ms);

#endif
