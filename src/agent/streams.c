/* SPDX-License-Identifier: Apache-2.0 */
/* The RPC stream that carries a process' streams: who listens, what comes in, when it ends. */
#include "agent/streams_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "agent/serve.h"
#include "base/cleanup.h"

void hull_streams_send(struct hull_streams *streams, Frame *frame)
{
	/* The backlog was looked at before reading, so the queue has room; a stream that has ended has no reader. */
	hull_rpc_stream_send(streams->stream, &frame->base);
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
void hull_streams_finish_if_done(struct hull_streams *streams)
{
	if (!streams->stream || !streams->exited || !outputs_done(streams))
		return;
	hull_rpc_stream_finish(streams->stream, HULL_RPC_OK, "");
	streams->stream = NULL;
	hull_alarm_stop(streams->retry);
}

static struct hull_output *find_output(struct hull_streams *streams, Channel channel)
{
	return channel == CHANNEL(STDOUT) ? &streams->out[0] : channel == CHANNEL(STDERR) ? &streams->out[1] : NULL;
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct hull_streams *streams = data;
	const Frame *frame = (const Frame *)message;
	struct hull_output *out = find_output(streams, frame->channel);
	int r = 0;

	if (frame->open || (out && frame->data.len) || (!out && frame->channel != CHANNEL(STDIN)))
		r = -EPROTO;
	if (r == 0 && out && frame->credit)
		hull_output_take_credit(out, frame->credit);
	if (r == 0 && out && frame->eof)
		hull_output_break(out);
	if (r == 0 && !out && frame->data.len)
		r = hull_input_take(streams, frame->data.data, frame->data.len);
	if (r == 0 && !out && frame->eof)
		hull_input_take_end(streams);
	if (r < 0) {
		struct hull_rpc_stream *stream = TAKE_PTR(streams->stream);
		hull_outputs_update(streams);
		hull_rpc_stream_finish(stream, HULL_RPC_INVALID_ARGUMENT, "unexpected frame, or more data than was granted");
	}
}

static void on_remote_closed(void *data)
{
	hull_input_take_end(data);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct hull_streams *streams = data;
	hull_rpc_stream_free(TAKE_PTR(streams->stream));
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++)
		streams->out[i].credit = 0;
	streams->in.granted = 0;
	hull_outputs_update(streams);
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
		hull_input_grant(streams, HULL_STREAMS_WINDOW - (pending < HULL_STREAMS_WINDOW ? pending : HULL_STREAMS_WINDOW));
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++) {
		if (streams->out[i].eof_pending)
			hull_output_tell_end(&streams->out[i]);
		hull_output_tell_flushed(&streams->out[i]);
	}
	hull_streams_finish_if_done(streams);
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
		hull_output_begin_flush(&streams->out[i]);
		hull_output_flush(&streams->out[i]);
	}
	hull_streams_finish_if_done(streams);
}

void hull_streams_free(struct hull_streams *streams)
{
	if (!streams)
		return;
	if (streams->stream)
		hull_rpc_stream_finish(streams->stream, HULL_RPC_CANCELLED, "the process was deleted");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(streams->out); i++)
		hull_watch_free(streams->out[i].watch);
	hull_input_close(&streams->in);
	hull_alarm_free(streams->retry);
	free(streams);
}
