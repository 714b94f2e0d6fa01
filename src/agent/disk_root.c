/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/disk_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/fsmount.h"
#include "agent/modules.h"
#include "agent/mounts.h"
#include "base/cleanup.h"

#define LOWER HULL_ROOT_DIR "/lower"
#define UPPER HULL_ROOT_DIR "/upper"
#define WORK HULL_ROOT_DIR "/work"

static int fs(const char *type, const char *source, const char *data, unsigned long flags, struct hull_error *err)
{
	char why[256];
	hull_modules_load(type);
	int fd = hull_fsmount(type, source, data, flags, why);
	return fd < 0 ? hull_error_errno(err, fd, "mount the root: %s%s%s", type, *why ? ": " : "", why) : fd;
}

static int attach(int mount_fd, const char *path, struct hull_error *err)
{
	_cleanup_close_ int target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = target < 0 ? -errno : hull_mount_attach(mount_fd, target);
	return r < 0 ? hull_error_errno(err, r, "mount the root: %s", path) : 0;
}

/*
 * overlayfs wants its layers in the mount namespace. They stand where the root will be mounted over them, and go with
 * everything else when the container's root becomes "/".
 */
static int add_layer(int lower, struct hull_error *err)
{
	static const char *const dirs[] = { LOWER, UPPER, WORK };
	struct stat st;
	_cleanup_close_ int memory = fs("tmpfs", "root", "mode=0755", 0, err);
	if (memory < 0 || attach(memory, HULL_ROOT_DIR, err) < 0)
		return -err->code;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i], 0755) < 0)
			return hull_error_errno(err, errno, "mount the root: mkdir %s", dirs[i]);
	/* The upper directory's owner and mode are the root directory's. */
	if (attach(lower, LOWER, err) < 0)
		return -err->code;
	if (stat(LOWER, &st) < 0 || chown(UPPER, st.st_uid, st.st_gid) < 0 || chmod(UPPER, st.st_mode & 07777) < 0)
		return hull_error_errno(err, errno, "mount the root: mode of %s", UPPER);
	return fs("overlay", "root", "lowerdir=" LOWER ",upperdir=" UPPER ",workdir=" WORK, 0, err);
}

int hull_disk_root_open(const struct hull_disk_root *disk, bool writable, int *ret_fd, struct hull_error *err)
{
	const char *options = disk->options && *disk->options ? disk->options : NULL;
	_cleanup_close_ int fd = fs(disk->fstype, disk->device, options, disk->readonly ? MS_RDONLY : 0, err);
	if (fd < 0)
		return fd;
	*ret_fd = disk->readonly && writable ? add_layer(fd, err) : TAKE_FD(fd);
	return *ret_fd < 0 ? *ret_fd : 0;
}
