/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stdio of one process between the descriptors an engine lent and the agent's Stdio stream; likewise a forwarded connection.
 *
 * Flow control: each side of a channel sends only what the other granted (agent.proto, StdioFrame). Out of the guest
 * comes at most HULL_STDIO_WINDOW unconsumed bytes a channel; more than was granted is a broken guest, and the stream ends.
 */
#pragma once

#include <uv.h>

#include "rpc/rpc.h"

#define HULL_STDIO_WINDOW (256u << 10)

struct hull_stdio;

/* Descriptors, each owned or -1. `terminal` does both ways and excludes the others. */
struct hull_stdio_fds {
	int in, out, err, terminal;
};
#define HULL_STDIO_FDS_NONE { -1, -1, -1, -1 }

/* A descriptor that the process gets beside stdio: `in`, `out` or both of the same. */
struct hull_preserved_fd {
	struct hull_stdio_fds fds;
	bool half_close;               /* a socket: the end of one way is passed on though the other goes on */
};

void hull_stdio_fds_close(struct hull_stdio_fds *fds);

/* Each runs once, from the loop. */
struct hull_stdio_ops {
	/* The process has ended and all that it wrote has left for the descriptors; what it left behind may write more. */
	void (*on_flushed)(void *data);
	/* No output is left to come, or there is nobody to read it, or the stream broke. Also says on_flushed, if that was not. */
	void (*on_drained)(void *data);
};

/*
 * Opens the stream for a process and starts to carry. Takes the descriptors over, and closes each as soon as nothing can
 * come for it any more, because whoever reads a pipe waits for its end.
 */
struct hull_stdio *hull_stdio_start(uv_loop_t *loop, struct hull_rpc_client *agent, const char *container_id,
				    const char *exec_id, struct hull_stdio_fds *fds,
				    const struct hull_stdio_ops *ops, void *data);

/*
 * The same for a TCP connection to the guest's localhost: takes `socket` over and closes each direction as the other side does. on_drained
 * says that both are over; a connection that the guest refused or reset is reset then.
 */
struct hull_stdio *hull_stdio_connect(uv_loop_t *loop, struct hull_rpc_client *agent, uint16_t port, int socket,
				      const struct hull_stdio_ops *ops, void *data);
/* The same for the preserved descriptor 3 + `index`. */
struct hull_stdio *hull_stdio_start_preserved(uv_loop_t *loop, struct hull_rpc_client *agent, const char *container_id,
					      const char *exec_id, unsigned index, struct hull_preserved_fd *fd,
					      const struct hull_stdio_ops *ops, void *data);

/* Whether on_flushed, or on_drained, was called. */
bool hull_stdio_flushed(const struct hull_stdio *stdio);
bool hull_stdio_drained(const struct hull_stdio *stdio);

/* Output waits for a descriptor whose reader does not take it. */
bool hull_stdio_stuck(const struct hull_stdio *stdio);

/* Bytes moved in either direction so far: whether anything still happens. */
uint64_t hull_stdio_progress(const struct hull_stdio *stdio);

/* Closes everything. NULL is fine. */
void hull_stdio_free(struct hull_stdio *stdio);
