/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "agent/net.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"

typedef Hull__Agent__V1__Route Route;
typedef Hull__Agent__V1__NextHop NextHop;
typedef Hull__Agent__V1__Neighbour Neighbour;

#define HOPS_MAX 256

/* ---- routes */

static void put_gateway(struct nl_msg *msg, const Route *r, const NextHop *hop)
{
	char buf[sizeof(struct rtvia) + 16];
	if (hop->gateway.len == 0)
		return;
	if ((hop->gateway.len == 16) == (r->family == AF_INET6)) {
		nla_put(msg, RTA_GATEWAY, (int)hop->gateway.len, hop->gateway.data);
		return;
	}
	/* IPv4 by way of an IPv6 neighbour. */
	const unsigned short family = hop->gateway.len == 16 ? AF_INET6 : AF_INET;
	memcpy(buf, &family, sizeof(family));
	memcpy(buf + sizeof(struct rtvia), hop->gateway.data, hop->gateway.len);
	nla_put(msg, RTA_VIA, (int)(sizeof(struct rtvia) + hop->gateway.len), buf);
}

/* Source: linux/rtnetlink.h, struct rtnexthop: headers in one attribute, each followed by its own. */
static void put_hops(struct nl_msg *msg, const Route *r, const struct hull_net_links *links, bool onlink)
{
	struct nlattr *all = nla_nest_start(msg, RTA_MULTIPATH);
	for (size_t i = 0; i < r->n_hops; i++) {
		struct rtnexthop *nh = nlmsg_reserve(msg, sizeof(*nh), NLMSG_ALIGNTO);
		if (!nh)
			break;
		size_t at = (size_t)((char *)nh - (char *)nlmsg_hdr(msg));
		*nh = (struct rtnexthop){
			.rtnh_flags = onlink || r->hops[i]->onlink ? RTNH_F_ONLINK : 0, .rtnh_hops = (uint8_t)(r->hops[i]->weight ? r->hops[i]->weight - 1 : 0),
			.rtnh_ifindex = hull_net_links_index(links, r->hops[i]->device),
		};
		put_gateway(msg, r, r->hops[i]);
		nh = (struct rtnexthop *)((char *)nlmsg_hdr(msg) + at);
		nh->rtnh_len = (unsigned short)((char *)nlmsg_tail(nlmsg_hdr(msg)) - (char *)nh);
	}
	nla_nest_end(msg, all);
}

/* `onlink`: the gateways are taken to be there, whatever the other routes say. */
static struct nl_msg *route_message(int type, int flags, const Route *r, const struct hull_net_links *links, bool onlink)
{
	const struct rtmsg rt = {
		.rtm_family = (uint8_t)r->family, .rtm_dst_len = (uint8_t)r->prefix, .rtm_tos = (uint8_t)r->tos,
		.rtm_table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_UNSPEC, .rtm_protocol = (uint8_t)r->protocol,
		.rtm_scope = (uint8_t)r->scope, .rtm_type = (uint8_t)r->type,
		.rtm_flags = r->n_hops == 1 && (onlink || r->hops[0]->onlink) ? RTNH_F_ONLINK : 0,
	};
	struct nl_msg *msg = hull_rtnl_message(type, flags, &rt, sizeof(rt));
	if (r->destination.len)
		nla_put(msg, RTA_DST, (int)r->destination.len, r->destination.data);
	nla_put_u32(msg, RTA_TABLE, r->table);
	if (r->priority)
		nla_put_u32(msg, RTA_PRIORITY, r->priority);
	if (r->preferred_source.len)
		nla_put(msg, RTA_PREFSRC, (int)r->preferred_source.len, r->preferred_source.data);
	if (r->n_metrics) {
		struct nlattr *metrics = nla_nest_start(msg, RTA_METRICS);
		for (size_t i = 0; i < r->n_metrics; i++)
			nla_put_u32(msg, (int)r->metrics[i]->kind, r->metrics[i]->value);
		nla_nest_end(msg, metrics);
	}
	if (r->n_hops == 1) {
		nla_put_u32(msg, RTA_OIF, (uint32_t)hull_net_links_index(links, r->hops[0]->device));
		put_gateway(msg, r, r->hops[0]);
	} else if (r->n_hops > 1) {
		put_hops(msg, r, links, onlink);
	}
	return msg;
}

static bool is_valid(const Route *r, const struct hull_net_links *links)
{
	const size_t len = r->family == AF_INET6 ? 16 : 4;
	if ((r->family != AF_INET && r->family != AF_INET6) || (r->destination.len && r->destination.len != len) || r->prefix > len * 8 ||
	    (r->preferred_source.len && r->preferred_source.len != len) || r->n_hops > HOPS_MAX || r->n_metrics > RTAX_MAX)
		return false;
	for (size_t i = 0; i < r->n_hops; i++) {
		size_t gateway = r->hops[i]->gateway.len;
		if ((gateway && gateway != 4 && gateway != 16) || hull_net_links_index(links, r->hops[i]->device) == 0)
			return false;
	}
	return true;
}

static bool has_gateway(const Route *r)
{
	for (size_t i = 0; i < r->n_hops; i++)
		if (r->hops[i]->gateway.len)
			return true;
	return false;
}

/* Beside others to the same destination: to replace would take the one of another interface. */
static int add_route(struct hull_rtnl *rtnl, const Route *r, const struct hull_net_links *links, bool onlink, struct hull_error *err)
{
	int result = hull_rtnl_request(rtnl, route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, r, links, onlink), err);
	return result == -EEXIST ? 0 : result;
}

/*
 * Routes to gateways come after those that lead to the gateways; a gateway can be behind another. A table may hold routes to gateways that
 * its other routes do not lead to any more, for it is asked only when one is added: what is left over is added unasked.
 */
static int apply_routes(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err)
{
	_cleanup_free_ bool *done = hull_new(bool, net->n_routes + 1);
	bool progress = true, onlink = false;
	size_t left = net->n_routes;
	for (int pass = 0; left > 0 && (progress || pass < 2 || !onlink); pass++) {
		onlink = pass >= 2 && !progress;
		progress = false;
		for (size_t i = 0; i < net->n_routes; i++) {
			const Route *r = net->routes[i];
			if (done[i] || (pass == 0 && has_gateway(r)))
				continue;
			if (!is_valid(r, links))
				return hull_error_set(err, EINVAL, "route %zu: malformed", i);
			if (add_route(rtnl, r, links, onlink, err) < 0) {
				hull_error_wrap(err, "route %zu", i);
				continue;
			}
			done[i] = progress = true;
			left--;
		}
	}
	if (left > 0)
		return -err->code;
	hull_error_clear(err);
	return 0;
}

static bool is_same_data(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool is_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	size_t len = protobuf_c_message_get_packed_size(a);
	if (len != protobuf_c_message_get_packed_size(b))
		return false;
	_cleanup_free_ uint8_t *x = hull_calloc(1, len + 1), *y = hull_calloc(1, len + 1);
	protobuf_c_message_pack(a, x);
	protobuf_c_message_pack(b, y);
	return memcmp(x, y, len) == 0;
}

static void drop_routes(struct hull_rtnl *rtnl, const Network *old, const Network *net, const struct hull_net_links *links)
{
	for (size_t i = 0; i < old->n_routes; i++) {
		struct hull_error ignored = HULL_ERROR_INIT;
		bool stays = false;
		for (size_t n = 0; n < net->n_routes && !stays; n++)
			stays = is_same_message(&old->routes[i]->base, &net->routes[n]->base);
		/* One by way of a device that is gone went with it. */
		if (!stays && is_valid(old->routes[i], links) &&
		    hull_rtnl_request(rtnl, route_message(RTM_DELROUTE, 0, old->routes[i], links, false), &ignored) < 0)
			hull_log_debug("network: drop a route: %s", ignored.message);
	}
}

/* ---- neighbours */

static struct nl_msg *neighbour_message(int type, int flags, const Neighbour *n, int index)
{
	const struct ndmsg nd = {
		.ndm_family = n->ip.len == 16 ? AF_INET6 : AF_INET, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT,
		.ndm_flags = n->proxy ? NTF_PROXY : 0,
	};
	struct nl_msg *msg = hull_rtnl_message(type, flags, &nd, sizeof(nd));
	nla_put(msg, NDA_DST, (int)n->ip.len, n->ip.data);
	if (n->mac.len)
		nla_put(msg, NDA_LLADDR, (int)n->mac.len, n->mac.data);
	return msg;
}

static int apply_neighbours(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err)
{
	for (size_t i = 0; i < net->n_neighbours; i++) {
		const Neighbour *n = net->neighbours[i];
		int index = hull_net_links_index(links, n->device);
		if (index == 0 || (n->ip.len != 4 && n->ip.len != 16) || (!n->proxy && n->mac.len != 6))
			return hull_error_set(err, EINVAL, "neighbour %zu: malformed", i);
		if (hull_rtnl_request(rtnl, neighbour_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n, index), err) < 0)
			return hull_error_wrap(err, "neighbour %zu", i);
	}
	return 0;
}

static void drop_neighbours(struct hull_rtnl *rtnl, const Network *old, const Network *net, const struct hull_net_links *links)
{
	for (size_t i = 0; i < old->n_neighbours; i++) {
		const Neighbour *was = old->neighbours[i];
		struct hull_error ignored = HULL_ERROR_INIT;
		int index = hull_net_links_index(links, was->device);
		bool stays = index == 0;
		for (size_t n = 0; n < net->n_neighbours && !stays; n++)
			stays = was->proxy == net->neighbours[n]->proxy && strcmp(was->device, net->neighbours[n]->device) == 0 &&
				is_same_data(&was->ip, &net->neighbours[n]->ip);
		if (!stays)
			hull_rtnl_request(rtnl, neighbour_message(RTM_DELNEIGH, 0, was, index), &ignored);
	}
}

/* ---- rules */

static bool has_rule(const Network *net, const ProtobufCBinaryData *rule)
{
	for (size_t i = 0; net && i < net->n_rules; i++)
		if (is_same_data(&net->rules[i], rule))
			return true;
	return false;
}

static int rule_request(struct hull_rtnl *rtnl, int type, int flags, const ProtobufCBinaryData *rule, struct hull_error *err)
{
	return hull_rtnl_request(rtnl, hull_rtnl_message(type, flags, rule->data, rule->len), err);
}

static int apply_rules(struct hull_rtnl *rtnl, const Network *net, struct hull_error *err)
{
	for (size_t i = 0; i < net->n_rules; i++) {
		if (net->rules[i].len < sizeof(struct fib_rule_hdr))
			return hull_error_set(err, EINVAL, "rule %zu: malformed", i);
		int r = rule_request(rtnl, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &net->rules[i], err);
		if (r < 0 && r != -EEXIST)
			return hull_error_wrap(err, "rule %zu", i);
		hull_error_clear(err);
	}
	return 0;
}

static void drop_rules(struct hull_rtnl *rtnl, const Network *old, const Network *net)
{
	for (size_t i = 0; i < old->n_rules; i++) {
		struct hull_error ignored = HULL_ERROR_INIT;
		if (!has_rule(net, &old->rules[i]))
			rule_request(rtnl, RTM_DELRULE, 0, &old->rules[i], &ignored);
	}
}

/* ---- together */

int hull_net_routes_apply(struct hull_rtnl *rtnl, const Network *net, const struct hull_net_links *links, struct hull_error *err)
{
	int r = apply_routes(rtnl, net, links, err);
	if (r == 0)
		r = apply_neighbours(rtnl, net, links, err);
	return r < 0 ? r : apply_rules(rtnl, net, err);
}

void hull_net_routes_drop(struct hull_rtnl *rtnl, const Network *old, const Network *net, const struct hull_net_links *links)
{
	drop_rules(rtnl, old, net);
	drop_neighbours(rtnl, old, net, links);
	drop_routes(rtnl, old, net, links);
}
