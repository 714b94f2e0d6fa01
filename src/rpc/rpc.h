/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc client and server on one libuv loop.
 *
 * A connection is any stream-like descriptor that can be polled: a unix socket, a socketpair, a
 * virtio-serial port. Nothing here blocks. Messages are protobuf-c structs. Whatever the peer
 * sends is bounded before it is allocated or decoded: frame length, number of open streams,
 * bytes queued for a stream, bytes queued for writing.
 *
 * Source: ttrpc PROTOCOL.md; status codes are google.rpc.Code.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>
#include <uv.h>

#include "base/error.h"

enum hull_rpc_code {
	HULL_RPC_OK = 0,
	HULL_RPC_CANCELLED = 1,
	HULL_RPC_UNKNOWN = 2,
	HULL_RPC_INVALID_ARGUMENT = 3,
	HULL_RPC_DEADLINE_EXCEEDED = 4,
	HULL_RPC_NOT_FOUND = 5,
	HULL_RPC_ALREADY_EXISTS = 6,
	HULL_RPC_PERMISSION_DENIED = 7,
	HULL_RPC_RESOURCE_EXHAUSTED = 8,
	HULL_RPC_FAILED_PRECONDITION = 9,
	HULL_RPC_ABORTED = 10,
	HULL_RPC_OUT_OF_RANGE = 11,
	HULL_RPC_UNIMPLEMENTED = 12,
	HULL_RPC_INTERNAL = 13,
	HULL_RPC_UNAVAILABLE = 14,         /* also: the connection is gone */
};

/* errno <-> code; the mapping is one table (status.c). */
enum hull_rpc_code hull_rpc_code_from_errno(int err);
int hull_rpc_code_to_errno(enum hull_rpc_code code);

struct hull_rpc_status {
	enum hull_rpc_code code;
	const char *message;               /* never NULL; valid during the callback */
};

/* Limits of a connection; zero members mean the defaults in parentheses. */
struct hull_rpc_limits {
	uint32_t payload_max;              /* bytes of one frame's payload (4 MiB) */
	uint32_t streams_max;              /* calls and streams open at once (4096) */
	uint64_t write_queue_max;          /* bytes queued for the peer before sends fail with -ENOBUFS (16 MiB) */
};

/*
 * Unpacks a message that a peer sent; NULL when it is malformed or would take more memory than its size allows. Freed with
 * protobuf_c_message_free_unpacked(m, NULL).
 */
ProtobufCMessage *hull_rpc_unpack(const ProtobufCMessageDescriptor *type, size_t len, const uint8_t *data);

/* ------------------------------------------------------------------ client */

struct hull_rpc_client;
struct hull_rpc_call;                      /* one outgoing unary call */
struct hull_rpc_stream;                    /* one stream, of either side */

/*
 * Takes over `fd` (made non-blocking here). `on_close` is called once, from the loop, when the connection
 * ended for any reason but hull_rpc_client_free(); open calls have been failed with UNAVAILABLE by then.
 * NULL with errno set when the descriptor cannot be polled; it is closed then.
 */
struct hull_rpc_client *hull_rpc_client_new(uv_loop_t *loop, int fd, const struct hull_rpc_limits *limits,
					    void (*on_close)(void *data, const char *reason), void *data);

/* Whether the connection is lost: a call that ends with HULL_RPC_UNAVAILABLE otherwise has the peer's own word for it. */
bool hull_rpc_client_is_lost(const struct hull_rpc_client *client);

/* Fails what is open with CANCELLED (callbacks run inside this call), closes the fd, frees. NULL is fine. */
void hull_rpc_client_free(struct hull_rpc_client *client);

/* Whether calls can still be answered: the connection has not ended. */
bool hull_rpc_client_alive(const struct hull_rpc_client *client);

/* `response` is NULL unless status->code is HULL_RPC_OK; it is freed after the callback. */
typedef void (*hull_rpc_reply_fn)(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response);

/*
 * Starts a unary call. `timeout_ms` > 0 is also sent to the peer as the deadline; 0 is not allowed:
 * waits that are meant to be endless (Wait) pass HULL_RPC_NO_DEADLINE.
 * `fds` (n_fds of them, borrowed) travel with the request over a unix socket: see hull_rpc_request_take_fds().
 * Returns the call, for hull_rpc_call_cancel(), valid until the callback runs. The callback always runs
 * exactly once and never inside this function. At most 1024 descriptors; they are duplicated inside.
 */
#define HULL_RPC_NO_DEADLINE (-1)
struct hull_rpc_call *hull_rpc_call(struct hull_rpc_client *client, const char *service, const char *method,
				    const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response_type,
				    int64_t timeout_ms, const int *fds, size_t n_fds,
				    hull_rpc_reply_fn callback, void *data);

/* The callback runs with CANCELLED before this returns; a late response is dropped. */
void hull_rpc_call_cancel(struct hull_rpc_call *call);

/*
 * As hull_rpc_call(), and runs the loop until the reply: for the command line's processes.
 * On OK *ret_response is the unpacked message (free with protobuf_c_message_free_unpacked).
 * Errors: `err` carries the peer's message and the errno of its code.
 */
int hull_rpc_call_sync(struct hull_rpc_client *client, const char *service, const char *method,
		       const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response_type,
		       int64_t timeout_ms, const int *fds, size_t n_fds, ProtobufCMessage **ret_response,
		       struct hull_error *err);

/* ----------------------------------------------------------------- streams */

struct hull_rpc_stream_ops {
	/* One message of the peer; freed after the callback. */
	void (*on_message)(void *data, const ProtobufCMessage *message);
	/* The peer will send no more (half-close). May be NULL. */
	void (*on_remote_closed)(void *data);
	/*
	 * The stream is over: the server's final status, a broken connection, a protocol error.
	 * Called exactly once and last, unless hull_rpc_stream_free() came first. The stream stays valid
	 * (sends give -EPIPE) until the user frees it, here or later.
	 */
	void (*on_end)(void *data, const struct hull_rpc_status *status);
};

/*
 * Opens a bidirectional stream. `request` goes with the opening frame (an empty message is fine).
 * ttrpc has no flow control of its own: whoever uses a stream sends credits in its messages
 * (see proto/agent.proto, StdioFrame).
 */
struct hull_rpc_stream *hull_rpc_stream_open(struct hull_rpc_client *client, const char *service, const char *method,
					     const ProtobufCMessage *request,
					     const ProtobufCMessageDescriptor *message_type,
					     const struct hull_rpc_stream_ops *ops, void *data);

/*
 * Queues one message. 0, -EPIPE after the end or after close_send, -ENOBUFS when the write queue is full,
 * -EMSGSIZE when the message is longer than a frame may be.
 */
int hull_rpc_stream_send(struct hull_rpc_stream *stream, const ProtobufCMessage *message);

/*
 * Half-closes: the peer sees on_remote_closed. A server that does so after the client did has ended the
 * stream with OK (PROTOCOL.md); to give another status it calls hull_rpc_stream_finish() instead.
 */
int hull_rpc_stream_close_send(struct hull_rpc_stream *stream);

/* Client side: gives up the stream and frees it; no callback runs any more. Server side: as finish with CANCELLED. */
void hull_rpc_stream_free(struct hull_rpc_stream *stream);

/* Bytes not yet written to the connection that carries this stream. */
uint64_t hull_rpc_stream_backlog(const struct hull_rpc_stream *stream);

/* ------------------------------------------------------------------ server */

struct hull_rpc_server;
struct hull_rpc_conn;                      /* one accepted connection */
struct hull_rpc_request;                   /* one incoming unary call, until it is answered */

/* Answers with hull_rpc_reply() or hull_rpc_fail(), at once or later; `message` is freed after the return. */
typedef void (*hull_rpc_handler_fn)(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);

/*
 * A stream was opened. The handler calls hull_rpc_stream_accept() to get callbacks, or
 * hull_rpc_stream_finish() with an error, before it returns. `message` is the opening request.
 */
typedef void (*hull_rpc_stream_handler_fn)(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data);

struct hull_rpc_method {
	const char *name;                                   /* NULL ends the table */
	const ProtobufCMessageDescriptor *request_type;
	hull_rpc_handler_fn handler;                        /* unary, or … */
	hull_rpc_stream_handler_fn stream_handler;          /* … streaming */
};

struct hull_rpc_service {
	const char *name;                                   /* "hull.agent.v1.Agent" */
	const struct hull_rpc_method *methods;
};

struct hull_rpc_server_ops {
	/* A connection was taken on / is gone. Either may be NULL. Set a per-connection pointer with hull_rpc_conn_set_data(). */
	void (*on_connect)(void *data, struct hull_rpc_conn *conn);
	void (*on_disconnect)(void *data, struct hull_rpc_conn *conn);
};

/* `services` is an array of n_services tables that outlive the server; `data` goes to every handler. */
struct hull_rpc_server *hull_rpc_server_new(uv_loop_t *loop, const struct hull_rpc_service *services, size_t n_services,
					    const struct hull_rpc_limits *limits, const struct hull_rpc_server_ops *ops,
					    void *data);
/*
 * Closes listeners and connections. Open requests get on_cancel and are still to be answered (the answer is
 * dropped); streams get on_end with CANCELLED and are still to be freed. NULL is fine.
 */
void hull_rpc_server_free(struct hull_rpc_server *server);

/* Accepts connections from a listening unix socket (taken over). 0 or -errno. */
int hull_rpc_server_listen(struct hull_rpc_server *server, int listen_fd);

/*
 * Serves one connection that is there already (taken over): the agent's port, an inherited socketpair.
 * on_connect runs inside. NULL with errno set when the descriptor cannot be polled; it is closed then.
 * The connection is valid until on_disconnect returns, and as long as requests of it are not answered.
 */
struct hull_rpc_conn *hull_rpc_server_add(struct hull_rpc_server *server, int fd);

/* A pointer of the user's, for on_disconnect and the handlers. */
void hull_rpc_conn_set_data(struct hull_rpc_conn *conn, void *data);
void *hull_rpc_conn_data(const struct hull_rpc_conn *conn);
/* True when everything queued for this peer has been written. */
bool hull_rpc_conn_idle(const struct hull_rpc_conn *conn);
/* True when no connection of the server has anything left to write. */
bool hull_rpc_server_idle(const struct hull_rpc_server *server);

/* Sends the response and frees the request. */
void hull_rpc_reply(struct hull_rpc_request *request, const ProtobufCMessage *response);
/* Sends a status other than OK and frees the request. */
void hull_rpc_fail(struct hull_rpc_request *request, enum hull_rpc_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* hull_rpc_fail() from an error object. */
void hull_rpc_fail_error(struct hull_rpc_request *request, const struct hull_error *err);

/* Tells when the caller is gone or its deadline passed before the answer; the request must still be answered (the answer is dropped). */
void hull_rpc_request_on_cancel(struct hull_rpc_request *request, void (*fn)(void *data), void *data);

/* The connection that the request came over. */
struct hull_rpc_conn *hull_rpc_request_conn(const struct hull_rpc_request *request);

/*
 * The descriptors that came with the request (CLOEXEC set). Moves exactly `n` of them to `out`; when the peer sent
 * another number, closes all and returns -EBADMSG. Descriptors that nobody took are closed with the request.
 */
int hull_rpc_request_take_fds(struct hull_rpc_request *request, int *out, size_t n);
size_t hull_rpc_request_n_fds(const struct hull_rpc_request *request);

/* Server side of a stream. message_type: what the client sends. */
void hull_rpc_stream_accept(struct hull_rpc_stream *stream, const ProtobufCMessageDescriptor *message_type,
			    const struct hull_rpc_stream_ops *ops, void *data);
/* Ends the stream with a final response frame carrying the status; frees it, no callback runs any more. */
void hull_rpc_stream_finish(struct hull_rpc_stream *stream, enum hull_rpc_code code, const char *message);
