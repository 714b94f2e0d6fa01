/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this directory share and nobody else includes.
 *
 *     timer     a one-shot timer that its owner stops
 *     table     the calls and streams that are open on a connection, by id
 *     chan      one connection: frames in, frames out, descriptors beside them
 *     codec     messages to frames and back, within a budget
 *
 * A channel has one owner (a client or a server's connection), which is told of frames. It is counted,
 * because streams outlive their connection and because callbacks may free anything.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>
#include <uv.h>

#include "rpc/frame.h"
#include "rpc/rpc.h"

/* Descriptors that may travel with one request, and those that may wait for their frame. */
#define HULL_RPC_FDS_MAX 1024
/* The request's metadata key that says how many descriptors belong to it (decimal). */
#define HULL_RPC_FDS_KEY "hull-fds"
/* Bytes of a status message, with the NUL: more is cut. */
#define HULL_RPC_TEXT_MAX 2048

/* ------------------------------------------------------------------- timer */

struct hull_timer;

/* Calls fn(data) once from the loop after `ms` (0: in the next turn). The owner stops it in any case. */
struct hull_timer *hull_timer_start(uv_loop_t *loop, uint64_t ms, void (*fn)(void *data), void *data);

/* Stops and frees; fn does not run any more. NULL is fine. */
void hull_timer_stop(struct hull_timer *timer);

/* ------------------------------------------------------------------- table */

struct hull_entry;
struct hull_table;

struct hull_entry_ops {
	/* A frame with the entry's id came. `payload` is valid during the call. */
	void (*on_frame)(struct hull_entry *entry, const struct hull_frame_header *h, const uint8_t *payload);
	/* The id ends without an answer: the connection is gone, or a frame was too long. */
	void (*on_lost)(struct hull_entry *entry, enum hull_rpc_code code, const char *reason);
};

/* Embedded as the first member in calls, requests and streams. */
struct hull_entry {
	const struct hull_entry_ops *ops;
	uint32_t id;
	struct hull_table *table;          /* NULL when not in one */
	struct hull_entry *chain;          /* next in the same bucket */
	struct hull_entry *prev, *next;    /* in order of addition */
};

#define HULL_TABLE_BUCKETS 128

struct hull_table {
	struct hull_entry *buckets[HULL_TABLE_BUCKETS];
	struct hull_entry *first, *last;
	size_t count;
};

/* The table does not own its entries. An id is there once. */
void hull_table_add(struct hull_table *table, struct hull_entry *entry, uint32_t id);
struct hull_entry *hull_table_find(const struct hull_table *table, uint32_t id);
/* Takes the entry out of its table, if it is in one. */
void hull_table_remove(struct hull_entry *entry);
/*
 * Takes out every entry with an id of at most `last_id`, oldest first, and tells it. The callbacks may add
 * and remove entries.
 */
void hull_table_lose(struct hull_table *table, uint32_t last_id, enum hull_rpc_code code, const char *reason);

/* -------------------------------------------------------------------- chan */

/* A frame on its way out: the header and the payload in one piece. */
struct hull_out {
	struct hull_out *next;
	size_t len;
	size_t done;                       /* bytes written */
	int *fds;                          /* owned duplicates, or NULL */
	size_t n_fds;
	size_t fds_done;                   /* descriptors sent, and closed here */
	uint8_t bytes[];
};

struct hull_chan_ops {
	/* A whole frame of a known type came. `payload` is valid during the call. */
	void (*on_frame)(void *owner, const struct hull_frame_header *h, const uint8_t *payload);
	/* A frame over the limit came; its payload is skipped. */
	void (*on_oversized)(void *owner, const struct hull_frame_header *h);
	/* The connection ended by itself; the channel is closed already. Once. */
	void (*on_closed)(void *owner, const char *reason);
};

struct hull_chan {
	uv_poll_t poll;
	uv_loop_t *loop;
	unsigned refs;
	int fd;
	bool is_socket;
	bool passes_fds;                   /* a unix socket */
	bool accepts_fds;                  /* keep descriptors that the peer sends */
	bool closed;
	int events;                        /* what the poll handle waits for */
	const struct hull_chan_ops *ops;
	void *owner;
	struct hull_rpc_limits limits;

	struct hull_table table;
	uint32_t last_id;                  /* client: given out last; server: seen last */

	uint8_t *in;                       /* bytes not yet handled: in[in_start..in_end) */
	size_t in_cap, in_start, in_end;
	bool reading;                      /* frames are being handed on */
	uint64_t skip;                     /* bytes of a payload still to be thrown away */
	int *in_fds;                       /* descriptors that came and wait for their frame */
	size_t n_in_fds;

	struct hull_out *out_head, *out_tail;
	uint64_t out_bytes;
	int doom;                          /* errno that will close the channel from the loop */
	struct hull_timer *doom_timer;
};

/* Takes over `fd`. NULL with errno set when it cannot be polled; it is closed then. The caller owns a reference. */
struct hull_chan *hull_chan_new(uv_loop_t *loop, int fd, const struct hull_rpc_limits *limits,
				const struct hull_chan_ops *ops, void *owner);
struct hull_chan *hull_chan_ref(struct hull_chan *chan);
void hull_chan_unref(struct hull_chan *chan);

/* Closes the descriptor and drops the queue; the owner is not told and entries stay in the table. */
void hull_chan_close(struct hull_chan *chan);
/* Closes and tells the owner. Only from the loop. */
void hull_chan_fail(struct hull_chan *chan, const char *reason);
/* Has the loop close the channel soon: for errors met inside calls of the user. `err` is a positive errno. */
void hull_chan_doom(struct hull_chan *chan, int err);
/* Neither closed nor doomed. */
bool hull_chan_alive(const struct hull_chan *chan);
void hull_chan_wait_for(struct hull_chan *chan, int events);

/* Reads what is there and dispatches it. True when it stopped at its budget and there may be more. */
bool hull_chan_read(struct hull_chan *chan);
void hull_chan_read_free(struct hull_chan *chan);
/* Moves up to `n` received descriptors, oldest first, to a new array. Returns how many. */
size_t hull_chan_take_fds(struct hull_chan *chan, size_t n, int **ret_fds);
/* Closes all descriptors that wait for a frame. */
void hull_chan_drop_fds(struct hull_chan *chan);

enum hull_priority {
	HULL_OUT_DATA,                     /* refused when the queue is full */
	HULL_OUT_CONTROL,                  /* a queue that cannot take it dooms the channel */
};

/* Queues and owns `out`, also on failure. 0, -EPIPE when closed, -ENOBUFS when the queue is full. */
int hull_chan_send(struct hull_chan *chan, struct hull_out *out, enum hull_priority priority);
/* Writes as much as the descriptor takes. */
void hull_chan_flush(struct hull_chan *chan);
void hull_chan_write_free(struct hull_chan *chan);

/* A frame to be sent: the header, and room for its payload of h->length bytes. */
struct hull_out *hull_out_new(const struct hull_frame_header *h);
/* Attaches duplicates of the descriptors. 0, -E2BIG, -errno. */
int hull_out_set_fds(struct hull_out *out, const int *fds, size_t n);
void hull_out_free(struct hull_out *out);

/* ------------------------------------------------------------------- codec */

/* Frees what hull_rpc_unpack() made. NULL is fine. */
void hull_message_free(ProtobufCMessage *message);
/* For _cleanup_, whatever the message's type. */
static inline void hull_message_freep(void *p)
{
	hull_message_free(*(ProtobufCMessage **)p);
}

struct hull_envelope {
	const char *service;
	const char *method;
	int64_t timeout_ns;
	size_t n_fds;
};

/* Each builds a whole frame. 0, -EMSGSIZE when the payload is over `max`. */
int hull_pack_request(uint32_t id, uint8_t flags, const struct hull_envelope *envelope,
		      const ProtobufCMessage *message, uint32_t max, struct hull_out **ret_out);
int hull_pack_response(uint32_t id, const ProtobufCMessage *message, uint32_t max, struct hull_out **ret_out);
int hull_pack_data(uint32_t id, const ProtobufCMessage *message, uint32_t max, struct hull_out **ret_out);

/* Sends a response frame with a status, and no message. */
void hull_send_status(struct hull_chan *chan, uint32_t id, enum hull_rpc_code code, const char *text);
/* Sends the data frame that half-closes. */
void hull_send_closed(struct hull_chan *chan, uint32_t id);

/* ------------------------------------------------------------------ status */

/* A code as it came from a peer; what is not known becomes UNKNOWN. */
enum hull_rpc_code hull_rpc_code_from_wire(int32_t code);

/* What a request that could not be sent means to its caller. */
struct hull_send_failure {
	int err;
	enum hull_rpc_code code;
	const char *reason;
};
const struct hull_send_failure *hull_send_failure(int r);

/* ------------------------------------------------------------------ client */

struct hull_rpc_client {
	struct hull_chan *chan;
	unsigned refs;
	void (*on_close)(void *data, const char *reason);
	void *data;
};

/*
 * Gives `entry` the next id, adds it to the client's table and sends its request. 0 or -errno for
 * hull_send_failure(); the entry is in the table either way, so that the client's end reaches it.
 */
int hull_client_start(struct hull_rpc_client *client, struct hull_entry *entry, uint8_t flags,
		      struct hull_envelope *envelope, const ProtobufCMessage *request, const int *fds);

/* ------------------------------------------------------------------ server */

struct hull_rpc_conn {
	struct hull_rpc_server *server;
	struct hull_chan *chan;
	unsigned refs;
	bool gone;                         /* on_disconnect ran */
	size_t n_requests;                 /* not answered yet, also those whose caller is gone */
	void *data;
	struct hull_rpc_conn *prev, *next;
};

void hull_conn_unref(struct hull_rpc_conn *conn);

/*
 * Hands a unary call to its handler. `fds` (n_fds, moved) came with it. `timeout_ns` is the caller's;
 * 0 means none.
 */
void hull_request_run(struct hull_rpc_conn *conn, uint32_t id, const struct hull_rpc_method *method,
		      const ProtobufCMessage *message, int64_t timeout_ns, int *fds, size_t n_fds, void *data);

/* Hands a new stream to its handler. */
void hull_stream_run(struct hull_chan *chan, uint32_t id, bool remote_open, const struct hull_rpc_method *method,
		     const ProtobufCMessage *message, void *data);
