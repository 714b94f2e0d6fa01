/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod's first container may use, as limits on the host's processes of its VM. */
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "pod/group.h"
#include "pod/pod.h"

#define MIB (UINT64_C(1) << 20)
/* Measured: 60 MiB of an idle QEMU and virtiofsd, and what the kernel keeps for them; page tables grow with the VM. */
#define OVERHEAD_BASE_BYTES (128 * MIB)
#define OVERHEAD_PART 128
/* Translated code (qemu_args.c: 256 MiB at most) and what QEMU keeps about it. */
#define OVERHEAD_TCG_BYTES (384 * MIB)

static struct hull_hostgroup_vm needs(const struct hull_pod *pod)
{
	const struct hull_vm_facts *facts = hull_vm_facts(pod->vm);
	return (struct hull_hostgroup_vm){
		.memory_bytes = facts->memory_bytes,
		.overhead_bytes = OVERHEAD_BASE_BYTES + facts->memory_bytes / OVERHEAD_PART +
				  (facts->accel == HULL_ACCEL_TCG ? OVERHEAD_TCG_BYTES : 0),
	};
}

int hull_container_limit_host(struct hull_container *c, const struct hull_oci_resources *resources, struct hull_error *err)
{
	/* It has nothing but its stand-in on the host. */
	if (c->role == HULL_ROLE_MEMBER)
		return hull_group_check_member(resources, err);
	const struct hull_hostgroup_vm vm = needs(c->pod);
	return hull_hostgroup_limit(&c->state->group, resources, &vm, err);
}

int hull_container_limit_host_first(struct hull_container *c, struct hull_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct hull_oci_spec *spec = NULL;
	size_t len;
	int r = hull_file_read(c->dirfd, "config.json", HULL_OCI_CONFIG_MAX_BYTES, &text, &len);
	if (r < 0)
		return hull_error_errno(err, r, "read config.json of container %s", c->id);
	r = hull_oci_spec_parse(text, len, &spec, err);
	if (r == 0 && spec->has_resources) {
		r = hull_container_limit_host(c, &spec->resources, err);
		if (r < 0)
			hull_error_wrap(err, "config.json");
	}
	hull_oci_spec_free(spec);
	return r;
}
