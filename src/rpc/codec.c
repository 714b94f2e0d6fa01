/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to frames and back. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rpc/internal.h"
#include "rpc/ttrpc.pb-c.h"

/*
 * What decoding may allocate. Memory given back in between does not count: a peer pays for all that it makes us
 * touch. An honest message needs about five times its size, a hostile one of empty fields would take fifty times.
 */
#define BUDGET_FACTOR 8
#define BUDGET_BASE (64u << 10)

static void *budget_alloc(void *data, size_t size)
{
	size_t *left = data;
	if (size > *left)
		return NULL;
	*left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *p)
{
	(void)data;
	free(p);
}

/* Memory comes from malloc(), whence every free function fits. */
ProtobufCMessage *hull_rpc_unpack(const ProtobufCMessageDescriptor *type, size_t len, const uint8_t *data)
{
	size_t left = len * BUDGET_FACTOR + BUDGET_BASE;
	ProtobufCAllocator allocator = { .alloc = budget_alloc, .free = budget_free, .allocator_data = &left };
	return protobuf_c_message_unpack(type, &allocator, len, data);
}

/* NULL is fine. */
void hull_message_free(ProtobufCMessage *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

static size_t varint_length(size_t v)
{
	size_t n = 1;
	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

static uint8_t *put_varint(uint8_t *p, size_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

/*
 * A frame whose payload is `head` followed by `message` as its bytes field `field`: what packing an envelope with a
 * packed message inside gives, without the copy in between.
 * Source: Protocol Buffers encoding, "Length-Delimited Records"; fields may come in any order.
 */
static int pack_enveloped(struct hull_frame_header h, const ProtobufCMessage *head, unsigned field,
			  const ProtobufCMessage *message, uint32_t max, struct hull_out **ret_out)
{
	size_t head_len = protobuf_c_message_get_packed_size(head);
	size_t body_len = protobuf_c_message_get_packed_size(message);
	size_t len = head_len + (body_len ? 1 + varint_length(body_len) + body_len : 0);
	if (len > max)
		return -EMSGSIZE;

	h.length = (uint32_t)len;
	struct hull_out *out = hull_out_new(&h);
	uint8_t *p = out->bytes + HULL_FRAME_HEADER_BYTES;
	p += protobuf_c_message_pack(head, p);
	if (body_len > 0) {
		*p++ = (uint8_t)(field << 3 | 2);
		p = put_varint(p, body_len);
		p += protobuf_c_message_pack(message, p);
	}
	assert(p == out->bytes + out->len);
	*ret_out = out;
	return 0;
}

/* The frame that begins a call or a stream. */
int hull_pack_request(uint32_t id, uint8_t flags, const struct hull_envelope *envelope,
		      const ProtobufCMessage *message, uint32_t max, struct hull_out **ret_out)
{
	Hull__Ttrpc__Request head = HULL__TTRPC__REQUEST__INIT;
	Hull__Ttrpc__KeyValue fds = HULL__TTRPC__KEY_VALUE__INIT;
	Hull__Ttrpc__KeyValue *metadata[] = { &fds };
	char number[24];

	head.service = (char *)envelope->service;
	head.method = (char *)envelope->method;
	head.timeout_nano = envelope->timeout_ns;
	if (envelope->n_fds > 0) {
		snprintf(number, sizeof(number), "%zu", envelope->n_fds);
		fds.key = (char *)HULL_RPC_FDS_KEY;
		fds.value = number;
		head.metadata = metadata;
		head.n_metadata = 1;
	}
	struct hull_frame_header h = { .stream_id = id, .type = HULL_FRAME_REQUEST, .flags = flags };
	return pack_enveloped(h, &head.base, 3, message, max, ret_out);
}

/* The frame that answers a call with OK. */
int hull_pack_response(uint32_t id, const ProtobufCMessage *message, uint32_t max, struct hull_out **ret_out)
{
	Hull__Ttrpc__Response head = HULL__TTRPC__RESPONSE__INIT;
	Hull__Ttrpc__Status ok = HULL__TTRPC__STATUS__INIT;
	head.status = &ok;
	struct hull_frame_header h = { .stream_id = id, .type = HULL_FRAME_RESPONSE };
	return pack_enveloped(h, &head.base, 2, message, max, ret_out);
}

/* A data frame holds the message itself, without an envelope. */
int hull_pack_data(uint32_t id, const ProtobufCMessage *message, uint32_t max, struct hull_out **ret_out)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	if (len > max)
		return -EMSGSIZE;

	struct hull_frame_header h = { .length = (uint32_t)len, .stream_id = id, .type = HULL_FRAME_DATA };
	*ret_out = hull_out_new(&h);
	protobuf_c_message_pack(message, (*ret_out)->bytes + HULL_FRAME_HEADER_BYTES);
	return 0;
}

/* `text` may be NULL; it is cleaned and cut. */
void hull_send_status(struct hull_chan *chan, uint32_t id, enum hull_rpc_code code, const char *text)
{
	Hull__Ttrpc__Response response = HULL__TTRPC__RESPONSE__INIT;
	Hull__Ttrpc__Status status = HULL__TTRPC__STATUS__INIT;
	char clean[HULL_RPC_TEXT_MAX];

	hull_text_clean(clean, sizeof(clean), text);
	status.code = (int32_t)code;
	status.message = clean;
	response.status = &status;

	struct hull_frame_header h = { .stream_id = id, .type = HULL_FRAME_RESPONSE };
	h.length = (uint32_t)protobuf_c_message_get_packed_size(&response.base);
	struct hull_out *out = hull_out_new(&h);
	protobuf_c_message_pack(&response.base, out->bytes + HULL_FRAME_HEADER_BYTES);
	hull_chan_send(chan, out, HULL_OUT_CONTROL);
}

/* Source: ttrpc PROTOCOL.md, "Data Flags"; Go peers want no payload beside the flag. */
void hull_send_closed(struct hull_chan *chan, uint32_t id)
{
	struct hull_frame_header h = {
		.stream_id = id,
		.type = HULL_FRAME_DATA,
		.flags = HULL_FRAME_REMOTE_CLOSED | HULL_FRAME_NO_DATA,
	};
	hull_chan_send(chan, hull_out_new(&h), HULL_OUT_CONTROL);
}
