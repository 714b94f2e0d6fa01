/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "net/net.h"

static char *address_text(const ProtobufCBinaryData *a)
{
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(a->len == 16 ? AF_INET6 : AF_INET, a->data, text, sizeof(text));
	return hull_strdup(text);
}

static char *prefix_text(const ProtobufCBinaryData *a, unsigned prefix)
{
	_cleanup_free_ char *text = address_text(a);
	return hull_asprintf("%s/%u", text, prefix);
}

static Hull__Pod__V1__NetworkInterface *list_interface(const struct hull_net *net, const Hull__Agent__V1__Interface *i)
{
	Hull__Pod__V1__NetworkInterface *out = hull_new(Hull__Pod__V1__NetworkInterface, 1);
	hull__pod__v1__network_interface__init(out);
	out->device = hull_strdup(i->name);
	out->name = hull_strdup(i->name);
	out->mtu = i->mtu;
	out->mac = hull_asprintf("%02x:%02x:%02x:%02x:%02x:%02x", i->mac.data[0], i->mac.data[1], i->mac.data[2], i->mac.data[3],
				 i->mac.data[4], i->mac.data[5]);
	for (const struct hull_net_nic *nic = hull_net_nics(net); nic; nic = nic->next)
		if (!nic->gone && strcmp(nic->name, i->name) == 0)
			out->queues = nic->queues;
	out->addresses = hull_new(char *, i->n_addresses + 1);
	for (size_t n = 0; n < i->n_addresses; n++)
		out->addresses[out->n_addresses++] = prefix_text(&i->addresses[n]->ip, i->addresses[n]->prefix);
	return out;
}

/* Those of the main table that lead somewhere: the form of a route by hand has no words for others. */
static Hull__Pod__V1__NetworkRoute *list_route(const Hull__Agent__V1__Route *r)
{
	if (r->table != RT_TABLE_MAIN || r->type != RTN_UNICAST || r->n_hops != 1)
		return NULL;
	Hull__Pod__V1__NetworkRoute *out = hull_new(Hull__Pod__V1__NetworkRoute, 1);
	hull__pod__v1__network_route__init(out);
	out->destination = r->destination.len ? prefix_text(&r->destination, r->prefix) :
			   r->family == AF_INET6 ? hull_strdup("::/0") : hull_strdup("0.0.0.0/0");
	out->gateway = r->hops[0]->gateway.len ? address_text(&r->hops[0]->gateway) : hull_strdup("");
	out->device = hull_strdup(r->hops[0]->device);
	return out;
}

Hull__Pod__V1__NetworkList *hull_net_list(struct hull_net *net)
{
	const Hull__Agent__V1__Network *all = hull_net_describe(net);
	Hull__Pod__V1__NetworkList *out = hull_new(Hull__Pod__V1__NetworkList, 1);
	hull__pod__v1__network_list__init(out);
	out->interfaces = hull_new(Hull__Pod__V1__NetworkInterface *, all->n_interfaces + 1);
	for (size_t i = 0; i < all->n_interfaces; i++)
		if (all->interfaces[i]->mac.len == 6)
			out->interfaces[out->n_interfaces++] = list_interface(net, all->interfaces[i]);
	out->routes = hull_new(Hull__Pod__V1__NetworkRoute *, all->n_routes + 1);
	for (size_t i = 0; i < all->n_routes; i++) {
		Hull__Pod__V1__NetworkRoute *r = list_route(all->routes[i]);
		if (r)
			out->routes[out->n_routes++] = r;
	}
	return out;
}
