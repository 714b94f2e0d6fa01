/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: a QEMU that says whatever the input says. The first byte decides in what pieces it arrives and what
 * the callbacks do meanwhile: send more, or free the client.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMMANDS_MAX 8

struct client {
	struct hull_qmp *qmp;
	unsigned sent, answered;
	bool send_more, free_in_event, free_in_reply;
};

static void on_reply(void *data, struct json_object *ret, const struct hull_error *err);

static void send_one(struct client *c)
{
	if (!c->qmp || c->sent >= COMMANDS_MAX)
		return;
	c->sent++;
	hull_qmp_send(c->qmp, "query-status", NULL, -1, 1000, on_reply, c);
}

static void drop(struct client *c)
{
	struct hull_qmp *qmp = c->qmp;
	c->qmp = NULL;
	hull_qmp_free(qmp);
}

static void on_reply(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct client *c = data;
	c->answered++;
	if (c->send_more)
		send_one(c);
	if (c->free_in_reply)
		drop(c);
}

static void on_ready(void *data)
{
	send_one(data);
}

static void on_event(void *data, const char *name, struct json_object *args)
{
	struct client *c = data;
	if (c->free_in_event)
		drop(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hull_qmp_handlers handlers = { .on_ready = on_ready, .on_event = on_event };
	struct hull_error err = HULL_ERROR_INIT;
	struct client c = { 0 };
	uv_loop_t loop;
	int fds[2];

	if (size < 1 || size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	c.send_more = data[0] & 1;
	c.free_in_event = data[0] & 2;
	c.free_in_reply = data[0] & 4;
	size_t piece = data[0] & 8 ? 1 + (data[0] >> 4) : size;
	data++;
	size--;

	uv_loop_init(&loop);
	if (hull_qmp_new(&loop, fds[1], 100000, &handlers, &c, &c.qmp, &err) < 0)
		abort();
	send_one(&c);
	while (size > 0) {
		size_t n = size < piece ? size : piece;
		if (send(fds[0], data, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
			break;
		data += n;
		size -= n;
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	close(fds[0]);
	uv_run(&loop, UV_RUN_NOWAIT);
	drop(&c);
	uv_run(&loop, UV_RUN_DEFAULT);
	/* Every command was answered exactly once, and nothing is left on the loop. */
	if (c.answered != c.sent || uv_loop_close(&loop) != 0)
		abort();
	return 0;
}
