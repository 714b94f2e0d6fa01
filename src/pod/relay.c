/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/endpoint.h"
#include "rpc/agent.pb-c.h"

/* Credit goes back in steps of this size, so that small writes do not cost a frame each. */
#define GRANT_STEP (HULL_STDIO_WINDOW / 4)
/* stdin is read in such portions, and not while this much waits for the guest: all processes share one connection. */
#define INPUT_STEP (32u << 10)
#define BACKLOG_MAX (1u << 20)
#define BACKLOG_RETRY_MS 5

enum { CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNELS };

/* An output channel: guest → descriptor. */
struct output {
	struct hull_stdio *stdio;
	int channel;
	struct hull_endpoint *writer;  /* NULL: not connected, or over */
	uint64_t window;               /* what the guest may still send */
	uint64_t owed;                 /* consumed and not yet granted again */
	bool eof;                      /* the guest's last byte has come */
	bool flushed;                  /* the last byte of the process itself has */
};

struct hull_stdio {
	struct hull_rpc_stream *stream;
	struct hull_endpoint *reader;  /* stdin; NULL: not connected, or over */
	int socket;                    /* of a connection: a third descriptor, for what is said of both directions; -1 */
	bool console;                  /* a pty of our own: the end of its input is the end of its master */
	bool half_close;               /* a socket of which one way can end before the other */
	uint64_t input_credit;         /* what the guest would take and the reader has not been asked for yet */
	uint64_t input_asked;          /* what it has been asked for */
	struct output outputs[CHANNELS];
	uint64_t progress;
	bool ended, flushed, drained, freed;
	struct hull_stdio_ops ops;
	void *data;
	uv_timer_t later;              /* callbacks never run inside hull_stdio_start() */
	uv_timer_t retry;
	unsigned n_handles;
};

void hull_stdio_fds_close(struct hull_stdio_fds *fds)
{
	hull_closep(&fds->in);
	hull_closep(&fds->out);
	hull_closep(&fds->err);
	hull_closep(&fds->terminal);
}

static void end_stream(struct hull_stdio *s);

static void send_frame(struct hull_stdio *s, int channel, const uint8_t *bytes, size_t n, bool eof, uint64_t credit)
{
	if (s->ended || !s->stream)
		return;
	Hull__Agent__V1__StdioFrame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = (Hull__Agent__V1__StdioFrame__Channel)channel;
	/* The encoder only reads what `data` points to. */
	frame.data = (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)bytes };
	frame.eof = eof;
	frame.credit = credit;
	int r = hull_rpc_stream_send(s->stream, &frame.base);
	/* A gap in the bytes is worse than an end. -EPIPE: the connection is lost, of which on_end tells. */
	if (r < 0 && r != -EPIPE) {
		hull_log_warning("stdio: cannot send to the guest: %s", strerror(-r));
		end_stream(s);
	}
}

static bool is_queued(const struct output *o)
{
	return o->writer && hull_endpoint_queued(o->writer) > 0;
}

static void close_output(struct output *o)
{
	if (o->writer && o->stdio->half_close)
		hull_endpoint_shutdown(o->writer);
	hull_endpoint_free(TAKE_PTR(o->writer));
}

static void on_later(uv_timer_t *timer)
{
	struct hull_stdio *s = timer->data;
	bool was_flushed = s->flushed;
	s->flushed = true;
	/* Either may free. */
	if (s->drained)
		s->ops.on_drained(s->data);
	else if (!was_flushed)
		s->ops.on_flushed(s->data);
}

/* Looks at what is over: closes it, and tells when that was the last. */
static void check_over(struct hull_stdio *s)
{
	bool flushed = true, drained = true;
	if (s->drained || s->freed)
		return;
	for (int c = CHANNEL_STDOUT; c < CHANNELS; c++) {
		struct output *o = &s->outputs[c];
		if (o->writer && (o->eof || s->ended) && !is_queued(o)) {
			close_output(o);
			if (s->socket >= 0)
				shutdown(s->socket, SHUT_WR);
		}
		drained = drained && !o->writer;
		flushed = flushed && (!o->writer || (o->flushed && !is_queued(o)));
	}
	/* A connection may still carry in the other direction. */
	s->drained = drained && (s->socket < 0 || s->ended);
	if (s->drained || (flushed && !s->flushed))
		uv_timer_start(&s->later, on_later, 0, 0);
}

static void end_stream(struct hull_stdio *s)
{
	s->ended = true;
	hull_rpc_stream_free(TAKE_PTR(s->stream));
	hull_endpoint_free(TAKE_PTR(s->reader));
	check_over(s);
}

/* ---- out of the guest */

static void give_credit(struct output *o)
{
	if (o->owed < GRANT_STEP || o->eof)
		return;
	uint64_t grant = o->owed;
	o->owed = 0;
	o->window += grant;
	send_frame(o->stdio, o->channel, NULL, 0, false, grant);
}

static void on_written(void *data, size_t n)
{
	struct output *o = data;
	o->stdio->progress += n;
	o->owed += n;
	give_credit(o);
	check_over(o->stdio);
}

/* Nobody reads any more, which the process is to learn. */
static void break_output(struct output *o)
{
	if (!o->writer)
		return;
	close_output(o);
	send_frame(o->stdio, o->channel, NULL, 0, true, 0);
	check_over(o->stdio);
}

static void on_broken(void *data)
{
	break_output(data);
}

static const struct hull_endpoint_ops output_ops = { .on_written = on_written, .on_broken = on_broken };

static void on_output(struct hull_stdio *s, const Hull__Agent__V1__StdioFrame *f)
{
	struct output *o = &s->outputs[f->channel];
	if (f->data.len > o->window) {
		hull_log_warning("stdio: the guest sent %zu bytes where %llu were granted", f->data.len,
				 (unsigned long long)o->window);
		end_stream(s);
		return;
	}
	o->window -= f->data.len;
	o->eof = o->eof || f->eof;
	o->flushed = o->flushed || f->flushed;
	if (o->writer && f->data.len > 0)
		hull_endpoint_write(o->writer, f->data.data, f->data.len);
	check_over(s);
}

/* ---- into the guest */

static void on_retry(uv_timer_t *timer);

/* Lets the next portion be read when the guest would take it and the connection is not behind. */
static void ask_for_input(struct hull_stdio *s)
{
	if (!s->reader || s->input_credit == 0)
		return;
	if (hull_rpc_stream_backlog(s->stream) > BACKLOG_MAX) {
		uv_timer_start(&s->retry, on_retry, BACKLOG_RETRY_MS, 0);
		return;
	}
	uint64_t room = INPUT_STEP - s->input_asked;
	uint64_t n = s->input_credit < room ? s->input_credit : room;
	s->input_credit -= n;
	s->input_asked += n;
	hull_endpoint_grant(s->reader, n);
}

static void on_retry(uv_timer_t *timer)
{
	ask_for_input(timer->data);
}

static void on_stdin(void *data, const uint8_t *bytes, size_t n)
{
	struct hull_stdio *s = data;
	s->progress += n;
	s->input_asked -= n;
	send_frame(s, CHANNEL_STDIN, bytes, n, false, 0);
	ask_for_input(s);
}

static void on_stdin_end(void *data)
{
	struct hull_stdio *s = data;
	hull_endpoint_free(TAKE_PTR(s->reader));
	send_frame(s, CHANNEL_STDIN, NULL, 0, true, 0);
	if (s->console)
		break_output(&s->outputs[CHANNEL_STDOUT]);
}

static const struct hull_endpoint_ops input_ops = { .on_read = on_stdin, .on_end = on_stdin_end };

/* A guest that grants too much only hurts its own memory: what is queued here is one portion at a time. */
static void on_input_credit(struct hull_stdio *s, uint64_t credit)
{
	s->input_credit += credit < HULL_STDIO_WINDOW ? credit : HULL_STDIO_WINDOW;
	ask_for_input(s);
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct hull_stdio *s = data;
	const Hull__Agent__V1__StdioFrame *f = (const Hull__Agent__V1__StdioFrame *)message;
	if (s->ended)
		return;
	if ((int)f->channel == CHANNEL_STDOUT || (int)f->channel == CHANNEL_STDERR)
		on_output(s, f);
	else if ((int)f->channel == CHANNEL_STDIN)
		on_input_credit(s, f->credit);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct hull_stdio *s = data;
	static const struct linger reset = { .l_onoff = 1 };
	if (status->code != HULL_RPC_OK) {
		hull_log_debug("stdio stream ended: %s", status->message);
		if (s->socket >= 0)
			setsockopt(s->socket, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	end_stream(s);
}

static const struct hull_rpc_stream_ops stream_ops = { .on_message = on_message, .on_end = on_end };

/* ---- life */

static void add_output(struct hull_stdio *s, uv_loop_t *loop, int channel, int fd)
{
	struct output *o = &s->outputs[channel];
	o->stdio = s;
	o->channel = channel;
	if (fd < 0)
		return;
	o->writer = hull_endpoint_writer(loop, fd, &output_ops, o);
	o->window = HULL_STDIO_WINDOW;
	send_frame(s, channel, NULL, 0, false, HULL_STDIO_WINDOW);
}

static void add_timer(struct hull_stdio *s, uv_loop_t *loop, uv_timer_t *timer)
{
	uv_timer_init(loop, timer);
	timer->data = s;
	s->n_handles++;
}

static int dup_cloexec(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static struct hull_stdio *stdio_new(uv_loop_t *loop, const struct hull_stdio_ops *ops, void *data)
{
	struct hull_stdio *s = hull_new(struct hull_stdio, 1);
	s->socket = -1;
	s->ops = *ops;
	s->data = data;
	add_timer(s, loop, &s->later);
	add_timer(s, loop, &s->retry);
	return s;
}

static struct hull_stdio *start(uv_loop_t *loop, struct hull_rpc_client *agent, const char *container_id, const char *exec_id,
				unsigned preserved, const struct hull_stdio_ops *ops, void *data)
{
	struct hull_stdio *s = stdio_new(loop, ops, data);
	Hull__Agent__V1__ProcessRef ref = HULL__AGENT__V1__PROCESS_REF__INIT;
	ref.container_id = (char *)(uintptr_t)container_id;
	ref.exec_id = (char *)(uintptr_t)exec_id;
	Hull__Agent__V1__StdioFrame open = HULL__AGENT__V1__STDIO_FRAME__INIT;
	open.open = &ref;
	open.preserved = preserved;
	s->stream = hull_rpc_stream_open(agent, "hull.agent.v1.Agent", "Stdio", &open.base,
					 &hull__agent__v1__stdio_frame__descriptor, &stream_ops, s);
	return s;
}

static void connect_fds(struct hull_stdio *s, uv_loop_t *loop, struct hull_stdio_fds *fds)
{
	add_output(s, loop, CHANNEL_STDOUT, TAKE_FD(fds->out));
	add_output(s, loop, CHANNEL_STDERR, TAKE_FD(fds->err));
	if (fds->in >= 0)
		s->reader = hull_endpoint_reader(loop, TAKE_FD(fds->in), &input_ops, s);
	check_over(s);
}

struct hull_stdio *hull_stdio_start(uv_loop_t *loop, struct hull_rpc_client *agent, const char *container_id,
				    const char *exec_id, struct hull_stdio_fds *fds,
				    const struct hull_stdio_ops *ops, void *data)
{
	struct hull_stdio *s = start(loop, agent, container_id, exec_id, 0, ops, data);
	if (fds->terminal >= 0) {
		s->console = true;
		fds->in = dup_cloexec(fds->terminal);
		fds->out = TAKE_FD(fds->terminal);
	}
	connect_fds(s, loop, fds);
	return s;
}

struct hull_stdio *hull_stdio_start_preserved(uv_loop_t *loop, struct hull_rpc_client *agent, const char *container_id,
					      const char *exec_id, unsigned index, struct hull_preserved_fd *fd,
					      const struct hull_stdio_ops *ops, void *data)
{
	struct hull_stdio *s = start(loop, agent, container_id, exec_id, index + 1, ops, data);
	s->half_close = fd->half_close;
	connect_fds(s, loop, &fd->fds);
	return s;
}

struct hull_stdio *hull_stdio_connect(uv_loop_t *loop, struct hull_rpc_client *agent, uint16_t port, int socket,
				      const struct hull_stdio_ops *ops, void *data)
{
	struct hull_stdio *s = stdio_new(loop, ops, data);
	Hull__Agent__V1__StdioFrame open = HULL__AGENT__V1__STDIO_FRAME__INIT;
	open.connect_port = port;
	s->stream = hull_rpc_stream_open(agent, "hull.agent.v1.Agent", "Connect", &open.base,
					 &hull__agent__v1__stdio_frame__descriptor, &stream_ops, s);
	s->socket = dup_cloexec(socket);
	add_output(s, loop, CHANNEL_STDOUT, dup_cloexec(socket));
	s->reader = hull_endpoint_reader(loop, socket, &input_ops, s);
	check_over(s);
	return s;
}

bool hull_stdio_flushed(const struct hull_stdio *s)
{
	return s->flushed || s->drained;
}

bool hull_stdio_stuck(const struct hull_stdio *s)
{
	return is_queued(&s->outputs[CHANNEL_STDOUT]) || is_queued(&s->outputs[CHANNEL_STDERR]);
}

bool hull_stdio_drained(const struct hull_stdio *s)
{
	return s->drained;
}

uint64_t hull_stdio_progress(const struct hull_stdio *s)
{
	return s->progress;
}

static void on_closed(uv_handle_t *handle)
{
	struct hull_stdio *s = handle->data;
	if (--s->n_handles == 0)
		free(s);
}

void hull_stdio_free(struct hull_stdio *s)
{
	if (!s || s->freed)
		return;
	s->freed = true;
	hull_rpc_stream_free(s->stream);
	hull_endpoint_free(s->reader);
	for (int c = CHANNEL_STDOUT; c < CHANNELS; c++)
		hull_endpoint_free(s->outputs[c].writer);
	hull_closep(&s->socket);
	uv_close((uv_handle_t *)&s->later, on_closed);
	uv_close((uv_handle_t *)&s->retry, on_closed);
}
