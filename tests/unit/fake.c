/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

struct hull_fake hull_fake = { .guest_fd = -1 };

/* A pid that no process has: larger than the kernel hands out. */
#define FAKE_PID 0x7ffffff0

struct call {
	struct call *next;
	struct hull_vmm *vm;
	uv_timer_t timer;
	hull_vmm_done_fn done;         /* NULL once it has run */
	void *data;
	int code;
};

struct hull_vmm {
	uv_loop_t *loop;
	struct hull_vmm_events events;
	void *data;
	bool gone;
	int share_fd;                  /* virtiofsd ends when it is closed */
	struct call *calls;
};

static void __attribute__((format(printf, 1, 2))) note(const char *fmt, ...)
{
	size_t used = strlen(hull_fake.log);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(hull_fake.log + used, sizeof(hull_fake.log) - used, fmt, ap);
	va_end(ap);
}

void hull_fake_reset(void)
{
	hull_closep(&hull_fake.guest_fd);
	memset(&hull_fake, 0, sizeof(hull_fake));
	hull_fake.guest_fd = -1;
}

static void call_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void call_finish(struct call *c, int code)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct call **p = &c->vm->calls;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	hull_fake.pending--;
	uv_close((uv_handle_t *)&c->timer, call_closed);
	if (code)
		hull_error_errno(&err, code, "fake VMM");
	if (c->done)
		c->done(c->data, code ? &err : NULL);
}

static void call_due(uv_timer_t *timer)
{
	struct call *c = timer->data;
	call_finish(c, c->code);
}

static void answer(struct hull_vmm *vm, int code, hull_vmm_done_fn done, void *data)
{
	struct call *c = hull_new(struct call, 1);
	struct call **tail = &vm->calls;

	c->vm = vm;
	c->done = done;
	c->data = data;
	c->code = vm->gone ? EPIPE : code;
	while (*tail)
		tail = &(*tail)->next;
	*tail = c;
	hull_fake.pending++;
	uv_timer_init(vm->loop, &c->timer);
	c->timer.data = c;
	if (!hull_fake.hang)
		uv_timer_start(&c->timer, call_due, hull_fake.delay_ms, 0);
}

static int fake_start(uv_loop_t *loop, const struct hull_vm_config *config, const struct hull_vmm_events *events,
		      void *data, hull_vmm_done_fn done, int *ret_agent_fd, struct hull_vmm **ret_vm, struct hull_error *err)
{
	int fds[2];

	_cleanup_close_ int share_fd = config->share_fd;      /* taken over, as by every driver */
	note("start %llu MiB %u CPUs\n", (unsigned long long)config->memory_bytes >> 20, config->vcpus);
	hull_fake.starts++;
	if (hull_fake.refuse_start)
		return hull_error_errno(err, hull_fake.refuse_start, "fake VMM");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return hull_error_errno(err, errno, "socket pair");

	struct hull_vmm *vm = hull_new(struct hull_vmm, 1);
	vm->loop = loop;
	vm->events = *events;
	vm->data = data;
	vm->share_fd = TAKE_FD(share_fd);
	hull_closep(&hull_fake.guest_fd);
	hull_fake.guest_fd = fds[1];
	hull_fake.vm = vm;
	hull_fake.config = *config;
	snprintf(hull_fake.kernel_path, sizeof(hull_fake.kernel_path), "%s", config->kernel_path ? config->kernel_path : "");
	snprintf(hull_fake.share_tag, sizeof(hull_fake.share_tag), "%s", config->share_tag ? config->share_tag : "");
	hull_fake.config.vmm_path = hull_fake.config.kernel_path = hull_fake.config.initrd_path = NULL;
	hull_fake.config.kernel_cmdline = hull_fake.config.run_dir = hull_fake.config.share_tag = NULL;
	if (hull_fake.fail_start)
		vm->gone = true;
	answer(vm, 0, done, data);
	vm->calls->code = hull_fake.fail_start;
	*ret_agent_fd = fds[0];
	*ret_vm = vm;
	return 0;
}

static pid_t fake_pid(const struct hull_vmm *vm)
{
	return vm->gone ? 0 : FAKE_PID;
}

static void fake_pause(struct hull_vmm *vm, hull_vmm_done_fn done, void *data)
{
	note("pause\n");
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_resume(struct hull_vmm *vm, hull_vmm_done_fn done, void *data)
{
	note("resume\n");
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_add_disk(struct hull_vmm *vm, const struct hull_disk *disk, hull_vmm_done_fn done, void *data)
{
	note("add_disk %s %s\n", disk->id, disk->readonly ? "ro" : "rw");
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_remove_disk(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	note("remove_disk %s\n", id);
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_add_nic(struct hull_vmm *vm, const struct hull_nic *nic, hull_vmm_done_fn done, void *data)
{
	note("add_nic %s %s\n", nic->id, nic->mac);
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_remove_nic(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	note("remove_nic %s\n", id);
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_add_share(struct hull_vmm *vm, int share_fd, const char *tag, hull_vmm_done_fn done, void *data)
{
	note("add_share %s\n", tag);
	close(share_fd);
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_resize(struct hull_vmm *vm, uint64_t memory_bytes, unsigned vcpus, hull_vmm_done_fn done, void *data)
{
	note("resize %llu MiB %u CPUs\n", (unsigned long long)memory_bytes >> 20, vcpus);
	answer(vm, hull_fake.fail_ops, done, data);
}

static void fake_free(struct hull_vmm *vm)
{
	if (!vm)
		return;
	note("free\n");
	hull_fake.frees++;
	vm->gone = true;
	while (vm->calls)
		call_finish(vm->calls, ECANCELED);
	if (hull_fake.vm == vm) {
		hull_fake.vm = NULL;
		hull_closep(&hull_fake.guest_fd);
	}
	hull_closep(&vm->share_fd);
	free(vm);
}

void hull_fake_exit(const char *reason)
{
	struct hull_vmm *vm = hull_fake.vm;
	vm->gone = true;
	hull_closep(&hull_fake.guest_fd);
	while (hull_fake.vm && vm->calls)
		call_finish(vm->calls, EPIPE);
	if (hull_fake.vm && vm->events.on_exit)
		vm->events.on_exit(vm->data, reason);
}

void hull_fake_panic(void)
{
	if (hull_fake.vm->events.on_guest_panic)
		hull_fake.vm->events.on_guest_panic(hull_fake.vm->data);
}

void hull_fake_console(const char *text)
{
	if (hull_fake.vm->events.on_console)
		hull_fake.vm->events.on_console(hull_fake.vm->data, (const uint8_t *)text, strlen(text));
}

const struct hull_vmm_ops hull_vmm_fake = {
	.name = "fake",
	.start = fake_start,
	.pid = fake_pid,
	.pause = fake_pause,
	.resume = fake_resume,
	.add_disk = fake_add_disk,
	.remove_disk = fake_remove_disk,
	.add_nic = fake_add_nic,
	.remove_nic = fake_remove_nic,
	.add_share = fake_add_share,
	.resize = fake_resize,
	.free = fake_free,
};
