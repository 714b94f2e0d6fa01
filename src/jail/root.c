/* SPDX-License-Identifier: Apache-2.0 */
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Room for the directories that are mount points; nothing is ever written to the file system itself. */
#define ROOT_TMPFS_OPTIONS "mode=0755,size=64k,nr_inodes=256"

/* Makes the parents of `path`, which is relative to the current directory, and then the mount point itself. */
static int make_target(const char *path, bool is_directory)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i < n; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	if (is_directory)
		return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Binds `source` of the host at `target`, relative to the current directory, with the mount attributes `attrs`. */
static int bind_at(const char *source, const char *target, uint64_t attrs)
{
	struct mount_attr attr = { .attr_set = attrs };
	struct stat st;

	_cleanup_close_ int fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	int r = make_target(target, S_ISDIR(st.st_mode));
	if (r < 0)
		return r;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The target in the new root, which is the current directory while it is being filled. */
static const char *relative(const char *absolute)
{
	while (*absolute == '/')
		absolute++;
	return absolute;
}

static int fill_root(const struct hull_spawn *s, struct hull_stage *stage)
{
	static const char *const basic_devices[] = { "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random" };
	const uint64_t file_attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	const uint64_t device_attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;

	for (size_t i = 0; i < s->n_binds; i++) {
		int r = bind_at(s->binds[i].source, relative(s->binds[i].target), file_attrs);
		if (r < 0)
			return hull_stage_fail(stage, r, "bind %s", s->binds[i].source);
	}
	for (size_t i = 0; i < HULL_ARRAY_SIZE(basic_devices); i++) {
		int r = bind_at(basic_devices[i], relative(basic_devices[i]), device_attrs);
		if (r < 0)
			return hull_stage_fail(stage, r, "bind %s", basic_devices[i]);
	}
	for (size_t i = 0; s->device_nodes && s->device_nodes[i]; i++) {
		int r = bind_at(s->device_nodes[i], relative(s->device_nodes[i]), device_attrs);
		if (r < 0)
			return hull_stage_fail(stage, r, "bind %s", s->device_nodes[i]);
	}
	return 0;
}

int hull_stage_root(const struct hull_spawn *s, struct hull_stage *stage)
{
	if (!s->root_dir)
		return 0;
	if (unshare(CLONE_NEWNS) < 0)
		return hull_stage_fail(stage, -errno, "new mount namespace");
	/* Before the first mount: a namespace starts as a peer of the one it was copied from. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return hull_stage_fail(stage, -errno, "make mounts private");
	if (mount("hull-jail", s->root_dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, ROOT_TMPFS_OPTIONS) < 0)
		return hull_stage_fail(stage, -errno, "mount a root at %s", s->root_dir);
	if (chdir(s->root_dir) < 0)
		return hull_stage_fail(stage, -errno, "enter %s", s->root_dir);

	umask(0);
	int r = fill_root(s, stage);
	if (r < 0)
		return r;
	umask(077);

	/* The old root ends up on top of the new one, where "." still finds it. Source: pivot_root(2), NOTES. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return hull_stage_fail(stage, -errno, "pivot root");
	if (umount2(".", MNT_DETACH) < 0)
		return hull_stage_fail(stage, -errno, "detach the old root");
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	if (mount_setattr(AT_FDCWD, "/", 0, &readonly, sizeof(readonly)) < 0)
		return hull_stage_fail(stage, -errno, "make the root read-only");
	if (chdir("/") < 0)
		return hull_stage_fail(stage, -errno, "enter the new root");
	return 0;
}
