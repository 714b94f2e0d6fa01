/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incoming unary calls. A request lives from its handler's call to its answer, even when the caller is gone:
 * then the answer is dropped. It is in the connection's table as long as somebody waits for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/internal.h"

struct hull_rpc_request {
	struct hull_entry entry;           /* first */
	struct hull_rpc_conn *conn;
	struct hull_timer *deadline;
	int *fds;
	size_t n_fds;
	bool cancelled;
	void (*on_cancel)(void *data);
	void *cancel_data;
};

static void close_fds(struct hull_rpc_request *request)
{
	for (size_t i = 0; i < request->n_fds; i++)
		close(request->fds[i]);
	free(request->fds);
	request->fds = NULL;
	request->n_fds = 0;
}

static void request_free(struct hull_rpc_request *request)
{
	hull_table_remove(&request->entry);
	hull_timer_stop(request->deadline);
	close_fds(request);
	request->conn->n_requests--;
	hull_conn_unref(request->conn);
	free(request);
}

/* Nobody waits for the answer any more. The callback may answer, which frees the request. */
static void request_cancelled(struct hull_rpc_request *request)
{
	hull_table_remove(&request->entry);
	hull_timer_stop(request->deadline);
	request->deadline = NULL;
	request->cancelled = true;
	if (request->on_cancel)
		request->on_cancel(request->cancel_data);
}

/* The caller gets a status too: it may count on the server to watch the clock. */
static void request_on_deadline(void *data)
{
	struct hull_rpc_request *request = data;

	hull_send_status(request->conn->chan, request->entry.id, HULL_RPC_DEADLINE_EXCEEDED,
			 "the deadline passed before the answer was ready");
	request_cancelled(request);
}

/* Frames after the request have no meaning for a unary call. */
static void request_on_frame(struct hull_entry *entry, const struct hull_frame_header *h, const uint8_t *payload)
{
	(void)entry;
	(void)h;
	(void)payload;
}

static void request_on_lost(struct hull_entry *entry, enum hull_rpc_code code, const char *reason)
{
	(void)code;
	(void)reason;
	request_cancelled((struct hull_rpc_request *)entry);
}

static const struct hull_entry_ops request_ops = { .on_frame = request_on_frame, .on_lost = request_on_lost };

/* `timeout_ns` is not negative. */
void hull_request_run(struct hull_rpc_conn *conn, uint32_t id, const struct hull_rpc_method *method,
		      const ProtobufCMessage *message, int64_t timeout_ns, int *fds, size_t n_fds, void *data)
{
	struct hull_rpc_request *request = hull_new(struct hull_rpc_request, 1);

	request->entry.ops = &request_ops;
	request->conn = conn;
	request->fds = fds;
	request->n_fds = n_fds;
	conn->refs++;
	conn->n_requests++;
	hull_table_add(&conn->chan->table, &request->entry, id);
	if (timeout_ns > 0) {
		uint64_t ms = ((uint64_t)timeout_ns + 999999) / 1000000;
		request->deadline = hull_timer_start(conn->chan->loop, ms, request_on_deadline, request);
	}
	method->handler(request, message, data);
}

/* A message over the frame limit becomes RESOURCE_EXHAUSTED. */
void hull_rpc_reply(struct hull_rpc_request *request, const ProtobufCMessage *response)
{
	struct hull_chan *chan = request->conn->chan;
	struct hull_out *out = NULL;

	if (request->cancelled) {
		request_free(request);
		return;
	}
	if (hull_pack_response(request->entry.id, response, chan->limits.payload_max, &out) < 0) {
		hull_rpc_fail(request, HULL_RPC_RESOURCE_EXHAUSTED, "the answer is longer than a frame may be");
		return;
	}
	hull_chan_send(chan, out, HULL_OUT_CONTROL);
	request_free(request);
}

/* OK as a code is a mistake of the caller's and becomes UNKNOWN. */
void hull_rpc_fail(struct hull_rpc_request *request, enum hull_rpc_code code, const char *fmt, ...)
{
	char text[HULL_RPC_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!request->cancelled)
		hull_send_status(request->conn->chan, request->entry.id, code == HULL_RPC_OK ? HULL_RPC_UNKNOWN : code, text);
	request_free(request);
}

/* The code is that of the error's errno. */
void hull_rpc_fail_error(struct hull_rpc_request *request, const struct hull_error *err)
{
	hull_rpc_fail(request, hull_rpc_code_from_errno(err->code), "%s", err->message);
}

/* At once when it has happened already. The last one set counts; NULL removes it. */
void hull_rpc_request_on_cancel(struct hull_rpc_request *request, void (*fn)(void *data), void *data)
{
	request->on_cancel = fn;
	request->cancel_data = data;
	if (request->cancelled && fn)
		fn(data);
}

/* Valid until the request is answered, also when the connection is gone. */
struct hull_rpc_conn *hull_rpc_request_conn(const struct hull_rpc_request *request)
{
	return request->conn;
}

/* Can be done once. */
int hull_rpc_request_take_fds(struct hull_rpc_request *request, int *out, size_t n)
{
	if (request->n_fds != n) {
		close_fds(request);
		return -EBADMSG;
	}
	if (n > 0)
		memcpy(out, request->fds, n * sizeof(int));
	free(request->fds);
	request->fds = NULL;
	request->n_fds = 0;
	return 0;
}

/* How many came and were not taken yet. */
size_t hull_rpc_request_n_fds(const struct hull_rpc_request *request)
{
	return request->n_fds;
}
