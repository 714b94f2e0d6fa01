/* SPDX-License-Identifier: Apache-2.0 */
/* A loop with a client and a server on the two ends of a socketpair, and a service to call. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "rpc/agent.pb-c.h"
#include "rpc/frame.h"
#include "rpc/internal.h"
#include "rpc/rpc.h"

#define FX_HELD_MAX 5000

struct fx_stream {
	struct fx *fx;
	struct hull_rpc_stream *stream;
	int messages;
	uint64_t bytes;
	char last[64];
	int remote_closed;
	int ended;
	enum hull_rpc_code code;
	char text[256];
	/* What a callback should do, for tests of freeing inside. */
	bool free_on_message, free_on_remote_closed, free_on_end;
	bool free_client_on_message, free_server_on_message;
	bool echo, finish_on_remote_closed, close_on_remote_closed;
};

struct fx {
	uv_loop_t loop;
	struct hull_rpc_server *server;
	struct hull_rpc_client *client;
	struct hull_rpc_conn *conn;
	int connects, disconnects;
	int closes;
	char close_reason[256];
	struct hull_rpc_request *held[FX_HELD_MAX];
	char *held_names[FX_HELD_MAX];
	size_t n_held;
	int cancels;
	int handled;
	struct fx_stream accepted;         /* the server's end of the newest stream */
	bool free_server_in_handler, free_server_on_cancel;
};

struct fx_reply {
	int n;                             /* callbacks that ran */
	enum hull_rpc_code code;
	char text[256];
	char name[64];                     /* ContainerRef.container_id of the answer */
	size_t bytes;                      /* StdioFrame.data of the answer */
	uint64_t number;                   /* StdioFrame.credit of the answer */
	struct fx *free_client;            /* free its client within the callback */
};

extern const struct hull_rpc_service fx_service;
extern const struct hull_rpc_stream_ops fx_stream_ops;

/* A loop, a client and a server with these limits (NULL: the defaults). */
struct fx *fx_new(const struct hull_rpc_limits *client_limits, const struct hull_rpc_limits *server_limits);
/* A loop and a server only; *ret_fd is the other end of its connection. */
struct fx *fx_new_server(const struct hull_rpc_limits *limits, int *ret_fd);
/* A loop and a client only; *ret_fd is the other end of its connection. */
struct fx *fx_new_client(const struct hull_rpc_limits *limits, int *ret_fd);
/* Frees all; fails the test if the loop does not drain. */
void fx_free(struct fx *fx);
void fx_client_free(struct fx *fx);
void fx_server_free(struct fx *fx);

/* Runs the loop until *flag is at least `n`; fails the test after 10 s. */
void fx_until(struct fx *fx, const int *flag, int n);
/* Runs the loop for some milliseconds. */
void fx_run(struct fx *fx, uint64_t ms);

/* Calls a method of the test service with a ContainerRef. */
struct hull_rpc_call *fx_call(struct fx *fx, const char *method, const char *name, int64_t timeout_ms,
			      struct fx_reply *reply);
/* Answers held request `i` with its own name. */
void fx_answer(struct fx *fx, size_t i);
void fx_open(struct fx *fx, const char *method, struct fx_stream *s);
/* Sends a message of `n` bytes; what hull_rpc_stream_send() returns. */
int fx_send(struct hull_rpc_stream *stream, size_t n);
int fx_send_text(struct hull_rpc_stream *stream, const char *text);

/* Raw frames for tests that play the peer. All descriptors are blocking. */
void fx_write(int fd, const void *data, size_t len);
void fx_write_frame(int fd, uint32_t id, uint8_t type, uint8_t flags, const void *payload, size_t len);
/* A request frame for the test service. Returns its length; `out` has room for 512 bytes. */
size_t fx_request_bytes(uint32_t id, uint8_t flags, const char *method, const char *name, int64_t timeout_ns,
			const char *n_fds, uint8_t *out);
/* Reads one frame; fails the test at the end of the connection. */
void fx_read_frame(struct fx *fx, int fd, struct hull_frame_header *h, uint8_t *payload, size_t room);
/* Reads one response frame and gives its status. */
enum hull_rpc_code fx_read_status(struct fx *fx, int fd, uint32_t *ret_id, char text[256]);
/* Number of open descriptors of this process. */
int fx_count_fds(void);
