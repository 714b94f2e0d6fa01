/* SPDX-License-Identifier: Apache-2.0 */
/* The Pod service (pod.proto): one small handler a method, and the table that names them. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/pod.h"
#include "pod/service.h"
#include "rpc/agent.pb-c.h"

struct hull_container *hull_service_find(struct hull_pod *pod, const char *id, struct hull_rpc_request *request)
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
	struct hull_container *c = hull_service_find(pod, id, request);
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

struct hull_forwarded *hull_forwarded_new(struct hull_pod *pod, struct hull_rpc_request *request, const char *id)
{
	struct hull_forwarded *f = hull_new(struct hull_forwarded, 1);
	f->request = request;
	f->pod = pod;
	f->container_id = hull_strdup(id);
	return f;
}

void hull_forwarded_freep(struct hull_forwarded **f)
{
	free((*f)->container_id);
	free((*f)->exec_id);
	hull_oci_resources_free((*f)->resources);
	free(*f);
}

static void on_status_changed(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(hull_forwarded_freep) struct hull_forwarded *f = data;
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
	struct hull_forwarded *f = hull_forwarded_new(pod, request, c->id);
	f->then = then;
	Hull__Agent__V1__ContainerRef ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
	ref.container_id = c->id;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", method, &ref.base, &hull__agent__v1__empty__descriptor,
		      HULL_AGENT_TIMEOUT_MS, NULL, 0, on_status_changed, f);
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
	struct hull_container *c = hull_service_find(data, m->container_id, request);
	if (c && is_status_or_fail(c, HULL_STATUS_CREATED, "start", request))
		change_status(data, request, c, "StartContainer", HULL_STATUS_RUNNING);
}

static void handle_pause(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	struct hull_container *c = hull_service_find(data, m->container_id, request);
	if (c && is_status_or_fail(c, HULL_STATUS_RUNNING, "pause", request))
		change_status(data, request, c, "PauseContainer", HULL_STATUS_PAUSED);
}

static void handle_resume(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Pod__V1__ContainerRef *m = (const Hull__Pod__V1__ContainerRef *)message;
	struct hull_container *c = hull_service_find(data, m->container_id, request);
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
	struct hull_container *c = hull_service_find(data, m->container_id, request);
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
	_cleanup_(hull_forwarded_freep) struct hull_forwarded *f = data;
	if (status->code != HULL_RPC_OK)
		hull_rpc_fail(f->request, status->code, "%s", status->message);
	else
		hull_rpc_reply(f->request, response);
}

/* A question about a running container that the agent answers. */
static void ask_agent(struct hull_pod *pod, struct hull_rpc_request *request, const char *id, const char *method,
		      const ProtobufCMessageDescriptor *answer_type)
{
	struct hull_container *c = hull_service_find(pod, id, request);
	if (!c)
		return;
	if (c->init->exited) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container not running");
		return;
	}
	Hull__Agent__V1__ContainerRef ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
	ref.container_id = c->id;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", method, &ref.base, answer_type, HULL_AGENT_TIMEOUT_MS, NULL, 0,
		      on_answer, hull_forwarded_new(pod, request, c->id));
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
	struct hull_container *c = hull_service_find(data, m->container_id, request);
	if (c)
		hull_oom_await(c, m->known, request);
}

static void on_info(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(hull_forwarded_freep) struct hull_forwarded *f = data;
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
		      &hull__agent__v1__info__descriptor, HULL_AGENT_TIMEOUT_MS, NULL, 0, on_info, hull_forwarded_new(pod, request, pod->id));
}

/* ---- network */

static void on_settled(void *data, const struct hull_error *err)
{
	_cleanup_(hull_forwarded_freep) struct hull_forwarded *f = data;
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
		hull_network_settle(pod->network, on_settled, hull_forwarded_new(pod, request, ""));
}

static void on_edited(void *data, const struct hull_error *err)
{
	_cleanup_(hull_forwarded_freep) struct hull_forwarded *f = data;
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
		hull_network_settle(pod->network, on_edited, hull_forwarded_new(pod, request, ""));
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
	{ "Exec", &hull__pod__v1__exec_request__descriptor, hull_handle_exec, NULL },
	{ "Wait", &hull__pod__v1__process_ref__descriptor, handle_wait, NULL },
	{ "Resize", &hull__pod__v1__resize_request__descriptor, handle_resize, NULL },
	{ "Pause", &hull__pod__v1__container_ref__descriptor, handle_pause, NULL },
	{ "Resume", &hull__pod__v1__container_ref__descriptor, handle_resume, NULL },
	{ "Ps", &hull__pod__v1__container_ref__descriptor, handle_ps, NULL },
	{ "Stats", &hull__pod__v1__container_ref__descriptor, handle_stats, NULL },
	{ "AwaitOom", &hull__agent__v1__oom_watch__descriptor, handle_await_oom, NULL },
	{ "Update", &hull__pod__v1__update_request__descriptor, hull_handle_update, NULL },
	{ "EditNetwork", &hull__pod__v1__network_edit__descriptor, handle_edit_network, NULL },
	{ "SettleNetwork", &hull__pod__v1__empty__descriptor, handle_settle_network, NULL },
	{ "Inspect", &hull__pod__v1__empty__descriptor, handle_inspect, NULL },
	{ NULL, NULL, NULL, NULL },
};

const struct hull_rpc_service hull_pod_services[] = {
	{ "hull.pod.v1.Pod", methods },
};
const size_t hull_pod_n_services = HULL_ARRAY_SIZE(hull_pod_services);
