/*
 * relay/cli/doctor - is this host fit to send?
 *
 * A list of findings, each of one check: what is well, what is worth a look,
 * what keeps mail from going out or in from being safe.  Needs no running
 * relay; where one runs it is asked what only it knows.  No check waits
 * longer than its own limit, and all that ask the network end with the last
 * of CLI_DOCTOR_TIME_MS.
 */
#ifndef RELAY_CLI_DOCTOR_H
#define RELAY_CLI_DOCTOR_H

#include "relay/base/dns.h"
#include "relay/cli/target.h"
#include "relay/daemon/dnssec.h"

enum {
    CLI_DOCTOR_TIME_MS = 30 * 1000,   /* for the network, in all */
    CLI_DOCTOR_ANSWER_MS = 5 * 1000,  /* for one answer of DNS */
    CLI_DOCTOR_CONNECT_MS = 5 * 1000, /* for one connection */
    CLI_DOCTOR_ADDRESSES_MAX = 8,     /* of one host, looked at */
    CLI_DOCTOR_HOSTS_MAX = 3,         /* of one domain or route, called on */
    CLI_DOCTOR_DISK_MIN_MB = 200,     /* free; less is a warning */
    CLI_DOCTOR_DISK_LEAST_MB = 40,    /* less, and no mail is taken */
    CLI_DOCTOR_CERTIFICATE_DAYS = 14, /* left; fewer are a warning */
};

enum cli_doctor_level {
    CLI_DOCTOR_OK,
    CLI_DOCTOR_NOTE, /* good to know, or could not be looked at */
    CLI_DOCTOR_WARNING,
    CLI_DOCTOR_FAILURE,
};

struct cli_doctor {
    struct cli_target *target;
    const struct config *c;
    const char *domain; /* whose records are looked at; NULL: none */
    const char *to;     /* to whose hosts port 25 is tried */
    json_t *findings;
    enum cli_doctor_level worst;
    uv_loop_t loop;
    struct net_dns *dns; /* NULL: DNS can't be asked */
    int64_t end_ms;      /* of looking at the network; wall clock */
};

/* One more finding; `check` is a short name of what was looked at. */
void cli_doctor_tell(struct cli_doctor *d, const char *check,
                     enum cli_doctor_level level, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* --- doctor_host.c, doctor_access.c, doctor_send.c, doctor_domain.c --- */
void cli_doctor_look_at_host(struct cli_doctor *d);
void cli_doctor_look_at_access(struct cli_doctor *d);
void cli_doctor_look_at_sending(struct cli_doctor *d);
void cli_doctor_look_at_domain(struct cli_doctor *d);

/* --- doctor_net.c: waits for one answer at a time --- */
bool cli_doctor_net_open(struct cli_doctor *d, struct err *err) must_use;
void cli_doctor_net_close(struct cli_doctor *d);
/* Always fills `out`; release with dns_answer_done. */
void cli_doctor_ask(struct cli_doctor *d, const char *name, enum dns_type type,
                    struct dns_answer *out);
/* Are answers authentic, asked for in this way?  Else err says why not. */
bool cli_doctor_is_authentic(struct cli_doctor *d, enum dnssec_way way,
                             struct err *err) must_use;
/* Addresses of a host, or of one that is written out; returns how many.  None:
 * err says why. */
size_t cli_doctor_addresses(struct cli_doctor *d, const char *host,
                            unsigned port,
                            struct addr out[CLI_DOCTOR_ADDRESSES_MAX],
                            struct err *err);
bool cli_doctor_connect(struct cli_doctor *d, const struct addr *to,
                        struct err *err) must_use;

#endif
