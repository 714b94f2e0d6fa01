/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: found by the address with which they were plugged, then named and set as the message says. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "agent/net.h"
#include "base/cleanup.h"
#include "base/mem.h"

struct device {
	int index;
	unsigned flags;
	char name[IFNAMSIZ];
	uint8_t permanent[6], mac[6];
	uint32_t mtu;
};

struct devices {
	struct device *v;
	size_t n;
};

static void devices_clear(struct devices *d)
{
	free(d->v);
}

/* Hardware only: what containers make (veth, bridges) has a kind. */
static int read_device(const struct nlmsghdr *h, void *data)
{
	struct devices *all = data;
	const struct ifinfomsg *msg = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1];
	if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(*msg), tb, IFLA_MAX, NULL) < 0 ||
	    !tb[IFLA_IFNAME] || tb[IFLA_LINKINFO] || !tb[IFLA_ADDRESS] || nla_len(tb[IFLA_ADDRESS]) != 6)
		return 0;
	all->v = hull_reallocarray(all->v, all->n + 1, sizeof(*all->v));
	struct device *d = &all->v[all->n++];
	struct nlattr *permanent = tb[IFLA_PERM_ADDRESS] ? tb[IFLA_PERM_ADDRESS] : tb[IFLA_ADDRESS];
	*d = (struct device){ .index = msg->ifi_index, .flags = msg->ifi_flags, .mtu = tb[IFLA_MTU] ? nla_get_u32(tb[IFLA_MTU]) : 0 };
	nla_strlcpy(d->name, tb[IFLA_IFNAME], sizeof(d->name));
	memcpy(d->mac, nla_data(tb[IFLA_ADDRESS]), sizeof(d->mac));
	if (nla_len(permanent) == sizeof(d->permanent))
		memcpy(d->permanent, nla_data(permanent), sizeof(d->permanent));
	return 0;
}

static int read_devices(struct hull_rtnl *rtnl, struct devices *ret, struct hull_error *err)
{
	const struct ifinfomsg all = { 0 };
	return hull_rtnl_dump(rtnl, RTM_GETLINK, &all, sizeof(all), read_device, ret, err);
}

static const struct device *find(const struct devices *all, const Interface *i)
{
	for (size_t n = 0; n < all->n; n++)
		if (!(all->v[n].flags & IFF_LOOPBACK) && memcmp(all->v[n].permanent, i->plugged_mac.data, 6) == 0)
			return &all->v[n];
	return NULL;
}

static void add(struct hull_net_links *links, const char *name, int index)
{
	links->v = hull_reallocarray(links->v, links->n + 1, sizeof(*links->v));
	links->v[links->n++] = (struct hull_net_known){ name, index };
}

int hull_net_links_find(struct hull_rtnl *rtnl, const Network *net, struct hull_net_links *ret, const char **ret_missing,
			struct hull_error *err)
{
	_cleanup_(devices_clear) struct devices all = { 0 };
	int r = read_devices(rtnl, &all, err);
	for (size_t i = 0; r == 0 && i < net->n_interfaces; i++) {
		const Interface *wanted = net->interfaces[i];
		if (wanted->plugged_mac.len == 0) {
			add(ret, wanted->name, (int)if_nametoindex("lo"));
			continue;
		}
		if (wanted->plugged_mac.len != 6 || wanted->mac.len != 6 || strlen(wanted->name) >= IFNAMSIZ)
			return hull_error_set(err, EINVAL, "interface %.32s: not a name and two hardware addresses", wanted->name);
		const struct device *d = find(&all, wanted);
		if (!d) {
			*ret_missing = wanted->name;
			return 1;
		}
		add(ret, wanted->name, d->index);
	}
	return r;
}

void hull_net_links_clear(struct hull_net_links *links)
{
	free(links->v);
	*links = (struct hull_net_links){ 0 };
}

int hull_net_links_index(const struct hull_net_links *links, const char *name)
{
	for (size_t i = 0; i < links->n; i++)
		if (strcmp(links->v[i].name, name) == 0)
			return links->v[i].index;
	return 0;
}

/* ---- setting */

static struct nl_msg *change(int index, unsigned flags, unsigned mask)
{
	const struct ifinfomsg msg = { .ifi_index = index, .ifi_flags = flags, .ifi_change = mask };
	return hull_rtnl_message(RTM_NEWLINK, 0, &msg, sizeof(msg));
}

static int rename_device(struct hull_rtnl *rtnl, int index, const char *name, struct hull_error *err)
{
	/* A device that is up cannot be renamed. */
	int r = hull_rtnl_request(rtnl, change(index, 0, IFF_UP), err);
	if (r < 0)
		return r;
	struct nl_msg *msg = change(index, 0, 0);
	nla_put_string(msg, IFLA_IFNAME, name);
	r = hull_rtnl_request(rtnl, msg, err);
	return r < 0 ? hull_error_wrap(err, "rename to %s", name) : 0;
}

/* Two devices can have each other's name, and a device that is about to be unplugged the one of its successor. */
static int name_all(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err)
{
	_cleanup_(devices_clear) struct devices all = { 0 };
	int r = read_devices(rtnl, &all, err);
	for (size_t i = 0; r == 0 && i < net->n_interfaces; i++) {
		int index = links->v[i].index;
		for (size_t n = 0; r == 0 && n < all.n; n++) {
			char passing[IFNAMSIZ];
			struct device *d = &all.v[n];
			if (d->index == index || strcmp(d->name, net->interfaces[i]->name) != 0 || (d->flags & IFF_LOOPBACK))
				continue;
			snprintf(passing, sizeof(passing), "hull-was%d", d->index);
			r = rename_device(rtnl, d->index, passing, err);
			snprintf(d->name, sizeof(d->name), "%s", passing);
		}
		for (size_t n = 0; r == 0 && n < all.n; n++) {
			struct device *d = &all.v[n];
			if (d->index != index || strcmp(d->name, net->interfaces[i]->name) == 0)
				continue;
			r = rename_device(rtnl, index, net->interfaces[i]->name, err);
			snprintf(d->name, sizeof(d->name), "%s", net->interfaces[i]->name);
		}
	}
	return r;
}

/* Only the link-local address that the host has is given: the kernel makes none. Source: linux/if_link.h, IFLA_INET6_ADDR_GEN_MODE. */
static int no_own_addresses(struct hull_rtnl *rtnl, int index, struct hull_error *err)
{
	struct nl_msg *msg = change(index, 0, 0);
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC), *v6 = nla_nest_start(msg, AF_INET6);
	nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nla_nest_end(msg, v6);
	nla_nest_end(msg, spec);
	int r = hull_rtnl_request(rtnl, msg, err);
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP) {
		hull_error_clear(err);
		return 0;
	}
	return r;
}

static int set_one(struct hull_rtnl *rtnl, const Interface *wanted, const struct device *d, struct hull_error *err)
{
	const unsigned mask = IFF_UP | IFF_NOARP, flags = (wanted->up ? IFF_UP : 0u) | (wanted->no_arp ? IFF_NOARP : 0u);
	bool other_mac = memcmp(wanted->mac.data, d->mac, sizeof(d->mac)) != 0, other_mtu = wanted->mtu && wanted->mtu != d->mtu;
	int r = 0;
	/* A device that is up already has been set before. */
	if (!(d->flags & IFF_UP))
		r = no_own_addresses(rtnl, d->index, err);
	if (r < 0 || ((d->flags & mask) == flags && !other_mac && !other_mtu))
		return r;
	struct nl_msg *msg = change(d->index, flags, mask);
	if (other_mac)
		nla_put(msg, IFLA_ADDRESS, sizeof(d->mac), wanted->mac.data);
	if (other_mtu)
		nla_put_u32(msg, IFLA_MTU, wanted->mtu);
	return hull_rtnl_request(rtnl, msg, err);
}

int hull_net_links_apply(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err)
{
	_cleanup_(devices_clear) struct devices all = { 0 };
	int r = name_all(rtnl, net, links, err);
	if (r == 0)
		r = read_devices(rtnl, &all, err);
	for (size_t i = 0; r == 0 && i < net->n_interfaces; i++) {
		const Interface *wanted = net->interfaces[i];
		for (size_t n = 0; r == 0 && wanted->plugged_mac.len && n < all.n; n++)
			if (all.v[n].index == links->v[i].index && set_one(rtnl, wanted, &all.v[n], err) < 0)
				r = hull_error_wrap(err, "interface %s", wanted->name);
	}
	return r;
}
