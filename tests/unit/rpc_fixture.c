/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/ttrpc.pb-c.h"

#define PATIENCE_MS 10000

typedef Hull__Agent__V1__ContainerRef Ref;
typedef Hull__Agent__V1__StdioFrame Frame;

/* ----------------------------------------------------------------- service */

static void echo(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct fx *fx = data;

	fx->handled++;
	if (fx->free_server_in_handler)
		fx_server_free(fx);
	hull_rpc_reply(request, message);
}

static void refuse_call(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Ref *ref = (const Ref *)message;

	((struct fx *)data)->handled++;
	if (strcmp(ref->container_id, "errno") == 0) {
		struct hull_error err = HULL_ERROR_INIT;
		hull_error_set(&err, EBUSY, "in use");
		hull_rpc_fail_error(request, &err);
		return;
	}
	hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "no container %s", ref->container_id);
}

static void on_cancel(void *data)
{
	struct fx *fx = data;

	fx->cancels++;
	if (fx->free_server_on_cancel)
		fx_server_free(fx);
}

static void hold(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct fx *fx = data;

	fx->handled++;
	assert_true(fx->n_held < FX_HELD_MAX);
	fx->held_names[fx->n_held] = strdup(((const Ref *)message)->container_id);
	fx->held[fx->n_held++] = request;
	hull_rpc_request_on_cancel(request, on_cancel, fx);
}

/* Answers with `credit` bytes. */
static void big(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	Frame answer = HULL__AGENT__V1__STDIO_FRAME__INIT;

	((struct fx *)data)->handled++;
	answer.data.len = (size_t)((const Frame *)message)->credit;
	answer.data.data = hull_calloc(1, answer.data.len);
	answer.credit = ((const Frame *)message)->data.len;
	hull_rpc_reply(request, &answer.base);
	free(answer.data.data);
}

/* Takes `credit` descriptors and answers with the number of them that hold, in order, the bytes 0, 1, 2, … */
static void take_fds(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	Frame answer = HULL__AGENT__V1__STDIO_FRAME__INIT;
	size_t n = (size_t)((const Frame *)message)->credit;
	int *fds = hull_new(int, n);

	((struct fx *)data)->handled++;
	int r = hull_rpc_request_take_fds(request, fds, n);
	if (r < 0) {
		hull_rpc_fail(request, hull_rpc_code_from_errno(r), "descriptors: %d", r);
		free(fds);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t number = UINT32_MAX;
		if (pread(fds[i], &number, sizeof(number), 0) == sizeof(number) && number == i &&
		    (fcntl(fds[i], F_GETFD) & FD_CLOEXEC))
			answer.credit++;
		close(fds[i]);
	}
	hull_rpc_reply(request, &answer.base);
	free(fds);
}

/* Leaves its descriptors where they are. */
static void ignore_fds(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	Frame answer = HULL__AGENT__V1__STDIO_FRAME__INIT;

	((struct fx *)data)->handled++;
	answer.credit = hull_rpc_request_n_fds(request);
	hull_rpc_reply(request, &answer.base);
}

static void chat(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct fx *fx = data;

	fx->handled++;
	fx->accepted.fx = fx;
	fx->accepted.stream = stream;
	snprintf(fx->accepted.last, sizeof(fx->accepted.last), "%s", ((const Ref *)message)->container_id);
	hull_rpc_stream_accept(stream, &hull__agent__v1__stdio_frame__descriptor, &fx_stream_ops, &fx->accepted);
}

static void refuse(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	((struct fx *)data)->handled++;
	hull_rpc_stream_finish(stream, HULL_RPC_PERMISSION_DENIED, "not for you");
}

static void forget(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	((struct fx *)data)->handled++;
}

static const struct hull_rpc_method methods[] = {
	{ .name = "Echo", .request_type = &hull__agent__v1__container_ref__descriptor, .handler = echo },
	{ .name = "Fail", .request_type = &hull__agent__v1__container_ref__descriptor, .handler = refuse_call },
	{ .name = "Hold", .request_type = &hull__agent__v1__container_ref__descriptor, .handler = hold },
	{ .name = "Big", .request_type = &hull__agent__v1__stdio_frame__descriptor, .handler = big },
	{ .name = "Fds", .request_type = &hull__agent__v1__stdio_frame__descriptor, .handler = take_fds },
	{ .name = "IgnoreFds", .request_type = &hull__agent__v1__stdio_frame__descriptor, .handler = ignore_fds },
	{ .name = "Chat", .request_type = &hull__agent__v1__container_ref__descriptor, .stream_handler = chat },
	{ .name = "Refuse", .request_type = &hull__agent__v1__container_ref__descriptor, .stream_handler = refuse },
	{ .name = "Forget", .request_type = &hull__agent__v1__container_ref__descriptor, .stream_handler = forget },
	{ .name = NULL },
};

const struct hull_rpc_service fx_service = { .name = "test.Service", .methods = methods };

/* ----------------------------------------------------------------- streams */

static void stream_on_message(void *data, const ProtobufCMessage *message)
{
	struct fx_stream *s = data;
	const Frame *frame = (const Frame *)message;
	size_t n = frame->data.len < sizeof(s->last) ? frame->data.len : sizeof(s->last) - 1;

	s->messages++;
	s->bytes += frame->data.len;
	if (n > 0)
		memcpy(s->last, frame->data.data, n);
	s->last[n] = '\0';
	if (s->echo)
		assert_int_equal(hull_rpc_stream_send(s->stream, message), 0);
	if (s->free_client_on_message)
		fx_client_free(s->fx);
	if (s->free_server_on_message)
		fx_server_free(s->fx);
	if (s->free_on_message) {
		hull_rpc_stream_free(s->stream);
		s->stream = NULL;
	}
}

static void stream_on_remote_closed(void *data)
{
	struct fx_stream *s = data;

	s->remote_closed++;
	if (s->close_on_remote_closed)
		assert_int_equal(hull_rpc_stream_close_send(s->stream), 0);
	if (s->finish_on_remote_closed) {
		hull_rpc_stream_finish(s->stream, HULL_RPC_OK, "");
		s->stream = NULL;
	} else if (s->free_on_remote_closed) {
		hull_rpc_stream_free(s->stream);
		s->stream = NULL;
	}
}

static void stream_on_end(void *data, const struct hull_rpc_status *status)
{
	struct fx_stream *s = data;

	s->ended++;
	s->code = status->code;
	snprintf(s->text, sizeof(s->text), "%s", status->message);
	if (s->free_on_end) {
		hull_rpc_stream_free(s->stream);
		s->stream = NULL;
	}
}

const struct hull_rpc_stream_ops fx_stream_ops = {
	.on_message = stream_on_message,
	.on_remote_closed = stream_on_remote_closed,
	.on_end = stream_on_end,
};

/* ----------------------------------------------------------------- fixture */

static void on_close(void *data, const char *reason)
{
	struct fx *fx = data;

	fx->closes++;
	snprintf(fx->close_reason, sizeof(fx->close_reason), "%s", reason);
}

static void on_connect(void *data, struct hull_rpc_conn *conn)
{
	struct fx *fx = data;

	fx->connects++;
	hull_rpc_conn_set_data(conn, fx);
}

static void on_disconnect(void *data, struct hull_rpc_conn *conn)
{
	struct fx *fx = data;

	fx->disconnects++;
	assert_ptr_equal(hull_rpc_conn_data(conn), fx);
}

static struct fx *fx_new_parts(const struct hull_rpc_limits *client_limits, const struct hull_rpc_limits *server_limits,
			       int client_fd, int server_fd)
{
	static const struct hull_rpc_server_ops ops = { .on_connect = on_connect, .on_disconnect = on_disconnect };
	struct fx *fx = hull_new(struct fx, 1);

	assert_int_equal(uv_loop_init(&fx->loop), 0);
	if (server_fd >= 0) {
		fx->server = hull_rpc_server_new(&fx->loop, &fx_service, 1, server_limits, &ops, fx);
		fx->conn = hull_rpc_server_add(fx->server, server_fd);
		assert_non_null(fx->conn);
	}
	if (client_fd >= 0) {
		fx->client = hull_rpc_client_new(&fx->loop, client_fd, client_limits, on_close, fx);
		assert_non_null(fx->client);
	}
	return fx;
}

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

struct fx *fx_new(const struct hull_rpc_limits *client_limits, const struct hull_rpc_limits *server_limits)
{
	int fds[2];
	make_pair(fds);
	return fx_new_parts(client_limits, server_limits, fds[0], fds[1]);
}

struct fx *fx_new_server(const struct hull_rpc_limits *limits, int *ret_fd)
{
	int fds[2];
	make_pair(fds);
	*ret_fd = fds[0];
	return fx_new_parts(NULL, limits, -1, fds[1]);
}

struct fx *fx_new_client(const struct hull_rpc_limits *limits, int *ret_fd)
{
	int fds[2];
	make_pair(fds);
	*ret_fd = fds[1];
	return fx_new_parts(limits, NULL, fds[0], -1);
}

void fx_client_free(struct fx *fx)
{
	struct hull_rpc_client *client = fx->client;
	fx->client = NULL;
	hull_rpc_client_free(client);
}

void fx_server_free(struct fx *fx)
{
	struct hull_rpc_server *server = fx->server;
	fx->server = NULL;
	hull_rpc_server_free(server);
}

void fx_free(struct fx *fx)
{
	fx_client_free(fx);
	fx_server_free(fx);
	if (fx->accepted.stream)
		hull_rpc_stream_free(fx->accepted.stream);
	for (size_t i = 0; i < fx->n_held; i++) {
		if (fx->held[i])
			hull_rpc_fail(fx->held[i], HULL_RPC_ABORTED, "end of the test");
		free(fx->held_names[i]);
	}
	assert_int_equal(uv_run(&fx->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&fx->loop), 0);
	free(fx);
}

static void on_guard(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void wait_for(struct fx *fx, const int *flag, int n, uint64_t ms, bool must)
{
	uv_timer_t guard;
	bool late = false;

	uv_timer_init(&fx->loop, &guard);
	guard.data = &late;
	uv_update_time(&fx->loop);
	uv_timer_start(&guard, on_guard, ms, 0);
	while (!late && !(flag && *flag >= n))
		uv_run(&fx->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&guard, NULL);
	uv_run(&fx->loop, UV_RUN_NOWAIT);
	if (must && late)
		fail_msg("nothing happened in %d ms", PATIENCE_MS);
}

void fx_until(struct fx *fx, const int *flag, int n)
{
	wait_for(fx, flag, n, PATIENCE_MS, true);
}

void fx_run(struct fx *fx, uint64_t ms)
{
	wait_for(fx, NULL, 0, ms, false);
}

static void on_reply(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct fx_reply *reply = data;

	reply->n++;
	reply->code = status->code;
	snprintf(reply->text, sizeof(reply->text), "%s", status->message);
	assert_int_equal(response != NULL, status->code == HULL_RPC_OK);
	if (response)
		snprintf(reply->name, sizeof(reply->name), "%s", ((const Ref *)response)->container_id);
	if (reply->free_client)
		fx_client_free(reply->free_client);
}

struct hull_rpc_call *fx_call(struct fx *fx, const char *method, const char *name, int64_t timeout_ms,
			      struct fx_reply *reply)
{
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
	ref.container_id = (char *)name;
	return hull_rpc_call(fx->client, "test.Service", method, &ref.base, &hull__agent__v1__container_ref__descriptor,
			     timeout_ms, NULL, 0, on_reply, reply);
}

void fx_answer(struct fx *fx, size_t i)
{
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
	ref.container_id = fx->held_names[i];
	hull_rpc_reply(fx->held[i], &ref.base);
	fx->held[i] = NULL;
}

void fx_open(struct fx *fx, const char *method, struct fx_stream *s)
{
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;

	ref.container_id = (char *)"opening";
	s->fx = fx;
	s->stream = hull_rpc_stream_open(fx->client, "test.Service", method, &ref.base,
					 &hull__agent__v1__stdio_frame__descriptor, &fx_stream_ops, s);
}

int fx_send(struct hull_rpc_stream *stream, size_t n)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.data.len = n;
	frame.data.data = hull_calloc(1, n);
	int r = hull_rpc_stream_send(stream, &frame.base);
	free(frame.data.data);
	return r;
}

int fx_send_text(struct hull_rpc_stream *stream, const char *text)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.data.len = strlen(text);
	frame.data.data = (uint8_t *)text;
	return hull_rpc_stream_send(stream, &frame.base);
}

/* --------------------------------------------------------------------- raw */

void fx_write(int fd, const void *data, size_t len)
{
	assert_int_equal(write(fd, data, len), len);
}

void fx_write_frame(int fd, uint32_t id, uint8_t type, uint8_t flags, const void *payload, size_t len)
{
	struct hull_frame_header h = { .length = (uint32_t)len, .stream_id = id, .type = type, .flags = flags };
	uint8_t header[HULL_FRAME_HEADER_BYTES];

	hull_frame_encode(&h, header);
	fx_write(fd, header, sizeof(header));
	if (len > 0)
		fx_write(fd, payload, len);
}

size_t fx_request_bytes(uint32_t id, uint8_t flags, const char *method, const char *name, int64_t timeout_ns,
			const char *n_fds, uint8_t *out)
{
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
	Hull__Ttrpc__Request request = HULL__TTRPC__REQUEST__INIT;
	Hull__Ttrpc__KeyValue fds = HULL__TTRPC__KEY_VALUE__INIT;
	Hull__Ttrpc__KeyValue *metadata[] = { &fds };
	uint8_t payload[256];

	ref.container_id = (char *)name;
	request.service = (char *)"test.Service";
	request.method = (char *)method;
	request.payload.data = payload;
	request.payload.len = hull__agent__v1__container_ref__pack(&ref, payload);
	request.timeout_nano = timeout_ns;
	if (n_fds) {
		fds.key = (char *)HULL_RPC_FDS_KEY;
		fds.value = (char *)n_fds;
		request.metadata = metadata;
		request.n_metadata = 1;
	}
	size_t len = hull__ttrpc__request__pack(&request, out + HULL_FRAME_HEADER_BYTES);
	struct hull_frame_header h = {
		.length = (uint32_t)len, .stream_id = id, .type = HULL_FRAME_REQUEST, .flags = flags,
	};
	hull_frame_encode(&h, out);
	return HULL_FRAME_HEADER_BYTES + len;
}

static void read_all(struct fx *fx, int fd, uint8_t *data, size_t len)
{
	for (int turns = 0; len > 0; turns++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		assert_true(turns < PATIENCE_MS);
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		if (poll(&p, 1, 1) == 0)
			continue;
		ssize_t n = read(fd, data, len);
		assert_true(n > 0);
		data += n;
		len -= (size_t)n;
	}
}

void fx_read_frame(struct fx *fx, int fd, struct hull_frame_header *h, uint8_t *payload, size_t room)
{
	uint8_t header[HULL_FRAME_HEADER_BYTES];

	read_all(fx, fd, header, sizeof(header));
	assert_int_equal(hull_frame_decode(header, h), 0);
	assert_true(h->length <= room);
	read_all(fx, fd, payload, h->length);
}

enum hull_rpc_code fx_read_status(struct fx *fx, int fd, uint32_t *ret_id, char text[256])
{
	struct hull_frame_header h;
	uint8_t payload[4096];

	fx_read_frame(fx, fd, &h, payload, sizeof(payload));
	assert_int_equal(h.type, HULL_FRAME_RESPONSE);
	if (ret_id)
		*ret_id = h.stream_id;
	Hull__Ttrpc__Response *response = hull__ttrpc__response__unpack(NULL, h.length, payload);
	assert_non_null(response);
	enum hull_rpc_code code = response->status ? (enum hull_rpc_code)response->status->code : HULL_RPC_OK;
	if (text)
		snprintf(text, 256, "%s", response->status ? response->status->message : "");
	hull__ttrpc__response__free_unpacked(response, NULL);
	return code;
}

int fx_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
