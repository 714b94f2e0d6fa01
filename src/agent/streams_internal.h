/* SPDX-License-Identifier: Apache-2.0 */
/* What the files behind streams.h have in common. */
#pragma once

#include "agent/streams.h"

typedef Hull__Agent__V1__StdioFrame Frame;
typedef Hull__Agent__V1__StdioFrame__Channel Channel;
#define CHANNEL(name) HULL__AGENT__V1__STDIO_FRAME__CHANNEL__##name

struct hull_output {
	struct hull_streams *streams;
	Channel channel;
	struct hull_watch *watch;      /* NULL: not connected, or at its end */
	uint64_t credit;
	bool eof_pending;              /* the end was reached and the host has not been told */
	/* After the process' end: what it has left, and whether the host knows that all of it was sent. */
	enum { FLUSH_OFF, FLUSH_BYTES, FLUSH_EMPTY, FLUSH_DONE, FLUSH_TOLD } flush;
	uint64_t left;                 /* FLUSH_BYTES */
};

struct hull_input {
	struct hull_watch *watch;
	uint8_t *data;                 /* not yet taken by the process */
	size_t length, offset, room;
	uint64_t granted;              /* what the host may still send */
	uint64_t consumed;             /* what it may be granted again */
	bool eof;                      /* the host has sent everything */
};

struct hull_streams {
	struct hull_process *process;
	struct hull_rpc_stream *stream;        /* NULL: nobody listens */
	struct hull_alarm *retry;
	struct hull_output out[2];
	struct hull_input in;
	int master;                    /* the terminal, borrowed from out[0]'s watch; -1 */
	bool terminal;
	bool socket;                   /* both ways are one end of a socket pair */
	bool exited;
};

/* Sends a frame to whoever listens; streams->stream is set. */
void hull_streams_send(struct hull_streams *streams, Frame *frame);

/* Ends the RPC stream when the process has ended and all that it wrote was sent. */
void hull_streams_finish_if_done(struct hull_streams *streams);

/* streams_output.c */

/* Lets each output be read when there is a listener with credit, and only then. */
void hull_outputs_update(struct hull_streams *streams);
/* The listener takes `credit` bytes more. */
void hull_output_take_credit(struct hull_output *out, uint64_t credit);
/* The listener wants no more: the process gets EPIPE, or, with a terminal, the line is hung up. */
void hull_output_break(struct hull_output *out);
/* Tells the listener that the output has ended. */
void hull_output_tell_end(struct hull_output *out);
/* The process has ended: finds out what it has left in the output. */
void hull_output_begin_flush(struct hull_output *out);
/* Reads on to the moment when a terminal is found empty, but not for ever: something else may go on writing. */
void hull_output_flush(struct hull_output *out);
/* Tells the listener, once, that all was sent that the process had left. */
void hull_output_tell_flushed(struct hull_output *out);
/* Callbacks: of an output's watch, and of streams->retry. */
void hull_output_on_readable(void *output, int events);
void hull_outputs_on_retry(void *streams);

/* streams_input.c */

/* Lets the host send `bytes` more. */
void hull_input_grant(struct hull_streams *streams, uint64_t bytes);
/* The host's data, within what it was granted. -EPROTO if it sent more. */
int hull_input_take(struct hull_streams *streams, const uint8_t *data, size_t n);
/* The host has sent everything. */
void hull_input_take_end(struct hull_streams *streams);
/* The process gets the end of its input; what it has not read is dropped. */
void hull_input_close(struct hull_input *in);
/* Callback of the input's watch. */
void hull_input_on_writable(void *streams, int events);
