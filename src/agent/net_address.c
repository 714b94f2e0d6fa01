/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "agent/net.h"
#include "base/log.h"

typedef Hull__Agent__V1__Address Address;

static int family_of(const Address *a)
{
	return a->ip.len == 16 ? AF_INET6 : AF_INET;
}

static struct nl_msg *message(int type, int flags, const Address *a, int index)
{
	const struct ifaddrmsg msg = {
		.ifa_family = (uint8_t)family_of(a), .ifa_prefixlen = (uint8_t)a->prefix, .ifa_scope = (uint8_t)a->scope,
		.ifa_index = (uint32_t)index,
	};
	const ProtobufCBinaryData *peer = a->peer.len ? &a->peer : &a->ip;
	struct nl_msg *out = hull_rtnl_message(type, flags, &msg, sizeof(msg));
	nla_put(out, IFA_LOCAL, (int)a->ip.len, a->ip.data);
	nla_put(out, IFA_ADDRESS, (int)peer->len, peer->data);
	return out;
}

/*
 * Nobody else can have the address, for it was the host's turn to ask around: no DAD, which would keep it from use for a second. Routes
 * to its network come with the others, as the namespace has them.
 */
static int add(struct hull_rtnl *rtnl, const Address *a, int index, struct hull_error *err)
{
	if ((a->ip.len != 4 && a->ip.len != 16) || a->prefix > a->ip.len * 8 || (a->peer.len && a->peer.len != a->ip.len) ||
	    (a->broadcast.len && a->broadcast.len != 4))
		return hull_error_set(err, EINVAL, "an address has 4 or 16 bytes");
	struct nl_msg *msg = message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, a, index);
	if (a->broadcast.len)
		nla_put(msg, IFA_BROADCAST, (int)a->broadcast.len, a->broadcast.data);
	nla_put_u32(msg, IFA_FLAGS, IFA_F_NOPREFIXROUTE | (family_of(a) == AF_INET6 ? IFA_F_NODAD : 0));
	return hull_rtnl_request(rtnl, msg, err);
}

int hull_net_addresses_apply(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err)
{
	for (size_t i = 0; i < net->n_interfaces; i++) {
		const Interface *wanted = net->interfaces[i];
		for (size_t n = 0; n < wanted->n_addresses; n++)
			if (add(rtnl, wanted->addresses[n], links->v[i].index, err) < 0)
				return hull_error_wrap(err, "interface %s: address %zu", wanted->name, n);
	}
	return 0;
}

static bool is_same(const Address *a, const Address *b)
{
	return a->prefix == b->prefix && a->ip.len == b->ip.len && memcmp(a->ip.data, b->ip.data, a->ip.len) == 0;
}

static bool has(const Network *net, const char *device, const Address *a)
{
	for (size_t i = 0; i < net->n_interfaces; i++) {
		if (strcmp(net->interfaces[i]->name, device) != 0)
			continue;
		for (size_t n = 0; n < net->interfaces[i]->n_addresses; n++)
			if (is_same(net->interfaces[i]->addresses[n], a))
				return true;
	}
	return false;
}

/* What the device is called now; it is the same one by its plugged address. 0: it is gone. */
static const char *name_now(const Network *net, const Interface *old)
{
	for (size_t i = 0; i < net->n_interfaces; i++) {
		const Interface *now = net->interfaces[i];
		if (now->plugged_mac.len == old->plugged_mac.len && memcmp(now->plugged_mac.data, old->plugged_mac.data, now->plugged_mac.len) == 0)
			return now->name;
	}
	return NULL;
}

void hull_net_addresses_drop(struct hull_rtnl *rtnl, const Network *old, const Network *net, const struct hull_net_links *links)
{
	for (size_t i = 0; i < old->n_interfaces; i++) {
		const Interface *was = old->interfaces[i];
		const char *name = name_now(net, was);
		for (size_t n = 0; name && n < was->n_addresses; n++) {
			struct hull_error ignored = HULL_ERROR_INIT;
			if (!has(net, name, was->addresses[n]) &&
			    hull_rtnl_request(rtnl, message(RTM_DELADDR, 0, was->addresses[n], hull_net_links_index(links, name)), &ignored) < 0)
				hull_log_debug("network: drop an address of %s: %s", name, ignored.message);
		}
	}
}
