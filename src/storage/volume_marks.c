/* SPDX-License-Identifier: Apache-2.0 */
/* Which directories of the volumes are marked. */
#include <dirent.h>
#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/volume_watch_internal.h"

#define EVENTS (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE)
/* Of one directory; one that holds more has its subdirectories found by luck. Bounds the time in the loop. */
#define ENTRIES_MAX 8192

static void tell_limit(struct hull_volume_watch *watch)
{
	if (!watch->told_limit)
		hull_log_warning("inotify: the pod's volumes have more than %u directories (hull.conf: watch_directories); "
				 "changes on the host in the others wake nobody in the guest", watch->directories_max);
	watch->told_limit = true;
}

void hull_volume_marks_queue(struct hull_volume_watch *watch, struct hull_watched_volume *volume, const char *path)
{
	/* A volume's root always has its turn. */
	if (*path && watch->n_unwatched >= watch->directories_max) {
		tell_limit(watch);
		return;
	}
	watch->n_unwatched++;
	struct hull_unwatched *u = hull_new(struct hull_unwatched, 1);
	u->volume = volume;
	u->path = hull_strdup(path);
	*watch->unwatched_end = u;
	watch->unwatched_end = &u->next;
}

/* Names come from the host's directories, which the guest can change under our hands: nothing leads out of the volume. */
static int open_below(int root_fd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)flags | O_CLOEXEC | O_NOFOLLOW,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

bool hull_volume_marks_exists(const struct hull_watched_volume *volume, const char *path)
{
	_cleanup_close_ int fd = open_below(volume->root_fd, path, O_PATH);
	return fd >= 0 || (fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP);
}

static int identify(int fd, struct hull_file_id *ret)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	struct statfs fs;
	int mount_id;

	if (name_to_handle_at(fd, "", &u.handle, &mount_id, AT_EMPTY_PATH) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	*ret = (struct hull_file_id){ .type = u.handle.handle_type, .length = u.handle.handle_bytes };
	memcpy(&ret->fsid, &fs.f_fsid, sizeof(ret->fsid));
	memcpy(ret->bytes, u.handle.f_handle, ret->length);
	return 0;
}

static bool is_watched(const struct hull_volume_watch *watch, const struct hull_watched_volume *volume, const char *path)
{
	for (const struct hull_watched *w = watch->watched; w; w = w->next)
		if (w->volume == volume && strcmp(w->path, path) == 0)
			return true;
	return false;
}

static int mark(struct hull_volume_watch *watch, struct hull_watched_volume *volume, const char *path, int fd, bool is_directory)
{
	char self[32];
	struct hull_file_id id;
	int r = identify(fd, &id);
	if (r < 0)
		return r;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fanotify_mark(watch->fd, FAN_MARK_ADD, EVENTS | (is_directory ? FAN_EVENT_ON_CHILD | FAN_ONDIR : 0), AT_FDCWD, self) < 0)
		return -errno;
	struct hull_watched *w = hull_new(struct hull_watched, 1);
	*w = (struct hull_watched){ .next = watch->watched, .volume = volume, .path = hull_strdup(path), .id = id };
	watch->watched = w;
	watch->directories++;
	return 0;
}

static void queue_inner(struct hull_volume_watch *watch, struct hull_watched_volume *volume, const char *path, int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	if (!dir) {
		close(fd);
		return;
	}
	for (unsigned n = 0; n < ENTRIES_MAX && (e = readdir(dir)) != NULL; n++) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		_cleanup_free_ char *inner = hull_asprintf("%s%s%s", path, *path ? "/" : "", e->d_name);
		hull_volume_marks_queue(watch, volume, inner);
	}
	closedir(dir);
}

static void look_at(struct hull_volume_watch *watch, struct hull_watched_volume *volume, const char *path)
{
	struct stat st;
	if (watch->directories >= watch->directories_max) {
		tell_limit(watch);
		return;
	}
	if (is_watched(watch, volume, path))
		return;
	/* A volume that is a single file is its own root. */
	_cleanup_close_ int fd = open_below(volume->root_fd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	if (fd == -ENOTDIR && !*path)
		fd = fcntl(volume->root_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || fstat(fd, &st) < 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		return;
	int r = mark(watch, volume, path, fd, S_ISDIR(st.st_mode));
	if (r < 0)
		hull_log_debug("inotify: %s/%s is not watched: %s", volume->name, path, strerror(-r));
	else if (S_ISDIR(st.st_mode))
		queue_inner(watch, volume, path, TAKE_FD(fd));
}

bool hull_volume_marks_step(struct hull_volume_watch *watch)
{
	struct hull_unwatched *u = watch->unwatched;
	if (!u)
		return false;
	watch->unwatched = u->next;
	watch->n_unwatched--;
	if (!watch->unwatched)
		watch->unwatched_end = &watch->unwatched;
	look_at(watch, u->volume, u->path);
	free(u->path);
	free(u);
	return true;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);
	return n == 0 || (strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* The kernel's marks stay; their events are of nobody's directory any more, and go with the directory itself. */
void hull_volume_marks_forget(struct hull_volume_watch *watch, const struct hull_watched_volume *volume, const char *path)
{
	for (struct hull_watched **at = &watch->watched; *at;) {
		struct hull_watched *w = *at;
		if (w->volume != volume || !is_below(w->path, path)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		watch->directories--;
		free(w->path);
		free(w);
	}
	struct hull_unwatched **at = &watch->unwatched;
	while (*at) {
		struct hull_unwatched *u = *at;
		if (u->volume != volume || !is_below(u->path, path)) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		watch->n_unwatched--;
		free(u->path);
		free(u);
	}
	watch->unwatched_end = at;
}
