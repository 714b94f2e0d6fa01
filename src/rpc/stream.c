/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams, of either side. What is legal when:
 *
 *     local_closed     we sent our last message: no more sends
 *     remote_closed    the peer sent its last message: further ones are ignored
 *     ended            on_end ran, or is not going to: nothing is sent or delivered
 *     freed            the user let go; the memory lasts until the callbacks up the stack have returned
 *
 * The client ends a stream when a response comes, or when the server half-closes after the client did.
 * Source: ttrpc PROTOCOL.md, "Streaming".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "rpc/internal.h"
#include "rpc/ttrpc.pb-c.h"

struct hull_rpc_stream {
	struct hull_entry entry;           /* first */
	struct hull_chan *chan;
	unsigned refs;
	bool local_closed, remote_closed, ended, freed;
	bool accepted;                     /* the server's user has set its callbacks */
	bool over;                         /* we half-closed after the peer: it waits for no status */
	const ProtobufCMessageDescriptor *type;
	struct hull_rpc_stream_ops ops;
	void *data;
	struct hull_timer *timer;          /* reports `failure` */
	const struct hull_send_failure *failure;
};

static void stream_unref(struct hull_rpc_stream *stream)
{
	if (--stream->refs > 0)
		return;
	hull_chan_unref(stream->chan);
	free(stream);
}

/* Takes the stream off its connection. */
static void stream_detach(struct hull_rpc_stream *stream)
{
	stream->ended = true;
	hull_table_remove(&stream->entry);
	hull_timer_stop(stream->timer);
	stream->timer = NULL;
}

static void stream_end(struct hull_rpc_stream *stream, enum hull_rpc_code code, const char *text)
{
	struct hull_rpc_status status = { .code = code, .message = text };

	if (stream->ended)
		return;
	stream_detach(stream);
	if (stream->ops.on_end)
		stream->ops.on_end(stream->data, &status);
}

static void stream_release(struct hull_rpc_stream *stream)
{
	stream_detach(stream);
	stream->freed = true;
	stream_unref(stream);
}

static struct hull_rpc_stream *stream_new(struct hull_chan *chan, const struct hull_entry_ops *ops)
{
	struct hull_rpc_stream *stream = hull_new(struct hull_rpc_stream, 1);

	stream->entry.ops = ops;
	stream->chan = hull_chan_ref(chan);
	stream->refs = 1;
	return stream;
}

/* False when the message cannot be decoded. */
static bool deliver(struct hull_rpc_stream *stream, size_t len, const uint8_t *payload)
{
	ProtobufCMessage *message = hull_rpc_unpack(stream->type, len, payload);
	if (!message)
		return false;
	if (stream->ops.on_message)
		stream->ops.on_message(stream->data, message);
	hull_message_free(message);
	return true;
}

static void remote_closed(struct hull_rpc_stream *stream)
{
	stream->remote_closed = true;
	if (stream->ops.on_remote_closed)
		stream->ops.on_remote_closed(stream->data);
}

/* False when the message cannot be decoded. The caller holds a reference. */
static bool on_data(struct hull_rpc_stream *stream, const struct hull_frame_header *h, const uint8_t *payload)
{
	if (stream->remote_closed)
		return true;
	if (!(h->flags & HULL_FRAME_NO_DATA) && !deliver(stream, h->length, payload))
		return false;
	if ((h->flags & HULL_FRAME_REMOTE_CLOSED) && !stream->ended)
		remote_closed(stream);
	return true;
}

/* ------------------------------------------------------------------ client */

static void on_response(struct hull_rpc_stream *stream, const struct hull_frame_header *h, const uint8_t *payload)
{
	_cleanup_(hull_message_freep) Hull__Ttrpc__Response *response =
		(Hull__Ttrpc__Response *)hull_rpc_unpack(&hull__ttrpc__response__descriptor, h->length, payload);
	char text[HULL_RPC_TEXT_MAX] = "";
	enum hull_rpc_code code = HULL_RPC_OK;

	if (!response) {
		stream_end(stream, HULL_RPC_INTERNAL, "the peer's answer is malformed");
		return;
	}
	if (response->status) {
		code = hull_rpc_code_from_wire(response->status->code);
		hull_text_clean(text, sizeof(text), response->status->message);
	}
	/* Source: ttrpc PROTOCOL.md, "Response": a non-unary stream may return a single response message. */
	if (code == HULL_RPC_OK && response->payload.len > 0 && !stream->remote_closed &&
	    !deliver(stream, response->payload.len, response->payload.data))
		stream_end(stream, HULL_RPC_INTERNAL, "the peer's answer is malformed");
	stream_end(stream, code, text);
}

static void client_on_frame(struct hull_entry *entry, const struct hull_frame_header *h, const uint8_t *payload)
{
	struct hull_rpc_stream *stream = (struct hull_rpc_stream *)entry;
	bool finishes = stream->local_closed && (h->flags & HULL_FRAME_REMOTE_CLOSED);

	stream->refs++;
	if (h->type == HULL_FRAME_RESPONSE) {
		on_response(stream, h, payload);
	} else if (h->type == HULL_FRAME_DATA) {
		if (!on_data(stream, h, payload))
			stream_end(stream, HULL_RPC_INTERNAL, "a message of the peer is malformed");
		else if (finishes)
			stream_end(stream, HULL_RPC_OK, "");
	}
	stream_unref(stream);
}

static void client_on_lost(struct hull_entry *entry, enum hull_rpc_code code, const char *reason)
{
	stream_end((struct hull_rpc_stream *)entry, code, reason);
}

static const struct hull_entry_ops client_stream_ops = { .on_frame = client_on_frame, .on_lost = client_on_lost };

static void on_failure(void *data)
{
	struct hull_rpc_stream *stream = data;
	stream_end(stream, stream->failure->code, stream->failure->reason);
}

/* Never NULL: what goes wrong is told by on_end, from the loop. */
struct hull_rpc_stream *hull_rpc_stream_open(struct hull_rpc_client *client, const char *service, const char *method,
					     const ProtobufCMessage *request,
					     const ProtobufCMessageDescriptor *message_type,
					     const struct hull_rpc_stream_ops *ops, void *data)
{
	struct hull_rpc_stream *stream = stream_new(client->chan, &client_stream_ops);
	struct hull_envelope envelope = { .service = service, .method = method };

	stream->type = message_type;
	stream->ops = *ops;
	stream->data = data;
	int r = hull_client_start(client, &stream->entry, HULL_FRAME_REMOTE_OPEN, &envelope, request, NULL);
	if (r < 0) {
		stream->failure = hull_send_failure(r);
		stream->local_closed = true;
		stream->timer = hull_timer_start(stream->chan->loop, 0, on_failure, stream);
	}
	return stream;
}

/* ------------------------------------------------------------------ server */

static void server_on_frame(struct hull_entry *entry, const struct hull_frame_header *h, const uint8_t *payload)
{
	static const char malformed[] = "a message of the stream is malformed";
	struct hull_rpc_stream *stream = (struct hull_rpc_stream *)entry;

	if (h->type != HULL_FRAME_DATA)
		return;
	stream->refs++;
	if (!on_data(stream, h, payload)) {
		if (!stream->over)
			hull_send_status(stream->chan, h->stream_id, HULL_RPC_INVALID_ARGUMENT, malformed);
		stream_end(stream, HULL_RPC_INVALID_ARGUMENT, malformed);
	}
	stream_unref(stream);
}

static void server_on_lost(struct hull_entry *entry, enum hull_rpc_code code, const char *reason)
{
	stream_end((struct hull_rpc_stream *)entry, code, reason);
}

static const struct hull_entry_ops server_stream_ops = { .on_frame = server_on_frame, .on_lost = server_on_lost };

/* A client that sends no data (`remote_open` is false) is told about as half-closed after the handler. */
void hull_stream_run(struct hull_chan *chan, uint32_t id, bool remote_open, const struct hull_rpc_method *method,
		     const ProtobufCMessage *message, void *data)
{
	struct hull_rpc_stream *stream = stream_new(chan, &server_stream_ops);

	stream->refs++;
	hull_table_add(&chan->table, &stream->entry, id);
	method->stream_handler(stream, message, data);
	if (!stream->freed && !stream->accepted)
		hull_rpc_stream_finish(stream, HULL_RPC_INTERNAL, "the method did not accept the stream");
	else if (!stream->ended && !remote_open)
		remote_closed(stream);
	stream_unref(stream);
}

/* Within the handler: a stream that it neither accepts nor finishes is ended when it returns. */
void hull_rpc_stream_accept(struct hull_rpc_stream *stream, const ProtobufCMessageDescriptor *message_type,
			    const struct hull_rpc_stream_ops *ops, void *data)
{
	stream->accepted = true;
	stream->type = message_type;
	stream->ops = *ops;
	stream->data = data;
}

/*
 * After on_end it only frees. OK to a client that has half-closed is a half-close, as Go peers expect it:
 * Source: ttrpc PROTOCOL.md, "Non-Unary State Diagrams".
 */
void hull_rpc_stream_finish(struct hull_rpc_stream *stream, enum hull_rpc_code code, const char *message)
{
	uint32_t id = stream->entry.id;
	bool silent = stream->ended || stream->over;

	stream_detach(stream);
	if (!silent && code == HULL_RPC_OK && stream->remote_closed && !stream->local_closed)
		hull_send_closed(stream->chan, id);
	else if (!silent)
		hull_send_status(stream->chan, id, code, message);
	stream_release(stream);
}

/* -------------------------------------------------------------------- both */

/* -EMSGSIZE when the message is longer than a frame may be. */
int hull_rpc_stream_send(struct hull_rpc_stream *stream, const ProtobufCMessage *message)
{
	struct hull_out *out = NULL;

	if (stream->ended || stream->local_closed || !hull_chan_alive(stream->chan))
		return -EPIPE;
	int r = hull_pack_data(stream->entry.id, message, stream->chan->limits.payload_max, &out);
	if (r < 0)
		return r;
	return hull_chan_send(stream->chan, out, HULL_OUT_DATA);
}

/*
 * 0, or -EPIPE after the end or when called twice. On the server, after the client has half-closed, this ends the
 * stream with OK in the client's eyes; to give another status, finish without closing first.
 */
int hull_rpc_stream_close_send(struct hull_rpc_stream *stream)
{
	if (stream->ended || stream->local_closed)
		return -EPIPE;
	stream->local_closed = true;
	stream->over = stream->remote_closed && stream->entry.ops == &server_stream_ops;
	hull_send_closed(stream->chan, stream->entry.id);
	return 0;
}

/* NULL is fine. A client's stream is half-closed first, which is all that ttrpc lets it say. */
void hull_rpc_stream_free(struct hull_rpc_stream *stream)
{
	if (!stream)
		return;
	if (stream->entry.ops == &server_stream_ops) {
		hull_rpc_stream_finish(stream, HULL_RPC_CANCELLED, "the stream was given up");
		return;
	}
	hull_rpc_stream_close_send(stream);
	stream_release(stream);
}

/* Of all streams and calls of the connection: they are written in the order queued. */
uint64_t hull_rpc_stream_backlog(const struct hull_rpc_stream *stream)
{
	return stream->chan->out_bytes;
}
