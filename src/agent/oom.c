/* SPDX-License-Identifier: Apache-2.0 */
/* AwaitOom: the kernel tells of the out-of-memory killer in the container's control group, also when its own process lives on. */
#include "agent/agent.h"

#include <fcntl.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/serve.h"

void hull_oom_forget(struct hull_container *container)
{
	struct hull_rpc_request *request = container->oom_request;
	hull_watch_free(container->oom_watch);
	container->oom_watch = NULL;
	container->oom_request = NULL;
	if (request) {
		hull_rpc_request_on_cancel(request, NULL, NULL);
		hull_rpc_fail(request, HULL_RPC_ABORTED, "nothing more will be told of it");
	}
}

static void on_cancel(void *data)
{
	hull_oom_forget(data);
}

/*
 * What is read arms the descriptor: it has POLLPRI when the file has changed since. The count is read after that.
 * Source: Linux, fs/kernfs/file.c, kernfs_generic_poll().
 */
static void check(struct hull_container *container)
{
	char text[512];
	Hull__Agent__V1__OomKills reply = HULL__AGENT__V1__OOM_KILLS__INIT;
	(void)!pread(hull_watch_fd(container->oom_watch), text, sizeof(text), 0);
	reply.count = hull_cgroup_oom_kills(container->cgroup_fd);
	if (reply.count <= container->oom_known)
		return;
	struct hull_rpc_request *request = container->oom_request;
	container->oom_request = NULL;
	hull_oom_forget(container);
	hull_rpc_request_on_cancel(request, NULL, NULL);
	hull_rpc_reply(request, &reply.base);
}

static void on_event(void *data, int events)
{
	(void)events;
	check(data);
}

void hull_handle_await_oom(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__OomWatch *m = (const Hull__Agent__V1__OomWatch *)message;
	struct hull_agent *agent = data;
	struct hull_container *container = hull_serve_container(agent, request, m->container_id);
	if (!container)
		return;
	hull_oom_forget(container);
	if (!container->init || container->init->exited_at_ns) {
		hull_rpc_fail(request, HULL_RPC_ABORTED, "container not running");
		return;
	}
	int fd = openat(container->cgroup_fd, "memory.events", O_RDONLY | O_CLOEXEC);
	container->oom_watch = fd < 0 ? NULL : hull_watch_new(agent->loop, fd, on_event, container);
	if (!container->oom_watch) {
		hull_rpc_fail(request, HULL_RPC_UNAVAILABLE, "the control group's events cannot be watched");
		return;
	}
	container->oom_request = request;
	container->oom_known = m->known;
	hull_rpc_request_on_cancel(request, on_cancel, container);
	hull_watch_set(container->oom_watch, UV_PRIORITIZED);
	check(container);
}
