/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/names.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/resolver.h"
#include "rpc/agent.pb-c.h"

/* At once; as many as the agent has places for. More is a broken guest. */
#define QUERIES_MAX 64
#define MESSAGE_MAX 65535
/* In a second; what is more gets no answer. */
#define RATE_MAX 2000
#define RATE_WINDOW_MS 1000
/* Whoever asks has asked again, or given up, by then. */
#define DEADLINE_MS 10000
/* Engines start the server after they made the interface. */
#define LOOK_AGAIN_MS 500
#define LOOKS 6

typedef Hull__Agent__V1__NameMessage Message;

struct query {
	LIST_ENTRY(query) link;
	struct hull_names *names;
	uint32_t id;
	bool tcp;
	int fd;
	uv_poll_t poll;
	uv_timer_t deadline;
	unsigned handles;
	uint8_t *out;                  /* TCP: what is still to be sent, its length in front */
	size_t out_length, out_done;
	uint8_t in[2 + MESSAGE_MAX];
	size_t in_length;
};

struct hull_names {
	uv_loop_t *loop;
	int netns_fd;
	struct hull_rpc_client *agent; /* NULL until it answers */
	struct hull_rpc_stream *stream;        /* there is a server */
	uv_timer_t again;
	unsigned looks;                /* still to come */
	LIST_HEAD(, query) queries;
	unsigned n_queries;
	uint64_t window_ms;            /* when the second began, in the loop's time */
	unsigned in_window;            /* queries since then */
};

/* ---- one query */

static void on_handle_closed(uv_handle_t *handle)
{
	struct query *q = handle->data;
	if (--q->handles > 0)
		return;
	hull_closep(&q->fd);
	free(q->out);
	free(q);
}

static void query_free(struct query *q)
{
	LIST_REMOVE(q, link);
	q->names->n_queries--;
	uv_close((uv_handle_t *)&q->poll, on_handle_closed);
	uv_close((uv_handle_t *)&q->deadline, on_handle_closed);
}

static void answer(struct hull_names *names, uint32_t id, const uint8_t *data, size_t n)
{
	Message m = HULL__AGENT__V1__NAME_MESSAGE__INIT;
	m.id = id;
	m.message = (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)data };
	if (names->stream)
		hull_rpc_stream_send(names->stream, &m.base);
}

static void query_over(struct query *q, const uint8_t *data, size_t n)
{
	answer(q->names, q->id, data, n);
	query_free(q);
}

static void on_deadline(uv_timer_t *timer)
{
	query_over(timer->data, NULL, 0);
}

static void on_socket(uv_poll_t *poll, int status, int events);

/* Returns whether the query goes on. */
static bool send_rest(struct query *q)
{
	if (q->out_done == q->out_length)
		return true;
	ssize_t n = send(q->fd, q->out + q->out_done, q->out_length - q->out_done, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		query_over(q, NULL, 0);
		return false;
	}
	q->out_done += n > 0 ? (size_t)n : 0;
	uv_poll_start(&q->poll, q->out_done < q->out_length ? UV_WRITABLE : UV_READABLE, on_socket);
	return true;
}

/* A stream's answer is whole when its first two bytes say so. */
static void receive_stream(struct query *q)
{
	size_t whole = q->in_length < 2 ? 2 : 2u + (size_t)(q->in[0] << 8 | q->in[1]);
	ssize_t n = recv(q->fd, q->in + q->in_length, whole - q->in_length, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	q->in_length += n > 0 ? (size_t)n : 0;
	if (n <= 0)
		query_over(q, NULL, 0);
	else if (q->in_length > 2 && q->in_length == 2u + (size_t)(q->in[0] << 8 | q->in[1]))
		query_over(q, q->in + 2, q->in_length - 2);
}

static void receive_datagram(struct query *q)
{
	ssize_t n = recv(q->fd, q->in, MESSAGE_MAX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	query_over(q, q->in, n > 0 ? (size_t)n : 0);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct query *q = poll->data;
	/* An error on the socket, such as a reset: libuv has stopped to watch it. */
	if (status < 0) {
		query_over(q, NULL, 0);
		return;
	}
	if (q->tcp && (!send_rest(q) || q->out_done < q->out_length || !(events & UV_READABLE)))
		return;
	if (q->tcp)
		receive_stream(q);
	else
		receive_datagram(q);
}

static int open_query(struct hull_names *names, const Message *m, struct query **ret)
{
	struct hull_error err = HULL_ERROR_INIT;
	int fd = hull_resolver_connect(names->netns_fd, m->tcp, &err);
	if (fd < 0)
		return fd;
	struct query *q = *ret = hull_new(struct query, 1);
	q->names = names;
	q->id = m->id;
	q->tcp = m->tcp;
	q->fd = fd;
	uv_poll_init(names->loop, &q->poll, fd);
	uv_timer_init(names->loop, &q->deadline);
	q->poll.data = q->deadline.data = q;
	q->handles = 2;
	uv_timer_start(&q->deadline, on_deadline, DEADLINE_MS, 0);
	LIST_INSERT_HEAD(&names->queries, q, link);
	names->n_queries++;
	return 0;
}

static bool is_too_fast(struct hull_names *names)
{
	if (uv_now(names->loop) - names->window_ms >= RATE_WINDOW_MS) {
		names->window_ms = uv_now(names->loop);
		names->in_window = 0;
	}
	return ++names->in_window > RATE_MAX;
}

static void ask(struct hull_names *names, const Message *m)
{
	struct query *q;
	if (is_too_fast(names) || open_query(names, m, &q) < 0) {
		answer(names, m->id, NULL, 0);
		return;
	}
	if (!q->tcp) {
		if (send(q->fd, m->message.data, m->message.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			query_over(q, NULL, 0);
		else
			uv_poll_start(&q->poll, UV_READABLE, on_socket);
		return;
	}
	q->out_length = 2 + m->message.len;
	q->out = hull_calloc(1, q->out_length);
	q->out[0] = (uint8_t)(m->message.len >> 8);
	q->out[1] = (uint8_t)m->message.len;
	memcpy(q->out + 2, m->message.data, m->message.len);
	uv_poll_start(&q->poll, UV_WRITABLE, on_socket);
}

/* ---- the stream */

static void close_stream(struct hull_names *names)
{
	while (!LIST_EMPTY(&names->queries))
		query_free(LIST_FIRST(&names->queries));
	hull_rpc_stream_free(TAKE_PTR(names->stream));
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct hull_names *names = data;
	const Message *m = (const Message *)message;
	if (m->message.len == 0 || m->message.len > MESSAGE_MAX || names->n_queries == QUERIES_MAX) {
		hull_log_warning("names: the guest asks for more than it may: it gets no answers any more");
		close_stream(names);
		names->agent = NULL;
		return;
	}
	ask(names, m);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct hull_names *names = data;
	if (status->code != HULL_RPC_CANCELLED)
		hull_log_info("names: %s", status->message);
	close_stream(names);
	/* Not again: what the guest cannot do now it cannot do later. */
	names->agent = NULL;
}

static const struct hull_rpc_stream_ops ops = { .on_message = on_message, .on_end = on_end };

static void update(struct hull_names *names)
{
	bool present = names->agent && hull_resolver_present(names->netns_fd);
	Message open = HULL__AGENT__V1__NAME_MESSAGE__INIT;
	if (present && !names->stream)
		names->stream = hull_rpc_stream_open(names->agent, "hull.agent.v1.Agent", "ResolveNames", &open.base,
						     &hull__agent__v1__name_message__descriptor, &ops, names);
	else if (!present && names->stream)
		close_stream(names);
}

static void on_again(uv_timer_t *timer)
{
	struct hull_names *names = timer->data;
	update(names);
	if (names->looks > 0 && !names->stream) {
		names->looks--;
		uv_timer_start(timer, on_again, LOOK_AGAIN_MS, 0);
	}
}

void hull_names_look(struct hull_names *names)
{
	if (!names || !names->agent)
		return;
	names->looks = LOOKS;
	on_again(&names->again);
}

struct hull_names *hull_names_new(uv_loop_t *loop, int netns_fd)
{
	struct hull_names *names = hull_new(struct hull_names, 1);
	names->loop = loop;
	names->netns_fd = netns_fd;
	uv_timer_init(loop, &names->again);
	names->again.data = names;
	return names;
}

void hull_names_ready(struct hull_names *names, struct hull_rpc_client *agent)
{
	names->agent = agent;
	hull_names_look(names);
}

static void on_closed(uv_handle_t *handle)
{
	struct hull_names *names = handle->data;
	hull_closep(&names->netns_fd);
	free(names);
}

void hull_names_free(struct hull_names *names)
{
	if (!names)
		return;
	close_stream(names);
	names->agent = NULL;
	uv_close((uv_handle_t *)&names->again, on_closed);
}
