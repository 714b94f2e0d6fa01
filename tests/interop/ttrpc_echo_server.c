/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C side of the interoperability test: serves the listening unix socket that is descriptor 3.
 * Messages are Hull's own; on the wire ContainerRef is google.protobuf.StringValue (one string, field 1).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/agent.pb-c.h"
#include "rpc/rpc.h"

#define TEXT &hull__agent__v1__container_ref__descriptor

typedef Hull__Agent__V1__ContainerRef Text;

static void echo(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	hull_rpc_reply(request, message);
}

static void deny(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "no %s here \xff", ((const Text *)message)->container_id);
}

/* Never answers before its deadline. */
static void hang(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_rpc_request **slot = data;

	if (*slot)
		hull_rpc_fail(*slot, HULL_RPC_ABORTED, "another one came");
	*slot = request;
}

/* Tries to answer with more than a frame can hold. */
static void too_long(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	Text text = HULL__AGENT__V1__CONTAINER_REF__INIT;
	size_t len = (4u << 20) + 1;

	text.container_id = malloc(len + 1);
	memset(text.container_id, 'x', len);
	text.container_id[len] = '\0';
	hull_rpc_reply(request, &text.base);
	free(text.container_id);
}

/* ----------------------------------------------------------------- streams */

struct chat {
	struct hull_rpc_stream *stream;
	bool fails;
	int count;
};

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct chat *chat = data;

	chat->count++;
	hull_rpc_stream_send(chat->stream, message);
}

static void on_remote_closed(void *data)
{
	struct chat *chat = data;
	char text[64];

	snprintf(text, sizeof(text), "after %d messages", chat->count);
	hull_rpc_stream_finish(chat->stream, chat->fails ? HULL_RPC_ABORTED : HULL_RPC_OK, text);
	free(chat);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct chat *chat = data;

	hull_rpc_stream_free(chat->stream);
	free(chat);
}

static const struct hull_rpc_stream_ops chat_ops = {
	.on_message = on_message,
	.on_remote_closed = on_remote_closed,
	.on_end = on_end,
};

static void open_chat(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct chat *chat = calloc(1, sizeof(*chat));

	chat->stream = stream;
	chat->fails = strcmp(((const Text *)message)->container_id, "fail") == 0;
	hull_rpc_stream_accept(stream, TEXT, &chat_ops, chat);
}

/* One way: as many messages as the request has characters. */
static void count(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct chat *chat = calloc(1, sizeof(*chat));

	chat->stream = stream;
	hull_rpc_stream_accept(stream, TEXT, &chat_ops, chat);
	for (const char *p = ((const Text *)message)->container_id; *p; p++)
		hull_rpc_stream_send(stream, message);
}

static const struct hull_rpc_method methods[] = {
	{ .name = "Echo", .request_type = TEXT, .handler = echo },
	{ .name = "Deny", .request_type = TEXT, .handler = deny },
	{ .name = "Hang", .request_type = TEXT, .handler = hang },
	{ .name = "TooLong", .request_type = TEXT, .handler = too_long },
	{ .name = "Chat", .request_type = TEXT, .stream_handler = open_chat },
	{ .name = "Count", .request_type = TEXT, .stream_handler = count },
	{ .name = NULL },
};

int main(void)
{
	static const struct hull_rpc_service service = { .name = "test.Interop", .methods = methods };
	struct hull_rpc_request *hanging = NULL;
	uv_loop_t *loop = uv_default_loop();
	struct hull_rpc_server *server = hull_rpc_server_new(loop, &service, 1, NULL, NULL, &hanging);

	if (hull_rpc_server_listen(server, 3) < 0)
		return 1;
	return uv_run(loop, UV_RUN_DEFAULT);
}
