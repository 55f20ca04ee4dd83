#include "relay/cli/explain.h"

#include "queue/store.h"
#include "relay/admin/answer.h"
#include "relay/base/mem.h"
#include "relay/cli/term.h"
#include "relay/daemon/lifetime.h"
#include "relay/daemon/tls_result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is known, and what follows from it. */
struct judgement {
    const json_t *message, *recipient, *plan;
    bool relay_runs;
    int64_t now_ms;
    char *because, *would_go;
    bool never_by_itself, never_expires;
};

static void
judgement_done(struct judgement *j)
{
    own_free(&j->because);
    own_free(&j->would_go);
}

static const char *
destination(const struct judgement *j)
{
    return cli_text(j->recipient, "destination");
}

static bool
is_state(const struct judgement *j, const char *state)
{
    return strcmp(cli_text(j->recipient, "state"), state) == 0;
}

static bool
says(const struct judgement *j, const char *key)
{
    return json_is_true(json_object_get(j->plan, key));
}

static bool
is_blocked(const struct judgement *j)
{
    return cli_time(j->plan, "blocked_until") > j->now_ms;
}

/* --- times, and the last attempt --- */

static int64_t
next_ms(const struct judgement *j)
{
    int64_t next = cli_time(j->recipient, "next");
    int64_t until = cli_time(j->plan, "blocked_until");

    if (j->never_by_itself || (is_state(j, "active") && !is_blocked(j)))
        return 0;
    return until > next ? until : next;
}

/* A relay that was away for long gives what waits its whole time again: see
 * relay/daemon/absence.h.  0: since the message came in. */
static int64_t
age_from_ms(const struct judgement *j)
{
    int64_t from = cli_time(j->plan, "ages_from");

    return from > cli_time(j->message, "arrived") ? from : 0;
}

/* A report is given up however short that time was: see
 * relay/daemon/lifetime.h. */
static bool
is_report(const struct judgement *j)
{
    return strncmp(cli_text(j->message, "origin"), TLS_RESULT_ORIGIN,
                   sizeof(TLS_RESULT_ORIGIN) - 1) == 0;
}

static int64_t
expires_ms(const struct judgement *j)
{
    int64_t after = cli_number(json_object_get(j->plan, "retry"), "expire_ms");
    int64_t arrived = cli_time(j->message, "arrived"), from = age_from_ms(j);
    int64_t end = (from ? from : arrived) + after;

    if (j->never_expires || after == 0)
        return 0;
    if (is_report(j) && end > arrived + LIFETIME_REPORT_MS)
        end = arrived + LIFETIME_REPORT_MS;
    return end;
}

static const json_t *
last_attempt(const struct judgement *j)
{
    const json_t *events = json_object_get(j->message, "events");
    const char *to = cli_text(j->recipient, "to");

    for (size_t i = json_array_size(events); i > 0; i--) {
        const json_t *event = json_array_get(events, i - 1);
        const json_t *attempt = json_object_get(event, "attempt");

        if (json_is_object(attempt) && strcmp(cli_text(event, "to"), to) == 0)
            return attempt;
    }
    return NULL;
}

/* --- reasons, the one that counts first --- */

static bool
held(struct judgement *j)
{
    if (!is_state(j, "held"))
        return false;
    j->because = mem_text("somebody held it");
    j->would_go =
        mem_printf("`sealpost queue release %s`", cli_text(j->message, "id"));
    j->never_by_itself = j->never_expires = true;
    return true;
}

static bool
ended(struct judgement *j)
{
    if (strcmp(destination(j), QUEUE_ENDED) != 0)
        return false;
    j->because = mem_text("an operator gave it up, and its sender is about to "
                          "be told");
    j->would_go = mem_text("never");
    return true;
}

/* One that takes no more mail delivers what it has. */
static bool
relay_rests(struct judgement *j)
{
    if (!j->relay_runs)
        j->because = mem_text("no relay is running");
    else if (strcmp(cli_text(j->plan, "relay"), "store trouble") == 0)
        j->because = mem_text("the relay can't record what it delivers, and so "
                              "delivers nothing (`sealpost status`)");
    else
        return false;
    j->would_go = mem_text("once the relay runs again");
    return true;
}

static bool
route_held(struct judgement *j)
{
    if (!says(j, "held"))
        return false;
    j->because =
        mem_printf("route \"%s\" is held, its hosts don't let us in: %s",
                   cli_text(j->plan, "route"), cli_text(j->plan, "why"));
    j->would_go = mem_text("once its credentials are good; a changed file or "
                           "`sealpost reload` is tried at once");
    j->never_expires = true;
    return true;
}

static bool
forbidden(struct judgement *j)
{
    const char *verdict = cli_text(j->plan, "verdict");
    const json_t *first =
        json_array_get(json_object_get(j->plan, "rejected"), 0);

    if (!j->plan || strcmp(verdict, "go") == 0 || is_state(j, "active"))
        return false;
    j->because =
        mem_printf("mail for %s may not go as things are: %s",
                   cli_text(j->plan, "domain"), cli_text(j->plan, "status"));
    if (first)
        j->would_go =
            mem_printf("if %s were not passed over: %s",
                       cli_text(first, "name"), cli_text(first, "why"));
    else
        j->would_go = mem_text("once DNS and policies of the domain allow it");
    return true;
}

/* RFC 3463 section 3.8: X.7.5 is what we ourselves say of a host that does not
 * prove what it has to. */
static bool
lacks_proof(const json_t *attempt)
{
    const char *proof = cli_text(attempt, "proof");

    return *proof && strcmp(proof, "none") != 0 &&
           strstr(cli_text(attempt, "reply"), " 4.7.5 ");
}

static char *
would_go_next(const struct judgement *j)
{
    const json_t *a = last_attempt(j);
    const char *host = cli_text(a, "host");

    if (lacks_proof(a))
        return mem_printf("once %s proves what %s demands: %s", host,
                          cli_text(a, "policy"), cli_text(a, "proof"));
    if (*host)
        return mem_printf("if the next attempt is taken: %s may say something "
                          "else then",
                          host);
    return mem_text("if the next attempt succeeds; nothing is known against "
                    "it now");
}

static bool
unreached(struct judgement *j)
{
    bool is_policy = lacks_proof(last_attempt(j));
    int64_t failures = cli_number(j->plan, "failures");
    scoped(own_free) char *until = NULL, *times = NULL;

    if (!is_blocked(j) || says(j, "paced"))
        return false;
    times = failures > 1 ? mem_printf(", %" PRId64 " times in a row", failures)
                         : mem_text("");
    j->because = mem_printf("%s %s%s: %s", destination(j),
                            is_policy ? "did not prove what it has to"
                                      : "could not be reached",
                            times, cli_text(j->plan, "why"));
    until = is_policy ? would_go_next(j)
                      : mem_text("once a host there can be reached");
    j->would_go = mem_printf("%s; `sealpost queue retry %s` tries now", until,
                             cli_text(j->message, "id"));
    return true;
}

static bool
slowed(struct judgement *j)
{
    int64_t eased = cli_number(j->plan, "eased");

    if (eased == 0)
        return false;
    j->because = mem_printf("%s says that it gets too much, and has at most "
                            "%" PRId64 " connection%s at a time: %s",
                            destination(j), eased, eased == 1 ? "" : "s",
                            cli_text(j->plan, "why"));
    j->would_go = mem_text("when its turn comes; more is given again by and "
                           "by");
    return true;
}

static bool
paced(struct judgement *j)
{
    if (!says(j, "paced") || !is_blocked(j))
        return false;
    j->because = mem_printf("%s has had its share: a rate is configured",
                            destination(j));
    j->would_go = mem_text("when its turn comes");
    return true;
}

static bool
active(struct judgement *j)
{
    if (!is_state(j, "active"))
        return false;
    j->because = mem_printf("it is being delivered, or the next in line for "
                            "%s (%" PRId64 " under way)",
                            destination(j), cli_number(j->plan, "active"));
    j->would_go = mem_text("now");
    return true;
}

static bool
failed(struct judgement *j)
{
    int64_t end = expires_ms(j);

    if (!is_state(j, "deferred"))
        return false;
    j->because =
        mem_printf("the last attempt failed%s: %s",
                   end > 0 && end <= next_ms(j)
                       ? ", and the next one is the last, as it is too old by "
                         "then"
                       : "",
                   cli_text(j->recipient, "last"));
    j->would_go = would_go_next(j);
    return true;
}

/* Not tried, and not due either: somebody gave it a time. */
static bool
postponed(struct judgement *j)
{
    if (!is_state(j, "queued") || cli_time(j->recipient, "next") <= j->now_ms)
        return false;
    j->because = mem_printf("its first attempt was put off: %s",
                            cli_text(j->recipient, "last"));
    j->would_go = mem_printf("when its turn comes; `sealpost queue retry %s` "
                             "tries now",
                             cli_text(j->message, "id"));
    return true;
}

static bool
fresh(struct judgement *j)
{
    const char *last = cli_text(j->recipient, "last");

    j->because = *last ? mem_printf("it is due again; the last time: %s", last)
                       : mem_text("it was not tried yet");
    j->would_go = mem_text("now");
    return true;
}

typedef bool reason_fn(struct judgement *j);

static reason_fn *const reasons[] = {
    held,   ended, relay_rests, route_held, forbidden, unreached,
    slowed, paced, active,      failed,     postponed, fresh,
};

/* --- proofs --- */

static const char *
or_none(const char *text)
{
    return *text ? text : "none";
}

static void
put_proofs(const struct judgement *j, json_t *out)
{
    const json_t *a = last_attempt(j);
    const char *policy = cli_text(a, "policy"), *proof = cli_text(a, "proof");
    scoped(own_free) char *expected = NULL;
    scoped(own_free) char *seen = NULL;

    if (*policy && *proof && strcmp(proof, "none") != 0) {
        expected = mem_printf("%s: must prove %s", policy, proof);
        seen =
            mem_printf("%s [%s], as far as %s: TLS %s, certificate %s; %s",
                       cli_text(a, "host"), cli_text(a, "address"),
                       cli_text(a, "step"), or_none(cli_text(a, "tls_version")),
                       or_none(cli_text(a, "verdict")), cli_text(a, "reply"));
    }
    json_object_set_new(out, "expected", admin_text(expected));
    json_object_set_new(out, "seen", admin_text(seen));
}

json_t *
cli_explain(const json_t *message, const json_t *recipient, const json_t *plan,
            bool relay_runs, int64_t now_ms)
{
    struct judgement j scoped(judgement_done) = {.message = message,
                                                 .recipient = recipient,
                                                 .plan = plan,
                                                 .relay_runs = relay_runs,
                                                 .now_ms = now_ms};
    json_t *out = json_object();

    for (size_t i = 0; !reasons[i](&j); i++)
        ;
    json_object_set_new(out, "because", admin_text(j.because));
    json_object_set_new(out, "next", admin_time(next_ms(&j)));
    json_object_set_new(out, "would_go", admin_text(j.would_go));
    json_object_set_new(out, "expires", admin_time(expires_ms(&j)));
    json_object_set_new(out, "age_from",
                        admin_time(expires_ms(&j) ? age_from_ms(&j) : 0));
    put_proofs(&j, out);
    return out;
}

/* --- for people --- */

static void
print_time(const char *name, int64_t at_ms, int64_t now_ms)
{
    char span[CLI_TERM_TEXT], time[CLI_TERM_TEXT];

    if (at_ms > now_ms)
        printf("    %-9s in %s (%s)", name, cli_term_span(at_ms - now_ms, span),
               cli_term_time(at_ms, now_ms, time));
    else if (at_ms > 0)
        printf("    %-9s due now", name);
    else
        printf("    %-9s not by itself", name);
}

static void
print_end(const json_t *x, int64_t now_ms)
{
    int64_t from = cli_time(x, "age_from");
    char time[CLI_TERM_TEXT];

    print_time("given up", cli_time(x, "expires"), now_ms);
    if (from)
        printf("; its time counts from %s, as no relay ran before",
               cli_term_time(from, now_ms, time));
    (void)fputc('\n', stdout);
}

static void
print_schedule(const json_t *plan)
{
    const json_t *steps =
        json_object_get(json_object_get(plan, "retry"), "schedule_ms");
    char span[CLI_TERM_TEXT];
    size_t i;
    json_t *one;

    json_array_foreach(steps, i, one)
        printf("%s%s", i == 0 ? "; tries after " : ", ",
               cli_term_span(json_integer_value(one), span));
}

static void
print_host(const json_t *host)
{
    json_t *addresses = json_object_get(host, "addresses");
    size_t i;
    json_t *one;

    printf("              %s", cli_text(host, "name"));
    json_array_foreach(addresses, i, one)
        printf(" %s%s%s", i == 0 ? "[" : "", json_string_value(one),
               i + 1 == json_array_size(addresses) ? "]" : "");
    printf(", must prove: %s (%s)\n", cli_text(host, "proof"),
           cli_text(host, "source"));
}

static void
print_plan(const json_t *plan)
{
    const json_t *sts = json_object_get(plan, "sts");
    const char *route = cli_text(plan, "route"), *mode = cli_text(sts, "mode");
    size_t i;
    json_t *one;

    if (*route)
        printf("    via       route \"%s\"\n", route);
    else
        printf("    via       MX of %s (%s)\n", cli_text(plan, "domain"),
               cli_text(plan, "mx"));
    printf("    policy    TLS %s%s, MTA-STS %s%s%s\n", cli_text(plan, "tls"),
           json_is_true(json_object_get(plan, "exempt")) ? " (exempt)" : "",
           cli_text(sts, "state"), *mode ? " " : "", mode);
    if (strcmp(cli_text(plan, "verdict"), "go") == 0)
        printf("    now       it would go to:\n");
    else
        printf("    now       it would %s: %s\n", cli_text(plan, "verdict"),
               cli_text(plan, "status"));
    json_array_foreach(json_object_get(plan, "hosts"), i, one) print_host(one);
    json_array_foreach(json_object_get(plan, "rejected"), i, one)
        printf("              not %s: %s\n", cli_text(one, "name"),
               cli_text(one, "why"));
}

void
cli_explain_print(const json_t *x, const json_t *plan, bool is_same,
                  int64_t now_ms)
{
    const char *expected = cli_text(x, "expected");

    printf("    %swaits%s     because %s\n", cli_term_paint(CLI_YELLOW),
           cli_term_paint(CLI_PLAIN), cli_text(x, "because"));
    print_time("next try", cli_time(x, "next"), now_ms);
    print_schedule(plan);
    printf("\n    would go  %s\n", cli_text(x, "would_go"));
    if (plan)
        print_end(x, now_ms);
    if (*expected)
        printf("    expected  %s\n    seen      %s\n", expected,
               cli_text(x, "seen"));
    if (plan && is_same)
        printf("    via       the same as above\n");
    else if (plan)
        print_plan(plan);
}
