/*
 * relay/cli/dkim - what the commands about DKIM keys share.  They read the
 * configuration and need no running relay.
 */
#ifndef RELAY_CLI_DKIM_H
#define RELAY_CLI_DKIM_H

#include "relay/base/dns.h"
#include "relay/config/config.h"

/* EX_OK and *out, or EX_CONFIG after every error on stderr. */
int cli_dkim_load(const char *file, struct config **out);

/* "s1._domainkey.example.com"; the caller's to free. */
char *cli_dkim_name(const char *domain, const char *selector);

/* One line of a zone file on stdout, in strings of at most 255 octets (RFC
 * 6376 section 3.6.2.2). */
void cli_dkim_print(const char *name, const struct mail_dkim_key *key);

/* The block that signs reports about TLS; NULL: none does, or none are sent. */
const struct config_dkim *cli_dkim_of_reports(const struct config *c);

enum cli_dkim_state { CLI_DKIM_GOOD, CLI_DKIM_WRONG, CLI_DKIM_UNKNOWN };

/* Does what is published fit key number `key` of the block?  Unless it is
 * good, err says why. */
enum cli_dkim_state cli_dkim_judge(const struct config *c,
                                   const struct config_dkim *d, size_t key,
                                   const struct dns_answer *answer,
                                   struct err *err);

#endif
