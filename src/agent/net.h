/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod's network: the VM's initial network namespace is the pod's, and what ConfigureNetwork says is brought about in it. Every message
 * is the whole; what the last one had and this one has not is taken away, what containers made themselves is not touched.
 */
#pragma once

#include "netlink/rtnl.h"
#include "rpc/agent.pb-c.h"

typedef Hull__Agent__V1__Network Network;
typedef Hull__Agent__V1__Interface Interface;

/* Links by what the host calls them. */
struct hull_net_links {
	struct hull_net_known {
		const char *name;      /* borrowed from the message */
		int index;
	} *v;
	size_t n;
};

/* ---- net_link.c */

/*
 * Finds the device of every interface of the message. 0; 1 when one is not there (yet), and *ret_missing is its name.
 */
int hull_net_links_find(struct hull_rtnl *rtnl, const Network *net, struct hull_net_links *ret, const char **ret_missing,
			struct hull_error *err);
void hull_net_links_clear(struct hull_net_links *links);

/* The index of a device of the message; 0: none. */
int hull_net_links_index(const struct hull_net_links *links, const char *name);

/* Names, hardware addresses, MTUs, up or down. */
int hull_net_links_apply(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err);

/* ---- net_address.c */

int hull_net_addresses_apply(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err);
/* Takes away what `old` has and `net` has not. What is gone already is no error. */
void hull_net_addresses_drop(struct hull_rtnl *rtnl, const Network *old, const Network *net, const struct hull_net_links *links);

/* ---- net_route.c: routes, neighbours and rules */

int hull_net_routes_apply(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err);
void hull_net_routes_drop(struct hull_rtnl *rtnl, const Network *old, const Network *net, const struct hull_net_links *links);
