/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container in a VM cannot have, refused by name before anything is made: a setting that silently does nothing is
 * worse than one that fails. What only weakens an inner layer (AppArmor, SELinux) is ignored and noted by the parser instead.
 */
#include <seccomp.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "oci/spec.h"

/* Namespaces of which a container must have its own, for it lives on another kernel than the host's. */
static const struct {
	enum hull_oci_ns_type type;
	const char *name, *remedy;
} required_namespaces[] = {
	{ HULL_NS_PID, "pid", "do not ask for the host's (--pid host, hostPID)" },
	{ HULL_NS_NETWORK, "network", "do not ask for the host's (--network host, hostNetwork)" },
	{ HULL_NS_IPC, "ipc", "do not ask for the host's (--ipc host, hostIPC)" },
	{ HULL_NS_UTS, "uts", "do not ask for the host's (--uts host)" },
	{ HULL_NS_MOUNT, "mount", "add { \"type\": \"mount\" }" },
};

static int check_namespaces(const struct hull_oci_spec *spec, struct hull_error *err)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(required_namespaces); i++)
		if (!spec->namespaces[required_namespaces[i].type].present)
			return hull_error_set(err, ENOTSUP, "linux.namespaces: no %s namespace: the container would join the "
					      "host's, which a VM cannot do; %s", required_namespaces[i].name,
					      required_namespaces[i].remedy);
	if (spec->namespaces[HULL_NS_MOUNT].path)
		return hull_error_set(err, ENOTSUP, "linux.namespaces: mount: joining an existing mount namespace is not "
				      "supported: those of the host do not exist in the VM");
	return 0;
}

static int check_seccomp(const struct hull_oci_spec *spec, struct hull_error *err)
{
	const struct hull_oci_seccomp *s = &spec->seccomp;

	if (s->listener_path)
		return hull_error_set(err, ENOTSUP, "linux.seccomp.listenerPath: not supported: the notification fd cannot leave "
				      "the VM");
	for (size_t i = 0; i < s->n_rules; i++)
		if (s->rules[i].action == SCMP_ACT_NOTIFY)
			return hull_error_set(err, ENOTSUP, "linux.seccomp.syscalls[%zu].action: SCMP_ACT_NOTIFY is not supported: "
					      "the notification fd cannot leave the VM", i);
	return 0;
}

static int check_mounts(const struct hull_oci_spec *spec, struct hull_error *err)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct hull_oci_mount *m = &spec->mounts[i];
		if (m->idmap || m->ridmap)
			return hull_error_set(err, ENOTSUP, "mounts[%zu]: id-mapped mounts are not supported: the VM's shared file "
					      "system cannot map ids", i);
		if (m->is_bind && (m->propagation & MS_SHARED))
			return hull_error_set(err, ENOTSUP, "mounts[%zu]: propagation \"%sshared\" (Kubernetes: Bidirectional) is not supported: what "
					      "is mounted in the VM cannot appear on the host", i, m->propagation & MS_REC ? "r" : "");
		if (m->is_bind && (m->propagation & MS_SLAVE) && ((m->flags & MS_RDONLY) || (m->rec_attr_set & MOUNT_ATTR_RDONLY)))
			return hull_error_set(err, ENOTSUP, "mounts[%zu]: propagation \"%sslave\" (Kubernetes: HostToContainer) of a read-only mount "
					      "is not supported: what the host mounts there later would be writable for the VM", i,
					      m->propagation & MS_REC ? "r" : "");
		if (!m->is_bind && m->type && strcmp(m->type, "overlay") == 0)
			return hull_error_set(err, ENOTSUP, "mounts[%zu]: type overlay is not supported (podman: volumes with :O, "
					      "--mount type=image): its directories are the host's, which the VM does not have", i);
	}
	return 0;
}

static int check_hardware(const struct hull_oci_spec *spec, struct hull_error *err)
{
	if (spec->has_intel_rdt)
		return hull_error_set(err, ENOTSUP, "linux.intelRdt: not supported: the VM does not show the host's cache and "
				      "memory bandwidth controls");
	if (spec->resources.has_rdma)
		return hull_error_set(err, ENOTSUP, "linux.resources.rdma: not supported: the VM has none of the host's RDMA devices");
	return 0;
}

int hull_oci_spec_check_supported(const struct hull_oci_spec *spec, struct hull_error *err)
{
	static int (*const checks[])(const struct hull_oci_spec *, struct hull_error *) = {
		check_namespaces, check_seccomp, check_mounts, check_hardware,
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(checks); i++) {
		int r = checks[i](spec, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat st_a, st_b;
	return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

int hull_oci_spec_check_own_network(const struct hull_oci_spec *spec, struct hull_error *err)
{
	const char *path = spec->namespaces[HULL_NS_NETWORK].path;
	static const char *const hosts[] = { "/proc/self/ns/net", "/proc/1/ns/net" };

	for (size_t i = 0; path && i < HULL_ARRAY_SIZE(hosts); i++)
		if (is_same_file(path, hosts[i]))
			return hull_error_set(err, ENOTSUP, "linux.namespaces: network: %s is the host's network namespace, which a "
					      "VM cannot join; do not ask for it (--network host, hostNetwork)", path);
	return 0;
}
