#include "relay/config/raw.h"

#include "relay/base/mem.h"

#include <stdlib.h>

/*
 * What the widely used relay images take, so that one of them can be replaced
 * without new variables.  Each that counts is told of by a note; none wins over
 * a SEALPOST_ variable or over another of these: two that say the same thing
 * are a mistake, whatever they say.
 */
static const char environment[] = "environment";
static const char block_name[] = "relayhost"; /* of the route they make */

struct alias {
    const char *variable, *section, *key;
    const char *needs; /* means nothing without this one; NULL: stands alone */
    const char *twin;  /* says the same in another way; NULL: none */
};

/* RELAYHOST is "host", "host:port" or "[host]:port"; the brackets that keep
 * other servers from looking for MX records mean nothing here. */
static const struct alias aliases[] = {
    {"RELAYHOST", "route", "via", NULL, NULL},
    {"RELAYHOST_USERNAME", "route", "user", "RELAYHOST", NULL},
    {"RELAYHOST_PASSWORD", "route", "password", "RELAYHOST",
     "RELAYHOST_PASSWORD_FILE"},
    {"RELAYHOST_PASSWORD_FILE", "route", "password_file", "RELAYHOST", NULL},
    {"XOAUTH2_CLIENT_ID", "oauth", "client_id", "RELAYHOST", NULL},
    {"XOAUTH2_SECRET", "oauth", "client_secret", "RELAYHOST", NULL},
    {"XOAUTH2_TOKEN_ENDPOINT", "oauth", "token_url", "RELAYHOST", NULL},
    {"XOAUTH2_INITIAL_REFRESH_TOKEN", "oauth", "refresh_token", "RELAYHOST",
     NULL},
    {"SMTP_SERVER", "route", "via", NULL, NULL},
    {"SMTP_USERNAME", "route", "user", "SMTP_SERVER", NULL},
    {"SMTP_PASSWORD", "route", "password", "SMTP_SERVER", "SMTP_PASSWORD_FILE"},
    {"SMTP_PASSWORD_FILE", "route", "password_file", "SMTP_SERVER", NULL},
    {"SERVER_HOSTNAME", "", "hostname", NULL, NULL},
    {"POSTFIX_myhostname", "", "hostname", NULL, NULL},
    {"POSTFIX_mynetworks", "access", "networks", NULL, NULL},
    {"POSTFIX_message_size_limit", "access", "message_size_max", NULL, NULL},
    {"ALLOWED_SENDER_DOMAINS", "access", "sender_domains", NULL, NULL},
};

struct reading {
    char *const *variables;
    struct config_raw *raw;
    struct config_errors *errs;
};

/* What is set to nothing is not set. */
static const char *
value_of(const struct reading *r, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; name[0] != '\0' && r->variables[i]; i++)
        if (strncmp(r->variables[i], name, len) == 0 &&
            r->variables[i][len] == '=' && r->variables[i][len + 1] != '\0')
            return r->variables[i] + len + 1;
    return NULL;
}

static struct config_block *
block_of(const struct reading *r, const char *section)
{
    bool is_of_route =
        strcmp(section, "route") == 0 || strcmp(section, "oauth") == 0;
    const char *title = is_of_route ? block_name : "";
    struct config_block *b = config_raw_find(r->raw, section, title);

    return b ? b : config_raw_add(r->raw, section, title, environment);
}

/* Their lists are separated by blanks, too, and the IPv6 addresses of networks
 * stand in brackets. */
static void
add_list(struct config_setting *s, const char *value)
{
    scoped(own_free) char *list = mem_text(value);
    bool is_network = s->key->type == CONFIG_NETWORKS;
    char *to = list;

    for (const char *from = list; *from != '\0'; from++) {
        if (is_network && (*from == '[' || *from == ']'))
            continue;
        *to++ = *from == ' ' || *from == '\t' ? ',' : *from;
    }
    *to = '\0';
    config_setting_add_list(s, slice_of(list));
}

/* The port that those images take when nothing is said about it. */
static char *
host_and_port(const struct reading *r, const char *host)
{
    const char *port = value_of(r, "SMTP_PORT");

    return mem_printf("%s:%s", host, port ? port : "587");
}

static void
set(const struct reading *r, const struct alias *a, const char *value)
{
    const struct config_key *key = config_key_find(a->section, a->key);
    struct config_block *b = block_of(r, a->section);
    scoped(own_free) char *name = config_name(a->section, b->title, a->key);
    struct config_setting *s = config_block_find(b, a->key);

    if (s && strcmp(s->origin, environment) == 0) {
        config_error(r->errs, environment, a->variable, "%s is set as well",
                     s->name);
        return;
    }
    s = config_block_set(b, key, environment, a->variable);
    if (config_key_is_list(key))
        add_list(s, value);
    else
        config_setting_add(s, slice_of(value));
    config_note(r->errs, environment, a->variable, "is taken as %s", name);
}

/* The route takes whatever no other does. */
static void
set_route(const struct reading *r, const struct alias *a, const char *value)
{
    bool has_port = strcmp(a->variable, "RELAYHOST") == 0;
    scoped(own_free) char *via =
        has_port ? mem_text(value) : host_and_port(r, value);
    struct config_block *b = block_of(r, "route");
    const struct config_key *to = config_key_find("route", "to");

    if (!has_port && value_of(r, "RELAYHOST")) {
        config_error(r->errs, environment, a->variable,
                     "RELAYHOST is set as well");
        return;
    }
    if (!config_block_find(b, "to"))
        config_setting_add(config_block_set(b, to, environment, a->variable),
                           slice_of("*"));
    set(r, a, via);
}

/* Names like SMTP_USERNAME are those of applications, too, and a container may
 * have got them together with one. */
static bool
is_meant(const struct reading *r, const struct alias *a)
{
    bool is_meant = !a->needs || value_of(r, a->needs);

    if (!is_meant && strcmp(a->needs, "RELAYHOST") == 0)
        config_error(r->errs, environment, a->variable,
                     "means nothing without RELAYHOST");
    return is_meant;
}

static void
read_alias(const struct reading *r, const struct alias *a)
{
    const char *value = value_of(r, a->variable);

    if (!value || !is_meant(r, a))
        return;
    if (a->twin && value_of(r, a->twin))
        config_error(r->errs, environment, a->twin, "%s is set as well",
                     a->variable);
    else if (strcmp(a->key, "via") == 0)
        set_route(r, a, value);
    else
        set(r, a, value);
}

static bool
is_known(const char *variable, size_t len)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
        if (strlen(aliases[i].variable) == len &&
            strncmp(aliases[i].variable, variable, len) == 0)
            return true;
    return false;
}

/* POSTFIX_anything is a setting of Postfix there. */
static void
warn_of_others(const struct reading *r)
{
    for (size_t i = 0; r->variables[i]; i++) {
        const char *variable = r->variables[i];
        size_t len = strcspn(variable, "=");
        scoped(own_free) char *name = NULL;

        if (strncmp(variable, "POSTFIX_", 8) != 0 || variable[8] < 'a' ||
            variable[8] > 'z' || is_known(variable, len))
            continue;
        name = mem_copy((struct slice){variable, len});
        config_warning(r->errs, environment, name,
                       "has no counterpart here, and changes nothing");
    }
}

void
config_alias_read(char *const *variables, struct config_raw *raw,
                  struct config_errors *errs)
{
    const struct reading r = {variables, raw, errs};

    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
        read_alias(&r, &aliases[i]);
    warn_of_others(&r);
}
