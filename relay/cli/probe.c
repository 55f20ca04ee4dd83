#include "relay/cli/commands.h"
#include "relay/cli/control.h"
#include "relay/cli/target.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

enum {
    EX_WOULD_NOT = 1,
    RECORD_SHOWN = 70, /* of a TLSA record: a whole SHA-256 digest */
};

/* Two columns: what, and the facts about it. */
static void
title(const char *what)
{
    printf("  %-12s", what);
}

static void
host_title(const char *what)
{
    printf("    %-12s", what);
}

static bool
is(const json_t *object, const char *key, const char *text)
{
    return strcmp(cli_text(object, key), text) == 0;
}

static bool
is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static const char *
authentic(const json_t *object, const char *key)
{
    return is_true(object, key) ? "authenticated by DNSSEC"
                                : "not authenticated";
}

static enum cli_paint
paint_of(const char *state)
{
    if (strcmp(state, "deliverable") == 0)
        return CLI_GREEN;
    if (strcmp(state, "undeliverable") == 0 || strcmp(state, "refused") == 0)
        return CLI_RED;
    if (strcmp(state, "unknown") == 0)
        return CLI_YELLOW;
    return CLI_DIM;
}

static void
painted(enum cli_paint paint, const char *text)
{
    printf("%s%s%s", cli_term_paint(paint), text, cli_term_paint(CLI_PLAIN));
}

/* --- the domain --- */

/* Where the mail would go: the first host that takes it. */
static void
print_way(const json_t *hosts)
{
    size_t i;
    json_t *h;

    json_array_foreach(hosts, i, h)
    {
        const json_t *tls = json_object_get(h, "tls_session");

        if (!is(h, "state", "deliverable"))
            continue;
        printf(" to %s, %s", cli_text(h, "name"),
               is_true(h, "in_clear") ? "in clear" : cli_text(tls, "version"));
        return;
    }
}

static void
print_head(const json_t *p)
{
    static const struct {
        const char *verdict, *words;
    } rows[] = {
        {"deliverable", "mail would be delivered"},
        {"undeliverable", "mail would not be delivered"},
        {"unknown", "could not tell"},
    };
    const char *verdict = cli_text(p, "verdict"), *words = verdict;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(verdict, rows[i].verdict) == 0)
            words = rows[i].words;
    painted(CLI_BOLD, cli_text(p, "domain"));
    printf(": ");
    painted(paint_of(verdict), words);
    if (strcmp(verdict, "deliverable") == 0)
        print_way(json_object_get(p, "hosts"));
    printf("\n");
}

static void
print_rule(const json_t *p)
{
    if (*cli_text(p, "route")) {
        title("route");
        printf("%s, tls = %s\n", cli_text(p, "route"), cli_text(p, "tls"));
    } else if (is_true(p, "exempt")) {
        title("here");
        painted(CLI_YELLOW, "exempt by a domain block");
        printf(", tls = %s\n", cli_text(p, "tls"));
    } else if (!is(p, "tls", "opportunistic")) {
        title("here");
        printf("tls = %s, whatever the domain publishes\n", cli_text(p, "tls"));
    }
}

static void
print_more_rules(const json_t *p)
{
    if (is(p, "dane", "required")) {
        title("dane");
        printf("required here: hosts without TLSA records are not used\n");
    }
    if (is(p, "requiretls", "opportunistic")) {
        title("requiretls");
        printf("opportunistic here: hosts that do not offer it are used\n");
    }
    if (*cli_text(p, "anchors")) {
        title("anchors");
        printf("%s, and no others\n", cli_text(p, "anchors"));
    }
}

static void
print_mx(const json_t *p)
{
    const json_t *mx = json_object_get(p, "mx");
    size_t count = json_array_size(json_object_get(p, "hosts"));

    title("dnssec");
    if (is(p, "dnssec", "off"))
        printf("off: no answer can be authenticated, so DANE can't count\n");
    else
        printf("on (%s)\n", cli_text(p, "dnssec"));
    title("mx");
    if (is(mx, "state", "implicit"))
        printf("none: the domain is its own host");
    else if (is(mx, "state", "null"))
        printf("null MX: the domain takes no mail");
    else if (is(mx, "state", "nxdomain"))
        printf("the domain does not exist");
    else if (is(mx, "state", "unknown"))
        printf("could not be looked up");
    else
        printf("%zu host%s", count, count == 1 ? "" : "s");
    if (*cli_text(mx, "canonical"))
        printf(", as an alias of %s", cli_text(mx, "canonical"));
    if (!is(mx, "state", "route") && !is(mx, "state", "unknown"))
        printf(", %s", authentic(mx, "authentic"));
    printf("%s%s\n", *cli_text(mx, "why") ? ": " : "", cli_text(mx, "why"));
}

static void
print_text(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\r\n");

        if (len > 0) {
            title("");
            printf("  %s%.*s%s\n", cli_term_paint(CLI_DIM), (int)len, text,
                   cli_term_paint(CLI_PLAIN));
        }
        text += len + strspn(text + len, "\r\n");
    }
}

static void
print_sts(const json_t *p, int64_t now)
{
    const json_t *sts = json_object_get(p, "mta_sts");
    const json_t *policy = json_object_get(sts, "policy");
    char age[CLI_TERM_TEXT], left[CLI_TERM_TEXT];

    if (is(p, "plan", "refuse") && is(sts, "state", "off"))
        return; /* there was no reason to look */
    title("mta-sts");
    if (json_is_object(policy)) {
        printf("%s, id %s, fetched %s ago, good for %s more\n",
               cli_text(policy, "mode"), cli_text(policy, "id"),
               cli_term_span(now - cli_time(policy, "fetched"), age),
               cli_term_span(cli_time(policy, "expires") - now, left));
        if (*cli_text(sts, "why")) {
            title("");
            painted(CLI_YELLOW, cli_text(sts, "why"));
            printf("\n");
        }
        if (is(json_object_get(p, "mx"), "state", "implicit")) {
            title("");
            printf("  for want of MX records held against the domain's name\n");
        }
        print_text(cli_text(policy, "text"));
    } else if (is(sts, "state", "absent")) {
        printf("no policy is published\n");
    } else if (is(sts, "state", "off")) {
        printf("not asked for\n");
    } else {
        printf("%s%s%s\n",
               is(sts, "state", "failed") ? "a record, but no policy"
                                          : "could not be learnt",
               *cli_text(sts, "why") ? ": " : "", cli_text(sts, "why"));
    }
}

static void
print_plan(const json_t *p)
{
    const char *status = cli_text(p, "status");

    if (is(p, "plan", "go"))
        return;
    title("plan");
    painted(is(p, "plan", "refuse") ? CLI_RED : CLI_YELLOW,
            is(p, "plan", "refuse") ? "bounce" : "wait and try again");
    printf(": %s\n", status);
}

static void
print_shadow(const json_t *p)
{
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(p, "not_enforced"), i, one)
    {
        const char *host = cli_text(one, "host");
        bool refuses = is(one, "would", "refuse");

        title(i == 0 ? "unenforced" : "");
        printf("%s would %s%s%s%s\n", cli_text(one, "policy"),
               refuses ? "refuse " : "demand ",
               refuses ? "" : cli_text(one, "would"), refuses ? "" : " of ",
               *host ? host : "all hosts");
        if (*cli_text(one, "why")) {
            title("");
            printf("  %s\n", cli_text(one, "why"));
        }
    }
}

/* --- one host --- */

static void
print_demand(const json_t *h)
{
    static const struct {
        const char *proof, *words;
    } rows[] = {
        {"clear", "nothing: no TLS"},
        {"none", "nothing: TLS where it is offered, else in clear"},
        {"encrypt", "TLS"},
        {"pkix", "TLS and a valid certificate for"},
        {"dane", "TLS and a certificate that matches its TLSA records"},
    };
    const json_t *names = json_object_get(h, "names");
    size_t i;
    json_t *one;

    host_title("to prove");
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (is(h, "proof", rows[i].proof))
            printf("%s", rows[i].words);
    if (is(h, "proof", "pkix")) {
        json_array_foreach(names, i, one)
            printf("%s %s", i > 0 ? " or" : "", json_string_value(one));
        if (json_array_size(names) == 0)
            printf(" its name");
    }
    if (*cli_text(h, "policy"))
        printf(" (%s)", cli_text(h, "policy"));
    printf("\n");
}

static void
print_addresses(const json_t *h)
{
    size_t i;
    json_t *one;

    if (json_array_size(json_object_get(h, "addresses")) == 0)
        return;
    host_title("addresses");
    json_array_foreach(json_object_get(h, "addresses"), i, one)
        printf("%s%s", i > 0 ? ", " : "", json_string_value(one));
    printf(", %s\n", authentic(h, "address_authentic"));
}

static void
print_tlsa(const json_t *h)
{
    const json_t *tlsa = json_object_get(h, "tlsa");
    const char *why = cli_text(tlsa, "why");
    size_t i;
    json_t *one;

    if (is(tlsa, "state", "off"))
        return;
    host_title("tlsa");
    if (is(tlsa, "state", "none"))
        printf("none\n");
    else if (is(tlsa, "state", "found"))
        printf("at %s\n", cli_text(tlsa, "base"));
    else
        printf("%s%s%s\n",
               is(tlsa, "state", "insecure") ? "not counted"
                                             : "could not be looked up",
               *why ? ": " : "", why);
    json_array_foreach(json_object_get(tlsa, "records"), i, one)
    {
        host_title("");
        printf("  %.*s%s%s\n", RECORD_SHOWN, cli_text(one, "text"),
               strlen(cli_text(one, "text")) > RECORD_SHOWN ? "..." : "",
               is_true(one, "usable") ? "" : " (unusable)");
    }
}

/* "2026-11-23T14:04:05.123Z" as a day. */
static int
day_len(const char *time)
{
    return (int)strcspn(time, "T");
}

static void
print_certificate(const json_t *c, size_t number, int64_t now)
{
    const char *from = cli_text(c, "not_before");
    const char *until = cli_text(c, "not_after");
    int64_t left = cli_time(c, "not_after") - now;
    char span[CLI_TERM_TEXT];

    host_title("");
    printf("%zu %s\n", number, cli_text(c, "subject"));
    host_title("");
    printf("  issued by %s\n", cli_text(c, "issuer"));
    host_title("");
    printf("  %.*s to %.*s, ", day_len(from), from, day_len(until), until);
    if (left > 0)
        printf("%s left\n", cli_term_span(left, span));
    else
        printf("%sexpired%s\n", cli_term_paint(CLI_RED),
               cli_term_paint(CLI_PLAIN));
}

static void
print_tls(const json_t *tls, int64_t now)
{
    size_t i;
    json_t *one;

    if (!json_is_object(tls))
        return;
    if (*cli_text(tls, "version")) {
        host_title("tls");
        printf("%s %s\n", cli_text(tls, "version"), cli_text(tls, "cipher"));
    }
    host_title("certificate");
    painted(is(tls, "verdict", "verified") ? CLI_GREEN : CLI_YELLOW,
            cli_text(tls, "verdict"));
    if (*cli_text(tls, "matched_tlsa"))
        printf(": matches %.*s", RECORD_SHOWN, cli_text(tls, "matched_tlsa"));
    else if (*cli_text(tls, "matched"))
        printf(": matches %s", cli_text(tls, "matched"));
    else if (*cli_text(tls, "why"))
        printf(": %s", cli_text(tls, "why"));
    printf("\n");
    json_array_foreach(json_object_get(tls, "chain"), i, one)
        print_certificate(one, i, now);
}

static void
print_session(const json_t *h)
{
    const json_t *words = json_object_get(h, "capabilities");
    size_t i;
    json_t *one;

    if (*cli_text(h, "server")) {
        host_title("server");
        printf("%s, in %" PRId64 "ms:", cli_text(h, "server"),
               cli_number(h, "took_ms"));
        json_array_foreach(words, i, one) printf(" %s", json_string_value(one));
        printf("\n");
    }
}

static void
print_host(const json_t *h, int64_t now)
{
    const char *state = cli_text(h, "state"), *why = cli_text(h, "why");
    const json_t *preference = json_object_get(h, "preference");

    printf("\n  ");
    if (json_is_integer(preference))
        printf("%" PRId64 " ", (int64_t)json_integer_value(preference));
    painted(CLI_BOLD, cli_text(h, "name"));
    if (*cli_text(h, "address"))
        printf(" [%s]", cli_text(h, "address"));
    printf(": ");
    painted(paint_of(state), state);
    if (is(h, "state", "refused") || is(h, "state", "unknown"))
        printf(" at %s", cli_text(h, "step"));
    printf("\n");
    if (*why) {
        host_title("");
        painted(paint_of(state) == CLI_GREEN ? CLI_YELLOW : paint_of(state),
                why);
        printf("\n");
    }
    print_addresses(h);
    print_tlsa(h);
    if (*cli_text(h, "proof"))
        print_demand(h);
    print_session(h);
    print_tls(json_object_get(h, "tls_session"), now);
}

static void
print_probe(const json_t *p)
{
    int64_t now = cli_now_ms();
    size_t i;
    json_t *one;

    print_head(p);
    print_rule(p);
    print_more_rules(p);
    print_mx(p);
    print_sts(p, now);
    print_plan(p);
    print_shadow(p);
    json_array_foreach(json_object_get(p, "hosts"), i, one)
        print_host(one, now);
}

/* --- the command --- */

static void
add_query(struct buf *url, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(url, "%s%s=", memchr(url->p, '?', url->len) ? "&" : "?", key);
    cli_url_add(url, value);
}

static int
exit_code(const json_t *p)
{
    if (is(p, "verdict", "deliverable"))
        return EX_OK;
    return is(p, "verdict", "undeliverable") ? EX_WOULD_NOT : EX_TEMPFAIL;
}

int
cli_probe(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    const char *mx = NULL, *from = NULL;
    bool json = false;
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target),
                                         {.name = "json", .flag = &json},
                                         {.name = "mx", .value = &mx},
                                         {.name = "from", .value = &from}};
    struct buf url scoped(buf_free) = {0};
    json_t *answer = NULL;
    int code = cli_option_parse(self, options, 5, &argc, argv);

    if (code == CLI_GO_ON && argc != 2)
        code = cli_command_misuse(self, "one domain, please");
    if (code != CLI_GO_ON)
        return code;
    buf_add_text(&url, "/v1/probe/");
    cli_url_add(&url, argv[1]);
    add_query(&url, "mx", mx);
    add_query(&url, "from", from);
    cli_target_open(&target);
    code = cli_target_call(&target, "GET", buf_text(&url), NULL, &answer);
    if (code == EX_OK && json)
        cli_print_json(answer);
    else if (code == EX_OK)
        print_probe(answer);
    if (code == EX_OK)
        code = exit_code(answer);
    json_decref(answer);
    cli_target_close(&target);
    return code;
}
