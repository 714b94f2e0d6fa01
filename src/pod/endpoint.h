/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a container's stdio on the host: a descriptor that an engine lent.
 *
 * O_NONBLOCK belongs to the open file description, which the engine and the user's shell share, so it is never set on what was lent.
 * Pipes and terminals are opened anew, sockets are asked not to wait call by call, files and devices do not wait anyway.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/error.h"

struct hull_endpoint;

struct hull_endpoint_ops {
	/* Reader: bytes came; at most what was granted. */
	void (*on_read)(void *data, const uint8_t *bytes, size_t n);
	/* Reader: no more bytes will come (also after a read error). Once. */
	void (*on_end)(void *data);
	/* Writer: `n` more bytes have left for the descriptor. */
	void (*on_written)(void *data, size_t n);
	/* Writer: the other side is gone; what is queued and what comes is thrown away. Once. */
	void (*on_broken)(void *data);
};

/* Takes over `fd`. Reads nothing before hull_endpoint_grant(). */
struct hull_endpoint *hull_endpoint_reader(uv_loop_t *loop, int fd, const struct hull_endpoint_ops *ops, void *data);

/* Lets a reader read `n` bytes more. */
void hull_endpoint_grant(struct hull_endpoint *ep, uint64_t n);

/* Takes over `fd`. */
struct hull_endpoint *hull_endpoint_writer(uv_loop_t *loop, int fd, const struct hull_endpoint_ops *ops, void *data);

/* Writes what goes at once and queues a copy of the rest. on_written and on_broken may run inside. The caller bounds what it queues. */
void hull_endpoint_write(struct hull_endpoint *ep, const uint8_t *bytes, size_t n);

/* Bytes that the descriptor has not taken yet. */
size_t hull_endpoint_queued(const struct hull_endpoint *ep);

/* A writer to a socket: its peer reads the end of the stream. Others are left as they are. */
void hull_endpoint_shutdown(struct hull_endpoint *ep);

/* Closes the descriptor; queued bytes are lost; no callback runs any more. NULL is fine. */
void hull_endpoint_free(struct hull_endpoint *ep);
