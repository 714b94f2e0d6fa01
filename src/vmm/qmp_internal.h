/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the QMP client share: qmp.c, its life and the way out, and qmp_read.c, the way in. */
#pragma once

#include "vmm/qmp.h"

/* What may arrive in each state; anything else closes the connection. */
enum hull_qmp_state {
	HULL_QMP_GREETING,             /* one object with the member QMP */
	HULL_QMP_CAPABILITIES,         /* events, and the answer to qmp_capabilities */
	HULL_QMP_READY,                /* events, and the answer to the command on its way */
	HULL_QMP_CLOSED,               /* nothing is read */
};

struct hull_qmp_command {
	struct hull_qmp_command *next;
	uint64_t id;
	char *line;                    /* NULL once all of it was written */
	size_t len, sent;
	int fd;                        /* -1 once it was sent */
	int64_t deadline_ms;
	bool expired;                  /* the caller was told; kept to await the answer */
	hull_qmp_reply_fn reply;
	void *data;
};

struct hull_qmp {
	enum hull_qmp_state state;
	int fd;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned open_handles;
	bool freed;
	struct hull_qmp_handlers handlers;
	void *data;
	int64_t handshake_deadline_ms;
	uint64_t next_id;
	struct hull_qmp_command *head, **tail;        /* the head is on its way, unless the handshake still runs */
	struct json_tokener *tokener;
	char *in;
	size_t in_len, in_room;
	int write_error;               /* positive errno: the next turn of the loop closes the connection */
	struct hull_error closed;      /* why, once HULL_QMP_CLOSED */
};

void hull_qmp_command_free(struct hull_qmp_command *c);

/* Takes the first command off the queue. There is one. */
struct hull_qmp_command *hull_qmp_pop(struct hull_qmp *q);

/* Closes the connection: pending commands fail, on_closed runs. Once. */
void hull_qmp_close_because(struct hull_qmp *q, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Reads once and handles what came. False when there was nothing, or the connection is closed now. */
bool hull_qmp_read(struct hull_qmp *q);
