/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a process: how it is noticed, and who is told. */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "shim/any.h"
#include "shim/isulad.h"
#include "shim/shim.h"

/* As a process that SIGKILL ended. */
#define STATUS_LOST 137

struct shim_process *shim_process_new(struct shim_task *task, const char *exec_id)
{
	struct shim_process *p = hull_new(struct shim_process, 1);
	p->task = task;
	p->exec_id = hull_strdup(exec_id);
	p->stdio.in = hull_strdup("");
	p->stdio.out = hull_strdup("");
	p->stdio.err = hull_strdup("");
	return p;
}

static void answer(struct shim_waiter *w)
{
	Hull__Containerd__WaitResponse reply = HULL__CONTAINERD__WAIT_RESPONSE__INIT;
	Hull__Containerd__Timestamp at;
	shim_timestamp(w->process->exited_at_ns, &at);
	reply.exit_status = w->process->exit_status;
	reply.exited_at = &at;
	hull_rpc_reply(w->request, &reply.base);
	free(w);
}

void shim_process_free(struct shim_process *p)
{
	if (!p)
		return;
	if (p->wait)
		hull_rpc_call_cancel(TAKE_PTR(p->wait));
	while (p->waiters) {
		struct shim_waiter *w = p->waiters;
		p->waiters = w->next;
		hull_rpc_fail(w->request, HULL_RPC_NOT_FOUND, "the process was deleted");
		free(w);
	}
	shim_io_free(p->io);
	free(p->stdio.in);
	free(p->stdio.out);
	free(p->stdio.err);
	free(p->spec);
	free(p->exec_id);
	free(p);
}

static void tell(struct shim_process *p)
{
	struct shim_task *t = p->task;
	Hull__Containerd__TaskExit event = HULL__CONTAINERD__TASK_EXIT__INIT;
	Hull__Containerd__Timestamp at;

	p->status = HULL__CONTAINERD__STATUS__STOPPED;
	shim_io_finish(p->io);
	shim_oom_tell(t, p->oom_kills);
	shim_timestamp(p->exited_at_ns, &at);
	event.container_id = t->id;
	event.id = p->exec_id[0] ? p->exec_id : t->id;
	event.pid = t->pid;
	event.exit_status = p->exit_status;
	event.exited_at = &at;
	shim_events_publish(t->shim->events, "/tasks/exit", "containerd.events.TaskExit", &event.base);
	if (p->exec_id[0] == '\0')
		shim_isulad_exit(&t->shim->host, t->id, p->exit_status);
	while (p->waiters) {
		struct shim_waiter *w = p->waiters;
		p->waiters = w->next;
		answer(w);
	}
}

void shim_process_over(struct shim_process *p, uint32_t exit_status, uint64_t oom_kills)
{
	if (p->over)
		return;
	p->over = true;
	p->exit_status = exit_status;
	p->oom_kills = oom_kills;
	p->exited_at_ns = shim_now_ns();
	if (!p->starting)
		tell(p);
}

void shim_process_started(struct shim_process *p)
{
	p->starting = false;
	if (p->over)
		tell(p);
}

static void on_waited(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct shim_process *p = data;
	p->wait = NULL;
	if (status->code == HULL_RPC_OK) {
		const Hull__Pod__V1__ExitStatus *e = (const Hull__Pod__V1__ExitStatus *)response;
		if (e->lost[0])
			hull_log_warning("%s %s: %s", p->task->id, p->exec_id, e->lost);
		shim_process_over(p, (uint32_t)e->exit_code & 0xff, e->oom_kills);
	} else {
		hull_log_debug("%s %s: wait: %s", p->task->id, p->exec_id, status->message);
		shim_process_over(p, STATUS_LOST, 0);
	}
}

void shim_process_watch(struct shim_process *p)
{
	Hull__Pod__V1__ProcessRef ref = HULL__POD__V1__PROCESS_REF__INIT;
	struct shim *shim = p->task->shim;
	if (!shim->self) {
		shim_process_over(p, STATUS_LOST, 0);
		return;
	}
	ref.container_id = p->task->hull_id;
	ref.exec_id = p->exec_id;
	p->wait = hull_rpc_call(shim->self, "hull.pod.v1.Pod", "Wait", &ref.base, &hull__pod__v1__exit_status__descriptor,
				HULL_RPC_NO_DEADLINE, NULL, 0, on_waited, p);
}

static void on_waiter_gone(void *data)
{
	struct shim_waiter *w = data;
	for (struct shim_waiter **at = &w->process->waiters; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			hull_rpc_fail(w->request, HULL_RPC_CANCELLED, "cancelled");
			free(w);
			return;
		}
	}
}

void shim_process_add_waiter(struct shim_process *p, struct hull_rpc_request *request)
{
	struct shim_waiter *w = hull_new(struct shim_waiter, 1);
	w->process = p;
	w->request = request;
	if (p->status == HULL__CONTAINERD__STATUS__STOPPED) {
		answer(w);
		return;
	}
	w->next = p->waiters;
	p->waiters = w;
	hull_rpc_request_on_cancel(request, on_waiter_gone, w);
}
