/* SPDX-License-Identifier: Apache-2.0 */
/* Exec, which only notes what is to run, and Start, of a container and of an exec. */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "oci/spec.h"
#include "shim/any.h"
#include "shim/shim.h"

#define START_TIMEOUT_MS 60000

static struct shim_process *find(const struct shim_call *call)
{
	struct shim_task *t = shim_task_find(call->shim, call->id);
	return t ? shim_task_process(t, call->exec_id) : NULL;
}

static void reply_pid(struct hull_rpc_request *request, const struct shim_task *t)
{
	Hull__Containerd__PidResponse reply = HULL__CONTAINERD__PID_RESPONSE__INIT;
	reply.pid = t->pid;
	hull_rpc_reply(request, &reply.base);
}

/* ---- a container */

static void container_started(struct shim_task *t, struct hull_rpc_request *request)
{
	Hull__Containerd__TaskStart event = HULL__CONTAINERD__TASK_START__INIT;
	event.container_id = t->id;
	event.pid = t->pid;
	t->init->status = HULL__CONTAINERD__STATUS__RUNNING;
	reply_pid(request, t);
	shim_events_publish(t->shim->events, "/tasks/start", "containerd.events.TaskStart", &event.base);
	shim_process_started(t->init);
}

static void container_failed(struct shim_task *t)
{
	/* An end that came meanwhile is told all the same. */
	shim_process_started(t->init);
}

static void on_started(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(shim_call_freep) struct shim_call *call = data;
	struct shim_process *p = find(call);
	(void)response;
	if (status->code == HULL_RPC_OK && p) {
		container_started(p->task, call->request);
		return;
	}
	hull_rpc_fail(call->request, p ? status->code : HULL_RPC_ABORTED, "%s", status->message);
	if (p)
		container_failed(p->task);
}

static void on_started_with_hooks(void *data, const char *message)
{
	struct shim_task *t = data;
	t->child = NULL;
	if (message) {
		hull_rpc_fail(TAKE_PTR(t->request), HULL_RPC_UNKNOWN, "%s", message);
		container_failed(t);
		return;
	}
	container_started(t, TAKE_PTR(t->request));
}

static void start_with_hooks(struct shim_task *t, struct hull_rpc_request *request)
{
	const struct shim_child_spec spec = { .stdio = { -1, -1, -1 }, .keep_fds = { -1, -1, -1 } };
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv args = { 0 };
	hull_strv_add(&args, "start");
	hull_strv_add(&args, t->hull_id);
	t->request = request;
	t->child = shim_child_hull(&t->shim->loop, &t->shim->host, &args, &spec, on_started_with_hooks, t, &err);
	hull_strv_clear(&args);
	if (!t->child)
		on_started_with_hooks(t, err.message);
}

static void start_container(struct shim_task *t, struct hull_rpc_request *request)
{
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	if (t->init->status != HULL__CONTAINERD__STATUS__CREATED || t->child) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container %s has been started", t->id);
		return;
	}
	t->init->starting = true;
	if (t->has_poststart) {
		start_with_hooks(t, request);
		return;
	}
	ref.container_id = t->hull_id;
	if (!shim_call_pod(shim_call_new(t->shim, request, t->id, ""), "Start", &ref.base, &hull__pod__v1__empty__descriptor,
			   START_TIMEOUT_MS, NULL, 0, on_started))
		container_failed(t);
}

/* ---- an exec */

static void on_exec_started(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(shim_call_freep) struct shim_call *call = data;
	struct shim_process *p = find(call);
	(void)response;
	if (!p || status->code != HULL_RPC_OK) {
		hull_rpc_fail(call->request, p ? status->code : HULL_RPC_ABORTED, "%s", status->message);
		if (p) {
			/* It has no end, for it had no beginning; containerd deletes it. Source: runc's shim gives 255. */
			p->starting = false;
			p->over = true;
			p->exit_status = 255;
			p->status = HULL__CONTAINERD__STATUS__STOPPED;
			p->exited_at_ns = shim_now_ns();
			shim_io_finish(p->io);
		}
		return;
	}
	Hull__Containerd__TaskExecStarted event = HULL__CONTAINERD__TASK_EXEC_STARTED__INIT;
	event.container_id = p->task->id;
	event.exec_id = p->exec_id;
	event.pid = p->task->pid;
	p->status = HULL__CONTAINERD__STATUS__RUNNING;
	reply_pid(call->request, p->task);
	shim_events_publish(call->shim->events, "/tasks/exec-started", "containerd.events.TaskExecStarted", &event.base);
	shim_process_started(p);
}

static void request_exec(struct shim_process *p, struct hull_rpc_request *request)
{
	Hull__Pod__V1__ExecRequest m = HULL__POD__V1__EXEC_REQUEST__INIT;
	Hull__Pod__V1__Stdio stdio = HULL__POD__V1__STDIO__INIT;
	int all[3], fds[3];
	size_t n = 0;

	shim_io_fds(p->io, all);
	for (size_t i = 0; i < 3; i++)
		if (all[i] >= 0)
			fds[n++] = all[i];
	stdio.has_stdin = all[0] >= 0;
	stdio.has_stdout = all[1] >= 0;
	stdio.has_stderr = all[2] >= 0;
	stdio.rows = p->rows;
	stdio.columns = p->columns;
	stdio.no_standin = true;
	m.container_id = p->task->hull_id;
	m.exec_id = p->exec_id;
	m.process_json = (ProtobufCBinaryData){ .len = p->spec_len, .data = p->spec };
	m.stdio = &stdio;
	p->starting = true;
	if (!shim_call_pod(shim_call_new(p->task->shim, request, p->task->id, p->exec_id), "Exec", &m.base,
			   &hull__pod__v1__exec_response__descriptor, START_TIMEOUT_MS, fds, n, on_exec_started)) {
		p->starting = false;
		return;
	}
	/* Behind it on the same connection: it is found there, and its end cannot be missed. */
	shim_process_watch(p);
	shim_io_lent(p->io);
}

static void start_exec(struct shim_process *p, struct hull_rpc_request *request)
{
	struct hull_error err = HULL_ERROR_INIT;
	if (p->status != HULL__CONTAINERD__STATUS__CREATED || p->starting) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "exec %s has been started", p->exec_id);
		return;
	}
	struct shim *shim = p->task->shim;
	p->io = shim_io_open(&shim->loop, &shim->host, &p->stdio, p->task->id, shim->args->namespace, &err);
	if (!p->io) {
		hull_rpc_fail_error(request, &err);
		return;
	}
	request_exec(p, request);
}

void shim_handle_start(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ProcessRequest *m = (const Hull__Containerd__ProcessRequest *)message;
	struct shim_process *p = shim_find_or_fail(data, m->id, m->exec_id, request);
	if (p && p->exec_id[0])
		start_exec(p, request);
	else if (p)
		start_container(p->task, request);
}

/* ---- Exec */

static int check_exec(const struct shim_task *t, const Hull__Containerd__ExecProcessRequest *m, struct hull_error *err)
{
	struct hull_oci_process *process = NULL;
	if (m->exec_id[0] == '\0' || strlen(m->exec_id) > 255)
		return hull_error_set(err, EINVAL, "exec: an id of 1 to 255 characters is needed");
	if (shim_task_process((struct shim_task *)(uintptr_t)t, m->exec_id))
		return hull_error_set(err, EEXIST, "exec %s already exists", m->exec_id);
	if (t->init->status == HULL__CONTAINERD__STATUS__STOPPED)
		return hull_error_set(err, EBUSY, "cannot exec in a stopped container");
	if (!m->spec)
		return hull_error_set(err, EINVAL, "exec: spec: missing");
	int r = hull_oci_process_parse((const char *)m->spec->value.data, m->spec->value.len, &process, err);
	if (r == 0 && process->terminal != m->terminal)
		r = hull_error_set(err, EINVAL, "exec: spec: process.terminal and the request's terminal differ");
	hull_oci_process_free(process);
	return r < 0 ? hull_error_wrap(err, "exec") : 0;
}

void shim_handle_exec(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ExecProcessRequest *m = (const Hull__Containerd__ExecProcessRequest *)message;
	struct shim_process *init = shim_find_or_fail(data, m->id, "", request);
	struct hull_error err = HULL_ERROR_INIT;
	if (!init)
		return;
	if (check_exec(init->task, m, &err) < 0) {
		hull_rpc_fail_error(request, &err);
		return;
	}
	struct shim_process *p = shim_process_new(init->task, m->exec_id);
	free(p->stdio.in);
	free(p->stdio.out);
	free(p->stdio.err);
	p->stdio = (struct shim_stdio){ hull_strdup(m->stdin), hull_strdup(m->stdout), hull_strdup(m->stderr), m->terminal };
	p->spec = hull_memdup(m->spec->value.data, m->spec->value.len);
	p->spec_len = m->spec->value.len;
	p->status = HULL__CONTAINERD__STATUS__CREATED;
	p->next = init->task->execs;
	init->task->execs = p;

	Hull__Containerd__TaskExecAdded event = HULL__CONTAINERD__TASK_EXEC_ADDED__INIT;
	Hull__Containerd__Empty done = HULL__CONTAINERD__EMPTY__INIT;
	event.container_id = init->task->id;
	event.exec_id = p->exec_id;
	hull_rpc_reply(request, &done.base);
	shim_events_publish(init->task->shim->events, "/tasks/exec-added", "containerd.events.TaskExecAdded", &event.base);
}
