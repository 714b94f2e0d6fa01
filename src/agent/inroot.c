/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/inroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define LINKS_MAX 40

/*
 * `done` is a path below the root without symbolic links and "..", "" for the root itself; `todo` is what is left.
 * Every step is resolved again by the kernel inside the root, so a change under our feet cannot lead out.
 */
struct walk {
	int rootfd;
	char done[PATH_MAX], todo[PATH_MAX];
	int links;
};

static const char *or_root(const char *path)
{
	return *path ? path : "/";
}

/* Cuts the next component off `todo`. */
static bool next_component(struct walk *walk, char name[static NAME_MAX + 1])
{
	const char *p = walk->todo + strspn(walk->todo, "/");
	size_t n = strcspn(p, "/");
	if (n == 0 || n > NAME_MAX)
		return false;
	memcpy(name, p, n);
	name[n] = '\0';
	p += n;
	p += strspn(p, "/");
	memmove(walk->todo, p, strlen(p) + 1);
	return true;
}

static int follow_link(struct walk *walk, int linkfd)
{
	char target[PATH_MAX], rest[PATH_MAX];
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	ssize_t n = readlinkat(linkfd, "", target, sizeof(target) - 1);
	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	target[n] = '\0';
	memcpy(rest, walk->todo, strlen(walk->todo) + 1);
	int len = snprintf(walk->todo, sizeof(walk->todo), "%s/%s", target, rest);
	if (len < 0 || (size_t)len >= sizeof(walk->todo))
		return -ENAMETOOLONG;
	if (target[0] == '/')
		walk->done[0] = '\0';
	return 0;
}

static int make_component(struct walk *walk, const char *name, bool directory)
{
	_cleanup_close_ int parent = hull_open_in_root(walk->rootfd, or_root(walk->done), O_PATH | O_DIRECTORY, 0);
	if (parent < 0)
		return parent;
	if (directory)
		return mkdirat(parent, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
	int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	close(fd);
	return 0;
}

static int step(struct walk *walk, const char *name, bool directory)
{
	char candidate[PATH_MAX];
	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(walk->done, '/');
		if (slash)
			*slash = '\0';
		return 0;
	}
	int len = snprintf(candidate, sizeof(candidate), "%s/%s", walk->done, name);
	if (len < 0 || (size_t)len >= sizeof(candidate))
		return -ENAMETOOLONG;

	_cleanup_close_ int fd = hull_open_in_root(walk->rootfd, candidate, O_PATH | O_NOFOLLOW, 0);
	if (fd == -ENOENT) {
		int r = make_component(walk, name, directory || walk->todo[0] != '\0');
		if (r < 0)
			return r;
	} else if (fd < 0) {
		return fd;
	} else {
		struct stat st;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode))
			return follow_link(walk, fd);
	}
	memcpy(walk->done, candidate, (size_t)len + 1);
	return 0;
}

int hull_inroot_make(int rootfd, const char *path, bool directory)
{
	int fd = hull_open_in_root(rootfd, path, O_PATH, 0);
	if (fd != -ENOENT)
		return fd;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;

	struct walk walk = { .rootfd = rootfd };
	char name[NAME_MAX + 1];
	memcpy(walk.todo, path, strlen(path) + 1);
	while (next_component(&walk, name)) {
		int r = step(&walk, name, directory);
		if (r < 0)
			return r;
	}
	if (walk.todo[strspn(walk.todo, "/")] != '\0')
		return -ENAMETOOLONG;
	return hull_open_in_root(rootfd, or_root(walk.done), O_PATH | O_NOFOLLOW, 0);
}

int hull_inroot_make_parent(int rootfd, const char *path, char *name)
{
	char parent[PATH_MAX];
	size_t n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	size_t start = n;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (n == start || n - start > NAME_MAX || start >= PATH_MAX)
		return -EINVAL;
	memcpy(name, path + start, n - start);
	name[n - start] = '\0';
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	memcpy(parent, path, start);
	parent[start] = '\0';
	return hull_inroot_make(rootfd, or_root(parent), true);
}
