/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/names_tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "agent/watch.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define SILENCE_MS 15000
#define MESSAGE_MAX 65535u

enum state { READING, ASKED, WRITING };

struct hull_names_connection {
	LIST_ENTRY(hull_names_connection) link;
	struct hull_names_tcp *tcp;
	enum state state;
	struct hull_watch *watch;
	struct hull_alarm *silence;
	uint8_t data[2 + MESSAGE_MAX]; /* the query while it is read, then the answer */
	size_t length;                 /* what of the query is there, or how much is to be written */
	size_t written;
};

struct hull_names_tcp {
	uv_loop_t *loop;
	struct hull_watch *listener;
	const struct hull_names_tcp_ops *ops;
	void *data;
	bool room;
	LIST_HEAD(, hull_names_connection) connections;
	unsigned n_connections;
};

static void update_listener(struct hull_names_tcp *tcp)
{
	hull_watch_set(tcp->listener, tcp->n_connections < HULL_NAMES_CONNECTIONS_MAX ? UV_READABLE : 0);
}

static void update(struct hull_names_connection *c)
{
	int events = 0;
	if (c->state == READING && c->tcp->room)
		events = UV_READABLE;
	else if (c->state == WRITING)
		events = UV_WRITABLE;
	hull_watch_set(c->watch, events);
}

static void close_connection(struct hull_names_connection *c)
{
	struct hull_names_tcp *tcp = c->tcp;
	tcp->ops->forget(tcp->data, c);
	LIST_REMOVE(c, link);
	tcp->n_connections--;
	hull_watch_free(c->watch);
	hull_alarm_free(c->silence);
	free(c);
	update_listener(tcp);
}

static size_t message_length(const struct hull_names_connection *c)
{
	return (size_t)(c->data[0] << 8 | c->data[1]);
}

/* No byte more than belongs to the query: what comes behind it waits in the socket. */
static void read_query(struct hull_names_connection *c)
{
	size_t whole = c->length < 2 ? 2 : 2 + message_length(c);
	ssize_t n = recv(hull_watch_fd(c->watch), c->data + c->length, whole - c->length, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->length += n > 0 ? (size_t)n : 0;
	if (n <= 0 || (c->length == 2 && message_length(c) == 0)) {
		close_connection(c);
		return;
	}
	if (c->length == 2 || c->length < 2 + message_length(c))
		return;
	c->state = ASKED;
	hull_alarm_stop(c->silence);
	update(c);
	c->tcp->ops->ask(c->tcp->data, c, c->data + 2, c->length - 2);
}

static void write_answer(struct hull_names_connection *c)
{
	ssize_t n = send(hull_watch_fd(c->watch), c->data + c->written, c->length - c->written, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_connection(c);
		return;
	}
	c->written += n > 0 ? (size_t)n : 0;
	if (c->written == c->length) {
		c->state = READING;
		c->length = 0;
	}
	update(c);
}

static void on_socket(void *data, int events)
{
	struct hull_names_connection *c = data;
	(void)events;
	if (c->state == READING && c->tcp->room)
		read_query(c);
	else if (c->state == WRITING)
		write_answer(c);
}

static void on_silence(void *data)
{
	close_connection(data);
}

static void on_listener(void *data, int events)
{
	struct hull_names_tcp *tcp = data;
	(void)events;
	_cleanup_close_ int fd = accept4(hull_watch_fd(tcp->listener), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct hull_names_connection *c = hull_new(struct hull_names_connection, 1);
	c->tcp = tcp;
	c->watch = hull_watch_new(tcp->loop, TAKE_FD(fd), on_socket, c);
	if (!c->watch) {
		free(c);
		return;
	}
	c->silence = hull_alarm_new(tcp->loop, on_silence, c);
	hull_alarm_set(c->silence, SILENCE_MS);
	LIST_INSERT_HEAD(&tcp->connections, c, link);
	tcp->n_connections++;
	update(c);
	update_listener(tcp);
}

struct hull_names_tcp *hull_names_tcp_new(uv_loop_t *loop, int listener, const struct hull_names_tcp_ops *ops, void *data)
{
	struct hull_names_tcp *tcp = hull_new(struct hull_names_tcp, 1);
	tcp->loop = loop;
	tcp->ops = ops;
	tcp->data = data;
	tcp->listener = hull_watch_new(loop, listener, on_listener, tcp);
	if (!tcp->listener) {
		free(tcp);
		return NULL;
	}
	update_listener(tcp);
	return tcp;
}

void hull_names_tcp_room(struct hull_names_tcp *tcp, bool room)
{
	struct hull_names_connection *c;
	if (tcp->room == room)
		return;
	tcp->room = room;
	LIST_FOREACH(c, &tcp->connections, link)
		update(c);
}

void hull_names_tcp_answer(struct hull_names_connection *c, const uint8_t *message, size_t length)
{
	if (length == 0 || length > MESSAGE_MAX) {
		close_connection(c);
		return;
	}
	c->data[0] = (uint8_t)(length >> 8);
	c->data[1] = (uint8_t)length;
	memcpy(c->data + 2, message, length);
	c->length = 2 + length;
	c->written = 0;
	c->state = WRITING;
	hull_alarm_set(c->silence, SILENCE_MS);
	update(c);
}

void hull_names_tcp_free(struct hull_names_tcp *tcp)
{
	if (!tcp)
		return;
	while (!LIST_EMPTY(&tcp->connections))
		close_connection(LIST_FIRST(&tcp->connections));
	hull_watch_free(tcp->listener);
	free(tcp);
}
