/* SPDX-License-Identifier: Apache-2.0 */
/* Exec: a further process in a container. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "pod/service.h"

static void on_exec_started(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(hull_forwarded_freep) struct hull_forwarded *f = data;
	struct hull_container *c = hull_pod_find(f->pod, f->container_id);
	struct hull_process *p = c ? hull_container_process(c, f->exec_id) : NULL;

	if (status->code != HULL_RPC_OK || !p) {
		hull_rpc_fail(f->request, status->code != HULL_RPC_OK ? status->code : HULL_RPC_ABORTED, "%s",
			      status->code != HULL_RPC_OK ? status->message : "the container ended");
		if (p)
			hull_container_forget_exec(c, p);
		return;
	}
	hull_process_attach(p);
	Hull__Pod__V1__ExecResponse reply = HULL__POD__V1__EXEC_RESPONSE__INIT;
	reply.guest_pid = ((const Hull__Agent__V1__ProcessStarted *)response)->guest_pid;
	hull_rpc_reply(f->request, &reply.base);
}

static void start_exec(struct hull_pod *pod, struct hull_rpc_request *request, const Hull__Pod__V1__ExecRequest *m,
		       struct hull_process *p)
{
	struct hull_forwarded *f = hull_forwarded_new(pod, request, p->container->id);
	f->exec_id = hull_strdup(p->exec_id);

	Hull__Agent__V1__ExecRequest a = HULL__AGENT__V1__EXEC_REQUEST__INIT;
	a.container_id = p->container->id;
	a.exec_id = p->exec_id;
	a.process_json = m->process_json;
	a.has_stdin = p->fds.in >= 0 || p->fds.terminal >= 0;
	a.has_stdout = p->fds.out >= 0 || p->fds.terminal >= 0;
	a.has_stderr = p->fds.err >= 0;
	_cleanup_free_ Hull__Agent__V1__Preserved *memory = NULL;
	_cleanup_free_ Hull__Agent__V1__Preserved **preserved = hull_process_preserved_message(p, &memory);
	a.n_preserved = p->n_preserved;
	a.preserved = preserved;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "Exec", &a.base,
		      &hull__agent__v1__process_started__descriptor, HULL_AGENT_TIMEOUT_MS, NULL, 0, on_exec_started, f);
}

/* Why no process can be added to the container now, or NULL. Source of the texts: runc's exec. */
static const char *exec_refusal(const struct hull_container *c, const Hull__Pod__V1__ExecRequest *m)
{
	if (c->init->exited)
		return "cannot exec in a stopped container";
	if (c->state->status == HULL_STATUS_PAUSED)
		return "cannot exec in a paused container (use `resume` first)";
	if (m->exec_id[0] == '\0')
		return "exec: the process has no id";
	return NULL;
}

void hull_handle_exec(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ExecRequest *m = (const Hull__Pod__V1__ExecRequest *)message;
	struct hull_container *c = hull_service_find(data, m->container_id, request);
	struct hull_stdio_fds stdio = HULL_STDIO_FDS_NONE;
	struct hull_oci_process *process = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	int standin = -1;
	size_t n = hull_rpc_request_n_fds(request), used = 0;
	_cleanup_free_ int *fds = hull_new(int, n);

	if (!c)
		return;
	const char *refusal = exec_refusal(c, m);
	if (refusal) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "%s", refusal);
		return;
	}
	if (hull_container_process(c, m->exec_id)) {
		hull_rpc_fail(request, HULL_RPC_ALREADY_EXISTS, "exec %s exists already", m->exec_id);
		return;
	}
	if (hull_oci_process_parse((const char *)m->process_json.data, m->process_json.len, &process, &err) < 0) {
		hull_rpc_fail_error(request, &err);
		return;
	}
	for (size_t i = 0; i < n; i++)
		fds[i] = -1;
	if (hull_rpc_request_take_fds(request, fds, n) < 0 || hull_stdio_fds_sort(m->stdio, fds, n, &stdio, &standin, &used) < 0 ||
	    n - used != (m->stdio ? m->stdio->n_preserved : 0)) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "exec: the descriptors do not match the request");
		for (size_t i = 0; i < n; i++)
			hull_closep(&fds[i]);
		hull_oci_process_free(process);
		return;
	}
	struct hull_process *p = hull_process_new(c, m->exec_id, process->terminal, &stdio, standin);
	hull_process_preserve(p, m->stdio, fds + used);
	p->rows = m->stdio ? m->stdio->rows : 0;
	p->columns = m->stdio ? m->stdio->columns : 0;
	p->next = c->execs;
	c->execs = p;
	start_exec(data, request, m, p);
	hull_oci_process_free(process);
}
