/*
 * relay/daemon/credential - what a delivery authenticates with.
 *
 * A copy made by the main thread for one order, which travels with it and is
 * wiped at its end: workers share nothing.
 */
#ifndef RELAY_DAEMON_CREDENTIAL_H
#define RELAY_DAEMON_CREDENTIAL_H

#include <stdint.h>

struct credential {
    unsigned mechanisms; /* SMTP_SASL_BIT */
    char *user, *secret; /* secret: password or access token */
    uint64_t number;     /* another one for each secret */
    uint64_t serial;     /* of the configuration whose hosts may see it */
};

struct credential *credential_new(unsigned mechanisms, const char *user,
                                  const char *secret, uint64_t number,
                                  uint64_t serial);
void credential_free(struct credential **c);

#endif
