/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sync.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int hull_sync_pair(int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return -errno;
	int flags = fcntl(ret_fds[0], F_GETFL);
	fcntl(ret_fds[0], F_SETFL, flags | O_NONBLOCK);
	return 0;
}

int hull_sync_send(int fd, enum hull_sync_type type, int32_t value, const char *text, int passed_fd)
{
	struct hull_sync_message message = { .type = type, .value = value };
	if (text)
		snprintf(message.text, sizeof(message.text), "%s", text);
	struct iovec iov = {
		.iov_base = &message,
		.iov_len = offsetof(struct hull_sync_message, text) + strlen(message.text) + 1,
	};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (passed_fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(int));
	}
	ssize_t n;
	/* Under the container's own seccomp filter, which may well forbid sockets, only write() is left; runc needs that one too. */
	do
		n = passed_fd >= 0 ? sendmsg(fd, &msg, MSG_NOSIGNAL) : write(fd, iov.iov_base, iov.iov_len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void hull_sync_fail(int fd, const struct hull_error *err)
{
	hull_sync_send(fd, HULL_SYNC_FAIL, err->code ? err->code : EIO, err->message, -1);
}

int hull_sync_receive(int fd, struct hull_sync_message *ret, int *ret_fd)
{
	const size_t least = offsetof(struct hull_sync_message, text) + 1;
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};

	*ret_fd = -1;
	ssize_t n;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if ((size_t)n < least)
		return -EBADMSG;
	((char *)ret)[n - 1] = '\0';
	return 1;
}

int hull_sync_go(int fd)
{
	return send(fd, "g", 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int hull_sync_await_go(int fd)
{
	char byte;
	ssize_t n;
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 1 ? 0 : -EPIPE;
}
