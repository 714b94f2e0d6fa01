/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/forward.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loopback.h"
#include "pod/relay.h"

/* Each has a window of data here and in the guest; more wait in the listening socket's queue. */
#define CONNECTIONS_MAX 64

struct connection {
	LIST_ENTRY(connection) link;
	struct hull_forward *forward;
	struct hull_stdio *stdio;
};

struct hull_forward {
	uv_loop_t *loop;
	struct hull_loopback loopback;
	struct hull_rpc_client *agent;
	uv_poll_t poll;
	LIST_HEAD(, connection) connections;
	unsigned n_connections;
};

static void update(struct hull_forward *f);

static void close_connection(struct connection *c)
{
	hull_stdio_free(c->stdio);
	LIST_REMOVE(c, link);
	c->forward->n_connections--;
	free(c);
}

static void on_drained(void *data)
{
	struct connection *c = data;
	struct hull_forward *f = c->forward;
	close_connection(c);
	update(f);
}

static void on_flushed(void *data)
{
}

static const struct hull_stdio_ops ops = { .on_flushed = on_flushed, .on_drained = on_drained };

static void on_listener(uv_poll_t *poll, int status, int events)
{
	struct hull_forward *f = poll->data;
	_cleanup_close_ int fd = accept4(f->loopback.listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			hull_log_warning("accept a connection to the pod's localhost: %s", strerror(errno));
		return;
	}
	struct connection *c = hull_new(struct connection, 1);
	c->forward = f;
	LIST_INSERT_HEAD(&f->connections, c, link);
	f->n_connections++;
	uint16_t port = hull_loopback_port(fd);
	c->stdio = hull_stdio_connect(f->loop, f->agent, port, TAKE_FD(fd), &ops, c);
	update(f);
}

static void update(struct hull_forward *f)
{
	if (f->agent && f->n_connections < CONNECTIONS_MAX)
		uv_poll_start(&f->poll, UV_READABLE, on_listener);
	else
		uv_poll_stop(&f->poll);
}

int hull_forward_new(uv_loop_t *loop, int netns_fd, struct hull_forward **ret, struct hull_error *err)
{
	struct hull_loopback loopback = HULL_LOOPBACK_NONE;
	int r = hull_loopback_open(netns_fd, &loopback, err);
	if (r < 0)
		return r;
	struct hull_forward *f = hull_new(struct hull_forward, 1);
	f->loop = loop;
	f->loopback = loopback;
	uv_poll_init(loop, &f->poll, loopback.listener);
	f->poll.data = f;
	*ret = f;
	return 0;
}

void hull_forward_ready(struct hull_forward *f, struct hull_rpc_client *agent)
{
	f->agent = agent;
	update(f);
}

static void on_closed(uv_handle_t *handle)
{
	struct hull_forward *f = handle->data;
	hull_loopback_close(&f->loopback);
	free(f);
}

void hull_forward_free(struct hull_forward *f)
{
	if (!f)
		return;
	while (!LIST_EMPTY(&f->connections))
		close_connection(LIST_FIRST(&f->connections));
	uv_close((uv_handle_t *)&f->poll, on_closed);
}
