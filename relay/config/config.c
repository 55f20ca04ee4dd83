#include "relay/config/config.h"

#include "relay/base/mem.h"
#include "relay/config/check.h"
#include "relay/config/dkim.h"
#include "relay/mail/sender_map.h"

#include <stdlib.h>
#include <unistd.h>

enum { BLOCK_NAME_MAX = 64 };

/* --- from settings to values ------------------------------------------- */

struct build {
    struct config *c;
    struct config_errors *errs;
};

/* Of a domain what the policy block says, of a listener what access says. */
static void
set_as_in(const struct build *b, struct config_block *block,
          const struct config_key *key, const char *name)
{
    bool is_domain = strcmp(key->section, "domain") == 0;
    const struct config_block *from = config_raw_find(
        &b->c->origins->raw, is_domain ? "policy" : "access", "");
    const struct config_setting *like = config_block_find(from, key->name);
    struct config_setting *s = config_block_set(
        block, key, is_domain ? "as in policy" : "as in access", name);

    for (size_t i = 0; i < like->count; i++)
        config_setting_add(s, slice_of(like->value[i]));
}

/* Gives a key that nothing was said about its default: that of the table, or
 * of another section. */
static void
set_default(const struct build *b, struct config_block *block,
            const struct config_key *key)
{
    scoped(own_free) char *name =
        config_name(key->section, block->title, key->name);
    struct config_setting *s;

    if (!key->preset) {
        set_as_in(b, block, key, name);
        return;
    }
    s = config_block_set(block, key, "default", name);
    if (config_key_is_list(key))
        config_setting_add_list(s, slice_of(key->preset));
    else
        config_setting_add(s, slice_of(key->preset));
}

static int
by_table(const void *a, const void *b)
{
    const struct config_setting *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

/* Parses every key of a block into the struct at `base`. */
static void
build_block(const struct build *b, struct config_block *block, void *base)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        const struct config_setting *s;
        struct err err;

        if (key->section != block->section &&
            strcmp(key->section, block->section) != 0)
            continue;
        if (!config_block_find(block, key->name))
            set_default(b, block, key);
        s = config_block_find(block, key->name);
        if (!config_value_parse(s, base, b->c->origins, &err))
            config_error(b->errs, s->origin, s->name, "%s", err.text);
    }
    if (block->count > 0)
        qsort(block->row, block->count, sizeof(*block->row), by_table);
}

static void
build_plain(const struct build *b)
{
    struct config_raw *raw = &b->c->origins->raw;

    for (size_t i = 0; i < config_section_count; i++) {
        const char *section = config_sections[i];
        struct config_block *block;

        if (config_section_has_title(section) || strcmp(section, "oauth") == 0)
            continue;
        block = config_raw_find(raw, section, "");
        if (!block)
            block = config_raw_add(raw, section, "", "default");
        build_block(b, block, b->c);
    }
}

/* Names of listeners and routes stand in logs and in the queue. */
static void
check_name(const struct build *b, const struct config_block *block)
{
    scoped(own_free) char *name = config_name(block->section, block->title, "");
    size_t len = strlen(block->title);

    if (len == 0 || len > BLOCK_NAME_MAX ||
        strspn(block->title, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != len)
        config_error(b->errs, block->origin, name,
                     "a name has from 1 to %d letters, digits, - _ or .",
                     BLOCK_NAME_MAX);
}

/* How many blocks of a section there are, and room for a struct for each. */
static void *
room_for(const struct build *b, const char *section, size_t size, size_t *count)
{
    const struct config_raw *raw = &b->c->origins->raw;

    *count = 0;
    for (size_t i = 0; i < raw->count; i++)
        *count += strcmp(raw->block[i].section, section) == 0;
    return config_keep(b->c->origins, mem_zeroed(*count + 1, size));
}

/* A section that says nothing is as good as none. */
static void
build_oauth(const struct build *b, struct config_route *r)
{
    static const struct config_oauth none = {.tenant = "",
                                             .token_url = "",
                                             .path = "",
                                             .client_id = "",
                                             .client_secret = "",
                                             .client_secret_file = "",
                                             .refresh_token = "",
                                             .refresh_token_file = "",
                                             .scope = "",
                                             .ca = "",
                                             .host.name = ""};
    struct config_block *block =
        config_raw_find(&b->c->origins->raw, "oauth", r->name);

    r->oauth = none;
    if (block && block->count > 0)
        build_block(b, block, r);
}

/* By the environment alone. */
static void
find_lone_oauth(const struct build *b)
{
    const struct config_raw *raw = &b->c->origins->raw;

    for (size_t i = 0; i < raw->count; i++) {
        const struct config_block *block = &raw->block[i];

        if (strcmp(block->section, "oauth") == 0 && block->count > 0 &&
            !config_raw_find(raw, "route", block->title))
            config_error(b->errs, block->origin, block->row[0].name,
                         "there is no such route");
    }
}

static void
build_titled(const struct build *b)
{
    struct config *c = b->c;
    struct config_raw *raw = &c->origins->raw;
    size_t listener = 0, sni = 0, domain = 0, route = 0, dkim = 0;
    size_t webhook = 0;

    c->listener =
        room_for(b, "listener", sizeof(*c->listener), &c->listener_count);
    c->sni = room_for(b, "sni", sizeof(*c->sni), &c->sni_count);
    c->domain = room_for(b, "domain", sizeof(*c->domain), &c->domain_count);
    c->route = room_for(b, "route", sizeof(*c->route), &c->route_count);
    c->dkim = room_for(b, "dkim", sizeof(*c->dkim), &c->dkim_count);
    c->webhook = room_for(b, "webhook", sizeof(*c->webhook), &c->webhook_count);
    for (size_t i = 0; i < raw->count; i++) {
        struct config_block *block = &raw->block[i];

        if (strcmp(block->section, "listener") == 0) {
            check_name(b, block);
            c->listener[listener].name = block->title;
            build_block(b, block, &c->listener[listener++]);
        } else if (strcmp(block->section, "sni") == 0) {
            check_name(b, block);
            c->sni[sni].name = block->title;
            build_block(b, block, &c->sni[sni++]);
        } else if (strcmp(block->section, "domain") == 0) {
            c->domain[domain].name = block->title;
            build_block(b, block, &c->domain[domain++]);
        } else if (strcmp(block->section, "route") == 0) {
            check_name(b, block);
            c->route[route].name = block->title;
            build_block(b, block, &c->route[route]);
            build_oauth(b, &c->route[route++]);
        } else if (strcmp(block->section, "dkim") == 0) {
            c->dkim[dkim].domain = block->title;
            build_block(b, block, &c->dkim[dkim++]);
        } else if (strcmp(block->section, "webhook") == 0) {
            check_name(b, block);
            c->webhook[webhook].name = block->title;
            build_block(b, block, &c->webhook[webhook++]);
        }
    }
}

static void
add_default_listener(struct config_raw *raw)
{
    const struct config_key *key = config_key_find("listener", "address");
    struct config_block *block;

    for (size_t i = 0; i < raw->count; i++)
        if (strcmp(raw->block[i].section, "listener") == 0)
            return;
    block = config_raw_add(raw, "listener", "app", "default");
    config_setting_add(
        config_block_set(block, key, "default", "listener.app.address"),
        slice_of("127.0.0.1:2525"));
}

static bool
build(struct config *c, struct config_errors *errs)
{
    struct build b = {c, errs};
    size_t before = errs->count;

    add_default_listener(&c->origins->raw);
    build_plain(&b);
    build_titled(&b);
    find_lone_oauth(&b);
    /* Values fit each other only once each of them is one. */
    if (errs->count == before)
        config_check(c, errs);
    return errs->count == 0;
}

/* --- the whole --------------------------------------------------------- */

bool
config_load(const char *file, struct config **out, struct config_errors *errs)
{
    scoped(config_free) struct config *c = mem_new(struct config);
    struct config_raw *raw;

    c->serial = (uint64_t)arc4random() << 32 | arc4random();
    c->origins = mem_new(struct config_origins);
    raw = &c->origins->raw;
    if (!file && access(CONFIG_FILE_DEFAULT, F_OK) == 0)
        file = CONFIG_FILE_DEFAULT;
    if (file && !config_file_read(file, raw, errs))
        return false;
    config_env_read(environ, raw, errs);
    if (!build(c, errs) || errs->count > 0)
        return false;
    *out = take(&c);
    return true;
}

void
config_free(struct config **c)
{
    struct config_origins *o = *c ? (*c)->origins : NULL;

    if (o) {
        if ((*c)->http.token)
            explicit_bzero((char *)(uintptr_t)(*c)->http.token,
                           strlen((*c)->http.token));
        for (size_t i = 0; i < (*c)->dkim_count; i++)
            config_dkim_done(&(*c)->dkim[i]);
        for (size_t i = 0; i < (*c)->webhook_count; i++)
            explicit_bzero((*c)->webhook[i].key, sizeof((*c)->webhook[i].key));
        for (size_t i = 0; i < o->owned_count; i++)
            free(o->owned[i]);
        free(o->owned);
        config_raw_done(&o->raw);
        free(o);
    }
    if (*c)
        mail_sender_map_free(&(*c)->rewrite.senders);
    free(*c);
    *c = NULL;
}

void
config_errors_done(struct config_errors *errs)
{
    for (size_t i = 0; i < errs->count; i++)
        free(errs->text[i]);
    for (size_t i = 0; i < errs->warning_count; i++)
        free(errs->warning[i]);
    for (size_t i = 0; i < errs->note_count; i++)
        free(errs->note[i]);
    free(errs->text);
    free(errs->warning);
    free(errs->note);
    *errs = (struct config_errors){0};
}

/* --- questions --------------------------------------------------------- */

static const struct config_domain *
find_domain(const struct config *c, const char *name)
{
    size_t from = 0, to = c->domain_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(name, c->domain[middle].name);

        if (order == 0)
            return &c->domain[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

struct config_domain
config_rule_for(const struct config *c, const char *domain, int64_t now_ms)
{
    const struct config_domain *d = find_domain(c, domain);
    struct config_domain rule = {.name = "",
                                 .sts = c->policy.sts,
                                 .dane = c->policy.dane,
                                 .half_dane = c->policy.half_dane,
                                 .enforce = c->policy.enforce,
                                 .requiretls = c->policy.requiretls,
                                 .level = c->policy.level,
                                 .anchors = "",
                                 .reason = ""};

    if (!d)
        return rule;
    if (!d->is_exemption || now_ms < d->until_ms)
        return *d;
    /* What the block strengthens stays. */
    rule.name = d->name;
    rule.sts = rule.sts || d->sts;
    rule.dane = d->dane > rule.dane ? d->dane : rule.dane;
    rule.half_dane =
        d->half_dane > rule.half_dane ? d->half_dane : rule.half_dane;
    rule.enforce = d->enforce > rule.enforce ? d->enforce : rule.enforce;
    rule.requiretls =
        d->requiretls > rule.requiretls ? d->requiretls : rule.requiretls;
    rule.level = d->level > rule.level ? d->level : rule.level;
    rule.anchors = d->anchors;
    rule.fingerprint = d->fingerprint;
    rule.fingerprint_count = d->fingerprint_count;
    return rule;
}

const char *
config_mode_name(enum config_mode mode)
{
    static const char *const names[] = {
        [CONFIG_MODE_LIVE] = "live",
        [CONFIG_MODE_REDIRECT] = "redirect",
        [CONFIG_MODE_SINK] = "sink",
    };

    return names[mode];
}

bool
config_is_unreported(const struct config *c, const char *domain)
{
    for (size_t i = 0; i < c->tlsrpt.exclude.count; i++)
        if (slice_is_nocase(slice_of(domain), c->tlsrpt.exclude.text[i]))
            return true;
    return false;
}

const struct config_listener *
config_listener_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->listener_count; i++)
        if (strcmp(c->listener[i].name, name) == 0)
            return &c->listener[i];
    return NULL;
}
