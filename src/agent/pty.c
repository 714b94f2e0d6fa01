/* SPDX-License-Identifier: Apache-2.0 */
/* A container's terminal comes from the container's own devpts; no name in the container is trusted to find it. */
#include "agent/dev_nodes.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/inroot.h"
#include "agent/mounts.h"
#include "base/cleanup.h"

/* Opens a ptmx and makes sure that it is one: the path may lie in a hostile image. */
static int open_ptmx(int dirfd, const char *path)
{
	/* Looked at before it is opened for real, as opening an unknown device can have effects. */
	_cleanup_close_ int probe = openat(dirfd, path, O_PATH | O_CLOEXEC);
	struct statfs fs;
	if (probe < 0 || fstatfs(probe, &fs) < 0)
		return -errno;
	if (fs.f_type != DEVPTS_SUPER_MAGIC)
		return -ENOTTY;
	int fd = openat(dirfd, path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unsigned number;
	if (ioctl(fd, TIOCGPTN, &number) < 0) {
		close(fd);
		return -ENOTTY;
	}
	return fd;
}

int hull_pty_open(int devpts, const struct hull_oci_process *process, int *ret_master, int *ret_slave,
		  struct hull_error *err)
{
	_cleanup_close_ int master = devpts >= 0 ? open_ptmx(devpts, "ptmx") : open_ptmx(AT_FDCWD, "/dev/pts/ptmx");
	if (master < 0)
		return hull_error_errno(err, master, "open a terminal in /dev/pts");
	int unlock = 0;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return hull_error_errno(err, errno, "unlock the terminal");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return hull_error_errno(err, errno, "open the terminal's slave");
	if (process->has_console_size) {
		struct winsize size = {
			.ws_row = (unsigned short)process->console_height, .ws_col = (unsigned short)process->console_width,
		};
		ioctl(master, TIOCSWINSZ, &size);
	}
	*ret_slave = slave;
	*ret_master = TAKE_FD(master);
	return 0;
}

int hull_pty_bind_console(int rootfd, int devpts, int master, struct hull_error *err)
{
	char name[16], last[NAME_MAX + 1];
	unsigned number;
	if (devpts < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return 0;
	snprintf(name, sizeof(name), "%u", number);
	_cleanup_close_ int tree = hull_mount_clone_tree(devpts, name, false);
	if (tree < 0)
		return hull_error_errno(err, tree, "clone the terminal");

	_cleanup_close_ int parent = hull_inroot_make_parent(rootfd, "/dev/console", last);
	if (parent < 0)
		return hull_error_errno(err, parent, "create /dev/console");
	int made = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (made >= 0)
		close(made);
	_cleanup_close_ int target = openat(parent, last, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return hull_error_errno(err, errno, "create /dev/console");
	int r = hull_mount_attach(tree, target);
	return r < 0 ? hull_error_errno(err, r, "bind /dev/console") : 0;
}

int hull_pty_adopt(int slave, const struct hull_oci_process *process, struct hull_error *err)
{
	/* The group stays as devpts made it. EPERM, EINVAL: the id is not mapped. */
	if (fchown(slave, process->user.uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL)
		return hull_error_errno(err, errno, "change the owner of the terminal");
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return hull_error_errno(err, errno, "set the controlling terminal");
	for (int i = 0; i < 3; i++) {
		if (dup3(slave, i, 0) < 0)
			return hull_error_errno(err, errno, "connect the terminal");
	}
	return 0;
}
