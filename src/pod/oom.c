/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's out-of-memory killer did in a container, for those who wait for it. One question at the agent at a time, whoever asks
 * here; and a guest that has something to tell all the time is listened to once a second.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/pod.h"

#define PAUSE_MS 1000
#define WAITERS_MAX 64

struct waiter {
	struct waiter *next;
	struct hull_oom *oom;
	struct hull_rpc_request *request;
	uint64_t known;
};

struct hull_oom {
	struct hull_container *container;
	uint64_t kills;                /* as far as is known */
	struct waiter *waiters;
	unsigned n_waiters;
	struct hull_rpc_call *call;
	uv_timer_t pause;
};

static void ask(struct hull_oom *oom);

/* Takes it out and gives its request back. */
static struct hull_rpc_request *release(struct waiter *w)
{
	struct hull_rpc_request *request = w->request;
	struct waiter **at = &w->oom->waiters;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->oom->n_waiters--;
	hull_rpc_request_on_cancel(request, NULL, NULL);
	free(w);
	return request;
}

static void on_waiter_gone(void *data)
{
	hull_rpc_fail(release(data), HULL_RPC_CANCELLED, "nobody waits");
}

static void tell(struct hull_oom *oom)
{
	Hull__Agent__V1__OomKills reply = HULL__AGENT__V1__OOM_KILLS__INIT;
	reply.count = oom->kills;
	for (struct waiter *w = oom->waiters, *next; w; w = next) {
		next = w->next;
		if (oom->kills > w->known)
			hull_rpc_reply(release(w), &reply.base);
	}
}

static void on_pause_over(uv_timer_t *timer)
{
	ask(timer->data);
}

static void on_kills(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_oom *oom = data;
	oom->call = NULL;
	if (status->code != HULL_RPC_OK) {
		/* Mostly the container's end, which is told otherwise. */
		hull_log_debug("%s: out of memory: %s", oom->container->id, status->message);
		return;
	}
	uint64_t kills = ((const Hull__Agent__V1__OomKills *)response)->count;
	if (kills > oom->kills)
		oom->kills = kills;
	tell(oom);
	uv_timer_start(&oom->pause, on_pause_over, PAUSE_MS, 0);
}

static void ask(struct hull_oom *oom)
{
	struct hull_container *c = oom->container;
	Hull__Agent__V1__OomWatch m = HULL__AGENT__V1__OOM_WATCH__INIT;
	if (oom->call || !oom->waiters || uv_is_active((uv_handle_t *)&oom->pause))
		return;
	m.container_id = c->id;
	m.known = oom->kills;
	oom->call = hull_rpc_call(hull_vm_agent(c->pod->vm), "hull.agent.v1.Agent", "AwaitOom", &m.base,
				  &hull__agent__v1__oom_kills__descriptor, HULL_RPC_NO_DEADLINE, NULL, 0, on_kills, oom);
}

static struct hull_oom *oom_of(struct hull_container *c)
{
	if (!c->oom) {
		c->oom = hull_new(struct hull_oom, 1);
		c->oom->container = c;
		uv_timer_init(c->pod->loop, &c->oom->pause);
		c->oom->pause.data = c->oom;
	}
	return c->oom;
}

void hull_oom_await(struct hull_container *c, uint64_t known, struct hull_rpc_request *request)
{
	if (c->init->exited) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container not running");
		return;
	}
	struct hull_oom *oom = oom_of(c);
	if (oom->n_waiters == WAITERS_MAX) {
		hull_rpc_fail(request, HULL_RPC_RESOURCE_EXHAUSTED, "%d callers wait already", WAITERS_MAX);
		return;
	}
	struct waiter *w = hull_new(struct waiter, 1);
	*w = (struct waiter){ .next = oom->waiters, .oom = oom, .request = request, .known = known };
	oom->waiters = w;
	oom->n_waiters++;
	hull_rpc_request_on_cancel(request, on_waiter_gone, w);
	tell(oom);
	ask(oom);
}

void hull_oom_over(struct hull_container *c, uint64_t kills)
{
	struct hull_oom *oom = c->oom;
	if (!oom)
		return;
	uv_timer_stop(&oom->pause);
	if (oom->call)
		hull_rpc_call_cancel(TAKE_PTR(oom->call));
	if (kills > oom->kills)
		oom->kills = kills;
	tell(oom);
	while (oom->waiters)
		hull_rpc_fail(release(oom->waiters), HULL_RPC_FAILED_PRECONDITION, "container not running");
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void hull_oom_free(struct hull_container *c)
{
	if (!c->oom)
		return;
	struct hull_oom *oom = c->oom;
	hull_oom_over(c, 0);
	c->oom = NULL;
	uv_close((uv_handle_t *)&oom->pause, on_closed);
}
