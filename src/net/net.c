/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/netns.h"
#include "net/redirect.h"
#include "net/tap.h"
#include "net/view.h"

struct hull_net {
	int netns_fd;
	struct hull_rtnl *rtnl;
	int watch_fd;
	unsigned queues;
	struct hull_net_limits limits;
	struct hull_net_nic *nics;
	struct hull_net_view view;
	Hull__Agent__V1__Network described;    /* members borrowed from the view */
};

/* Inside of the namespace. */
static int open_sockets(void *data, struct hull_error *err)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH,
		RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
	};
	struct hull_net *net = data;
	int r = hull_rtnl_open(&net->rtnl, err);
	if (r < 0)
		return r;
	net->watch_fd = hull_rtnl_listen(groups, HULL_ARRAY_SIZE(groups), err);
	return net->watch_fd < 0 ? net->watch_fd : 0;
}

int hull_net_open(int netns_fd, unsigned queues, const struct hull_net_limits *limits, struct hull_net **ret, struct hull_error *err)
{
	struct hull_net *net = hull_new(struct hull_net, 1);
	net->netns_fd = netns_fd;
	net->watch_fd = -1;
	net->queues = queues > HULL_NET_QUEUES_MAX ? HULL_NET_QUEUES_MAX : queues;
	net->limits = *limits;
	int r = hull_netns_inside(netns_fd, open_sockets, net, err);
	if (r < 0) {
		hull_net_free(net);
		return r;
	}
	*ret = net;
	return 0;
}

struct hull_net_nic *hull_net_nics(const struct hull_net *net)
{
	return net->nics;
}

struct hull_rtnl *hull_net_rtnl(struct hull_net *net)
{
	return net->rtnl;
}

int hull_net_watch_fd(const struct hull_net *net)
{
	return net->watch_fd;
}

bool hull_net_acknowledge(struct hull_net *net)
{
	return hull_rtnl_drain(net->watch_fd);
}

void hull_net_nic_handed_over(struct hull_net_nic *nic)
{
	hull_tap_close(nic);
}

/* ---- interfaces that come */

static int set_up(struct hull_rtnl *rtnl, int index, uint32_t mtu, struct hull_error *err)
{
	const struct ifinfomsg link = { .ifi_index = index, .ifi_flags = IFF_UP | IFF_NOARP, .ifi_change = IFF_UP | IFF_NOARP };
	struct nl_msg *msg = hull_rtnl_message(RTM_NEWLINK, 0, &link, sizeof(link));
	if (mtu)
		nla_put_u32(msg, IFLA_MTU, mtu);
	return hull_rtnl_request(rtnl, msg, err);
}

/* A tap's MTU bounds nothing that is redirected, but 65521 is the most that one takes. */
static int set_tap_up(struct hull_net *net, const struct hull_net_nic *nic, uint32_t mtu, struct hull_error *err)
{
	return set_up(net->rtnl, nic->tap_index, mtu > 65521 ? 65521 : mtu, err);
}

static void untie(struct hull_net *net, const struct hull_net_nic *nic);

static int tie(struct hull_net *net, const struct hull_net_nic *nic, struct hull_error *err)
{
	int r = hull_redirect_set(net->rtnl, nic->link_index, nic->tap_index, err);
	if (r < 0)
		return r;
	r = hull_redirect_set(net->rtnl, nic->tap_index, nic->link_index, err);
	if (r == 0 && net->limits.ingress_bps)
		r = hull_shape_set(net->rtnl, nic->tap_index, net->limits.ingress_bps, err);
	if (r == 0 && net->limits.egress_bps)
		r = hull_shape_set(net->rtnl, nic->link_index, net->limits.egress_bps, err);
	if (r < 0)
		untie(net, nic);
	return r;
}

static int make_tap(void *data, struct hull_error *err)
{
	return hull_tap_make(data, err);
}

static bool mac_in_use(const struct hull_net *net, const uint8_t mac[6])
{
	for (const struct hull_net_nic *n = net->nics; n; n = n->next)
		if (memcmp(n->mac, mac, sizeof(n->mac)) == 0)
			return true;
	return false;
}

/* The guest finds a device by the address with which it was plugged. Interfaces of one ipvlan share theirs, so the second gets its own. */
static void choose_mac(const struct hull_net *net, const struct hull_net_link *l, uint8_t ret[6])
{
	memcpy(ret, l->interface->mac.data, 6);
	for (unsigned n = 0; mac_in_use(net, ret); n++) {
		const uint8_t own[6] = { 0x02, 'h', 'u', (uint8_t)n, (uint8_t)(l->index >> 8), (uint8_t)l->index };
		memcpy(ret, own, sizeof(own));
	}
}

static struct hull_net_nic *nic_new(struct hull_net *net, const struct hull_net_link *l)
{
	struct hull_net_nic *nic = hull_new(struct hull_net_nic, 1);
	nic->link_index = l->index;
	nic->queues = net->queues;
	snprintf(nic->id, sizeof(nic->id), "n%d", l->index);
	snprintf(nic->name, sizeof(nic->name), "%s", l->interface->name);
	choose_mac(net, l, nic->mac);
	snprintf(nic->mac_text, sizeof(nic->mac_text), "%02x:%02x:%02x:%02x:%02x:%02x", nic->mac[0], nic->mac[1], nic->mac[2], nic->mac[3],
		 nic->mac[4], nic->mac[5]);
	for (unsigned q = 0; q < HULL_NET_QUEUES_MAX; q++)
		nic->tap_fds[q] = nic->vhost_fds[q] = -1;
	return nic;
}

static size_t count_nics(const struct hull_net *net)
{
	size_t n = 0;
	for (const struct hull_net_nic *nic = net->nics; nic; nic = nic->next)
		n++;
	return n;
}

static int add_nic(struct hull_net *net, const struct hull_net_link *l, struct hull_error *err)
{
	if (count_nics(net) == HULL_NET_NICS_MAX)
		return hull_error_set(err, ENOSPC, "%s: a VM has at most %d interfaces", l->interface->name, HULL_NET_NICS_MAX);
	struct hull_net_nic *nic = nic_new(net, l), **tail = &net->nics;
	int r = hull_netns_inside(net->netns_fd, make_tap, nic, err);
	if (r == 0)
		r = set_tap_up(net, nic, l->interface->mtu, err);
	if (r == 0)
		r = tie(net, nic, err);
	if (r < 0) {
		hull_error_wrap(err, "%s", nic->name);
		hull_tap_close(nic);
		free(nic);
		return r;
	}
	while (*tail)
		tail = &(*tail)->next;
	*tail = nic;
	return 0;
}

static struct hull_net_nic *find_nic(const struct hull_net *net, int link_index)
{
	for (struct hull_net_nic *nic = net->nics; nic; nic = nic->next)
		if (nic->link_index == link_index && !nic->gone)
			return nic;
	return NULL;
}

/* ---- refresh */

static void mark_gone(struct hull_net *net)
{
	for (struct hull_net_nic *nic = net->nics; nic; nic = nic->next) {
		const struct hull_net_link *l = hull_net_view_find(&net->view, nic->link_index);
		nic->gone = nic->gone || !l || !l->carried;
		if (!nic->gone)
			snprintf(nic->name, sizeof(nic->name), "%s", l->interface->name);
	}
}

static int add_new(struct hull_net *net, struct hull_error *err)
{
	for (size_t i = 0; i < net->view.n_links; i++) {
		const struct hull_net_link *l = &net->view.links[i];
		if (!l->carried || (l->flags & IFF_LOOPBACK) || find_nic(net, l->index))
			continue;
		int r = add_nic(net, l, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int hull_net_refresh(struct hull_net *net, const char **ret_unsupported, struct hull_error *err)
{
	struct hull_net_view view;
	int r = hull_net_view_read(net->rtnl, &view, err);
	if (r < 0)
		return r;
	free(net->described.interfaces);
	net->described = (Hull__Agent__V1__Network)HULL__AGENT__V1__NETWORK__INIT;
	hull_net_view_clear(&net->view);
	net->view = view;
	*ret_unsupported = net->view.unsupported;
	mark_gone(net);
	return add_new(net, err);
}

const Hull__Agent__V1__Network *hull_net_describe(struct hull_net *net)
{
	const Hull__Agent__V1__Network *all = net->view.network;
	Hull__Agent__V1__Network *out = &net->described;
	free(out->interfaces);
	*out = *all;
	out->interfaces = hull_new(Hull__Agent__V1__Interface *, all->n_interfaces + 1);
	out->n_interfaces = 0;
	for (size_t i = 0; i < net->view.n_links; i++) {
		struct hull_net_link *l = &net->view.links[i];
		struct hull_net_nic *nic = find_nic(net, l->index);
		if (nic && nic->plugged && l->carried) {
			free(l->interface->plugged_mac.data);
			l->interface->plugged_mac = (ProtobufCBinaryData){ .len = 6, .data = hull_memdup(nic->mac, 6) };
		}
		if (l->carried && ((l->flags & IFF_LOOPBACK) || (nic && nic->plugged)))
			out->interfaces[out->n_interfaces++] = l->interface;
	}
	return out;
}

/* ---- the end */

static void untie(struct hull_net *net, const struct hull_net_nic *nic)
{
	struct hull_error err = HULL_ERROR_INIT;
	if (net->limits.egress_bps)
		hull_shape_clear(net->rtnl, nic->link_index);
	if (hull_redirect_clear(net->rtnl, nic->link_index, false, &err) < 0 && err.code != ENODEV && err.code != EINVAL)
		hull_log_warning("%s: %s", nic->name, err.message);
}

void hull_net_nic_free(struct hull_net *net, struct hull_net_nic *nic)
{
	struct hull_net_nic **at = &net->nics;
	while (*at != nic)
		at = &(*at)->next;
	*at = nic->next;
	untie(net, nic);
	hull_tap_close(nic);
	free(nic);
}

void hull_net_free(struct hull_net *net)
{
	if (!net)
		return;
	while (net->nics)
		hull_net_nic_free(net, net->nics);
	free(net->described.interfaces);
	if (net->view.network)
		hull_net_view_clear(&net->view);
	hull_rtnl_free(net->rtnl);
	hull_closep(&net->watch_fd);
	hull_closep(&net->netns_fd);
	free(net);
}

static int clean_inside(void *data, struct hull_error *err)
{
	_cleanup_(hull_rtnl_freep) struct hull_rtnl *rtnl = NULL;
	struct hull_net_view view;
	int r = hull_rtnl_open(&rtnl, err);
	if (r == 0)
		r = hull_net_view_read(rtnl, &view, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < view.n_links; i++) {
		r = hull_redirect_clear(rtnl, view.links[i].index, true, err);
		if (r == 1)
			hull_shape_clear(rtnl, view.links[i].index);
	}
	hull_net_view_clear(&view);
	return r < 0 ? r : 0;
}

int hull_net_clean(int netns_fd, struct hull_error *err)
{
	return hull_netns_inside(netns_fd, clean_inside, NULL, err);
}
