#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/dkim.h"
#include "relay/cli/option.h"
#include "relay/cli/term.h"
#include "relay/daemon/dnssec.h"
#include "relay/net/dns.h"

#include <jansson.h>
#include <stdlib.h>
#include <sysexits.h>

enum { EX_WRONG = 1 };

/* The keys are asked for one after the other. */
struct asking {
    const struct config *c;
    uv_loop_t loop;
    struct net_dns *dns;
    struct net_dns_query *query;
    size_t block, key; /* the one under way */
    json_t *list;
    bool has[CLI_DKIM_UNKNOWN + 1];
};

static void ask(struct asking *a);

static const struct config_dkim *
block(const struct asking *a)
{
    return &a->c->dkim[a->block];
}

static void
add(struct asking *a, enum cli_dkim_state state, const char *why)
{
    static const char *const words[] = {[CLI_DKIM_GOOD] = "ok",
                                        [CLI_DKIM_WRONG] = "wrong",
                                        [CLI_DKIM_UNKNOWN] = "unknown"};
    const struct config_dkim *d = block(a);
    const char *selector = d->selector.text[a->key];
    scoped(own_free) char *name = cli_dkim_name(d->domain, selector);

    a->has[state] = true;
    (void)json_array_append_new(
        a->list,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*}", "domain", d->domain,
                  "selector", selector, "name", name, "algorithm",
                  mail_dkim_key_algorithm(d->key[a->key].key), "state",
                  words[state], "reason", state == CLI_DKIM_GOOD ? NULL : why));
}

static enum cli_dkim_state
judge(const struct asking *a, const struct dns_answer *answer, struct err *err)
{
    return cli_dkim_judge(a->c, block(a), a->key, answer, err);
}

static void
answered(void *ctx, const struct dns_answer *answer)
{
    struct asking *a = ctx;
    struct err err = {0};

    add(a, judge(a, answer, &err), err.text);
    a->key++;
    if (a->key == block(a)->file.count) {
        a->key = 0;
        a->block++;
    }
    ask(a);
}

static void
ask(struct asking *a)
{
    scoped(own_free) char *name = NULL;

    if (a->block == a->c->dkim_count) {
        net_dns_free(&a->dns);
        return;
    }
    name = cli_dkim_name(block(a)->domain, block(a)->selector.text[a->key]);
    net_dns_start(&a->query, a->dns, name, DNS_TXT, answered, a);
}

static bool
run(struct asking *a, struct err *err)
{
    struct net_dns_config config = dnssec_config(a->c, DNSSEC_OFF);

    if (uv_loop_init(&a->loop) != 0)
        abort();
    a->dns = net_dns_new(&a->loop, &config, err);
    if (a->dns)
        ask(a);
    (void)uv_run(&a->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&a->loop);
    return a->has[CLI_DKIM_GOOD] || a->has[CLI_DKIM_WRONG] ||
           a->has[CLI_DKIM_UNKNOWN];
}

static void
print(const json_t *list)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        const char *why = cli_text(one, "reason");

        printf("%s  %s  %s%s%s\n", cli_text(one, "name"),
               cli_text(one, "algorithm"), cli_text(one, "state"),
               why[0] ? ": " : "", why);
    }
}

static int
exit_code(const struct asking *a)
{
    if (a->has[CLI_DKIM_WRONG])
        return EX_WRONG;
    return a->has[CLI_DKIM_UNKNOWN] ? EX_TEMPFAIL : EX_OK;
}

int
cli_dkim_check(const struct cli_command *self, int argc, char **argv)
{
    const char *file = NULL;
    bool json = false;
    const struct cli_option options[] = {
        {.name = "config", .letter = 'c', .value = &file},
        {.name = "json", .flag = &json}};
    struct config *c scoped(config_free) = NULL;
    struct asking a = {0};
    struct err err = {0};
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    if (argc > 1)
        return cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    code = cli_dkim_load(file, &c);
    if (code != EX_OK)
        return code;
    if (c->dkim_count == 0)
        return cli_fail(EX_WRONG, "no dkim block: nothing is signed");
    a.c = c;
    a.list = json_array();
    if (!run(&a, &err))
        code = cli_fail(EX_TEMPFAIL, "%s", err.text);
    else if (json)
        (void)json_dumpf(a.list, stdout, JSON_INDENT(2));
    else
        print(a.list);
    (void)fputs(json ? "\n" : "", stdout);
    json_decref(a.list);
    return code == EX_OK ? exit_code(&a) : code;
}
