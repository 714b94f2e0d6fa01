/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "storage/share.h"

/* A directory may hold many mounts stacked on each other; a guest cannot make one, so this only ends the loop. */
#define STACKED_MOUNTS_MAX 64

int hull_mount_clone(const char *path, bool recursive, struct hull_error *err)
{
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
	return fd < 0 ? hull_error_errno(err, errno, "clone the mount at %s", path) : fd;
}

int hull_share_enter_namespace(struct hull_error *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return hull_error_errno(err, errno, "new mount namespace");
	/*
	 * Slave rather than private: nothing travels to the host, and when the host unmounts something, the copy here
	 * goes too and does not keep its file system busy.
	 */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return hull_error_errno(err, errno, "make mounts slaves of the host's");
	return 0;
}

int hull_mount_confine(int mount_fd, bool readonly, bool follows_host)
{
	/*
	 * Private: a clone of a shared mount is its peer, and to detach a tree of peers takes the mounts below the
	 * original away as well. It also keeps later mounts of the host, which would come without these attributes, out. A slave
	 * takes nothing away either, and lets them in.
	 */
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | (readonly ? MOUNT_ATTR_RDONLY : 0),
		.propagation = follows_host ? MS_SLAVE : MS_PRIVATE,
	};
	return mount_setattr(mount_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int hull_mount_attach(int mount_fd, int dirfd, const char *path)
{
	return move_mount(mount_fd, "", dirfd, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

int hull_mount_detach(int dirfd, const char *path)
{
	char full[PATH_MAX];
	int n = snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", dirfd, path);
	if (n < 0 || (size_t)n >= sizeof(full))
		return -ENAMETOOLONG;
	for (int i = 0; i < STACKED_MOUNTS_MAX; i++)
		if (umount2(full, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return errno == EINVAL || errno == ENOENT ? 0 : -errno;
	return -EBUSY;
}
