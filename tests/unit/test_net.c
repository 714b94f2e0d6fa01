/* SPDX-License-Identifier: Apache-2.0 */
/* What a network namespace has, from rtnetlink's messages to the agent's; and interfaces and routes by hand, from JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <linux/if_addr.h>
#include <net/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "base/mem.h"
#include "cli/netjson.h"
#include "net/view.h"
#include "pod/config.h"

static void feed(struct hull_net_view *view, struct nl_msg *msg, int (*fn)(const struct nlmsghdr *, void *))
{
	nlmsg_hdr(msg)->nlmsg_type &= 0xffff;
	assert_int_equal(fn(nlmsg_hdr(msg), view), 0);
	nlmsg_free(msg);
}

/* `mode`: of an ipvlan; -1: the kind has none. */
static void link_of_mode(struct hull_net_view *view, int index, const char *name, const char *kind, unsigned flags, int lower, int mode)
{
	const struct ifinfomsg msg = { .ifi_index = index, .ifi_flags = flags, .ifi_type = flags & IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER };
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)index };
	struct nl_msg *m = hull_rtnl_message(RTM_NEWLINK, 0, &msg, sizeof(msg));
	nla_put_string(m, IFLA_IFNAME, name);
	nla_put_u32(m, IFLA_MTU, 1400);
	nla_put(m, IFLA_ADDRESS, 6, mac);
	if (lower)
		nla_put_u32(m, IFLA_LINK, (uint32_t)lower);
	struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO);
	nla_put_string(m, IFLA_INFO_KIND, kind);
	if (mode >= 0) {
		struct nlattr *data = nla_nest_start(m, IFLA_INFO_DATA);
		nla_put_u16(m, IFLA_IPVLAN_MODE, (uint16_t)mode);
		nla_nest_end(m, data);
	}
	nla_nest_end(m, info);
	feed(view, m, hull_net_view_link);
}

static void link_(struct hull_net_view *view, int index, const char *name, const char *kind, unsigned flags, int lower)
{
	link_of_mode(view, index, name, kind, flags, lower, -1);
}

static void address(struct hull_net_view *view, int index, const char *text, unsigned prefix, uint32_t flags)
{
	uint8_t bytes[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	inet_pton(family, text, bytes);
	const struct ifaddrmsg msg = { .ifa_family = (uint8_t)family, .ifa_prefixlen = (uint8_t)prefix, .ifa_index = (uint32_t)index };
	struct nl_msg *m = hull_rtnl_message(RTM_NEWADDR, 0, &msg, sizeof(msg));
	nla_put(m, IFA_ADDRESS, family == AF_INET ? 4 : 16, bytes);
	nla_put_u32(m, IFA_FLAGS, flags);
	feed(view, m, hull_net_view_address);
}

static void route(struct hull_net_view *view, const char *to, unsigned prefix, int oif, unsigned protocol, unsigned table)
{
	uint8_t bytes[4];
	inet_pton(AF_INET, to, bytes);
	const struct rtmsg msg = { .rtm_family = AF_INET, .rtm_dst_len = (uint8_t)prefix, .rtm_protocol = (uint8_t)protocol,
				   .rtm_type = RTN_UNICAST, .rtm_table = (uint8_t)table };
	struct nl_msg *m = hull_rtnl_message(RTM_NEWROUTE, 0, &msg, sizeof(msg));
	if (prefix)
		nla_put(m, RTA_DST, 4, bytes);
	nla_put_u32(m, RTA_OIF, (uint32_t)oif);
	feed(view, m, hull_net_view_route);
}

static void start(struct hull_net_view *view)
{
	*view = (struct hull_net_view){ .network = hull_new(Hull__Agent__V1__Network, 1) };
	hull__agent__v1__network__init(view->network);
}

static void what_is_carried(void **state)
{
	struct hull_net_view view;
	(void)state;
	start(&view);
	link_(&view, 1, "lo", "", IFF_UP | IFF_LOOPBACK, 0);
	link_(&view, 2, "eth0", "veth", IFF_UP, 0);
	link_(&view, 3, "hull-tap0", "tun", IFF_UP, 0);
	link_(&view, 4, "idle", "veth", 0, 0);
	link_(&view, 5, "addressed", "veth", 0, 0);
	address(&view, 1, "127.0.0.1", 8, IFA_F_PERMANENT);
	address(&view, 1, "192.0.2.1", 32, IFA_F_PERMANENT);
	address(&view, 2, "10.0.0.2", 24, IFA_F_PERMANENT);
	address(&view, 2, "2001:db8::1", 64, 0);                       /* came by router advertisement */
	address(&view, 5, "10.1.0.2", 24, IFA_F_PERMANENT);
	hull_net_view_choose(&view);
	route(&view, "0.0.0.0", 0, 2, RTPROT_BOOT, RT_TABLE_MAIN);
	route(&view, "10.0.0.2", 32, 2, RTPROT_KERNEL, RT_TABLE_LOCAL);
	route(&view, "10.9.0.0", 16, 4, RTPROT_BOOT, RT_TABLE_MAIN);   /* by way of what the guest has not */
	assert_string_equal(view.unsupported, "");
	assert_int_equal(view.network->n_interfaces, 3);
	assert_string_equal(view.network->interfaces[0]->name, "lo");
	assert_int_equal(view.network->interfaces[0]->n_addresses, 1);
	assert_int_equal(view.network->interfaces[0]->mac.len, 0);
	assert_string_equal(view.network->interfaces[1]->name, "eth0");
	assert_int_equal(view.network->interfaces[1]->n_addresses, 1);
	assert_int_equal(view.network->interfaces[1]->mtu, 1400);
	assert_true(view.network->interfaces[1]->up);
	assert_string_equal(view.network->interfaces[2]->name, "addressed");
	assert_int_equal(view.network->n_routes, 1);
	assert_string_equal(view.network->routes[0]->hops[0]->device, "eth0");
	hull_net_view_clear(&view);
}

static void what_is_refused(void **state)
{
	static const struct { const char *name, *kind; int lower; const char *words; } bad[] = {
		{ "br0", "bridge", 0, "br0 is a bridge" },
		{ "mv0", "macvlan", 2, "mv0 is built on another interface" },
		{ "vx0", "vxlan", 0, "vx0 is a vxlan" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hull_net_view view;
		start(&view);
		link_(&view, 2, "eth0", "veth", IFF_UP, 0);
		link_(&view, 3, bad[i].name, bad[i].kind, IFF_UP, bad[i].lower);
		hull_net_view_choose(&view);
		assert_non_null(strstr(view.unsupported, bad[i].words));
		assert_int_equal(view.network->n_interfaces, 1);
		hull_net_view_clear(&view);
	}
}

static void modes_of_ipvlan(void **state)
{
	struct hull_net_view view;
	(void)state;
	start(&view);
	link_of_mode(&view, 2, "two", "ipvlan", IFF_UP, 0, IPVLAN_MODE_L2);
	link_of_mode(&view, 3, "three", "ipvlan", IFF_UP | IFF_NOARP, 0, IPVLAN_MODE_L3);
	hull_net_view_choose(&view);
	assert_string_equal(view.unsupported, "");
	assert_int_equal(view.network->n_interfaces, 2);
	assert_true(view.network->interfaces[1]->no_arp);
	hull_net_view_clear(&view);

	start(&view);
	link_of_mode(&view, 4, "other", "ipvlan", IFF_UP | IFF_NOARP, 0, IPVLAN_MODE_L3S);
	hull_net_view_choose(&view);
	assert_non_null(strstr(view.unsupported, "other is an ipvlan in mode L3S"));
	assert_int_equal(view.network->n_interfaces, 0);
	hull_net_view_clear(&view);
}

static void json_of_interfaces(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	Hull__Pod__V1__NetworkEdit edit = HULL__POD__V1__NETWORK_EDIT__INIT;
	(void)state;
	assert_int_equal(hull_netjson_interfaces("[{\"device\":\"tap1\",\"name\":\"eth1\",\"IPAddresses\":[{\"address\":\"172.16.1.10\",\"mask\":\"24\"},"
						 "{\"address\":\"fd00::1\",\"mask\":\"64\"}],\"mtu\":1500,\"hwAddr\":\"02:42:20:6f:a2:80\",\"queues\":1}]",
						 &edit, &err), 0);
	assert_int_equal(edit.n_interfaces, 1);
	assert_string_equal(edit.interfaces[0]->device, "tap1");
	assert_string_equal(edit.interfaces[0]->addresses[0], "172.16.1.10/24");
	assert_string_equal(edit.interfaces[0]->addresses[1], "fd00::1/64");
	assert_int_equal(edit.interfaces[0]->mtu, 1500);
	hull_netjson_clear(&edit);
	assert_int_equal(hull_netjson_routes("{\"dest\":\"10.0.0.0/8\",\"gateway\":\"172.16.1.1\",\"device\":\"eth1\"}", &edit, &err), 0);
	assert_string_equal(edit.routes[0]->gateway, "172.16.1.1");
	hull_netjson_clear(&edit);
}

static void json_that_is_refused(void **state)
{
	static const struct { const char *text, *words; } bad[] = {
		{ "", "expected a JSON object" }, { "7", "expected a JSON object" }, { "[[]]", "expected a JSON object" },
		{ "{}", "device: missing" }, { "{\"device\":7}", "device: expected a string" },
		{ "{\"device\":\"sixteencharacter\"}", "1 to 15 characters" }, { "{\"device\":\"a/b\"}", "is no interface name" },
		{ "{\"device\":\"a\",\"mtu\":45}", "from 46 to 9600" }, { "{\"device\":\"a\",\"mtu\":9601}", "from 46 to 9600" },
		{ "{\"device\":\"a\",\"mtu\":\"1500\"}", "from 46 to 9600" },
		{ "{\"device\":\"a\",\"hwAddr\":\"ff:ff:ff:ff:ff:ff\"}", "no hardware address" },
		{ "{\"device\":\"a\",\"hwAddr\":\"02:00:00:00:00:0\"}", "no hardware address" },
		{ "{\"device\":\"a\",\"IPAddresses\":{}}", "expected an array" },
		{ "{\"device\":\"a\",\"IPAddresses\":[{\"address\":\"1.2.3\",\"mask\":\"8\"}]}", "is no address" },
		{ "{\"device\":\"a\",\"IPAddresses\":[{\"address\":\"1.2.3.4\",\"mask\":\"255.0.255.0\"}]}", "is no mask" },
		{ "{\"device\":\"a\",\"type\":\"x\"}", "unknown field \"type\"" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hull_error err = HULL_ERROR_INIT;
		Hull__Pod__V1__NetworkEdit edit = HULL__POD__V1__NETWORK_EDIT__INIT;
		assert_int_equal(hull_netjson_interfaces(bad[i].text, &edit, &err), -EINVAL);
		if (!strstr(err.message, bad[i].words))
			fail_msg("%s: %s", bad[i].text, err.message);
		hull_netjson_clear(&edit);
	}
}

static void bandwidths(void **state)
{
	uint64_t bps = 0;
	(void)state;
	assert_int_equal(hull_bandwidth_parse("10M", &bps), 0);
	assert_int_equal(bps, 10000000);
	assert_int_equal(hull_bandwidth_parse("1.5Ki", &bps), 0);
	assert_int_equal(bps, 1536);
	assert_int_equal(hull_bandwidth_parse("999", &bps), -ERANGE);
	assert_int_equal(hull_bandwidth_parse("2000T", &bps), -ERANGE);
	assert_int_equal(hull_bandwidth_parse("-1M", &bps), -EINVAL);
	assert_int_equal(hull_bandwidth_parse("10m", &bps), -EINVAL);
	assert_int_equal(hull_bandwidth_parse("0x10M", &bps), -EINVAL);
	assert_int_equal(hull_bandwidth_parse("", &bps), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_carried), cmocka_unit_test(what_is_refused),
		cmocka_unit_test(modes_of_ipvlan), cmocka_unit_test(json_of_interfaces),
		cmocka_unit_test(json_that_is_refused), cmocka_unit_test(bandwidths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
