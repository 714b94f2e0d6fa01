/* SPDX-License-Identifier: Apache-2.0 */
/* A container's first process, from the launcher to its program. */
#include "agent/child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/attrs.h"
#include "agent/dev_nodes.h"
#include "agent/disk_root.h"
#include "agent/hooks.h"
#include "agent/inroot.h"
#include "agent/mounts.h"
#include "agent/sync.h"
#include "agent/sysctl.h"
#include "agent/volumes.h"
#include "base/cleanup.h"
#include "base/file.h"

/* The offsets belong to the time namespace of the children, who enter it when they are cloned.
 * Source: time_namespaces(7), /proc/PID/timens_offsets. */
static int set_time_offsets(const struct hull_oci_spec *spec, struct hull_error *err)
{
	for (size_t i = 0; i < spec->time_offsets.n; i++) {
		const struct hull_oci_kv *offset = &spec->time_offsets.v[i];
		char text[128];
		snprintf(text, sizeof(text), "%.16s %.64s", offset->key, offset->value);
		int r = hull_file_write(AT_FDCWD, "/proc/self/timens_offsets", text);
		if (r < 0)
			return hull_error_errno(err, r, "linux.timeOffsets: %s", text);
	}
	return 0;
}

/* Network, IPC and UTS namespaces of other containers that are not the VM's own. */
static int join_shared(const struct hull_child *child, struct hull_error *err)
{
	static const struct { enum hull_oci_ns_type type; int flag; } kinds[] = {
		{ HULL_NS_NETWORK, CLONE_NEWNET }, { HULL_NS_IPC, CLONE_NEWIPC }, { HULL_NS_UTS, CLONE_NEWUTS },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(kinds); i++)
		if (child->join[kinds[i].type] >= 0 && setns(child->join[kinds[i].type], kinds[i].flag) < 0)
			return hull_error_errno(err, errno, "join the %s namespace", hull_oci_namespace_name(kinds[i].type));
	return 0;
}

/* A new network namespace has one interface, which is down. Source: netdevice(7). */
static int set_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
}

/* What needs the VM's own privileges, in a mount namespace that becomes the container's (or dies with the launcher). */
static int launch(const struct hull_child *child, struct hull_mount_sources *sources, struct hull_error *err)
{
	const struct hull_oci_spec *spec = child->spec;
	int own = CLONE_NEWNS | child->new_namespaces;
	if (spec->namespaces[HULL_NS_TIME].present)
		own |= CLONE_NEWTIME;

	if (join_shared(child, err) < 0)
		return -err->code;
	hull_volumes_cross(spec);
	if (unshare(own) < 0)
		return hull_error_errno(err, errno, "make namespaces");
	if ((own & CLONE_NEWNET) && set_loopback_up() < 0)
		return hull_error_errno(err, errno, "set lo up");
	if (set_time_offsets(spec, err) < 0)
		return -err->code;
	if (child->sets_hostname && spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return hull_error_errno(err, errno, "sethostname");
	if (child->sets_hostname && spec->domainname && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
		return hull_error_errno(err, errno, "setdomainname");
	if (hull_sysctl_apply(&spec->sysctl, err) < 0)
		return -err->code;
	if (child->root_disk->device[0] &&
	    hull_disk_root_open(child->root_disk, !child->readonly_rootfs, &sources->root, err) < 0)
		return -err->code;
	if (hull_mounts_open_sources(spec, child->rootfs, child->user_namespace, sources, err) < 0)
		return -err->code;
	return child->user_namespace ? hull_attrs_set_rlimits(child->process, err) : 0;
}

static int split(const struct hull_child *child, struct hull_error *err)
{
	unsigned long flags = CLONE_NEWCGROUP;
	if (child->join[HULL_NS_PID] >= 0) {
		if (setns(child->join[HULL_NS_PID], CLONE_NEWPID) < 0)
			return hull_error_errno(err, errno, "join the pid namespace");
	} else {
		flags |= CLONE_NEWPID;
	}
	if (child->user_namespace)
		flags |= CLONE_NEWNS;
	if (child->join[HULL_NS_USER] >= 0) {
		if (setns(child->join[HULL_NS_USER], CLONE_NEWUSER) < 0)
			return hull_error_errno(err, errno, "join the user namespace");
	} else if (child->user_namespace) {
		flags |= CLONE_NEWUSER;
	}
	return hull_child_split(child, flags, err);
}

static int connect_terminal(const struct hull_child *child, int rootfd, int devpts, struct hull_error *err)
{
	_cleanup_close_ int master = -1, slave = -1;
	if (hull_pty_open(devpts, child->process, &master, &slave, err) < 0 ||
	    hull_pty_bind_console(rootfd, devpts, master, err) < 0 ||
	    hull_pty_adopt(slave, child->process, err) < 0)
		return -err->code;
	int r = hull_sync_send(child->sync, HULL_SYNC_TTY, 0, NULL, master);
	return r < 0 ? hull_error_errno(err, r, "pass the terminal") : 0;
}

/* runc makes a missing working directory. */
static int make_cwd(int rootfd, const char *cwd, struct hull_error *err)
{
	if (!cwd || !*cwd)
		return 0;
	_cleanup_close_ int fd = hull_inroot_make(rootfd, cwd, true);
	return fd < 0 ? hull_error_errno(err, fd, "mkdir %s", cwd) : 0;
}

static int build_root(const struct hull_child *child, struct hull_mount_sources *sources, struct hull_error *err)
{
	const struct hull_oci_spec *spec = child->spec;
	_cleanup_close_ int devpts = -1;
	_cleanup_close_ int rootfd = hull_mounts_attach_root(sources, err);
	if (rootfd < 0 || hull_mounts_apply(rootfd, spec, sources, &devpts, err) < 0 ||
	    hull_dev_nodes_create(rootfd, spec, child->user_namespace, err) < 0)
		return -err->code;
	if (child->process->terminal && connect_terminal(child, rootfd, devpts, err) < 0)
		return -err->code;
	if (make_cwd(rootfd, child->process->cwd, err) < 0 ||
	    hull_mounts_restrict(rootfd, spec, err) < 0 ||
	    hull_mounts_enter_root(rootfd, spec, child->readonly_rootfs, err) < 0)
		return -err->code;
	return 0;
}

/* Everything up to the moment where StartContainer is awaited. */
static int prepare(const struct hull_child *child, struct hull_mount_sources *sources,
		   struct hull_attrs_program *program, struct hull_error *err)
{
	if (hull_child_settle(child, err) < 0 || build_root(child, sources, err) < 0)
		return hull_error_wrap(err, "error during container init");

	struct hull_attrs attrs = {
		.process = child->process, .container_id = child->container_id, .filter = child->filter,
		.new_keyring = child->new_keyring, .user_namespace = child->user_namespace,
		.has_personality = child->has_personality, .personality = child->personality, .n_preserved = child->n_preserved,
		.program_may_follow = child->program_may_follow,
	};
	return hull_attrs_apply(&attrs, program, err);
}

void hull_child_create(struct hull_child *child)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_mount_sources sources = { .root = -1 };
	struct hull_attrs_program program;

	if (hull_child_prologue(child, &err) < 0 || launch(child, &sources, &err) < 0 || split(child, &err) < 0) {
		hull_error_wrap(&err, "error during container init");
		hull_child_fail(child, &err);
	}

	/* From here on in the process proper. */
	if (prepare(child, &sources, &program, &err) < 0)
		hull_child_fail(child, &err);
	if (hull_sync_send(child->sync, HULL_SYNC_READY, 0, NULL, -1) < 0 || hull_sync_await_go(child->sync) < 0)
		_exit(1);
	if (hull_hooks_run(child->spec, child->engine_id, &err) < 0)
		hull_child_fail(child, &err);
	hull_attrs_execute(&program, &err);
	hull_child_fail(child, &err);
}
