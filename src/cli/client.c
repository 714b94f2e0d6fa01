/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/units.h"
#include "pod/paths.h"

struct hull_client {
	uv_loop_t loop;
	pid_t peer;
	struct hull_rpc_client *rpc;
};

/* A listener that hangs does not accept; once its queue is full a connect would wait for ever. */
#define CONNECT_TIMEOUT_S 3

/* sun_path holds 108 bytes; a state directory may be longer. */
static int address_below(int dirfd, const char *name, struct sockaddr_un *ret, struct hull_error *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	return n < (int)sizeof(ret->sun_path) ? 0 : hull_error_set(err, ENAMETOOLONG, "the socket's name is too long: %s", name);
}

int hull_socket_listen(int dirfd, const char *name, struct hull_error *err)
{
	struct sockaddr_un a;
	int r = address_below(dirfd, name, &a, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hull_error_errno(err, errno, "make a socket");
	mode_t old = umask(0177);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(old);
	if (r == 0 && listen(fd, 64) < 0)
		r = -errno;
	return r < 0 ? hull_error_errno(err, r, "listen on %s", name) : TAKE_FD(fd);
}

int hull_socket_connect(int dirfd, const char *name, struct hull_error *err)
{
	struct sockaddr_un a;
	struct timeval patience = { .tv_sec = CONNECT_TIMEOUT_S };
	int r = address_below(dirfd, name, &a, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hull_error_errno(err, errno, "make a socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		/* EAGAIN is what a connect that ran out of SO_SNDTIMEO gives. Source: Linux net/unix/af_unix.c. */
		return errno == EAGAIN ? hull_error_set(err, ETIMEDOUT, "connect to %s: nobody answers", name)
				       : hull_error_errno(err, errno, "connect to %s", name);
	return TAKE_FD(fd);
}

int hull_client_connect(const char *root, const char *pod_id, struct hull_client **ret, struct hull_error *err)
{
	if (!hull_container_id_valid(pod_id))
		return hull_error_set(err, EINVAL, "invalid pod ID \"%.64s\": letters, digits and _+-. only", pod_id);
	_cleanup_free_ char *dir = hull_path_pod(root, pod_id);
	_cleanup_close_ int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return hull_error_errno(err, errno, "pod %s", pod_id);
	int fd = hull_socket_connect(dirfd, "pod.sock", err);
	if (fd < 0)
		return hull_error_wrap(err, "pod %s", pod_id);
	return hull_client_from_fd(fd, ret, err);
}

int hull_client_from_fd(int fd, struct hull_client **ret, struct hull_error *err)
{
	struct hull_client *client = hull_new(struct hull_client, 1);
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int r = uv_loop_init(&client->loop);
	if (r < 0) {
		close(fd);
		free(client);
		return hull_error_errno(err, r, "make an event loop");
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		client->peer = cred.pid;
	client->rpc = hull_rpc_client_new(&client->loop, fd, NULL, NULL, NULL);
	if (!client->rpc) {
		r = hull_error_errno(err, errno, "watch the supervisor's socket");
		hull_client_free(client);
		return r;
	}
	*ret = client;
	return 0;
}

pid_t hull_client_peer_pid(const struct hull_client *client)
{
	return client->peer;
}

int hull_client_call(struct hull_client *client, const char *method, const ProtobufCMessage *request,
		     const ProtobufCMessageDescriptor *response_type, int64_t timeout_ms, const int *fds, size_t n_fds,
		     ProtobufCMessage **ret_response, struct hull_error *err)
{
	ProtobufCMessage *response = NULL;
	int r = hull_rpc_call_sync(client->rpc, "hull.pod.v1.Pod", method, request, response_type, timeout_ms, fds, n_fds,
				   &response, err);
	if (r < 0)
		return r;
	if (ret_response)
		*ret_response = response;
	else
		protobuf_c_message_free_unpacked(response, NULL);
	return 0;
}

int hull_client_call_container(struct hull_client *client, const char *method, const char *id, int64_t timeout_ms,
			       struct hull_error *err)
{
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	ref.container_id = (char *)(uintptr_t)id;
	return hull_client_call(client, method, &ref.base, &hull__pod__v1__empty__descriptor, timeout_ms, NULL, 0, NULL, err);
}

void hull_client_free(struct hull_client *client)
{
	if (!client)
		return;
	hull_rpc_client_free(client->rpc);
	uv_run(&client->loop, UV_RUN_DEFAULT);
	uv_loop_close(&client->loop);
	free(client);
}
