/* SPDX-License-Identifier: Apache-2.0 */
/* A container's root on a disk of its own. */
#pragma once

#include "agent/disks.h"

/*
 * Mounts the disk; *ret_fd is the detached root. If it is to be written to and the disk or its file system cannot, what is written
 * goes into a layer in memory, on the container's account. In a mount namespace that becomes the container's.
 */
int hull_disk_root_open(const struct hull_disk_root *disk, bool writable, int *ret_fd, struct hull_error *err);
