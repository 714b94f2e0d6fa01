/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mirror.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "storage/share.h"

struct tree {
	int fd;
	const char *destination;       /* borrowed from the bundle */
};

struct hull_mirror {
	char *mount_point;
	int rootfs, net;               /* net: -1 for none to join */
	int new_namespaces;            /* CLONE_NEW… */
	struct tree *trees;
	size_t n_trees;
};

static const struct {
	enum hull_oci_ns_type type;
	int flag;
} mirrored[] = { { HULL_NS_NETWORK, CLONE_NEWNET }, { HULL_NS_IPC, CLONE_NEWIPC }, { HULL_NS_UTS, CLONE_NEWUTS } };

static int clone_tree(const struct hull_bundle *b, const struct hull_oci_mount *m, struct hull_error *err)
{
	_cleanup_free_ char *source = m->source[0] == '/' ? hull_strdup(m->source) : hull_asprintf("%s/%s", b->path, m->source);
	return hull_mount_clone(source, m->is_recursive, err);
}

int hull_mirror_prepare(const struct hull_bundle *b, const char *mount_point, struct hull_mirror **ret, struct hull_error *err)
{
	const struct hull_oci_spec *spec = b->spec;
	struct hull_mirror *m = hull_new(struct hull_mirror, 1);
	m->mount_point = hull_strdup(mount_point);
	m->net = -1;
	m->trees = hull_new(struct tree, spec->n_mounts);
	m->rootfs = hull_mount_clone(b->rootfs, true, err);
	int r = m->rootfs < 0 ? hull_error_wrap(err, "config.json: root.path") : 0;

	for (size_t i = 0; r == 0 && i < HULL_ARRAY_SIZE(mirrored); i++)
		if (spec->namespaces[mirrored[i].type].present && !spec->namespaces[mirrored[i].type].path)
			m->new_namespaces |= mirrored[i].flag;
	const char *net = spec->namespaces[HULL_NS_NETWORK].path;
	if (r == 0 && net) {
		m->net = open(net, O_RDONLY | O_CLOEXEC);
		if (m->net < 0)
			r = hull_error_errno(err, errno, "config.json: linux.namespaces: network: %s", net);
	}
	for (size_t i = 0; r == 0 && i < spec->n_mounts; i++) {
		if (!spec->mounts[i].is_bind)
			continue;
		struct tree *t = &m->trees[m->n_trees++];
		t->destination = spec->mounts[i].destination;
		t->fd = clone_tree(b, &spec->mounts[i], err);
		r = t->fd < 0 ? hull_error_wrap(err, "config.json: mounts[%zu].source", i) : 0;
	}
	if (r < 0) {
		hull_mirror_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

/* The destination is resolved as in the container: no link of a hostile rootfs leads out. */
static void attach(int root, const struct tree *t)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE };
	_cleanup_close_ int place = hull_open_in_root(root, t->destination, O_PATH, 0);
	if (place < 0 || mount_setattr(t->fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return;
	move_mount(t->fd, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int change_root(int rootfs)
{
	/* Both names are the new root: the old one ends up on top of it and is taken off. Source: pivot_root(2), NOTES. */
	if (fchdir(rootfs) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

int hull_mirror_enter(const struct hull_mirror *m)
{
	if (m->net >= 0 && setns(m->net, CLONE_NEWNET) < 0)
		return -errno;
	if (unshare(CLONE_NEWNS | m->new_namespaces) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	return 0;
}

int hull_mirror_fill(const struct hull_mirror *m)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE };
	if (mount_setattr(m->rootfs, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
	    move_mount(m->rootfs, "", AT_FDCWD, m->mount_point, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	for (size_t i = 0; i < m->n_trees; i++)
		attach(m->rootfs, &m->trees[i]);
	return change_root(m->rootfs);
}

void hull_mirror_free(struct hull_mirror *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_trees; i++)
		hull_closep(&m->trees[i].fd);
	hull_closep(&m->rootfs);
	hull_closep(&m->net);
	free(m->trees);
	free(m->mount_point);
	free(m);
}
