/* SPDX-License-Identifier: Apache-2.0 */
/* Delete, of an exec here, of a container by `hull delete` in a child. */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "shim/any.h"
#include "shim/shim.h"

static void reply_deleted(struct hull_rpc_request *request, const struct shim_process *p)
{
	Hull__Containerd__DeleteResponse reply = HULL__CONTAINERD__DELETE_RESPONSE__INIT;
	Hull__Containerd__Timestamp at;
	shim_timestamp(p->exited_at_ns, &at);
	reply.pid = p->task->pid;
	reply.exit_status = p->exit_status;
	reply.exited_at = &at;
	hull_rpc_reply(request, &reply.base);
}

static void publish_deleted(struct shim_task *t)
{
	Hull__Containerd__TaskDelete event = HULL__CONTAINERD__TASK_DELETE__INIT;
	Hull__Containerd__Timestamp at;
	shim_timestamp(t->init->exited_at_ns, &at);
	event.container_id = t->id;
	event.pid = t->pid;
	event.exit_status = t->init->exit_status;
	event.exited_at = &at;
	shim_events_publish(t->shim->events, "/tasks/delete", "containerd.events.TaskDelete", &event.base);
}

static void on_deleted(void *data, const char *message)
{
	struct shim_task *t = data;
	struct shim *shim = t->shim;
	t->child = NULL;
	if (message) {
		hull_rpc_fail(TAKE_PTR(t->request), HULL_RPC_UNKNOWN, "%s", message);
		return;
	}
	reply_deleted(TAKE_PTR(t->request), t->init);
	publish_deleted(t);
	shim_task_free(t);
	shim_check_idle(shim);
}

static void delete_task(struct shim_task *t, struct hull_rpc_request *request)
{
	const struct shim_child_spec spec = { .stdio = { -1, -1, -1 }, .keep_fds = { -1, -1, -1 } };
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv args = { 0 };

	if (t->child) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container %s is being started or deleted", t->id);
		return;
	}
	hull_strv_add(&args, "delete");
	hull_strv_add(&args, "--force");
	hull_strv_add(&args, t->hull_id);
	t->request = request;
	t->child = shim_child_hull(&t->shim->loop, &t->shim->host, &args, &spec, on_deleted, t, &err);
	hull_strv_clear(&args);
	if (!t->child)
		hull_rpc_fail_error(TAKE_PTR(t->request), &err);
}

static void delete_exec(struct shim_process *p, struct hull_rpc_request *request)
{
	reply_deleted(request, p);
	for (struct shim_process **at = &p->task->execs; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	shim_process_free(p);
}

/* One that has not run may be deleted, too. Source: runc deletes created containers, its shim execs that were never started. */
void shim_handle_delete(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Containerd__ProcessRequest *m = (const Hull__Containerd__ProcessRequest *)message;
	struct shim_process *p = shim_find_or_fail(data, m->id, m->exec_id, request);
	if (!p)
		return;
	if (p->starting || p->status == HULL__CONTAINERD__STATUS__RUNNING || p->status == HULL__CONTAINERD__STATUS__PAUSED) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "cannot delete a running process of container %s", m->id);
		return;
	}
	if (p->exec_id[0])
		delete_exec(p, request);
	else
		delete_task(p->task, request);
}
