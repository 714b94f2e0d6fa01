/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fsmount.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/disks.h"
#include "base/cleanup.h"
#include "base/mem.h"

unsigned long hull_mount_attrs(unsigned long ms_flags)
{
	static const struct {
		unsigned long ms, attr;
	} map[] = {
		{ MS_RDONLY, MOUNT_ATTR_RDONLY },     { MS_NOSUID, MOUNT_ATTR_NOSUID },
		{ MS_NODEV, MOUNT_ATTR_NODEV },       { MS_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ MS_NOATIME, MOUNT_ATTR_NOATIME },   { MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
		{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME }, { MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
	};
	unsigned long attrs = 0;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(map); i++) {
		if (ms_flags & map[i].ms)
			attrs |= map[i].attr;
	}
	return attrs;
}

int hull_mount_set_attrs(int fd, unsigned long set, unsigned long clear, unsigned long propagation, int recursive)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };
	/* The access time settings are one field, not bits. Source: mount_setattr(2). */
	if (set & MOUNT_ATTR__ATIME || clear & MOUNT_ATTR__ATIME)
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	if (!attr.attr_set && !attr.attr_clr && !attr.propagation)
		return 0;
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	return mount_setattr(fd, "", flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* "e message" or "w message", one per read. Source: linux fs/fs_context.c, logfc(). */
static void read_reason(int fsfd, char reason[static 256])
{
	ssize_t n = read(fsfd, reason, 255);
	reason[n > 0 ? n : 0] = '\0';
	if (n > 2 && reason[1] == ' ')
		memmove(reason, reason + 2, (size_t)n - 1);
	reason[strcspn(reason, "\n")] = '\0';
}

static int configure(int fsfd, const char *source, const char *data, unsigned long ms_flags)
{
	static const struct {
		unsigned long ms;
		const char *name;
	} flags[] = {
		{ MS_SYNCHRONOUS, "sync" }, { MS_DIRSYNC, "dirsync" }, { MS_MANDLOCK, "mand" }, { MS_LAZYTIME, "lazytime" },
	};
	if (fsconfig(fsfd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return -errno;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(flags); i++) {
		if ((ms_flags & flags[i].ms) && fsconfig(fsfd, FSCONFIG_SET_FLAG, flags[i].name, NULL, 0) < 0)
			return -errno;
	}
	/* The superblock too: a disk that cannot be written to refuses to be opened for that. */
	if ((ms_flags & MS_RDONLY) && hull_disk_is_source(source) && fsconfig(fsfd, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return -errno;
	_cleanup_free_ char *copy = data ? hull_strdup(data) : NULL;
	char *save = NULL;
	for (char *p = copy ? strtok_r(copy, ",", &save) : NULL; p; p = strtok_r(NULL, ",", &save)) {
		char *value = strchr(p, '=');
		if (value)
			*value++ = '\0';
		int r = value ? fsconfig(fsfd, FSCONFIG_SET_STRING, p, value, 0)
			      : fsconfig(fsfd, FSCONFIG_SET_FLAG, p, NULL, 0);
		if (r < 0)
			return -errno;
	}
	return fsconfig(fsfd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
}

int hull_fsmount(const char *type, const char *source, const char *data, unsigned long ms_flags,
		 char reason[static 256])
{
	reason[0] = '\0';
	_cleanup_close_ int fsfd = fsopen(type, FSOPEN_CLOEXEC);
	if (fsfd < 0)
		return -errno;
	int r = configure(fsfd, source ? source : type, data, ms_flags);
	if (r < 0) {
		read_reason(fsfd, reason);
		return r;
	}
	int fd = fsmount(fsfd, FSMOUNT_CLOEXEC, (unsigned)hull_mount_attrs(ms_flags));
	return fd < 0 ? -errno : fd;
}
