/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/qmp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"

static void update_watchers(struct hull_qmp *q);

void hull_qmp_command_free(struct hull_qmp_command *c)
{
	hull_closep(&c->fd);
	free(c->line);
	free(c);
}

struct hull_qmp_command *hull_qmp_pop(struct hull_qmp *q)
{
	struct hull_qmp_command *c = q->head;
	q->head = c->next;
	if (!q->head)
		q->tail = &q->head;
	return c;
}

/* Fails everything that waits. Always from the head: a reply may queue another command, or free `q`. */
static void fail_all(struct hull_qmp *q, const struct hull_error *err)
{
	while (q->head) {
		struct hull_qmp_command *c = hull_qmp_pop(q);
		if (!c->expired && c->reply)
			c->reply(c->data, NULL, err);
		hull_qmp_command_free(c);
	}
}

static void close_with(struct hull_qmp *q, const struct hull_error *err)
{
	if (q->state == HULL_QMP_CLOSED)
		return;
	q->state = HULL_QMP_CLOSED;
	q->closed = *err;
	uv_poll_stop(&q->poll);
	uv_timer_stop(&q->timer);
	fail_all(q, err);
	if (!q->freed && q->handlers.on_closed)
		q->handlers.on_closed(q->data, err);
}

void hull_qmp_close_because(struct hull_qmp *q, int code, const char *fmt, ...)
{
	struct hull_error err = HULL_ERROR_INIT;
	va_list ap;
	va_start(ap, fmt);
	_cleanup_free_ char *message = hull_vasprintf(fmt, ap);
	va_end(ap);
	hull_error_set(&err, code, "QMP: %s", message);
	close_with(q, &err);
}

/* Writes one piece of the command, with its descriptor beside the first byte. 0 or -errno. */
static int write_piece(struct hull_qmp *q, struct hull_qmp_command *c)
{
	union { struct cmsghdr align; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec iov = { .iov_base = c->line + c->sent, .iov_len = c->len - c->sent };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (c->fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &c->fd, sizeof(int));
	}
	ssize_t n = sendmsg(q->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	hull_closep(&c->fd);
	c->sent += (size_t)n;
	return 0;
}

/* Writes what the socket takes. Calls nobody back, so that hull_qmp_send() may use it. */
static void write_head(struct hull_qmp *q)
{
	struct hull_qmp_command *c = q->head;
	if (!c || !c->line || (c->sent == 0 && c->deadline_ms <= hull_now_ms()))
		return;
	while (c->sent < c->len) {
		int r = write_piece(q, c);
		if (r < 0) {
			q->write_error = r == -EAGAIN ? 0 : -r;
			return;
		}
	}
	free(TAKE_PTR(c->line));
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
	struct hull_qmp *q = poll->data;
	/* The peer ended with our bytes unread: what it sent before is still there, and then the end. */
	while (status < 0 && hull_qmp_read(q))
		continue;
	if (status < 0)
		hull_qmp_close_because(q, EPIPE, "connection reset");
	else if (events & UV_READABLE)
		hull_qmp_read(q);
	update_watchers(q);
}

static void deadline_passed(uv_timer_t *timer)
{
	struct hull_qmp *q = timer->data;
	int64_t now = hull_now_ms();

	if (q->state == HULL_QMP_CLOSED) {
		fail_all(q, &q->closed);
		return;
	}
	if (q->write_error) {
		hull_qmp_close_because(q, q->write_error, "write: %s", strerror(q->write_error));
		return;
	}
	if (q->state < HULL_QMP_READY && now >= q->handshake_deadline_ms) {
		hull_qmp_close_because(q, ETIMEDOUT, "no greeting in time");
		return;
	}
	struct hull_error err = HULL_ERROR_INIT;
	hull_error_set(&err, ETIMEDOUT, "QMP: no answer in time");
	/* One at a time, from the head: a reply may change the list. */
	for (struct hull_qmp_command *c = q->head; c; ) {
		if (c->expired || now < c->deadline_ms) {
			c = c->next;
			continue;
		}
		c->expired = true;
		if (c->reply)
			c->reply(c->data, NULL, &err);
		c = q->head;
	}
	update_watchers(q);
}

/* The earliest deadline, or INT64_MAX. */
static int64_t next_deadline(const struct hull_qmp *q)
{
	if (q->write_error)
		return 0;
	int64_t next = q->state < HULL_QMP_READY ? q->handshake_deadline_ms : INT64_MAX;
	for (const struct hull_qmp_command *c = q->head; c; c = c->next)
		if (!c->expired && c->deadline_ms < next)
			next = c->deadline_ms;
	return next;
}

/* Drops commands that ran out of time before a byte of them was sent, writes what can be, and sets both watchers. */
static void update_watchers(struct hull_qmp *q)
{
	if (q->state == HULL_QMP_READY) {
		while (q->head && q->head->expired && q->head->sent == 0 && q->head->line)
			hull_qmp_command_free(hull_qmp_pop(q));
		write_head(q);
	}
	if (q->state == HULL_QMP_CLOSED)
		return;
	int64_t next = next_deadline(q), now = hull_now_ms();
	if (next == INT64_MAX) {
		uv_timer_stop(&q->timer);
	} else {
		uv_update_time(q->timer.loop);
		uv_timer_start(&q->timer, deadline_passed, next > now ? (uint64_t)(next - now) : 0, 0);
	}
	bool unsent = q->state == HULL_QMP_READY && !q->write_error && q->head && q->head->line;
	uv_poll_start(&q->poll, UV_READABLE | (unsent ? UV_WRITABLE : 0), socket_ready);
}

static void destroy(struct hull_qmp *q)
{
	while (q->head)
		hull_qmp_command_free(hull_qmp_pop(q));
	hull_closep(&q->fd);
	json_tokener_free(q->tokener);
	free(q->in);
	free(q);
}

static void handle_closed(uv_handle_t *handle)
{
	struct hull_qmp *q = handle->data;
	if (--q->open_handles == 0)
		destroy(q);
}

int hull_qmp_new(uv_loop_t *loop, int fd, int handshake_ms, const struct hull_qmp_handlers *handlers, void *data,
		 struct hull_qmp **ret, struct hull_error *err)
{
	struct hull_qmp *q = hull_new(struct hull_qmp, 1);
	q->fd = fd;
	q->handlers = *handlers;
	q->data = data;
	q->tail = &q->head;
	q->next_id = 1;
	q->tokener = json_tokener_new_ex(HULL_QMP_DEPTH_MAX);
	q->handshake_deadline_ms = hull_now_ms() + handshake_ms;
	if (q->tokener)
		json_tokener_set_flags(q->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	int r = q->tokener ? uv_poll_init(loop, &q->poll, fd) : -ENOMEM;
	if (r < 0) {
		destroy(q);
		return hull_error_errno(err, r, "watch the QMP socket");
	}
	uv_timer_init(loop, &q->timer);
	q->poll.data = q->timer.data = q;
	q->open_handles = 2;
	update_watchers(q);
	*ret = q;
	return 0;
}

void hull_qmp_send(struct hull_qmp *q, const char *command, struct json_object *args, int fd, int timeout_ms,
		   hull_qmp_reply_fn reply, void *data)
{
	struct hull_qmp_command *c = hull_new(struct hull_qmp_command, 1);
	struct json_object *msg = json_object_new_object();

	c->id = q->next_id++;
	c->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	c->deadline_ms = hull_now_ms() + timeout_ms;
	c->reply = reply;
	c->data = data;
	json_object_object_add(msg, "execute", json_object_new_string(command));
	if (args)
		json_object_object_add(msg, "arguments", args);
	json_object_object_add(msg, "id", json_object_new_uint64(c->id));
	c->line = hull_asprintf("%s\n", json_object_to_json_string_ext(msg, JSON_C_TO_STRING_PLAIN));
	c->len = strlen(c->line);
	json_object_put(msg);
	/* Without the descriptor it must not be sent: it fails from the loop, at once. */
	if (fd >= 0 && c->fd < 0)
		c->deadline_ms = 0;
	*q->tail = c;
	q->tail = &c->next;
	if (q->state == HULL_QMP_CLOSED)
		uv_timer_start(&q->timer, deadline_passed, 0, 0);
	else
		update_watchers(q);
}

void hull_qmp_free(struct hull_qmp *q)
{
	if (!q)
		return;
	struct hull_error err = HULL_ERROR_INIT;
	hull_error_set(&err, ECANCELED, "QMP: canceled");
	bool again = q->freed;
	q->freed = true;
	if (q->state == HULL_QMP_CLOSED)
		fail_all(q, &err);
	else
		close_with(q, &err);
	/* A reply above may have come here too. */
	if (again || uv_is_closing((uv_handle_t *)&q->timer))
		return;
	uv_close((uv_handle_t *)&q->timer, handle_closed);
	uv_close((uv_handle_t *)&q->poll, handle_closed);
}
