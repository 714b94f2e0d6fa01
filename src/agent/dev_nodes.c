/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dev_nodes.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/inroot.h"
#include "agent/mounts.h"
#include "base/cleanup.h"
#include "base/file.h"

/* Source: runtime-spec config-linux.md, "Default Devices". */
static const struct hull_oci_device defaults[] = {
	{ .type = 'c', .path = (char *)"/dev/null", .major = 1, .minor = 3, .has_mode = true, .mode = 0666 },
	{ .type = 'c', .path = (char *)"/dev/zero", .major = 1, .minor = 5, .has_mode = true, .mode = 0666 },
	{ .type = 'c', .path = (char *)"/dev/full", .major = 1, .minor = 7, .has_mode = true, .mode = 0666 },
	{ .type = 'c', .path = (char *)"/dev/random", .major = 1, .minor = 8, .has_mode = true, .mode = 0666 },
	{ .type = 'c', .path = (char *)"/dev/urandom", .major = 1, .minor = 9, .has_mode = true, .mode = 0666 },
	{ .type = 'c', .path = (char *)"/dev/tty", .major = 5, .minor = 0, .has_mode = true, .mode = 0666 },
};

static mode_t node_type(char type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

static int bind_node(int parent, const char *name, const char *source)
{
	int fd = openat(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
	if (fd < 0 && errno != EACCES && errno != ENXIO)
		return -errno;
	if (fd >= 0)
		close(fd);
	_cleanup_close_ int target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return -errno;
	_cleanup_close_ int tree = hull_mount_clone_tree(AT_FDCWD, source, false);
	return tree < 0 ? tree : hull_mount_attach(tree, target);
}

/* An image's own file in the place of a device goes; a node that is the wanted one already stays. */
static int clear_place(int parent, const char *name, mode_t type, dev_t dev)
{
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((st.st_mode & S_IFMT) == type && (type == S_IFIFO || st.st_rdev == dev))
		return 1;
	return unlinkat(parent, name, 0) < 0 ? -errno : 0;
}

/* The VM's own node of a disk, whatever the container calls it. Source: linux Documentation/ABI/testing/sysfs-dev. */
static int disk_node(const struct hull_oci_device *device, char out[static NAME_MAX + 8])
{
	char link[64], target[PATH_MAX];
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", (unsigned)device->major, (unsigned)device->minor);
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	const char *base = strrchr(target, '/');
	snprintf(out, NAME_MAX + 8, "/dev/%.*s", NAME_MAX, base ? base + 1 : target);
	return 0;
}

static int make_node(int rootfd, const struct hull_oci_device *device, bool user_namespace)
{
	char name[NAME_MAX + 1];
	_cleanup_close_ int parent = hull_inroot_make_parent(rootfd, device->path, name);
	if (parent < 0)
		return parent;
	if (user_namespace && device->type == 'b') {
		char source[NAME_MAX + 8];
		int r = disk_node(device, source);
		return r < 0 ? r : bind_node(parent, name, source);
	}
	if (user_namespace && device->type != 'p')
		return bind_node(parent, name, device->path);

	mode_t type = node_type(device->type), mode = device->has_mode ? device->mode & 07777 : 0666;
	dev_t dev = makedev((unsigned)device->major, (unsigned)device->minor);
	int r = clear_place(parent, name, type, dev);
	if (r != 0)
		return r < 0 ? r : 0;
	if (mknodat(parent, name, type | mode, dev) < 0)
		return -errno;
	if (fchmodat(parent, name, mode, 0) < 0 ||
	    fchownat(parent, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* Replaces an image's file by the link. */
static int make_link(int rootfd, const char *target, const char *path)
{
	char name[NAME_MAX + 1];
	_cleanup_close_ int parent = hull_inroot_make_parent(rootfd, path, name);
	if (parent < 0)
		return parent;
	if (symlinkat(target, parent, name) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (unlinkat(parent, name, 0) < 0)
		return errno == EISDIR || errno == EBUSY ? 0 : -errno;
	return symlinkat(target, parent, name) < 0 ? -errno : 0;
}

static int make_links(int rootfd, struct hull_error *err)
{
	static const struct {
		const char *target, *path;
	} links[] = {
		{ "/proc/self/fd", "/dev/fd" },     { "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
		{ "/proc/kcore", "/dev/core" },     { "pts/ptmx", "/dev/ptmx" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(links); i++) {
		/* A kernel may be without, then runc leaves the link out. */
		if (strcmp(links[i].path, "/dev/core") == 0 && access(links[i].target, F_OK) < 0)
			continue;
		int r = make_link(rootfd, links[i].target, links[i].path);
		if (r < 0)
			return hull_error_errno(err, r, "create %s", links[i].path);
	}
	return 0;
}

static bool binds_dev(const struct hull_oci_spec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const char *destination = spec->mounts[i].destination;
		if (spec->mounts[i].is_bind && (strcmp(destination, "/dev") == 0 || strcmp(destination, "/dev/") == 0))
			return true;
	}
	return false;
}

/* The specification's own entry for a default device replaces it. */
static bool is_listed(const struct hull_oci_spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->n_devices; i++) {
		if (strcmp(spec->devices[i].path, path) == 0)
			return true;
	}
	return false;
}

int hull_dev_nodes_create(int rootfd, const struct hull_oci_spec *spec, bool user_namespace, struct hull_error *err)
{
	if (binds_dev(spec))
		return 0;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(defaults); i++) {
		int r = is_listed(spec, defaults[i].path) ? 0 : make_node(rootfd, &defaults[i], user_namespace);
		if (r < 0)
			return hull_error_errno(err, r, "error creating device nodes: %s", defaults[i].path);
	}
	for (size_t i = 0; i < spec->n_devices; i++) {
		int r = make_node(rootfd, &spec->devices[i], user_namespace);
		if (r < 0)
			return hull_error_errno(err, r, "error creating device nodes: %s", spec->devices[i].path);
	}
	return make_links(rootfd, err);
}
