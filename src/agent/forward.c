/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/forward.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/watch.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define CONNECTIONS_MAX 256
/* The connections of all streams share the port to the host: above this much, data waits in the socket. */
#define BACKLOG_MAX (1u << 20)
#define BACKLOG_RETRY_MS 5
/* A connection within the guest answers at once, or its queue is full. */
#define CONNECT_TIMEOUT_MS 10000
/* As HULL_STREAMS_FRAME_MAX: one write to the port. */
#define FRAME_MAX ((32u << 10) - 64)

typedef Hull__Agent__V1__StdioFrame Frame;
#define CHANNEL(name) HULL__AGENT__V1__STDIO_FRAME__CHANNEL__##name

struct forward {
	struct hull_agent *agent;
	struct hull_rpc_stream *stream;
	struct hull_watch *watch;      /* the socket; NULL between two attempts */
	struct hull_alarm *alarm;      /* the deadline of connecting, then the pause after a backlog */
	uint16_t port;
	bool tries_ipv6, connected;
	bool read_over, write_over;    /* nothing more to come from the server, or to go to it */
	bool eof;                      /* the host's last byte is in `pending` */
	uint64_t credit;               /* what the host takes */
	uint64_t granted;              /* what the host may send */
	uint8_t pending[HULL_FORWARD_WINDOW];
	size_t length;
};

/* With a status other than OK the host resets its side of the connection. */
static void end(struct forward *f, enum hull_rpc_code code, const char *message)
{
	hull_rpc_stream_finish(f->stream, code, message);
	hull_watch_free(f->watch);
	hull_alarm_free(f->alarm);
	f->agent->n_forwards--;
	free(f);
}

static void send_frame(struct forward *f, int channel, const uint8_t *data, size_t n, bool eof, uint64_t credit)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = (Hull__Agent__V1__StdioFrame__Channel)channel;
	frame.data = (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)data };
	frame.eof = eof;
	frame.credit = credit;
	hull_rpc_stream_send(f->stream, &frame.base);
}

static void update(struct forward *f)
{
	int events = 0;
	if (!f->connected || f->length > 0)
		events |= UV_WRITABLE;
	if (f->connected && !f->read_over && f->credit > 0)
		events |= UV_READABLE;
	hull_watch_set(f->watch, events);
}

/* Returns whether the object is still there. */
static bool check_over(struct forward *f)
{
	if (f->read_over && f->write_over) {
		end(f, HULL_RPC_OK, "");
		return false;
	}
	update(f);
	return true;
}

static bool write_pending(struct forward *f)
{
	if (f->length > 0) {
		ssize_t n = send(hull_watch_fd(f->watch), f->pending, f->length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			end(f, HULL_RPC_ABORTED, strerror(errno));
			return false;
		}
		if (n > 0) {
			memmove(f->pending, f->pending + n, f->length - (size_t)n);
			f->length -= (size_t)n;
			f->granted += (uint64_t)n;
			send_frame(f, CHANNEL(STDIN), NULL, 0, false, (uint64_t)n);
		}
	}
	if (f->eof && f->length == 0 && !f->write_over) {
		shutdown(hull_watch_fd(f->watch), SHUT_WR);
		f->write_over = true;
	}
	return check_over(f);
}

static bool read_some(struct forward *f)
{
	uint8_t buffer[FRAME_MAX];
	if (f->read_over || f->credit == 0)
		return true;
	if (hull_rpc_stream_backlog(f->stream) > BACKLOG_MAX) {
		hull_watch_set(f->watch, f->length > 0 ? UV_WRITABLE : 0);
		hull_alarm_set(f->alarm, BACKLOG_RETRY_MS);
		return true;
	}
	size_t room = f->credit < sizeof(buffer) ? (size_t)f->credit : sizeof(buffer);
	ssize_t n = recv(hull_watch_fd(f->watch), buffer, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		end(f, HULL_RPC_ABORTED, strerror(errno));
		return false;
	}
	f->credit -= (uint64_t)n;
	f->read_over = n == 0;
	send_frame(f, CHANNEL(STDOUT), buffer, (size_t)n, n == 0, 0);
	return check_over(f);
}

/* ----------------------------------------------------------------- connecting */

static void on_socket(void *data, int events);

/* Returns 0, or -errno when not even an attempt was possible. */
static int attempt(struct forward *f)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(f->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *address = f->tries_ipv6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
	_cleanup_close_ int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, address, f->tries_ipv6 ? sizeof(v6) : sizeof(v4)) < 0 && errno != EINPROGRESS))
		return -errno;
	f->watch = hull_watch_new(f->agent->loop, TAKE_FD(fd), on_socket, f);
	if (!f->watch)
		return -EIO;
	update(f);
	return 0;
}

static void failed(struct forward *f, int error)
{
	hull_watch_free(TAKE_PTR(f->watch));
	/* A server may listen on ::1 alone. */
	if (!f->tries_ipv6) {
		f->tries_ipv6 = true;
		if (attempt(f) == 0)
			return;
	}
	end(f, HULL_RPC_UNAVAILABLE, strerror(error));
}

static bool connected(struct forward *f)
{
	int error = 0;
	socklen_t length = sizeof(error);
	getsockopt(hull_watch_fd(f->watch), SOL_SOCKET, SO_ERROR, &error, &length);
	if (error) {
		failed(f, error);
		return false;
	}
	f->connected = true;
	hull_alarm_stop(f->alarm);
	return true;
}

static void on_socket(void *data, int events)
{
	struct forward *f = data;
	if (!f->connected && !connected(f))
		return;
	if (write_pending(f) && (events & UV_READABLE))
		read_some(f);
}

static void on_alarm(void *data)
{
	struct forward *f = data;
	if (f->connected)
		update(f);
	else
		end(f, HULL_RPC_UNAVAILABLE, strerror(ETIMEDOUT));
}

/* --------------------------------------------------------------------- stream */

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct forward *f = data;
	const Frame *frame = (const Frame *)message;
	if (frame->channel == CHANNEL(STDOUT) && frame->eof) {
		end(f, HULL_RPC_CANCELLED, "nobody reads any more");
		return;
	}
	if (frame->channel == CHANNEL(STDOUT) && frame->credit)
		f->credit = f->credit + frame->credit < f->credit ? UINT64_MAX : f->credit + frame->credit;
	if (frame->channel == CHANNEL(STDIN) && frame->data.len > 0) {
		if (frame->data.len > f->granted || f->eof) {
			end(f, HULL_RPC_INVALID_ARGUMENT, "more data than was granted");
			return;
		}
		f->granted -= frame->data.len;
		memcpy(f->pending + f->length, frame->data.data, frame->data.len);
		f->length += frame->data.len;
	}
	if (frame->channel == CHANNEL(STDIN) && frame->eof)
		f->eof = true;
	if (f->connected && write_pending(f))
		read_some(f);
}

static void on_remote_closed(void *data)
{
	struct forward *f = data;
	f->eof = true;
	if (f->connected)
		write_pending(f);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	end(data, HULL_RPC_CANCELLED, "");
}

static const struct hull_rpc_stream_ops stream_ops = {
	.on_message = on_message, .on_remote_closed = on_remote_closed, .on_end = on_end,
};

void hull_handle_connect(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct hull_agent *agent = data;
	uint32_t port = ((const Frame *)message)->connect_port;
	if (port == 0 || port > UINT16_MAX) {
		hull_rpc_stream_finish(stream, HULL_RPC_INVALID_ARGUMENT, "the first frame names a port");
		return;
	}
	if (agent->n_forwards == CONNECTIONS_MAX) {
		hull_rpc_stream_finish(stream, HULL_RPC_RESOURCE_EXHAUSTED, "too many connections");
		return;
	}
	struct forward *f = hull_new(struct forward, 1);
	agent->n_forwards++;
	f->agent = agent;
	f->stream = stream;
	f->port = (uint16_t)port;
	f->alarm = hull_alarm_new(agent->loop, on_alarm, f);
	hull_alarm_set(f->alarm, CONNECT_TIMEOUT_MS);
	hull_rpc_stream_accept(stream, &hull__agent__v1__stdio_frame__descriptor, &stream_ops, f);
	f->granted = HULL_FORWARD_WINDOW;
	send_frame(f, CHANNEL(STDIN), NULL, 0, false, HULL_FORWARD_WINDOW);
	int r = attempt(f);
	if (r < 0)
		failed(f, -r);
}
