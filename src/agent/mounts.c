/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/copyup.h"
#include "agent/fsmount.h"
#include "agent/inroot.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

int hull_mounts_attach_root(struct hull_mount_sources *sources, struct hull_error *err)
{
	_cleanup_close_ int target = open(HULL_ROOT_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return hull_error_errno(err, errno, "open %s", HULL_ROOT_DIR);
	int r = hull_mount_attach(sources->root, target);
	if (r < 0)
		return hull_error_errno(err, r, "attach rootfs");
	/* The descriptor names the mount wherever it is. */
	return TAKE_FD(sources->root);
}

/* Files in /proc that may be covered by a mount. Source: runc, checkProcMount(). */
static bool may_cover_proc(const char *destination)
{
	static const char *const allowed[] = {
		"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
		"/proc/loadavg", "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid",
		"/proc/sys/crypto/fips_enabled",
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(allowed); i++) {
		if (strcmp(destination, allowed[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Opens the place where the mount goes, making it if it is missing. proc and sysfs must not land elsewhere by an
 * image's symbolic link, because later steps rely on where they are.
 */
static int open_target(int rootfd, const struct hull_oci_mount *mount, bool directory, struct hull_error *err)
{
	bool special = mount->type && !mount->is_bind &&
		       (strcmp(mount->type, "proc") == 0 || strcmp(mount->type, "sysfs") == 0);
	if (special) {
		_cleanup_close_ int link = hull_open_in_root(rootfd, mount->destination, O_PATH | O_NOFOLLOW, 0);
		struct stat st;
		if (link >= 0 && fstat(link, &st) == 0 && !S_ISDIR(st.st_mode))
			return hull_error_set(err, ENOTDIR, "filesystem \"%s\" must be mounted on ordinary directory",
					      mount->type);
	}

	int fd = hull_inroot_make(rootfd, mount->destination, directory);
	if (fd < 0)
		return hull_error_errno(err, fd, "create mountpoint for %s", mount->destination);
	struct statfs fs;
	if (!special && fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && !may_cover_proc(mount->destination)) {
		close(fd);
		return hull_error_set(err, EPERM, "\"%s\" cannot be mounted because it is inside /proc", mount->destination);
	}
	return fd;
}

static int apply_bind(int rootfd, const struct hull_oci_mount *mount, int tree, struct hull_error *err)
{
	struct stat st;
	if (fstat(tree, &st) < 0)
		return hull_error_errno(err, errno, "bind source");
	_cleanup_close_ int target = open_target(rootfd, mount, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return target;
	if (mount->idmap || mount->ridmap)
		return hull_error_set(err, ENOTSUP, "idmapped mounts: virtiofs has none");
	int r = hull_mount_set_attrs(tree, hull_mount_attrs(mount->flags), hull_mount_attrs(mount->flags_clear), 0, 0);
	if (r < 0)
		return hull_error_errno(err, r, "set mount attributes");
	r = hull_mount_attach(tree, target);
	return r < 0 ? hull_error_errno(err, r, "bind") : 0;
}

static bool is_tmpfs(const struct hull_oci_mount *mount)
{
	return strcmp(mount->type, "tmpfs") == 0;
}

/*
 * A tmpfs takes the mode of the directory that it covers, unless it was given one or the directory was only made for it.
 * Source: runc, mountToRootfs().
 */
static int copy_mode(const struct hull_oci_mount *mount, int tmpfs, mode_t covered)
{
	const char *data = mount->data ? mount->data : "";
	if (covered == 0 || strncmp(data, "mode=", 5) == 0 || strstr(data, ",mode="))
		return 0;
	return fchmodat(tmpfs, ".", covered & 07777, 0) < 0 ? -errno : 0;
}

/* The mode of a directory that is there already, 0 of one that is not. */
static mode_t existing_mode(int rootfd, const char *path)
{
	struct stat st;
	_cleanup_close_ int fd = hull_open_in_root(rootfd, path, O_PATH | O_DIRECTORY, 0);
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_mode : 0;
}

static int make_fs(const struct hull_oci_mount *mount, int tree, struct hull_error *err)
{
	const char *type = mount->type, *data = mount->data;
	char reason[256] = "";

	if (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0) {
		type = "cgroup2";
		data = NULL;
	}
	/* A tmpfs is filled first and made read-only by hull_mounts_restrict(). */
	unsigned long flags = is_tmpfs(mount) ? mount->flags & ~(unsigned long)MS_RDONLY : mount->flags;
	int fd = tree >= 0 ? tree : hull_fsmount(type, mount->source, data, flags, reason);
	if (fd < 0)
		return hull_error_errno(err, fd, "mount %s%s%s", type, *reason ? ": " : "", reason);
	return fd;
}

static int apply_fs(int rootfd, const struct hull_oci_mount *mount, int tree, int *ret_devpts, struct hull_error *err)
{
	if (!mount->type)
		return hull_error_set(err, EINVAL, "no file system type");
	mode_t covered = is_tmpfs(mount) ? existing_mode(rootfd, mount->destination) : 0;
	_cleanup_close_ int target = open_target(rootfd, mount, true, err);
	if (target < 0)
		return target;
	int fd = make_fs(mount, tree, err);
	if (fd < 0)
		return fd;
	_cleanup_close_ int owned = tree >= 0 ? -1 : fd;

	int r = is_tmpfs(mount) ? copy_mode(mount, fd, covered) : 0;
	if (r == 0 && is_tmpfs(mount) && mount->tmpcopyup)
		r = hull_copyup(target, fd);
	if (r < 0)
		return hull_error_errno(err, r, "fill tmpfs");
	r = hull_mount_attach(fd, target);
	if (r < 0)
		return hull_error_errno(err, r, "attach %s", mount->type);
	if (strcmp(mount->type, "devpts") == 0) {
		if (*ret_devpts >= 0)
			close(*ret_devpts);
		*ret_devpts = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	return 0;
}

static int apply_one(int rootfd, const struct hull_oci_mount *mount, int tree, int *ret_devpts, struct hull_error *err)
{
	int r = mount->is_bind ? apply_bind(rootfd, mount, tree, err) : apply_fs(rootfd, mount, tree, ret_devpts, err);
	if (r < 0 || (!mount->rec_attr_set && !mount->rec_attr_clear))
		return r;

	_cleanup_close_ int fd = hull_open_in_root(rootfd, mount->destination, O_PATH, 0);
	if (fd < 0)
		return hull_error_errno(err, fd, "open the mount");
	r = hull_mount_set_attrs(fd, mount->rec_attr_set, mount->rec_attr_clear, 0, 1);
	return r < 0 ? hull_error_errno(err, r, "set mount attributes") : 0;
}

int hull_mounts_apply(int rootfd, const struct hull_oci_spec *spec, struct hull_mount_sources *sources,
		      int *ret_devpts, struct hull_error *err)
{
	*ret_devpts = -1;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct hull_oci_mount *mount = &spec->mounts[i];
		_cleanup_close_ int tree = TAKE_FD(sources->trees[i]);
		if (apply_one(rootfd, mount, tree, ret_devpts, err) < 0)
			return hull_error_wrap(err, "error mounting \"%s\" to rootfs at \"%s\"",
					       mount->source ? mount->source : mount->type ? mount->type : "",
					       mount->destination);
	}
	return 0;
}
