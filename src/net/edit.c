/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and routes by hand: what `ip` would do in the namespace. */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/units.h"
#include "net/view.h"
#include "net/net.h"

typedef Hull__Pod__V1__NetworkInterface Interface;
typedef Hull__Pod__V1__NetworkRoute Route;

struct prefix {
	int family, len;               /* len: of the address, bytes */
	uint8_t address[16];
	unsigned bits;
};

/* "10.0.0.2/24"; without a length all bits of the address count. */
static int parse_prefix(const char *text, struct prefix *ret)
{
	char address[INET6_ADDRSTRLEN];
	int64_t bits;
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	if (n >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, n);
	address[n] = '\0';
	ret->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	ret->len = ret->family == AF_INET6 ? 16 : 4;
	if (inet_pton(ret->family, address, ret->address) != 1)
		return -EINVAL;
	ret->bits = (unsigned)ret->len * 8;
	if (slash && hull_parse_i64(slash + 1, 0, ret->len * 8, &bits) < 0)
		return -EINVAL;
	if (slash)
		ret->bits = (unsigned)bits;
	return 0;
}

static struct hull_net_link *find_link(const struct hull_net_view *view, const char *name)
{
	for (size_t i = 0; i < view->n_links; i++)
		if (strcmp(view->links[i].interface->name, name) == 0)
			return &view->links[i];
	return NULL;
}

/* ---- interfaces */

static struct nl_msg *link_message(int index, unsigned flags, unsigned mask)
{
	const struct ifinfomsg msg = { .ifi_index = index, .ifi_flags = flags, .ifi_change = mask };
	return hull_rtnl_message(RTM_NEWLINK, 0, &msg, sizeof(msg));
}

static int set_link(struct hull_rtnl *rtnl, const Interface *i, const struct hull_net_link *l, struct hull_error *err)
{
	unsigned mac[6];
	uint8_t bytes[6];
	const bool renamed = *i->name && strcmp(i->name, l->interface->name) != 0;
	/* Names and most devices' addresses change while they are down only. */
	int r = renamed || *i->mac ? hull_rtnl_request(rtnl, link_message(l->index, 0, IFF_UP), err) : 0;
	if (r < 0)
		return r;
	struct nl_msg *msg = link_message(l->index, 0, 0);
	if (renamed)
		nla_put_string(msg, IFLA_IFNAME, i->name);
	if (i->mtu)
		nla_put_u32(msg, IFLA_MTU, i->mtu);
	if (*i->mac && sscanf(i->mac, "%2x:%2x:%2x:%2x:%2x:%2x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6) {
		for (int n = 0; n < 6; n++)
			bytes[n] = (uint8_t)mac[n];
		nla_put(msg, IFLA_ADDRESS, sizeof(bytes), bytes);
	}
	return hull_rtnl_request(rtnl, msg, err);
}

static struct nl_msg *address_message(int type, int flags, const struct prefix *p, int index)
{
	const struct ifaddrmsg msg = { .ifa_family = (uint8_t)p->family, .ifa_prefixlen = (uint8_t)p->bits, .ifa_index = (uint32_t)index };
	struct nl_msg *out = hull_rtnl_message(type, flags, &msg, sizeof(msg));
	nla_put(out, IFA_LOCAL, p->len, p->address);
	nla_put(out, IFA_ADDRESS, p->len, p->address);
	return out;
}

static int drop_addresses(struct hull_rtnl *rtnl, const struct hull_net_link *l, struct hull_error *err)
{
	for (size_t n = 0; n < l->interface->n_addresses; n++) {
		const Hull__Agent__V1__Address *a = l->interface->addresses[n];
		struct prefix p = { .family = a->ip.len == 16 ? AF_INET6 : AF_INET, .len = (int)a->ip.len, .bits = a->prefix };
		memcpy(p.address, a->ip.data, a->ip.len <= 16 ? a->ip.len : 16);
		int r = hull_rtnl_request(rtnl, address_message(RTM_DELADDR, 0, &p, l->index), err);
		/* A secondary address may have gone with its primary one. */
		if (r < 0 && r != -EADDRNOTAVAIL)
			return r;
	}
	hull_error_clear(err);
	return 0;
}

static int add_addresses(struct hull_rtnl *rtnl, const Interface *i, int index, struct hull_error *err)
{
	for (size_t n = 0; n < i->n_addresses; n++) {
		struct prefix p;
		if (parse_prefix(i->addresses[n], &p) < 0)
			return hull_error_set(err, EINVAL, "\"%.64s\" is no address", i->addresses[n]);
		struct nl_msg *msg = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &p, index);
		if (p.family == AF_INET6)
			nla_put_u32(msg, IFA_FLAGS, IFA_F_NODAD);
		if (hull_rtnl_request(rtnl, msg, err) < 0)
			return hull_error_wrap(err, "%s", i->addresses[n]);
	}
	return 0;
}

static int edit_interface(struct hull_rtnl *rtnl, Hull__Pod__V1__NetworkEdit__Verb verb, const Interface *i, struct hull_error *err)
{
	struct hull_net_view view;
	int r = hull_net_view_read(rtnl, &view, err);
	if (r < 0)
		return r;
	const char *name = *i->device ? i->device : i->name;
	const struct hull_net_link *l = find_link(&view, name);
	if (!l || (l->flags & IFF_LOOPBACK) || strncmp(name, "hull-", 5) == 0)
		r = hull_error_set(err, ENODEV, "there is no such interface in the pod's network namespace; `ip link set %s netns …` moves one there",
				   name);
	else if (verb == HULL__POD__V1__NETWORK_EDIT__VERB__ADD_INTERFACE && l->carried)
		r = hull_error_set(err, EEXIST, "the pod has it already; update-iface changes it");
	else if (verb != HULL__POD__V1__NETWORK_EDIT__VERB__ADD_INTERFACE && !l->carried)
		r = hull_error_set(err, ENODEV, "the pod does not have it");
	else if (verb == HULL__POD__V1__NETWORK_EDIT__VERB__DELETE_INTERFACE) {
		/* Down and without an address it takes no part. */
		r = drop_addresses(rtnl, l, err);
		if (r == 0)
			r = hull_rtnl_request(rtnl, link_message(l->index, 0, IFF_UP), err);
	} else {
		r = set_link(rtnl, i, l, err);
		if (r == 0 && i->has_addresses)
			r = drop_addresses(rtnl, l, err);
		if (r == 0)
			r = hull_rtnl_request(rtnl, link_message(l->index, IFF_UP, IFF_UP), err);
		if (r == 0)
			r = add_addresses(rtnl, i, l->index, err);
	}
	hull_net_view_clear(&view);
	return r < 0 ? hull_error_wrap(err, "%s", name) : 0;
}

/* ---- routes */

static int edit_route(struct hull_rtnl *rtnl, int type, int flags, const Route *route, struct hull_error *err)
{
	struct prefix to = { 0 }, gateway = { 0 };
	struct hull_net_view view;
	if ((*route->gateway && parse_prefix(route->gateway, &gateway) < 0) ||
	    (strcmp(route->destination, "default") != 0 && parse_prefix(route->destination, &to) < 0))
		return hull_error_set(err, EINVAL, "route to \"%.64s\" by \"%.64s\": not an address", route->destination, route->gateway);
	if (!to.family)
		to.family = gateway.family ? gateway.family : AF_INET;
	int r = hull_net_view_read(rtnl, &view, err);
	if (r < 0)
		return r;
	const struct hull_net_link *l = *route->device ? find_link(&view, route->device) : NULL;
	if (*route->device && (!l || !l->carried)) {
		r = hull_error_set(err, ENODEV, "the pod has no interface %.32s", route->device);
	} else {
		const struct rtmsg rt = {
			.rtm_family = (uint8_t)to.family, .rtm_dst_len = (uint8_t)to.bits, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST,
			.rtm_protocol = type == RTM_NEWROUTE ? RTPROT_STATIC : 0,
			.rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : gateway.family || to.family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		};
		struct nl_msg *msg = hull_rtnl_message(type, flags, &rt, sizeof(rt));
		if (to.bits)
			nla_put(msg, RTA_DST, to.len, to.address);
		if (gateway.family)
			nla_put(msg, RTA_GATEWAY, gateway.len, gateway.address);
		if (l)
			nla_put_u32(msg, RTA_OIF, (uint32_t)l->index);
		r = hull_rtnl_request(rtnl, msg, err);
	}
	hull_net_view_clear(&view);
	return r < 0 ? hull_error_wrap(err, "route to %s", route->destination) : 0;
}

static bool is_listed(const Hull__Pod__V1__NetworkEdit *edit, const Route *route)
{
	for (size_t i = 0; i < edit->n_routes; i++) {
		const Route *w = edit->routes[i];
		bool all = strcmp(w->destination, "default") == 0 && (strcmp(route->destination, "0.0.0.0/0") == 0 || strcmp(route->destination, "::/0") == 0);
		if ((all || strcmp(w->destination, route->destination) == 0) && strcmp(w->gateway, route->gateway) == 0)
			return true;
	}
	return false;
}

/* Those of addresses stay: the kernel made them. */
static int update_routes(struct hull_net *net, const Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err)
{
	Hull__Pod__V1__NetworkList *have = hull_net_list(net);
	int r = 0;
	for (size_t i = 0; r == 0 && i < have->n_routes; i++)
		if (*have->routes[i]->gateway && !is_listed(edit, have->routes[i]))
			r = edit_route(hull_net_rtnl(net), RTM_DELROUTE, 0, have->routes[i], err);
	for (size_t i = 0; r == 0 && i < edit->n_routes; i++)
		r = edit_route(hull_net_rtnl(net), RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, edit->routes[i], err);
	hull__pod__v1__network_list__free_unpacked(have, NULL);
	return r;
}

int hull_net_edit(struct hull_net *net, const Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err)
{
	int r = 0;
	if (edit->verb == HULL__POD__V1__NETWORK_EDIT__VERB__UPDATE_ROUTES)
		return update_routes(net, edit, err);
	for (size_t i = 0; r == 0 && i < edit->n_interfaces; i++)
		r = edit_interface(hull_net_rtnl(net), edit->verb, edit->interfaces[i], err);
	for (size_t i = 0; r == 0 && i < edit->n_routes; i++)
		r = edit->verb == HULL__POD__V1__NETWORK_EDIT__VERB__ADD_ROUTE
			    ? edit_route(hull_net_rtnl(net), RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, edit->routes[i], err)
			    : edit_route(hull_net_rtnl(net), RTM_DELROUTE, 0, edit->routes[i], err);
	return r;
}
