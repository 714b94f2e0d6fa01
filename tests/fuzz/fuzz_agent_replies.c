/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as the agent's answers to a supervisor that has called every method. With an even first byte they
 * are the raw connection; with an odd one a list of
 *
 *     method (1 byte) | kind (1 byte) | length (2 bytes, little-endian) | message
 *
 * which is wrapped into frames, so that the fuzzer can work on the messages.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/agent.pb-c.h"
#include "rpc/frame.h"
#include "rpc/rpc.h"
#include "rpc/ttrpc.pb-c.h"
#include "rpc_feed.h"

/* What the kind of an entry makes of its message. */
enum kind { ANSWER, ERROR, ENVELOPE, DATA, KINDS };

#define METHODS hull__agent__v1__agent__descriptor.methods
#define N_METHODS hull__agent__v1__agent__descriptor.n_methods

/* Reads every byte of a message, so that the sanitizers see it. */
static void touch(const ProtobufCMessage *message)
{
	uint8_t *packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
	protobuf_c_message_pack(message, packed);
	free(packed);
}

static void on_reply(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	const ProtobufCMethodDescriptor *method = data;

	(void)strlen(status->message);
	if (!response)
		return;
	if (response->descriptor != method->output)
		abort();
	touch(response);
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	(void)data;
	touch(message);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	(void)data;
	(void)strlen(status->message);
}

/* Method number i gets the stream id 2i + 1. Returns the stream of the one that is a stream. */
static struct hull_rpc_stream *call_all(struct hull_rpc_client *client)
{
	static const struct hull_rpc_stream_ops ops = { .on_message = on_message, .on_end = on_end };
	struct hull_rpc_stream *stream = NULL;

	for (unsigned i = 0; i < N_METHODS; i++) {
		const ProtobufCMethodDescriptor *method = &METHODS[i];
		ProtobufCMessage *request = malloc(method->input->sizeof_message);
		method->input->message_init(request);
		if (strcmp(method->name, "Stdio") == 0)
			stream = hull_rpc_stream_open(client, "hull.agent.v1.Agent", method->name, request, method->output,
						      &ops, NULL);
		else
			hull_rpc_call(client, "hull.agent.v1.Agent", method->name, request, method->output,
				      HULL_RPC_NO_DEADLINE, NULL, 0, on_reply, (void *)method);
		free(request);
	}
	return stream;
}

/* The payload of one answer. `out` has room for len + 32 bytes. */
static size_t wrap(enum kind kind, const uint8_t *message, size_t len, uint8_t *out)
{
	Hull__Ttrpc__Response response = HULL__TTRPC__RESPONSE__INIT;
	Hull__Ttrpc__Status status = HULL__TTRPC__STATUS__INIT;
	char *text = strndup((const char *)message, len);
	size_t n = len;

	status.code = kind == ERROR ? 5 : 0;
	if (kind == ERROR)
		status.message = text;
	else
		response.payload = (ProtobufCBinaryData) { .data = (uint8_t *)message, .len = len };
	response.status = &status;
	if (kind == ANSWER || kind == ERROR)
		n = hull__ttrpc__response__pack(&response, out);
	else
		memcpy(out, message, len);
	free(text);
	return n;
}

static void feed_entries(uv_loop_t *loop, int peer, const uint8_t *data, size_t size)
{
	static uint8_t frame[HULL_FRAME_HEADER_BYTES + 65536 + 32];

	while (size > 4) {
		enum kind kind = data[1] % KINDS;
		size_t len = (size_t)(data[2] | data[3] << 8);
		struct hull_frame_header h = {
			.stream_id = 2 * (data[0] % N_METHODS) + 1,
			.type = kind == DATA ? HULL_FRAME_DATA : HULL_FRAME_RESPONSE,
			.flags = data[1] >> 5,
		};
		data += 4;
		size -= 4;
		if (len > size)
			len = size;
		h.length = (uint32_t)wrap(kind, data, len, frame + HULL_FRAME_HEADER_BYTES);
		hull_frame_encode(&h, frame);
		feed_bytes(loop, peer, frame, HULL_FRAME_HEADER_BYTES + h.length, 65536);
		data += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uv_loop_t loop;
	static bool ready;

	if (size < 1)
		return 0;
	if (!ready)
		uv_loop_init(&loop);
	ready = true;

	int peer, fd = feed_open(&peer);
	struct hull_rpc_client *client = hull_rpc_client_new(&loop, fd, NULL, NULL, NULL);
	struct hull_rpc_stream *stream = call_all(client);
	if (data[0] & 1)
		feed_entries(&loop, peer, data + 1, size - 1);
	else
		feed_bytes(&loop, peer, data + 1, size - 1, 65536);
	close(peer);
	uv_run(&loop, UV_RUN_NOWAIT);
	hull_rpc_client_free(client);
	hull_rpc_stream_free(stream);
	feed_settle(&loop);
	return 0;
}
