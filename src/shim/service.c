/* SPDX-License-Identifier: Apache-2.0 */
/* The Task service: the calls that are one step, and the tables of both of its names. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/agent.pb-c.h"
#include "shim/any.h"
#include "shim/metrics.h"
#include "shim/shim.h"

#define CALL_TIMEOUT_MS 30000

static void reply_empty(struct hull_rpc_request *request)
{
	Hull__Containerd__Empty done = HULL__CONTAINERD__EMPTY__INIT;
	hull_rpc_reply(request, &done.base);
}

static struct shim_task *find_task_or_fail(struct shim *shim, const char *id, struct hull_rpc_request *request)
{
	struct shim_process *p = shim_find_or_fail(shim, id, "", request);
	return p ? p->task : NULL;
}

/* ---- questions that are answered here */

static void handle_state(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ProcessRequest *m = (const Hull__Containerd__ProcessRequest *)message;
	struct shim_process *p = shim_find_or_fail(data, m->id, m->exec_id, request);
	Hull__Containerd__StateResponse reply = HULL__CONTAINERD__STATE_RESPONSE__INIT;
	Hull__Containerd__Timestamp at;
	if (!p)
		return;
	reply.id = p->task->id;
	reply.exec_id = p->exec_id;
	reply.bundle = p->task->bundle;
	reply.pid = p->task->pid;
	reply.status = p->status;
	reply.stdin = p->stdio.in;
	reply.stdout = p->stdio.out;
	reply.stderr = p->stdio.err;
	reply.terminal = p->stdio.terminal;
	if (p->status == HULL__CONTAINERD__STATUS__STOPPED) {
		shim_timestamp(p->exited_at_ns, &at);
		reply.exit_status = p->exit_status;
		reply.exited_at = &at;
	}
	hull_rpc_reply(request, &reply.base);
}

static void handle_wait(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ProcessRequest *m = (const Hull__Containerd__ProcessRequest *)message;
	struct shim_process *p = shim_find_or_fail(data, m->id, m->exec_id, request);
	if (p)
		shim_process_add_waiter(p, request);
}

/*
 * The processes are in the VM; what the host has is the stand-in, which also stands for what is exec'd. Also when it has ended: a containerd
 * that was restarted takes a shim without processes for a leaked one and deletes the task, exit status and all. Source: containerd 2.x,
 * core/runtime/v2/shim_manager.go.
 */
static void handle_pids(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ProcessRequest *m = (const Hull__Containerd__ProcessRequest *)message;
	struct shim_task *t = find_task_or_fail(data, m->id, request);
	Hull__Containerd__PidsResponse reply = HULL__CONTAINERD__PIDS_RESPONSE__INIT;
	Hull__Containerd__ProcessInfo info = HULL__CONTAINERD__PROCESS_INFO__INIT, *list[] = { &info };
	if (!t)
		return;
	info.pid = t->pid;
	reply.n_processes = 1;
	reply.processes = list;
	hull_rpc_reply(request, &reply.base);
}

/* Also for a container that is not there: containerd asks whether the shim is. Source: runc's shim. */
static void handle_connect(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ProcessRequest *m = (const Hull__Containerd__ProcessRequest *)message;
	struct shim_task *t = shim_task_find(data, m->id);
	Hull__Containerd__ConnectResponse reply = HULL__CONTAINERD__CONNECT_RESPONSE__INIT;
	reply.shim_pid = (uint32_t)getpid();
	reply.task_pid = t ? t->pid : 0;
	reply.version = (char *)(uintptr_t)HULL_VERSION;
	hull_rpc_reply(request, &reply.base);
}

static void handle_close_io(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__CloseIORequest *m = (const Hull__Containerd__CloseIORequest *)message;
	struct shim_process *p = shim_find_or_fail(data, m->id, m->exec_id, request);
	if (!p)
		return;
	if (m->stdin && p->io)
		shim_io_close_stdin(p->io);
	reply_empty(request);
}

static void handle_checkpoint(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	(void)message;
	(void)data;
	hull_rpc_fail(request, HULL_RPC_UNIMPLEMENTED, "checkpoint: a VM cannot be saved yet");
}

static void handle_shutdown(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct shim *shim = data;
	(void)message;
	reply_empty(request);
	/* Others of the pod are still there. */
	if (!shim->tasks)
		shim_quit(shim);
}

/* ---- what the pod is asked to do */

static void on_done(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(shim_call_freep) struct shim_call *call = data;
	(void)response;
	if (status->code == HULL_RPC_OK)
		reply_empty(call->request);
	else
		hull_rpc_fail(call->request, status->code, "%s", status->message);
}

/* containerd's clients take NotFound for "it is over already". */
static void on_killed(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct shim_call *call = data;
	if (status->code != HULL_RPC_FAILED_PRECONDITION) {
		on_done(data, status, response);
		return;
	}
	hull_rpc_fail(call->request, HULL_RPC_NOT_FOUND, "process already finished");
	shim_call_freep(&call);
}

static void handle_kill(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__KillRequest *m = (const Hull__Containerd__KillRequest *)message;
	struct shim *shim = data;
	struct shim_process *p = shim_find_or_fail(shim, m->id, m->exec_id, request);
	Hull__Pod__V1__KillRequest k = HULL__POD__V1__KILL_REQUEST__INIT;
	if (!p)
		return;
	if (p->status == HULL__CONTAINERD__STATUS__STOPPED) {
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "process already finished");
		return;
	}
	if (p->exec_id[0] && p->status != HULL__CONTAINERD__STATUS__RUNNING) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "exec %s has not been started", p->exec_id);
		return;
	}
	k.container_id = p->task->hull_id;
	k.exec_id = p->exec_id;
	k.signal = (int)m->signal;
	k.all = m->all;
	shim_call_pod(shim_call_new(shim, request, m->id, m->exec_id), "Kill", &k.base, &hull__pod__v1__empty__descriptor,
		      CALL_TIMEOUT_MS, NULL, 0, on_killed);
}

static void handle_resize(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ResizePtyRequest *m = (const Hull__Containerd__ResizePtyRequest *)message;
	struct shim_process *p = shim_find_or_fail(data, m->id, m->exec_id, request);
	Hull__Pod__V1__ResizeRequest r = HULL__POD__V1__RESIZE_REQUEST__INIT;
	if (!p)
		return;
	if (p->exec_id[0] && p->status == HULL__CONTAINERD__STATUS__CREATED && !p->starting) {
		p->rows = m->height;
		p->columns = m->width;
		reply_empty(request);
		return;
	}
	if (p->status == HULL__CONTAINERD__STATUS__STOPPED) {
		reply_empty(request);
		return;
	}
	r.container_id = p->task->hull_id;
	r.exec_id = p->exec_id;
	r.rows = m->height;
	r.columns = m->width;
	shim_call_pod(shim_call_new(data, request, m->id, m->exec_id), "Resize", &r.base, &hull__pod__v1__empty__descriptor,
		      CALL_TIMEOUT_MS, NULL, 0, on_done);
}

/* call->number: the status that follows. */
static void on_frozen(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct shim_call *call = data;
	struct shim_task *t = shim_task_find(call->shim, call->id);
	bool paused = call->number == HULL__CONTAINERD__STATUS__PAUSED;
	Hull__Containerd__TaskNamed event = HULL__CONTAINERD__TASK_NAMED__INIT;

	if (status->code == HULL_RPC_OK && t && t->init->status != HULL__CONTAINERD__STATUS__STOPPED) {
		t->init->status = (Hull__Containerd__Status)call->number;
		event.container_id = t->id;
		shim_events_publish(t->shim->events, paused ? "/tasks/paused" : "/tasks/resumed",
				    paused ? "containerd.events.TaskPaused" : "containerd.events.TaskResumed", &event.base);
	}
	on_done(data, status, response);
}

static void freeze(struct shim *shim, struct hull_rpc_request *request, const char *id, const char *method, Hull__Containerd__Status then)
{
	struct shim_task *t = find_task_or_fail(shim, id, request);
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	if (!t)
		return;
	ref.container_id = t->hull_id;
	struct shim_call *call = shim_call_new(shim, request, id, "");
	call->number = (int)then;
	shim_call_pod(call, method, &ref.base, &hull__pod__v1__empty__descriptor, CALL_TIMEOUT_MS, NULL, 0, on_frozen);
}

static void handle_pause(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	freeze(data, request, ((const Hull__Containerd__ProcessRequest *)message)->id, "Pause", HULL__CONTAINERD__STATUS__PAUSED);
}

static void handle_resume(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	freeze(data, request, ((const Hull__Containerd__ProcessRequest *)message)->id, "Resume", HULL__CONTAINERD__STATUS__RUNNING);
}

static void handle_update(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__UpdateTaskRequest *m = (const Hull__Containerd__UpdateTaskRequest *)message;
	struct shim_task *t = find_task_or_fail(data, m->id, request);
	Hull__Pod__V1__UpdateRequest u = HULL__POD__V1__UPDATE_REQUEST__INIT;
	if (!t)
		return;
	/* Nothing but annotations, which nothing in a running VM reads. */
	if (!m->resources) {
		reply_empty(request);
		return;
	}
	u.container_id = t->hull_id;
	u.resources_json = m->resources->value;
	shim_call_pod(shim_call_new(data, request, m->id, ""), "Update", &u.base, &hull__pod__v1__empty__descriptor, CALL_TIMEOUT_MS,
		      NULL, 0, on_done);
}

static void on_stats(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(shim_call_freep) struct shim_call *call = data;
	Hull__Containerd__StatsResponse reply = HULL__CONTAINERD__STATS_RESPONSE__INIT;
	Hull__Containerd__Any any = HULL__CONTAINERD__ANY__INIT;
	if (status->code != HULL_RPC_OK) {
		hull_rpc_fail(call->request, status->code, "%s", status->message);
		return;
	}
	_cleanup_free_ uint8_t *metrics = shim_metrics_pack((const Hull__Agent__V1__Stats *)response, &any.value.len);
	any.type_url = (char *)(uintptr_t)SHIM_METRICS_TYPE;
	any.value.data = metrics;
	reply.stats = &any;
	hull_rpc_reply(call->request, &reply.base);
}

static void handle_stats(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ProcessRequest *m = (const Hull__Containerd__ProcessRequest *)message;
	struct shim_task *t = find_task_or_fail(data, m->id, request);
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	if (!t)
		return;
	if (t->init->status == HULL__CONTAINERD__STATUS__STOPPED) {
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "container %s has stopped and has no statistics", m->id);
		return;
	}
	ref.container_id = t->hull_id;
	shim_call_pod(shim_call_new(data, request, m->id, ""), "Stats", &ref.base, &hull__agent__v1__stats__descriptor, CALL_TIMEOUT_MS,
		      NULL, 0, on_stats);
}

static const struct hull_rpc_method methods[] = {
	{ "State", &hull__containerd__process_request__descriptor, handle_state, NULL },
	{ "Create", &hull__containerd__create_task_request__descriptor, shim_handle_create, NULL },
	{ "Start", &hull__containerd__process_request__descriptor, shim_handle_start, NULL },
	{ "Delete", &hull__containerd__process_request__descriptor, shim_handle_delete, NULL },
	{ "Pids", &hull__containerd__process_request__descriptor, handle_pids, NULL },
	{ "Pause", &hull__containerd__process_request__descriptor, handle_pause, NULL },
	{ "Resume", &hull__containerd__process_request__descriptor, handle_resume, NULL },
	/* Ids only are read of what is refused or needs no more. */
	{ "Checkpoint", &hull__containerd__empty__descriptor, handle_checkpoint, NULL },
	{ "Kill", &hull__containerd__kill_request__descriptor, handle_kill, NULL },
	{ "Exec", &hull__containerd__exec_process_request__descriptor, shim_handle_exec, NULL },
	{ "ResizePty", &hull__containerd__resize_pty_request__descriptor, handle_resize, NULL },
	{ "CloseIO", &hull__containerd__close_iorequest__descriptor, handle_close_io, NULL },
	{ "Update", &hull__containerd__update_task_request__descriptor, handle_update, NULL },
	{ "Wait", &hull__containerd__process_request__descriptor, handle_wait, NULL },
	{ "Stats", &hull__containerd__process_request__descriptor, handle_stats, NULL },
	{ "Connect", &hull__containerd__process_request__descriptor, handle_connect, NULL },
	{ "Shutdown", &hull__containerd__empty__descriptor, handle_shutdown, NULL },
	{ NULL, NULL, NULL, NULL },
};

const struct hull_rpc_service shim_services[] = {
	{ "containerd.task.v2.Task", methods },
	{ "containerd.task.v3.Task", methods },
};
const size_t shim_n_services = HULL_ARRAY_SIZE(shim_services);
