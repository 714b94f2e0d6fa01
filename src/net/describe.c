/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of rtnetlink to the fields of agent.proto's Network. Source: rtnetlink(7), linux/rtnetlink.h, if_link.h, if_addr.h. */
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "net/view.h"

/* Source: linux net/ipv6/route.c: the default of a namespace without routes, IP6_RT_PRIO_… */
#define IPV6_NULL_PRIORITY 0xffffffffu

/* Adds a new, initialised element to a repeated field. */
#define ADD(array, n, type, init) ({ \
	(array) = hull_reallocarray((array), (n) + 1, sizeof(*(array))); \
	type *_new = hull_new(type, 1); \
	init(_new); \
	(array)[(n)++] = _new; \
	_new; })

static ProtobufCBinaryData bytes_of(const struct nlattr *a)
{
	ProtobufCBinaryData out = { 0 };
	if (a && nla_len(a) > 0) {
		out.len = (size_t)nla_len(a);
		out.data = hull_memdup(nla_data(a), out.len);
	}
	return out;
}

static uint32_t u32_of(struct nlattr *a)
{
	return a && nla_len(a) >= 4 ? nla_get_u32(a) : 0;
}

/* ---- links */

static void read_link_info(struct nlattr *info, struct hull_net_link *l)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1], *data[IFLA_IPVLAN_MAX + 1];
	if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0)
		return;
	if (tb[IFLA_INFO_KIND])
		nla_strlcpy(l->kind, tb[IFLA_INFO_KIND], sizeof(l->kind));
	if (strcmp(l->kind, "ipvlan") == 0 && tb[IFLA_INFO_DATA] && nla_parse_nested(data, IFLA_IPVLAN_MAX, tb[IFLA_INFO_DATA], NULL) == 0)
		l->l3s = data[IFLA_IPVLAN_MODE] && nla_get_u16(data[IFLA_IPVLAN_MODE]) == IPVLAN_MODE_L3S;
}

int hull_net_view_link(const struct nlmsghdr *h, void *data)
{
	struct hull_net_view *view = data;
	const struct ifinfomsg *msg = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1];
	if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(*msg), tb, IFLA_MAX, NULL) < 0 ||
	    !tb[IFLA_IFNAME])
		return 0;
	view->links = hull_reallocarray(view->links, view->n_links + 1, sizeof(*view->links));
	struct hull_net_link *l = &view->links[view->n_links++];
	*l = (struct hull_net_link){ .index = msg->ifi_index, .flags = msg->ifi_flags, .type = msg->ifi_type };
	read_link_info(tb[IFLA_LINKINFO], l);
	l->master = (int)u32_of(tb[IFLA_MASTER]);
	l->lower = (int)u32_of(tb[IFLA_LINK]);
	l->lower_is_here = l->lower && l->lower != l->index && !tb[IFLA_LINK_NETNSID];

	Hull__Agent__V1__Interface *i = l->interface = hull_new(Hull__Agent__V1__Interface, 1);
	hull__agent__v1__interface__init(i);
	i->name = hull_strndup(nla_data(tb[IFLA_IFNAME]), (size_t)nla_len(tb[IFLA_IFNAME]));
	i->mtu = u32_of(tb[IFLA_MTU]);
	i->up = msg->ifi_flags & IFF_UP;
	i->no_arp = msg->ifi_flags & IFF_NOARP;
	if (!(msg->ifi_flags & IFF_LOOPBACK))
		i->mac = bytes_of(tb[IFLA_ADDRESS]);
	return 0;
}

/* ---- addresses */

/* Those of the loopback that every namespace has. */
static bool is_loopback_default(const struct nlattr *local, int prefix)
{
	static const uint8_t v4[] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	return (nla_len(local) == 4 && prefix == 8 && memcmp(nla_data(local), v4, 4) == 0) ||
	       (nla_len(local) == 16 && memcmp(nla_data(local), v6, 16) == 0);
}

/*
 * An IPv6 address with a lifetime came by router advertisement. The guest hears those itself from now on, and the namespace does not:
 * there the address will run out.
 */
static bool is_autoconfigured(const struct ifaddrmsg *msg, uint32_t flags)
{
	return msg->ifa_family == AF_INET6 && !(flags & IFA_F_PERMANENT);
}

int hull_net_view_address(const struct nlmsghdr *h, void *data)
{
	struct hull_net_view *view = data;
	const struct ifaddrmsg *msg = nlmsg_data(h);
	struct nlattr *tb[IFA_MAX + 1];
	if (h->nlmsg_type != RTM_NEWADDR || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(*msg), tb, IFA_MAX, NULL) < 0)
		return 0;
	struct hull_net_link *l = hull_net_view_find(view, (int)msg->ifa_index);
	struct nlattr *local = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], *peer = tb[IFA_ADDRESS];
	uint32_t flags = tb[IFA_FLAGS] ? u32_of(tb[IFA_FLAGS]) : msg->ifa_flags;
	if (!l || !local || is_autoconfigured(msg, flags) || ((l->flags & IFF_LOOPBACK) && is_loopback_default(local, msg->ifa_prefixlen)))
		return 0;
	Hull__Agent__V1__Interface *i = l->interface;
	Hull__Agent__V1__Address *a = ADD(i->addresses, i->n_addresses, Hull__Agent__V1__Address, hull__agent__v1__address__init);
	a->ip = bytes_of(local);
	a->prefix = msg->ifa_prefixlen;
	a->scope = msg->ifa_scope;
	a->broadcast = bytes_of(tb[IFA_BROADCAST]);
	if (peer && (nla_len(peer) != nla_len(local) || memcmp(nla_data(peer), nla_data(local), (size_t)nla_len(local)) != 0))
		a->peer = bytes_of(peer);
	return 0;
}

/* ---- routes */

/* The address of a next hop, possibly of another family than the route's. */
static ProtobufCBinaryData gateway_of(struct nlattr *gateway, struct nlattr *via)
{
	if (gateway || !via || nla_len(via) <= (int)sizeof(struct rtvia))
		return bytes_of(gateway);
	size_t len = (size_t)nla_len(via) - sizeof(struct rtvia);
	return (ProtobufCBinaryData){ .len = len, .data = hull_memdup(((const struct rtvia *)nla_data(via))->rtvia_addr, len) };
}

/* Whether the hop leads somewhere that the guest has. */
static bool add_hop(struct hull_net_view *view, Hull__Agent__V1__Route *r, int index, unsigned flags, uint32_t weight, struct nlattr *gateway,
		    struct nlattr *via)
{
	struct hull_net_link *l = hull_net_view_find(view, index);
	if (!l || !l->carried)
		return false;
	Hull__Agent__V1__NextHop *hop = ADD(r->hops, r->n_hops, Hull__Agent__V1__NextHop, hull__agent__v1__next_hop__init);
	hop->device = hull_strdup(l->interface->name);
	hop->gateway = gateway_of(gateway, via);
	hop->weight = weight;
	hop->onlink = flags & RTNH_F_ONLINK;
	return true;
}

static bool add_hops(struct hull_net_view *view, Hull__Agent__V1__Route *r, const struct rtmsg *msg, struct nlattr **tb)
{
	if (!tb[RTA_MULTIPATH])
		return !tb[RTA_OIF] || add_hop(view, r, (int)u32_of(tb[RTA_OIF]), msg->rtm_flags, 0, tb[RTA_GATEWAY], tb[RTA_VIA]);
	struct rtnexthop *nh = nla_data(tb[RTA_MULTIPATH]);
	int left = nla_len(tb[RTA_MULTIPATH]);
	for (; RTNH_OK(nh, left); left -= (int)NLMSG_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh)) {
		struct nlattr *hop[RTA_MAX + 1];
		if (nla_parse(hop, RTA_MAX, (struct nlattr *)RTNH_DATA(nh), (int)(nh->rtnh_len - sizeof(*nh)), NULL) < 0 ||
		    !add_hop(view, r, nh->rtnh_ifindex, nh->rtnh_flags, nh->rtnh_hops + 1u, hop[RTA_GATEWAY], hop[RTA_VIA]))
			return false;
	}
	return true;
}

static void add_metrics(Hull__Agent__V1__Route *r, struct nlattr *metrics)
{
	struct nlattr *a;
	int left;
	if (!metrics)
		return;
	nla_for_each_nested(a, metrics, left) {
		/* The name of a congestion control is text; everything else is a number. */
		if (nla_type(a) == RTAX_CC_ALGO || nla_len(a) != 4)
			continue;
		Hull__Agent__V1__RouteMetric *m = ADD(r->metrics, r->n_metrics, Hull__Agent__V1__RouteMetric, hull__agent__v1__route_metric__init);
		m->kind = (uint32_t)nla_type(a);
		m->value = nla_get_u32(a);
	}
}

/* Whether a kernel with the same addresses has the route by itself, or learns it by itself. */
static bool is_implied(const struct rtmsg *msg, uint32_t table, uint32_t priority)
{
	if (msg->rtm_flags & RTM_F_CLONED || (table == RT_TABLE_LOCAL && msg->rtm_protocol == RTPROT_KERNEL))
		return true;
	return msg->rtm_family == AF_INET6 && (msg->rtm_protocol == RTPROT_RA || priority == IPV6_NULL_PRIORITY);
}

static void note_encapsulation(struct hull_net_view *view)
{
	if (!view->unsupported[0])
		snprintf(view->unsupported, sizeof(view->unsupported), "a route with an encapsulation (MPLS, segment routing) cannot be given to a VM");
}

int hull_net_view_route(const struct nlmsghdr *h, void *data)
{
	struct hull_net_view *view = data;
	const struct rtmsg *msg = nlmsg_data(h);
	struct nlattr *tb[RTA_MAX + 1];
	if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(*msg), tb, RTA_MAX, NULL) < 0)
		return 0;
	uint32_t table = tb[RTA_TABLE] ? u32_of(tb[RTA_TABLE]) : msg->rtm_table, priority = u32_of(tb[RTA_PRIORITY]);
	if (is_implied(msg, table, priority))
		return 0;
	if (tb[RTA_ENCAP]) {
		note_encapsulation(view);
		return 0;
	}
	Hull__Agent__V1__Route *r = hull_new(Hull__Agent__V1__Route, 1);
	hull__agent__v1__route__init(r);
	r->family = msg->rtm_family;
	r->destination = bytes_of(tb[RTA_DST]);
	r->prefix = msg->rtm_dst_len;
	r->type = msg->rtm_type;
	r->scope = msg->rtm_scope;
	r->protocol = msg->rtm_protocol;
	r->table = table;
	r->priority = priority;
	r->tos = msg->rtm_tos;
	r->preferred_source = bytes_of(tb[RTA_PREFSRC]);
	add_metrics(r, tb[RTA_METRICS]);
	if (!add_hops(view, r, msg, tb)) {
		hull__agent__v1__route__free_unpacked(r, NULL);
		return 0;
	}
	Hull__Agent__V1__Network *net = view->network;
	net->routes = hull_reallocarray(net->routes, net->n_routes + 1, sizeof(*net->routes));
	net->routes[net->n_routes++] = r;
	return 0;
}

/* ---- neighbours and rules */

int hull_net_view_neighbour(const struct nlmsghdr *h, void *data)
{
	struct hull_net_view *view = data;
	const struct ndmsg *msg = nlmsg_data(h);
	struct nlattr *tb[NDA_MAX + 1];
	if (h->nlmsg_type != RTM_NEWNEIGH || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(*msg), tb, NDA_MAX, NULL) < 0 || !tb[NDA_DST])
		return 0;
	struct hull_net_link *l = hull_net_view_find(view, msg->ndm_ifindex);
	bool proxy = msg->ndm_flags & NTF_PROXY;
	if (!l || !l->carried || (!proxy && (!(msg->ndm_state & NUD_PERMANENT) || !tb[NDA_LLADDR])))
		return 0;
	Hull__Agent__V1__Network *net = view->network;
	Hull__Agent__V1__Neighbour *n = ADD(net->neighbours, net->n_neighbours, Hull__Agent__V1__Neighbour, hull__agent__v1__neighbour__init);
	n->device = hull_strdup(l->interface->name);
	n->ip = bytes_of(tb[NDA_DST]);
	n->proxy = proxy;
	if (!proxy)
		n->mac = bytes_of(tb[NDA_LLADDR]);
	return 0;
}

int hull_net_view_rule(const struct nlmsghdr *h, void *data)
{
	struct hull_net_view *view = data;
	const struct fib_rule_hdr *msg = nlmsg_data(h);
	struct nlattr *tb[FRA_MAX + 1];
	if (h->nlmsg_type != RTM_NEWRULE || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(*msg), tb, FRA_MAX, NULL) < 0)
		return 0;
	/* Every namespace has the kernel's own. */
	if (tb[FRA_PROTOCOL] && nla_get_u8(tb[FRA_PROTOCOL]) == RTPROT_KERNEL)
		return 0;
	Hull__Agent__V1__Network *net = view->network;
	net->rules = hull_reallocarray(net->rules, net->n_rules + 1, sizeof(*net->rules));
	size_t len = (size_t)nlmsg_datalen(h);
	net->rules[net->n_rules++] = (ProtobufCBinaryData){ .len = len, .data = hull_memdup(msg, len) };
	return 0;
}
