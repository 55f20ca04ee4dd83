/*
 * relay/net/proxy - the header of the PROXY protocol, versions 1 and 2.
 *
 * A load balancer puts it in front of a connection's own octets and says in it
 * who the client is.  An engine: octets in, a verdict out.  Who may be believed
 * is the caller's affair.
 *
 * The versions are told apart by how they begin.  What is no header is refused
 * at the first octet that shows it.
 */
#ifndef RELAY_NET_PROXY_H
#define RELAY_NET_PROXY_H

#include "relay/base/addr.h"

enum {
    NET_PROXY_LINE_MAX = 107, /* version 1, with CRLF */
    NET_PROXY_HEADER_MAX = 4096,
};

enum net_proxy_kind {
    NET_PROXY_LOCAL,   /* the proxy speaks for itself, as to see whether we
                          live */
    NET_PROXY_UNKNOWN, /* for a client that it can't or won't name */
    NET_PROXY_CLIENT,
};

struct net_proxy {
    enum net_proxy_kind kind;
    struct addr client; /* with port; family AF_UNSPEC unless kind is CLIENT */
    size_t len;         /* of the header */
};

enum net_proxy_step {
    NET_PROXY_WAITS, /* all octets belong to the header, and more are needed */
    NET_PROXY_DONE,
    NET_PROXY_REFUSED,
};

/* `in` is everything from the first octet of the connection on. */
enum net_proxy_step net_proxy_parse(struct slice in, struct net_proxy *out,
                                    struct err *err) must_use;

#endif
