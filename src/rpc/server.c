/* SPDX-License-Identifier: Apache-2.0 */
/* The answering side: listeners, connections, and the way from a frame to a method. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "rpc/internal.h"
#include "rpc/ttrpc.pb-c.h"

/* Connections taken on in one turn of the loop. */
#define ACCEPT_BATCH 64
/* How long to leave a listener alone when there are no descriptors left. */
#define ACCEPT_PAUSE_MS 100

struct listener {
	uv_poll_t poll;
	struct hull_rpc_server *server;
	int fd;
	bool closed;
	struct hull_timer *pause;
	struct listener *next;
};

struct hull_rpc_server {
	uv_loop_t *loop;
	unsigned refs;                     /* the user's, and one per connection */
	const struct hull_rpc_service *services;
	size_t n_services;
	struct hull_rpc_limits limits;
	struct hull_rpc_server_ops ops;
	void *data;
	struct listener *listeners;
	struct hull_rpc_conn *conns;
};

static void server_unref(struct hull_rpc_server *server)
{
	if (--server->refs == 0)
		free(server);
}

/* ------------------------------------------------------------- connections */

/* Each request holds one, and the list of connections. */
void hull_conn_unref(struct hull_rpc_conn *conn)
{
	if (--conn->refs > 0)
		return;
	hull_chan_unref(conn->chan);
	server_unref(conn->server);
	free(conn);
}

static void conn_link(struct hull_rpc_conn *conn)
{
	struct hull_rpc_server *server = conn->server;

	conn->next = server->conns;
	if (conn->next)
		conn->next->prev = conn;
	server->conns = conn;
}

static void conn_unlink(struct hull_rpc_conn *conn)
{
	*(conn->prev ? &conn->prev->next : &conn->server->conns) = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	conn->prev = conn->next = NULL;
}

/* Ends what is open and says goodbye, once, even if a callback frees the server in between. */
static void conn_end(struct hull_rpc_conn *conn, enum hull_rpc_code code, const char *reason)
{
	conn->refs++;
	hull_chan_close(conn->chan);
	hull_table_lose(&conn->chan->table, UINT32_MAX, code, reason);
	if (!conn->gone) {
		conn->gone = true;
		conn_unlink(conn);
		if (conn->server->ops.on_disconnect)
			conn->server->ops.on_disconnect(conn->server->data, conn);
		conn->refs--;              /* the list's; the one taken above is left */
	}
	hull_conn_unref(conn);
}

static void conn_on_closed(void *owner, const char *reason)
{
	conn_end(owner, HULL_RPC_UNAVAILABLE, reason);
}

/* -------------------------------------------------------------- dispatching */

static const struct hull_rpc_method *find_method(const struct hull_rpc_server *server, const char *service,
						 const char *method, char error[static HULL_RPC_TEXT_MAX])
{
	for (size_t i = 0; i < server->n_services; i++) {
		if (strcmp(server->services[i].name, service) != 0)
			continue;
		for (const struct hull_rpc_method *m = server->services[i].methods; m->name; m++)
			if (strcmp(m->name, method) == 0)
				return m;
		snprintf(error, HULL_RPC_TEXT_MAX, "service %.200s has no method %.200s", service, method);
		return NULL;
	}
	snprintf(error, HULL_RPC_TEXT_MAX, "there is no service %.200s", service);
	return NULL;
}

/* Takes the descriptors that the request says are its own. Returns how many there are. */
static size_t take_fds(struct hull_chan *chan, const Hull__Ttrpc__Request *envelope, int **ret_fds)
{
	int64_t n = 0;

	for (size_t i = 0; i < envelope->n_metadata; i++)
		if (strcmp(envelope->metadata[i]->key, HULL_RPC_FDS_KEY) == 0 &&
		    hull_parse_i64(envelope->metadata[i]->value, 0, HULL_RPC_FDS_MAX, &n) < 0)
			n = 0;
	return hull_chan_take_fds(chan, (size_t)n, ret_fds);
}

static bool has_room(const struct hull_rpc_conn *conn)
{
	uint32_t max = conn->chan->limits.streams_max;
	return conn->chan->table.count < max && conn->n_requests < max;
}

/* Runs the method that the envelope names. *fds is set to NULL when a request has taken them over. */
static enum hull_rpc_code run_method(struct hull_rpc_conn *conn, const struct hull_frame_header *h,
				     const Hull__Ttrpc__Request *envelope, int **fds, size_t n_fds,
				     char error[static HULL_RPC_TEXT_MAX])
{
	void *data = conn->server->data;

	if (!has_room(conn)) {
		snprintf(error, HULL_RPC_TEXT_MAX, "too many calls are open on the connection");
		return HULL_RPC_RESOURCE_EXHAUSTED;
	}
	const struct hull_rpc_method *method = find_method(conn->server, envelope->service, envelope->method, error);
	if (!method)
		return HULL_RPC_UNIMPLEMENTED;
	if (envelope->timeout_nano < 0) {
		snprintf(error, HULL_RPC_TEXT_MAX, "the deadline had passed when the request came");
		return HULL_RPC_DEADLINE_EXCEEDED;
	}
	ProtobufCMessage *message = hull_rpc_unpack(method->request_type, envelope->payload.len, envelope->payload.data);
	if (!message) {
		snprintf(error, HULL_RPC_TEXT_MAX, "the request is malformed: it is no %s", method->request_type->name);
		return HULL_RPC_INVALID_ARGUMENT;
	}
	if (method->handler)
		hull_request_run(conn, h->stream_id, method, message, envelope->timeout_nano, TAKE_PTR(*fds), n_fds, data);
	else
		hull_stream_run(conn->chan, h->stream_id, h->flags & HULL_FRAME_REMOTE_OPEN, method, message, data);
	hull_message_free(message);
	return HULL_RPC_OK;
}

static void on_request(struct hull_rpc_conn *conn, const struct hull_frame_header *h, const uint8_t *payload)
{
	_cleanup_(hull_message_freep) Hull__Ttrpc__Request *envelope =
		(Hull__Ttrpc__Request *)hull_rpc_unpack(&hull__ttrpc__request__descriptor, h->length, payload);
	char error[HULL_RPC_TEXT_MAX];
	int *fds = NULL;

	if (!envelope) {
		hull_chan_drop_fds(conn->chan);
		hull_send_status(conn->chan, h->stream_id, HULL_RPC_INVALID_ARGUMENT, "the request is malformed");
		return;
	}
	size_t n_fds = take_fds(conn->chan, envelope, &fds);
	enum hull_rpc_code code = run_method(conn, h, envelope, &fds, n_fds, error);
	if (code != HULL_RPC_OK)
		hull_send_status(conn->chan, h->stream_id, code, error);
	for (size_t i = 0; fds && i < n_fds; i++)
		close(fds[i]);
	free(fds);
}

/* What a new stream id is refused for, or NULL. Source: ttrpc PROTOCOL.md, "Message Frame". */
static const char *id_error(const struct hull_chan *chan, uint32_t id)
{
	if (id % 2 == 0)
		return "stream ids of a client are odd";
	if (id <= chan->last_id)
		return "stream ids rise and are not used again";
	return NULL;
}

/* Data for a stream that is over is normal: the client had not seen the end yet. */
static void conn_on_frame(void *owner, const struct hull_frame_header *h, const uint8_t *payload)
{
	struct hull_rpc_conn *conn = owner;
	const char *error = id_error(conn->chan, h->stream_id);

	conn->refs++;
	if (h->type == HULL_FRAME_REQUEST && !error) {
		conn->chan->last_id = h->stream_id;
		on_request(conn, h, payload);
	} else if (h->type == HULL_FRAME_REQUEST) {
		hull_send_status(conn->chan, h->stream_id, HULL_RPC_INVALID_ARGUMENT, error);
	} else {
		struct hull_entry *entry = hull_table_find(&conn->chan->table, h->stream_id);
		if (entry)
			entry->ops->on_frame(entry, h, payload);
		else if (h->type == HULL_FRAME_DATA && (!error || h->stream_id % 2 == 0))
			hull_send_status(conn->chan, h->stream_id, HULL_RPC_INVALID_ARGUMENT, "the stream is not open");
	}
	hull_conn_unref(conn);
}

static void conn_on_oversized(void *owner, const struct hull_frame_header *h)
{
	static const char too_long[] = "the message is longer than a frame may be";
	struct hull_rpc_conn *conn = owner;
	struct hull_entry *entry = hull_table_find(&conn->chan->table, h->stream_id);

	conn->refs++;
	if (h->type == HULL_FRAME_REQUEST) {
		/* They would go to a later request. */
		hull_chan_drop_fds(conn->chan);
		if (!id_error(conn->chan, h->stream_id))
			conn->chan->last_id = h->stream_id;
	}
	hull_send_status(conn->chan, h->stream_id, HULL_RPC_RESOURCE_EXHAUSTED, too_long);
	if (entry && h->type == HULL_FRAME_DATA) {
		hull_table_remove(entry);
		entry->ops->on_lost(entry, HULL_RPC_RESOURCE_EXHAUSTED, too_long);
	}
	hull_conn_unref(conn);
}

static const struct hull_chan_ops conn_chan_ops = {
	.on_frame = conn_on_frame,
	.on_oversized = conn_on_oversized,
	.on_closed = conn_on_closed,
};

/* -------------------------------------------------------------- connecting */

/* NULL with errno set when the descriptor cannot be polled; it is closed then. on_connect runs in here. */
struct hull_rpc_conn *hull_rpc_server_add(struct hull_rpc_server *server, int fd)
{
	struct hull_rpc_conn *conn = hull_new(struct hull_rpc_conn, 1);

	conn->chan = hull_chan_new(server->loop, fd, &server->limits, &conn_chan_ops, conn);
	if (!conn->chan) {
		free(conn);
		return NULL;
	}
	conn->chan->accepts_fds = true;
	conn->server = server;
	server->refs++;
	conn->refs = 2;
	conn_link(conn);
	if (server->ops.on_connect)
		server->ops.on_connect(server->data, conn);
	bool gone = conn->gone;
	hull_conn_unref(conn);
	return gone ? NULL : conn;
}

static void on_listener_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void listener_close(struct listener *listener)
{
	listener->closed = true;
	hull_timer_stop(listener->pause);
	uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
	close(listener->fd);
}

static void on_connectable(uv_poll_t *poll, int status, int events);

static void on_pause_over(void *data)
{
	struct listener *listener = data;

	hull_timer_stop(listener->pause);
	listener->pause = NULL;
	uv_poll_start(&listener->poll, UV_READABLE, on_connectable);
}

/* Without descriptors the connection stays in the backlog, and the loop would spin on it. */
static void listener_pause(struct listener *listener)
{
	uv_poll_stop(&listener->poll);
	listener->pause = hull_timer_start(listener->server->loop, ACCEPT_PAUSE_MS, on_pause_over, listener);
}

/* Connections after the server was freed by on_connect: none. */
static void on_connectable(uv_poll_t *poll, int status HULL_UNUSED, int events HULL_UNUSED)
{
	struct listener *listener = poll->data;

	for (int i = 0; i < ACCEPT_BATCH && !listener->closed; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			hull_rpc_server_add(listener->server, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			listener_pause(listener);
			return;
		}
	}
}

/* The descriptor is closed on failure too. */
int hull_rpc_server_listen(struct hull_rpc_server *server, int listen_fd)
{
	struct listener *listener = hull_new(struct listener, 1);
	int r = listen_fd < 0 ? UV_EBADF : uv_poll_init(server->loop, &listener->poll, listen_fd);
	if (r < 0) {
		free(listener);
		if (listen_fd >= 0)
			close(listen_fd);
		return r;
	}
	hull_fd_cloexec(listen_fd, true);
	listener->poll.data = listener;
	listener->server = server;
	listener->fd = listen_fd;
	listener->next = server->listeners;
	server->listeners = listener;
	uv_poll_start(&listener->poll, UV_READABLE, on_connectable);
	return 0;
}

/* `limits` and `ops` are copied and may be NULL. Never NULL. */
struct hull_rpc_server *hull_rpc_server_new(uv_loop_t *loop, const struct hull_rpc_service *services, size_t n_services,
					    const struct hull_rpc_limits *limits, const struct hull_rpc_server_ops *ops,
					    void *data)
{
	struct hull_rpc_server *server = hull_new(struct hull_rpc_server, 1);

	server->loop = loop;
	server->refs = 1;
	server->services = services;
	server->n_services = n_services;
	if (limits)
		server->limits = *limits;
	if (ops)
		server->ops = *ops;
	server->data = data;
	return server;
}

/*
 * Also from within any callback of the server. on_cancel, on_end and on_disconnect run in here. Requests and
 * streams stay valid until they are answered or freed, like those of a connection that broke.
 */
void hull_rpc_server_free(struct hull_rpc_server *server)
{
	if (!server)
		return;
	for (struct listener *l = server->listeners, *next; l; l = next) {
		next = l->next;
		listener_close(l);
	}
	server->listeners = NULL;
	while (server->conns)
		conn_end(server->conns, HULL_RPC_CANCELLED, "the server was closed");
	server_unref(server);
}

/* For the user's own use; it is not freed. */
void hull_rpc_conn_set_data(struct hull_rpc_conn *conn, void *data)
{
	conn->data = data;
}

/* NULL unless set. */
void *hull_rpc_conn_data(const struct hull_rpc_conn *conn)
{
	return conn->data;
}

/* True also for a connection that is gone. */
bool hull_rpc_conn_idle(const struct hull_rpc_conn *conn)
{
	return conn->chan->out_bytes == 0;
}

/* True also without connections. */
bool hull_rpc_server_idle(const struct hull_rpc_server *server)
{
	for (const struct hull_rpc_conn *conn = server->conns; conn; conn = conn->next)
		if (!hull_rpc_conn_idle(conn))
			return false;
	return true;
}
