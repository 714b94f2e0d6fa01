/* SPDX-License-Identifier: Apache-2.0 */
/* CreateContainer: from the request to the launcher. */
#include "agent/agent.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <linux/sched.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/cgroup.h"
#include "agent/child.h"
#include "agent/disks.h"
#include "agent/locals.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/units.h"

/*
 * `path` of a namespace: HULL_RUN_DIR "/ns/<container id>" names that container's, anything else means the pod's, that is, its
 * first container's.
 */
static struct hull_container *namespace_owner(struct hull_container *container, const char *path)
{
	const char *prefix = HULL_RUN_DIR "/ns/";
	const char *id = container->agent->pod_container;
	if (strncmp(path, prefix, strlen(prefix)) == 0)
		id = path + strlen(prefix);
	struct hull_container *owner = id ? hull_container_find(container->agent, id) : NULL;
	return owner == container ? NULL : owner;
}

static int find_living_owner(struct hull_container *container, enum hull_oci_ns_type type, struct hull_container **ret,
			     struct hull_error *err)
{
	struct hull_container *owner = namespace_owner(container, container->spec->namespaces[type].path);
	if (!owner || !owner->init || owner->init->pidfd < 0 || owner->init->exited_at_ns)
		return hull_error_set(err, ESRCH, "the %s namespace to join has no living container", hull_oci_namespace_name(type));
	*ret = owner;
	return 0;
}

static int join_namespace(struct hull_container *container, enum hull_oci_ns_type type, int *ret, struct hull_error *err)
{
	struct hull_container *owner;
	if (!container->spec->namespaces[type].path)
		return 0;
	if (find_living_owner(container, type, &owner, err) < 0)
		return -err->code;
	if (type == HULL_NS_USER && !owner->user_namespace)
		return hull_error_set(err, EINVAL, "container %s has no user namespace to join", owner->id);
	*ret = owner->init->pidfd;
	if (type == HULL_NS_USER && container->n_uid_map == 0 && owner->n_uid_map) {
		container->uid_map = hull_memdup(owner->uid_map, owner->n_uid_map * sizeof(*owner->uid_map));
		container->n_uid_map = owner->n_uid_map;
	}
	return 0;
}

/*
 * Network, IPC and UTS. The first container's are the VM's own, for nothing else lives in them. A later one has a new one if it asks
 * for that, the VM's own if it joins one that is, and another container's else.
 */
static int decide_shared(struct hull_container *container, bool first, struct hull_child *child, struct hull_error *err)
{
	static const struct { enum hull_oci_ns_type type; int flag; } kinds[] = {
		{ HULL_NS_NETWORK, CLONE_NEWNET }, { HULL_NS_IPC, CLONE_NEWIPC }, { HULL_NS_UTS, CLONE_NEWUTS },
	};
	for (size_t i = 0; !first && i < HULL_ARRAY_SIZE(kinds); i++) {
		const struct hull_oci_namespace *ns = &container->spec->namespaces[kinds[i].type];
		struct hull_container *owner = NULL;
		if (!ns->present)
			continue;
		if (ns->path && find_living_owner(container, kinds[i].type, &owner, err) < 0)
			return -err->code;
		if (owner && !(owner->own_namespaces & kinds[i].flag))
			continue;
		container->own_namespaces |= kinds[i].flag;
		if (owner)
			child->join[kinds[i].type] = owner->init->pidfd;
		else
			child->new_namespaces |= kinds[i].flag;
	}
	return 0;
}

static void take_maps(struct hull_container *container)
{
	struct hull_oci_spec *spec = container->spec;
	container->uid_map = TAKE_PTR(spec->uid_mappings);
	container->gid_map = TAKE_PTR(spec->gid_mappings);
	container->n_uid_map = spec->n_uid_mappings;
	container->n_gid_map = spec->n_gid_mappings;
	spec->n_uid_mappings = spec->n_gid_mappings = 0;
}

static int check_namespaces(const struct hull_oci_spec *spec, struct hull_error *err)
{
	if (!spec->namespaces[HULL_NS_PID].present)
		return hull_error_set(err, EINVAL, "linux.namespaces: the VM's own pid namespace is not for containers");
	if (!spec->namespaces[HULL_NS_MOUNT].present)
		return hull_error_set(err, EINVAL, "linux.namespaces: the VM's own mount namespace is not for containers");
	return 0;
}

/* What is decided once and kept for exec. */
static int decide(struct hull_container *container, const Hull__Agent__V1__CreateContainerRequest *request,
		  struct hull_child *child, struct hull_error *err)
{
	const struct hull_oci_spec *spec = container->spec;
	const struct hull_oci_namespace *ns = spec->namespaces;
	bool first = strcmp(container->agent->pod_container, container->id) == 0;

	if (check_namespaces(spec, err) < 0)
		return -err->code;
	container->user_namespace = ns[HULL_NS_USER].present;
	container->shares_pid = ns[HULL_NS_PID].path != NULL;
	container->new_keyring = !request->no_new_keyring;
	container->has_personality = spec->has_personality;
	container->personality = spec->personality;
	take_maps(container);

	/* The first container's host name is the pod's. */
	child->sets_hostname = ns[HULL_NS_UTS].present && !ns[HULL_NS_UTS].path;
	if (decide_shared(container, first, child, err) < 0)
		return -err->code;
	container->exec_namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP |
				     container->own_namespaces |
				     (container->user_namespace ? CLONE_NEWUSER : 0) |
				     (ns[HULL_NS_TIME].present ? CLONE_NEWTIME : 0);
	if (join_namespace(container, HULL_NS_PID, &child->join[HULL_NS_PID], err) < 0 ||
	    join_namespace(container, HULL_NS_USER, &child->join[HULL_NS_USER], err) < 0)
		return -err->code;
	return 0;
}

static int apply_resources(struct hull_container *container, struct hull_error *err)
{
	static const struct hull_oci_resources none;
	const struct hull_oci_spec *spec = container->spec;
	return hull_cgroup_apply(container->cgroup_fd, spec->has_resources ? &spec->resources : &none, err);
}

static int create(struct hull_container *container, const Hull__Agent__V1__CreateContainerRequest *message,
		  struct hull_rpc_request *request, struct hull_error *err)
{
	struct hull_oci_spec *spec = container->spec;
	struct hull_child child = {
		.container_id = container->id, .engine_id = message->engine_id[0] ? message->engine_id : container->id,
		.process = &spec->process, .spec = spec, .rootfs = message->rootfs,
		.program_may_follow = message->program_may_follow, .readonly_rootfs = message->readonly_rootfs, .cgroup_fd = -1, .join = HULL_CHILD_JOIN_NONE, .target = -1,
	};
	const struct hull_launch_streams streams = {
		{ message->has_stdin, message->has_stdout, message->has_stderr }, message->preserved, message->n_preserved,
	};

	struct hull_disk_root root;
	if (hull_disks_resolve(spec, message->disks, message->n_disks, &root, err) < 0)
		return -err->code;
	child.root_disk = &root;
	if (hull_locals_mount(message->locals, message->n_locals, err) < 0)
		return -err->code;
	hull_hugepages_allow(spec);
	if (decide(container, message, &child, err) < 0 || apply_resources(container, err) < 0)
		return -err->code;
	if (hull_filter_take(message->seccomp.data, message->seccomp.len, message->seccomp_flags, &container->filter, err) < 0)
		return -err->code;
	child.filter = &container->filter;
	child.user_namespace = container->user_namespace;
	child.new_keyring = container->new_keyring;
	child.has_personality = container->has_personality;
	child.personality = container->personality;

	container->on_share = *message->rootfs != '\0';
	container->init = hull_process_new(container, "", spec->process.terminal);
	return hull_launch(container->init, &child, hull_child_create, &streams, request, err);
}

void hull_handle_create_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__CreateContainerRequest *m = (const Hull__Agent__V1__CreateContainerRequest *)message;
	struct hull_agent *agent = data;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = NULL;

	if (!hull_container_id_valid(m->container_id)) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "invalid container id");
		return;
	}
	if (hull_container_find(agent, m->container_id)) {
		hull_rpc_fail(request, HULL_RPC_ALREADY_EXISTS, "container %s exists in the VM", m->container_id);
		return;
	}
	if (agent->n_containers >= HULL_AGENT_CONTAINERS_MAX || agent->n_processes >= HULL_AGENT_PROCESSES_MAX) {
		hull_rpc_fail(request, HULL_RPC_RESOURCE_EXHAUSTED, "too many containers in the VM");
		return;
	}
	if (hull_oci_spec_parse((const char *)m->spec_json.data, m->spec_json.len, &spec, &err) < 0) {
		hull_rpc_fail_error(request, &err);
		return;
	}
	if (!spec->has_process || spec->process.args.n == 0) {
		hull_oci_spec_free(spec);
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "process.args: nothing to execute");
		return;
	}
	hull_boot_update_reserve();
	struct hull_container *container = hull_container_new(agent, m->container_id, &err);
	if (!container) {
		hull_oci_spec_free(spec);
		hull_rpc_fail_error(request, &err);
		return;
	}
	container->spec = spec;
	if (create(container, m, request, &err) < 0) {
		hull_error_wrap(&err, "unable to start container process");
		hull_container_destroy(container, request, &err);
	}
}
