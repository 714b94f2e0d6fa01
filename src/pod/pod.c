/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/pod.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/disks.h"

#include "pod/paths.h"
#include "rpc/agent.pb-c.h"

#define SANDBOX_TIMEOUT_MS 30000
#define WIND_DOWN_MS 5000
#define FLUSH_MS 1000
#define FLUSH_STEP_MS 2

struct hull_container *hull_pod_find(struct hull_pod *pod, const char *id)
{
	for (struct hull_container *c = pod->containers; c; c = c->next)
		if (strcmp(c->id, id) == 0)
			return c;
	return NULL;
}

static struct hull_process *first_unfinished(struct hull_pod *pod)
{
	for (struct hull_container *c = pod->containers; c; c = c->next) {
		if (c->init && !c->init->exited)
			return c->init;
		for (struct hull_process *p = c->execs; p; p = p->next)
			if (!p->exited)
				return p;
	}
	return NULL;
}

static bool all_settled(const struct hull_pod *pod)
{
	for (const struct hull_container *c = pod->containers; c; c = c->next) {
		if (c->create || !hull_process_settled(c->init))
			return false;
		for (const struct hull_process *p = c->execs; p; p = p->next)
			if (!hull_process_settled(p))
				return false;
	}
	return true;
}

/* ---- the end */

static void stop_loop(struct hull_pod *pod)
{
	uv_timer_stop(&pod->end_timer);
	uv_stop(pod->loop);
}

/* Lets the last answers leave, then stops the loop. */
static void on_flush(uv_timer_t *timer)
{
	struct hull_pod *pod = timer->data;
	if (hull_rpc_server_idle(pod->server) || hull_now_ms() >= pod->end_deadline_ms)
		stop_loop(pod);
}

void hull_pod_settle(struct hull_pod *pod)
{
	if (pod->ending || (!pod->lost && !pod->winding_down && pod->containers) || !all_settled(pod))
		return;
	pod->ending = true;
	hull_log_info("pod ends: %s", pod->lost ? pod->lost : "its containers are gone");
	pod->end_deadline_ms = hull_now_ms() + FLUSH_MS;
	uv_timer_start(&pod->end_timer, on_flush, 0, FLUSH_STEP_MS);
}

static void fail_creates(struct hull_pod *pod, const char *reason)
{
	for (struct hull_container *c = pod->containers; c;) {
		struct hull_container *next = c->next;
		if (c->create) {
			struct hull_error err = HULL_ERROR_INIT;
			hull_error_set(&err, EIO, "%s", reason);
			hull_container_fail(c, &err);
		}
		c = next;
	}
}

void hull_pod_lost(struct hull_pod *pod, const char *reason)
{
	if (pod->lost)
		return;
	pod->lost = hull_strdup(reason);
	hull_log_warning("the pod is lost: %s", reason);
	/* Whatever still runs in there, its output would keep the containers from being reported. */
	hull_vm_kill(pod->vm);
	fail_creates(pod, reason);
	struct hull_process *p;
	while ((p = first_unfinished(pod)) != NULL)
		hull_process_lost(p, reason);
	hull_pod_settle(pod);
}

static void on_wind_down_over(uv_timer_t *timer)
{
	struct hull_pod *pod = timer->data;
	if (first_unfinished(pod))
		hull_pod_lost(pod, "the pod's first container ended and others did not follow in time");
}

void hull_pod_wind_down(struct hull_pod *pod)
{
	if (pod->winding_down || pod->ending)
		return;
	pod->winding_down = true;
	uv_timer_start(&pod->end_timer, on_wind_down_over, WIND_DOWN_MS, 0);
	for (struct hull_container *c = pod->containers; c; c = c->next)
		if (c->init && !c->init->exited && c->in_guest)
			hull_process_signal(c->init, SIGKILL, true, NULL);
}

static void on_sigterm(uv_signal_t *handle, int signum)
{
	(void)signum;
	struct hull_pod *pod = handle->data;
	hull_pod_lost(pod, "the supervisor was asked to end");
	/* A descriptor that nobody reads must not keep a pod that was told to go. */
	stop_loop(pod);
}

/* ---- the beginning */

static void on_sandbox(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_pod *pod = data;
	(void)response;
	if (status->code == HULL_RPC_OK) {
		hull_vm_milestone(pod->vm, "sandbox created");
		hull_pod_watch_volumes(pod);
	} else if (status->code != HULL_RPC_CANCELLED && status->code != HULL_RPC_UNAVAILABLE) {
		hull_pod_lost(pod, status->message);
	}
}

/* Without containerd's namespace. */
static char *plain_id(const struct hull_pod *pod)
{
	char *separator = strchr(pod->id, HULL_NAMESPACE_SEPARATOR);
	return separator ? separator + 1 : pod->id;
}

static void create_sandbox(struct hull_pod *pod)
{
	uint8_t entropy[64];
	struct timespec now;
	Hull__Agent__V1__CreateSandboxRequest m = HULL__AGENT__V1__CREATE_SANDBOX_REQUEST__INIT;

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		hull_log_warning("no entropy for the guest from the host");
	else
		m.entropy = (ProtobufCBinaryData){ .len = sizeof(entropy), .data = entropy };
	clock_gettime(CLOCK_REALTIME, &now);
	m.pod_id = pod->id;
	m.hostname = pod->hostname ? pod->hostname : plain_id(pod);
	m.domainname = pod->domainname ? pod->domainname : m.domainname;
	m.realtime_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	m.share_tag = (char *)(uintptr_t)HULL_VM_SHARE_TAG;
	m.share_files_max = hull_share_files_max(hull_vm_share(pod->vm));
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "CreateSandbox", &m.base,
		      &hull__agent__v1__empty__descriptor, SANDBOX_TIMEOUT_MS, NULL, 0, on_sandbox, pod);
	explicit_bzero(entropy, sizeof(entropy));
}

static void on_vm_ready(void *data, const struct hull_error *err)
{
	struct hull_pod *pod = data;
	if (err) {
		hull_pod_lost(pod, err->message);
		return;
	}
	pod->up = true;
	if (pod->forward)
		hull_forward_ready(pod->forward, hull_vm_agent(pod->vm));
	if (pod->names)
		hull_names_ready(pod->names, hull_vm_agent(pod->vm));
	/* The agent takes calls in order: the container's follows the sandbox's without waiting for its answer. */
	create_sandbox(pod);
	if (pod->network)
		hull_network_ready(pod->network);
	for (struct hull_container *c = pod->containers; c; c = c->next)
		if (c->create)
			hull_container_continue(c);
}

static void on_vm_lost(void *data, const char *reason)
{
	hull_pod_lost(data, reason);
}

/* The first connection waited in the socket before this process was: it is the creator's. */
static void on_connect(void *data, struct hull_rpc_conn *conn)
{
	struct hull_pod *pod = data;
	if (!pod->creator)
		pod->creator = conn;
}

static void on_disconnect(void *data, struct hull_rpc_conn *conn)
{
	struct hull_pod *pod = data;
	if (conn == pod->creator && !pod->containers && !pod->vm)
		hull_pod_lost(pod, "its creator is gone");
}

static const struct hull_rpc_server_ops server_ops = { .on_connect = on_connect, .on_disconnect = on_disconnect };

static const struct hull_vm_events vm_events = { .on_ready = on_vm_ready, .on_lost = on_vm_lost };

/* Without it `kubectl port-forward` does not work, and nothing else is missing. */
static void forward_localhost(struct hull_pod *pod, int netns_fd)
{
	struct hull_error err = HULL_ERROR_INIT;
	if (hull_forward_new(pod->loop, netns_fd, &pod->forward, &err) < 0)
		hull_log_info("connections to the pod's localhost are not forwarded: %s", err.message);
}

/* An engine that connects a container to a network of its own starts the name server then. */
static void on_network_round(void *data)
{
	struct hull_pod *pod = data;
	hull_names_look(pod->names);
}

static int open_network(struct hull_pod *pod, const struct hull_oci_spec *spec, int netns_fd, unsigned vcpus, struct hull_error *err)
{
	struct hull_net_limits limits;
	int r = hull_network_limits(pod->config, spec, &limits, err);
	if (r < 0) {
		hull_closep(&netns_fd);
		return r;
	}
	_cleanup_close_ int again = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);
	r = hull_network_new(pod->loop, netns_fd, vcpus < HULL_NET_QUEUES_MAX ? vcpus : HULL_NET_QUEUES_MAX, &limits, &pod->network, err);
	if (r < 0 || again < 0)
		return r;
	forward_localhost(pod, again);
	pod->names = hull_names_new(pod->loop, TAKE_FD(again));
	hull_network_watch(pod->network, on_network_round, pod);
	return 0;
}

int hull_pod_boot(struct hull_pod *pod, const struct hull_oci_spec *spec, int netns_fd, struct hull_error *err)
{
	_cleanup_close_ int netns = netns_fd;
	if (pod->vm)
		return 0;
	if (spec->hostname)
		pod->hostname = hull_strdup(spec->hostname);
	if (spec->domainname)
		pod->domainname = hull_strdup(spec->domainname);
	pod->io = (struct hull_pod_io){ .disk = pod->config->disk_limits, .share = pod->config->share_limits, .said_by = "hull.conf" };
	if (hull_pod_io_parse(spec, &pod->io, err) < 0)
		return hull_error_wrap(err, "config.json");
	int r = hull_pod_size_parse(spec, &pod->size, err);
	if (r < 0)
		return hull_error_wrap(err, "config.json");
	struct hull_size size = hull_pod_wanted_size(pod), largest = hull_size_largest(pod->config, &size);
	struct hull_vm_request rq = {
		.config = pod->config,
		.vmm_ops = pod->vmm_ops,
		.root = pod->root,
		.pod_dir = pod->dir,
		.memory_bytes = size.memory_bytes,
		.vcpus = size.vcpus,
		.memory_max_bytes = largest.memory_bytes,
		.vcpus_max = largest.vcpus,
	};
	if (netns >= 0)
		r = open_network(pod, spec, TAKE_FD(netns), rq.vcpus, err);
	if (r < 0)
		return r;
	_cleanup_free_ struct hull_nic *nics = pod->network ? hull_network_nics(pod->network, &rq.n_nics) : NULL;
	rq.nics = nics;
	r = hull_vm_acquire(pod->loop, &rq, &vm_events, pod, &pod->vm, err);
	if (r == 0 && pod->network)
		hull_network_plugged(pod->network, pod->vm);
	return r;
}

struct hull_pod *hull_pod_new(uv_loop_t *loop, struct hull_config *config, const struct hull_vmm_ops *vmm_ops,
			      const char *root, const char *id, int listen_fd, struct hull_error *err)
{
	struct hull_pod *pod = hull_new(struct hull_pod, 1);
	pod->loop = loop;
	pod->config = config;
	pod->vmm_ops = vmm_ops;
	pod->root = hull_strdup(root);
	pod->id = hull_strdup(id);
	pod->dir = hull_path_pod(root, id);
	uv_timer_init(loop, &pod->end_timer);
	pod->end_timer.data = pod;
	uv_signal_init(loop, &pod->sigterm);
	pod->sigterm.data = pod;
	uv_signal_start(&pod->sigterm, on_sigterm, SIGTERM);

	pod->server = hull_rpc_server_new(loop, hull_pod_services, hull_pod_n_services, NULL, &server_ops, pod);
	int r = hull_rpc_server_listen(pod->server, listen_fd);
	if (r < 0) {
		hull_pod_free(pod);
		hull_error_errno(err, r, "listen on the pod's socket");
		return NULL;
	}
	return pod;
}

void hull_pod_free(struct hull_pod *pod)
{
	if (!pod)
		return;
	hull_forward_free(TAKE_PTR(pod->forward));
	hull_names_free(TAKE_PTR(pod->names));
	/* The VM first: nothing needs to be undone in a guest that is gone. */
	hull_network_stop(pod->network);
	hull_vm_free(TAKE_PTR(pod->vm));
	hull_container_forget_departed(pod);
	while (pod->containers) {
		struct hull_container *c = pod->containers;
		if (c->state && c->state->status != HULL_STATUS_STOPPED)
			hull_container_set_status(c, HULL_STATUS_STOPPED);
		hull_container_remove(c);
	}
	hull_disks_free(pod);
	hull_seccomp_cache_clear(&pod->seccomp);
	hull_network_free(TAKE_PTR(pod->network));
	hull_rpc_server_free(pod->server);
	uv_close((uv_handle_t *)&pod->end_timer, NULL);
	uv_close((uv_handle_t *)&pod->sigterm, NULL);
	uv_run(pod->loop, UV_RUN_NOWAIT);
	uv_run(pod->loop, UV_RUN_NOWAIT);
	free(pod->root);
	free(pod->id);
	free(pod->dir);
	free(pod->hostname);
	free(pod->domainname);
	free(pod->lost);
	free(pod);
}
