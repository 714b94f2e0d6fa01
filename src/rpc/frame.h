/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc frames: the ten-byte header in front of every message.
 *
 *     0        4         8     9      10
 *     | length | stream  | type | flags | payload …
 *
 * Numbers are big-endian; length counts the payload only.
 * Source: ttrpc PROTOCOL.md, "Message Frame".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HULL_FRAME_HEADER_BYTES 10
/* Source: ttrpc PROTOCOL.md: a payload is at most 4 MiB. */
#define HULL_FRAME_PAYLOAD_MAX (4u << 20)

enum hull_frame_type {
	HULL_FRAME_REQUEST = 1,
	HULL_FRAME_RESPONSE = 2,
	HULL_FRAME_DATA = 3,
};

enum hull_frame_flag {
	HULL_FRAME_REMOTE_CLOSED = 0x01,   /* the sender sends no more on this stream */
	HULL_FRAME_REMOTE_OPEN = 0x02,     /* with a request: data frames of the client follow */
	HULL_FRAME_NO_DATA = 0x04,         /* the payload is empty and is no message */
};

struct hull_frame_header {
	uint32_t length;
	uint32_t stream_id;
	uint8_t type;
	uint8_t flags;
};

/* Writes the header as it goes over the wire. */
void hull_frame_encode(const struct hull_frame_header *h, uint8_t out[static HULL_FRAME_HEADER_BYTES]);

/*
 * 0, -EPROTO for a type that is not known or a stream id of 0, -EMSGSIZE for a length over the
 * maximum (the header is filled all the same, so that the payload can be skipped).
 */
int hull_frame_decode(const uint8_t in[static HULL_FRAME_HEADER_BYTES], struct hull_frame_header *ret);
