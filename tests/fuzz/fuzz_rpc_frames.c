/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as a client of our server, or as a server of our client. The input's first byte says which (bit 0), and
 * whether limits are small (bit 1); the second how the bytes are cut.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/agent.pb-c.h"
#include "rpc/rpc.h"
#include "rpc_feed.h"

#define HELD_MAX 64
#define STREAMS_MAX 64

struct state {
	struct hull_rpc_request *held[HELD_MAX];
	size_t n_held;
	struct hull_rpc_stream *streams[STREAMS_MAX];
	size_t n_streams;
};

#define REF &hull__agent__v1__container_ref__descriptor
#define FRAME &hull__agent__v1__stdio_frame__descriptor

/* Reads every byte of a message, so that the sanitizers see it. */
static void touch(const ProtobufCMessage *message)
{
	uint8_t *packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
	protobuf_c_message_pack(message, packed);
	free(packed);
}

static void take_fds(struct hull_rpc_request *request)
{
	int fds[4];
	size_t n = hull_rpc_request_n_fds(request);

	if (n <= 4 && hull_rpc_request_take_fds(request, fds, n) == 0)
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
}

static void echo(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	(void)data;
	take_fds(request);
	hull_rpc_reply(request, message);
}

static void hold(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct state *state = data;

	touch(message);
	if (state->n_held < HELD_MAX)
		state->held[state->n_held++] = request;
	else
		hull_rpc_fail(request, HULL_RPC_RESOURCE_EXHAUSTED, "full");
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct state *state = data;

	touch(message);
	if (state->n_streams > 0)
		hull_rpc_stream_send(state->streams[state->n_streams - 1], message);
}

static void on_remote_closed(void *data)
{
	struct state *state = data;

	if (state->n_streams % 2 == 1)
		hull_rpc_stream_finish(state->streams[--state->n_streams], HULL_RPC_OK, "");
}

static void client_on_remote_closed(void *data)
{
	struct state *state = data;

	if (state->n_streams > 0)
		hull_rpc_stream_close_send(state->streams[0]);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	(void)data;
	(void)strlen(status->message);
}

static const struct hull_rpc_stream_ops server_ops = { on_message, on_remote_closed, on_end };
static const struct hull_rpc_stream_ops client_ops = { on_message, client_on_remote_closed, on_end };

static void chat(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct state *state = data;

	touch(message);
	if (state->n_streams == STREAMS_MAX)
		return;
	state->streams[state->n_streams++] = stream;
	hull_rpc_stream_accept(stream, FRAME, &server_ops, data);
}

/* Short names, so that the fuzzer finds them. */
static const struct hull_rpc_method methods[] = {
	{ .name = "E", .request_type = REF, .handler = echo },
	{ .name = "H", .request_type = FRAME, .handler = hold },
	{ .name = "C", .request_type = REF, .stream_handler = chat },
	{ .name = NULL },
};
static const struct hull_rpc_service service = { .name = "S", .methods = methods };

static void free_streams(struct state *state)
{
	while (state->n_streams > 0)
		hull_rpc_stream_free(state->streams[--state->n_streams]);
}

static void as_client(uv_loop_t *loop, const struct hull_rpc_limits *limits, const uint8_t *data, size_t size, size_t piece)
{
	struct state state = { 0 };
	int peer, fd = feed_open(&peer);
	struct hull_rpc_server *server = hull_rpc_server_new(loop, &service, 1, limits, NULL, &state);

	hull_rpc_server_add(server, fd);
	feed_bytes(loop, peer, data, size / 2, piece);
	/* Answers in the middle, half of them. */
	for (size_t i = 0; i < state.n_held; i += 2) {
		Hull__Agent__V1__Empty empty = HULL__AGENT__V1__EMPTY__INIT;
		hull_rpc_reply(state.held[i], &empty.base);
		state.held[i] = NULL;
	}
	size_t answered = state.n_held;
	feed_bytes(loop, peer, data + size / 2, size - size / 2, piece);
	close(peer);
	uv_run(loop, UV_RUN_NOWAIT);
	hull_rpc_server_free(server);
	for (size_t i = 0; i < state.n_held; i++)
		if (i >= answered || state.held[i])
			hull_rpc_fail(state.held[i], HULL_RPC_ABORTED, "end");
	free_streams(&state);
	feed_settle(loop);
}

static void on_reply(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	(void)data;
	(void)strlen(status->message);
	if (response)
		touch(response);
}

/* Ids 1, 3 and 5 are calls, 7 and 9 streams. */
static void as_server(uv_loop_t *loop, const struct hull_rpc_limits *limits, const uint8_t *data, size_t size, size_t piece)
{
	static const ProtobufCMessageDescriptor *const types[] = { REF, FRAME, &hull__agent__v1__process_list__descriptor };
	Hull__Agent__V1__Empty empty = HULL__AGENT__V1__EMPTY__INIT;
	struct state state = { 0 };
	int peer, fd = feed_open(&peer);
	struct hull_rpc_client *client = hull_rpc_client_new(loop, fd, limits, NULL, NULL);

	for (int i = 0; i < 3; i++)
		hull_rpc_call(client, "S", "E", &empty.base, types[i], HULL_RPC_NO_DEADLINE, NULL, 0, on_reply, NULL);
	for (int i = 0; i < 2; i++)
		state.streams[state.n_streams++] =
			hull_rpc_stream_open(client, "S", "C", &empty.base, FRAME, &client_ops, &state);
	hull_rpc_stream_close_send(state.streams[1]);
	feed_bytes(loop, peer, data, size, piece);
	close(peer);
	uv_run(loop, UV_RUN_NOWAIT);
	hull_rpc_client_free(client);
	free_streams(&state);
	feed_settle(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uv_loop_t loop;
	static bool ready;
	static const struct hull_rpc_limits small = { .payload_max = 64, .streams_max = 4, .write_queue_max = 256 };

	if (size < 2)
		return 0;
	if (!ready)
		uv_loop_init(&loop);
	ready = true;
	const struct hull_rpc_limits *limits = (data[0] & 2) ? &small : NULL;
	(data[0] & 1 ? as_server : as_client)(&loop, limits, data + 2, size - 2, data[1] ? data[1] : 65536);
	return 0;
}
