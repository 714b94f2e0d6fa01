/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/path.h"
#include "image/reader.h"

/* Far more than any image has; the names are held in memory. */
#define MEMBERS_MAX 65536
#define NAME_BYTES_MAX 1024

#define LINKS_MAX 8

#define TAR_BLOCK 512

/* A member of a tar: bytes, or a link to another member. */
struct stored {
	char *name;
	char *target;            /* NULL: not a link */
	uint64_t offset, size;
};

struct hull_image_store {
	int dir;                 /* of a directory, -1 otherwise */
	struct hull_image_blob tar;
	struct stored *members;
	size_t n, room;
};

static int open_path(const char *path, struct hull_image_store *s, struct hull_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return hull_error_errno(err, errno, "open");
	if (S_ISDIR(st.st_mode)) {
		s->dir = TAKE_FD(fd);
		return 0;
	}
	if (hull_image_blob_from_fd(TAKE_FD(fd), &s->tar) < 0)
		return hull_error_set(err, EINVAL, "neither a directory nor a regular file");
	return 0;
}

/* Makes a file that has no name any more. The fd or -errno. */
static int temporary_file(const char *dir)
{
	_cleanup_free_ char *path = hull_asprintf("%s/.hull-XXXXXX", dir);
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (unlink(path) < 0) {
		int saved = errno;
		close(fd);
		return -saved;
	}
	return fd;
}

/* Replaces the compressed tar by its uncompressed bytes, so that members can be read where they are. */
static int inflate(struct hull_image_store *s, const char *temp_dir, const struct hull_image_limits *limits,
		   struct hull_error *err)
{
	struct hull_image_budget budget = { .limits = *limits };
	_cleanup_(hull_image_reader_closep) struct hull_image_reader *reader = NULL;
	_cleanup_close_ int fd = temporary_file(temp_dir);
	struct archive_entry *entry;
	const void *data;
	uint64_t offset;
	size_t len;

	if (fd < 0)
		return hull_error_errno(err, fd, "create a temporary file in %s", temp_dir);
	int r = hull_image_reader_open(&s->tar, HULL_IMAGE_READER_RAW, &budget, &reader, err);
	if (r == 0)
		r = hull_image_reader_next(reader, &entry, err);
	while (r >= 0 && (r = hull_image_reader_block(reader, &data, &len, &offset, err)) > 0) {
		int w = hull_fd_write_all(fd, data, len);
		if (w < 0)
			r = hull_error_errno(err, w, "write a temporary file in %s", temp_dir);
	}
	if (r < 0)
		return r;
	hull_image_blob_close(&s->tar);
	r = hull_image_blob_from_fd(TAKE_FD(fd), &s->tar);
	return r < 0 ? hull_error_errno(err, r, "temporary file in %s", temp_dir) : 0;
}

static struct stored *add(struct hull_image_store *s, const char *name)
{
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->members = hull_reallocarray(s->members, s->room, sizeof(*s->members));
	}
	s->members[s->n] = (struct stored){ .name = hull_strdup(name) };
	return &s->members[s->n++];
}

/*
 * Notes a member. Only whole regular files and links are of use, others are never asked for. The data of the file
 * `*ret_open` ends where the next member begins, which is how its place in the tar gets known.
 */
static int note_member(struct hull_image_store *s, struct archive_entry *entry, bool *ret_open, struct hull_error *err)
{
	const char *name = archive_entry_pathname(entry);
	const char *hard = archive_entry_hardlink(entry), *soft = archive_entry_symlink(entry);
	_cleanup_free_ char *path = NULL, *target = NULL;

	*ret_open = false;
	if (!name || !*name)
		return hull_error_set(err, EBADMSG, "a member has no name");
	int r = hull_image_path_clean(name, &path, err);
	if (r < 0)
		return r;
	if (!*path || strlen(path) > NAME_BYTES_MAX)
		return 0;
	char shown[HULL_IMAGE_SHOW_MAX];
	if (hard)
		r = hull_image_path_clean(hard, &target, err);
	else if (soft && hull_image_path_follow(path, soft, &target) < 0)
		r = hull_error_set(err, EXDEV, "refused: the link leads out of the archive");
	if (r < 0)
		return hull_error_wrap(err, "%s", hull_image_path_show(path, shown));

	int64_t size = archive_entry_size(entry);
	if (target)
		add(s, path)->target = TAKE_PTR(target);
	else if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_sparse_count(entry) == 0 && size >= 0) {
		add(s, path)->size = (uint64_t)size;
		*ret_open = true;
	}
	return 0;
}

static int index_tar(struct hull_image_store *s, struct hull_image_reader *reader, struct hull_error *err)
{
	struct archive_entry *entry;
	char shown[HULL_IMAGE_SHOW_MAX];
	bool open = false;
	int r;
	do {
		r = hull_image_reader_next(reader, &entry, err);
		if (r < 0)
			return r;
		uint64_t end = hull_image_reader_position(reader);
		if (open) {
			struct stored *m = &s->members[s->n - 1];
			uint64_t padded = m->size + (TAR_BLOCK - m->size % TAR_BLOCK) % TAR_BLOCK;
			if (end > s->tar.size || padded > end)
				return hull_error_set(err, EBADMSG, "%s: not whole in the archive",
						      hull_image_path_show(m->name, shown));
			m->offset = end - padded;
		}
		int noted = r > 0 ? note_member(s, entry, &open, err) : 0;
		if (noted < 0)
			return noted;
		if (s->n > MEMBERS_MAX)
			return hull_error_set(err, EFBIG, "refused: more than %d files", MEMBERS_MAX);
	} while (r > 0);
	return 0;
}

/* Opens the tar for its index; `*ret_plain` says whether that was possible. */
static int try_index(struct hull_image_store *s, const struct hull_image_limits *limits, bool *ret_plain,
		     struct hull_error *err)
{
	struct hull_image_budget budget = { .limits = *limits };
	_cleanup_(hull_image_reader_closep) struct hull_image_reader *reader = NULL;
	int r = hull_image_reader_open(&s->tar, HULL_IMAGE_READER_TAR, &budget, &reader, err);
	if (r < 0)
		return r;
	*ret_plain = hull_image_reader_plain(reader);
	return *ret_plain ? index_tar(s, reader, err) : 0;
}

int hull_image_store_open(const char *path, const char *temp_dir, const struct hull_image_limits *limits,
			  struct hull_image_store **ret, struct hull_error *err)
{
	_cleanup_(hull_image_store_closep) struct hull_image_store *s = hull_new(struct hull_image_store, 1);
	bool plain;
	s->dir = -1;
	s->tar.fd = -1;

	int r = open_path(path, s, err);
	if (r == 0 && s->dir < 0) {
		r = try_index(s, limits, &plain, err);
		if (r == 0 && !plain)
			r = inflate(s, temp_dir, limits, err);
		if (r == 0 && !plain)
			r = try_index(s, limits, &plain, err);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

void hull_image_store_close(struct hull_image_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		free(s->members[i].name);
		free(s->members[i].target);
	}
	free(s->members);
	hull_image_blob_close(&s->tar);
	hull_closep(&s->dir);
	free(s);
}

void hull_image_store_closep(struct hull_image_store **s)
{
	hull_image_store_close(*s);
}

/* The last member of that name: a tar that was appended to has several. */
static const struct stored *find(const struct hull_image_store *s, const char *name)
{
	for (size_t i = s->n; i > 0; i--)
		if (strcmp(s->members[i - 1].name, name) == 0)
			return &s->members[i - 1];
	return NULL;
}

static int get_member(const struct hull_image_store *s, const char *name, struct hull_image_blob *ret)
{
	const struct stored *m = find(s, name);
	for (int links = 0; m && m->target; links++) {
		if (links == LINKS_MAX)
			return -ELOOP;
		m = find(s, m->target);
	}
	if (!m)
		return -ENOENT;
	int fd = fcntl(s->tar.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret = (struct hull_image_blob){ .fd = fd, .offset = m->offset, .size = m->size };
	return 0;
}

static int get_file(const struct hull_image_store *s, const char *name, struct hull_image_blob *ret)
{
	int fd = hull_open_in_root(s->dir, name, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	return fd < 0 ? fd : hull_image_blob_from_fd(fd, ret);
}

int hull_image_store_get(const struct hull_image_store *s, const char *name, struct hull_image_blob *ret,
			 struct hull_error *err)
{
	_cleanup_free_ char *path = NULL;
	char shown[HULL_IMAGE_SHOW_MAX];
	int r = hull_image_path_clean(name, &path, err);
	if (r < 0)
		return r;
	r = s->dir >= 0 ? get_file(s, path, ret) : get_member(s, path, ret);
	return r < 0 ? hull_error_errno(err, r, "%s", hull_image_path_show(path, shown)) : 0;
}
