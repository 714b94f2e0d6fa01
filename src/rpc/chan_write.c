/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames out, in the order queued. A frame is written at once when nothing waits before it, so that a quiet
 * connection costs one system call per frame; what the descriptor does not take waits until it is writable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/internal.h"

/* Frames in one system call. */
#define IOV_MAX_FRAMES 64
/* Source: unix(7): SCM_MAX_FD of the kernel. */
#define SCM_FDS_MAX 253

/* A frame with its header written and room for the payload behind it. */
struct hull_out *hull_out_new(const struct hull_frame_header *h)
{
	size_t len = HULL_FRAME_HEADER_BYTES + (size_t)h->length;
	struct hull_out *out = hull_realloc(NULL, sizeof(*out) + len);

	*out = (struct hull_out) { .len = len };
	hull_frame_encode(h, out->bytes);
	return out;
}

/* The caller keeps its own. On failure the frame is to be freed. */
int hull_out_set_fds(struct hull_out *out, const int *fds, size_t n)
{
	if (n > HULL_RPC_FDS_MAX)
		return -E2BIG;
	if (n == 0)
		return 0;
	out->fds = hull_reallocarray(NULL, n, sizeof(int));
	for (; out->n_fds < n; out->n_fds++) {
		int fd = fcntl(fds[out->n_fds], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		out->fds[out->n_fds] = fd;
	}
	return 0;
}

/* NULL is fine. */
void hull_out_free(struct hull_out *out)
{
	if (!out)
		return;
	for (size_t i = out->fds_done; i < out->n_fds; i++)
		close(out->fds[i]);
	free(out->fds);
	free(out);
}

/* Sends up to SCM_FDS_MAX of the frame's descriptors with its next bytes: one byte if more of them are to follow. */
static ssize_t send_with_fds(struct hull_chan *chan, struct hull_out *out)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SCM_FDS_MAX * sizeof(int))];
	} control;
	size_t left = out->n_fds - out->fds_done;
	size_t n = left < SCM_FDS_MAX ? left : SCM_FDS_MAX;
	struct iovec iov = {
		.iov_base = out->bytes + out->done,
		.iov_len = n < left ? 1 : out->len - out->done,
	};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};

	memset(&control, 0, sizeof(control));
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), out->fds + out->fds_done, n * sizeof(int));

	ssize_t sent = sendmsg(chan->fd, &msg, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	for (size_t i = 0; i < n; i++)
		close(out->fds[out->fds_done + i]);
	out->fds_done += n;
	return sent;
}

static bool has_fds(const struct hull_out *out)
{
	return out->fds_done < out->n_fds;
}

/* Bytes written, or -errno. */
static ssize_t write_some(struct hull_chan *chan)
{
	struct iovec iov[IOV_MAX_FRAMES];
	int n = 0;

	if (has_fds(chan->out_head))
		return send_with_fds(chan, chan->out_head);
	for (struct hull_out *o = chan->out_head; o && n < IOV_MAX_FRAMES && !has_fds(o); o = o->next)
		iov[n++] = (struct iovec) { .iov_base = o->bytes + o->done, .iov_len = o->len - o->done };

	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	ssize_t sent = chan->is_socket ? sendmsg(chan->fd, &msg, MSG_NOSIGNAL) : writev(chan->fd, iov, n);
	return sent < 0 ? -errno : sent;
}

static void advance(struct hull_chan *chan, size_t n)
{
	chan->out_bytes -= n;
	while (n > 0) {
		struct hull_out *out = chan->out_head;
		size_t left = out->len - out->done;
		if (n < left) {
			out->done += n;
			return;
		}
		n -= left;
		chan->out_head = out->next;
		if (!chan->out_head)
			chan->out_tail = NULL;
		hull_out_free(out);
	}
}

/* No callback runs in here: an error waits for the loop. */
void hull_chan_flush(struct hull_chan *chan)
{
	while (chan->out_head) {
		ssize_t n = write_some(chan);
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN) {
			hull_chan_wait_for(chan, UV_READABLE | UV_WRITABLE);
			return;
		}
		if (n < 0) {
			hull_chan_doom(chan, (int)-n);
			return;
		}
		advance(chan, (size_t)n);
	}
	hull_chan_wait_for(chan, UV_READABLE);
}

/* Answers and half-closes get past a queue that streams have filled, by the room of one frame. */
static uint64_t queue_max(const struct hull_chan *chan, enum hull_priority priority)
{
	uint64_t max = chan->limits.write_queue_max;
	if (priority == HULL_OUT_CONTROL)
		max += HULL_FRAME_HEADER_BYTES + (uint64_t)chan->limits.payload_max;
	return max;
}

/* An empty queue takes every frame. */
int hull_chan_send(struct hull_chan *chan, struct hull_out *out, enum hull_priority priority)
{
	int r = 0;

	if (!hull_chan_alive(chan))
		r = -EPIPE;
	else if (chan->out_head && chan->out_bytes + out->len > queue_max(chan, priority))
		r = -ENOBUFS;
	if (r < 0) {
		hull_out_free(out);
		if (r == -ENOBUFS && priority == HULL_OUT_CONTROL)
			hull_chan_doom(chan, ENOBUFS);
		return r;
	}

	bool quiet = !chan->out_head;
	*(quiet ? &chan->out_head : &chan->out_tail->next) = out;
	chan->out_tail = out;
	chan->out_bytes += out->len;
	if (quiet)
		hull_chan_flush(chan);
	return 0;
}

/* Drops all that is queued. */
void hull_chan_write_free(struct hull_chan *chan)
{
	struct hull_out *out = chan->out_head;
	while (out) {
		struct hull_out *next = out->next;
		hull_out_free(out);
		out = next;
	}
	chan->out_head = chan->out_tail = NULL;
	chan->out_bytes = 0;
}
