/*
 * relay/net/uv_events - libunbound's event base on a libuv loop.
 *
 * Only dns_validator uses it.  Everything belongs to the loop's thread.
 */
#ifndef RELAY_NET_UV_EVENTS_H
#define RELAY_NET_UV_EVENTS_H

#include <unbound-event.h>
#include <uv.h>

/* The base must outlive the libunbound context made with it. */
struct ub_event_base *net_uv_events_new(uv_loop_t *loop);
void net_uv_events_free(struct ub_event_base **base);

#endif
