/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over a container's control group. What lies below it is the container's making. */
#include "agent/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

/* A container may nest groups as deep as the kernel allows; nobody sensible does. */
#define DEPTH_MAX 32
#define PROCS_MAX_BYTES (1u << 20)

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Calls fn(data, dirfd, name) for each child group. */
static int each_child(int dirfd, int (*fn)(void *data, int dirfd, const char *name), void *data)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	_cleanup_(closedirp) DIR *dir = fdopendir(copy);
	if (!dir) {
		close(copy);
		return -ENOMEM;
	}
	struct dirent *entry;
	int r = 0;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = fn(data, dirfd, entry->d_name);
	}
	return r;
}

struct walk {
	int (*fn)(void *data, pid_t pid);
	void *data;
	int depth;
};

static int walk_group(struct walk *walk, int fd);

static int walk_child(void *data, int dirfd, const char *name)
{
	struct walk *walk = data;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (walk->depth >= DEPTH_MAX)
		return -ELOOP;
	walk->depth++;
	int r = walk_group(walk, fd);
	walk->depth--;
	return r;
}

static int walk_group(struct walk *walk, int fd)
{
	_cleanup_free_ char *text = NULL;
	int r = hull_file_read(fd, "cgroup.procs", PROCS_MAX_BYTES, &text, NULL);
	/* A threaded group has no list of its own: its processes are listed by the root of the threaded domain. */
	if (r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return r == -ENODEV || r == -ENOENT ? 0 : r;

	char *save = NULL;
	for (char *p = strtok_r(text, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		pid_t pid = (pid_t)strtol(p, NULL, 10);
		/* 0 stands for a process of another pid namespace, which cannot be seen from here; there is none. */
		r = pid > 0 ? walk->fn(walk->data, pid) : 0;
		if (r != 0)
			return r;
	}
	return each_child(fd, walk_child, walk);
}

int hull_cgroup_each(int cgroup_fd, int (*fn)(void *data, pid_t pid), void *data)
{
	struct walk walk = { .fn = fn, .data = data };
	return walk_group(&walk, cgroup_fd);
}

struct signal_all {
	const char *id;
	int sig;
	unsigned sent;
};

/* Whether the process is in /hull/<id>: the pid was read before the pidfd was opened and may be another's by now. */
static bool in_group(pid_t pid, const char *id)
{
	char path[64], wanted[300];
	_cleanup_free_ char *text = NULL;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (hull_file_read(AT_FDCWD, path, 8192, &text, NULL) < 0)
		return false;
	int n = snprintf(wanted, sizeof(wanted), "0::/hull/%s", id);
	char *line = strstr(text, wanted);
	return line && (line[n] == '\n' || line[n] == '/');
}

static int signal_one(void *data, pid_t pid)
{
	struct signal_all *all = data;
	_cleanup_close_ int pidfd = hull_pidfd_open(pid);
	if (pidfd >= 0 && in_group(pid, all->id) && hull_pidfd_kill(pidfd, all->sig) == 0)
		all->sent++;
	return 0;
}

int hull_cgroup_signal(int cgroup_fd, const char *id, int sig)
{
	struct signal_all all = { .id = id, .sig = sig };
	int r = hull_cgroup_each(cgroup_fd, signal_one, &all);
	if (r < 0)
		return r;
	return all.sent ? 0 : -ESRCH;
}

static int remove_child(void *data, int dirfd, const char *name)
{
	int depth = *(int *)data + 1;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	int r = each_child(fd, remove_child, &depth);
	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int hull_cgroup_remove(const char *id)
{
	_cleanup_close_ int fd = open(HULL_CGROUP_POD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int depth = 0;
	return fd < 0 ? -errno : remove_child(&depth, fd, id);
}
