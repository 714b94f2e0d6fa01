/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod's first container may use, as limits on the host's processes of its VM. */
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "pod/group.h"
#include "pod/pod.h"

#define MIB (UINT64_C(1) << 20)
/* Measured: 60 MiB of an idle QEMU and virtiofsd, and what the kernel keeps for them; page tables grow with the VM. */
#define OVERHEAD_BASE_BYTES (128 * MIB)
#define OVERHEAD_PART 128
/* Translated code (qemu_args.c: 256 MiB at most) and what QEMU keeps about it. */
#define OVERHEAD_TCG_BYTES (384 * MIB)
/* The least that cpu.shares takes. */
#define SHARES_OF_NOTHING 2

/* Of a VM that has, or is about to have, so much memory. */
static struct hull_hostgroup_vm needs(const struct hull_pod *pod, uint64_t memory_bytes)
{
	const struct hull_vm_facts *facts = hull_vm_facts(pod->vm);
	if (memory_bytes < facts->memory_bytes)
		memory_bytes = facts->memory_bytes;
	return (struct hull_hostgroup_vm){
		.memory_bytes = memory_bytes,
		.overhead_bytes = OVERHEAD_BASE_BYTES + memory_bytes / OVERHEAD_PART +
				  (facts->accel == HULL_ACCEL_TCG ? OVERHEAD_TCG_BYTES : 0),
	};
}

/*
 * A pause container's shares say that it wants nothing. Its group has the whole pod's VM, which would starve with them: its weight is the pod's
 * group's, where the engine makes one. Source: containerd, internal/cri/server/podsandbox, defaultSandboxCPUshares.
 */
static bool wants_nothing(const struct hull_container *c, const struct hull_oci_resources *resources)
{
	return c->role == HULL_ROLE_SANDBOX && resources->has_cpu_shares && resources->cpu_shares <= SHARES_OF_NOTHING;
}

int hull_container_limit_host(struct hull_container *c, const struct hull_oci_resources *resources, struct hull_error *err)
{
	struct hull_oci_resources asked = *resources;
	/* It has nothing but its stand-in on the host. */
	if (c->role == HULL_ROLE_MEMBER)
		return hull_group_check_member(resources, err);
	const struct hull_hostgroup_vm vm = needs(c->pod, 0);
	asked.has_cpu_shares = resources->has_cpu_shares && !wants_nothing(c, resources);
	int r = hull_hostgroup_limit(&c->state->group, &asked, &vm, err);
	if (r == 0 && resources->has_memory_limit && resources->memory_limit != 0)
		c->host_memory_limited = resources->memory_limit > 0;
	return r;
}

void hull_pod_widen_host(struct hull_pod *pod, uint64_t memory_bytes)
{
	const struct hull_oci_resources any = { .has_memory_limit = true, .memory_limit = 1 };
	const struct hull_hostgroup_vm vm = needs(pod, memory_bytes);
	struct hull_error err = HULL_ERROR_INIT;
	for (struct hull_container *c = pod->containers; c; c = c->next)
		if (c->host_memory_limited && hull_hostgroup_limit(&c->state->group, &any, &vm, &err) < 0)
			hull_log_warning("%s: %s", c->id, err.message);
}

int hull_container_boot(struct hull_container *c, const struct hull_oci_spec *spec, int netns_fd, struct hull_error *err)
{
	struct hull_hostgroup own = { 0 };
	struct hull_error back_err = HULL_ERROR_INIT;
	/* A supervisor that outlives the container is not in its group: what it starts has to be. */
	bool away = c->state->keeps_serving && !c->pod->vm && c->state->group.n > 0;
	if (!away)
		return hull_pod_boot(c->pod, spec, netns_fd, err);
	int r = hull_hostgroup_own(&own, err);
	if (r == 0)
		r = hull_hostgroup_add(&c->state->group, getpid(), err);
	if (r < 0) {
		hull_closep(&netns_fd);
		hull_hostgroup_clear(&own);
		return r;
	}
	r = hull_pod_boot(c->pod, spec, netns_fd, err);
	if (hull_hostgroup_add(&own, getpid(), &back_err) < 0)
		hull_log_warning("%s: %s", c->id, back_err.message);
	hull_hostgroup_clear(&own);
	return r;
}
