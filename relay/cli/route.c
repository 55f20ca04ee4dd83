/* route test: which way a message would take, from the configuration alone. */
#include "relay/cli/commands.h"
#include "relay/cli/option.h"
#include "relay/cli/term.h"
#include "relay/config/config.h"
#include "relay/mail/address.h"
#include "relay/net/timer.h"
#include "smtp/sasl.h"

#include <string.h>
#include <sysexits.h>

struct question {
    const struct config *config;
    const char *from;              /* "" is <> */
    struct mail_address asked, to; /* `to`: where the mode sends it */
};

/* --- what is found --- */

static json_t *
text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* Routes up to the one that takes it; the others are not looked at. */
static json_t *
compare(const struct question *q, const struct config_route **taken)
{
    json_t *list = json_array();

    *taken = NULL;
    for (size_t i = 0; i < q->config->route_count && !*taken; i++) {
        const struct config_route *r = &q->config->route[i];
        struct config_match m = config_route_match(r, q->from, q->to.text);

        if (m.from && m.to)
            *taken = r;
        json_array_append_new(list, json_pack("{s:s, s:b, s:o, s:o}", "name",
                                              r->name, "takes", *taken != NULL,
                                              "sender", text_or_null(m.from),
                                              "recipient", text_or_null(m.to)));
    }
    return list;
}

static json_t *
hosts(const struct config_route *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->via_count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:b, s:b}", "host", r->via[i].host,
                            "port", (int)r->via[i].port, "implicit_tls",
                            r->via[i].implicit_tls, "is_mx", r->via[i].is_mx));
    return list;
}

static json_t *
mechanisms(unsigned set)
{
    json_t *list = json_array();

    for (enum smtp_sasl_mechanism m = 0; m < SMTP_SASL_COUNT; m++)
        if (set & SMTP_SASL_BIT(m))
            json_array_append_new(list, json_string(smtp_sasl_name(m)));
    return list;
}

static json_t *
auth(const struct config_route *r)
{
    bool by_token = r->oauth.token_url[0] != '\0';

    if (r->mechanisms == 0)
        return json_null();
    return json_pack("{s:s, s:o, s:o}", "user", r->user, "mechanisms",
                     mechanisms(r->mechanisms), "token_url",
                     text_or_null(by_token ? r->oauth.token_url : NULL));
}

static void
add_route(json_t *found, const struct config_route *r)
{
    json_object_set_new(found, "route", json_string(r->name));
    json_object_set_new(found, "hosts", hosts(r));
    json_object_set_new(found, "tls", json_string(policy_level_name(r->level)));
    json_object_set_new(found, "pinned",
                        json_boolean(r->fingerprint_count > 0));
    json_object_set_new(
        found, "certificate",
        text_or_null(r->certificate[0] ? r->certificate : NULL));
    json_object_set_new(found, "auth", auth(r));
}

/* What DNS says of it is for `probe`. */
static void
add_mx(json_t *found, const struct question *q)
{
    struct config_domain rule =
        config_rule_for(q->config, q->to.domain.text, net_clock_wall());

    json_object_set_new(found, "route", json_null());
    json_object_set_new(found, "hosts", json_array());
    json_object_set_new(found, "tls",
                        json_string(policy_level_name(rule.level)));
    json_object_set_new(found, "pinned",
                        json_boolean(rule.fingerprint_count > 0));
    json_object_set_new(found, "certificate", json_null());
    json_object_set_new(found, "auth", json_null());
}

static json_t *
find(const struct question *q)
{
    const struct config_route *taken;
    json_t *compared = compare(q, &taken);
    json_t *found =
        json_pack("{s:s, s:s, s:s, s:s, s:o}", "from", q->from, "to",
                  q->asked.text, "mode", config_mode_name(q->config->mode),
                  "goes_to", q->to.text, "compared", compared);

    if (taken)
        add_route(found, taken);
    else
        add_mx(found, q);
    return found;
}

/* --- for people --- */

static void
print_compared(const json_t *one)
{
    bool takes = json_is_true(json_object_get(one, "takes"));
    const char *sender = json_string_value(json_object_get(one, "sender"));
    const char *rcpt = json_string_value(json_object_get(one, "recipient"));

    printf("  route %-20s %s%s%s: ", cli_text(one, "name"),
           cli_term_paint(takes ? CLI_GREEN : CLI_DIM), takes ? "yes" : "no",
           cli_term_paint(CLI_PLAIN));
    if (!sender)
        printf("the sender is none of its senders%s",
               rcpt ? "" : ", nor the recipient of its recipients");
    else if (!rcpt)
        printf("the recipient is none of its recipients");
    else if (*sender)
        printf("sender is %s, recipient is %s", sender, rcpt);
    else
        printf("any sender, recipient is %s", rcpt);
    (void)fputc('\n', stdout);
}

static void
print_hosts(const json_t *list)
{
    size_t i;
    const json_t *one;

    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        bool is_mx = json_is_true(json_object_get(one, "is_mx"));

        printf("  %-10s%s%s:%d%s\n", i == 0 ? "hosts" : "",
               is_mx ? "MX hosts of " : "", cli_text(one, "host"),
               (int)cli_number(one, "port"),
               json_is_true(json_object_get(one, "implicit_tls"))
                   ? ", TLS from the first octet"
                   : "");
    }
}

static void
print_auth(const json_t *a)
{
    const json_t *list = json_object_get(a, "mechanisms");
    const char *token_url = cli_text(a, "token_url");

    printf("  %-10s", "auth");
    if (json_is_null(a)) {
        (void)puts("none");
        return;
    }
    printf("as %s, by", cli_text(a, "user"));
    for (size_t i = 0; i < json_array_size(list); i++)
        printf("%s %s", i > 0 ? " or" : "",
               json_string_value(json_array_get(list, i)));
    if (*token_url)
        printf(", with tokens from %s", token_url);
    (void)fputc('\n', stdout);
}

static const char *
in_words(const char *level)
{
    static const char *const words[][2] = {
        {"none", "never"},
        {"opportunistic", "where offered, whoever it is"},
        {"required", "needed, whoever it is"},
        {"verified", "needed, with a certificate for the host's name"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i][0], level) == 0)
            return words[i][1];
    return level;
}

static void
print_way(const json_t *f, const struct question *q)
{
    const char *route = json_string_value(json_object_get(f, "route"));
    const char *certificate =
        json_string_value(json_object_get(f, "certificate"));

    if (route)
        printf("goes by route %s%s%s\n", cli_term_paint(CLI_BOLD), route,
               cli_term_paint(CLI_PLAIN));
    else
        printf("goes to the MX hosts of %s%s%s\n", cli_term_paint(CLI_BOLD),
               q->to.is_literal ? strchr(q->to.text, '@') + 1
                                : q->to.domain.text,
               cli_term_paint(CLI_PLAIN));
    print_hosts(json_object_get(f, "hosts"));
    printf("  %-10s%s: %s%s\n", "TLS", cli_text(f, "tls"),
           in_words(cli_text(f, "tls")),
           route ? "" : "; more where the domain's policies ask for it");
    if (json_is_true(json_object_get(f, "pinned")))
        printf("  %-10sone of the fingerprints\n", "");
    if (certificate)
        printf("  %-10s%s is shown\n", "", certificate);
    if (route)
        print_auth(json_object_get(f, "auth"));
    if (q->config->mode == CONFIG_MODE_SINK)
        (void)puts("  but the mode is sink: nothing is delivered");
}

static void
print(const json_t *f, const struct question *q)
{
    const json_t *compared = json_object_get(f, "compared");

    printf("from %s to %s\n", *q->from ? q->from : "<>", q->asked.text);
    if (q->config->mode == CONFIG_MODE_REDIRECT)
        printf("  the mode is redirect: to %s\n", q->to.text);
    for (size_t i = 0; i < json_array_size(compared); i++)
        print_compared(json_array_get(compared, i));
    if (q->config->route_count > json_array_size(compared))
        printf("  %zu further not looked at\n",
               q->config->route_count - json_array_size(compared));
    print_way(f, q);
}

/* --- the command --- */

static int
read_addresses(const struct cli_command *self, char **argv, struct question *q)
{
    struct mail_address from;
    struct err err;
    bool is_null = strcmp(argv[1], "<>") == 0 || argv[1][0] == '\0';

    q->from = is_null ? "" : argv[1];
    if (!is_null && !mail_address_parse(slice_of(argv[1]), true, &from, &err))
        return cli_fail(EX_DATAERR, "%s: %s: %s", self->name, argv[1],
                        err.text);
    if (!mail_address_parse(slice_of(argv[2]), true, &q->asked, &err))
        return cli_fail(EX_DATAERR, "%s: %s: %s", self->name, argv[2],
                        err.text);
    q->to = q->asked;
    if (q->config->mode == CONFIG_MODE_REDIRECT &&
        !mail_address_parse(slice_of(q->config->redirect_to), true, &q->to,
                            &err))
        return cli_fail(EX_CONFIG, "redirect_to: %s", err.text);
    return EX_OK;
}

static int
load(const char *file, struct config **out)
{
    struct config_errors errs = {0};
    bool ok = config_load(file, out, &errs);

    for (size_t i = 0; i < errs.count; i++)
        (void)fprintf(stderr, "%s\n", errs.text[i]);
    config_errors_done(&errs);
    return ok ? EX_OK : EX_CONFIG;
}

int
cli_route_test(const struct cli_command *self, int argc, char **argv)
{
    const char *file = NULL;
    bool json = false;
    const struct cli_option options[] = {
        {.name = "config", .letter = 'c', .value = &file},
        {.name = "json", .flag = &json}};
    struct config *config scoped(config_free) = NULL;
    struct question q = {0};
    json_t *found;
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code == CLI_GO_ON && argc != 3)
        code = cli_command_misuse(self, "a sender and a recipient are needed");
    if (code != CLI_GO_ON)
        return code;
    code = load(file, &config);
    q.config = config;
    if (code == EX_OK)
        code = read_addresses(self, argv, &q);
    if (code != EX_OK)
        return code;
    found = find(&q);
    if (json)
        cli_print_json(found);
    else
        print(found, &q);
    json_decref(found);
    return EX_OK;
}
