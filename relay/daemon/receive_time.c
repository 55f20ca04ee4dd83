#include "relay/daemon/receive_inside.h"

static void
mind_body(struct receive *r)
{
    if (!r->in_body) {
        r->in_body = true;
        r->body_began_ms = net_clock_steady();
        r->body_mark = r->body_octets;
        net_conn_limit(r->conn, RECEIVE_RATE_MS);
    }
}

/* The limit is for a whole command, so it is set anew only when the engine
 * says that another turn began. */
void
receive_mind_time(struct receive *r)
{
    unsigned turn = smtp_server_wait_turn(r->smtp);

    if (smtp_server_is_in_body(r->smtp)) {
        mind_body(r);
        return;
    }
    if (!r->in_body && turn == r->turn)
        return;
    r->in_body = false;
    r->turn = turn;
    net_conn_limit(r->conn, smtp_server_wait_ms(r->smtp));
}

static bool
is_body_slow(struct receive *r)
{
    uint64_t got = r->body_octets - r->body_mark;
    bool waits_for_us = r->waits_for_intake;

    r->body_mark = r->body_octets;
    return (!waits_for_us && got < RECEIVE_RATE_MIN) ||
           net_clock_steady() - r->body_began_ms > RECEIVE_BODY_MS;
}

bool
receive_may_go_on(struct receive *r)
{
    if (!r->in_body || is_body_slow(r))
        return false;
    net_conn_limit(r->conn, RECEIVE_RATE_MS);
    return true;
}
