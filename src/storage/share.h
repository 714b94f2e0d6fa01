/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod's one shared directory: virtiofsd and what is mounted where it looks.
 *
 * The supervisor lives in a mount namespace of its own. In it the share's root is a small tmpfs that is a shared mount, so that
 * what is mounted later reaches virtiofsd, whose namespace is a slave of it. When supervisor and virtiofsd end,
 * however they end, the namespaces go and every mount with them: there is nothing to undo.
 *
 *     SHARE/<container>/rootfs        the container's root
 *     SHARE/<container>/mounts/<n>    source of config.json's mounts[n]
 *
 * Every mount is nosuid, nodev and noexec on the host's side: virtiofsd never needs any of them. Read-only ones are
 * read-only here, whatever the guest believes.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <uv.h>

#include "base/error.h"

struct hull_share;

/*
 * The clone of the tree at `path` as a detached mount, made in the caller's namespace; `recursive` takes what is mounted below
 * along. The fd or -errno, err set. Source: open_tree(2).
 */
int hull_mount_clone(const char *path, bool recursive, struct hull_error *err);

/* Gives the process a private copy of the mount namespace whose mounts no longer travel to the host. */
int hull_share_enter_namespace(struct hull_error *err);

/*
 * Makes the share's root at `dir` (an existing directory), starts virtiofsd at `virtiofsd_path` on it and connects to it.
 * *ret_vhost_fd is the VMM's end. Flags are found by asking the binary, not by its version.
 * on_exit runs once from the loop if virtiofsd ends before hull_share_free().
 */
int hull_share_start(uv_loop_t *loop, const char *virtiofsd_path, const char *dir,
		     void (*on_exit)(void *data, const char *reason), void *data,
		     int *ret_vhost_fd, struct hull_share **ret, struct hull_error *err);

pid_t hull_share_pid(const struct hull_share *share);

/* Attaches a detached mount as SHARE/<container>/rootfs. `mount_fd` is borrowed. */
int hull_share_add_rootfs(struct hull_share *share, const char *container_id, int mount_fd, bool readonly,
			  struct hull_error *err);

/* Attaches a detached mount (a directory, or a single file) as SHARE/<container>/mounts/<index>. */
int hull_share_add_mount(struct hull_share *share, const char *container_id, unsigned index, int mount_fd,
			 bool is_directory, bool readonly, struct hull_error *err);

/* Detaches and removes everything of the container. 0 also when there is nothing. */
int hull_share_remove(struct hull_share *share, const char *container_id, struct hull_error *err);

/* Kills and reaps virtiofsd, unmounts, frees. NULL is fine. */
void hull_share_free(struct hull_share *share);
