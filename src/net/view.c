/* SPDX-License-Identifier: Apache-2.0 */
#include "net/view.h"

#include <linux/fib_rules.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* Ethernet devices through which frames come and go whole, so that they can be redirected at their end. */
static const char *const carried_kinds[] = { "", "veth", "macvlan", "ipvlan", "tun", "dummy" };

struct hull_net_link *hull_net_view_find(const struct hull_net_view *view, int index)
{
	for (size_t i = 0; i < view->n_links; i++)
		if (view->links[i].index == index)
			return &view->links[i];
	return NULL;
}

static void __attribute__((format(printf, 2, 3))) note(struct hull_net_view *view, const char *fmt, ...)
{
	va_list ap;
	if (view->unsupported[0])
		return;
	va_start(ap, fmt);
	vsnprintf(view->unsupported, sizeof(view->unsupported), fmt, ap);
	va_end(ap);
}

static bool is_carried_kind(const char *kind)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(carried_kinds); i++)
		if (strcmp(kind, carried_kinds[i]) == 0)
			return true;
	return false;
}

static bool is_own_tap(const struct hull_net_link *l)
{
	return strcmp(l->kind, "tun") == 0 && strncmp(l->interface->name, HULL_TAP_NAME, strlen(HULL_TAP_NAME) - 2) == 0;
}

/*
 * A link without addresses that is not up takes no part in anything: it is being prepared, or one of those that the kernel makes in
 * every namespace (tunl0, gretap0, …).
 */
static bool is_idle(const struct hull_net_link *l)
{
	return !(l->flags & IFF_UP) && l->interface->n_addresses == 0;
}

static bool can_carry(struct hull_net_view *view, const struct hull_net_link *l)
{
	const char *name = l->interface->name;
	if (l->type != ARPHRD_ETHER || l->interface->mac.len != ETH_ALEN)
		note(view, "%s carries no Ethernet frames (%s), and a VM's interface does", name, *l->kind ? l->kind : "its type");
	else if (l->master)
		note(view, "%s is a port of another interface of the namespace, which would get no frames any more", name);
	else if (!is_carried_kind(l->kind))
		note(view, "%s is a %s: only interfaces of the kinds veth, macvlan, ipvlan, tap, dummy and hardware can be given to a VM", name,
		     l->kind);
	else if (l->l3s)
		note(view, "%s is an ipvlan in mode L3S, which gets its packets past the point where frames are redirected: the modes L2 and L3 work",
		     name);
	else if (l->lower_is_here && strcmp(l->kind, "veth") != 0)
		note(view, "%s is built on another interface of the same namespace, whose frames the VM gets already", name);
	else
		return true;
	return false;
}

void hull_net_view_choose(struct hull_net_view *view)
{
	Hull__Agent__V1__Network *net = view->network;
	net->interfaces = hull_new(Hull__Agent__V1__Interface *, view->n_links + 1);
	for (size_t i = 0; i < view->n_links; i++) {
		struct hull_net_link *l = &view->links[i];
		bool loopback = l->flags & IFF_LOOPBACK;
		if (!loopback && (is_own_tap(l) || is_idle(l) || !can_carry(view, l)))
			continue;
		l->carried = true;
		net->interfaces[net->n_interfaces++] = l->interface;
	}
}

static int dump_all(struct hull_rtnl *rtnl, struct hull_net_view *view, struct hull_error *err)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	const struct ifinfomsg links = { 0 };
	const struct ifaddrmsg addresses = { 0 };

	int r = hull_rtnl_dump(rtnl, RTM_GETLINK, &links, sizeof(links), hull_net_view_link, view, err);
	if (r == 0)
		r = hull_rtnl_dump(rtnl, RTM_GETADDR, &addresses, sizeof(addresses), hull_net_view_address, view, err);
	if (r < 0)
		return r;
	hull_net_view_choose(view);
	for (size_t i = 0; r == 0 && i < HULL_ARRAY_SIZE(families); i++) {
		const struct rtmsg routes = { .rtm_family = families[i] };
		const struct ndmsg neighbours = { .ndm_family = families[i] };
		const struct ndmsg proxies = { .ndm_family = families[i], .ndm_flags = NTF_PROXY };
		const struct fib_rule_hdr rules = { .family = families[i] };
		r = hull_rtnl_dump(rtnl, RTM_GETROUTE, &routes, sizeof(routes), hull_net_view_route, view, err);
		if (r == 0)
			r = hull_rtnl_dump(rtnl, RTM_GETNEIGH, &neighbours, sizeof(neighbours), hull_net_view_neighbour, view, err);
		if (r == 0)
			r = hull_rtnl_dump(rtnl, RTM_GETNEIGH, &proxies, sizeof(proxies), hull_net_view_neighbour, view, err);
		if (r == 0)
			r = hull_rtnl_dump(rtnl, RTM_GETRULE, &rules, sizeof(rules), hull_net_view_rule, view, err);
		/* A kernel without policy routing, or without IPv6, has no such table. */
		if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT) {
			hull_error_clear(err);
			r = 0;
		}
	}
	return r;
}

int hull_net_view_read(struct hull_rtnl *rtnl, struct hull_net_view *ret, struct hull_error *err)
{
	struct hull_net_view view = { .network = hull_new(Hull__Agent__V1__Network, 1) };
	hull__agent__v1__network__init(view.network);
	int r = dump_all(rtnl, &view, err);
	if (r < 0) {
		hull_net_view_clear(&view);
		return hull_error_wrap(err, "read the network namespace");
	}
	*ret = view;
	return 0;
}

void hull_net_view_clear(struct hull_net_view *view)
{
	for (size_t i = 0; i < view->n_links; i++)
		if (!view->links[i].carried)
			hull__agent__v1__interface__free_unpacked(view->links[i].interface, NULL);
	hull__agent__v1__network__free_unpacked(view->network, NULL);
	free(view->links);
	*view = (struct hull_net_view){ 0 };
}
