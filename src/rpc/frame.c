/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/frame.h"

#include <errno.h>

static void put_be32(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

static uint32_t get_be32(const uint8_t *in)
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* Writes the ten bytes of a header. Source: ttrpc PROTOCOL.md, "Message Frame". */
void hull_frame_encode(const struct hull_frame_header *h, uint8_t out[static HULL_FRAME_HEADER_BYTES])
{
	put_be32(out, h->length);
	put_be32(out + 4, h->stream_id);
	out[8] = h->type;
	out[9] = h->flags;
}

/* Reads a header, which is filled also on error. Source: ttrpc PROTOCOL.md, "Message Frame". */
int hull_frame_decode(const uint8_t in[static HULL_FRAME_HEADER_BYTES], struct hull_frame_header *ret)
{
	*ret = (struct hull_frame_header) {
		.length = get_be32(in),
		.stream_id = get_be32(in + 4),
		.type = in[8],
		.flags = in[9],
	};
	if (ret->length > HULL_FRAME_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (ret->stream_id == 0 || ret->type < HULL_FRAME_REQUEST || ret->type > HULL_FRAME_DATA)
		return -EPROTO;
	return 0;
}
