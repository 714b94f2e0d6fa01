/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes into lines, lines into answers and events. All of it is a peer's that may be hostile. */
#include "vmm/qmp_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

/* Gives the answer to the command on its way to whoever asked. */
static void answer(struct hull_qmp *q, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qmp_command *c = hull_qmp_pop(q);
	if (!c->expired && c->reply)
		c->reply(c->data, ret, err);
	hull_qmp_command_free(c);
}

static void greeting(struct hull_qmp *q, struct json_object *msg)
{
	if (!json_object_object_get_ex(msg, "QMP", NULL)) {
		hull_qmp_close_because(q, EPROTO, "no greeting");
		return;
	}
	static const char line[] = "{\"execute\":\"qmp_capabilities\",\"id\":0}\n";
	/* The first bytes on a fresh socket: they fit into its buffer or the peer is no QEMU. */
	if (send(q->fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(line) - 1) {
		hull_qmp_close_because(q, EIO, "write of the first command failed");
		return;
	}
	q->state = HULL_QMP_CAPABILITIES;
}

/* The "desc" of an error answer; bounded by the line, cut by the error object. */
static void remote_error(struct json_object *error, struct hull_error *err)
{
	struct json_object *desc = NULL;
	const char *text = "no description";
	if (json_object_object_get_ex(error, "desc", &desc) && json_object_is_type(desc, json_type_string))
		text = json_object_get_string(desc);
	hull_error_set(err, EREMOTEIO, "QEMU: %s", text);
}

static void response(struct hull_qmp *q, struct json_object *msg)
{
	struct json_object *id = NULL, *ret = NULL, *error = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	bool good = json_object_object_get_ex(msg, "return", &ret);

	if (!good)
		json_object_object_get_ex(msg, "error", &error);
	json_object_object_get_ex(msg, "id", &id);
	if (error)
		remote_error(error, &err);
	if (q->state == HULL_QMP_CAPABILITIES) {
		if (!good) {
			hull_qmp_close_because(q, EPROTO, "capabilities refused: %s", err.message);
			return;
		}
		q->state = HULL_QMP_READY;
		if (q->handlers.on_ready)
			q->handlers.on_ready(q->data);
		return;
	}
	if (!q->head || !json_object_is_type(id, json_type_int) || json_object_get_uint64(id) != q->head->id) {
		hull_qmp_close_because(q, EPROTO, "an answer that nobody asked for: %s", error ? err.message : "no error");
		return;
	}
	answer(q, ret, good ? NULL : &err);
}

static void dispatch(struct hull_qmp *q, struct json_object *msg)
{
	struct json_object *event = NULL, *args = NULL;

	if (!json_object_is_type(msg, json_type_object)) {
		hull_qmp_close_because(q, EPROTO, "not an object");
		return;
	}
	if (q->state == HULL_QMP_GREETING) {
		greeting(q, msg);
		return;
	}
	if (json_object_object_get_ex(msg, "event", &event)) {
		json_object_object_get_ex(msg, "data", &args);
		if (json_object_is_type(event, json_type_string) && q->handlers.on_event)
			q->handlers.on_event(q->data, json_object_get_string(event), args);
		return;
	}
	if (json_object_object_get_ex(msg, "return", NULL) || json_object_object_get_ex(msg, "error", NULL)) {
		response(q, msg);
		return;
	}
	hull_qmp_close_because(q, EPROTO, "neither event nor answer");
}

static void one_line(struct hull_qmp *q, const char *line, size_t len)
{
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
		len--;
	if (len == 0)
		return;
	json_tokener_reset(q->tokener);
	struct json_object *msg = json_tokener_parse_ex(q->tokener, line, (int)len);
	enum json_tokener_error status = json_tokener_get_error(q->tokener);
	if (!msg || status != json_tokener_success || json_tokener_get_parse_end(q->tokener) != len)
		hull_qmp_close_because(q, EPROTO, "not JSON: %s", json_tokener_error_desc(status));
	else
		dispatch(q, msg);
	json_object_put(msg);
}

/* Handles every whole line of the buffer; keeps the rest. */
static void handle_lines(struct hull_qmp *q)
{
	size_t start = 0;
	while (q->state != HULL_QMP_CLOSED) {
		char *end = memchr(q->in + start, '\n', q->in_len - start);
		if (!end)
			break;
		size_t len = (size_t)(end - (q->in + start));
		one_line(q, q->in + start, len);
		start += len + 1;
	}
	q->in_len -= start;
	memmove(q->in, q->in + start, q->in_len);
	if (q->in_len >= HULL_QMP_LINE_MAX)
		hull_qmp_close_because(q, EMSGSIZE, "a line of more than %d bytes", HULL_QMP_LINE_MAX);
}

bool hull_qmp_read(struct hull_qmp *q)
{
	if (q->in_room - q->in_len < 4096) {
		q->in_room = q->in_room ? q->in_room * 2 : 8192;
		if (q->in_room > HULL_QMP_LINE_MAX + 4096)
			q->in_room = HULL_QMP_LINE_MAX + 4096;
		q->in = hull_realloc(q->in, q->in_room);
	}
	size_t old = q->in_len;
	ssize_t n = recv(q->fd, q->in + old, q->in_room - old, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		hull_qmp_close_because(q, errno == ECONNRESET ? EPIPE : errno, "read: %s", strerror(errno));
		return false;
	}
	if (n == 0) {
		hull_qmp_close_because(q, EPIPE, "connection closed");
		return false;
	}
	q->in_len += (size_t)n;
	if (memchr(q->in + old, '\n', (size_t)n) || q->in_len >= HULL_QMP_LINE_MAX)
		handle_lines(q);
	return q->state != HULL_QMP_CLOSED;
}
