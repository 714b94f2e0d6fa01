/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side: unary calls. Streams are in stream.c. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "rpc/internal.h"
#include "rpc/ttrpc.pb-c.h"

struct hull_rpc_call {
	struct hull_entry entry;           /* first */
	const ProtobufCMessageDescriptor *response_type;
	hull_rpc_reply_fn callback;
	void *data;
	struct hull_timer *timer;          /* the deadline, or the next turn of the loop for a failure */
	const struct hull_send_failure *failure;
	ProtobufCMessage **keep_response;  /* where hull_rpc_call_sync() wants the answer; or NULL */
};

/* Ends the call: frees it, then tells the caller. `response` is moved. */
static void call_end(struct hull_rpc_call *call, enum hull_rpc_code code, const char *text, ProtobufCMessage *response)
{
	struct hull_rpc_call c = *call;
	struct hull_rpc_status status = { .code = code, .message = text };

	hull_table_remove(&call->entry);
	hull_timer_stop(call->timer);
	free(call);
	c.callback(c.data, &status, response);
	if (c.keep_response)
		*c.keep_response = response;
	else
		hull_message_free(response);
}

static void call_answered(struct hull_rpc_call *call, const struct hull_frame_header *h, const uint8_t *payload)
{
	_cleanup_(hull_message_freep) Hull__Ttrpc__Response *envelope =
		(Hull__Ttrpc__Response *)hull_rpc_unpack(&hull__ttrpc__response__descriptor, h->length, payload);
	if (!envelope) {
		call_end(call, HULL_RPC_INTERNAL, "the peer's answer is malformed", NULL);
		return;
	}
	if (envelope->status && envelope->status->code != HULL_RPC_OK) {
		char text[HULL_RPC_TEXT_MAX];
		hull_text_clean(text, sizeof(text), envelope->status->message);
		call_end(call, hull_rpc_code_from_wire(envelope->status->code), text, NULL);
		return;
	}
	ProtobufCMessage *response = hull_rpc_unpack(call->response_type, envelope->payload.len, envelope->payload.data);
	if (response)
		call_end(call, HULL_RPC_OK, "", response);
	else
		call_end(call, HULL_RPC_INTERNAL, "the peer's answer is malformed", NULL);
}

static void call_on_frame(struct hull_entry *entry, const struct hull_frame_header *h, const uint8_t *payload)
{
	struct hull_rpc_call *call = (struct hull_rpc_call *)entry;

	if (h->type == HULL_FRAME_RESPONSE)
		call_answered(call, h, payload);
	else if (h->type == HULL_FRAME_DATA)
		call_end(call, HULL_RPC_INTERNAL, "the peer sent stream data for a unary call", NULL);
}

static void call_on_lost(struct hull_entry *entry, enum hull_rpc_code code, const char *reason)
{
	call_end((struct hull_rpc_call *)entry, code, reason, NULL);
}

static const struct hull_entry_ops call_ops = { .on_frame = call_on_frame, .on_lost = call_on_lost };

static void call_on_timer(void *data)
{
	struct hull_rpc_call *call = data;

	if (call->failure)
		call_end(call, call->failure->code, call->failure->reason, NULL);
	else
		call_end(call, HULL_RPC_DEADLINE_EXCEEDED, "the deadline passed before the answer came", NULL);
}

/*
 * Stream ids of a client are odd and rise; the highest is for calls that found none left.
 * Source: ttrpc PROTOCOL.md, "Message Frame".
 */
static int take_id(struct hull_chan *chan, uint32_t *ret_id)
{
	bool used_up = chan->last_id >= UINT32_MAX - 2;

	if (used_up)
		*ret_id = UINT32_MAX;
	else
		*ret_id = chan->last_id == 0 ? 1 : chan->last_id + 2;
	chan->last_id = *ret_id;
	return used_up ? -EOVERFLOW : 0;
}

/* A queue that cannot take a request means that the peer does not read; the connection is closed from the loop. */
int hull_client_start(struct hull_rpc_client *client, struct hull_entry *entry, uint8_t flags,
		      struct hull_envelope *envelope, const ProtobufCMessage *request, const int *fds)
{
	struct hull_chan *chan = client->chan;
	struct hull_out *out = NULL;
	bool full = chan->table.count >= chan->limits.streams_max;
	uint32_t id;

	int r = take_id(chan, &id);
	hull_table_add(&chan->table, entry, id);
	if (r < 0)
		return r;
	if (!hull_chan_alive(chan))
		return -EPIPE;
	if (full)
		return -EUSERS;
	if (envelope->n_fds > 0 && !chan->passes_fds)
		return -ENOTSOCK;
	r = hull_pack_request(id, flags, envelope, request, chan->limits.payload_max, &out);
	if (r < 0)
		return r;
	r = hull_out_set_fds(out, fds, envelope->n_fds);
	if (r < 0) {
		hull_out_free(out);
		return r;
	}
	return hull_chan_send(chan, out, HULL_OUT_CONTROL);
}

/* What does not depend on the connection's state is checked here too, so that there is one way to fail. */
static int call_start(struct hull_rpc_client *client, struct hull_rpc_call *call, struct hull_envelope *envelope,
		      const ProtobufCMessage *request, int64_t timeout_ms, const int *fds)
{
	bool endless = timeout_ms == HULL_RPC_NO_DEADLINE;

	if (!endless && timeout_ms > 0)
		envelope->timeout_ns = timeout_ms > INT64_MAX / 1000000 ? INT64_MAX : timeout_ms * 1000000;
	int r = hull_client_start(client, &call->entry, 0, envelope, request, fds);
	if (r == 0 && !endless && timeout_ms <= 0)
		r = -EINVAL;
	return r;
}

/* Request flags are empty, which every version of ttrpc takes for a unary call. */
struct hull_rpc_call *hull_rpc_call(struct hull_rpc_client *client, const char *service, const char *method,
				    const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response_type,
				    int64_t timeout_ms, const int *fds, size_t n_fds,
				    hull_rpc_reply_fn callback, void *data)
{
	struct hull_rpc_call *call = hull_new(struct hull_rpc_call, 1);
	struct hull_envelope envelope = { .service = service, .method = method, .n_fds = n_fds };
	uv_loop_t *loop = client->chan->loop;

	call->entry.ops = &call_ops;
	call->response_type = response_type;
	call->callback = callback;
	call->data = data;
	int r = call_start(client, call, &envelope, request, timeout_ms, fds);
	if (r < 0) {
		call->failure = hull_send_failure(r);
		call->timer = hull_timer_start(loop, 0, call_on_timer, call);
	} else if (timeout_ms != HULL_RPC_NO_DEADLINE) {
		call->timer = hull_timer_start(loop, (uint64_t)timeout_ms, call_on_timer, call);
	}
	return call;
}

/* ttrpc has no way to tell the peer. */
void hull_rpc_call_cancel(struct hull_rpc_call *call)
{
	call_end(call, HULL_RPC_CANCELLED, "the call was cancelled", NULL);
}

struct sync_call {
	bool done;
	enum hull_rpc_code code;
	struct hull_error *err;
};

static void sync_on_reply(void *data, const struct hull_rpc_status *status,
			  const ProtobufCMessage *response HULL_UNUSED)
{
	struct sync_call *sync = data;

	sync->done = true;
	sync->code = status->code;
	if (status->code != HULL_RPC_OK)
		hull_error_set(sync->err, hull_rpc_code_to_errno(status->code), "%s", status->message);
}

/* Not from within a callback of the loop: libuv's loop does not nest. `ret_response` may be NULL. */
int hull_rpc_call_sync(struct hull_rpc_client *client, const char *service, const char *method,
		       const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response_type,
		       int64_t timeout_ms, const int *fds, size_t n_fds, ProtobufCMessage **ret_response,
		       struct hull_error *err)
{
	struct sync_call sync = { .err = err };
	ProtobufCMessage *response = NULL;
	uv_loop_t *loop = client->chan->loop;

	struct hull_rpc_call *call = hull_rpc_call(client, service, method, request, response_type, timeout_ms,
						   fds, n_fds, sync_on_reply, &sync);
	call->keep_response = &response;
	while (!sync.done)
		uv_run(loop, UV_RUN_ONCE);
	if (sync.code != HULL_RPC_OK)
		return -hull_rpc_code_to_errno(sync.code);
	if (ret_response)
		*ret_response = response;
	else
		hull_message_free(response);
	return 0;
}

bool hull_rpc_client_is_lost(const struct hull_rpc_client *client)
{
	return client->chan->closed;
}

static void client_unref(struct hull_rpc_client *client)
{
	if (--client->refs > 0)
		return;
	hull_chan_unref(client->chan);
	free(client);
}

/* Ids that are not open any more belong to calls that were cancelled or timed out: their answers are dropped. */
static void client_on_frame(void *owner, const struct hull_frame_header *h, const uint8_t *payload)
{
	struct hull_rpc_client *client = owner;
	struct hull_entry *entry = hull_table_find(&client->chan->table, h->stream_id);
	if (entry)
		entry->ops->on_frame(entry, h, payload);
}

static void client_on_oversized(void *owner, const struct hull_frame_header *h)
{
	struct hull_rpc_client *client = owner;
	struct hull_entry *entry = hull_table_find(&client->chan->table, h->stream_id);
	if (!entry)
		return;
	hull_table_remove(entry);
	entry->ops->on_lost(entry, HULL_RPC_RESOURCE_EXHAUSTED, "the peer's answer is longer than a frame may be");
}

static void client_on_closed(void *owner, const char *reason)
{
	struct hull_rpc_client *client = owner;

	client->refs++;
	hull_table_lose(&client->chan->table, client->chan->last_id, HULL_RPC_UNAVAILABLE, reason);
	if (client->on_close)
		client->on_close(client->data, reason);
	client_unref(client);
}

static const struct hull_chan_ops client_chan_ops = {
	.on_frame = client_on_frame,
	.on_oversized = client_on_oversized,
	.on_closed = client_on_closed,
};

/* NULL with errno set when the descriptor cannot be polled; it is closed then. `on_close` may be NULL. */
struct hull_rpc_client *hull_rpc_client_new(uv_loop_t *loop, int fd, const struct hull_rpc_limits *limits,
					    void (*on_close)(void *data, const char *reason), void *data)
{
	struct hull_rpc_client *client = hull_new(struct hull_rpc_client, 1);

	client->refs = 1;
	client->on_close = on_close;
	client->data = data;
	client->chan = hull_chan_new(loop, fd, limits, &client_chan_ops, client);
	if (!client->chan) {
		free(client);
		return NULL;
	}
	return client;
}

/* Also from within any callback of the client's calls and streams. */
void hull_rpc_client_free(struct hull_rpc_client *client)
{
	if (!client)
		return;
	client->on_close = NULL;
	hull_chan_close(client->chan);
	hull_table_lose(&client->chan->table, UINT32_MAX, HULL_RPC_CANCELLED, "the connection was closed");
	client_unref(client);
}

/* False once the connection ended, and from the moment when a send found out that it will. */
bool hull_rpc_client_alive(const struct hull_rpc_client *client)
{
	return hull_chan_alive(client->chan);
}
