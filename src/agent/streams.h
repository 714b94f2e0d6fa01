/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard streams of one process: pipes or a terminal on one side, an RPC stream with credits on the other.
 * What the process writes waits in the pipe until somebody listens and has granted room; nothing is kept here but stdin data
 * that the process has not read yet, and of that at most a window.
 */
#pragma once

#include <stdbool.h>

#include "agent/agent.h"

/* stdin bytes that the host may send before the process has read them. */
#define HULL_STREAMS_WINDOW (256u << 10)
/*
 * Data bytes of one frame: with its headers it fits one write to a virtio-serial port, which takes 32 KiB at a time and
 * then waits for the host. Source: linux drivers/char/virtio_console.c, port_fops_write().
 */
#define HULL_STREAMS_FRAME_MAX ((32u << 10) - 64)

/*
 * Makes the pipes. ret_child gets the process' ends (-1: not connected), which the caller closes; they belong to `uid`
 * so that the process may open /dev/stdout again. For a terminal there are no pipes: see hull_streams_set_terminal().
 */
int hull_streams_new(struct hull_process *process, const bool connected[3], unsigned uid, int ret_child[3],
		   struct hull_streams **ret);

/*
 * The same for a descriptor beside stdio. Its reading side is channel STDIN, its writing side STDOUT; with both the process gets a
 * socket. *ret_child is the process' end, closed by the caller.
 */
int hull_streams_new_preserved(struct hull_process *process, bool readable, bool writable, unsigned uid, int *ret_child,
			       struct hull_streams **ret);

/* Takes over the terminal's master. */
void hull_streams_set_terminal(struct hull_streams *streams, int master);

/* The terminal's window. 0, -ENOTTY when there is no terminal any more, -errno. */
int hull_streams_resize(struct hull_streams *streams, unsigned rows, unsigned columns);

/* The process has ended: the stream ends when what it left is delivered. */
void hull_streams_process_exited(struct hull_streams *streams);

/* NULL is fine. */
void hull_streams_free(struct hull_streams *streams);
