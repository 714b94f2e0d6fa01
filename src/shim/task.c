/* SPDX-License-Identifier: Apache-2.0 */
/* The list of tasks, and finding things in it. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "shim/shim.h"

struct shim_task *shim_task_find(struct shim *shim, const char *id)
{
	for (struct shim_task *t = shim->tasks; t; t = t->next)
		if (strcmp(t->id, id) == 0)
			return t;
	return NULL;
}

struct shim_task *shim_task_new(struct shim *shim, const char *id, const char *bundle)
{
	struct shim_task *t = hull_new(struct shim_task, 1);
	t->shim = shim;
	t->id = hull_strdup(id);
	t->hull_id = shim_hull_id(shim->args, id);
	t->bundle = hull_strdup(bundle);
	t->init = shim_process_new(t, "");
	t->next = shim->tasks;
	shim->tasks = t;
	return t;
}

void shim_task_free(struct shim_task *t)
{
	for (struct shim_task **at = &t->shim->tasks; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	while (t->execs) {
		struct shim_process *p = t->execs;
		t->execs = p->next;
		shim_process_free(p);
	}
	shim_process_free(t->init);
	if (t->oom_call)
		hull_rpc_call_cancel(TAKE_PTR(t->oom_call));
	shim_child_forget(t->child);
	free(t->created_event);
	free(t->id);
	free(t->hull_id);
	free(t->bundle);
	free(t);
}

struct shim_process *shim_task_process(struct shim_task *t, const char *exec_id)
{
	if (exec_id[0] == '\0')
		return t->init;
	for (struct shim_process *p = t->execs; p; p = p->next)
		if (strcmp(p->exec_id, exec_id) == 0)
			return p;
	return NULL;
}

struct shim_process *shim_find_or_fail(struct shim *shim, const char *id, const char *exec_id, struct hull_rpc_request *request)
{
	struct shim_task *t = shim_task_find(shim, id);
	/* One that is being created is not there yet. */
	if (!t || t->init->status == HULL__CONTAINERD__STATUS__UNKNOWN) {
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "container %s is not there", id);
		return NULL;
	}
	struct shim_process *p = shim_task_process(t, exec_id);
	if (!p)
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "container %s has no process %s", id, exec_id);
	return p;
}

/* ---- calls of the Pod service */

struct shim_call *shim_call_new(struct shim *shim, struct hull_rpc_request *request, const char *id, const char *exec_id)
{
	struct shim_call *call = hull_new(struct shim_call, 1);
	call->shim = shim;
	call->request = request;
	call->id = hull_strdup(id);
	call->exec_id = hull_strdup(exec_id);
	return call;
}

void shim_call_freep(struct shim_call **call)
{
	free((*call)->id);
	free((*call)->exec_id);
	free(*call);
}

bool shim_call_pod(struct shim_call *call, const char *method, const ProtobufCMessage *message,
		   const ProtobufCMessageDescriptor *answer_type, int64_t timeout_ms, const int *fds, size_t n_fds, hull_rpc_reply_fn done)
{
	if (!call->shim->self) {
		hull_rpc_fail(call->request, HULL_RPC_FAILED_PRECONDITION, "the pod of container %s is over", call->id);
		shim_call_freep(&call);
		return false;
	}
	hull_rpc_call(call->shim->self, "hull.pod.v1.Pod", method, message, answer_type, timeout_ms, fds, n_fds, done, call);
	return true;
}
