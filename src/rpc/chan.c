/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a channel: opened, polled, closed by its owner or by its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "rpc/internal.h"

#define WRITE_QUEUE_DEFAULT (16u << 20)
#define STREAMS_DEFAULT 4096
/* What is read at most from a connection that is about to be closed. */
#define DRAIN_ROUNDS 64

static struct hull_rpc_limits limits_or_default(const struct hull_rpc_limits *given)
{
	struct hull_rpc_limits limits = given ? *given : (struct hull_rpc_limits) { 0 };

	if (limits.payload_max == 0 || limits.payload_max > HULL_FRAME_PAYLOAD_MAX)
		limits.payload_max = HULL_FRAME_PAYLOAD_MAX;
	if (limits.streams_max == 0)
		limits.streams_max = STREAMS_DEFAULT;
	if (limits.write_queue_max == 0)
		limits.write_queue_max = WRITE_QUEUE_DEFAULT;
	return limits;
}

/* A virtio-serial port is a character device: no sendmsg() there. */
static void find_kind(struct hull_chan *chan)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	chan->is_socket = getsockopt(chan->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0;
	chan->passes_fds = chan->is_socket && domain == AF_UNIX;
}

/* What was sent before the end still counts: an answer may be in the socket's buffer. */
static void drain_and_fail(struct hull_chan *chan, int err)
{
	char reason[128];

	for (int i = 0; i < DRAIN_ROUNDS && !chan->closed; i++)
		if (!hull_chan_read(chan))
			break;
	if (!chan->closed)
		hull_chan_fail(chan, strerror_r(err, reason, sizeof(reason)));
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct hull_chan *chan = hull_chan_ref(poll->data);

	/* libuv reports POLLERR as UV_EBADF and stops polling. */
	if (status < 0)
		drain_and_fail(chan, ECONNRESET);
	if (!chan->closed && (events & UV_WRITABLE))
		hull_chan_flush(chan);
	if (!chan->closed && (events & UV_READABLE))
		hull_chan_read(chan);
	hull_chan_unref(chan);
}

/* The limits are filled up with the defaults; descriptors of the peer are refused until accepts_fds is set. */
struct hull_chan *hull_chan_new(uv_loop_t *loop, int fd, const struct hull_rpc_limits *limits,
				const struct hull_chan_ops *ops, void *owner)
{
	struct hull_chan *chan = hull_new(struct hull_chan, 1);
	int r = fd < 0 ? UV_EBADF : uv_poll_init(loop, &chan->poll, fd);
	if (r < 0) {
		free(chan);
		if (fd >= 0)
			close(fd);
		errno = -r;
		return NULL;
	}

	hull_fd_cloexec(fd, true);
	chan->poll.data = chan;
	chan->loop = loop;
	chan->refs = 2;                    /* the caller's and the poll handle's */
	chan->fd = fd;
	chan->ops = ops;
	chan->owner = owner;
	chan->limits = limits_or_default(limits);
	find_kind(chan);
	hull_chan_wait_for(chan, UV_READABLE);
	return chan;
}

/* Returns `chan`, for assignments. */
struct hull_chan *hull_chan_ref(struct hull_chan *chan)
{
	chan->refs++;
	return chan;
}

/* The last one frees. */
void hull_chan_unref(struct hull_chan *chan)
{
	if (--chan->refs > 0)
		return;
	hull_chan_read_free(chan);
	free(chan);
}

static void on_poll_closed(uv_handle_t *handle)
{
	hull_chan_unref(handle->data);
}

/* Does nothing when it is closed already. The input buffer stays: a caller up the stack may be reading a frame. */
void hull_chan_close(struct hull_chan *chan)
{
	if (chan->closed)
		return;
	chan->closed = true;
	hull_timer_stop(chan->doom_timer);
	chan->doom_timer = NULL;
	hull_chan_write_free(chan);
	hull_chan_drop_fds(chan);
	uv_close((uv_handle_t *)&chan->poll, on_poll_closed);
	close(chan->fd);
	chan->fd = -1;
}

/* `reason` needs to live during the call only. */
void hull_chan_fail(struct hull_chan *chan, const char *reason)
{
	if (chan->closed)
		return;
	hull_chan_close(chan);
	chan->ops->on_closed(chan->owner, reason);
}

static void on_doom(void *data)
{
	struct hull_chan *chan = hull_chan_ref(data);

	/* A peer that does not read might send forever. */
	if (chan->doom == ENOBUFS)
		hull_chan_fail(chan, "the peer does not read: the write queue is full");
	else
		drain_and_fail(chan, chan->doom);
	hull_chan_unref(chan);
}

/* The first error counts. */
void hull_chan_doom(struct hull_chan *chan, int err)
{
	if (!hull_chan_alive(chan))
		return;
	chan->doom = err;
	hull_chan_write_free(chan);
	chan->doom_timer = hull_timer_start(chan->loop, 0, on_doom, chan);
}

/* Whether frames can still be sent. */
bool hull_chan_alive(const struct hull_chan *chan)
{
	return !chan->closed && chan->doom == 0;
}

/* `events` are UV_READABLE and UV_WRITABLE. */
void hull_chan_wait_for(struct hull_chan *chan, int events)
{
	if (chan->closed || chan->events == events)
		return;
	chan->events = events;
	uv_poll_start(&chan->poll, events, on_poll);
}
