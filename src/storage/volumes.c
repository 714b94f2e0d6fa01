/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of bind mounts. A directory or file that several containers of a pod have is attached once: only then is it one inode in
 * the guest, and locks, sockets, maps and inotify work between the containers as they do on one host.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/mount.h"
#include "storage/share_internal.h"

/* No container has this name: colons are not allowed in ids. */
#define VOLUMES_DIR ":volumes"

struct hull_volume {
	struct hull_volume *next;
	char *path;                    /* in the share */
	dev_t dev;
	ino_t ino;
	bool is_directory;
	struct hull_volume_options options;    /* readonly: in fact */
	int root_fd;                   /* of the mount in the share, while it is watched */
	struct hull_strv users;        /* container ids, one for each mount */
};

/*
 * A read-only mount may use a writable volume that the pod has anyway: what its own containers must not write is then for the guest
 * to see to, as whoever has taken the guest over has the volume. Not the other way round.
 */
static bool is_same(const struct hull_volume *v, const struct stat *st, const struct hull_volume_options *asked, bool is_readonly)
{
	return v->dev == st->st_dev && v->ino == st->st_ino && v->is_directory == S_ISDIR(st->st_mode) &&
	       v->options.follows_host == asked->follows_host && v->options.recursive == asked->recursive &&
	       (v->options.readonly ? is_readonly : asked->readonly || !is_readonly);
}

static struct hull_volume *find(const struct hull_share *share, const struct stat *st, const struct hull_volume_options *asked,
				bool is_readonly)
{
	struct hull_volume *v = share->volumes;
	while (v && !is_same(v, st, asked, is_readonly))
		v = v->next;
	return v;
}

static void watch_volume(struct hull_share *share, struct hull_volume *v)
{
	v->root_fd = openat(share->served_fd, v->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (v->root_fd >= 0)
		hull_volume_watch_add(share->watch, v->path, v->root_fd, v->options.readonly);
}

static void unwatch_volume(struct hull_share *share, struct hull_volume *v)
{
	if (share->watch)
		hull_volume_watch_remove(share->watch, v->path);
	hull_closep(&v->root_fd);
}

int hull_share_watch(struct hull_share *share, uv_loop_t *loop, unsigned directories_max, hull_volume_changes_fn fn, void *data,
		     struct hull_error *err)
{
	int r = hull_volume_watch_new(loop, directories_max, hull_share_pid(share), fn, data, &share->watch, err);
	if (r < 0)
		return r;
	for (struct hull_volume *v = share->volumes; v; v = v->next)
		watch_volume(share, v);
	return 0;
}

void hull_share_watch_continue(struct hull_share *share)
{
	if (share->watch)
		hull_volume_watch_continue(share->watch);
}

void hull_share_unwatch(struct hull_share *share)
{
	for (struct hull_volume *v = share->volumes; v; v = v->next)
		unwatch_volume(share, v);
	hull_volume_watch_free(share->watch);
	share->watch = NULL;
}

static void volume_free(struct hull_volume *v)
{
	hull_closep(&v->root_fd);
	hull_strv_clear(&v->users);
	free(v->path);
	free(v);
}

int hull_share_add_volume(struct hull_share *share, const char *container_id, int mount_fd,
			  const struct hull_volume_options *options, char **ret_path, struct hull_error *err)
{
	struct stat st;
	struct statvfs vfs;
	if (fstat(mount_fd, &st) < 0 || fstatvfs(mount_fd, &vfs) < 0)
		return hull_error_errno(err, errno, "look at the volume");
	/* What the host has mounted read-only is read-only, though nothing says so to the guest. */
	bool is_readonly = options->readonly || (vfs.f_flag & ST_RDONLY);
	struct hull_volume *v = find(share, &st, options, is_readonly);
	if (!v) {
		int r = hull_share_make_dir(share, VOLUMES_DIR, err);
		if (r < 0)
			return r;
		_cleanup_free_ char *path = hull_asprintf(VOLUMES_DIR "/%u", ++share->volume_number);
		r = hull_share_attach(share, mount_fd, path, S_ISDIR(st.st_mode), options->readonly, options->follows_host, err);
		if (r < 0)
			return r;
		v = hull_new(struct hull_volume, 1);
		*v = (struct hull_volume){ .next = share->volumes, .path = TAKE_PTR(path), .dev = st.st_dev, .ino = st.st_ino,
					   .is_directory = S_ISDIR(st.st_mode), .options = *options, .root_fd = -1 };
		v->options.readonly = is_readonly;
		share->volumes = v;
		if (share->watch)
			watch_volume(share, v);
	}
	hull_strv_add(&v->users, container_id);
	*ret_path = hull_strdup(v->path);
	return 0;
}

static void remove_user(struct hull_volume *v, const char *container_id)
{
	size_t kept = 0;
	for (size_t i = 0; i < v->users.n; i++) {
		if (strcmp(v->users.v[i], container_id) == 0)
			free(v->users.v[i]);
		else
			v->users.v[kept++] = v->users.v[i];
	}
	v->users.n = kept;
	if (v->users.v)
		v->users.v[kept] = NULL;
}

int hull_volumes_leave(struct hull_share *share, const char *container_id, struct hull_strv *ret_gone)
{
	int result = 0;
	for (struct hull_volume **at = &share->volumes; *at;) {
		struct hull_volume *v = *at;
		remove_user(v, container_id);
		if (v->users.n > 0) {
			at = &v->next;
			continue;
		}
		unwatch_volume(share, v);
		int r = hull_mount_detach(share->served_fd, v->path);
		if (r == 0 && unlinkat(share->writable_fd, v->path, v->is_directory ? AT_REMOVEDIR : 0) < 0)
			r = -errno;
		result = result ? result : r;
		hull_strv_add(ret_gone, v->path);
		*at = v->next;
		volume_free(v);
	}
	return result;
}

void hull_volumes_free(struct hull_share *share)
{
	hull_share_unwatch(share);
	while (share->volumes) {
		struct hull_volume *v = share->volumes;
		share->volumes = v->next;
		volume_free(v);
	}
}
