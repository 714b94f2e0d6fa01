/* SPDX-License-Identifier: Apache-2.0 */
/* What a process writes, on its way to the host: read when somebody listens and has granted room, and never faster. */
#include "agent/streams_internal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Frames wait in the connection's queue, which all streams share; above this much, output waits in the pipes. */
#define BACKLOG_MAX (1u << 20)
#define BACKLOG_RETRY_MS 5
/*
 * After a read of less than this, the next waits a moment: what a program writes line by line goes out in larger frames. Each frame
 * is an exit to the host; without this, 10 MB of lines through a terminal took 180 s under emulation.
 */
#define SMALL_READ 2048
#define SMALL_READ_PAUSE_MS 1
#define FLUSH_READS 16

void hull_output_tell_end(struct hull_output *out)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = out->channel;
	frame.eof = 1;
	frame.flushed = out->streams->exited;
	out->eof_pending = false;
	hull_streams_send(out->streams, &frame);
}

void hull_outputs_update(struct hull_streams *streams)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++) {
		struct hull_output *out = &streams->out[i];
		if (out->watch)
			hull_watch_set(out->watch, streams->stream && out->credit > 0 ? UV_READABLE : 0);
	}
}

static void close_output(struct hull_output *out)
{
	if (out->streams->master == hull_watch_fd(out->watch))
		out->streams->master = -1;
	hull_watch_free(out->watch);
	out->watch = NULL;
}

static void end_output(struct hull_output *out)
{
	close_output(out);
	out->eof_pending = true;
	if (out->streams->stream)
		hull_output_tell_end(out);
	hull_streams_finish_if_done(out->streams);
}

/*
 * What the ended process has left is known for a pipe. A terminal's data may still be on its way through the kernel, and is
 * all there when a read finds nothing.
 */
void hull_output_begin_flush(struct hull_output *out)
{
	int left = 0;
	if (!out->watch)
		return;
	if (out->streams->terminal) {
		out->flush = FLUSH_EMPTY;
		return;
	}
	if (ioctl(hull_watch_fd(out->watch), FIONREAD, &left) < 0 || left < 0)
		left = 0;
	out->left = (uint64_t)left;
	out->flush = left ? FLUSH_BYTES : FLUSH_DONE;
}

void hull_output_tell_flushed(struct hull_output *out)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	if (out->flush != FLUSH_DONE || !out->watch || !out->streams->stream)
		return;
	frame.channel = out->channel;
	frame.flushed = 1;
	out->flush = FLUSH_TOLD;
	hull_streams_send(out->streams, &frame);
}

static void send_data(struct hull_output *out, uint8_t *data, size_t n)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = out->channel;
	frame.data = (ProtobufCBinaryData){ .len = n, .data = data };
	out->credit -= n;
	if (out->flush == FLUSH_BYTES) {
		out->left -= n < out->left ? n : out->left;
		out->flush = out->left ? FLUSH_BYTES : FLUSH_TOLD;
		frame.flushed = !out->left;
	}
	hull_streams_send(out->streams, &frame);
}

/* One read. Returns whether there may be more. */
static bool read_output(struct hull_output *out)
{
	uint8_t buffer[HULL_STREAMS_FRAME_MAX];
	if (!out->streams->stream || !out->watch || out->credit == 0)
		return false;
	if (hull_rpc_stream_backlog(out->streams->stream) > BACKLOG_MAX) {
		hull_watch_set(out->watch, 0);
		hull_alarm_set(out->streams->retry, BACKLOG_RETRY_MS);
		return false;
	}
	size_t room = out->credit < sizeof(buffer) ? (size_t)out->credit : sizeof(buffer);
	ssize_t n = read(hull_watch_fd(out->watch), buffer, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (errno == EAGAIN && out->flush == FLUSH_EMPTY)
			out->flush = FLUSH_DONE;
		hull_output_tell_flushed(out);
		return false;
	}
	/* EIO: the last process has closed the terminal. */
	if (n <= 0) {
		end_output(out);
		return false;
	}
	send_data(out, buffer, (size_t)n);
	bool pause = n < SMALL_READ && out->flush == FLUSH_OFF;
	if (pause)
		hull_alarm_set(out->streams->retry, SMALL_READ_PAUSE_MS);
	if (pause || out->credit == 0)
		hull_watch_set(out->watch, 0);
	return true;
}

void hull_output_flush(struct hull_output *out)
{
	for (int i = 0; i < FLUSH_READS && out->flush == FLUSH_EMPTY; i++) {
		if (!read_output(out))
			break;
	}
	hull_output_tell_flushed(out);
}

void hull_output_on_readable(void *data, int events)
{
	struct hull_output *out = data;
	if (read_output(out))
		hull_output_flush(out);
}

void hull_outputs_on_retry(void *data)
{
	struct hull_streams *streams = data;
	hull_outputs_update(streams);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++)
		hull_output_flush(&streams->out[i]);
}

/* Saturates: a host may grant as much as it likes. */
void hull_output_take_credit(struct hull_output *out, uint64_t credit)
{
	out->credit = out->credit + credit < out->credit ? UINT64_MAX : out->credit + credit;
	hull_outputs_update(out->streams);
	hull_output_flush(out);
}

void hull_output_break(struct hull_output *out)
{
	if (out->watch && out->streams->socket)
		shutdown(hull_watch_fd(out->watch), SHUT_RD);
	if (out->watch)
		close_output(out);
	out->eof_pending = false;
	if (out->streams->terminal)
		hull_input_close(&out->streams->in);
	hull_streams_finish_if_done(out->streams);
}
