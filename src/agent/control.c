/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to containers and processes that exist: start, signal, pause, resize, delete. */
#include "agent/agent.h"

#include <signal.h>
#include <string.h>

#include "agent/boot.h"
#include "agent/cgroup.h"
#include "agent/serve.h"
#include "agent/streams.h"
#include "base/cleanup.h"
#include "base/process.h"

#define FREEZE_TIMEOUT_MS 10000
#define FREEZE_POLL_MS 2

typedef Hull__Agent__V1__ContainerRef ContainerRef;
typedef Hull__Agent__V1__ProcessRef ProcessRef;

void hull_handle_start_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const ContainerRef *m = (const ContainerRef *)message;
	struct hull_container *container = hull_serve_container(data, request, m->container_id);
	if (!container)
		return;
	struct hull_process *init = container->init;
	if (container->deleting || !init || init->exited_at_ns || !init->sync)
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "%s",
			      init && !init->exited_at_ns && init->state == HULL_PROCESS_RUNNING
				      ? "cannot start an already running container"
				      : "cannot start a container that has stopped");
	else if (init->state != HULL_PROCESS_CREATED)
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "cannot start a container that is not created");
	else
		hull_launch_release(init, request);
}

void hull_handle_delete_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const ContainerRef *m = (const ContainerRef *)message;
	struct hull_container *container = hull_serve_container(data, request, m->container_id);
	if (!container)
		return;
	if (container->deleting)
		hull_rpc_fail(request, HULL_RPC_ABORTED, "container %s is being deleted", container->id);
	else
		hull_container_destroy(container, request, NULL);
}

/* ------------------------------------------------------------------- pause */

static void on_freeze_tick(void *data)
{
	struct hull_container *container = data;
	bool frozen = hull_cgroup_frozen(container->cgroup_fd);
	if (!frozen && hull_now_ms() < container->tick_deadline_ms) {
		hull_alarm_set(container->tick, FREEZE_POLL_MS);
		return;
	}
	struct hull_rpc_request *request = TAKE_PTR(container->tick_request);
	hull_alarm_free(container->tick);
	container->tick = NULL;
	if (frozen) {
		hull_reply_empty(request);
		return;
	}
	hull_cgroup_freeze(container->cgroup_fd, false);
	container->paused = false;
	hull_rpc_fail(request, HULL_RPC_DEADLINE_EXCEEDED, "unable to freeze container %s", container->id);
}

static const char *why_not_pause(const struct hull_container *container)
{
	const struct hull_process *init = container->init;
	if (container->deleting || !init || init->exited_at_ns)
		return "container not running";
	if (init->state == HULL_PROCESS_LAUNCHING)
		return "container not created yet";
	if (container->tick_request)
		return "container is being paused";
	return container->paused ? "container already paused" : NULL;
}

void hull_handle_pause_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const ContainerRef *m = (const ContainerRef *)message;
	struct hull_container *container = hull_serve_container(data, request, m->container_id);
	if (!container)
		return;
	const char *reason = why_not_pause(container);
	if (reason) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "%s", reason);
		return;
	}
	int r = hull_cgroup_freeze(container->cgroup_fd, true);
	if (r < 0) {
		hull_rpc_fail(request, hull_rpc_code_from_errno(r), "freeze container: %s", strerror(-r));
		return;
	}
	container->paused = true;
	container->tick_request = request;
	container->tick_deadline_ms = hull_now_ms() + FREEZE_TIMEOUT_MS;
	container->tick = hull_alarm_new(container->agent->loop, on_freeze_tick, container);
	on_freeze_tick(container);
}

void hull_handle_resume_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const ContainerRef *m = (const ContainerRef *)message;
	struct hull_container *container = hull_serve_container(data, request, m->container_id);
	if (!container)
		return;
	if (!container->paused || container->tick_request) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container not paused");
		return;
	}
	int r = hull_cgroup_freeze(container->cgroup_fd, false);
	if (r < 0) {
		hull_rpc_fail(request, hull_rpc_code_from_errno(r), "thaw container: %s", strerror(-r));
		return;
	}
	container->paused = false;
	hull_reply_empty(request);
}

/* --------------------------------------------------------------- processes */

static int signal_all(struct hull_container *container, int sig)
{
	return sig == SIGKILL ? hull_cgroup_kill(container->cgroup_fd)
			      : hull_cgroup_signal(container->cgroup_fd, container->id, sig);
}

void hull_handle_signal(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__SignalRequest *m = (const Hull__Agent__V1__SignalRequest *)message;
	struct hull_process *process = hull_serve_process(data, request, m->container_id, m->exec_id);
	if (!process)
		return;
	if (m->signal < 0 || m->signal >= NSIG) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "signal %d", m->signal);
		return;
	}
	int r = 0;
	if (m->all)
		r = signal_all(process->container, m->signal);
	else if (process->exited_at_ns || process->pidfd < 0)
		r = -ESRCH;
	else
		r = hull_pidfd_kill(process->pidfd, m->signal);

	if (r == -ESRCH)
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "process already finished");
	else if (r < 0)
		hull_rpc_fail(request, hull_rpc_code_from_errno(r), "signal %d: %s", m->signal, strerror(-r));
	else
		hull_reply_empty(request);
}

void hull_handle_wait(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const ProcessRef *m = (const ProcessRef *)message;
	struct hull_process *process = hull_serve_process(data, request, m->container_id, m->exec_id);
	if (process)
		hull_reap_wait(process, request);
}

void hull_handle_delete_process(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const ProcessRef *m = (const ProcessRef *)message;
	struct hull_process *process = hull_serve_process(data, request, m->container_id, m->exec_id);
	if (!process)
		return;
	if (process->container->init == process) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "the first process goes with its container");
		return;
	}
	if (!process->exited_at_ns) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "process %s is running", m->exec_id);
		return;
	}
	hull_process_free(process);
	hull_reply_empty(request);
}

void hull_handle_resize_terminal(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__ResizeRequest *m = (const Hull__Agent__V1__ResizeRequest *)message;
	struct hull_process *process = hull_serve_process(data, request, m->container_id, m->exec_id);
	if (!process)
		return;
	if (!process->terminal) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "the process has no terminal");
		return;
	}
	if (m->rows > UINT16_MAX || m->columns > UINT16_MAX) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "terminal size %u x %u", m->rows, m->columns);
		return;
	}
	int r = process->streams ? hull_streams_resize(process->streams, m->rows, m->columns) : -ENOTTY;
	/* A terminal that everybody has closed has no size; the caller cannot know. */
	if (r < 0 && r != -ENOTTY && r != -EIO)
		hull_rpc_fail(request, hull_rpc_code_from_errno(r), "resize: %s", strerror(-r));
	else
		hull_reply_empty(request);
}

void hull_handle_shutdown(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_agent *agent = data;
	struct hull_container *container;
	LIST_FOREACH(container, &agent->containers, link)
		hull_cgroup_kill(container->cgroup_fd);
	hull_reply_empty(request);
	hull_poweroff();
}
