/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the file systems of a container mounted until the kernel is done with its files.
 *
 * Each of them is a submount of the share with a superblock of its own. FUSE closes files and reads ahead in the background, and holds the
 * inode meanwhile, but unmounting a submount does not wait for that: the last mount that goes too early leaves "busy inodes after
 * unmount", and the kernel panics when the answer comes. Source: linux fs/fuse/virtio_fs.c, virtio_kill_sb(), which waits for the
 * share itself only; fs/fuse/file.c, fuse_prepare_release(); fs/super.c, VFS_PTR_POISON.
 */
#pragma once

#include "agent/agent.h"

struct hull_keep;

/* Holds the root of a process that is set up (0: its root is not on the share), and the volumes of the specification. */
struct hull_keep *hull_keep_new(uv_loop_t *loop, pid_t pid, const struct hull_oci_spec *spec);

/* The container is gone: lets go of them a while later, and frees. NULL is fine. */
void hull_keep_release(struct hull_keep *keep);
