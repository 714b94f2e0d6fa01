/* SPDX-License-Identifier: Apache-2.0 */
#include "resources/hostgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

#define TEXT_MAX_BYTES (4u << 20)
/* On a directory that Hull made. The kernel keeps it as long as the group. */
#define MARK "trusted.hull.made"
/* A killed process leaves its group when it is gone, which takes the kernel a moment. */
#define REMOVE_TIMEOUT_MS 3000
#define REMOVE_STEP_US 5000
/* Somebody who removes a parent that just became empty. */
#define MAKE_ATTEMPTS 20

/* How much of the path exists: at least the mount point. */
static size_t find_there(const struct hull_hostgroup_dir *dir)
{
	_cleanup_free_ char *path = hull_strdup(dir->path);
	for (char *slash; access(path, F_OK) < 0 && (slash = strrchr(path, '/')) && slash > path + strlen(dir->mount);)
		*slash = '\0';
	return access(path, F_OK) == 0 ? strlen(path) : strlen(dir->mount);
}

/* /proc/self/mountinfo and /proc/self/cgroup; new memory. */
static int read_self(char **ret_mountinfo, char **ret_cgroup, struct hull_error *err)
{
	int r = hull_file_read(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX_BYTES, ret_mountinfo, NULL);
	if (r < 0)
		return hull_error_errno(err, r, "read /proc/self/mountinfo");
	r = hull_file_read(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX_BYTES, ret_cgroup, NULL);
	return r < 0 ? hull_error_errno(err, r, "read /proc/self/cgroup") : 0;
}

int hull_hostgroup_plan(const char *cgroups_path, const char *id, struct hull_hostgroup *ret, struct hull_error *err)
{
	_cleanup_free_ char *mountinfo = NULL, *self = NULL;
	int r = read_self(&mountinfo, &self, err);
	if (r == 0)
		r = hull_hostgroup_find(cgroups_path, id, mountinfo, self, ret, err);
	for (size_t i = 0; r == 0 && i < ret->n; i++)
		ret->v[i].there = find_there(&ret->v[i]);
	return r;
}

int hull_hostgroup_own(struct hull_hostgroup *ret, struct hull_error *err)
{
	_cleanup_free_ char *mountinfo = NULL, *self = NULL;
	int r = read_self(&mountinfo, &self, err);
	return r < 0 ? r : hull_hostgroup_find_own(mountinfo, self, ret, err);
}

/* ---- making */

/* A new group of the v1 cpuset controller has no CPUs, and nothing can enter it. Source: cpusets(7), "the parent's". */
static void inherit_cpuset(const char *path)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *own = hull_asprintf("%s/%s", path, files[i]);
		_cleanup_free_ char *above = hull_asprintf("%s/../%s", path, files[i]);
		_cleanup_free_ char *text = NULL, *has = NULL;
		if (hull_file_read(AT_FDCWD, own, TEXT_MAX_BYTES, &has, NULL) == 0 && has[strspn(has, "\n")] == '\0' &&
		    hull_file_read(AT_FDCWD, above, TEXT_MAX_BYTES, &text, NULL) == 0)
			hull_file_write(AT_FDCWD, own, text);
	}
}

/* cgroup v2: lets the children of `path` have what it has. What cannot be enabled is missed when a limit needs it. */
static void enable_controllers(const char *path)
{
	_cleanup_free_ char *from = hull_asprintf("%s/cgroup.controllers", path);
	_cleanup_free_ char *to = hull_asprintf("%s/cgroup.subtree_control", path);
	_cleanup_free_ char *list = NULL;
	char word[64], *rest = NULL;
	if (hull_file_read(AT_FDCWD, from, TEXT_MAX_BYTES, &list, NULL) < 0)
		return;
	for (char *name = strtok_r(list, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest)) {
		snprintf(word, sizeof(word), "+%s", name);
		hull_file_write(AT_FDCWD, to, word);
	}
}

/* One directory; 0 also when it is there. */
static int make_one(const char *path)
{
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (setxattr(path, MARK, "1", 1, 0) < 0) {
		int saved = errno;
		rmdir(path);
		return -saved;
	}
	return 0;
}

static bool is_cpuset(const struct hull_hostgroup_dir *dir)
{
	return strstr(dir->controllers, "cpuset") != NULL;
}

static int make_once(const struct hull_hostgroup *group, const struct hull_hostgroup_dir *dir)
{
	_cleanup_free_ char *path = hull_strdup(dir->path);
	for (char *end = path + strlen(dir->mount); *end;) {
		*end = '\0';
		if (group->unified)
			enable_controllers(path);
		*end = '/';
		char *next = strchrnul(end + 1, '/'), saved = *next;
		*next = '\0';
		int r = make_one(path);
		if (r == 0 && !group->unified && is_cpuset(dir))
			inherit_cpuset(path);
		*next = saved;
		if (r < 0)
			return r;
		end = next;
	}
	return 0;
}

int hull_hostgroup_make(const struct hull_hostgroup *group, struct hull_error *err)
{
	for (size_t i = 0; i < group->n; i++) {
		int r = -ENOENT;
		/* A parent can go between two steps, when somebody removes the last group in it. */
		for (int n = 0; r == -ENOENT && n < MAKE_ATTEMPTS; n++)
			r = make_once(group, &group->v[i]);
		if (r < 0) {
			hull_hostgroup_remove(group, NULL);
			return hull_error_errno(err, r, "make the control group %s", group->v[i].path);
		}
	}
	return 0;
}

int hull_hostgroup_add(const struct hull_hostgroup *group, pid_t pid, struct hull_error *err)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < group->n; i++) {
		_cleanup_free_ char *file = hull_asprintf("%s/cgroup.procs", group->v[i].path);
		int r = hull_file_write(AT_FDCWD, file, text);
		if (r < 0)
			return hull_error_errno(err, r, "move process %d into the control group %s", (int)pid, group->v[i].path);
	}
	return 0;
}

/* ---- removing */

static bool is_hulls(const struct hull_hostgroup_dir *dir, const char *path)
{
	char mark[4];
	return (dir->there > 0 && strlen(path) > dir->there) || getxattr(path, MARK, mark, sizeof(mark)) > 0;
}

/* The parents of `path`, as long as Hull made them and they are empty. */
static void remove_parents(const struct hull_hostgroup_dir *dir, char *path)
{
	for (char *slash = strrchr(path, '/'); slash && (size_t)(slash - path) > strlen(dir->mount); slash = strrchr(path, '/')) {
		*slash = '\0';
		if (!is_hulls(dir, path) || rmdir(path) < 0)
			return;
	}
}

static int remove_one(const struct hull_hostgroup_dir *dir, int64_t deadline_ms)
{
	_cleanup_free_ char *path = hull_strdup(dir->path);
	if (access(path, F_OK) == 0) {
		if (!is_hulls(dir, path))
			return 0;
		while (rmdir(path) < 0) {
			if (errno == ENOENT)
				break;
			if (errno != EBUSY || hull_now_ms() >= deadline_ms)
				return -errno;
			usleep(REMOVE_STEP_US);
		}
	}
	remove_parents(dir, path);
	return 0;
}

int hull_hostgroup_remove(const struct hull_hostgroup *group, struct hull_error *err)
{
	int64_t deadline_ms = hull_now_ms() + REMOVE_TIMEOUT_MS;
	int result = 0;
	for (size_t i = 0; i < group->n; i++) {
		int r = remove_one(&group->v[i], deadline_ms);
		if (r < 0 && result == 0)
			result = hull_error_errno(err, r, "remove the control group %s", group->v[i].path);
	}
	return result;
}
