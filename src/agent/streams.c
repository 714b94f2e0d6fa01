/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/streams.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/mem.h"

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
/* Credit for stdin goes back in portions. */
#define GRANT_MIN (HULL_STREAMS_WINDOW / 4)

typedef Hull__Agent__V1__StdioFrame Frame;
typedef Hull__Agent__V1__StdioFrame__Channel Channel;
#define CHANNEL(name) HULL__AGENT__V1__STDIO_FRAME__CHANNEL__##name

struct output {
	struct hull_streams *streams;
	Channel channel;
	struct hull_watch *watch;      /* NULL: not connected, or at its end */
	uint64_t credit;
	bool eof_pending;              /* the end was reached and the host has not been told */
	/* After the process' end: what it has left, and whether the host knows that all of it was sent. */
	enum { FLUSH_OFF, FLUSH_BYTES, FLUSH_EMPTY, FLUSH_DONE, FLUSH_TOLD } flush;
	uint64_t left;                 /* FLUSH_BYTES */
};

struct input {
	struct hull_watch *watch;
	uint8_t *data;                 /* not yet taken by the process */
	size_t length, offset, room;
	uint64_t granted;              /* what the host may still send */
	uint64_t consumed;             /* what it may be granted again */
	bool eof;                      /* the host has sent everything */
};

struct hull_streams {
	struct hull_process *process;
	struct hull_rpc_stream *stream;        /* NULL: nobody listens */
	struct hull_alarm *retry;
	struct output out[2];
	struct input in;
	int master;                    /* the terminal, borrowed from out[0]'s watch; -1 */
	bool terminal;
	bool socket;                   /* both ways are one end of a socket pair */
	bool exited;
};

static uv_loop_t *loop_of(const struct hull_streams *streams)
{
	return streams->process->container->agent->loop;
}

static int set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* ----------------------------------------------------------------- sending */

static void send_frame(struct hull_streams *streams, Frame *frame)
{
	/* The backlog was looked at before reading, so the queue has room; a stream that has ended has no reader. */
	hull_rpc_stream_send(streams->stream, &frame->base);
}

static void send_credit(struct hull_streams *streams, uint64_t bytes)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = CHANNEL(STDIN);
	frame.credit = bytes;
	streams->in.granted += bytes;
	send_frame(streams, &frame);
}

static void send_eof(struct output *out)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = out->channel;
	frame.eof = 1;
	frame.flushed = out->streams->exited;
	out->eof_pending = false;
	send_frame(out->streams, &frame);
}

static bool outputs_done(const struct hull_streams *streams)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++) {
		if (streams->out[i].watch || streams->out[i].eof_pending)
			return false;
	}
	return true;
}

/* A process that closed its outputs may still read; one that ended does nothing any more. */
static void finish_if_done(struct hull_streams *streams)
{
	if (!streams->stream || !streams->exited || !outputs_done(streams))
		return;
	hull_rpc_stream_finish(streams->stream, HULL_RPC_OK, "");
	streams->stream = NULL;
	hull_alarm_stop(streams->retry);
}

/* ------------------------------------------------------------------ output */

/* Lets each output be read when there is a listener with credit, and only then. */
static void update_outputs(struct hull_streams *streams)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++) {
		struct output *out = &streams->out[i];
		if (out->watch)
			hull_watch_set(out->watch, streams->stream && out->credit > 0 ? UV_READABLE : 0);
	}
}

static void close_output(struct output *out)
{
	if (out->streams->master == hull_watch_fd(out->watch))
		out->streams->master = -1;
	hull_watch_free(out->watch);
	out->watch = NULL;
}

static void end_output(struct output *out)
{
	close_output(out);
	out->eof_pending = true;
	if (out->streams->stream)
		send_eof(out);
	finish_if_done(out->streams);
}

/*
 * What the ended process has left is known for a pipe. A terminal's data may still be on its way through the kernel, and is
 * all there when a read finds nothing.
 */
static void begin_flush(struct output *out)
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

static void tell_flushed(struct output *out)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	if (out->flush != FLUSH_DONE || !out->watch || !out->streams->stream)
		return;
	frame.channel = out->channel;
	frame.flushed = 1;
	out->flush = FLUSH_TOLD;
	send_frame(out->streams, &frame);
}

static void send_data(struct output *out, uint8_t *data, size_t n)
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
	send_frame(out->streams, &frame);
}

/* One read. Returns whether there may be more. */
static bool read_output(struct output *out)
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
		tell_flushed(out);
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

/* Reads on to the moment when a terminal is found empty, but not for ever: something else may go on writing. */
static void flush_output(struct output *out)
{
	for (int i = 0; i < FLUSH_READS && out->flush == FLUSH_EMPTY; i++) {
		if (!read_output(out))
			break;
	}
	tell_flushed(out);
}

static void on_output(void *data, int events)
{
	struct output *out = data;
	if (read_output(out))
		flush_output(out);
}

static void on_retry(void *data)
{
	struct hull_streams *streams = data;
	update_outputs(streams);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++)
		flush_output(&streams->out[i]);
}

/* ------------------------------------------------------------------- input */

static void close_input(struct input *in)
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
	struct input *in = &streams->in;
	in->consumed += n;
	if (!streams->stream || in->eof || (in->consumed < GRANT_MIN && in->granted > 0))
		return;
	uint64_t bytes = in->consumed;
	in->consumed = 0;
	send_credit(streams, bytes);
}

static void flush_input(struct hull_streams *streams)
{
	struct input *in = &streams->in;
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
			close_input(in);
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
		close_input(in);
	if (taken)
		consume(streams, taken);
}

static void on_input(void *data, int events)
{
	flush_input(data);
}

/* At most a window is pending, so the buffer stays below two. */
static void append_input(struct input *in, const uint8_t *data, size_t n)
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

/* The host's data, within what it was granted. -EPROTO if it sent more. */
static int take_input(struct hull_streams *streams, const uint8_t *data, size_t n)
{
	struct input *in = &streams->in;
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

static void take_eof(struct hull_streams *streams)
{
	streams->in.eof = true;
	if (streams->in.watch && streams->in.length == 0)
		flush_input(streams);
}

/* ------------------------------------------------------------------ stream */

static struct output *find_output(struct hull_streams *streams, Channel channel)
{
	return channel == CHANNEL(STDOUT) ? &streams->out[0] : channel == CHANNEL(STDERR) ? &streams->out[1] : NULL;
}

/* Saturates: a host may grant as much as it likes. */
static void take_credit(struct output *out, uint64_t credit)
{
	out->credit = out->credit + credit < out->credit ? UINT64_MAX : out->credit + credit;
	update_outputs(out->streams);
	flush_output(out);
}

/* Nobody reads any more: the process gets EPIPE, or, with a terminal, the line is hung up. */
static void break_output(struct output *out)
{
	if (out->watch && out->streams->socket)
		shutdown(hull_watch_fd(out->watch), SHUT_RD);
	if (out->watch)
		close_output(out);
	out->eof_pending = false;
	if (out->streams->terminal)
		close_input(&out->streams->in);
	finish_if_done(out->streams);
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct hull_streams *streams = data;
	const Frame *frame = (const Frame *)message;
	struct output *out = find_output(streams, frame->channel);
	int r = 0;

	if (frame->open || (out && frame->data.len) || (!out && frame->channel != CHANNEL(STDIN)))
		r = -EPROTO;
	if (r == 0 && out && frame->credit)
		take_credit(out, frame->credit);
	if (r == 0 && out && frame->eof)
		break_output(out);
	if (r == 0 && !out && frame->data.len)
		r = take_input(streams, frame->data.data, frame->data.len);
	if (r == 0 && !out && frame->eof)
		take_eof(streams);
	if (r < 0) {
		struct hull_rpc_stream *stream = TAKE_PTR(streams->stream);
		update_outputs(streams);
		hull_rpc_stream_finish(stream, HULL_RPC_INVALID_ARGUMENT, "unexpected frame, or more data than was granted");
	}
}

static void on_remote_closed(void *data)
{
	take_eof(data);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct hull_streams *streams = data;
	hull_rpc_stream_free(TAKE_PTR(streams->stream));
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++)
		streams->out[i].credit = 0;
	streams->in.granted = 0;
	update_outputs(streams);
}

static const struct hull_rpc_stream_ops stream_ops = {
	.on_message = on_message, .on_remote_closed = on_remote_closed, .on_end = on_end,
};

static void attach_stream(struct hull_streams *streams, struct hull_rpc_stream *stream)
{
	streams->stream = stream;
	hull_rpc_stream_accept(stream, &hull__agent__v1__stdio_frame__descriptor, &stream_ops, streams);
	/* What an earlier stream left unread by the process still counts against the window. */
	size_t pending = streams->in.length - streams->in.offset;
	streams->in.granted = streams->in.consumed = 0;
	if (!streams->in.eof)
		send_credit(streams, HULL_STREAMS_WINDOW - (pending < HULL_STREAMS_WINDOW ? pending : HULL_STREAMS_WINDOW));
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++) {
		if (streams->out[i].eof_pending)
			send_eof(&streams->out[i]);
		tell_flushed(&streams->out[i]);
	}
	finish_if_done(streams);
}

void hull_handle_stdio(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	const Frame *frame = (const Frame *)message;
	struct hull_agent *agent = data;
	const char *id = frame->open ? frame->open->container_id : "";
	struct hull_container *container = hull_container_find(agent, id);
	struct hull_process *process = container ? hull_process_find(container, frame->open->exec_id) : NULL;

	struct hull_streams *streams = !process ? NULL : frame->preserved == 0 ? process->streams
				       : frame->preserved <= process->n_preserved ? process->preserved[frame->preserved - 1] : NULL;

	if (!frame->open)
		hull_rpc_stream_finish(stream, HULL_RPC_INVALID_ARGUMENT, "the first frame opens the streams of a process");
	else if (!streams)
		hull_rpc_stream_finish(stream, HULL_RPC_NOT_FOUND, "no such process");
	else if (process->state == HULL_PROCESS_LAUNCHING)
		hull_rpc_stream_finish(stream, HULL_RPC_FAILED_PRECONDITION, "the process is not created yet");
	else if (streams->stream)
		hull_rpc_stream_finish(stream, HULL_RPC_ALREADY_EXISTS, "the streams of the process are open already");
	else
		attach_stream(streams, stream);
}

/* ------------------------------------------------------------ life and end */

static int make_pipe(unsigned uid, bool child_reads, int *ret_child, int *ret_ours)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_child = fds[child_reads ? 0 : 1];
	*ret_ours = fds[child_reads ? 1 : 0];
	int r = uid && fchown(*ret_child, uid, (gid_t)-1) < 0 ? -errno : set_nonblock(*ret_ours);
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return r;
}

static int make_pipes(struct hull_streams *streams, const bool connected[3], unsigned uid, int ret_child[3])
{
	for (int i = 0; i < 3; i++) {
		int ours = -1;
		if (!connected[i])
			continue;
		int r = make_pipe(uid, i == 0, &ret_child[i], &ours);
		if (r < 0)
			return r;
		if (i == 0)
			streams->in.watch = hull_watch_new(loop_of(streams), ours, on_input, streams);
		else
			streams->out[i - 1].watch = hull_watch_new(loop_of(streams), ours, on_output, &streams->out[i - 1]);
	}
	return 0;
}

static struct hull_streams *streams_new(struct hull_process *process)
{
	struct hull_streams *streams = hull_new(struct hull_streams, 1);
	streams->process = process;
	streams->master = -1;
	streams->retry = hull_alarm_new(loop_of(streams), on_retry, streams);
	streams->out[0] = (struct output){ .streams = streams, .channel = CHANNEL(STDOUT) };
	streams->out[1] = (struct output){ .streams = streams, .channel = CHANNEL(STDERR) };
	return streams;
}

int hull_streams_new(struct hull_process *process, const bool connected[3], unsigned uid, int ret_child[3],
		   struct hull_streams **ret)
{
	struct hull_streams *streams = streams_new(process);
	streams->terminal = process->terminal;
	ret_child[0] = ret_child[1] = ret_child[2] = -1;
	int r = process->terminal ? 0 : make_pipes(streams, connected, uid, ret_child);
	if (r < 0) {
		for (int i = 0; i < 3; i++)
			hull_closep(&ret_child[i]);
		hull_streams_free(streams);
		return r;
	}
	*ret = streams;
	return 0;
}

/* Both ways: two descriptors of our end, because reading and writing are watched apart. */
static int make_socket_pair(struct hull_streams *streams, int *ret_child)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	int copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || set_nonblock(fds[0]) < 0) {
		int saved = errno;
		close(fds[0]);
		close(fds[1]);
		hull_closep(&copy);
		return -saved;
	}
	streams->socket = true;
	streams->out[0].watch = hull_watch_new(loop_of(streams), fds[0], on_output, &streams->out[0]);
	streams->in.watch = hull_watch_new(loop_of(streams), copy, on_input, streams);
	*ret_child = fds[1];
	return 0;
}

int hull_streams_new_preserved(struct hull_process *process, bool readable, bool writable, unsigned uid, int *ret_child,
			       struct hull_streams **ret)
{
	struct hull_streams *streams = streams_new(process);
	const bool connected[3] = { readable, writable, false };
	int child[3] = { -1, -1, -1 };
	int r = readable && writable ? make_socket_pair(streams, &child[0]) : make_pipes(streams, connected, uid, child);
	if (r < 0) {
		hull_streams_free(streams);
		return r;
	}
	*ret_child = child[0] >= 0 ? child[0] : child[1];
	*ret = streams;
	return 0;
}

void hull_streams_set_terminal(struct hull_streams *streams, int master)
{
	int copy = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || set_nonblock(master) < 0 || streams->out[0].watch) {
		close(master);
		hull_closep(&copy);
		return;
	}
	/* Two descriptors because reading and writing are watched apart. */
	streams->out[0].watch = hull_watch_new(loop_of(streams), master, on_output, &streams->out[0]);
	streams->in.watch = hull_watch_new(loop_of(streams), copy, on_input, streams);
	streams->master = master;
}

int hull_streams_resize(struct hull_streams *streams, unsigned rows, unsigned columns)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	if (streams->master < 0)
		return -ENOTTY;
	return ioctl(streams->master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

void hull_streams_process_exited(struct hull_streams *streams)
{
	streams->exited = true;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++) {
		begin_flush(&streams->out[i]);
		flush_output(&streams->out[i]);
	}
	finish_if_done(streams);
}

void hull_streams_free(struct hull_streams *streams)
{
	if (!streams)
		return;
	if (streams->stream)
		hull_rpc_stream_finish(streams->stream, HULL_RPC_CANCELLED, "the process was deleted");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++)
		hull_watch_free(streams->out[i].watch);
	close_input(&streams->in);
	hull_alarm_free(streams->retry);
	free(streams);
}
