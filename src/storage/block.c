/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "storage/block_open.h"

#define BLOCKS_MAX 24

bool hull_block_fstype(const char *type)
{
	static const char *const types[] = { "ext2", "ext3", "ext4", "xfs", "erofs", "squashfs" };
	for (size_t i = 0; type && i < HULL_ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* Those that nobody can write to. */
static bool is_readonly_fstype(const char *type)
{
	return strcmp(type, "erofs") == 0 || strcmp(type, "squashfs") == 0;
}

static struct hull_block *add(struct hull_blocks *blocks, enum hull_block_kind kind, size_t index)
{
	blocks->v = hull_reallocarray(blocks->v, blocks->n + 1, sizeof(*blocks->v));
	struct hull_block *b = &blocks->v[blocks->n++];
	*b = (struct hull_block){ .kind = kind, .index = (unsigned)index, .fd = -1 };
	return b;
}

/* The access that rules grant for this very device; 0: no rule names it. The last one that does counts. */
static unsigned named_access(const struct hull_oci_spec *spec, int64_t major, int64_t minor)
{
	unsigned access = 0;
	for (size_t i = 0; i < spec->resources.n_devices; i++) {
		const struct hull_oci_device_rule *rule = &spec->resources.devices[i];
		if (rule->type == 'b' && rule->major == major && rule->minor == minor)
			access = rule->allow ? access | rule->access : access & ~rule->access;
	}
	return access & (HULL_DEV_READ | HULL_DEV_WRITE);
}

/* The last rule that speaks of the device decides. */
bool hull_block_is_allowed(const struct hull_oci_spec *spec, int64_t major, int64_t minor)
{
	bool allowed = false;
	for (size_t i = 0; i < spec->resources.n_devices; i++) {
		const struct hull_oci_device_rule *rule = &spec->resources.devices[i];
		if (rule->type != 'c' && (rule->major < 0 || rule->major == major) && (rule->minor < 0 || rule->minor == minor) &&
		    (rule->access & (HULL_DEV_READ | HULL_DEV_WRITE)))
			allowed = rule->allow;
	}
	return allowed;
}

/* What mount(8) takes and the disk has no use for. */
static void take_options(struct hull_block *b, const char *options)
{
	_cleanup_free_ char *copy = hull_strdup(options ? options : "");
	char *save = NULL;
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (strcmp(p, "ro") == 0)
			b->readonly = true;
		if (strcmp(p, "ro") == 0 || strcmp(p, "rw") == 0 || strcmp(p, "loop") == 0 || strcmp(p, "defaults") == 0)
			continue;
		char *longer = b->options ? hull_asprintf("%s,%s", b->options, p) : hull_strdup(p);
		free(b->options);
		b->options = longer;
	}
}

static int find_rootfs(const char *text, const char *options, struct hull_blocks *blocks, struct hull_error *err)
{
	if (!text)
		return 0;
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *type = hull_strndup(text, colon ? (size_t)(colon - text) : 0);
	if (!colon || colon[1] != '/' || !hull_block_fstype(type))
		return hull_error_set(err, EINVAL, HULL_BLOCK_ROOTFS_ANNOTATION ": expected TYPE:/PATH with a type of ext4, "
				      "ext3, ext2, xfs, erofs or squashfs");
	struct hull_block *b = add(blocks, HULL_BLOCK_ROOTFS, 0);
	b->fstype = TAKE_PTR(type);
	/* As with a directory: a read-only root is made so in the guest, after its mount points are there (docs/adr/0004). */
	b->readonly = is_readonly_fstype(b->fstype);
	take_options(b, options);
	int r = hull_block_open(colon + 1, b->readonly, &b->fd, err);
	return r < 0 ? hull_error_wrap(err, HULL_BLOCK_ROOTFS_ANNOTATION) : 0;
}

static int find_mount(const struct hull_oci_spec *spec, size_t i, struct hull_blocks *blocks, struct hull_error *err)
{
	const struct hull_oci_mount *m = &spec->mounts[i];
	struct hull_block *b = add(blocks, HULL_BLOCK_MOUNT, i);

	if (!m->source || m->source[0] != '/')
		return hull_error_set(err, EINVAL, "mounts[%zu].source: a mount of type %s needs the absolute path of a block device or an "
				      "image", i, m->type);
	b->readonly = (m->flags & MS_RDONLY) || is_readonly_fstype(m->type);
	int r = hull_block_open(m->source, b->readonly, &b->fd, err);
	return r < 0 ? hull_error_wrap(err, "mounts[%zu].source", i) : 0;
}

/* A bind mount of a device node. Who named it decides, for whoever can make nodes below a volume could put one in its place. */
static int find_bind(const struct hull_oci_spec *spec, size_t i, const char *volumes, struct hull_blocks *blocks,
		     struct hull_error *err)
{
	const struct hull_oci_mount *m = &spec->mounts[i];
	struct stat st;

	if (m->source[0] != '/' || stat(m->source, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	unsigned access = named_access(spec, major(st.st_rdev), minor(st.st_rdev));
	if (!access && !hull_block_is_listed(m->source, volumes))
		return hull_error_set(err, EPERM, "mounts[%zu]: %s is a block device, and neither a rule of linux.resources.devices (--device) "
				      "nor hull.conf ([disk] volumes) names it", i, m->source);
	struct hull_block *b = add(blocks, HULL_BLOCK_BIND, i);
	b->readonly = (m->flags & MS_RDONLY) || access == HULL_DEV_READ;
	b->host_major = major(st.st_rdev);
	b->host_minor = minor(st.st_rdev);
	int r = hull_block_open_number(b->host_major, b->host_minor, b->readonly, &b->fd, err);
	return r < 0 ? hull_error_wrap(err, "mounts[%zu].source: %s", i, m->source) : 0;
}

static int find_device(const struct hull_oci_spec *spec, size_t i, struct hull_blocks *blocks, struct hull_error *err)
{
	const struct hull_oci_device *d = &spec->devices[i];
	unsigned access = named_access(spec, d->major, d->minor);

	if (!access)
		return 0;
	struct hull_block *b = add(blocks, HULL_BLOCK_DEVICE, i);
	b->readonly = !(access & HULL_DEV_WRITE);
	b->host_major = (uint32_t)d->major;
	b->host_minor = (uint32_t)d->minor;
	int r = hull_block_open_number(b->host_major, b->host_minor, b->readonly, &b->fd, err);
	return r < 0 ? hull_error_wrap(err, "linux.devices[%zu]: %s", i, d->path) : 0;
}

static int find_all(const struct hull_oci_spec *spec, const char *volumes, struct hull_blocks *blocks, struct hull_error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < spec->n_mounts; i++) {
		if (spec->mounts[i].is_bind)
			r = find_bind(spec, i, volumes, blocks, err);
		else if (hull_block_fstype(spec->mounts[i].type))
			r = find_mount(spec, i, blocks, err);
	}
	for (size_t i = 0; r == 0 && i < spec->n_devices; i++)
		if (spec->devices[i].type == 'b')
			r = find_device(spec, i, blocks, err);
	if (r == 0 && blocks->n > BLOCKS_MAX)
		r = hull_error_set(err, E2BIG, "%zu disks: a container can have %d", blocks->n, BLOCKS_MAX);
	return r;
}

int hull_blocks_find(const struct hull_oci_spec *spec, const char *rootfs, const char *rootfs_options, const char *volumes,
		     struct hull_blocks *ret, struct hull_error *err)
{
	struct hull_blocks blocks = { 0 };
	int r = find_rootfs(rootfs ? rootfs : hull_oci_annotation(spec, HULL_BLOCK_ROOTFS_ANNOTATION), rootfs_options, &blocks, err);
	if (r == 0)
		r = find_all(spec, volumes, &blocks, err);
	if (r < 0) {
		hull_blocks_clear(&blocks);
		return r;
	}
	*ret = blocks;
	return 0;
}

void hull_blocks_clear(struct hull_blocks *blocks)
{
	for (size_t i = 0; i < blocks->n; i++) {
		hull_closep(&blocks->v[i].fd);
		free(blocks->v[i].fstype);
		free(blocks->v[i].options);
	}
	free(blocks->v);
	*blocks = (struct hull_blocks){ 0 };
}
