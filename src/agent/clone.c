/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t hull_clone(uint64_t flags, int cgroup_fd)
{
	struct clone_args args = {
		.flags = flags,
		/* A sibling inherits the signal. Source: clone(2), CLONE_PARENT. */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	return pid < 0 ? -errno : (pid_t)pid;
}
