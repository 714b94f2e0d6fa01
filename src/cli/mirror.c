/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mirror.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
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
	bool cover;                    /* stands for what only the guest has: empty */
	bool is_proc, readonly;
};

struct hull_mirror {
	const char *place;             /* of the rootfs; borrowed from the bundle, as in runc the path that the host knows it by */
	int rootfs;
	int joined[HULL_NS_COUNT];     /* namespaces to join; -1: none */
	int new_namespaces;            /* CLONE_NEW… */
	struct tree *trees;            /* in the order of config.json */
	size_t n_trees;
	bool readonly;
};

static const struct mirrored {
	enum hull_oci_ns_type type;
	int flag;
} mirrored[] = { { HULL_NS_NETWORK, CLONE_NEWNET }, { HULL_NS_IPC, CLONE_NEWIPC }, { HULL_NS_UTS, CLONE_NEWUTS } };

/* Nothing but places for other mounts goes into it. */
static int make_cover(struct hull_error *err)
{
	_cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "755", 0) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return hull_error_errno(err, errno, "make a tmpfs");
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? hull_error_errno(err, errno, "make a tmpfs") : fd;
}

static int open_tree_of(const struct hull_bundle *b, const struct hull_oci_mount *m, struct hull_error *err)
{
	if (!m->is_bind)
		return make_cover(err);
	_cleanup_free_ char *source = m->source[0] == '/' ? hull_strdup(m->source) : hull_asprintf("%s/%s", b->path, m->source);
	return hull_mount_clone(source, m->is_recursive, err);
}

static int prepare_namespace(struct hull_mirror *m, const struct hull_oci_spec *spec, const struct mirrored *kind,
			     struct hull_error *err)
{
	const struct hull_oci_namespace *ns = &spec->namespaces[kind->type];
	if (ns->path) {
		m->joined[kind->type] = open(ns->path, O_RDONLY | O_CLOEXEC);
		if (m->joined[kind->type] < 0)
			return hull_error_errno(err, errno, "config.json: linux.namespaces: %s: %s", hull_oci_namespace_name(kind->type),
						ns->path);
	} else if (ns->present) {
		m->new_namespaces |= kind->flag;
	}
	return 0;
}

int hull_mirror_prepare(const struct hull_bundle *b, int netns_fd, struct hull_mirror **ret, struct hull_error *err)
{
	const struct hull_oci_spec *spec = b->spec;
	struct hull_mirror *m = hull_new(struct hull_mirror, 1);
	m->place = b->rootfs;
	for (size_t i = 0; i < HULL_NS_COUNT; i++)
		m->joined[i] = -1;
	m->readonly = spec->root_readonly;
	m->trees = hull_new(struct tree, spec->n_mounts);
	m->rootfs = hull_mount_clone(b->rootfs, true, err);
	int r = m->rootfs < 0 ? hull_error_wrap(err, "config.json: root.path") : 0;

	for (size_t i = 0; r == 0 && i < HULL_ARRAY_SIZE(mirrored); i++)
		r = prepare_namespace(m, spec, &mirrored[i], err);
	if (r == 0 && netns_fd >= 0) {
		m->new_namespaces &= ~CLONE_NEWNET;
		hull_closep(&m->joined[HULL_NS_NETWORK]);
		m->joined[HULL_NS_NETWORK] = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);
		if (m->joined[HULL_NS_NETWORK] < 0)
			r = hull_error_errno(err, errno, "linux.namespaces: network");
	}
	for (size_t i = 0; r == 0 && i < spec->n_mounts; i++) {
		const struct hull_oci_mount *mount = &spec->mounts[i];
		struct tree *t = &m->trees[m->n_trees++];
		t->destination = mount->destination;
		t->cover = !mount->is_bind;
		t->is_proc = t->cover && mount->type && strcmp(mount->type, "proc") == 0;
		t->readonly = t->cover || (mount->flags & MS_RDONLY);
		t->fd = open_tree_of(b, mount, err);
		r = t->fd < 0 ? hull_error_wrap(err, "config.json: mounts[%zu].source", i) : 0;
	}
	if (r < 0) {
		hull_mirror_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

static int set_readonly(int mount_fd)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	return mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/*
 * The place of a mount, resolved as in the container: no link of a hostile rootfs leads out. The guest has made those in the rootfs;
 * what is missing lies in a cover and is made here.
 */
static int open_place(int root, const char *destination, bool directory)
{
	_cleanup_free_ char *path = hull_strdup(destination);
	for (char *slash = strchr(path + 1, '/');; slash = slash ? strchr(slash + 1, '/') : NULL) {
		if (slash)
			*slash = '\0';
		int fd = hull_open_in_root(root, path, O_PATH, 0);
		if (fd == -ENOENT) {
			char *name = strrchr(path, '/') + 1, first = *name;
			*name = '\0';
			_cleanup_close_ int parent = hull_open_in_root(root, path, O_PATH | O_DIRECTORY, 0);
			*name = first;
			if (slash || directory ? mkdirat(parent, name, 0755) < 0 : mknodat(parent, name, S_IFREG | 0644, 0) < 0)
				return -errno;
			fd = hull_open_in_root(root, path, O_PATH, 0);
		}
		if (fd < 0 || !slash)
			return fd;
		close(fd);
		*slash = '/';
	}
}

static int attach(int root, const struct tree *t)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE };
	struct stat st;
	if (fstat(t->fd, &st) < 0 || mount_setattr(t->fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	_cleanup_close_ int place = open_place(root, t->destination, S_ISDIR(st.st_mode));
	if (place < 0)
		return place;
	return move_mount(t->fd, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

/*
 * What is not there must not look as if there were nothing: in /proc is the one process of the container that the host has, this
 * one. Source: psgo, JoinNamespaceAndProcessInfo(): `podman top` reads /proc of the stand-in's mount namespace, and /proc/stat for the
 * time of boot.
 */
static void fill_proc(int root, const struct tree *proc)
{
	_cleanup_free_ char *self = hull_asprintf("/proc/%d", (int)getpid());
	const char *const kept[] = { self, "/proc/stat" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(kept); i++) {
		_cleanup_free_ char *place = hull_asprintf("%s/%s", proc->destination, kept[i] + strlen("/proc/"));
		_cleanup_close_ int fd = open_tree(AT_FDCWD, kept[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		const struct tree t = { .fd = fd, .destination = place };
		if (fd >= 0 && attach(root, &t) == 0)
			set_readonly(fd);
	}
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
	for (size_t i = 0; i < HULL_ARRAY_SIZE(mirrored); i++)
		if (m->joined[mirrored[i].type] >= 0 && setns(m->joined[mirrored[i].type], mirrored[i].flag) < 0)
			return -errno;
	if (unshare(CLONE_NEWNS | m->new_namespaces) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	return 0;
}

int hull_mirror_fill(const struct hull_mirror *m)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE };
	_cleanup_close_ int place = open(m->place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place < 0 || mount_setattr(m->rootfs, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
	    move_mount(m->rootfs, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	for (size_t i = 0; i < m->n_trees; i++) {
		if (attach(m->rootfs, &m->trees[i]) == 0 && m->trees[i].is_proc)
			fill_proc(m->rootfs, &m->trees[i]);
	}
	return 0;
}

int hull_mirror_close(const struct hull_mirror *m)
{
	/* Not earlier: places for later mounts were made in earlier ones, and hooks may write to the rootfs. */
	int r = m->readonly ? set_readonly(m->rootfs) : 0;
	for (size_t i = 0; r == 0 && i < m->n_trees; i++)
		r = m->trees[i].readonly ? set_readonly(m->trees[i].fd) : 0;
	return r < 0 ? r : change_root(m->rootfs);
}

void hull_mirror_free(struct hull_mirror *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_trees; i++)
		hull_closep(&m->trees[i].fd);
	hull_closep(&m->rootfs);
	for (size_t i = 0; i < HULL_NS_COUNT; i++)
		hull_closep(&m->joined[i]);
	free(m->trees);
	free(m);
}
