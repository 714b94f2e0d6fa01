/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/qemu_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/process.h"

struct hull_qemu_op *hull_qemu_op_new(struct hull_vmm *vm, hull_vmm_done_fn done, void *data, const char *fmt, ...)
{
	struct hull_qemu_op *op = hull_new(struct hull_qemu_op, 1);
	struct hull_qemu_op **tail = &vm->ops;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(op->what, sizeof(op->what), fmt, ap);
	va_end(ap);
	op->vm = vm;
	op->done = done;
	op->data = data;
	while (*tail)
		tail = &(*tail)->next;
	*tail = op;
	return op;
}

void hull_qemu_op_finish(struct hull_qemu_op *op)
{
	struct hull_vmm *vm = op->vm;
	struct hull_qemu_op **p = &vm->ops;

	while (*p != op)
		p = &(*p)->next;
	*p = op->next;
	if (op->device)
		hull_qemu_device_released(vm, op->device);
	if (op->error.code)
		hull_error_wrap(&op->error, "%s", op->what);
	if (op->done)
		op->done(op->data, op->error.code ? &op->error : NULL);
	if (op->resize_active)
		hull_qemu_resize_next(vm);
	for (unsigned i = 0; i < op->n_fds; i++)
		hull_closep(&op->fds[i]);
	free(op);
}

static void timer_fired(uv_timer_t *timer);

void hull_qemu_update_timer(struct hull_vmm *vm)
{
	int64_t next = vm->kill_at_ms ? vm->kill_at_ms : INT64_MAX, now = hull_now_ms();
	for (const struct hull_qemu_op *op = vm->ops; op; op = op->next)
		if (op->waiting && op->deadline_ms < next)
			next = op->deadline_ms;
	uv_update_time(vm->timer.loop);
	if (next == INT64_MAX)
		uv_timer_stop(&vm->timer);
	else
		uv_timer_start(&vm->timer, timer_fired, next > now ? (uint64_t)(next - now) : 0, 0);
}

/* Ends the operations whose time is up, and sets the timer for the others. */
static void timer_fired(uv_timer_t *timer)
{
	struct hull_vmm *vm = timer->data;
	int64_t now = hull_now_ms();

	if (vm->kill_at_ms && now >= vm->kill_at_ms) {
		vm->kill_at_ms = 0;
		hull_child_kill(vm->child);
	}
	for (struct hull_qemu_op *op = vm->ops; op; ) {
		if (!op->waiting || now < op->deadline_ms) {
			op = op->next;
			continue;
		}
		if (op->expired && !op->error.code) {
			void (*expired)(struct hull_qemu_op *) = op->expired;
			op->waiting = false;
			op->expired = NULL;
			expired(op);
		} else {
			if (!op->error.code)
				hull_error_set(&op->error, ETIMEDOUT, "the guest did not answer in time");
			hull_qemu_op_finish(op);
		}
		/* From the start: whoever was told may have changed the list. */
		op = vm->ops;
	}
	if (!vm->freed)
		hull_qemu_update_timer(vm);
}

void hull_qemu_ops_fail(struct hull_vmm *vm, int code, const char *reason)
{
	while (vm->ops) {
		struct hull_qemu_op *op = vm->ops;
		op->resize_active = false;
		hull_error_set(&op->error, code, "%s", reason);
		hull_qemu_op_finish(op);
	}
}

void hull_qemu_op_refuse(struct hull_qemu_op *op, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_free_ char *message = hull_vasprintf(fmt, ap);
	va_end(ap);
	hull_error_set(&op->error, code, "%s", message);
	hull_qemu_op_wait(op, 0);
}

void hull_qemu_op_wait(struct hull_qemu_op *op, int timeout_ms)
{
	op->waiting = true;
	op->deadline_ms = hull_now_ms() + timeout_ms;
	hull_qemu_update_timer(op->vm);
}

void hull_qemu_op_send(struct hull_qemu_op *op, const char *command, struct json_object *args, int fd,
		       hull_qmp_reply_fn reply)
{
	op->waiting = false;
	if (!op->vm->qmp) {
		json_object_put(args);
		hull_qemu_op_refuse(op, EPIPE, "the VM has ended");
		return;
	}
	hull_qmp_send(op->vm->qmp, command, args, fd, HULL_QEMU_COMMAND_MS, reply, op);
}

const char *hull_qemu_string(struct json_object *object, const char *name)
{
	struct json_object *member = NULL;
	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return "";
	return json_object_get_string(member);
}

struct json_object *hull_qemu_object(const char *name, ...)
{
	struct json_object *object = json_object_new_object();
	va_list ap;

	va_start(ap, name);
	for (; name; name = va_arg(ap, const char *)) {
		const char *value = va_arg(ap, const char *);
		if (value)
			json_object_object_add(object, name, json_object_new_string(value));
	}
	va_end(ap);
	return object;
}
