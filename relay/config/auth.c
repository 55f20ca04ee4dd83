#include "relay/config/check.h"
#include "relay/config/users.h"

/* Where nobody could ever log in. */
static void
check_listener(const struct config *c, const struct config_listener *l,
               struct config_errors *errs)
{
    bool is_local = slice_starts_nocase(slice_of(l->address), "unix:");

    if (l->auth == POLICY_ACCESS_AUTH_OFF)
        return;
    if (c->users.file[0] == '\0')
        config_check_blame(c, errs, "listener", l->name, "auth",
                           "needs users.file");
    if (l->tls == CONFIG_TLS_NONE && !l->auth_in_clear && !is_local)
        config_check_blame(c, errs, "listener", l->name, "auth",
                           "needs tls, as passwords would cross the network "
                           "in clear; or auth_in_clear = true");
}

void
config_check_auth(struct config *c, struct config_errors *errs)
{
    scoped(users_drop) struct users *users = NULL;

    for (size_t i = 0; i < c->listener_count; i++)
        check_listener(c, &c->listener[i], errs);
    if (c->users.file[0] != '\0' && !users_load(c->users.file, &users, errs))
        return; /* what is wrong with it is among the errors */
}
