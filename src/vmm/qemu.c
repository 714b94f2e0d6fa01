/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QEMU driver: the life of one process.
 *
 * Whatever goes wrong ends in the same place. A QMP connection that breaks takes the process with it, and the end of
 * the process is what fails the start, the pending operations and, later, the VM.
 */
#include "vmm/vmm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "vmm/qemu_internal.h"
#include "vmm/qemu_jail.h"

#define HANDSHAKE_MS 30000
/* How long QEMU may take to end once it has closed QMP. */
#define LINGER_MS 3000

static void set_reason(struct hull_vmm *vm, const char *reason)
{
	if (!vm->reason[0])
		snprintf(vm->reason, sizeof(vm->reason), "%s", reason);
}

static void process_ended(void *data, const char *process_reason)
{
	struct hull_vmm *vm = data;
	_cleanup_free_ char *reason = hull_strdup(vm->reason[0] ? vm->reason : process_reason);
	bool starting = vm->state == HULL_QEMU_STARTING;

	vm->state = HULL_QEMU_GONE;
	vm->kill_at_ms = 0;
	/* Fails the commands on their way, and with them most operations; then the ones that wait for an event. */
	hull_qmp_free(vm->qmp);
	vm->qmp = NULL;
	hull_qemu_ops_fail(vm, EPIPE, reason);
	/* One of those callbacks may have called free(). */
	if (vm->freed)
		return;
	if (starting) {
		struct hull_error err = HULL_ERROR_INIT;
		hull_error_set(&err, EIO, "start VM: %s", reason);
		vm->started(vm->data, &err);
	} else if (vm->events.on_exit) {
		vm->events.on_exit(vm->data, reason);
	}
}

static void report_panic(struct hull_vmm *vm)
{
	if (vm->panicked)
		return;
	vm->panicked = true;
	if (vm->events.on_guest_panic)
		vm->events.on_guest_panic(vm->data);
}

static void on_panicked(struct hull_vmm *vm, struct json_object *args)
{
	set_reason(vm, "the guest kernel panicked");
	report_panic(vm);
}

/* Source: QEMU qapi/run-state.json, ShutdownCause. */
static void on_shutdown(struct hull_vmm *vm, struct json_object *args)
{
	static const struct { const char *cause, *reason; bool panic; } causes[] = {
		{ "guest-shutdown", "the guest powered off", false },
		{ "guest-reset", "the guest asked for a reset", true },
		{ "guest-panic", "the guest kernel panicked", true },
		{ "host-signal", "QEMU got a signal to end", false },
	};
	const char *cause = hull_qemu_string(args, "reason");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(causes); i++) {
		if (strcmp(causes[i].cause, cause) != 0)
			continue;
		set_reason(vm, causes[i].reason);
		if (causes[i].panic)
			report_panic(vm);
	}
}

static void on_device_deleted(struct hull_vmm *vm, struct json_object *args)
{
	hull_qemu_device_deleted(vm, hull_qemu_string(args, "device"), false);
}

static void on_unplug_error(struct hull_vmm *vm, struct json_object *args)
{
	const char *id = hull_qemu_string(args, "device");
	hull_qemu_device_deleted(vm, id, true);
	hull_qemu_cpu_kept(vm, id);
}

static void on_qmp_event(void *data, const char *name, struct json_object *args)
{
	static const struct { const char *name; void (*handle)(struct hull_vmm *vm, struct json_object *args); } events[] = {
		{ "GUEST_PANICKED", on_panicked },
		{ "SHUTDOWN", on_shutdown },
		{ "DEVICE_DELETED", on_device_deleted },
		{ "DEVICE_UNPLUG_GUEST_ERROR", on_unplug_error },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(events); i++)
		if (strcmp(events[i].name, name) == 0)
			events[i].handle(data, args);
}

static void on_qmp_closed(void *data, const struct hull_error *err)
{
	struct hull_vmm *vm = data;
	/* A connection that QEMU closed says nothing: the exit status and stderr follow. */
	if (err->code != EPIPE)
		set_reason(vm, err->message);
	vm->kill_at_ms = hull_now_ms() + (vm->reason[0] ? 0 : LINGER_MS);
	hull_qemu_update_timer(vm);
}

static void status_known(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_vmm *vm = data;
	if (vm->state != HULL_QEMU_STARTING || (err && err->code == EPIPE))
		return;
	const char *status = err ? err->message : hull_qemu_string(ret, "status");
	if (strcmp(status, "running") != 0) {
		char reason[sizeof(vm->reason)];
		snprintf(reason, sizeof(reason), "the VM does not run: %.200s", status);
		set_reason(vm, reason);
		hull_child_kill(vm->child);
		return;
	}
	vm->state = HULL_QEMU_RUNNING;
	vm->started(vm->data, NULL);
}

static void on_qmp_ready(void *data)
{
	struct hull_vmm *vm = data;
	hull_qmp_send(vm->qmp, "query-status", NULL, -1, HULL_QEMU_COMMAND_MS, status_known, vm);
}

static void console_ready(uv_poll_t *poll, int status, int events)
{
	struct hull_vmm *vm = poll->data;
	struct hull_qemu_console *console = poll == &vm->console.poll ? &vm->console : &vm->early;
	uint8_t buf[16384];

	/* After an error of the socket: all that is left in it. Otherwise one piece for each turn of the loop. */
	ssize_t n;
	do {
		n = recv(console->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0 && vm->events.on_console)
			vm->events.on_console(vm->data, buf, (size_t)n);
	} while (status < 0 && n > 0 && !vm->freed);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		uv_poll_stop(poll);
}

static int console_watch(uv_loop_t *loop, struct hull_vmm *vm, struct hull_qemu_console *console, int fd)
{
	int r = uv_poll_init(loop, &console->poll, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	console->fd = fd;
	console->poll.data = vm;
	vm->open_handles++;
	return uv_poll_start(&console->poll, UV_READABLE, console_ready);
}

static void handle_closed(uv_handle_t *handle)
{
	struct hull_vmm *vm = handle->data;
	if (--vm->open_handles > 0)
		return;
	hull_closep(&vm->console.fd);
	hull_closep(&vm->early.fd);
	free(vm);
}

static void qemu_free(struct hull_vmm *vm)
{
	if (!vm)
		return;
	struct hull_error err = HULL_ERROR_INIT;
	bool starting = vm->state == HULL_QEMU_STARTING && vm->started, again = vm->freed;

	hull_error_set(&err, ECANCELED, "canceled");
	vm->freed = true;
	vm->state = HULL_QEMU_GONE;
	hull_qmp_free(vm->qmp);
	vm->qmp = NULL;
	hull_qemu_ops_fail(vm, ECANCELED, err.message);
	if (again)
		return;
	if (starting)
		vm->started(vm->data, &err);
	hull_child_free(vm->child);
	hull_qemu_devices_free(vm);
	if (vm->console.fd >= 0)
		uv_close((uv_handle_t *)&vm->console.poll, handle_closed);
	if (vm->early.fd >= 0)
		uv_close((uv_handle_t *)&vm->early.poll, handle_closed);
	uv_close((uv_handle_t *)&vm->timer, handle_closed);
}

/* The host's ends of the channels, and QEMU's. -1: not there. */
struct channels {
	struct hull_qemu_fds qemu, host;
};

static void channels_close(struct channels *c)
{
	for (int i = 0; i < 2; i++) {
		struct hull_qemu_fds *fds = i == 0 ? &c->qemu : &c->host;
		hull_closep(&fds->qmp);
		hull_closep(&fds->agent);
		hull_closep(&fds->console);
		hull_closep(&fds->serial);
		hull_closep(&fds->share);
	}
}

static int make_pair(int *ret_host, int *ret_qemu, struct hull_error *err)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return hull_error_errno(err, errno, "socket pair");
	*ret_host = fds[0];
	*ret_qemu = fds[1];
	return 0;
}

static int make_channels(const struct hull_vm_config *config, struct channels *c, struct hull_error *err)
{
	int r = make_pair(&c->host.qmp, &c->qemu.qmp, err);
	if (r == 0)
		r = make_pair(&c->host.agent, &c->qemu.agent, err);
	if (r == 0)
		r = make_pair(&c->host.console, &c->qemu.console, err);
	if (r == 0 && config->debug_console)
		r = make_pair(&c->host.serial, &c->qemu.serial, err);
	return r;
}

/* Starts the process and everything that listens to it. What it took from `c` is -1 there afterwards. */
static int launch(struct hull_vmm *vm, uv_loop_t *loop, const struct hull_vm_config *config, struct channels *c,
		  struct hull_error *err)
{
	static const struct hull_qmp_handlers handlers = {
		.on_ready = on_qmp_ready, .on_event = on_qmp_event, .on_closed = on_qmp_closed,
	};
	int r = hull_qemu_jail_start(loop, config, &c->qemu, process_ended, vm, &vm->child, err);
	if (r < 0)
		return r;
	r = hull_qmp_new(loop, TAKE_FD(c->host.qmp), HANDSHAKE_MS, &handlers, vm, &vm->qmp, err);
	if (r < 0)
		return r;
	r = console_watch(loop, vm, &vm->console, TAKE_FD(c->host.console));
	if (r == 0 && c->host.serial >= 0)
		r = console_watch(loop, vm, &vm->early, TAKE_FD(c->host.serial));
	return r < 0 ? hull_error_errno(err, r, "watch the console") : 0;
}

static int qemu_start(uv_loop_t *loop, const struct hull_vm_config *config, const struct hull_vmm_events *events,
		      void *data, hull_vmm_done_fn done, int *ret_agent_fd, struct hull_vmm **ret_vm, struct hull_error *err)
{
	struct channels channels = {
		.qemu = { -1, -1, -1, -1, config->share_fd }, .host = { -1, -1, -1, -1, -1 },
	};
	int r = make_channels(config, &channels, err);
	if (r < 0) {
		channels_close(&channels);
		return r;
	}
	struct hull_vmm *vm = hull_new(struct hull_vmm, 1);
	vm->state = HULL_QEMU_STARTING;
	vm->events = *events;
	vm->data = data;
	vm->console.fd = vm->early.fd = -1;
	vm->memory_bytes = config->memory_bytes;
	vm->memory_max_bytes = config->memory_max_bytes;
	vm->vcpus = config->vcpus;
	vm->vcpus_max = config->vcpus_max;
	vm->cpus_can_go = config->accel != HULL_ACCEL_TCG;
	vm->ports = config->hotplug_ports;
	hull_qemu_devices_cold(vm, config);
	uv_timer_init(loop, &vm->timer);
	vm->timer.data = vm;
	vm->open_handles = 1;

	r = launch(vm, loop, config, &channels, err);
	if (r == 0) {
		vm->started = done;
		*ret_agent_fd = TAKE_FD(channels.host.agent);
		*ret_vm = vm;
	} else {
		qemu_free(vm);
	}
	channels_close(&channels);
	return r;
}

static pid_t qemu_pid(const struct hull_vmm *vm)
{
	return hull_child_pid(vm->child);
}

static void simple_done(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qemu_op *op = data;
	if (err)
		op->error = *err;
	hull_qemu_op_finish(op);
}

static void qemu_pause(struct hull_vmm *vm, hull_vmm_done_fn done, void *data)
{
	hull_qemu_op_send(hull_qemu_op_new(vm, done, data, "pause VM"), "stop", NULL, -1, simple_done);
}

static void qemu_resume(struct hull_vmm *vm, hull_vmm_done_fn done, void *data)
{
	hull_qemu_op_send(hull_qemu_op_new(vm, done, data, "resume VM"), "cont", NULL, -1, simple_done);
}

const struct hull_vmm_ops hull_vmm_qemu = {
	.name = "qemu",
	.start = qemu_start,
	.pid = qemu_pid,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.add_disk = hull_qemu_add_disk,
	.remove_disk = hull_qemu_remove_disk,
	.add_nic = hull_qemu_add_nic,
	.remove_nic = hull_qemu_remove_nic,
	.add_share = hull_qemu_add_share,
	.resize = hull_qemu_resize,
	.free = qemu_free,
};
