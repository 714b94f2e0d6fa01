/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "pod/disks.h"
#include "pod/locals.h"
#include "pod/paths.h"
#include "pod/pod.h"
#include "rpc/agent.pb-c.h"
#include "storage/block.h"

/* Making a container copies nothing and starts one process; an emulated guest under load needs seconds for it. */
#define CREATE_TIMEOUT_MS 60000
#define DELETE_TIMEOUT_MS 5000
#define MOUNTS_MAX 512
#define GUEST_SHARE "/run/hull/share"
/* A namespace path below it names the container of the VM whose namespace is meant. */
#define GUEST_NAMESPACES "/run/hull/ns"

void hull_container_set_status(struct hull_container *c, enum hull_status status)
{
	struct hull_error err = HULL_ERROR_INIT;
	c->state->status = status;
	if (status == HULL_STATUS_STOPPED && c->init) {
		c->state->has_exit = true;
		c->state->exit_code = c->init->exit.code;
		c->state->exit_signal = c->init->exit.signal;
		c->state->oom_killed = c->init->exit.oom_killed;
		free(c->state->lost);
		c->state->lost = c->init->exit.lost ? hull_strdup(c->init->exit.lost) : NULL;
	}
	if (c->dirfd >= 0 && hull_state_write(c->dirfd, c->state, &err) < 0)
		hull_log_error("%s: %s", c->id, err.message);
}

struct hull_process *hull_container_process(struct hull_container *c, const char *exec_id)
{
	if (exec_id[0] == '\0')
		return c->init;
	for (struct hull_process *p = c->execs; p; p = p->next)
		if (strcmp(p->exec_id, exec_id) == 0)
			return p;
	return NULL;
}

/* ---- leaving */

static void ignore_reply(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	(void)data;
	(void)response;
	if (status->code != HULL_RPC_OK && status->code != HULL_RPC_CANCELLED)
		hull_log_debug("agent: %s", status->message);
}

struct departed {
	struct departed *next;
	struct hull_pod *pod;
	char *id;
	struct hull_strv volumes;      /* that no container has any more */
	struct hull_rpc_request *delete;       /* answered when its disks are free again; NULL: nobody waits */
	bool out_of_guest;             /* what is left to wait for are its disks */
};

static void forget_volumes(struct hull_pod *pod, const struct hull_strv *volumes)
{
	Hull__Agent__V1__VolumesRef m = HULL__AGENT__V1__VOLUMES_REF__INIT;
	m.n_paths = volumes->n;
	m.paths = volumes->v;
	if (volumes->n > 0)
		hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "ForgetVolumes", &m.base,
			      &hull__agent__v1__empty__descriptor, DELETE_TIMEOUT_MS, NULL, 0, ignore_reply, NULL);
}

static void on_fits(void *data, struct hull_container *c, const struct hull_error *err);

static bool is_departing(const struct hull_pod *pod, const char *id)
{
	for (const struct departed *d = pod->departed; d; d = d->next)
		if (strcmp(d->id, id) == 0)
			return true;
	return false;
}

static void answer_delete(struct hull_rpc_request *request)
{
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	if (request)
		hull_rpc_reply(request, &done.base);
}

/* Nothing of it is left in the VM. One that was created again under its name meanwhile comes next. */
static void depart(struct departed *d)
{
	struct hull_pod *pod = d->pod;
	struct departed **at = &pod->departed;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	answer_delete(d->delete);
	struct hull_container *c = hull_pod_find(pod, d->id);
	hull_strv_clear(&d->volumes);
	free(d->id);
	free(d);
	if (c && c->awaits_departed && pod->vm && !pod->lost && !is_departing(pod, c->id)) {
		c->awaits_departed = false;
		hull_pod_fit(c, &c->demand, on_fits, NULL);
	}
}

void hull_container_disks_free(struct hull_pod *pod, const char *id)
{
	for (struct departed *d = pod->departed; d; d = d->next) {
		if (d->out_of_guest && strcmp(d->id, id) == 0) {
			depart(d);
			return;
		}
	}
}

void hull_container_forget_departed(struct hull_pod *pod)
{
	while (pod->departed)
		depart(pod->departed);
}

/* The guest has unmounted what was the container's, or will not. */
static void on_deleted(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct departed *d = data;
	ignore_reply(NULL, status, response);
	if (status->code != HULL_RPC_CANCELLED) {
		hull_disks_release(d->pod, d->id);
		forget_volumes(d->pod, &d->volumes);
		d->out_of_guest = true;
		if (hull_disks_leaving(d->pod, d->id))
			return;
	}
	depart(d);
}

static void unlink_container(struct hull_container *c)
{
	for (struct hull_container **at = &c->pod->containers; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			return;
		}
	}
}

static void free_container(struct hull_container *c)
{
	hull_oom_free(c);
	hull_process_free(c->init);
	while (c->execs) {
		struct hull_process *p = c->execs;
		c->execs = p->next;
		hull_process_free(p);
	}
	hull_closep(&c->dirfd);
	hull_state_free(c->state);
	hull_locals_free(c);
	hull_oci_spec_free(c->spec);
	hull_seccomp_program_clear(&c->seccomp);
	free(c->spec_json);
	free(c->id);
	free(c);
}

void hull_container_remove(struct hull_container *c)
{
	struct hull_pod *pod = c->pod;
	struct hull_error err = HULL_ERROR_INIT;
	bool known = c->in_guest || c->creating;

	hull_pod_fit_cancel(c);
	hull_disks_disown(c);
	if (c->creating)
		hull_rpc_call_cancel(TAKE_PTR(c->creating));
	if (c->network_pending)
		hull_network_forget(pod->network, c);
	struct hull_strv gone = { 0 };
	if (pod->vm && hull_share_remove(hull_vm_share(pod->vm), c->id, &gone, &err) < 0)
		hull_log_warning("%s: %s", c->id, err.message);
	if (known && pod->vm && !pod->lost) {
		Hull__Agent__V1__ContainerRef ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
		ref.container_id = c->id;
		struct departed *departed = hull_new(struct departed, 1);
		departed->pod = pod;
		departed->id = hull_strdup(c->id);
		departed->volumes = gone;
		if (hull_disks_leaving(pod, c->id))
			departed->delete = TAKE_PTR(c->delete);
		departed->next = pod->departed;
		pod->departed = departed;
		hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "DeleteContainer", &ref.base,
			      &hull__agent__v1__empty__descriptor, DELETE_TIMEOUT_MS, NULL, 0, on_deleted, departed);
	} else {
		hull_disks_release(pod, c->id);
		hull_strv_clear(&gone);
	}
	answer_delete(TAKE_PTR(c->delete));
	unlink_container(c);
	free_container(c);
	hull_pod_settle(pod);
}

void hull_container_fail(struct hull_container *c, const struct hull_error *err)
{
	if (c->create)
		hull_rpc_fail_error(TAKE_PTR(c->create), err);
	hull_container_remove(c);
}

/* Its stand-in was killed, or the guest's end came first: whoever creates it is told so. */
static void over_too_early(struct hull_container *c)
{
	const struct hull_exit *e = &c->init->exit;
	struct hull_error err = HULL_ERROR_INIT;
	if (e->lost)
		hull_error_set(&err, EIO, "%s", e->lost);
	else if (e->signal)
		hull_error_set(&err, ECANCELED, "the container was ended by signal %d before it was created", e->signal);
	else
		hull_error_set(&err, ECANCELED, "the container ended with status %d before it was created", e->code);
	hull_rpc_fail_error(TAKE_PTR(c->create), &err);
}

void hull_container_process_over(struct hull_container *c, struct hull_process *p)
{
	struct hull_pod *pod = c->pod;
	if (p == c->init) {
		if (c->create)
			over_too_early(c);
		hull_oom_over(c, p->exit.oom_kills);
		if (c->role != HULL_ROLE_MEMBER)
			/* The pause container's end, or the only container's, is the pod's. */
			hull_pod_wind_down(pod);
		if (c->delete) {
			hull_container_remove(c);
			return;
		}
	}
	if (p != c->init && hull_process_settled(p))
		hull_container_forget_exec(c, p);
	hull_pod_settle(pod);
}

static void forget_in_guest(struct hull_pod *pod, struct hull_process *p)
{
	Hull__Agent__V1__ProcessRef ref = HULL__AGENT__V1__PROCESS_REF__INIT;
	if (!p->attached || !pod->vm || pod->lost)
		return;
	ref.container_id = p->container->id;
	ref.exec_id = p->exec_id;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "DeleteProcess", &ref.base,
		      &hull__agent__v1__empty__descriptor, DELETE_TIMEOUT_MS, NULL, 0, ignore_reply, NULL);
}

void hull_container_forget_exec(struct hull_container *c, struct hull_process *p)
{
	forget_in_guest(c->pod, p);
	for (struct hull_process **at = &c->execs; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			hull_process_free(p);
			return;
		}
	}
}

/* ---- coming */

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
	if (status->code == HULL_RPC_CANCELLED)
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

static void localise_namespaces(json_object *spec, const Hull__Pod__V1__CreateRequest *m)
{
	json_object *linux_object, *list, *type;
	if (!json_object_object_get_ex(spec, "linux", &linux_object) || !json_object_object_get_ex(linux_object, "namespaces", &list))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *entry = json_object_array_get_idx(list, i);
		if (!json_object_object_get_ex(entry, "type", &type))
			continue;
		for (size_t j = 0; j < m->n_joined; j++) {
			if (strcmp(json_object_get_string(type), m->joined[j]->type) != 0)
				continue;
			_cleanup_free_ char *path = hull_asprintf(GUEST_NAMESPACES "/%s", m->joined[j]->container_id);
			json_object_object_add(entry, "path", json_object_new_string(path));
		}
	}
}

/*
 * Block devices of the host that were listed but not named (storage/block.h), and that a rule for all devices allows: their numbers
 * would mean others in the guest. Those that no rule allows are nodes that nobody can open, as with runc.
 */
static void drop_host_disks(struct hull_container *c, const struct hull_oci_spec *spec, json_object *text)
{
	json_object *object, *devices;
	if (!json_object_object_get_ex(text, "linux", &object) || !json_object_object_get_ex(object, "devices", &devices))
		return;
	for (size_t i = spec->n_devices; i-- > 0;) {
		const struct hull_oci_device *d = &spec->devices[i];
		if (d->type != 'b' || hull_disks_is_device(c, (unsigned)i) || !hull_block_is_allowed(spec, d->major, d->minor))
			continue;
		json_object_array_del_idx(devices, i, 1);
		hull_disks_renumber(c, (unsigned)i);
	}
}

/* The profile stays here and its program goes instead. */
static int compile_seccomp(struct hull_container *c, json_object *spec, struct hull_error *err)
{
	json_object *object, *profile;
	if (!c->spec->seccomp.present || !json_object_object_get_ex(spec, "linux", &object) ||
	    !json_object_object_get_ex(object, "seccomp", &profile))
		return 0;
	int r = hull_seccomp_compile(&c->pod->seccomp, &c->spec->seccomp, json_object_to_json_string_ext(profile, JSON_C_TO_STRING_PLAIN),
				     &c->seccomp, err);
	json_object_object_del(object, "seccomp");
	return r;
}

/*
 * config.json as the guest needs it: sources of bind mounts are places in the share, joined namespaces are containers'. Hooks of the
 * host stay here.
 */
static int localise_spec(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, char *const *volumes, struct hull_error *err)
{
	static const char *const host_hooks[] = { "prestart", "createRuntime", "createContainer", "poststart", "poststop" };
	_cleanup_free_ char *text = hull_strndup((const char *)m->spec_json.data, m->spec_json.len);
	json_object *spec = json_tokener_parse(text), *mounts, *hooks;

	if (!spec)
		return hull_error_set(err, EBADMSG, "config.json does not parse");
	if (json_object_object_get_ex(spec, "mounts", &mounts)) {
		for (size_t i = 0; i < m->n_mounts; i++) {
			_cleanup_free_ char *source = hull_strdup(volumes[i]);
			json_object *mount = json_object_array_get_idx(mounts, m->mounts[i]->index);
			if (mount)
				json_object_object_add(mount, "source", json_object_new_string(source));
		}
	}
	localise_namespaces(spec, m);
	drop_host_disks(c, c->spec, spec);
	int r = compile_seccomp(c, spec, err);
	if (json_object_object_get_ex(spec, "hooks", &hooks))
		for (size_t i = 0; i < HULL_ARRAY_SIZE(host_hooks); i++)
			json_object_object_del(hooks, host_hooks[i]);
	c->spec_json = hull_strdup(json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(spec);
	return r;
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
		r = localise_spec(c, m, volumes, err);
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
		else if (pod->up && is_departing(pod, c->id))
			c->awaits_departed = true;
		else if (pod->up)
			hull_pod_fit(c, &c->demand, on_fits, NULL);
	}
	close_fds(fds + used, n_fds - used);
	hull_oci_spec_free(spec);
}
