/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps on a container's mounts: what is hidden, what is read-only, and making the root the root. */
#include "agent/mounts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/fsmount.h"
#include "base/cleanup.h"
#include "base/file.h"

static bool is_absent(int error)
{
	return error == -ENOENT || error == -ENOTDIR;
}

/*
 * A file is covered by /dev/null, a directory by an empty read-only tmpfs. One tmpfs serves all: `*empty` is it, made
 * when it is first needed.
 */
static int mask(int rootfd, const char *path, int *empty)
{
	_cleanup_close_ int target = hull_open_in_root(rootfd, path, O_PATH, 0);
	struct stat st;
	if (target < 0)
		return is_absent(target) ? 0 : target;
	if (fstat(target, &st) < 0)
		return -errno;

	_cleanup_close_ int cover = -1;
	if (S_ISDIR(st.st_mode)) {
		char reason[256];
		if (*empty < 0) {
			*empty = hull_fsmount("tmpfs", "tmpfs", "nr_blocks=1,nr_inodes=2,mode=0555",
					      MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, reason);
			return *empty < 0 ? *empty : hull_mount_attach(*empty, target);
		}
		cover = hull_mount_clone_tree(*empty, "", false);
	} else {
		cover = hull_mount_clone_tree(AT_FDCWD, "/dev/null", false);
	}
	return cover < 0 ? cover : hull_mount_attach(cover, target);
}

static int make_readonly(int rootfd, const char *path)
{
	_cleanup_close_ int target = hull_open_in_root(rootfd, path, O_PATH, 0);
	if (target < 0)
		return is_absent(target) ? 0 : target;
	_cleanup_close_ int tree = hull_mount_clone_tree(target, "", true);
	if (tree < 0)
		return tree;
	int r = hull_mount_set_attrs(tree, MOUNT_ATTR_RDONLY, 0, 0, 1);
	return r < 0 ? r : hull_mount_attach(tree, target);
}

/* A tmpfs that is to be read-only was writable until everything below it was in place. */
static int seal_tmpfs(int rootfd, const struct hull_oci_mount *mount)
{
	if (mount->is_bind || !mount->type || strcmp(mount->type, "tmpfs") != 0 || !(mount->flags & MS_RDONLY))
		return 0;
	_cleanup_close_ int target = hull_open_in_root(rootfd, mount->destination, O_PATH, 0);
	return target < 0 ? target : hull_mount_set_attrs(target, MOUNT_ATTR_RDONLY, 0, 0, 0);
}

int hull_mounts_restrict(int rootfd, const struct hull_oci_spec *spec, struct hull_error *err)
{
	_cleanup_close_ int empty = -1;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		int r = seal_tmpfs(rootfd, &spec->mounts[i]);
		if (r < 0)
			return hull_error_errno(err, r, "can't make \"%s\" read-only", spec->mounts[i].destination);
	}
	for (size_t i = 0; i < spec->readonly_paths.n; i++) {
		int r = make_readonly(rootfd, spec->readonly_paths.v[i]);
		if (r < 0)
			return hull_error_errno(err, r, "can't make \"%s\" read-only", spec->readonly_paths.v[i]);
	}
	for (size_t i = 0; i < spec->masked_paths.n; i++) {
		int r = mask(rootfd, spec->masked_paths.v[i], &empty);
		if (r < 0)
			return hull_error_errno(err, r, "can't mask path \"%s\"", spec->masked_paths.v[i]);
	}
	return 0;
}

/* After pivot_root(".", ".") the old root lies on top of the new one and is reached by its descriptor. */
static int pivot(int rootfd, struct hull_error *err)
{
	_cleanup_close_ int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (old < 0 || fchdir(rootfd) < 0)
		return hull_error_errno(err, errno, "enter rootfs");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return hull_error_errno(err, errno, "pivot_root");
	if (fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0)
		return hull_error_errno(err, errno, "detach the old root");
	if (chdir("/") < 0)
		return hull_error_errno(err, errno, "chdir /");
	return 0;
}

static int set_propagation(int fd, unsigned long propagation)
{
	return hull_mount_set_attrs(fd, 0, 0, propagation & ~(unsigned long)MS_REC, !!(propagation & MS_REC));
}

/* The root's first, which may reach into everything, then that of single mounts. A shared root could not be pivoted to. */
static int propagate(const struct hull_oci_spec *spec, struct hull_error *err)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? -errno : spec->rootfs_propagation ? set_propagation(root, spec->rootfs_propagation) : 0;
	if (r < 0)
		return hull_error_errno(err, r, "rootfs propagation");
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct hull_oci_mount *mount = &spec->mounts[i];
		if (!mount->propagation)
			continue;
		_cleanup_close_ int fd = hull_open_in_root(root, mount->destination, O_PATH, 0);
		r = fd < 0 ? fd : set_propagation(fd, mount->propagation);
		if (r < 0)
			return hull_error_errno(err, r, "set the propagation of \"%s\"", mount->destination);
	}
	return 0;
}

int hull_mounts_enter_root(int rootfd, const struct hull_oci_spec *spec, bool readonly, struct hull_error *err)
{
	int r = 0;
	if (readonly)
		r = hull_mount_set_attrs(rootfd, MOUNT_ATTR_RDONLY, 0, 0, 0);
	if (r < 0)
		return hull_error_errno(err, r, "make rootfs read-only");
	if (pivot(rootfd, err) < 0)
		return -err->code;
	return propagate(spec, err);
}
