/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups of the guest (version 2 only):
 *
 *     /init          the agent, protected from what happens next to it
 *     /hull          all containers; bounded so that the agent and the kernel always have room
 *     /hull/<id>     one container
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "oci/spec.h"

#define HULL_CGROUP_MOUNT "/sys/fs/cgroup"
#define HULL_CGROUP_POD HULL_CGROUP_MOUNT "/hull"

/* Makes /init and /hull, enables every controller, moves the agent. */
int hull_cgroup_setup(struct hull_error *err);

/* Bounds all containers together. */
void hull_cgroup_limit_pod(uint64_t memory_bytes, uint64_t pids);

/* Makes the container's group. Returns its directory's fd (O_PATH would not do for clone3) or -errno. */
int hull_cgroup_create(const char *id, struct hull_error *err);

/* Writes the limits of `resources` into the group, but for what hull_cgroup_seal() adds. */
int hull_cgroup_apply(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err);

/*
 * What would hinder those who set the container up, once they are done and before any of its own code runs: pids.max (a container
 * without a limit gets most of what the pod has) and the rules for devices, disks that are mounted for it among them.
 */
int hull_cgroup_seal(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err);

/* Changes the limits that `resources` names; device rules stay. */
int hull_cgroup_update(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err);

/* Kills every process of the group and below. */
int hull_cgroup_kill(int cgroup_fd);

/* Sends `sig` to every process of the group and below through pidfds. -ESRCH when there was none. */
int hull_cgroup_signal(int cgroup_fd, const char *id, int sig);

/* Whether any process, zombies apart, is left. */
bool hull_cgroup_populated(int cgroup_fd);

/* Asks the kernel to freeze or thaw; hull_cgroup_frozen() tells when it has happened. */
int hull_cgroup_freeze(int cgroup_fd, bool freeze);
bool hull_cgroup_frozen(int cgroup_fd);

/* Processes that the kernel's OOM killer has ended in the group and below. */
uint64_t hull_cgroup_oom_kills(int cgroup_fd);

/* Removes the group and what containers made below it. -EBUSY while it has processes. */
int hull_cgroup_remove(const char *id);

/*
 * Calls `fn` for each process of the group and below until it returns nonzero, which is passed on.
 * A process may be seen twice or be gone by then.
 */
int hull_cgroup_each(int cgroup_fd, int (*fn)(void *data, pid_t pid), void *data);
