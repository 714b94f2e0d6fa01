/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a container, made with descriptors only (open_tree, fsopen, move_mount, mount_setattr): no path is ever
 * resolved outside of the container's root, and /proc is not needed.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "oci/spec.h"

/* Detached mounts that were opened with the VM's own privileges. */
struct hull_mount_sources {
	int root;
	int *trees;                    /* one per mount of the specification; -1: none */
	size_t n;
};

/*
 * Opens the rootfs, unless ret->root is a mount already, and the sources of bind mounts below the share (or the pod's shm), and
 * mounts disks. `rootfs` is relative to the share's root.
 * With `user_namespace` also a sysfs and an mqueue, which a user namespace may not mount itself because network and IPC
 * namespaces are the VM's. The caller's mount namespace should be private and short-lived: crossing into
 * submounts of the share mounts them in it.
 */
int hull_mounts_open_sources(const struct hull_oci_spec *spec, const char *rootfs, bool user_namespace,
			     struct hull_mount_sources *ret, struct hull_error *err);

/* Attaches the rootfs at HULL_ROOT_DIR. Returns its descriptor (O_PATH) or -errno. */
int hull_mounts_attach_root(struct hull_mount_sources *sources, struct hull_error *err);

/*
 * Makes the specification's mounts in order. *ret_devpts is a descriptor of the container's devpts root, -1 if there
 * is none.
 */
int hull_mounts_apply(int rootfd, const struct hull_oci_spec *spec, struct hull_mount_sources *sources,
		      int *ret_devpts, struct hull_error *err);

/* Masked and read-only paths. Missing ones are skipped. */
int hull_mounts_restrict(int rootfd, const struct hull_oci_spec *spec, struct hull_error *err);

/*
 * The container's root becomes "/", read-only if so wanted and with the specification's propagation, and everything
 * else goes away.
 */
int hull_mounts_enter_root(int rootfd, const struct hull_oci_spec *spec, bool readonly, struct hull_error *err);

/* ------------------------------------------------ pieces, for devices and consoles */

/* Clones what `path` names below dirfd (AT_EMPTY_PATH when "") as a detached mount. The fd or -errno. */
int hull_mount_clone_tree(int dirfd, const char *path, bool recursive);

/* Puts a detached mount on top of what `target` names. */
int hull_mount_attach(int mount_fd, int target);
