/* SPDX-License-Identifier: Apache-2.0 */
/* What the host sends to a process' stdin: kept until the process reads it, and of that at most a window. */
#include "agent/streams_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* Credit for stdin goes back in portions. */
#define GRANT_MIN (HULL_STREAMS_WINDOW / 4)

void hull_input_grant(struct hull_streams *streams, uint64_t bytes)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = CHANNEL(STDIN);
	frame.credit = bytes;
	streams->in.granted += bytes;
	hull_streams_send(streams, &frame);
}

void hull_input_close(struct hull_input *in)
{
	/* Closing is not enough: the other direction has a descriptor of its own. Fails for what is no socket. */
	if (in->watch)
		shutdown(hull_watch_fd(in->watch), SHUT_WR);
	hull_watch_free(in->watch);
	in->watch = NULL;
	free(in->data);
	in->data = NULL;
	in->length = in->offset = in->room = 0;
}

/* Gives credit back. Input that nobody will read is taken and dropped, so that the host is not held up. */
static void consume(struct hull_streams *streams, size_t n)
{
	struct hull_input *in = &streams->in;
	in->consumed += n;
	if (!streams->stream || in->eof || (in->consumed < GRANT_MIN && in->granted > 0))
		return;
	uint64_t bytes = in->consumed;
	in->consumed = 0;
	hull_input_grant(streams, bytes);
}

static void flush_input(struct hull_streams *streams)
{
	struct hull_input *in = &streams->in;
	size_t taken = 0;
	while (in->offset < in->length) {
		ssize_t n = write(hull_watch_fd(in->watch), in->data + in->offset, in->length - in->offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			/* EPIPE, or EIO of a terminal: nobody reads. */
			taken += in->length - in->offset;
			hull_input_close(in);
			consume(streams, taken);
			return;
		}
		in->offset += (size_t)n;
		taken += (size_t)n;
	}
	if (in->offset == in->length) {
		free(in->data);
		in->data = NULL;
		in->length = in->offset = in->room = 0;
	}
	hull_watch_set(in->watch, in->length ? UV_WRITABLE : 0);
	/* The end of a terminal's input is no event for the process, as with any terminal. */
	if (in->length == 0 && in->eof && !streams->terminal)
		hull_input_close(in);
	if (taken)
		consume(streams, taken);
}

void hull_input_on_writable(void *data, int events)
{
	flush_input(data);
}

/* At most a window is pending, so the buffer stays below two. */
static void append_input(struct hull_input *in, const uint8_t *data, size_t n)
{
	if (in->length + n > in->room) {
		size_t pending = in->length - in->offset;
		if (in->offset)
			memmove(in->data, in->data + in->offset, pending);
		in->length = pending;
		in->offset = 0;
		if (pending + n > in->room / 2) {
			in->room = (pending + n) * 2;
			in->data = hull_realloc(in->data, in->room);
		}
	}
	memcpy(in->data + in->length, data, n);
	in->length += n;
}

int hull_input_take(struct hull_streams *streams, const uint8_t *data, size_t n)
{
	struct hull_input *in = &streams->in;
	if (n > in->granted)
		return -EPROTO;
	in->granted -= n;
	if (!in->watch) {
		consume(streams, n);
		return 0;
	}
	bool idle = in->length == 0;
	append_input(in, data, n);
	/* While the process does not read, the watch tells when it does. */
	if (idle)
		flush_input(streams);
	return 0;
}

void hull_input_take_end(struct hull_streams *streams)
{
	streams->in.eof = true;
	if (streams->in.watch && streams->in.length == 0)
		flush_input(streams);
}
