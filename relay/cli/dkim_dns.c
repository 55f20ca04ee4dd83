#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/dkim.h"
#include "relay/cli/option.h"

#include <jansson.h>
#include <stdlib.h>
#include <sysexits.h>

static void
print_block(const struct config_dkim *d)
{
    for (size_t i = 0; i < d->file.count; i++) {
        scoped(own_free) char *name =
            cli_dkim_name(d->domain, d->selector.text[i]);

        cli_dkim_print(name, d->key[i].key);
    }
}

/* In the comments of a zone file.  RFC 8460 section 3: without s= a key is for
 * every service. */
static void
print_note(const struct config *c)
{
    const struct config_dkim *d = cli_dkim_of_reports(c);

    if (d)
        printf("; Reports about TLS come from %s: should a record of %s get "
               "an s=,\n; it has to allow them: s=email:tlsrpt, or s=*.\n",
               c->tlsrpt.from, d->domain);
    else if (c->tlsrpt.enabled)
        printf("; Reports about TLS come from %s, whose domain has no key: "
               "those by mail are\n; not signed, and many will refuse them.\n",
               c->tlsrpt.from);
}

static void
print_json(const struct config *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->dkim_count; i++)
        for (size_t j = 0; j < c->dkim[i].file.count; j++) {
            const struct config_dkim *d = &c->dkim[i];
            const struct mail_dkim_key *key = d->key[j].key;
            struct buf record scoped(buf_free) = {0};
            scoped(own_free) char *name =
                cli_dkim_name(d->domain, d->selector.text[j]);

            mail_dkim_key_record(key, &record);
            (void)json_array_append_new(
                list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "domain",
                                d->domain, "selector", d->selector.text[j],
                                "algorithm", mail_dkim_key_algorithm(key),
                                "name", name, "record", buf_text(&record)));
        }
    (void)json_dumpf(list, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(list);
}

int
cli_dkim_dns(const struct cli_command *self, int argc, char **argv)
{
    const char *file = NULL;
    bool json = false;
    const struct cli_option options[] = {
        {.name = "config", .letter = 'c', .value = &file},
        {.name = "json", .flag = &json}};
    struct config *c scoped(config_free) = NULL;
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    if (argc > 1)
        return cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    code = cli_dkim_load(file, &c);
    if (code != EX_OK)
        return code;
    if (json) {
        print_json(c);
        return EX_OK;
    }
    for (size_t i = 0; i < c->dkim_count; i++)
        print_block(&c->dkim[i]);
    if (c->dkim_count > 0)
        print_note(c);
    else
        (void)fprintf(stderr, "no dkim block: nothing is signed\n");
    return EX_OK;
}
