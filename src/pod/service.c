/* SPDX-License-Identifier: Apache-2.0 */
/* The Pod service (pod.proto): one small handler a method, and the table that names them. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/pod.h"
#include "rpc/agent.pb-c.h"

#define AGENT_TIMEOUT_MS 30000

static struct hull_container *find_or_fail(struct hull_pod *pod, const char *id, struct hull_rpc_request *request)
{
	struct hull_container *c = hull_pod_find(pod, id);
	if (!c || c->create) {
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "container does not exist");
		return NULL;
	}
	return c;
}

static struct hull_process *find_process_or_fail(struct hull_pod *pod, const char *id, const char *exec_id,
						 struct hull_rpc_request *request)
{
	struct hull_container *c = find_or_fail(pod, id, request);
	if (!c)
		return NULL;
	struct hull_process *p = hull_container_process(c, exec_id);
	if (!p)
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "container %s has no process %s", id, exec_id);
	return p;
}

static void handle_create(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	hull_container_create(data, request, (const Hull__Pod__V1__CreateRequest *)message);
}

/* ---- calls that go on to the agent */

struct forwarded {
	struct hull_rpc_request *request;
	struct hull_pod *pod;
	char *container_id;
	char *exec_id;
	enum hull_status then;         /* the container's status after success, for calls that change it */
	struct hull_oci_resources *resources;  /* of an update */
};

static struct forwarded *forward(struct hull_pod *pod, struct hull_rpc_request *request, const char *id)
{
	struct forwarded *f = hull_new(struct forwarded, 1);
	f->request = request;
	f->pod = pod;
	f->container_id = hull_strdup(id);
	return f;
}

static void forwarded_freep(struct forwarded **f)
{
	free((*f)->container_id);
	free((*f)->exec_id);
	hull_oci_resources_free((*f)->resources);
	free(*f);
}

static void on_status_changed(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(forwarded_freep) struct forwarded *f = data;
	(void)response;
	if (status->code != HULL_RPC_OK) {
		hull_rpc_fail(f->request, status->code, "%s", status->message);
		return;
	}
	struct hull_container *c = hull_pod_find(f->pod, f->container_id);
	/* A short life can be over before this answer. */
	if (c && !c->init->exited)
		hull_container_set_status(c, f->then);
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	hull_rpc_reply(f->request, &done.base);
}

static void change_status(struct hull_pod *pod, struct hull_rpc_request *request, struct hull_container *c,
			  const char *method, enum hull_status then)
{
	struct forwarded *f = forward(pod, request, c->id);
	f->then = then;
	Hull__Agent__V1__ContainerRef ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
	ref.container_id = c->id;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", method, &ref.base, &hull__agent__v1__empty__descriptor,
		      AGENT_TIMEOUT_MS, NULL, 0, on_status_changed, f);
}

static bool is_status_or_fail(struct hull_container *c, enum hull_status wanted, const char *verb,
			      struct hull_rpc_request *request)
{
	if (c->state->status == wanted && !c->init->exited)
		return true;
	hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "cannot %s a container in the %s state", verb,
		      hull_status_name(c->init->exited ? HULL_STATUS_STOPPED : c->state->status));
	return false;
}

static void handle_start(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	struct hull_container *c = find_or_fail(data, m->container_id, request);
	if (c && is_status_or_fail(c, HULL_STATUS_CREATED, "start", request))
		change_status(data, request, c, "StartContainer", HULL_STATUS_RUNNING);
}

static void handle_pause(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	struct hull_container *c = find_or_fail(data, m->container_id, request);
	if (c && is_status_or_fail(c, HULL_STATUS_RUNNING, "pause", request))
		change_status(data, request, c, "PauseContainer", HULL_STATUS_PAUSED);
}

static void handle_resume(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	struct hull_container *c = find_or_fail(data, m->container_id, request);
	if (c && is_status_or_fail(c, HULL_STATUS_PAUSED, "resume", request))
		change_status(data, request, c, "ResumeContainer", HULL_STATUS_RUNNING);
}

static void handle_kill(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__KillRequest *m = (const Hull__Pod__V1__KillRequest *)message;
	struct hull_process *p = find_process_or_fail(data, m->container_id, m->exec_id, request);
	if (p)
		hull_process_signal(p, m->signal, m->all, request);
}

static void handle_resize(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ResizeRequest *m = (const Hull__Pod__V1__ResizeRequest *)message;
	struct hull_process *p = find_process_or_fail(data, m->container_id, m->exec_id, request);
	if (!p)
		return;
	hull_process_resize(p, m->rows, m->columns);
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	hull_rpc_reply(request, &done.base);
}

/* ---- exec */

static void on_exec_started(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(forwarded_freep) struct forwarded *f = data;
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
	struct forwarded *f = forward(pod, request, p->container->id);
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
		      &hull__agent__v1__process_started__descriptor, AGENT_TIMEOUT_MS, NULL, 0, on_exec_started, f);
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

static void handle_exec(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ExecRequest *m = (const Hull__Pod__V1__ExecRequest *)message;
	struct hull_container *c = find_or_fail(data, m->container_id, request);
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

/* ---- questions */

static void handle_wait(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ProcessRef *m = (const Hull__Pod__V1__ProcessRef *)message;
	struct hull_process *p = find_process_or_fail(data, m->container_id, m->exec_id, request);
	if (p)
		hull_process_add_waiter(p, request);
}

static void handle_state(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	struct hull_container *c = find_or_fail(data, m->container_id, request);
	if (!c)
		return;
	Hull__Pod__V1__StateResponse reply = HULL__POD__V1__STATE_RESPONSE__INIT;
	Hull__Pod__V1__ExitStatus e = HULL__POD__V1__EXIT_STATUS__INIT;
	reply.status = (char *)(uintptr_t)hull_status_name(c->state->status);
	reply.guest_pid = c->guest_pid;
	if (c->init->reported) {
		e.exit_code = c->init->exit.code;
		e.signal = c->init->exit.signal;
		e.oom_killed = c->init->exit.oom_killed;
		e.exited_at_ns = c->init->exit.at_ns;
		reply.has_exit = true;
		reply.exit = &e;
	}
	hull_rpc_reply(request, &reply.base);
}

/* The agent's answer, decoded and bounded, is the caller's. */
static void on_answer(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(forwarded_freep) struct forwarded *f = data;
	if (status->code != HULL_RPC_OK)
		hull_rpc_fail(f->request, status->code, "%s", status->message);
	else
		hull_rpc_reply(f->request, response);
}

/* A question about a running container that the agent answers. */
static void ask_agent(struct hull_pod *pod, struct hull_rpc_request *request, const char *id, const char *method,
		      const ProtobufCMessageDescriptor *answer_type)
{
	struct hull_container *c = find_or_fail(pod, id, request);
	if (!c)
		return;
	if (c->init->exited) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container not running");
		return;
	}
	Hull__Agent__V1__ContainerRef ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
	ref.container_id = c->id;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", method, &ref.base, answer_type, AGENT_TIMEOUT_MS, NULL, 0,
		      on_answer, forward(pod, request, c->id));
}

static void handle_ps(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	ask_agent(data, request, m->container_id, "ListProcesses", &hull__agent__v1__process_list__descriptor);
}

static void handle_stats(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	ask_agent(data, request, m->container_id, "GetStats", &hull__agent__v1__stats__descriptor);
}

static void handle_await_oom(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__OomWatch *m = (const Hull__Agent__V1__OomWatch *)message;
	struct hull_container *c = find_or_fail(data, m->container_id, request);
	if (c)
		hull_oom_await(c, m->known, request);
}

static void on_info(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(forwarded_freep) struct forwarded *f = data;
	struct hull_pod *pod = f->pod;
	const struct hull_vm_facts *facts = hull_vm_facts(pod->vm);
	Hull__Pod__V1__PodInfo reply = HULL__POD__V1__POD_INFO__INIT;

	reply.pod_id = pod->id;
	reply.supervisor_pid = getpid();
	reply.vmm_pid = hull_vm_vmm_pid(pod->vm);
	reply.share_pid = hull_share_pid(hull_vm_share(pod->vm));
	reply.accelerator = (char *)(uintptr_t)hull_accel_name(facts->accel);
	reply.memory_bytes = facts->memory_bytes;
	reply.vcpus = facts->vcpus;
	if (facts->kernel_release)
		reply.kernel_release = facts->kernel_release;
	if (facts->agent_version)
		reply.agent_version = facts->agent_version;
	if (status->code == HULL_RPC_OK) {
		const Hull__Agent__V1__Info *info = (const Hull__Agent__V1__Info *)response;
		reply.guest_memory_available_bytes = info->memory_available_bytes;
		reply.guest_memory_total_bytes = info->memory_total_bytes;
		reply.agent_rss_bytes = info->agent_rss_bytes;
	}

	char *ids[256];
	for (struct hull_container *c = pod->containers; c && reply.n_containers < HULL_ARRAY_SIZE(ids); c = c->next)
		ids[reply.n_containers++] = c->id;
	reply.containers = ids;

	const char *const *names;
	const int64_t *ns;
	size_t n = hull_vm_milestones(pod->vm, &names, &ns);
	Hull__Pod__V1__Milestone marks[32], *mark_pointers[32];
	for (size_t i = 0; i < n && i < HULL_ARRAY_SIZE(marks); i++) {
		hull__pod__v1__milestone__init(&marks[i]);
		marks[i].name = (char *)(uintptr_t)names[i];
		marks[i].at_ns = ns[i] - pod->started_ns;
		mark_pointers[reply.n_milestones++] = &marks[i];
	}
	reply.milestones = mark_pointers;
	hull_rpc_reply(f->request, &reply.base);
}

static void handle_inspect(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_pod *pod = data;
	(void)message;
	if (!pod->vm || !pod->up) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "pod %s has no running VM", pod->id);
		return;
	}
	Hull__Agent__V1__Empty empty = HULL__AGENT__V1__EMPTY__INIT;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "GetInfo", &empty.base,
		      &hull__agent__v1__info__descriptor, AGENT_TIMEOUT_MS, NULL, 0, on_info, forward(pod, request, pod->id));
}

/* ---- update */

static void on_updated(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(forwarded_freep) struct forwarded *f = data;
	struct hull_container *c = hull_pod_find(f->pod, f->container_id);
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	struct hull_error err = HULL_ERROR_INIT;
	(void)response;
	if (status->code != HULL_RPC_OK)
		hull_rpc_fail(f->request, status->code, "%s", status->message);
	else if (c && hull_container_limit_host(c, f->resources, &err) < 0)
		hull_rpc_fail_error(f->request, &err);
	else
		hull_rpc_reply(f->request, &done.base);
}

/* An update waits for a VM that has room for it. */
struct update {
	struct hull_rpc_request *request;
	struct hull_oci_resources *resources;
	uint8_t *json;
	size_t len;
};

/* The VM is large enough: a limit that it could not keep would be a promise that nobody sees broken. */
static void on_update_fits(void *data, struct hull_container *c, const struct hull_error *err)
{
	struct update *u = data;
	if (err) {
		hull_rpc_fail_error(u->request, err);
	} else {
		Hull__Agent__V1__UpdateRequest a = HULL__AGENT__V1__UPDATE_REQUEST__INIT;
		a.container_id = c->id;
		a.resources_json = (ProtobufCBinaryData){ .len = u->len, .data = u->json };
		struct forwarded *f = forward(c->pod, u->request, c->id);
		f->resources = TAKE_PTR(u->resources);
		hull_rpc_call(hull_vm_agent(c->pod->vm), "hull.agent.v1.Agent", "UpdateContainer", &a.base,
			      &hull__agent__v1__empty__descriptor, AGENT_TIMEOUT_MS, NULL, 0, on_updated, f);
	}
	hull_oci_resources_free(u->resources);
	free(u->json);
	free(u);
}

/* More than any VM on this host can have is refused; on start the limit would merely never be reached. */
static int check_update(const struct hull_pod *pod, const struct hull_oci_resources *r, struct hull_error *err)
{
	uint64_t most = hull_vm_facts(pod->vm)->memory_max_bytes;
	if (r->has_memory_limit && r->memory_limit > 0 && (uint64_t)r->memory_limit > most)
		return hull_error_set(err, ERANGE, "memory.limit: %lld bytes are more than the %llu MiB that the VM can grow to",
				      (long long)r->memory_limit, (unsigned long long)most >> 20);
	return 0;
}

static void handle_update(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_pod *pod = data;
	const Hull__Pod__V1__UpdateRequest *m = (const Hull__Pod__V1__UpdateRequest *)message;
	struct hull_container *c = find_or_fail(pod, m->container_id, request);
	struct hull_oci_resources *resources = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	if (!c)
		return;
	if (c->init->exited) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container not running");
		return;
	}
	if (hull_oci_resources_parse((const char *)m->resources_json.data, m->resources_json.len, &resources, &err) < 0 ||
	    check_update(pod, resources, &err) < 0) {
		hull_rpc_fail_error(request, &err);
	} else {
		struct update *u = hull_new(struct update, 1);
		struct hull_demand demand = c->demand;
		hull_demand_update(&demand, resources);
		*u = (struct update){ .request = request, .resources = TAKE_PTR(resources),
				      .json = hull_memdup(m->resources_json.data, m->resources_json.len), .len = m->resources_json.len };
		hull_pod_fit(c, &demand, on_update_fits, u);
	}
	hull_oci_resources_free(resources);
}

/* ---- network */

static void on_settled(void *data, const struct hull_error *err)
{
	_cleanup_(forwarded_freep) struct forwarded *f = data;
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	if (err)
		hull_rpc_fail_error(f->request, err);
	else
		hull_rpc_reply(f->request, &done.base);
}

static void handle_settle_network(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_pod *pod = data;
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	if (!pod->network)
		hull_rpc_reply(request, &done.base);
	else
		hull_network_settle(pod->network, on_settled, forward(pod, request, ""));
}

static void on_edited(void *data, const struct hull_error *err)
{
	_cleanup_(forwarded_freep) struct forwarded *f = data;
	if (err) {
		hull_rpc_fail_error(f->request, err);
		return;
	}
	Hull__Pod__V1__NetworkList *list = hull_net_list(hull_network_net(f->pod->network));
	hull_rpc_reply(f->request, &list->base);
	hull__pod__v1__network_list__free_unpacked(list, NULL);
}

static void handle_edit_network(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_pod *pod = data;
	struct hull_error err = HULL_ERROR_INIT;
	if (!pod->network || !pod->up)
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "pod %s has no running VM with a network", pod->id);
	else if (hull_net_edit(hull_network_net(pod->network), (const Hull__Pod__V1__NetworkEdit *)message, &err) < 0)
		hull_rpc_fail_error(request, &err);
	else
		hull_network_settle(pod->network, on_edited, forward(pod, request, ""));
}

/* ---- delete */

static void handle_delete(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__DeleteRequest *m = (const Hull__Pod__V1__DeleteRequest *)message;
	struct hull_container *c = hull_pod_find(data, m->container_id);
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;

	if (!c) {
		hull_rpc_reply(request, &done.base);
		/* A supervisor that has not heard of its first container yet is not needed any more. */
		hull_pod_settle(data);
		return;
	}
	if (c->create || c->delete) {
		hull_rpc_fail(request, HULL_RPC_ABORTED, "container %s is being %s", c->id, c->create ? "created" : "deleted");
		return;
	}
	if (c->init->reported) {
		c->delete = request;
		hull_container_remove(c);
		return;
	}
	if (!m->force) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION,
			      "cannot delete container %s that is not stopped: %s", c->id, hull_status_name(c->state->status));
		return;
	}
	c->delete = request;
	hull_process_signal(c->init, SIGKILL, true, NULL);
}

static const struct hull_rpc_method methods[] = {
	{ "Create", &hull__pod__v1__create_request__descriptor, handle_create, NULL },
	{ "Start", &hull__pod__v1__container_ref__descriptor, handle_start, NULL },
	{ "Kill", &hull__pod__v1__kill_request__descriptor, handle_kill, NULL },
	{ "Delete", &hull__pod__v1__delete_request__descriptor, handle_delete, NULL },
	{ "State", &hull__pod__v1__container_ref__descriptor, handle_state, NULL },
	{ "Exec", &hull__pod__v1__exec_request__descriptor, handle_exec, NULL },
	{ "Wait", &hull__pod__v1__process_ref__descriptor, handle_wait, NULL },
	{ "Resize", &hull__pod__v1__resize_request__descriptor, handle_resize, NULL },
	{ "Pause", &hull__pod__v1__container_ref__descriptor, handle_pause, NULL },
	{ "Resume", &hull__pod__v1__container_ref__descriptor, handle_resume, NULL },
	{ "Ps", &hull__pod__v1__container_ref__descriptor, handle_ps, NULL },
	{ "Stats", &hull__pod__v1__container_ref__descriptor, handle_stats, NULL },
	{ "AwaitOom", &hull__agent__v1__oom_watch__descriptor, handle_await_oom, NULL },
	{ "Update", &hull__pod__v1__update_request__descriptor, handle_update, NULL },
	{ "EditNetwork", &hull__pod__v1__network_edit__descriptor, handle_edit_network, NULL },
	{ "SettleNetwork", &hull__pod__v1__empty__descriptor, handle_settle_network, NULL },
	{ "Inspect", &hull__pod__v1__empty__descriptor, handle_inspect, NULL },
	{ NULL, NULL, NULL, NULL },
};

const struct hull_rpc_service hull_pod_services[] = {
	{ "hull.pod.v1.Pod", methods },
};
const size_t hull_pod_n_services = HULL_ARRAY_SIZE(hull_pod_services);
