/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_feed.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int feed_open(int *ret_peer)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	*ret_peer = fds[1];
	return fds[0];
}

static void turn(uv_loop_t *loop, int peer)
{
	static uint8_t sink[65536];

	uv_run(loop, UV_RUN_NOWAIT);
	while (recv(peer, sink, sizeof(sink), 0) > 0)
		;
}

void feed_bytes(uv_loop_t *loop, int peer, const uint8_t *data, size_t size, size_t piece)
{
	while (size > 0) {
		ssize_t n = send(peer, data, size < piece ? size : piece, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
		turn(loop, peer);
	}
	turn(loop, peer);
}

void feed_settle(uv_loop_t *loop)
{
	for (int i = 0; i < 1000; i++)
		if (uv_run(loop, UV_RUN_NOWAIT) == 0)
			return;
	abort();
}
