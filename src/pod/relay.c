/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/relay.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/endpoint.h"
#include "rpc/agent.pb-c.h"

/* Credit goes back in steps of this size, so that small writes do not cost a frame each. */
#define GRANT_STEP (HULL_STDIO_WINDOW / 4)

enum { CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNELS };

/* An output channel: guest → descriptor. */
struct output {
	struct hull_stdio *stdio;
	int channel;
	struct hull_endpoint *writer;
	uint64_t window;               /* what the guest may still send */
	uint64_t owed;                 /* consumed and not yet granted again */
	bool eof;                      /* the guest's last byte has come */
	bool broken;                   /* nobody reads */
};

struct hull_stdio {
	struct hull_rpc_stream *stream;
	struct hull_endpoint *reader;  /* stdin */
	struct output outputs[CHANNELS];
	uint64_t progress;
	bool ended, drained, freed;
	void (*on_drained)(void *data);
	void *data;
	uv_idle_t later;               /* on_drained never runs inside hull_stdio_start() */
};

void hull_stdio_fds_close(struct hull_stdio_fds *fds)
{
	hull_closep(&fds->in);
	hull_closep(&fds->out);
	hull_closep(&fds->err);
	hull_closep(&fds->terminal);
}

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
	if (r < 0)
		hull_log_warning("stdio: cannot send to the guest: %s", strerror(-r));
}

static bool output_done(const struct output *o)
{
	return !o->writer || o->broken || (o->eof && hull_endpoint_queued(o->writer) == 0);
}

static void on_later(uv_idle_t *idle)
{
	struct hull_stdio *s = idle->data;
	uv_idle_stop(idle);
	s->on_drained(s->data);
}

static void check_drained(struct hull_stdio *s)
{
	if (s->drained)
		return;
	if (!s->ended && !(output_done(&s->outputs[CHANNEL_STDOUT]) && output_done(&s->outputs[CHANNEL_STDERR])))
		return;
	for (int c = CHANNEL_STDOUT; s->ended && c < CHANNELS; c++)
		if (s->outputs[c].writer && !s->outputs[c].broken && hull_endpoint_queued(s->outputs[c].writer) > 0)
			return;
	s->drained = true;
	uv_idle_start(&s->later, on_later);
}

static void end_stream(struct hull_stdio *s)
{
	s->ended = true;
	check_drained(s);
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
	check_drained(o->stdio);
}

static void on_broken(void *data)
{
	struct output *o = data;
	o->broken = true;
	send_frame(o->stdio, o->channel, NULL, 0, true, 0);
	check_drained(o->stdio);
}

static const struct hull_endpoint_ops output_ops = { .on_written = on_written, .on_broken = on_broken };

static void on_output(struct hull_stdio *s, const Hull__Agent__V1__StdioFrame *f)
{
	struct output *o = &s->outputs[f->channel];
	if (f->data.len > o->window) {
		hull_log_warning("stdio: the guest sent %zu bytes where %llu were granted", f->data.len,
				 (unsigned long long)o->window);
		hull_rpc_stream_free(s->stream);
		s->stream = NULL;
		end_stream(s);
		return;
	}
	o->window -= f->data.len;
	if (f->eof)
		o->eof = true;
	if (o->broken)
		o->owed += f->data.len;
	else if (o->writer && f->data.len > 0)
		hull_endpoint_write(o->writer, f->data.data, f->data.len);
	check_drained(s);
}

/* ---- into the guest */

static void on_stdin(void *data, const uint8_t *bytes, size_t n)
{
	struct hull_stdio *s = data;
	s->progress += n;
	send_frame(s, CHANNEL_STDIN, bytes, n, false, 0);
}

static void on_stdin_end(void *data)
{
	send_frame(data, CHANNEL_STDIN, NULL, 0, true, 0);
}

static const struct hull_endpoint_ops input_ops = { .on_read = on_stdin, .on_end = on_stdin_end };

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct hull_stdio *s = data;
	const Hull__Agent__V1__StdioFrame *f = (const Hull__Agent__V1__StdioFrame *)message;
	if (s->ended)
		return;
	if ((int)f->channel == CHANNEL_STDOUT || (int)f->channel == CHANNEL_STDERR)
		on_output(s, f);
	else if ((int)f->channel == CHANNEL_STDIN && f->credit > 0 && s->reader)
		/* A guest that grants too much only hurts its own memory: what is queued here is one read at a time. */
		hull_endpoint_grant(s->reader, f->credit < HULL_STDIO_WINDOW ? f->credit : HULL_STDIO_WINDOW);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct hull_stdio *s = data;
	hull_rpc_stream_free(TAKE_PTR(s->stream));
	if (status->code != HULL_RPC_OK)
		hull_log_debug("stdio stream ended: %s", status->message);
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

static int dup_cloexec(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

struct hull_stdio *hull_stdio_start(uv_loop_t *loop, struct hull_rpc_client *agent, const char *container_id,
				    const char *exec_id, struct hull_stdio_fds *fds,
				    void (*on_drained)(void *data), void *data)
{
	struct hull_stdio *s = hull_new(struct hull_stdio, 1);
	s->on_drained = on_drained;
	s->data = data;
	uv_idle_init(loop, &s->later);
	s->later.data = s;

	Hull__Agent__V1__ProcessRef ref = HULL__AGENT__V1__PROCESS_REF__INIT;
	ref.container_id = (char *)(uintptr_t)container_id;
	ref.exec_id = (char *)(uintptr_t)exec_id;
	Hull__Agent__V1__StdioFrame open = HULL__AGENT__V1__STDIO_FRAME__INIT;
	open.open = &ref;
	s->stream = hull_rpc_stream_open(agent, "hull.agent.v1.Agent", "Stdio", &open.base,
					 &hull__agent__v1__stdio_frame__descriptor, &stream_ops, s);

	if (fds->terminal >= 0) {
		fds->in = dup_cloexec(fds->terminal);
		fds->out = TAKE_FD(fds->terminal);
	}
	add_output(s, loop, CHANNEL_STDOUT, TAKE_FD(fds->out));
	add_output(s, loop, CHANNEL_STDERR, TAKE_FD(fds->err));
	if (fds->in >= 0)
		s->reader = hull_endpoint_reader(loop, TAKE_FD(fds->in), &input_ops, s);
	check_drained(s);
	return s;
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
	free(handle->data);
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
	uv_close((uv_handle_t *)&s->later, on_closed);
}
