/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tmpfs, seen twice. What virtiofsd serves is the mount at `dir`: read-only and shared, so that the guest cannot
 * put files of its own between the mounts, and what is attached later travels on into virtiofsd's namespace. The
 * supervisor makes mount points through a second, writable mount of it that is attached nowhere.
 */
#include "storage/share.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "jail/child.h"
#include "storage/mount.h"
#include "storage/share_internal.h"
#include "storage/virtiofsd.h"

/* Mount points only: a few directories and empty files per container. */
#define TMPFS_OPTIONS "mode=0755,size=256k,nr_inodes=16384"
#define SOCKET_NAME ".vhost-user"
/* Below the kernel's default for fs.nr_open. */
#define OPEN_FILES_WANTED 1000000
/* Of these virtiofsd keeps for itself and its queues. */
#define OPEN_FILES_OTHER 64

static void virtiofsd_ended(void *data, const char *reason)
{
	struct hull_share *share = data;
	share->on_exit(share->data, reason);
}

/* Mounts the tmpfs at `dir` and opens both views of it. */
static int mount_root(struct hull_share *share, const char *dir, struct hull_error *err)
{
	struct mount_attr served = { .attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_SHARED };

	if (mount("hull-share", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, TMPFS_OPTIONS) < 0)
		return hull_error_errno(err, errno, "mount the share's root at %s", dir);
	share->mounted = true;
	share->served_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (share->served_fd < 0)
		return hull_error_errno(err, errno, "open %s", dir);
	/* Private before the clone: the writable view must not receive what is attached to the served one. */
	struct mount_attr private = { .propagation = MS_PRIVATE };
	if (mount_setattr(share->served_fd, "", AT_EMPTY_PATH, &private, sizeof(private)) < 0)
		return hull_error_errno(err, errno, "make the share's root private");
	share->writable_fd = open_tree(share->served_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (share->writable_fd < 0)
		return hull_error_errno(err, errno, "clone the share's root");
	if (mount_setattr(share->served_fd, "", AT_EMPTY_PATH, &served, sizeof(served)) < 0)
		return hull_error_errno(err, errno, "make the share's root read-only and shared");
	return 0;
}

/*
 * A listening socket and a connection to it. The name exists only for the moment in between, on a file system that no
 * other process can reach; an abstract name would be open to every process of the network namespace.
 */
static int make_sockets(const struct hull_share *share, int *ret_listen_fd, int *ret_connection, struct hull_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SOCKET_NAME, share->writable_fd);

	_cleanup_close_ int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listen_fd < 0 || connection < 0)
		return hull_error_errno(err, errno, "vhost-user socket");
	if (bind(listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return hull_error_errno(err, errno, "bind the vhost-user socket");
	int r = 0;
	/* Does not wait for virtiofsd to accept: the connection sits in the backlog until it does. */
	if (listen(listen_fd, 1) < 0 || connect(connection, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = hull_error_errno(err, errno, "connect the vhost-user socket");
	if (unlinkat(share->writable_fd, SOCKET_NAME, 0) < 0 && r == 0)
		r = hull_error_errno(err, errno, "remove the vhost-user socket's name");
	if (r < 0)
		return r;
	*ret_listen_fd = TAKE_FD(listen_fd);
	*ret_connection = TAKE_FD(connection);
	return 0;
}

/* How many descriptors virtiofsd may have. Raises the hard limit of this process where that is allowed. */
static unsigned long open_files_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_max < OPEN_FILES_WANTED) {
		const struct rlimit more = { .rlim_cur = limit.rlim_cur, .rlim_max = OPEN_FILES_WANTED };
		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			limit.rlim_max = OPEN_FILES_WANTED;
	}
	return limit.rlim_max < OPEN_FILES_WANTED ? limit.rlim_max : OPEN_FILES_WANTED;
}

/*
 * virtiofsd keeps root's file capabilities and makes its own mount, PID and network namespaces. It starts as
 * PID 1 of one more, so that the process it forks cannot outlive it.
 *
 * What a guest's process makes, virtiofsd makes as the process' user and group, so that it belongs to them. It knows neither the
 * supplementary groups nor the capabilities of the process, by which the guest's kernel may have allowed it, and the host's kernel
 * must not decide once more without them. So it keeps its capabilities meanwhile. The guest may use the share as root anyway.
 */
static int start_virtiofsd(struct hull_share *share, uv_loop_t *loop, const char *path, const char *dir,
			   int listen_fd, struct hull_error *err)
{
	struct hull_virtiofsd_features features;
	struct hull_strv args = { 0 };

	int r = hull_virtiofsd_probe(path, &features, err);
	if (r < 0)
		return r;
	share->open_files = open_files_limit();
	hull_virtiofsd_args(path, &features, dir, listen_fd, share->open_files, &args);
	const struct hull_spawn spawn = {
		.path = path, .argv = args.v,
		.stdin_fd = -1, .stdout_fd = -1,
		.keep_fds = &listen_fd, .n_keep_fds = 1,
		.die_with_parent = true, .ordinary_oom_score = true, .new_session = true, .new_pid = true, .new_net = true, .new_ipc = true, .new_uts = true,
		.no_new_privs = true,
		.keep_caps_as_other_users = true,
	};
	r = hull_child_start(loop, &spawn, virtiofsd_ended, share, &share->virtiofsd, err);
	hull_strv_clear(&args);
	return r;
}

int hull_share_start(uv_loop_t *loop, const char *virtiofsd_path, const char *dir,
		     void (*on_exit)(void *data, const char *reason), void *data,
		     int *ret_vhost_fd, struct hull_share **ret, struct hull_error *err)
{
	_cleanup_close_ int listen_fd = -1, connection = -1;

	/* It becomes part of a comma-separated option. */
	if (strchr(dir, ','))
		return hull_error_set(err, EINVAL, "share directory %s: no comma allowed", dir);
	struct hull_share *share = hull_new(struct hull_share, 1);
	share->served_fd = share->writable_fd = -1;
	share->on_exit = on_exit;
	share->data = data;

	int r = mount_root(share, dir, err);
	if (r == 0)
		r = make_sockets(share, &listen_fd, &connection, err);
	if (r == 0)
		r = start_virtiofsd(share, loop, virtiofsd_path, dir, listen_fd, err);
	if (r < 0) {
		hull_share_free(share);
		return r;
	}
	*ret_vhost_fd = TAKE_FD(connection);
	*ret = share;
	return 0;
}

unsigned long hull_share_files_max(const struct hull_share *share)
{
	return share->open_files > OPEN_FILES_OTHER ? share->open_files - OPEN_FILES_OTHER : 1;
}

pid_t hull_share_pid(const struct hull_share *share)
{
	return share ? hull_child_pid(share->virtiofsd) : 0;
}

int hull_share_make_dir(const struct hull_share *share, const char *path, struct hull_error *err)
{
	if (mkdirat(share->writable_fd, path, 0755) < 0 && errno != EEXIST)
		return hull_error_errno(err, errno, "make share/%s", path);
	return 0;
}

int hull_share_attach(const struct hull_share *share, int mount_fd, const char *path, bool is_directory, bool readonly,
		      bool follows_host, struct hull_error *err)
{
	int r;
	if (is_directory)
		r = mkdirat(share->writable_fd, path, 0755);
	else
		r = mknodat(share->writable_fd, path, S_IFREG | 0444, 0);
	if (r < 0)
		return hull_error_errno(err, errno, "make share/%s", path);

	r = hull_mount_confine(mount_fd, readonly, follows_host);
	if (r < 0)
		hull_error_errno(err, r, "set the attributes of the mount for share/%s", path);
	if (r == 0) {
		r = hull_mount_attach(mount_fd, share->served_fd, path);
		if (r < 0)
			hull_error_errno(err, r, "attach the mount at share/%s", path);
	}
	if (r < 0)
		unlinkat(share->writable_fd, path, is_directory ? AT_REMOVEDIR : 0);
	return r;
}

int hull_share_add_rootfs(struct hull_share *share, const char *container_id, int mount_fd, bool readonly,
			  struct hull_error *err)
{
	if (!hull_container_id_valid(container_id))
		return hull_error_set(err, EINVAL, "not a container id: %s", container_id);
	int r = hull_share_make_dir(share, container_id, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *path = hull_asprintf("%s/rootfs", container_id);
	return hull_share_attach(share, mount_fd, path, true, readonly, false, err);
}

/* Detaches every mount that is directly in share/`path`. */
static int detach_all(const struct hull_share *share, const char *path)
{
	_cleanup_close_ int fd = openat(share->writable_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	DIR *dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1;

	int r = 0;
	struct dirent *entry;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		_cleanup_free_ char *inner = hull_asprintf("%s/%s", path, entry->d_name);
		r = hull_mount_detach(share->served_fd, inner);
	}
	closedir(dir);
	return r;
}

int hull_share_remove(struct hull_share *share, const char *container_id, struct hull_strv *ret_gone, struct hull_error *err)
{
	if (!hull_container_id_valid(container_id))
		return hull_error_set(err, EINVAL, "not a container id: %s", container_id);
	int r = hull_volumes_leave(share, container_id, ret_gone);
	if (r == 0)
		r = detach_all(share, container_id);
	if (r < 0)
		return hull_error_errno(err, r, "detach the mounts of %s", container_id);
	r = hull_rmtree(share->writable_fd, container_id);
	return r < 0 ? hull_error_errno(err, r, "remove share/%s", container_id) : 0;
}

void hull_share_free(struct hull_share *share)
{
	if (!share)
		return;
	hull_child_free(share->virtiofsd);
	hull_volumes_free(share);
	if (share->mounted && share->served_fd >= 0)
		hull_mount_detach(share->served_fd, ".");
	hull_closep(&share->served_fd);
	hull_closep(&share->writable_fd);
	free(share);
}
