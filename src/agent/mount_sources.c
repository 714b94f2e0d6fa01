/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/mounts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "agent/boot.h"
#include "agent/disks.h"
#include "agent/fsmount.h"
#include "agent/locals.h"
#include "agent/modules.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

int hull_mount_clone_tree(int dirfd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	int fd = open_tree(dirfd, path, flags);
	return fd < 0 ? -errno : fd;
}

int hull_mount_attach(int mount_fd, int target)
{
	if (move_mount(mount_fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/* Opens `path` below the directory `base` as a detached mount. */
static int clone_below(const char *base, const char *path, bool recursive)
{
	_cleanup_close_ int basefd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (basefd < 0)
		return -errno;
	/* O_DIRECTORY crosses into what is mounted there on the host, which virtiofs announces as a submount; a plain
	 * O_PATH would stop in front of it. Files are never submounts. Source: linux fs/namei.c, follow_automount(). */
	const char *name = *path ? path : "/";
	_cleanup_close_ int fd = hull_open_in_root(basefd, name, O_PATH | O_DIRECTORY, 0);
	if (fd == -ENOTDIR)
		fd = hull_open_in_root(basefd, name, O_PATH, 0);
	return fd < 0 ? fd : hull_mount_clone_tree(fd, "", recursive);
}

/*
 * Where a bind mount may come from: the share, the pod's shm and volumes in memory, and devices that were plugged in. Nothing else of the guest
 * is anybody's business.
 */
static int clone_source(const char *source, bool recursive, struct hull_error *err)
{
	static const char *const bases[] = { HULL_SHARE_DIR, HULL_SHM_DIR, HULL_LOCAL_DIR, "/dev" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(bases); i++) {
		size_t n = strlen(bases[i]);
		if (!source || strncmp(source, bases[i], n) != 0 || (source[n] != '/' && source[n] != '\0'))
			continue;
		int fd = clone_below(bases[i], source + n, recursive);
		return fd < 0 ? hull_error_errno(err, fd, "open bind source %s", source) : fd;
	}
	return hull_error_set(err, EPERM, "bind source %s is not below %s", source ? source : "(none)", HULL_SHARE_DIR);
}

/* What the kernel always has; others may be in a module. */
static bool is_built_in(const char *type)
{
	static const char *const types[] = { "tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(types); i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

static int open_source(const struct hull_oci_mount *mount, bool user_namespace, struct hull_error *err)
{
	if (mount->is_bind)
		return clone_source(mount->source, mount->is_recursive, err);
	if (mount->type && !is_built_in(mount->type))
		hull_modules_load(mount->type);
	/* Only the VM may mount a disk, not a user namespace in it. */
	if (mount->type && hull_disk_is_source(mount->source)) {
		char why[256];
		int disk = hull_fsmount(mount->type, mount->source, mount->data, mount->flags, why);
		return disk < 0 ? hull_error_errno(err, disk, "mount %s%s%s", mount->type, *why ? ": " : "", why) : disk;
	}
	if (!user_namespace || !mount->type)
		return -1;
	if (strcmp(mount->type, "sysfs") != 0 && strcmp(mount->type, "mqueue") != 0)
		return -1;
	char reason[256];
	int fd = hull_fsmount(mount->type, mount->source, mount->data, mount->flags, reason);
	return fd < 0 ? hull_error_errno(err, fd, "%s", mount->type) : fd;
}

int hull_mounts_open_sources(const struct hull_oci_spec *spec, const char *rootfs, bool user_namespace,
			     struct hull_mount_sources *ret, struct hull_error *err)
{
	ret->n = spec->n_mounts;
	ret->trees = hull_new(int, spec->n_mounts + 1);
	if (ret->root < 0)
		ret->root = clone_below(HULL_SHARE_DIR, rootfs, true);
	if (ret->root < 0)
		return hull_error_errno(err, ret->root, "open rootfs %s", rootfs);

	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct hull_oci_mount *mount = &spec->mounts[i];
		hull_error_clear(err);
		ret->trees[i] = open_source(mount, user_namespace, err);
		if (ret->trees[i] < 0 && err->code)
			return hull_error_wrap(err, "error mounting \"%s\" to rootfs at \"%s\"",
					       mount->source ? mount->source : "", mount->destination);
	}
	return 0;
}
