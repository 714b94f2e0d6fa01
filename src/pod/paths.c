/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/paths.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"

const char *hull_default_root(void)
{
	const char *named = getenv("HULL_ROOT");
	return named && named[0] == '/' ? named : HULL_DEFAULT_ROOT;
}

int hull_paths_check(const char *root, struct hull_error *err)
{
	static const char *const parts[] = { "", "/containers", "/pods" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(parts); i++) {
		_cleanup_free_ char *path = hull_asprintf("%s%s", root, parts[i]);
		struct stat st;
		if (stat(path, &st) < 0) {
			/* What is not a directory says so when it is used. */
			if (errno == ENOENT || errno == ENOTDIR)
				return 0;
			return hull_error_errno(err, errno, "the state directory %s", path);
		}
		if (st.st_uid != 0 && st.st_uid != geteuid())
			return hull_error_set(err, EPERM, "the state directory %s belongs to user %u; it must be root's", path,
					      (unsigned)st.st_uid);
		if (S_ISDIR(st.st_mode) && (st.st_mode & (S_IWGRP | S_IWOTH)))
			return hull_error_set(err, EPERM, "the state directory %s can be written by others than its owner (mode %04o)", path,
					      (unsigned)st.st_mode & 07777);
	}
	return 0;
}

int hull_paths_prepare(const char *root, struct hull_error *err)
{
	static const char *const below[] = { "containers", "pods" };

	int r = hull_mkdir_p(root, 0711);
	if (r < 0)
		return hull_error_errno(err, r, "make the state directory %s", root);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(below); i++) {
		_cleanup_free_ char *path = hull_asprintf("%s/%s", root, below[i]);
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return hull_error_errno(err, errno, "make the state directory %s", path);
	}
	return hull_paths_check(root, err);
}

void hull_paths_sweep(const char *root)
{
	_cleanup_free_ char *path = hull_asprintf("%s/containers", root);
	DIR *dir = opendir(path);
	struct dirent *entry;
	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		struct hull_procref maker = { 0 };
		if (sscanf(entry->d_name, ":%d:", &maker.pid) == 1 && !hull_procref_alive(&maker))
			hull_rmtree(dirfd(dir), entry->d_name);
	}
	closedir(dir);
}

char *hull_path_container(const char *root, const char *id)
{
	return hull_asprintf("%s/containers/%s", root, id);
}

char *hull_path_passing(const char *root, const char *id)
{
	return hull_asprintf("%s/containers/:%d:%.200s", root, (int)getpid(), id);
}

char *hull_path_pod(const char *root, const char *pod_id)
{
	return hull_asprintf("%s/pods/%s", root, pod_id);
}

/* PREFIX of the running program: two levels up from bin/hull, three from libexec/hull/hull-pod. */
static char *prefix(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n <= 0)
		return hull_strdup("/usr/local");
	exe[n] = '\0';

	char *slash = strrchr(exe, '/');
	*slash = '\0';
	char *libexec = strstr(exe, "/libexec/hull");
	if (libexec && strcmp(libexec, "/libexec/hull") == 0)
		*libexec = '\0';
	else if ((slash = strrchr(exe, '/')) != NULL)
		*slash = '\0';
	return hull_strdup(exe);
}

char *hull_path_bin(const char *name)
{
	_cleanup_free_ char *base = prefix();
	return hull_asprintf("%s/bin/%s", base, name);
}

char *hull_path_libexec(const char *name)
{
	_cleanup_free_ char *base = prefix();
	return hull_asprintf("%s/libexec/hull/%s", base, name);
}

char *hull_path_data(const char *name)
{
	_cleanup_free_ char *base = prefix();
	return hull_asprintf("%s/share/hull/%s", base, name);
}
