#include "relay/daemon/server_tls.h"

#include "relay/base/hash.h"
#include "relay/base/mem.h"
#include "relay/net/tls_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct context {
    char *listener;
    struct net_tls *tls;
};

struct server_tls {
    struct context *list;
    size_t count;
};

/* --- files --- */

static bool
load_one(struct net_tls_identities *ids, const char *certificate,
         const char *key, struct server_tls_facts *facts, struct err *err)
{
    struct net_tls_identity *id = net_tls_identity_load(certificate, key, err);
    int64_t end;

    if (!id)
        return false;
    net_tls_identities_add(ids, id);
    end = net_tls_identity_not_after(id);
    if (facts->count < SERVER_TLS_FILES_MAX) {
        struct server_tls_end *e = &facts->end[facts->count++];

        (void)snprintf(e->file, sizeof(e->file), "%s", certificate);
        e->not_after = end;
    }
    if (facts->not_after == 0 || end < facts->not_after) {
        facts->not_after = end;
        (void)snprintf(facts->file, sizeof(facts->file), "%s", certificate);
    }
    return true;
}

/* The line that names the certificate. */
static bool
blame(const struct config *c, const char *section, const char *title,
      struct err *err)
{
    const char *origin = config_origin(c, section, title, "certificate");

    (void)err_in(err, "%s%s%s.certificate", section, *title ? "." : "", title);
    return *origin ? err_in(err, "%s", origin) : false;
}

static bool
load_identities(const struct config *c, struct net_tls_identities *ids,
                struct server_tls_facts *facts, struct err *err)
{
    if (!load_one(ids, c->tls.certificate, c->tls.key, facts, err))
        return blame(c, "tls", "", err);
    for (size_t i = 0; i < c->sni_count; i++)
        if (!load_one(ids, c->sni[i].certificate, c->sni[i].key, facts, err))
            return blame(c, "sni", c->sni[i].name, err);
    return true;
}

void
server_tls_files(const struct config *c,
                 void (*look)(void *ctx, const char *file), void *ctx)
{
    if (c->tls.certificate[0] == '\0')
        return;
    look(ctx, c->tls.certificate);
    look(ctx, c->tls.key);
    if (c->tls.client_ca[0] != '\0')
        look(ctx, c->tls.client_ca);
    for (size_t i = 0; i < c->sni_count; i++) {
        look(ctx, c->sni[i].certificate);
        look(ctx, c->sni[i].key);
    }
}

struct look {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
    int error;
};

static void
add_look(void *ctx, const char *file)
{
    static const struct hash_key key = {{1, 2}}; /* nobody attacks it */
    uint64_t *stamp = ctx;
    struct look look;
    struct {
        uint64_t before, now;
    } both;
    struct stat st;

    memset(&look, 0, sizeof(look)); /* the gaps as well */
    if (stat(file, &st) == 0) {
        look.device = st.st_dev;
        look.inode = st.st_ino;
        look.size = st.st_size;
        look.modified = st.st_mtim;
        look.changed = st.st_ctim;
    } else {
        look.error = 1;
    }
    both.before = *stamp;
    both.now =
        hash_keyed(&key, (struct slice){(const char *)&look, sizeof(look)});
    *stamp =
        hash_keyed(&key, (struct slice){(const char *)&both, sizeof(both)});
}

uint64_t
server_tls_stamp(const struct config *c)
{
    uint64_t stamp = 0;

    server_tls_files(c, add_look, &stamp);
    return stamp;
}

/* --- contexts --- */

static enum net_tls_check
check_of(enum config_client_certificate wanted)
{
    switch (wanted) {
    case CONFIG_CLIENT_CERTIFICATE_OFF:
        return NET_TLS_CHECK_NONE;
    case CONFIG_CLIENT_CERTIFICATE_OPTIONAL:
        return NET_TLS_CHECK_OBSERVE;
    case CONFIG_CLIENT_CERTIFICATE_REQUIRED:
        return NET_TLS_CHECK_PKIX;
    }
    abort();
}

/* `like`: another worker's set, whose clients may come here next; or NULL. */
static bool
open_set(const struct config *c, const struct net_tls_identities *ids,
         const struct server_tls *like, struct server_tls *set, struct err *err)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        struct net_tls_server_setup setup = {
            .identities = ids,
            .min_version = l->tls_min_version,
            .client_ca = c->tls.client_ca,
            .check = check_of(l->client_certificate),
            .name = l->name,
            .like = like ? server_tls_find(like, l->name) : NULL,
        };
        struct context *to = &set->list[set->count];

        if (l->tls == CONFIG_TLS_NONE)
            continue;
        to->tls = net_tls_server(&setup, err);
        if (!to->tls)
            return err_in(err, "listener.%s.tls", l->name);
        to->listener = mem_text(l->name);
        set->count++;
    }
    return true;
}

bool
server_tls_load(const struct config *c, struct server_tls **out, unsigned count,
                struct server_tls_facts *facts, struct err *err)
{
    struct net_tls_identities ids scoped(net_tls_identities_done) = {0};
    bool has_any = c->tls.certificate[0] != '\0';

    *facts = (struct server_tls_facts){.stamp = server_tls_stamp(c)};
    memset(out, 0, count * sizeof(struct server_tls *));
    if (has_any && !load_identities(c, &ids, facts, err))
        return false;
    for (unsigned i = 0; i < count; i++) {
        out[i] = mem_new(struct server_tls);
        out[i]->list = mem_array(struct context, c->listener_count);
        if (has_any && !open_set(c, &ids, i ? out[0] : NULL, out[i], err)) {
            server_tls_free_all(out, count);
            return false;
        }
    }
    return true;
}

bool
server_tls_check(const struct config *c, struct err *err)
{
    struct server_tls *set scoped(server_tls_free) = NULL;
    struct server_tls_facts facts;

    return server_tls_load(c, &set, 1, &facts, err);
}

void
server_tls_free(struct server_tls **slot)
{
    struct server_tls *set = take(slot);

    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        net_tls_free(&set->list[i].tls);
        free(set->list[i].listener);
    }
    free(set->list);
    free(set);
}

void
server_tls_free_all(struct server_tls **sets, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        server_tls_free(&sets[i]);
}

struct net_tls *
server_tls_find(const struct server_tls *set, const char *listener)
{
    for (size_t i = 0; set && i < set->count; i++)
        if (strcmp(set->list[i].listener, listener) == 0)
            return set->list[i].tls;
    return NULL;
}
