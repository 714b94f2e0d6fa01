/* SPDX-License-Identifier: Apache-2.0 */
/* A container's way in: from the Create request to the agent's answer and ours. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/disks.h"
#include "pod/locals.h"
#include "pod/pod.h"
#include "rpc/agent.pb-c.h"

/* Making a container copies nothing and starts one process; an emulated guest under load needs seconds for it. */
#define CREATE_TIMEOUT_MS 60000
#define MOUNTS_MAX 512
#define GUEST_SHARE "/run/hull/share"

static void on_creator_gone(void *data)
{
	struct hull_container *c = data;
	struct hull_error err = HULL_ERROR_INIT;
	hull_error_set(&err, ECANCELED, "the creator of container %s is gone", c->id);
	hull_log_info("%s", err.message);
	hull_container_fail(c, &err);
}

static void complete(struct hull_container *c)
{
	struct hull_error err = HULL_ERROR_INIT;
	hull_vm_milestone(c->pod->vm, "container created");
	/* One of which nobody could read that it is there could not be started either. */
	c->state->status = HULL_STATUS_CREATED;
	if (hull_state_write(c->dirfd, c->state, &err) < 0) {
		hull_container_fail(c, &err);
		return;
	}
	hull_process_attach(c->init);

	Hull__Pod__V1__CreateResponse reply = HULL__POD__V1__CREATE_RESPONSE__INIT;
	reply.guest_pid = c->guest_pid;
	hull_rpc_reply(TAKE_PTR(c->create), &reply.base);
}

static void on_network(void *data, const struct hull_error *err)
{
	struct hull_container *c = data;
	struct hull_error network = HULL_ERROR_INIT;
	c->network_pending = false;
	if (!err) {
		complete(c);
		return;
	}
	network = *err;
	hull_error_wrap(&network, "the pod's network");
	hull_container_fail(c, &network);
}

/* After the boot, which is not what the limits are for. */
static int limit_host(struct hull_container *c, struct hull_error *err)
{
	int r = c->spec->has_resources ? hull_container_limit_host(c, &c->spec->resources, err) : 0;
	hull_oci_spec_free(TAKE_PTR(c->spec));
	return r < 0 ? hull_error_wrap(err, "config.json") : 0;
}

static void on_created(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_container *c = data;
	struct hull_error err = HULL_ERROR_INIT;

	c->creating = NULL;
	/* A lost connection ends the pod in a moment and tells whoever waits for this container, with a better reason. */
	if (status->code == HULL_RPC_CANCELLED || (status->code == HULL_RPC_UNAVAILABLE && hull_rpc_client_is_lost(hull_vm_agent(c->pod->vm))))
		return;
	if (status->code != HULL_RPC_OK) {
		hull_error_set(&err, hull_rpc_code_to_errno(status->code), "%s", status->message);
		hull_container_fail(c, &err);
		return;
	}
	c->in_guest = true;
	c->guest_pid = ((const Hull__Agent__V1__ProcessStarted *)response)->guest_pid;
	if (limit_host(c, &err) < 0) {
		hull_container_fail(c, &err);
		return;
	}
	/* Its program must find the network complete. A member's pod has had it for long. */
	if (c->pod->network && c->role != HULL_ROLE_MEMBER) {
		c->network_pending = true;
		hull_network_settle(c->pod->network, on_network, c);
		return;
	}
	complete(c);
}

void hull_container_continue(struct hull_container *c)
{
	if (!hull_disks_ready(c))
		return;
	_cleanup_free_ char *rootfs = hull_disks_has_rootfs(c) ? hull_strdup("") : hull_asprintf("%s/rootfs", c->id);
	size_t n_disks;
	_cleanup_free_ Hull__Agent__V1__Disk *disks = hull_disks_describe(c, &n_disks);
	_cleanup_free_ Hull__Agent__V1__Disk **pointers = hull_new(Hull__Agent__V1__Disk *, n_disks);
	for (size_t i = 0; i < n_disks; i++)
		pointers[i] = &disks[i];
	Hull__Agent__V1__CreateContainerRequest m = HULL__AGENT__V1__CREATE_CONTAINER_REQUEST__INIT;
	m.container_id = c->id;
	m.engine_id = (char *)(uintptr_t)hull_state_engine_id(c->state);
	m.spec_json = (ProtobufCBinaryData){ .len = strlen(c->spec_json), .data = (uint8_t *)c->spec_json };
	m.rootfs = rootfs;
	m.readonly_rootfs = c->rootfs_readonly;
	m.no_pivot = c->no_pivot;
	m.no_new_keyring = c->no_new_keyring;
	/* Not for prestart, which Docker gives to every container: a program that is not there is an error of create. */
	m.program_may_follow = c->spec->create_runtime.n + c->spec->create_container.n > 0;
	m.seccomp = (ProtobufCBinaryData){ .len = c->seccomp.len, .data = c->seccomp.bpf };
	m.seccomp_flags = c->seccomp.flags;
	m.n_disks = n_disks;
	m.disks = pointers;
	_cleanup_free_ Hull__Agent__V1__LocalVolume **locals = hull_locals_describe(c);
	m.n_locals = c->n_locals;
	m.locals = locals;
	m.has_stdin = c->init->fds.in >= 0 || c->init->fds.terminal >= 0;
	m.has_stdout = c->init->fds.out >= 0 || c->init->fds.terminal >= 0;
	m.has_stderr = c->init->fds.err >= 0;
	_cleanup_free_ Hull__Agent__V1__Preserved *memory = NULL;
	_cleanup_free_ Hull__Agent__V1__Preserved **preserved = hull_process_preserved_message(c->init, &memory);
	m.n_preserved = c->init->n_preserved;
	m.preserved = preserved;
	c->creating = hull_rpc_call(hull_vm_agent(c->pod->vm), "hull.agent.v1.Agent", "CreateContainer", &m.base,
				    &hull__agent__v1__process_started__descriptor, CREATE_TIMEOUT_MS, NULL, 0, on_created,
				    c);
	hull_seccomp_program_clear(&c->seccomp);
	free(TAKE_PTR(c->spec_json));
}

/* `fds`: the rootfs unless a disk is that, then the mounts. Their places in the guest go to `volumes`. */
static int fill_share(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, const int *fds, char **volumes,
		      struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->spec;
	struct hull_share *share = hull_vm_share(c->pod->vm);
	int r = 0;
	/* Writable on the host even if root.readonly: docs/adr/0004. */
	if (!hull_disks_has_rootfs(c))
		r = hull_share_add_rootfs(share, c->id, *fds++, false, err);
	for (size_t i = 0; r == 0 && i < m->n_mounts; i++) {
		const struct hull_volume_options options = {
			.readonly = m->mounts[i]->readonly, .follows_host = m->mounts[i]->follows_host, .recursive = m->mounts[i]->is_recursive,
		};
		_cleanup_free_ char *path = NULL;
		const char *source = m->mounts[i]->index < spec->n_mounts ? spec->mounts[m->mounts[i]->index].source : NULL;
		if (source && hull_local_take(c, fds[i], source, &volumes[i]))
			continue;
		r = hull_share_add_volume(share, c->id, fds[i], &options, &path, err);
		if (r == 0)
			volumes[i] = hull_asprintf(GUEST_SHARE "/%s", path);
	}
	return r < 0 ? r : hull_pod_limit_share(c->pod, err);
}

/* Reads what `hull create` wrote about the container and makes it the supervisor's. */
static int adopt_state(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, struct hull_error *err)
{
	int r = hull_state_load(c->pod->root, c->id, &c->dirfd, &c->state, err);
	if (r < 0)
		return r;
	hull_procref_get(m->standin_pid, &c->state->standin);
	hull_procref_get(getpid(), &c->state->supervisor);
	return hull_state_write(c->dirfd, c->state, err);
}

static bool has_disk_rootfs(const Hull__Pod__V1__CreateRequest *m)
{
	for (size_t i = 0; i < m->n_disks; i++)
		if (m->disks[i]->kind == HULL__POD__V1__DISK__KIND__ROOTFS)
			return true;
	return false;
}

static int begin(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, int *fds, size_t n_fds, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->spec;
	size_t n_shared = !has_disk_rootfs(m) + m->n_mounts;
	if (n_fds != n_shared + m->n_disks + (m->has_netns ? 1 : 0))
		return hull_error_set(err, EBADMSG, "%zu descriptors for a rootfs, %zu mounts, %zu disks and %d network namespaces", n_fds,
				      m->n_mounts, m->n_disks, m->has_netns);
	int r = adopt_state(c, m, err);
	if (r < 0)
		return r;
	hull_demand_of(spec->has_resources ? &spec->resources : NULL, &c->demand);
	c->demand.modest = c->role == HULL_ROLE_SANDBOX;
	hull_disks_take(c, m, fds + n_shared);
	r = hull_container_boot(c, spec, m->has_netns ? TAKE_FD(fds[n_fds - 1]) : -1, err);
	if (r < 0)
		return r;
	char **volumes = hull_new(char *, m->n_mounts);
	r = fill_share(c, m, fds, volumes, err);
	if (r == 0)
		r = hull_container_localise(c, m, volumes, err);
	for (size_t i = 0; i < m->n_mounts; i++)
		free(volumes[i]);
	free(volumes);
	return r;
}

static struct hull_container *container_new(struct hull_pod *pod, const Hull__Pod__V1__CreateRequest *m, enum hull_role role,
					    struct hull_oci_spec *spec)
{
	struct hull_container *c = hull_new(struct hull_container, 1);
	c->pod = pod;
	c->id = hull_strdup(m->container_id);
	c->role = role;
	c->spec = spec;
	c->dirfd = -1;
	c->rootfs_readonly = m->rootfs_readonly;
	c->no_pivot = m->no_pivot;
	c->no_new_keyring = m->no_new_keyring;
	c->next = pod->containers;
	pod->containers = c;
	return c;
}

static int check_joined(struct hull_pod *pod, const Hull__Pod__V1__CreateRequest *m, struct hull_error *err)
{
	for (size_t i = 0; i < m->n_joined; i++)
		if (!hull_pod_find(pod, m->joined[i]->container_id))
			return hull_error_set(err, ESRCH, "linux.namespaces: %.16s: container %.64s is not in pod %s any more", m->joined[i]->type,
					      m->joined[i]->container_id, pod->id);
	return 0;
}

/* What makes a Create impossible from the start. */
static int check_create(struct hull_pod *pod, const Hull__Pod__V1__CreateRequest *m, const struct hull_oci_spec *spec,
			enum hull_role *ret_role, struct hull_error *err)
{
	_cleanup_free_ char *pod_id = NULL;
	int r = hull_role_find(spec, m->container_id, ret_role, &pod_id, err);
	if (r < 0)
		return r;
	if (m->n_joined > 0)
		*ret_role = HULL_ROLE_MEMBER;
	if (pod->ending || pod->lost)
		return hull_error_set(err, ESRCH, "pod %s is ending", pod->id);
	if (m->n_mounts > MOUNTS_MAX)
		return hull_error_set(err, E2BIG, "mounts: more than %d bind mounts", MOUNTS_MAX);
	if (hull_pod_find(pod, m->container_id))
		return hull_error_set(err, EEXIST, "container with given ID already exists");
	if (*ret_role == HULL_ROLE_MEMBER && !pod->up)
		return hull_error_set(err, ESRCH, "pod %s has no running sandbox container", pod->id);
	if (*ret_role == HULL_ROLE_MEMBER && hull_pod_size_check_member(spec, &pod->size, err) < 0)
		return -err->code;
	if (*ret_role != HULL_ROLE_MEMBER && pod->vm)
		return hull_error_set(err, EEXIST, "pod %s has its first container already", pod->id);
	return check_joined(pod, m, err);
}

/* The VM is large enough, or the container cannot be. */
static void on_fits(void *data, struct hull_container *c, const struct hull_error *err)
{
	(void)data;
	if (!c)
		return;
	if (err)
		hull_container_fail(c, err);
	else
		hull_container_continue(c);
}

void hull_container_fit(struct hull_container *c)
{
	hull_pod_fit(c, &c->demand, on_fits, NULL);
}

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hull_closep(&fds[i]);
}

void hull_container_create(struct hull_pod *pod, struct hull_rpc_request *request,
			   const Hull__Pod__V1__CreateRequest *m)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = NULL;
	enum hull_role role = HULL_ROLE_SINGLE;
	struct hull_stdio_fds stdio = HULL_STDIO_FDS_NONE;
	int standin = -1;
	size_t n_fds = hull_rpc_request_n_fds(request), used = 0;
	_cleanup_free_ int *fds = hull_new(int, n_fds);

	if (hull_rpc_request_take_fds(request, fds, n_fds) < 0 ||
	    hull_stdio_fds_sort(m->stdio, fds, n_fds, &stdio, &standin, &used) < 0) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "create: the descriptors do not match the request");
		close_fds(fds, n_fds);
		return;
	}
	if (hull_oci_spec_parse((const char *)m->spec_json.data, m->spec_json.len, &spec, &err) < 0 ||
	    check_create(pod, m, spec, &role, &err) < 0) {
		hull_rpc_fail_error(request, &err);
		hull_stdio_fds_close(&stdio);
		hull_closep(&standin);
		hull_pod_settle(pod);
	} else {
		struct hull_container *c = container_new(pod, m, role, TAKE_PTR(spec));
		c->init = hull_process_new(c, "", c->spec->process.terminal, &stdio, standin);
		hull_process_preserve(c->init, m->stdio, fds + used);
		used += c->init->n_preserved;
		c->init->rows = m->stdio ? m->stdio->rows : 0;
		c->init->columns = m->stdio ? m->stdio->columns : 0;
		c->create = request;
		hull_rpc_request_on_cancel(request, on_creator_gone, c);
		if (begin(c, m, fds + used, n_fds - used, &err) < 0)
			hull_container_fail(c, &err);
		else if (pod->up && hull_container_is_departing(pod, c->id))
			c->awaits_departed = true;
		else if (pod->up)
			hull_container_fit(c);
	}
	close_fds(fds + used, n_fds - used);
	hull_oci_spec_free(spec);
}
