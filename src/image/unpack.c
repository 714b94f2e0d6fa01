/* SPDX-License-Identifier: Apache-2.0 */
#include "image/unpack.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/path.h"

#define WHITEOUT ".wh."
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

/* A directory gets its mode and time when nothing more is put into it. */
struct directory {
	char *path;
	mode_t mode;
	struct timespec times[2];
};

struct layer {
	struct hull_image_tree *tree;
	struct hull_image_reader *reader;
	bool as_root;
	struct directory *directories;
	size_t n_directories, room;
};

/* One member of the archive on its way to its place. */
struct member {
	struct archive_entry *entry;
	const char *path;                 /* clean, never "" */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec times[2];
	struct hull_image_place place;
};

static mode_t entry_mode(const struct layer *l, struct archive_entry *entry)
{
	mode_t mode = (mode_t)archive_entry_perm(entry) & 07777;
	/* Without the owner, set-user-ID would be another user's. */
	return l->as_root ? mode : mode & ~(mode_t)(S_ISUID | S_ISGID);
}

static void entry_times(struct archive_entry *entry, struct timespec times[static 2])
{
	long nsec = archive_entry_mtime_nsec(entry);
	times[0] = (struct timespec){ .tv_nsec = UTIME_OMIT };
	times[1] = (struct timespec){ .tv_nsec = UTIME_OMIT };
	if (archive_entry_mtime_is_set(entry)) {
		times[1].tv_sec = archive_entry_mtime(entry);
		times[1].tv_nsec = nsec >= 0 && nsec < 1000000000 ? nsec : 0;
	}
}

static int set_attributes(int fd, struct archive_entry *entry, bool as_root, struct hull_error *err)
{
	const char *name;
	const void *value;
	size_t size;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == 0) {
		bool user = strncmp(name, "user.", strlen("user.")) == 0;
		if (!user && !(as_root && strcmp(name, "security.capability") == 0))
			continue;
		if (fsetxattr(fd, name, value, size, 0) == 0)
			continue;
		/* Some file systems have no attributes for users; programs are used to their being lost. */
		if (user && errno == EOPNOTSUPP)
			continue;
		char shown[HULL_IMAGE_SHOW_MAX];
		return hull_error_errno(err, errno, "set attribute %s", hull_image_path_show(name, shown));
	}
	return 0;
}

/* Owner, attributes, mode and time of an open file. The order matters: a new owner ends set-user-ID and capabilities. */
static int set_metadata(const struct layer *l, int fd, const struct member *m, struct hull_error *err)
{
	if (l->as_root && fchown(fd, m->uid, m->gid) < 0)
		return hull_error_errno(err, errno, "set owner %u:%u", m->uid, m->gid);
	if (fchmod(fd, m->mode) < 0)
		return hull_error_errno(err, errno, "set mode %04o", m->mode);
	int r = set_attributes(fd, m->entry, l->as_root, err);
	if (r == 0 && futimens(fd, m->times) < 0)
		r = hull_error_errno(err, errno, "set time");
	return r;
}

/* The same, less the attributes, for what cannot be opened. */
static int set_metadata_at(const struct layer *l, const struct member *m, bool with_mode, struct hull_error *err)
{
	int dir = m->place.parent;
	if (l->as_root && fchownat(dir, m->place.name, m->uid, m->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return hull_error_errno(err, errno, "set owner %u:%u", m->uid, m->gid);
	if (with_mode && fchmodat(dir, m->place.name, m->mode, 0) < 0)
		return hull_error_errno(err, errno, "set mode %04o", m->mode);
	if (utimensat(dir, m->place.name, m->times, AT_SYMLINK_NOFOLLOW) < 0)
		return hull_error_errno(err, errno, "set time");
	return 0;
}

static int write_data(const struct layer *l, int fd, struct archive_entry *entry, struct hull_error *err)
{
	int64_t size = archive_entry_size(entry);
	const void *data;
	uint64_t offset, at = 0;
	size_t len;
	int r;

	while ((r = hull_image_reader_block(l->reader, &data, &len, &offset, err)) > 0) {
		if (size < 0 || offset > (uint64_t)size || len > (uint64_t)size - offset)
			return hull_error_set(err, EINVAL, "its data lies outside of the file");
		if (len > 0 && offset != at && lseek(fd, (off_t)offset, SEEK_SET) < 0)
			return hull_error_errno(err, errno, "write");
		int w = hull_fd_write_all(fd, data, len);
		if (w < 0)
			return hull_error_errno(err, w, "write");
		at = len > 0 ? offset + len : at;
	}
	/* A hole at the end has no block. */
	if (r == 0 && size > 0 && at < (uint64_t)size && ftruncate(fd, size) < 0)
		r = hull_error_errno(err, errno, "set size %" PRId64, size);
	return r;
}

static int put_file(struct layer *l, const struct member *m, bool there HULL_UNUSED, struct hull_error *err)
{
	_cleanup_close_ int fd = openat(m->place.parent, m->place.name,
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return hull_error_errno(err, errno, "create file");
	int r = write_data(l, fd, m->entry, err);
	return r < 0 ? r : set_metadata(l, fd, m, err);
}

static void remember_directory(struct layer *l, const char *path, mode_t mode, const struct timespec times[static 2])
{
	if (l->n_directories == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		l->directories = hull_reallocarray(l->directories, l->room, sizeof(*l->directories));
	}
	l->directories[l->n_directories++] = (struct directory){
		.path = hull_strdup(path), .mode = mode, .times = { times[0], times[1] },
	};
}

static int set_directory(struct layer *l, int fd, const struct member *m, struct hull_error *err)
{
	struct member open_mode = *m;
	open_mode.mode |= S_IRWXU;       /* until all is in it */
	int r = set_metadata(l, fd, &open_mode, err);
	if (r == 0)
		remember_directory(l, m->path, m->mode, m->times);
	return r;
}

static int put_directory(struct layer *l, const struct member *m, bool there, struct hull_error *err)
{
	if (!there && mkdirat(m->place.parent, m->place.name, 0700) < 0)
		return hull_error_errno(err, errno, "create directory");
	_cleanup_close_ int fd = openat(m->place.parent, m->place.name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return hull_error_errno(err, errno, "open directory");
	return set_directory(l, fd, m, err);
}

/* Where a link leads is looked at by the guest, in its root; here it is only text. */
static int put_symlink(struct layer *l, const struct member *m, bool there HULL_UNUSED, struct hull_error *err)
{
	const char *target = archive_entry_symlink(m->entry);
	if (!target || !*target)
		return hull_error_set(err, EINVAL, "a symbolic link to nothing");
	if (symlinkat(target, m->place.parent, m->place.name) < 0)
		return hull_error_errno(err, errno, "create symbolic link");
	return set_metadata_at(l, m, false, err);
}

static int put_fifo(struct layer *l, const struct member *m, bool there HULL_UNUSED, struct hull_error *err)
{
	if (mkfifoat(m->place.parent, m->place.name, 0600) < 0)
		return hull_error_errno(err, errno, "create fifo");
	return set_metadata_at(l, m, true, err);
}

static int put_hardlink(struct layer *l, const struct member *m, const char *target, struct hull_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(hull_image_place_close) struct hull_image_place from = HULL_IMAGE_PLACE_INIT;
	struct stat st, present;
	bool there;

	int r = hull_image_path_clean(target, &path, err);
	if (r < 0)
		return hull_error_wrap(err, "hard link to");
	if (!*path)
		return hull_error_set(err, EINVAL, "a hard link to the root");
	r = hull_image_tree_place(l->tree, path, false, &from);
	if (r == 0 && fstatat(from.parent, from.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	if (r == 0 && fstatat(m->place.parent, m->place.name, &present, AT_SYMLINK_NOFOLLOW) == 0 &&
	    present.st_ino == st.st_ino && from.parent_ino == m->place.parent_ino &&
	    strcmp(from.name, m->place.name) == 0)
		return 0;        /* to itself, which a tar of a repeated name has */
	if (r == 0)
		r = hull_image_tree_claim(l->tree, &m->place, false, &there);
	if (r == 0 && linkat(from.parent, from.name, m->place.parent, m->place.name, 0) < 0)
		r = -errno;
	char shown[HULL_IMAGE_SHOW_MAX];
	return r < 0 ? hull_error_errno(err, r, "hard link to %s", hull_image_path_show(target, shown)) : 0;
}

static int put_by_type(struct layer *l, const struct member *m, struct hull_error *err)
{
	static const struct {
		__LA_MODE_T type;
		int (*put)(struct layer *l, const struct member *m, bool there, struct hull_error *err);
	} types[] = {
		{ AE_IFREG, put_file },
		{ AE_IFDIR, put_directory },
		{ AE_IFLNK, put_symlink },
		{ AE_IFIFO, put_fifo },
	};
	__LA_MODE_T type = archive_entry_filetype(m->entry);
	const char *target = archive_entry_hardlink(m->entry);
	bool there;

	if (target)
		return put_hardlink(l, m, target, err);
	if (type == AE_IFCHR || type == AE_IFBLK)
		return hull_error_set(err, EPERM, "refused: device nodes are not allowed in an image");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(types); i++) {
		if (types[i].type != type)
			continue;
		int r = hull_image_tree_claim(l->tree, &m->place, type == AE_IFDIR, &there);
		return r < 0 ? hull_error_errno(err, r, "replace what is there") : types[i].put(l, m, there, err);
	}
	return hull_error_set(err, EINVAL, "refused: unknown type of file");
}

/* Removes what the whiteout names. A whiteout of what is not there is legal. */
static int whiteout(const struct layer *l, const char *path, struct hull_error *err)
{
	_cleanup_(hull_image_place_close) struct hull_image_place place = HULL_IMAGE_PLACE_INIT;
	int r = hull_image_tree_place(l->tree, path, false, &place);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return hull_error_errno(err, r, "find the directory");

	if (strcmp(place.name, WHITEOUT_OPAQUE) == 0) {
		r = hull_image_tree_opaque(l->tree, &place);
	} else if (strncmp(place.name, WHITEOUT_META, strlen(WHITEOUT_META)) == 0) {
		r = 0;           /* notes of AUFS to itself, as Docker skips them */
	} else {
		place.name += strlen(WHITEOUT);
		if (!*place.name || strcmp(place.name, ".") == 0 || strcmp(place.name, "..") == 0)
			return hull_error_set(err, EINVAL, "refused: a whiteout without a name");
		r = hull_image_tree_whiteout(l->tree, &place);
	}
	return r < 0 ? hull_error_errno(err, r, "remove what it hides") : 0;
}

/* Whether a component that is not the last is the name of a whiteout. */
static bool inside_whiteout(const char *path)
{
	for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1)
		if (strncmp(path, WHITEOUT, strlen(WHITEOUT)) == 0)
			return true;
	return false;
}

static int put_root(struct layer *l, const struct member *m, struct hull_error *err)
{
	if (archive_entry_filetype(m->entry) != AE_IFDIR || archive_entry_hardlink(m->entry))
		return hull_error_set(err, EINVAL, "the root is not a directory");
	return set_directory(l, l->tree->root, m, err);
}

static int put_member(struct layer *l, struct archive_entry *entry, const char *path, struct hull_error *err)
{
	struct member m = { .entry = entry, .path = path, .mode = entry_mode(l, entry), .place = HULL_IMAGE_PLACE_INIT };
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	/* -1 would mean "leave it". */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return hull_error_set(err, EINVAL, "the owner %" PRId64 ":%" PRId64 " is out of range", uid, gid);
	m.uid = (uid_t)uid;
	m.gid = (gid_t)gid;
	entry_times(entry, m.times);

	if (!*path)
		return put_root(l, &m, err);
	if (inside_whiteout(path))
		return hull_error_set(err, EINVAL, "refused: something inside of a whiteout");
	if (strncmp(hull_image_path_base(path), WHITEOUT, strlen(WHITEOUT)) == 0)
		return whiteout(l, path, err);

	int r = hull_image_tree_place(l->tree, path, true, &m.place);
	if (r < 0)
		return hull_error_errno(err, r, "find or make the directory");
	r = put_by_type(l, &m, err);
	hull_image_place_close(&m.place);
	return r;
}

static int next_member(struct layer *l, struct hull_error *err)
{
	struct archive_entry *entry;
	int r = hull_image_reader_next(l->reader, &entry, err);
	if (r <= 0)
		return r;
	const char *name = archive_entry_pathname(entry);
	if (!name || !*name)
		return hull_error_set(err, EBADMSG, "a member has no name");

	_cleanup_free_ char *path = NULL;
	char shown[HULL_IMAGE_SHOW_MAX];
	r = hull_image_path_clean(name, &path, err);
	if (r < 0)
		return r;
	r = put_member(l, entry, path, err);
	return r < 0 ? hull_error_wrap(err, "%s", hull_image_path_show(name, shown)) : 1;
}

/*
 * Backwards, so that a directory is closed after those in it. Where later members of the layer put something else in
 * the place, or links lead somewhere else now, it is still a directory below the root that is changed, or nothing.
 */
static int finish_directories(const struct layer *l, struct hull_error *err)
{
	for (size_t i = l->n_directories; i > 0; i--) {
		const struct directory *d = &l->directories[i - 1];
		_cleanup_close_ int fd = hull_open_in_root(l->tree->root, *d->path ? d->path : ".",
							   O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
			continue;
		char shown[HULL_IMAGE_SHOW_MAX];
		if (fd < 0 || fchmod(fd, d->mode) < 0 || futimens(fd, d->times) < 0)
			return hull_error_errno(err, fd < 0 ? fd : errno, "%s: set mode and time",
						hull_image_path_show(d->path, shown));
	}
	return 0;
}

int hull_image_unpack_layer(struct hull_image_tree *tree, const struct hull_image_blob *blob,
			    struct hull_image_budget *budget, bool marked_end, struct hull_error *err)
{
	struct layer l = { .tree = tree, .as_root = geteuid() == 0 };

	hull_image_tree_next_layer(tree);
	int r = hull_image_reader_open(blob, HULL_IMAGE_READER_TAR, budget, &l.reader, err);
	if (r == 0)
		while ((r = next_member(&l, err)) > 0)
			;
	if (r == 0 && marked_end && !hull_image_reader_ended(l.reader))
		r = hull_error_set(err, EBADMSG, "not a whole archive: its end is missing");
	if (r == 0)
		r = finish_directories(&l, err);

	for (size_t i = 0; i < l.n_directories; i++)
		free(l.directories[i].path);
	free(l.directories);
	hull_image_reader_close(l.reader);
	return r;
}
