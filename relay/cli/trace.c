#include "relay/cli/commands.h"
#include "relay/cli/message.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

static bool
is_same_attempt(const json_t *a, const json_t *b)
{
    return json_is_object(a) && json_equal(a, b);
}

static void
print_tls(const json_t *a)
{
    const char *version = cli_text(a, "tls_version");
    const char *verdict = cli_text(a, "verdict");

    if (*version)
        printf("            tls     %s %s%s%s\n", version,
               cli_text(a, "tls_cipher"), *verdict ? ", certificate " : "",
               verdict);
    else if (*verdict && strcmp(verdict, "none") != 0)
        printf("            tls     no: %s\n", verdict);
}

static void
print_attempt(const json_t *a, const char *time)
{
    const char *host = cli_text(a, "host"), *policy = cli_text(a, "policy");
    const char *proof = cli_text(a, "proof"), *reply = cli_text(a, "reply");
    char took[CLI_TERM_TEXT];
    int64_t ms = cli_number(a, "took_ms");

    printf("\n  %s  ", time);
    if (*host)
        printf("%s%s%s [%s], ", cli_term_paint(CLI_BOLD), host,
               cli_term_paint(CLI_PLAIN), cli_text(a, "address"));
    if (ms < 1000)
        printf("%" PRId64 "ms", ms);
    else
        printf("%s", cli_term_span(ms, took));
    printf(", as far as %s\n", cli_text(a, "step"));
    if (*policy)
        printf("            policy  %s%s%s\n", policy,
               *proof ? ", to prove: " : "", proof);
    print_tls(a);
    if (*reply)
        printf("            reply   %s\n", reply);
}

static void
print_outcome(const json_t *event, int64_t now_ms)
{
    const char *outcome = cli_text(event, "outcome");
    char time[CLI_TERM_TEXT];
    int64_t next = cli_time(event, "next");

    printf("            %s%s%s  %s", cli_term_paint(cli_term_state(outcome)),
           outcome, cli_term_paint(CLI_PLAIN), cli_text(event, "to"));
    if (next)
        printf(", next try %s", cli_term_time(next, now_ms, time));
    if (json_is_true(json_object_get(event, "warned")))
        printf(", the sender was warned");
    (void)fputc('\n', stdout);
}

static void
print_event(const json_t *event, const json_t *before, int64_t now_ms)
{
    const json_t *a = json_object_get(event, "attempt");
    const char *reason = cli_text(event, "reason");
    char time[CLI_TERM_TEXT];

    if (json_is_object(a)) {
        if (!is_same_attempt(a, json_object_get(before, "attempt")))
            print_attempt(a, cli_term_time(cli_time(a, "at"), now_ms, time));
    } else if (*reason) {
        printf("\n  without a try: %s\n", reason);
    }
    if (*cli_text(event, "outcome"))
        print_outcome(event, now_ms);
}

static void
print_trace(const json_t *message, int64_t now_ms)
{
    const json_t *events = json_object_get(message, "events"), *before = NULL;
    const json_t *left = json_object_get(message, "recipients");
    json_int_t left_off =
        json_integer_value(json_object_get(message, "left_off"));
    size_t i;
    json_t *one;

    cli_message_head(message, now_ms);
    if (left_off > 0)
        printf("\n  %lld older events are not shown\n", (long long)left_off);
    json_array_foreach(events, i, one)
    {
        print_event(one, before, now_ms);
        before = one;
    }
    if (json_array_size(left) == 0) {
        (void)puts("\n  finished");
        return;
    }
    printf("\n  still in the queue\n");
    json_array_foreach(left, i, one)
    {
        const char *state = cli_text(one, "state");

        printf("            %s%s%s  %s\n",
               cli_term_paint(cli_term_state(state)), state,
               cli_term_paint(CLI_PLAIN), cli_text(one, "to"));
    }
}

int
cli_trace(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool json = false;
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target),
                                         {.name = "json", .flag = &json}};
    json_t *message = NULL;
    int code = cli_option_parse(self, options, 3, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one id, please");
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_target_look(&target, CLI_LOOK_TRACE, argv[1], &message);
    if (code == EX_OK && json)
        cli_print_json(message);
    else if (code == EX_OK)
        print_trace(message, cli_now_ms());
    json_decref(message);
    cli_target_close(&target);
    return code;
}
