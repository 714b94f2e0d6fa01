/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod's one shared directory: virtiofsd and what is mounted where it looks.
 *
 * The supervisor lives in a mount namespace of its own. In it the share's root is a small tmpfs that is a shared mount, so that
 * what is mounted later reaches virtiofsd, whose namespace is a slave of it. When supervisor and virtiofsd end,
 * however they end, the namespaces go and every mount with them: there is nothing to undo.
 *
 *     SHARE/<container>/rootfs        the container's root
 *     SHARE/:volumes/<n>              sources of bind mounts, each one once for all containers of the pod
 *
 * Every mount is nosuid, nodev and noexec on the host's side: virtiofsd never needs any of them. Read-only ones are
 * read-only here, whatever the guest believes.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <uv.h>

#include "base/error.h"
#include "base/mem.h"
#include "storage/volume_watch.h"

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

/* How many files of the share virtiofsd can hold at once, each one that the guest remembers or has open counted. */
unsigned long hull_share_files_max(const struct hull_share *share);

/* Attaches a detached mount as SHARE/<container>/rootfs. `mount_fd` is borrowed. */
int hull_share_add_rootfs(struct hull_share *share, const char *container_id, int mount_fd, bool readonly,
			  struct hull_error *err);

struct hull_volume_options {
	bool readonly;
	bool follows_host;             /* what the host mounts below it later shows */
	bool recursive;                /* the descriptor holds what is mounted below it */
};

/*
 * Attaches a detached mount (a directory, or a single file) as a volume, unless the pod has it already. `mount_fd` is borrowed.
 * *ret_path is its place relative to the share's root; the caller frees it.
 */
int hull_share_add_volume(struct hull_share *share, const char *container_id, int mount_fd,
			  const struct hull_volume_options *options, char **ret_path, struct hull_error *err);

/*
 * Begins to watch what the host changes in volumes, the ones that are there and those that come (storage/volume_watch.h).
 * hull_share_unwatch() ends it.
 */
int hull_share_watch(struct hull_share *share, uv_loop_t *loop, unsigned directories_max, hull_volume_changes_fn fn, void *data,
		     struct hull_error *err);
void hull_share_watch_continue(struct hull_share *share);
void hull_share_unwatch(struct hull_share *share);

/*
 * Detaches and removes everything of the container. 0 also when there is nothing. The places of volumes that no container has any
 * more are added to *ret_gone: the guest must forget them.
 */
int hull_share_remove(struct hull_share *share, const char *container_id, struct hull_strv *ret_gone, struct hull_error *err);

/* Kills and reaps virtiofsd, unmounts, frees. NULL is fine. */
void hull_share_free(struct hull_share *share);
