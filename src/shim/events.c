/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/events.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "rpc/rpc.h"
#include "shim/any.h"
#include "shim/connect.h"

#define FORWARD_TIMEOUT_MS 5000
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 5000
/* Tasks and execs are bounded by what containerd asked for; this only keeps a mistake from eating the host. */
#define WAITING_MAX 8192

struct event {
	struct event *next;
	const char *topic, *type;
	int64_t at_ns;
	uint8_t *data;
	size_t len;
};

struct shim_events {
	uv_loop_t *loop;
	struct shim_events_target target;
	struct event *first, *last;
	size_t n;
	bool busy;                     /* the first is on its way */
	bool freed;
	struct hull_rpc_client *client;
	struct hull_rpc_call *call;
	struct shim_child *child;
	uv_timer_t timer;
	uint64_t retry_ms;
};

static void next(struct shim_events *e);

static void drop_first(struct shim_events *e)
{
	struct event *event = e->first;
	e->first = event->next;
	if (!e->first)
		e->last = NULL;
	e->n--;
	free(event->data);
	free(event);
}

static void on_timer(uv_timer_t *timer)
{
	next(timer->data);
}

static void later(struct shim_events *e)
{
	uv_timer_start(&e->timer, on_timer, e->retry_ms, 0);
	e->retry_ms = e->retry_ms * 2 < RETRY_MAX_MS ? e->retry_ms * 2 : RETRY_MAX_MS;
}

static void told(struct shim_events *e)
{
	e->retry_ms = RETRY_FIRST_MS;
	drop_first(e);
	next(e);
}

/* ---- ttrpc */

static bool worth_retrying(enum hull_rpc_code code)
{
	return code == HULL_RPC_UNAVAILABLE || code == HULL_RPC_DEADLINE_EXCEEDED || code == HULL_RPC_CANCELLED ||
	       code == HULL_RPC_RESOURCE_EXHAUSTED || code == HULL_RPC_UNIMPLEMENTED;
}

static void on_forwarded(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct shim_events *e = data;
	(void)response;
	e->call = NULL;
	e->busy = false;
	if (e->freed)
		return;
	if (status->code == HULL_RPC_OK) {
		told(e);
	} else if (worth_retrying(status->code)) {
		/* UNIMPLEMENTED too: a containerd that starts listens before it serves. */
		later(e);
	} else {
		hull_log_warning("containerd refuses the event %s: %s", e->first->topic, status->message);
		told(e);
	}
}

static void forward(struct shim_events *e)
{
	const struct event *event = e->first;
	Hull__Containerd__ForwardRequest m = HULL__CONTAINERD__FORWARD_REQUEST__INIT;
	Hull__Containerd__Envelope envelope = HULL__CONTAINERD__ENVELOPE__INIT;
	Hull__Containerd__Timestamp at;
	Hull__Containerd__Any any = HULL__CONTAINERD__ANY__INIT;

	if (e->client && !hull_rpc_client_alive(e->client))
		hull_rpc_client_free(TAKE_PTR(e->client));
	if (!e->client) {
		int fd = shim_connect(e->target.ttrpc_address);
		e->client = fd >= 0 ? hull_rpc_client_new(e->loop, fd, NULL, NULL, NULL) : NULL;
	}
	if (!e->client) {
		later(e);
		return;
	}
	shim_timestamp(event->at_ns, &at);
	any.type_url = (char *)(uintptr_t)event->type;
	any.value = (ProtobufCBinaryData){ .len = event->len, .data = event->data };
	envelope.timestamp = &at;
	envelope.namespace_ = (char *)(uintptr_t)e->target.namespace;
	envelope.topic = (char *)(uintptr_t)event->topic;
	envelope.event = &any;
	m.envelope = &envelope;
	e->busy = true;
	e->call = hull_rpc_call(e->client, "containerd.services.events.ttrpc.v1.Events", "Forward", &m.base,
				&hull__containerd__empty__descriptor, FORWARD_TIMEOUT_MS, NULL, 0, on_forwarded, e);
}

/* ---- the publish command */

static void on_published(void *data, const char *message)
{
	struct shim_events *e = data;
	e->child = NULL;
	e->busy = false;
	if (message) {
		hull_log_info("publish %s: %s", e->first->topic, message);
		later(e);
	} else {
		told(e);
	}
}

static int any_file(const struct event *event)
{
	Hull__Containerd__Any any = HULL__CONTAINERD__ANY__INIT;
	any.type_url = (char *)(uintptr_t)event->type;
	any.value = (ProtobufCBinaryData){ .len = event->len, .data = event->data };
	size_t len;
	_cleanup_free_ uint8_t *data = shim_pack(&any.base, &len);
	_cleanup_close_ int fd = memfd_create("hull-event", MFD_CLOEXEC);
	if (fd < 0 || hull_fd_write_all(fd, data, len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* Source: containerd, cmd/containerd/command/publish.go. */
static void publish(struct shim_events *e)
{
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_close_ int event = any_file(e->first);
	char *argv[] = { (char *)(uintptr_t)e->target.publish_binary, (char *)(uintptr_t)"--address", (char *)(uintptr_t)e->target.address,
			 (char *)(uintptr_t)"publish", (char *)(uintptr_t)"--topic", (char *)(uintptr_t)e->first->topic,
			 (char *)(uintptr_t)"--namespace", (char *)(uintptr_t)e->target.namespace, NULL };
	const struct shim_child_spec spec = { .path = argv[0], .argv = argv, .stdio = { event, -1, -1 }, .keep_fds = { -1, -1, -1 } };
	e->busy = true;
	e->child = event < 0 ? NULL : shim_child_program(e->loop, e->target.host, &spec, on_published, e, &err);
	if (!e->child) {
		hull_log_warning("publish: %s", err.message);
		e->busy = false;
		later(e);
	}
}

/* ---- the queue */

static void next(struct shim_events *e)
{
	if (e->freed || e->busy || !e->first)
		return;
	uv_timer_stop(&e->timer);
	if (e->target.ttrpc_address && e->target.ttrpc_address[0]) {
		forward(e);
	} else if (e->target.publish_binary && e->target.publish_binary[0] && e->target.address && e->target.address[0]) {
		publish(e);
	} else {
		hull_log_debug("nobody to tell of %s", e->first->topic);
		told(e);
	}
}

struct shim_events *shim_events_new(uv_loop_t *loop, const struct shim_events_target *target)
{
	struct shim_events *e = hull_new(struct shim_events, 1);
	e->loop = loop;
	e->target = *target;
	e->retry_ms = RETRY_FIRST_MS;
	uv_timer_init(loop, &e->timer);
	e->timer.data = e;
	return e;
}

void shim_events_publish(struct shim_events *e, const char *topic, const char *type, const ProtobufCMessage *message)
{
	if (e->n == WAITING_MAX) {
		hull_log_error("%d events wait for containerd: %s is not told", WAITING_MAX, topic);
		return;
	}
	struct event *event = hull_new(struct event, 1);
	event->topic = topic;
	event->type = type;
	event->at_ns = shim_now_ns();
	event->data = shim_pack(message, &event->len);
	if (e->last)
		e->last->next = event;
	else
		e->first = event;
	e->last = event;
	e->n++;
	if (!uv_is_active((uv_handle_t *)&e->timer))
		next(e);
}

bool shim_events_idle(const struct shim_events *e)
{
	return e->n == 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void shim_events_free(struct shim_events *e)
{
	if (!e)
		return;
	e->freed = true;
	hull_rpc_client_free(TAKE_PTR(e->client));
	shim_child_forget(TAKE_PTR(e->child));
	while (e->first)
		drop_first(e);
	uv_close((uv_handle_t *)&e->timer, on_closed);
}
