/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/process.h"

/* A device that was plugged a moment ago: the kernel finds it and its driver. An emulated guest under load takes seconds. */
#define DEVICE_TIMEOUT_MS 20000
#define DEVICE_POLL_MS 5

struct hull_agent_net {
	struct hull_rtnl *rtnl;
	Network *applied;              /* NULL: nothing yet */

	/* A message that waits for its devices. */
	Network *wanted;
	struct hull_rpc_request *request;
	struct hull_alarm *poll;
	int64_t deadline_ms;
};

static Network *copy(const Network *net)
{
	size_t len = hull__agent__v1__network__get_packed_size(net);
	_cleanup_free_ uint8_t *packed = hull_calloc(1, len + 1);
	hull__agent__v1__network__pack(net, packed);
	return hull__agent__v1__network__unpack(NULL, len, packed);
}

/*
 * What is not wanted any more goes first: a route may stand in the way of its successor, and an address takes others and its routes along
 * with it when it goes.
 */
static int apply(struct hull_agent_net *n, const Network *net, const struct hull_net_links *links, struct hull_error *err)
{
	int r = hull_net_links_apply(n->rtnl, net, links, err);
	if (r == 0 && n->applied) {
		hull_net_routes_drop(n->rtnl, n->applied, net, links);
		hull_net_addresses_drop(n->rtnl, n->applied, net, links);
	}
	if (r == 0)
		r = hull_net_addresses_apply(n->rtnl, net, links, err);
	return r < 0 ? r : hull_net_routes_apply(n->rtnl, net, links, err);
}

/* 1: a device is not there yet; `err` says which. */
static int try(struct hull_agent_net *n, struct hull_error *err)
{
	struct hull_net_links links = { 0 };
	const char *missing = NULL;
	int r = hull_net_links_find(n->rtnl, n->wanted, &links, &missing, err);
	if (r == 1)
		hull_error_set(err, ENODEV, "%s: its device does not appear in the VM", missing);
	if (r == 0) {
		r = apply(n, n->wanted, &links, err);
		/* Also after an error: what is there now is to be taken away some time. */
		hull__agent__v1__network__free_unpacked(n->applied, NULL);
		n->applied = TAKE_PTR(n->wanted);
	}
	hull_net_links_clear(&links);
	return r;
}

static void finish(struct hull_agent_net *n, int r, const struct hull_error *err)
{
	hull__agent__v1__network__free_unpacked(TAKE_PTR(n->wanted), NULL);
	if (r == 0)
		hull_reply_empty(TAKE_PTR(n->request));
	else
		hull_rpc_fail_error(TAKE_PTR(n->request), err);
}

static void on_poll(void *data)
{
	struct hull_agent_net *n = data;
	struct hull_error err = HULL_ERROR_INIT;
	int r = try(n, &err);
	if (r == 1 && hull_now_ms() < n->deadline_ms)
		hull_alarm_set(n->poll, DEVICE_POLL_MS);
	else
		finish(n, r, &err);
}

static struct hull_agent_net *open_net(struct hull_agent *agent, struct hull_error *err)
{
	if (!agent->net) {
		struct hull_agent_net *n = hull_new(struct hull_agent_net, 1);
		if (hull_rtnl_open(&n->rtnl, err) < 0) {
			free(n);
			return NULL;
		}
		n->poll = hull_alarm_new(agent->loop, on_poll, n);
		agent->net = n;
	}
	return agent->net;
}

void hull_handle_configure_network(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_agent_net *n = open_net(data, &err);
	if (!n) {
		hull_rpc_fail_error(request, &err);
		return;
	}
	if (n->request) {
		hull_rpc_fail(request, HULL_RPC_ABORTED, "the network is being configured");
		return;
	}
	n->request = request;
	n->wanted = copy((const Network *)message);
	n->deadline_ms = hull_now_ms() + DEVICE_TIMEOUT_MS;
	on_poll(n);
}
