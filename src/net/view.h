/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a network namespace, read at one moment, and what of it a pod is given. Everything is collected in the message that goes
 * to the guest, so that there is one form of it.
 */
#pragma once

#include <linux/if_ether.h>
#include <net/if.h>
#include <stdbool.h>

#include "netlink/rtnl.h"
#include "rpc/agent.pb-c.h"

/* Names of the taps that Hull makes; the kernel puts a number for %d. */
#define HULL_TAP_NAME "hull-tap%d"

struct hull_net_link {
	int index;
	unsigned flags;                /* IFF_… */
	unsigned short type;           /* ARPHRD_… */
	char kind[16];                 /* "veth"; "" for hardware */
	bool l3s;                      /* an ipvlan in that mode */
	int master, lower;             /* ifindex of what it is a port of, and of what it is built on; 0: none */
	bool lower_is_here;            /* in the same namespace */
	bool carried;                  /* the guest gets it */
	Hull__Agent__V1__Interface *interface;         /* owned until it is in the message */
};

struct hull_net_view {
	struct hull_net_link *links;
	size_t n_links;
	Hull__Agent__V1__Network *network;     /* of the carried interfaces */
	char unsupported[256];         /* the first thing that could not be carried, for people; "" */
};

/* Reads everything. Interfaces that a VM cannot have are not carried and named in `unsupported`. */
int hull_net_view_read(struct hull_rtnl *rtnl, struct hull_net_view *ret, struct hull_error *err);
void hull_net_view_clear(struct hull_net_view *view);

struct hull_net_link *hull_net_view_find(const struct hull_net_view *view, int index);

/* ---- view.c and describe.c */

/* One message of a dump each; `data` is the view. */
int hull_net_view_link(const struct nlmsghdr *h, void *data);
int hull_net_view_address(const struct nlmsghdr *h, void *data);
int hull_net_view_route(const struct nlmsghdr *h, void *data);
int hull_net_view_neighbour(const struct nlmsghdr *h, void *data);
int hull_net_view_rule(const struct nlmsghdr *h, void *data);

/* After links and addresses: decides which links are carried, and moves their interfaces into the message. */
void hull_net_view_choose(struct hull_net_view *view);
