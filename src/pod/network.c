/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/network.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/netns.h"
#include "rpc/agent.pb-c.h"

/* Engines make several changes in a row. */
#define PATIENCE_MS 20
#define CONFIGURE_TIMEOUT_MS 60000

struct waiter {
	struct waiter *next;
	hull_network_settled_fn fn;
	void *data;
};

struct hull_network {
	struct hull_net *net;
	struct hull_vm *vm;            /* NULL until it has started */
	uv_poll_t poll;
	uv_timer_t timer;              /* gathers changes */
	unsigned open_handles;
	bool ready;
	bool dirty;                    /* another round is due */
	bool running;                  /* a round is on its way */
	bool freed;
	unsigned plugging;             /* calls of the VMM that have not come back */
	struct hull_rpc_call *call;
	struct hull_error error;       /* of this round */
	uint8_t *sent;                 /* what the guest has */
	size_t sent_len;
	struct waiter *waiting, *served;       /* for the next round, and for this one */
	void (*on_round)(void *data);
	void *on_round_data;
};

/* One call of the VMM about one interface. */
struct plug {
	struct hull_network *network;
	struct hull_net_nic *nic;
};

static void start_round(struct hull_network *n);

/* ---- the end of a round */

static void waiters_finish(struct hull_network *n, const struct hull_error *err)
{
	while (n->served) {
		struct waiter *w = n->served;
		n->served = w->next;
		w->fn(w->data, err);
		free(w);
	}
}

static void finish_round(struct hull_network *n)
{
	struct hull_error err = n->error;
	n->running = false;
	if (err.code)
		hull_log_warning("network: %s", err.message);
	waiters_finish(n, err.code ? &err : NULL);
	if (n->on_round)
		n->on_round(n->on_round_data);
	if (n->dirty)
		start_round(n);
}

static void on_configured(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_network *n = data;
	n->call = NULL;
	if (status->code == HULL_RPC_CANCELLED)
		return;
	if (status->code != HULL_RPC_OK) {
		/* To be sent again, whatever it is then. */
		free(TAKE_PTR(n->sent));
		n->sent_len = 0;
		if (!n->error.code)
			hull_error_set(&n->error, hull_rpc_code_to_errno(status->code), "%s", status->message);
	}
	finish_round(n);
}

/* ---- the guest's side */

static void tell_agent(struct hull_network *n)
{
	const Hull__Agent__V1__Network *description = hull_net_describe(n->net);
	size_t len = hull__agent__v1__network__get_packed_size(description);
	uint8_t *packed = hull_calloc(1, len + 1);
	hull__agent__v1__network__pack(description, packed);
	if (n->sent && n->sent_len == len && memcmp(n->sent, packed, len) == 0) {
		free(packed);
		finish_round(n);
		return;
	}
	free(n->sent);
	n->sent = packed;
	n->sent_len = len;
	n->call = hull_rpc_call(hull_vm_agent(n->vm), "hull.agent.v1.Agent", "ConfigureNetwork", &description->base,
				&hull__agent__v1__empty__descriptor, CONFIGURE_TIMEOUT_MS, NULL, 0, on_configured, n);
}

/* ---- the VMM's side */

static void plug_done(struct plug *p)
{
	struct hull_network *n = p->network;
	p->nic->busy = false;
	free(p);
	if (--n->plugging == 0 && !n->freed)
		tell_agent(n);
}

static void keep_error(struct hull_network *n, const struct hull_net_nic *nic, const struct hull_error *err)
{
	if (n->error.code)
		return;
	n->error = *err;
	hull_error_wrap(&n->error, "interface %s", nic->name);
}

static void on_plugged(void *data, const struct hull_error *err)
{
	struct plug *p = data;
	hull_net_nic_handed_over(p->nic);
	if (err) {
		keep_error(p->network, p->nic, err);
		p->nic->failed = true;
	} else {
		p->nic->plugged = true;
	}
	plug_done(p);
}

static void on_unplugged(void *data, const struct hull_error *err)
{
	struct plug *p = data;
	if (err)
		keep_error(p->network, p->nic, err);
	else
		p->nic->plugged = false;
	plug_done(p);
}

static struct hull_nic vmm_nic(const struct hull_net_nic *nic)
{
	return (struct hull_nic){ .id = nic->id, .tap_fds = nic->tap_fds, .vhost_fds = nic->vhost ? nic->vhost_fds : NULL,
				  .queues = nic->queues, .mac = nic->mac_text };
}

static void begin_plug(struct hull_network *n, struct hull_net_nic *nic)
{
	struct plug *p = hull_new(struct plug, 1);
	*p = (struct plug){ n, nic };
	nic->busy = true;
	n->plugging++;
	if (nic->gone) {
		hull_vm_remove_nic(n->vm, nic->id, on_unplugged, p);
	} else {
		struct hull_nic as = vmm_nic(nic);
		hull_vm_add_nic(n->vm, &as, on_plugged, p);
	}
}

/* What is gone and out of the VM, or never came into it. */
static void sweep(struct hull_network *n)
{
	for (struct hull_net_nic *nic = hull_net_nics(n->net), *next; nic; nic = next) {
		next = nic->next;
		if (nic->gone && !nic->plugged && !nic->busy)
			hull_net_nic_free(n->net, nic);
	}
}

static void plug_all(struct hull_network *n)
{
	/* One more, so that answers that come at once do not end it early. */
	n->plugging = 1;
	sweep(n);
	for (struct hull_net_nic *nic = hull_net_nics(n->net); nic; nic = nic->next)
		if (!nic->failed && nic->gone == nic->plugged)
			begin_plug(n, nic);
	if (--n->plugging == 0)
		tell_agent(n);
}

static void start_round(struct hull_network *n)
{
	const char *unsupported = "";
	if (!n->ready || n->running)
		return;
	n->running = true;
	n->dirty = false;
	n->served = TAKE_PTR(n->waiting);
	hull_error_clear(&n->error);
	uv_timer_stop(&n->timer);
	if (hull_net_refresh(n->net, &unsupported, &n->error) == 0 && *unsupported)
		hull_error_set(&n->error, EOPNOTSUPP, "%s", unsupported);
	plug_all(n);
}

/* ---- what sets it going */

static void on_timer(uv_timer_t *timer)
{
	start_round(timer->data);
}

static void on_change(uv_poll_t *poll, int status, int events)
{
	struct hull_network *n = poll->data;
	if (!hull_net_acknowledge(n->net))
		return;
	n->dirty = true;
	if (n->ready && !n->running)
		uv_timer_start(&n->timer, on_timer, PATIENCE_MS, 0);
}

void hull_network_settle(struct hull_network *n, hull_network_settled_fn fn, void *data)
{
	struct waiter *w = hull_new(struct waiter, 1);
	*w = (struct waiter){ n->waiting, fn, data };
	n->waiting = w;
	n->dirty = true;
	if (n->ready && !n->running)
		uv_timer_start(&n->timer, on_timer, 0, 0);
}

static void forget_in(struct waiter **list, const void *data)
{
	while (*list) {
		struct waiter *w = *list;
		if (w->data != data) {
			list = &w->next;
			continue;
		}
		*list = w->next;
		free(w);
	}
}

void hull_network_forget(struct hull_network *n, const void *data)
{
	forget_in(&n->waiting, data);
	forget_in(&n->served, data);
}

/* ---- its life */

int hull_network_new(uv_loop_t *loop, int netns_fd, unsigned queues, const struct hull_net_limits *limits, struct hull_network **ret,
		     struct hull_error *err)
{
	struct hull_network *n = hull_new(struct hull_network, 1);
	const char *unsupported = "";
	_cleanup_close_ int fd = netns_fd;

	int r = hull_netns_check_foreign(fd, err);
	if (r == 0)
		r = hull_net_open(TAKE_FD(fd), queues, limits, &n->net, err);
	if (r == 0)
		r = hull_net_refresh(n->net, &unsupported, err);
	if (r == 0 && *unsupported)
		r = hull_error_set(err, EOPNOTSUPP, "%s", unsupported);
	if (r < 0) {
		hull_net_free(n->net);
		free(n);
		return hull_error_wrap(err, "the pod's network namespace");
	}
	uv_poll_init(loop, &n->poll, hull_net_watch_fd(n->net));
	uv_timer_init(loop, &n->timer);
	n->open_handles = 2;
	n->poll.data = n->timer.data = n;
	uv_poll_start(&n->poll, UV_READABLE, on_change);
	*ret = n;
	return 0;
}

struct hull_nic *hull_network_nics(const struct hull_network *n, size_t *ret_n)
{
	struct hull_nic *nics = hull_new(struct hull_nic, HULL_NICS_MAX);
	*ret_n = 0;
	for (const struct hull_net_nic *nic = hull_net_nics(n->net); nic && *ret_n < HULL_NICS_MAX; nic = nic->next)
		nics[(*ret_n)++] = vmm_nic(nic);
	return nics;
}

void hull_network_plugged(struct hull_network *n, struct hull_vm *vm)
{
	n->vm = vm;
	for (struct hull_net_nic *nic = hull_net_nics(n->net); nic; nic = nic->next) {
		hull_net_nic_handed_over(nic);
		nic->plugged = true;
	}
}

void hull_network_ready(struct hull_network *n)
{
	n->ready = true;
	start_round(n);
}

void hull_network_watch(struct hull_network *n, void (*fn)(void *data), void *data)
{
	n->on_round = fn;
	n->on_round_data = data;
}

struct hull_net *hull_network_net(struct hull_network *n)
{
	return n->net;
}

void hull_network_stop(struct hull_network *n)
{
	if (!n)
		return;
	n->freed = true;
	n->ready = false;
	n->on_round = NULL;
	if (n->call)
		hull_rpc_call_cancel(TAKE_PTR(n->call));
	while (n->waiting || n->served)
		hull_network_forget(n, n->waiting ? n->waiting->data : n->served->data);
	uv_poll_stop(&n->poll);
	uv_timer_stop(&n->timer);
}

static void on_closed(uv_handle_t *handle)
{
	struct hull_network *n = handle->data;
	if (--n->open_handles == 0)
		free(n);
}

void hull_network_free(struct hull_network *n)
{
	if (!n)
		return;
	/* The poll first: it watches a descriptor of the namespace's. */
	uv_close((uv_handle_t *)&n->poll, on_closed);
	uv_close((uv_handle_t *)&n->timer, on_closed);
	hull_net_free(n->net);
	free(n->sent);
}
