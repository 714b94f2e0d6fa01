/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/rootfs.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

/* mount(2) takes a page of data with a NUL behind it. */
#define DATA_MAX 4095
#define LOOP_TRIES 32

static const struct { const char *name; unsigned long set, clear; } flag_options[] = {
	{ "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID, 0 }, { "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV, 0 }, { "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC, 0 }, { "exec", 0, MS_NOEXEC },
	{ "sync", MS_SYNCHRONOUS, 0 }, { "async", 0, MS_SYNCHRONOUS },
	{ "dirsync", MS_DIRSYNC, 0 }, { "mand", MS_MANDLOCK, 0 }, { "nomand", 0, MS_MANDLOCK },
	{ "noatime", MS_NOATIME, 0 }, { "atime", 0, MS_NOATIME },
	{ "nodiratime", MS_NODIRATIME, 0 }, { "diratime", 0, MS_NODIRATIME },
	{ "relatime", MS_RELATIME, 0 }, { "norelatime", 0, MS_RELATIME },
	{ "strictatime", MS_STRICTATIME, 0 }, { "nostrictatime", 0, MS_STRICTATIME },
	{ "bind", MS_BIND, 0 }, { "rbind", MS_BIND | MS_REC, 0 }, { "defaults", 0, 0 },
};

static const struct { const char *name; unsigned long flags; } propagation_options[] = {
	{ "private", MS_PRIVATE }, { "rprivate", MS_PRIVATE | MS_REC }, { "slave", MS_SLAVE }, { "rslave", MS_SLAVE | MS_REC },
	{ "shared", MS_SHARED }, { "rshared", MS_SHARED | MS_REC }, { "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
};

static bool take_flag(const char *option, struct shim_mount_options *ret)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(flag_options); i++) {
		if (strcmp(option, flag_options[i].name) == 0) {
			ret->flags = (ret->flags & ~flag_options[i].clear) | flag_options[i].set;
			return true;
		}
	}
	for (size_t i = 0; i < HULL_ARRAY_SIZE(propagation_options); i++) {
		if (strcmp(option, propagation_options[i].name) == 0) {
			ret->propagation = propagation_options[i].flags;
			return true;
		}
	}
	return false;
}

void shim_mount_options_parse(char *const *options, size_t n, struct shim_mount_options *ret)
{
	*ret = (struct shim_mount_options){ .data = hull_strdup("") };
	for (size_t i = 0; i < n; i++) {
		if (strcmp(options[i], "loop") == 0) {
			ret->loop = true;
		} else if (strcmp(options[i], "direct-io") == 0) {
			ret->loop_direct = true;
		} else if (!take_flag(options[i], ret)) {
			char *longer = hull_asprintf("%s%s%s", ret->data, ret->data[0] ? "," : "", options[i]);
			free(ret->data);
			ret->data = longer;
		}
	}
}

/* ---- overlays of many layers */

/* The value of `key` in comma-separated data: *ret_len bytes of it. */
static const char *find_value(const char *data, const char *key, size_t *ret_len)
{
	size_t n = strlen(key);
	for (const char *at = data; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, key, n) == 0) {
			*ret_len = strcspn(at + n, ",");
			return at + n;
		}
	}
	return NULL;
}

/* How much of both paths is the same, up to and with a slash. */
static size_t common(const char *a, size_t a_len, const char *b)
{
	size_t slash = 0;
	for (size_t i = 0; i < a_len && a[i] == b[i]; i++)
		if (a[i] == '/')
			slash = i + 1;
	return slash;
}

char *shim_overlay_shorten(const char *data, char **ret_data)
{
	size_t len, prefix = 0;
	const char *lower = find_value(data, "lowerdir=", &len);
	if (!lower || lower[0] != '/')
		return NULL;
	prefix = common(lower, strcspn(lower, ":,"), lower);
	for (const char *p = lower; p && p < lower + len; p = memchr(p, ':', (size_t)(lower + len - p)), p = p ? p + 1 : NULL)
		prefix = common(lower, prefix, p);
	if (prefix <= 1)
		return NULL;

	char *out = hull_strndup(data, (size_t)(lower - data));
	for (const char *p = lower; p < lower + len;) {
		size_t n = strcspn(p, ":,");
		char *longer = hull_asprintf("%s%s%.*s", out, p == lower ? "" : ":", (int)(n - prefix), p + prefix);
		free(out);
		out = longer;
		p += n + 1;
	}
	*ret_data = hull_asprintf("%s%s", out, lower + len);
	free(out);
	return hull_strndup(lower, prefix);
}

/* ---- loop devices */

/* Gives the loop device to the file. It lets go of it by itself when it is unmounted everywhere. Source: loop(4), LOOP_CONFIGURE. */
static int attach_loop(int control, const char *file, const struct shim_mount_options *o, char *ret_path, size_t room,
		       struct hull_error *err)
{
	bool readonly = o->flags & MS_RDONLY;
	_cleanup_close_ int backing = open(file, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (backing < 0)
		return hull_error_errno(err, errno, "open %s", file);
	for (int i = 0; i < LOOP_TRIES; i++) {
		struct loop_config config = {
			.fd = (uint32_t)backing,
			.info = { .lo_flags = LO_FLAGS_AUTOCLEAR | (readonly ? LO_FLAGS_READ_ONLY : 0) |
					      (o->loop_direct ? LO_FLAGS_DIRECT_IO : 0) },
		};
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			return hull_error_errno(err, errno, "find a free loop device");
		snprintf(ret_path, room, "/dev/loop%d", number);
		int fd = open(ret_path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd < 0)
			return hull_error_errno(err, errno, "open %s", ret_path);
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			/* Open until the mount holds it. */
			return fd;
		int saved = errno;
		close(fd);
		/* Somebody else took it in between. */
		if (saved != EBUSY)
			return hull_error_errno(err, saved, "give %s to %s", file, ret_path);
	}
	return hull_error_set(err, EBUSY, "no loop device for %s after %d tries", file, LOOP_TRIES);
}

/* ---- mounting */

static int mount_plain(const Hull__Containerd__Mount *m, const struct shim_mount_options *o, const char *target, struct hull_error *err)
{
	_cleanup_free_ char *shorter = NULL, *dir = NULL;
	_cleanup_close_ int control = -1, loop = -1;
	const char *source = m->source, *data = o->data;
	char device[32];

	if (o->loop) {
		control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
		if (control < 0)
			return hull_error_errno(err, errno, "open /dev/loop-control");
		loop = attach_loop(control, m->source, o, device, sizeof(device), err);
		if (loop < 0)
			return loop;
		source = device;
	}
	if (strlen(data) > DATA_MAX && strcmp(m->type, "overlay") == 0) {
		dir = shim_overlay_shorten(data, &shorter);
		if (dir && chdir(dir) < 0)
			return hull_error_errno(err, errno, "%s", dir);
		data = dir ? shorter : data;
	}
	if (strlen(data) > DATA_MAX)
		return hull_error_set(err, E2BIG, "%s: %zu bytes of options are more than mount(2) takes", m->type, strlen(data));
	int r = mount(source, target, m->type, o->flags, data) < 0 ? -errno : 0;
	if (dir)
		(void)!chdir("/");
	return r < 0 ? hull_error_errno(err, r, "mount %s %s at %s with \"%.512s\"", m->type, m->source, target, o->data) : 0;
}

static int mount_bind(const Hull__Containerd__Mount *m, const struct shim_mount_options *o, const char *target, struct hull_error *err)
{
	unsigned long attributes = o->flags & ~(unsigned long)(MS_BIND | MS_REC);
	if (mount(m->source, target, NULL, MS_BIND | (o->flags & MS_REC), NULL) < 0)
		return hull_error_errno(err, errno, "bind %s to %s", m->source, target);
	if (attributes && mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | attributes, NULL) < 0)
		return hull_error_errno(err, errno, "set the options of %s", target);
	return 0;
}

static int mount_one(const Hull__Containerd__Mount *m, const char *rootfs, struct hull_error *err)
{
	struct shim_mount_options o;
	char path[32];
	_cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return hull_error_errno(err, errno, "open %s", rootfs);
	/* What lies in the image may be a link: it shall not lead out. */
	_cleanup_close_ int place = hull_open_in_root(root, m->target[0] ? m->target : "/", O_PATH, 0);
	if (place < 0)
		return hull_error_errno(err, place, "open %s in %s", m->target, rootfs);
	shim_mount_options_parse(m->options, m->n_options, &o);
	/* By its name where there is one, for the mount is recorded under it; with a target by its descriptor. */
	const char *target = m->target[0] ? hull_fd_path(place, path) : rootfs;
	int r = o.flags & MS_BIND || strcmp(m->type, "bind") == 0 || strcmp(m->type, "rbind") == 0 ? mount_bind(m, &o, target, err)
												  : mount_plain(m, &o, target, err);
	if (r == 0 && o.propagation && mount(NULL, target, NULL, o.propagation, NULL) < 0)
		r = hull_error_errno(err, errno, "set the propagation of %s", target);
	free(o.data);
	return r;
}

int shim_rootfs_mount(Hull__Containerd__Mount *const *mounts, size_t n, const char *rootfs, struct hull_error *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = mount_one(mounts[i], rootfs, err);
		if (r < 0)
			return hull_error_wrap(err, "mounts[%zu]", i);
	}
	return 0;
}
