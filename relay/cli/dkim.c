#include "relay/cli/dkim.h"

#include "relay/base/mem.h"

#include <stdlib.h>
#include <sysexits.h>

enum { STRING_MAX = 255 };

int
cli_dkim_load(const char *file, struct config **out)
{
    struct config_errors errs = {0};
    int code = config_load(file, out, &errs) ? EX_OK : EX_CONFIG;

    for (size_t i = 0; i < errs.count; i++)
        (void)fprintf(stderr, "%s\n", errs.text[i]);
    config_errors_done(&errs);
    return code;
}

char *
cli_dkim_name(const char *domain, const char *selector)
{
    return mem_printf("%s._domainkey.%s", selector, domain);
}

void
cli_dkim_print(const char *name, const struct mail_dkim_key *key)
{
    struct buf record scoped(buf_free) = {0};
    struct slice rest;

    mail_dkim_key_record(key, &record);
    printf("%s. IN TXT (", name);
    for (rest = buf_slice(&record); rest.len > 0;
         rest = slice_from(rest, STRING_MAX)) {
        struct slice one = slice_first(rest, STRING_MAX);

        printf(" \"%.*s\"", (int)one.len, one.p);
    }
    printf(" )\n");
}

/* As the relay looks for it: the domain of the sender, or one above. */
const struct config_dkim *
cli_dkim_of_reports(const struct config *c)
{
    const char *name = strrchr(c->tlsrpt.from, '@');

    if (!c->tlsrpt.enabled)
        return NULL;
    for (; name; name = strchr(name, '.')) {
        name++;
        for (size_t i = 0; i < c->dkim_count; i++)
            if (slice_is_nocase(slice_of(name), c->dkim[i].domain))
                return &c->dkim[i];
    }
    return NULL;
}

/* RFC 6376 section 3.6.2.2: there is to be one record. */
enum cli_dkim_state
cli_dkim_judge(const struct config *c, const struct config_dkim *d, size_t key,
               const struct dns_answer *answer, struct err *err)
{
    struct slice record;

    if (answer->outcome == DNS_FAILED) {
        err_set(err, ERR_TIMEOUT, "%s", answer->why);
        return CLI_DKIM_UNKNOWN;
    }
    if (answer->outcome != DNS_FOUND || answer->count == 0) {
        err_set(err, ERR_MISSING, "nothing is published");
        return CLI_DKIM_WRONG;
    }
    if (answer->count > 1) {
        err_set(err, ERR_INPUT, "%zu records, where there may be one",
                answer->count);
        return CLI_DKIM_WRONG;
    }
    record =
        (struct slice){answer->records[0].txt.p, answer->records[0].txt.len};
    if (!mail_dkim_record_fits(d->key[key].key, record, err))
        return CLI_DKIM_WRONG;
    if (d == cli_dkim_of_reports(c) &&
        !mail_dkim_record_serves(record, "tlsrpt")) {
        err_set(err, ERR_INPUT, "its s= does not allow reports about TLS");
        return CLI_DKIM_WRONG;
    }
    return CLI_DKIM_GOOD;
}
