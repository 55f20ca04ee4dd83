#include "relay/config/dkim.h"

#include "relay/base/mem.h"
#include "relay/config/value.h"
#include "relay/mail/domain.h"

#include <assert.h>
#include <stdlib.h>

struct check {
    struct config *c;
    struct config_errors *errs;
    const struct config_block *block;
};

static const struct config_setting *
setting_of(const struct check *k, const char *key)
{
    const struct config_setting *s = config_block_find(k->block, key);

    assert(s);
    return s;
}

static void
blame(const struct check *k, const char *key, const char *why)
{
    const struct config_setting *s = setting_of(k, key);
    bool is_left_out = s->count == 0;

    config_error(k->errs, is_left_out ? k->block->origin : s->origin, s->name,
                 "%s", why);
}

static bool
check_counts(const struct check *k, const struct config_dkim *d)
{
    size_t before = k->errs->count;

    if (d->selector.count == 0)
        blame(k, "selector", "is missing: the name of the key in DNS");
    if (d->file.count == 0)
        blame(k, "key",
              "is missing: a PEM file; \"sealpost dkim keygen\" makes one");
    if (k->errs->count == before && d->selector.count != d->file.count)
        config_error(k->errs, setting_of(k, "key")->origin,
                     setting_of(k, "key")->name,
                     "%zu files for %zu selectors: each has one of its own",
                     d->file.count, d->selector.count);
    return k->errs->count == before;
}

static void
check_selector(const struct check *k, const struct config_dkim *d, size_t i)
{
    const struct config_setting *s = setting_of(k, "selector");
    const char *selector = d->selector.text[i];

    if (!mail_dkim_is_selector(selector))
        config_error(k->errs, s->origin, s->name,
                     "\"%.80s\" is no selector: labels of letters, digits, "
                     "- and _ with dots in between",
                     selector);
    else if (strlen(selector) + strlen("._domainkey.") + strlen(d->domain) >
             MAIL_DOMAIN_MAX)
        config_error(k->errs, s->origin, s->name,
                     "\"%.80s\" and the domain are too long for DNS", selector);
    for (size_t j = 0; j < i; j++)
        if (slice_is_nocase(slice_of(selector), d->selector.text[j]))
            config_error(k->errs, s->origin, s->name,
                         "\"%.80s\" stands for two keys", selector);
}

static void
read_key(const struct check *k, struct config_dkim *d, size_t i)
{
    const struct config_setting *s = setting_of(k, "key");
    const char *path = d->file.text[i];
    struct err err;

    if (!dkim_file_read(path, &d->key[i], &err)) {
        config_error(k->errs, s->origin, s->name, "%.100s %s", path, err.text);
        return;
    }
    if (d->key[i].is_open)
        config_warning(k->errs, s->origin, s->name,
                       "%.100s is open to others: its mode should be 0640 or "
                       "less",
                       path);
    /* RFC 8301 section 3.2 */
    if (mail_dkim_key_is_short(d->key[i].key))
        config_warning(k->errs, s->origin, s->name,
                       "%.100s has less than %d bits, which some verifiers "
                       "no longer trust",
                       path, MAIL_DKIM_RSA_BITS_GOOD);
}

static void
check_domain(const struct check *k, struct config_dkim *d)
{
    scoped(own_free) char *name = config_name("dkim", k->block->title, "");
    struct mail_domain domain;
    struct err err;

    if (mail_domain_parse(slice_of(d->domain), &domain, &err))
        d->domain = config_keep(k->c->origins, mem_text(domain.text));
    else
        config_error(k->errs, k->block->origin, name, "%s", err.text);
}

static void
check_block(const struct check *k, struct config_dkim *d)
{
    check_domain(k, d);
    if (!check_counts(k, d))
        return;
    d->key =
        config_keep(k->c->origins, mem_zeroed(d->file.count, sizeof(*d->key)));
    for (size_t i = 0; i < d->file.count; i++) {
        check_selector(k, d, i);
        read_key(k, d, i);
    }
}

/* Two titles may be one domain, written differently. */
static void
check_twins(const struct check *k, size_t i)
{
    scoped(own_free) char *name = config_name("dkim", k->block->title, "");

    for (size_t j = 0; j < i; j++)
        if (strcmp(k->c->dkim[j].domain, k->c->dkim[i].domain) == 0) {
            config_error(k->errs, k->block->origin, name,
                         "another block signs for this domain");
            return;
        }
}

static int
by_domain(const void *a, const void *b)
{
    const struct config_dkim *x = a, *y = b;

    return strcmp(x->domain, y->domain);
}

void
config_dkim_check(struct config *c, struct config_errors *errs)
{
    for (size_t i = 0; i < c->dkim_count; i++) {
        struct check k = {
            c, errs,
            config_raw_find(&c->origins->raw, "dkim", c->dkim[i].domain)};

        check_block(&k, &c->dkim[i]);
        check_twins(&k, i);
    }
    if (c->dkim_count > 0)
        qsort(c->dkim, c->dkim_count, sizeof(*c->dkim), by_domain);
}

void
config_dkim_done(struct config_dkim *d)
{
    for (size_t i = 0; d->key && i < d->file.count; i++)
        dkim_file_done(&d->key[i]);
}
