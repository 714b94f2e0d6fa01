/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes into frames. Frames are handed on from where they were read to; only a frame that is not complete
 * yet is moved. The buffer grows with the bytes that came, never by what a header claims.
 *
 * Descriptors arrive with the first bytes of their frame, so they are here when its last byte is.
 * Which frame they belong to is said by its count of them (HULL_RPC_FDS_KEY); they wait in order of arrival.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/internal.h"

#define IN_BYTES (64u << 10)
/* A connection that always has more gives the loop back after so much. */
#define READ_BUDGET (256u << 10)
/* Source: unix(7): SCM_MAX_FD of the kernel. */
#define SCM_FDS_MAX 253
/* Source: ttrpc PROTOCOL.md: "the first frame byte should always be zero". Others are no ttrpc. */
#define LENGTH_IMPOSSIBLE (1u << 24)

/* Keeps the descriptors of one message, or closes them when too many wait. 0 or -EPROTO. */
static int keep_fds(struct hull_chan *chan, const int *fds, size_t n)
{
	if (chan->n_in_fds + n > HULL_RPC_FDS_MAX) {
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		return -EPROTO;
	}
	chan->in_fds = hull_reallocarray(chan->in_fds, chan->n_in_fds + n, sizeof(int));
	memcpy(chan->in_fds + chan->n_in_fds, fds, n * sizeof(int));
	chan->n_in_fds += n;
	return 0;
}

static int keep_control(struct hull_chan *chan, struct msghdr *msg)
{
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		int fds[SCM_FDS_MAX];
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		if (keep_fds(chan, fds, n) < 0)
			r = -EPROTO;
	}
	/* Some are lost, so the rest would go to the wrong frames. */
	return (msg->msg_flags & MSG_CTRUNC) ? -EMFILE : r;
}

/* Bytes read, 0 at the end, -errno. Without a control buffer the kernel closes what a peer sends unasked. */
static ssize_t receive(struct hull_chan *chan, uint8_t *to, size_t room)
{
	if (!chan->accepts_fds || !chan->passes_fds) {
		ssize_t n = read(chan->fd, to, room);
		return n < 0 ? -errno : n;
	}

	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SCM_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = to, .iov_len = room };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(chan->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	int r = keep_control(chan, &msg);
	return r < 0 ? r : n;
}

/* The length of the frame that the buffer begins with, as far as it is known. */
static size_t frame_bytes(const struct hull_chan *chan)
{
	struct hull_frame_header h;

	if (chan->in_end - chan->in_start < HULL_FRAME_HEADER_BYTES)
		return HULL_FRAME_HEADER_BYTES;
	hull_frame_decode(chan->in + chan->in_start, &h);
	return HULL_FRAME_HEADER_BYTES + (size_t)h.length;
}

/* Moves what is left to the front and sees to it that there is room to read more. */
static void make_room(struct hull_chan *chan)
{
	size_t left = chan->in_end - chan->in_start;
	size_t want = chan->in_cap;

	if (left > 0 && chan->in_start > 0)
		memmove(chan->in, chan->in + chan->in_start, left);
	chan->in_start = 0;
	chan->in_end = left;

	if (left == chan->in_cap) {
		size_t whole = left > 0 ? frame_bytes(chan) : IN_BYTES;
		want = chan->in_cap * 2 < whole ? chan->in_cap * 2 : whole;
		if (want < IN_BYTES)
			want = IN_BYTES;
	} else if (chan->in_cap > IN_BYTES && left < IN_BYTES && frame_bytes(chan) <= IN_BYTES) {
		want = IN_BYTES;
	}
	if (want != chan->in_cap) {
		chan->in = hull_realloc(chan->in, want);
		chan->in_cap = want;
	}
}

/* Throws away bytes of a payload that was too long. */
static void skip_some(struct hull_chan *chan)
{
	size_t have = chan->in_end - chan->in_start;
	size_t n = chan->skip < have ? (size_t)chan->skip : have;

	chan->in_start += n;
	chan->skip -= n;
}

/* Takes one frame from the buffer. False when more bytes are needed, or the channel is closed. */
static bool take_frame(struct hull_chan *chan)
{
	const uint8_t *bytes = chan->in + chan->in_start;
	size_t have = chan->in_end - chan->in_start;
	struct hull_frame_header h;

	if (have < HULL_FRAME_HEADER_BYTES)
		return false;
	int r = hull_frame_decode(bytes, &h);
	if (h.length >= LENGTH_IMPOSSIBLE || h.stream_id == 0) {
		hull_chan_fail(chan, "the peer does not speak ttrpc");
		return false;
	}
	if (h.length > chan->limits.payload_max) {
		chan->in_start += HULL_FRAME_HEADER_BYTES;
		chan->skip = h.length;
		chan->ops->on_oversized(chan->owner, &h);
		return true;
	}
	if (have < HULL_FRAME_HEADER_BYTES + (size_t)h.length)
		return false;
	chan->in_start += HULL_FRAME_HEADER_BYTES + (size_t)h.length;
	/* Types that are not known are for the protocol's future. */
	if (r == 0)
		chan->ops->on_frame(chan->owner, &h, bytes + HULL_FRAME_HEADER_BYTES);
	return true;
}

static void dispatch(struct hull_chan *chan)
{
	do {
		skip_some(chan);
	} while (!chan->closed && chan->skip == 0 && take_frame(chan));

	/* Between frames nothing can be waiting for descriptors. */
	if (!chan->closed && chan->in_start == chan->in_end)
		hull_chan_drop_fds(chan);
}

static bool read_frames(struct hull_chan *chan)
{
	char reason[128];

	for (size_t total = 0; total < READ_BUDGET;) {
		make_room(chan);
		ssize_t n = receive(chan, chan->in + chan->in_end, chan->in_cap - chan->in_end);
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			return false;
		if (n <= 0) {
			hull_chan_fail(chan, n < 0 ? strerror_r((int)-n, reason, sizeof(reason))
						   : "the peer closed the connection");
			return false;
		}
		chan->in_end += (size_t)n;
		total += (size_t)n;
		dispatch(chan);
		if (chan->closed)
			return false;
	}
	return true;
}

/*
 * The owner's callbacks run in here; the caller holds a reference. A callback that runs the loop, which libuv
 * does not support, must not make frames move while one is looked at.
 */
bool hull_chan_read(struct hull_chan *chan)
{
	if (chan->reading)
		return false;
	chan->reading = true;
	bool more = read_frames(chan);
	chan->reading = false;
	return more;
}

/* For the end of the channel. */
void hull_chan_read_free(struct hull_chan *chan)
{
	hull_chan_drop_fds(chan);
	free(chan->in);
	chan->in = NULL;
}

/* *ret_fds is NULL when there is none; the caller closes and frees. */
size_t hull_chan_take_fds(struct hull_chan *chan, size_t n, int **ret_fds)
{
	if (n > chan->n_in_fds)
		n = chan->n_in_fds;
	*ret_fds = n > 0 ? hull_memdup(chan->in_fds, n * sizeof(int)) : NULL;
	if (n > 0) {
		chan->n_in_fds -= n;
		memmove(chan->in_fds, chan->in_fds + n, chan->n_in_fds * sizeof(int));
	}
	return n;
}

/* Also frees the memory of the queue. */
void hull_chan_drop_fds(struct hull_chan *chan)
{
	for (size_t i = 0; i < chan->n_in_fds; i++)
		close(chan->in_fds[i]);
	free(chan->in_fds);
	chan->in_fds = NULL;
	chan->n_in_fds = 0;
}
