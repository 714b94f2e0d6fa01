/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TaskOOM: once for what the guest's out-of-memory killer did since the last one, whether the task goes on or ends by it. Its end brings the
 * count along, so that the event comes before TaskExit.
 */
#include "base/log.h"
#include "shim/shim.h"

void shim_oom_tell(struct shim_task *t, uint64_t kills)
{
	Hull__Containerd__TaskNamed event = HULL__CONTAINERD__TASK_NAMED__INIT;
	if (kills <= t->oom_kills)
		return;
	t->oom_kills = kills;
	event.container_id = t->id;
	shim_events_publish(t->shim->events, "/tasks/oom", "containerd.events.TaskOOM", &event.base);
}

static void on_kills(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct shim_task *t = data;
	t->oom_call = NULL;
	if (status->code == HULL_RPC_OK) {
		shim_oom_tell(t, ((const Hull__Agent__V1__OomKills *)response)->count);
		shim_oom_watch(t);
	} else {
		/* The task has ended, or goes. */
		hull_log_debug("%s: out of memory: %s", t->id, status->message);
	}
}

void shim_oom_watch(struct shim_task *t)
{
	Hull__Agent__V1__OomWatch m = HULL__AGENT__V1__OOM_WATCH__INIT;
	if (!t->shim->self)
		return;
	m.container_id = t->hull_id;
	m.known = t->oom_kills;
	t->oom_call = hull_rpc_call(t->shim->self, "hull.pod.v1.Pod", "AwaitOom", &m.base, &hull__agent__v1__oom_kills__descriptor,
				    HULL_RPC_NO_DEADLINE, NULL, 0, on_kills, t);
}
