/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_open.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

/* Opens by name first without consequences, to see what it is: to open a device or a fifo can have some. */
static int open_checked(const char *path, const dev_t *number, bool readonly, int *ret_fd, struct hull_error *err)
{
	struct stat st;
	char self[32];
	_cleanup_close_ int probe = open(path, O_PATH | O_CLOEXEC);
	if (probe < 0 || fstat(probe, &st) < 0)
		return hull_error_errno(err, errno, "open %s", path);
	if (number ? !S_ISBLK(st.st_mode) || st.st_rdev != *number : !S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return hull_error_set(err, ENOTBLK, "%s: not %s", path, number ? "that device" : "a block device or a regular file");

	/* O_EXCL without O_CREAT reserves a block device against mounts and other reservations. Source: open(2). */
	int flags = readonly ? O_RDONLY : O_RDWR | (S_ISBLK(st.st_mode) ? O_EXCL : 0);
	int fd = open(hull_fd_path(probe, self), flags | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == EBUSY)
		return hull_error_set(err, EBUSY, "%s is in use: the host has it mounted, or it belongs to an array or to another container", path);
	if (fd < 0)
		return hull_error_errno(err, errno, "open %s %s", path, readonly ? "for reading" : "for writing");
	*ret_fd = fd;
	return 0;
}

int hull_block_open(const char *path, bool readonly, int *ret_fd, struct hull_error *err)
{
	return open_checked(path, NULL, readonly, ret_fd, err);
}

/* Source: linux Documentation/ABI/testing/sysfs-dev; DEVNAME in a device's uevent file. */
int hull_block_open_number(uint32_t major, uint32_t minor, bool readonly, int *ret_fd, struct hull_error *err)
{
	_cleanup_free_ char *uevent = hull_asprintf("/sys/dev/block/%u:%u/uevent", major, minor);
	_cleanup_free_ char *text = NULL;
	const dev_t number = makedev(major, minor);

	if (hull_file_read(AT_FDCWD, uevent, 4096, &text, NULL) < 0)
		return hull_error_set(err, ENXIO, "the host has no block device %u:%u", major, minor);
	char *name = strstr(text, "DEVNAME=");
	if (!name)
		return hull_error_set(err, ENXIO, "block device %u:%u has no name", major, minor);
	name += strlen("DEVNAME=");
	name[strcspn(name, "\n")] = '\0';
	_cleanup_free_ char *path = hull_asprintf("/dev/%s", name);
	return open_checked(path, &number, readonly, ret_fd, err);
}

bool hull_block_is_listed(const char *path, const char *patterns)
{
	_cleanup_free_ char *copy = hull_strdup(patterns), *real = realpath(path, NULL);
	struct statfs fs;
	char *save = NULL;

	/* devtmpfs is a tmpfs to statfs(2); everything below /dev but a mount of its own is in it. */
	if (!real || strncmp(real, "/dev/", 5) != 0 || statfs(real, &fs) < 0 || fs.f_type != TMPFS_MAGIC ||
	    strncmp(real, "/dev/shm/", 9) == 0)
		return false;
	for (char *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save))
		if (fnmatch(p, path, FNM_PATHNAME) == 0 || fnmatch(p, real, FNM_PATHNAME) == 0)
			return true;
	return false;
}
