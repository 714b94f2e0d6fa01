/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QMP client on the loop.
 *
 * One command is on its way at a time; the others wait in order. That costs a round trip within the host and makes
 * file descriptors safe: QEMU keeps only the last ones that arrived with its input.
 *
 * QEMU is treated as a peer that may have been taken over by its guest: lines are bounded, nesting is bounded, and
 * anything that is not QMP closes the connection with a reason.
 *
 * Source: QEMU docs/interop/qmp-spec.txt.
 */
#pragma once

#include <stdbool.h>

#include <json-c/json.h>
#include <uv.h>

#include "base/error.h"

/*
 * The longest honest line lists 255 CPUs, which is 45 KiB. Objects cost up to 270 times their text while they are looked at, and it is a
 * QEMU that its guest has taken over which says how many there are.
 */
#define HULL_QMP_LINE_MAX (128 * 1024)
#define HULL_QMP_DEPTH_MAX 32

struct hull_qmp;

struct hull_qmp_handlers {
	/* The greeting was read and the capabilities are negotiated: commands flow from here on. */
	void (*on_ready)(void *data);
	/* `args` is the event's "data" (NULL when it has none), borrowed. */
	void (*on_event)(void *data, const char *name, struct json_object *args);
	/* The connection is of no use any more; pending commands have failed before. Runs at most once. */
	void (*on_closed)(void *data, const struct hull_error *err);
};

/*
 * `ret` is the command's "return", borrowed, or NULL with `err` set: EREMOTEIO when QEMU said no, ETIMEDOUT, ECANCELED,
 * or why the connection was closed (EPIPE, EPROTO, …).
 */
typedef void (*hull_qmp_reply_fn)(void *data, struct json_object *ret, const struct hull_error *err);

/*
 * Talks QMP over the connected stream socket `fd` (taken over, also on failure). The handshake must be over
 * within handshake_ms. Handlers and replies run from the loop, and may call any function here, hull_qmp_free() included.
 */
int hull_qmp_new(uv_loop_t *loop, int fd, int handshake_ms, const struct hull_qmp_handlers *handlers, void *data,
		 struct hull_qmp **ret, struct hull_error *err);

/*
 * Queues a command, which may be before the handshake is over. `args` (an object or NULL) is taken over. `fd`, or -1,
 * is duplicated and sent along. The reply runs exactly once, timeout_ms from now at the latest, but
 * never inside this call. A late answer to a command that has timed out is dropped.
 */
void hull_qmp_send(struct hull_qmp *qmp, const char *command, struct json_object *args, int fd, int timeout_ms,
		   hull_qmp_reply_fn reply, void *data);

/*
 * Pending commands fail with ECANCELED inside this call, on_closed does not run. Memory goes when the loop has closed the
 * watchers. NULL is fine.
 */
void hull_qmp_free(struct hull_qmp *qmp);
