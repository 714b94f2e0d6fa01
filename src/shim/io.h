/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stdio of one process as containerd names it: FIFOs that a client has made, file:// or binary:// URIs, or nothing.
 *
 * Readers and writers of a FIFO come and go: containerd restarts, `ctr` is killed. The shim therefore holds both ends. While the
 * process lives its output never meets a FIFO without readers, and its stdin does not end before CloseIO. When it has ended, its readers
 * see the end; what nobody has read yet stays in the FIFO until somebody does or the process is deleted.
 */
#pragma once

#include <stdbool.h>

#include <uv.h>

#include "shim/child.h"

struct shim_stdio {
	char *in, *out, *err;          /* "" for none */
	bool terminal;
};

struct shim_io;

/*
 * Opens everything without ever waiting. For binary:// it starts the program, with CONTAINER_ID and CONTAINER_NAMESPACE in its
 * environment. Source: containerd, docs on "Runtime v2", Logging.
 */
struct shim_io *shim_io_open(uv_loop_t *loop, const struct shim_host *host, const struct shim_stdio *stdio, const char *id,
			     const char *namespace, struct hull_error *err);

/* stdin, stdout and stderr to hand on, borrowed; -1: none. */
void shim_io_fds(const struct shim_io *io, int fds[static 3]);

/* They have been handed on: only what keeps the FIFOs alive stays open. */
void shim_io_lent(struct shim_io *io);

/* CloseIO: stdin ends when its last writer is gone. */
void shim_io_close_stdin(struct shim_io *io);

/* The process has ended and all that it wrote is in the FIFOs. */
void shim_io_finish(struct shim_io *io);

/* Closes everything now. NULL is fine. */
void shim_io_free(struct shim_io *io);
