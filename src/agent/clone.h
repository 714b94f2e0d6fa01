/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * fork() with CLONE_… flags, into the control group behind `cgroup_fd` unless it is -1. With CLONE_PARENT the new process
 * is a sibling. Returns the pid in the caller's pid namespace, 0 in the child, or -errno.
 */
pid_t hull_clone(uint64_t flags, int cgroup_fd);
