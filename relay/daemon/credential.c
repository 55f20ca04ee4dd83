#include "relay/daemon/credential.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/secret.h"

#include <stdlib.h>

struct credential *
credential_new(unsigned mechanisms, const char *user, const char *secret,
               uint64_t number, uint64_t serial)
{
    struct credential *c = mem_new(struct credential);

    c->mechanisms = mechanisms;
    c->user = mem_text(user);
    c->secret = mem_text(secret);
    c->number = number;
    c->serial = serial;
    return c;
}

void
credential_free(struct credential **place)
{
    struct credential *c = take(place);

    if (!c)
        return;
    secret_text_free(&c->secret);
    free(c->user);
    free(c);
}
