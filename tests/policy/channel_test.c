#include "policy/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Everything that a host may be asked for, against everything that a server
 * may turn out to be; demand_test.c says what is asked of whom. */

enum { DEMANDS = (POLICY_PROOF_DANE + 1) * 4, SERVERS = 64 };

struct demand {
    enum policy_proof proof;
    bool is_pinned, requiretls;
};

struct server {
    bool offers_tls;   /* STARTTLS, and a handshake with it */
    bool has_name;     /* its certificate holds for its name */
    bool has_tlsa;     /* and by the TLSA records */
    bool has_pin;      /* and is the pinned one */
    bool requiretls;   /* is offered */
    bool is_old_proof; /* an earlier user of the connection asked for less */
};

static struct demand
demand_of(size_t number)
{
    return (struct demand){(enum policy_proof)(number / 4), number & 1,
                           number & 2};
}

static struct server
server_of(size_t number)
{
    return (struct server){number & 1, number & 2,  number & 4,
                           number & 8, number & 16, number & 32};
}

/* What the stream tells of a connection that this demand has led to. */
static struct policy_channel
channel_of(const struct demand *d, const struct server *s)
{
    bool holds = d->proof == POLICY_PROOF_DANE ? s->has_tlsa : s->has_name;

    if (!s->offers_tls || d->proof == POLICY_PROOF_CLEAR)
        return (struct policy_channel){.offers_requiretls = s->requiretls};
    return (struct policy_channel){
        .has_tls = true,
        .is_verified = holds && !s->is_old_proof,
        .is_stranger = d->is_pinned && !s->has_pin,
        .offers_requiretls = s->requiretls,
    };
}

static enum policy_channel_verdict
verdict(const struct demand *d, const struct server *s)
{
    struct policy_host h = {.fingerprint_count = d->is_pinned,
                            .requires_requiretls = d->requiretls};
    struct policy_channel c = channel_of(d, s);

    return policy_channel_weigh(&h, d->proof, &c);
}

static void
only_a_server_that_has_all_that_is_asked_for_gets_the_mail(void **state)
{
    (void)state;
    for (size_t i = 0; i < DEMANDS * SERVERS; i++) {
        struct demand d = demand_of(i / SERVERS);
        struct server s = server_of(i % SERVERS);
        bool has_tls = s.offers_tls && d.proof != POLICY_PROOF_CLEAR;
        bool lacks =
            (d.proof >= POLICY_PROOF_ENCRYPT && !has_tls) ||
            (d.proof == POLICY_PROOF_PKIX && (!s.has_name || s.is_old_proof)) ||
            (d.proof == POLICY_PROOF_DANE && (!s.has_tlsa || s.is_old_proof)) ||
            (d.is_pinned && (!has_tls || !s.has_pin));

        if (lacks)
            assert_int_equal(verdict(&d, &s), POLICY_CHANNEL_UNPROVEN);
        else if (d.requiretls && !s.requiretls)
            assert_int_equal(verdict(&d, &s), POLICY_CHANNEL_NO_REQUIRETLS);
        else
            assert_int_equal(verdict(&d, &s), POLICY_CHANNEL_GOOD);
    }
}

/* Names and records prove the same in two ways: whichever is asked for. */
static int
rank(enum policy_proof p)
{
    return p == POLICY_PROOF_DANE ? POLICY_PROOF_PKIX : (int)p;
}

static bool
is_more(const struct demand *less, const struct demand *more)
{
    return rank(more->proof) >= rank(less->proof) &&
           more->is_pinned >= less->is_pinned &&
           more->requiretls >= less->requiretls;
}

/* A server that satisfies more, whatever else it is, satisfies less. */
static void
who_asks_for_more_never_takes_what_less_would_refuse(void **state)
{
    (void)state;
    for (size_t i = 0; i < DEMANDS * DEMANDS; i++) {
        struct demand less = demand_of(i % DEMANDS);
        struct demand more = demand_of(i / DEMANDS);

        for (size_t j = 0; j < SERVERS && is_more(&less, &more); j++) {
            struct server s = server_of(j);

            if (less.proof == POLICY_PROOF_CLEAR && less.is_pinned)
                continue; /* the plan raises it to TLS */
            if (more.proof != less.proof &&
                rank(more.proof) >= POLICY_PROOF_PKIX)
                s.has_name = s.has_tlsa;
            if (verdict(&more, &s) == POLICY_CHANNEL_GOOD)
                assert_int_equal(verdict(&less, &s), POLICY_CHANNEL_GOOD);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            only_a_server_that_has_all_that_is_asked_for_gets_the_mail),
        cmocka_unit_test(who_asks_for_more_never_takes_what_less_would_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
