/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

/* As for names (path.c): links could lead to ever deeper directories, which nothing could remove any more. */
#define DEPTH_MAX 256

/* A name that this layer made. Inodes rather than paths, because links give a directory many paths. */
struct written {
	ino_t parent_ino;
	const char *name;
	char storage[];
};

static int compare_written(const void *a, const void *b)
{
	const struct written *x = a, *y = b;
	if (x->parent_ino != y->parent_ino)
		return x->parent_ino < y->parent_ino ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool is_written(const struct hull_image_tree *tree, ino_t parent_ino, const char *name)
{
	struct written key = { .parent_ino = parent_ino, .name = name };
	return tfind(&key, &tree->written, compare_written) != NULL;
}

static int note_written(struct hull_image_tree *tree, ino_t parent_ino, const char *name)
{
	if (is_written(tree, parent_ino, name))
		return 0;
	size_t size = strlen(name) + 1;
	struct written *w = hull_calloc(1, sizeof(*w) + size);
	w->parent_ino = parent_ino;
	w->name = memcpy(w->storage, name, size);
	if (!tsearch(w, &tree->written, compare_written)) {
		free(w);
		return -ENOMEM;
	}
	return 0;
}

/* How many directories are above what `fd` names. */
static int depth_of(int fd, unsigned *ret)
{
	char link[32], path[PATH_MAX];
	ssize_t n = readlink(hull_fd_path(fd, link), path, sizeof(path));
	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(path))
		return -ENAMETOOLONG;
	*ret = 0;
	for (ssize_t i = 0; i + 1 < n; i++)
		*ret += path[i] == '/';
	return 0;
}

static int check_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		int saved = errno;
		hull_closep(&copy);
		return -saved;
	}
	int r = 0;
	struct dirent *entry;
	while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = -ENOTEMPTY;
	if (r == 0)
		r = -errno;
	closedir(dir);
	return r;
}

int hull_image_tree_open(const char *dest, struct hull_image_tree *ret)
{
	_cleanup_close_ int root = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned depth;
	if (root < 0)
		return -errno;
	int r = check_empty(root);
	if (r == 0)
		r = depth_of(root, &depth);
	if (r < 0)
		return r;
	*ret = (struct hull_image_tree){ .root = TAKE_FD(root), .depth = depth };
	return 0;
}

void hull_image_tree_next_layer(struct hull_image_tree *tree)
{
	tdestroy(tree->written, free);
	tree->written = NULL;
}

void hull_image_tree_close(struct hull_image_tree *tree)
{
	hull_image_tree_next_layer(tree);
	hull_closep(&tree->root);
}

/* Opens the directory `path` below the root, and with `make` makes what is missing of it. The fd or -errno. */
static int open_directory(const struct hull_image_tree *tree, const char *path, bool make)
{
	int whole = hull_open_in_root(tree->root, *path ? path : ".", O_PATH | O_DIRECTORY, 0);
	if (whole != -ENOENT || !make)
		return whole;

	_cleanup_free_ char *prefix = hull_strdup(path);
	_cleanup_close_ int dir = openat(tree->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (char *name = prefix, *slash; dir >= 0 && name; name = slash ? slash + 1 : NULL) {
		slash = strchr(name, '/');
		if (slash)
			*slash = '\0';
		int next = hull_open_in_root(tree->root, prefix, O_PATH | O_DIRECTORY, 0);
		if (next == -ENOENT) {
			/* EEXIST: a link to nowhere. The mode once more, because of the umask. */
			if (mkdirat(dir, name, 0755) < 0)
				return errno == EEXIST ? -ENOENT : -errno;
			if (fchmodat(dir, name, 0755, 0) < 0)
				return -errno;
			next = hull_open_in_root(tree->root, prefix, O_PATH | O_DIRECTORY, 0);
		}
		if (next < 0)
			return next;
		close(dir);
		dir = next;
		if (slash)
			*slash = '/';
	}
	return dir < 0 ? -errno : TAKE_FD(dir);
}

int hull_image_tree_place(const struct hull_image_tree *tree, const char *path, bool make, struct hull_image_place *ret)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = hull_strndup(path, slash ? (size_t)(slash - path) : 0);
	_cleanup_close_ int fd = open_directory(tree, parent, make);
	struct stat st;
	unsigned depth;

	if (fd < 0)
		return fd;
	int r = depth_of(fd, &depth);
	if (r < 0)
		return r;
	if (depth > tree->depth + DEPTH_MAX)
		return -ENAMETOOLONG;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (struct hull_image_place){
		.parent = TAKE_FD(fd), .parent_ino = st.st_ino, .name = slash ? slash + 1 : path,
	};
	return 0;
}

void hull_image_place_close(struct hull_image_place *place)
{
	hull_closep(&place->parent);
}

int hull_image_tree_claim(struct hull_image_tree *tree, const struct hull_image_place *place, bool directory,
			  bool *ret_there)
{
	struct stat st;
	bool there = false;
	if (fstatat(place->parent, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		there = directory && S_ISDIR(st.st_mode);
		int r = there ? 0 : hull_rmtree(place->parent, place->name);
		if (r < 0)
			return r;
	} else if (errno != ENOENT) {
		return -errno;
	}
	*ret_there = there;
	return note_written(tree, place->parent_ino, place->name);
}

static int prune_name(const struct hull_image_tree *tree, int dirfd, ino_t dir_ino, const char *name);

/* Takes the directory `fd` over. Recursion ends at the depth that hull_image_tree_place() allows. */
static int prune_inside(const struct hull_image_tree *tree, int fd, ino_t ino)
{
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int saved = errno;
		close(fd);
		return -saved;
	}
	int r = 0;
	struct dirent *entry;
	while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = prune_name(tree, fd, ino, entry->d_name);
	closedir(dir);
	return r;
}

static int prune_name(const struct hull_image_tree *tree, int dirfd, ino_t dir_ino, const char *name)
{
	bool keep = is_written(tree, dir_ino, name);
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return keep || unlinkat(dirfd, name, 0) == 0 ? 0 : -errno;

	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = prune_inside(tree, fd, st.st_ino);
	/* A directory that is not empty now leads to something of this layer. */
	if (r == 0 && !keep && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		r = -errno;
	return r;
}

int hull_image_tree_whiteout(const struct hull_image_tree *tree, const struct hull_image_place *place)
{
	return prune_name(tree, place->parent, place->parent_ino, place->name);
}

int hull_image_tree_opaque(const struct hull_image_tree *tree, const struct hull_image_place *place)
{
	int fd = openat(place->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : prune_inside(tree, fd, place->parent_ino);
}
