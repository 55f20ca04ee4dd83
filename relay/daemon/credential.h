/*
 * relay/daemon/credential - what a delivery authenticates with.
 *
 * A copy made by the main thread for one order, which travels with it and is
 * wiped at its end: workers share nothing.
 */
#ifndef RELAY_DAEMON_CREDENTIAL_H
#define RELAY_DAEMON_CREDENTIAL_H

#include <stdint.h>

struct config;

struct credential {
    unsigned mechanisms; /* SMTP_SASL_BIT */
    char *user, *secret; /* secret: password or access token */
    uint64_t number;     /* another one for each secret */
    /* Whose hosts it may be shown to; to be compared, it may be gone. */
    const struct config *config;
};

struct credential *credential_new(unsigned mechanisms, const char *user,
                                  const char *secret, uint64_t number,
                                  const struct config *config);
void credential_free(struct credential **c);

#endif
