/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/locals.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* Where the agent makes them: src/agent/locals.h. */
#define GUEST_LOCALS "/run/hull/local"
/* Source: kubernetes pkg/volume/emptydir: the directory of the plugin in a pod's volumes. */
#define EMPTY_DIR "/kubernetes.io~empty-dir/"

/*
 * A pod's /dev/shm by containerd, which lives as long as the pod. Those that other engines make for single containers may come and go in a
 * VM, and under the same device number. Source: containerd internal/cri/server, getSandboxDevShm().
 */
static bool is_pods_shm(const char *source)
{
	return fnmatch("/*/io.containerd.grpc.v1.cri/sandboxes/*/shm", source, 0) == 0;
}

static bool is_empty(int fd)
{
	int inner = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = inner < 0 ? NULL : fdopendir(inner);
	unsigned n = 0;
	if (!dir) {
		hull_closep(&inner);
		return false;
	}
	while (n < 3 && readdir(dir))
		n++;
	closedir(dir);
	return n == 2;
}

/* The host's tmpfs in the guest's terms. A size that the VM does not have either is no limit: then it is half of its memory. */
static char *tmpfs_options(const struct hull_container *c, const struct statfs *fs, const struct stat *st)
{
	uint64_t bytes = (uint64_t)fs->f_blocks * (uint64_t)fs->f_bsize;
	_cleanup_free_ char *size = bytes > 0 && bytes < hull_vm_facts(c->pod->vm)->memory_bytes ?
		hull_asprintf("size=%llu,", (unsigned long long)bytes) : hull_strdup("");
	return hull_asprintf("%smode=%o,uid=%u,gid=%u", size, st->st_mode & 07777, st->st_uid, st->st_gid);
}

static bool describe(struct hull_container *c, int fd, const char *source, const char **fstype, char **options)
{
	struct statfs fs;
	struct stat st;
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return false;
	if (fs.f_type == HUGETLBFS_MAGIC) {
		*fstype = "hugetlbfs";
		*options = hull_asprintf("pagesize=%ld,mode=%o,uid=%u,gid=%u", (long)fs.f_bsize, st.st_mode & 07777, st.st_uid, st.st_gid);
		return true;
	}
	if (fs.f_type != TMPFS_MAGIC || !(strstr(source, EMPTY_DIR) || is_pods_shm(source)) || !is_empty(fd))
		return false;
	*fstype = "tmpfs";
	*options = tmpfs_options(c, &fs, &st);
	return true;
}

bool hull_local_take(struct hull_container *c, int fd, const char *source, char **ret_path)
{
	const char *fstype;
	char *options;
	struct stat st;
	if (fstat(fd, &st) < 0 || !describe(c, fd, source, &fstype, &options))
		return false;
	c->locals = hull_reallocarray(c->locals, c->n_locals + 1, sizeof(*c->locals));
	Hull__Agent__V1__LocalVolume *l = &c->locals[c->n_locals++];
	hull__agent__v1__local_volume__init(l);
	l->name = hull_asprintf("%llx-%llx", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	l->fstype = hull_strdup(fstype);
	l->options = options;
	*ret_path = hull_asprintf(GUEST_LOCALS "/%s", l->name);
	return true;
}

Hull__Agent__V1__LocalVolume **hull_locals_describe(struct hull_container *c)
{
	Hull__Agent__V1__LocalVolume **pointers = hull_new(Hull__Agent__V1__LocalVolume *, c->n_locals);
	for (size_t i = 0; i < c->n_locals; i++)
		pointers[i] = &c->locals[i];
	return pointers;
}

void hull_locals_free(struct hull_container *c)
{
	for (size_t i = 0; i < c->n_locals; i++) {
		free(c->locals[i].name);
		free(c->locals[i].fstype);
		free(c->locals[i].options);
	}
	free(c->locals);
	c->locals = NULL;
	c->n_locals = 0;
}
