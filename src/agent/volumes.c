/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/volumes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/clone.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"

#define VOLUMES_DIR HULL_SHARE_DIR "/:volumes/"

/* Hull's own: guest/kernel-patches/0002-fuse-host-events.patch. */
struct fuse_host_event {
	uint32_t mask, cookie;
	char path[4096];
};
#define FUSE_IOC_HOST_EVENT _IOW(229, 0x48, struct fuse_host_event)

bool hull_volumes_is_source(const char *source)
{
	return source && strncmp(source, VOLUMES_DIR, strlen(VOLUMES_DIR)) == 0;
}

void hull_volumes_cross(const struct hull_oci_spec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const char *source = spec->mounts[i].is_bind ? spec->mounts[i].source : NULL;
		if (!hull_volumes_is_source(source))
			continue;
		int fd = open(source, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
	}
}

static bool is_volume(const char *path)
{
	const char *prefix = VOLUMES_DIR + strlen(HULL_SHARE_DIR) + 1;
	size_t n = strlen(prefix);
	return strncmp(path, prefix, n) == 0 && path[n] && path[n + strspn(path + n, "0123456789")] == '\0';
}

void hull_handle_forget_volumes(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__VolumesRef *m = (const Hull__Agent__V1__VolumesRef *)message;
	(void)data;
	for (size_t i = 0; i < m->n_paths; i++) {
		_cleanup_free_ char *path = hull_asprintf(HULL_SHARE_DIR "/%s", m->paths[i]);
		/* A file is no mount here. */
		if (is_volume(m->paths[i]))
			umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	hull_reply_empty(request);
}

/* ---- changes on the host */

static void tell(const Hull__Agent__V1__VolumeChange *change)
{
	static struct fuse_host_event event;
	struct stat st;
	_cleanup_free_ char *path = hull_asprintf(HULL_SHARE_DIR "/%s", change->volume);
	const char *below = change->path;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* A single file is told of in the directory of volumes. */
	if (dir < 0 && errno == ENOTDIR && !*below) {
		dir = open(VOLUMES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		below = strrchr(change->volume, '/') + 1;
	}
	if (dir < 0 || strlen(below) >= sizeof(event.path))
		return;
	/* A file that this kernel does not know yet can only be told of once it does. Others must stay what they were known as. */
	if (change->mask & (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE))
		fstatat(dir, *below ? below : ".", &st, AT_SYMLINK_NOFOLLOW);
	event.mask = change->mask;
	event.cookie = change->cookie;
	strncpy(event.path, below, sizeof(event.path) - 1);
	ioctl(dir, FUSE_IOC_HOST_EVENT, &event);
}

/* Whether this kernel knows how: the share's root answers for every part of it. */
static bool can_tell(void)
{
	static int known = -1;
	if (known < 0) {
		struct fuse_host_event *event = hull_new(struct fuse_host_event, 1);
		_cleanup_close_ int dir = open(HULL_SHARE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* No event at all is refused with EINVAL by those who know the call. */
		known = dir >= 0 && ioctl(dir, FUSE_IOC_HOST_EVENT, event) < 0 && errno == EINVAL;
		free(event);
	}
	return known;
}

struct telling {
	struct hull_rpc_request *request;
	struct hull_watch *done;
};

static void on_told(void *data, int events)
{
	struct telling *t = data;
	(void)events;
	hull_watch_free(t->done);
	hull_reply_empty(t->request);
	free(t);
}

/* In a child: it looks at the host's storage, which may keep it waiting. The caller sends the next ones when it has ended. */
void hull_handle_volumes_changed(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__VolumeChanges *m = (const Hull__Agent__V1__VolumeChanges *)message;
	struct hull_agent *agent = data;
	if (!can_tell()) {
		hull_rpc_fail(request, HULL_RPC_UNIMPLEMENTED, "the guest's kernel cannot be told of changes on the host");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < m->n_changes; i++)
			if (is_volume(m->changes[i]->volume))
				tell(m->changes[i]);
		_exit(0);
	}
	int pidfd = pid < 0 ? -errno : hull_pidfd_open(pid);
	if (pidfd < 0) {
		hull_rpc_fail(request, HULL_RPC_UNAVAILABLE, "fork: %s", strerror(-pidfd));
		return;
	}
	struct telling *t = hull_new(struct telling, 1);
	t->request = request;
	t->done = hull_watch_new(agent->loop, pidfd, on_told, t);
	hull_watch_set(t->done, UV_READABLE);
}
