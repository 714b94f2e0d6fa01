/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of a pod's containers, from the Create request to the unplugging. Private to src/pod. */
#pragma once

#include "pod/pod.h"

/* Takes the disks of the request; their descriptors are taken out of `fds` (one per disk, in order). */
void hull_disks_take(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, int *fds);

/*
 * Whether everything that the container needs is plugged in. If not, it begins to plug, and hull_container_continue() runs once all
 * is there, or hull_container_fail(). Only with a VM that is up.
 */
bool hull_disks_ready(struct hull_container *c);

/* The disks for the agent. The array is the caller's, what is in it belongs to the container's disks. */
Hull__Agent__V1__Disk *hull_disks_describe(struct hull_container *c, size_t *ret_n);

/* The container has a disk for its root. */
bool hull_disks_has_rootfs(const struct hull_container *c);

/* Whether a disk is linux.devices[index]; *ret_index changes to what it is called then. */
bool hull_disks_is_device(const struct hull_container *c, unsigned index);
void hull_disks_renumber(struct hull_container *c, unsigned removed_device);

/* The container goes. Its disks are no longer its own, for another one may be created under its name at once. */
void hull_disks_disown(struct hull_container *c);

/* The guest has let go of a container that went: its disks are unplugged. */
void hull_disks_release(struct hull_pod *pod, const char *container_id);

/* Whether disks of a container that went are still in the VM and may yet leave it. */
bool hull_disks_leaving(const struct hull_pod *pod, const char *container_id);

/* Frees what is left after the VM. */
void hull_disks_free(struct hull_pod *pod);
