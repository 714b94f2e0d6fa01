/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugs and unplugs devices, step by step. A failure undoes the steps before it; an unplug asks the guest to let go and then
 * undoes the same steps.
 */
#include "vmm/qemu_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define SERIAL_MAX 20

static void device_free(struct hull_vmm *vm, struct hull_qemu_device *d)
{
	struct hull_qemu_device **p = &vm->devices;
	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
	free(d->detail);
	free(d);
}

void hull_qemu_devices_free(struct hull_vmm *vm)
{
	while (vm->devices)
		device_free(vm, vm->devices);
}

static struct hull_qemu_device *find(struct hull_vmm *vm, const struct hull_qemu_kind *kind, const char *name)
{
	for (struct hull_qemu_device *d = vm->devices; d; d = d->next)
		if (d->kind == kind && strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static unsigned places(const struct hull_vmm *vm, const struct hull_qemu_kind *kind)
{
	return kind->on_bridge ? HULL_NICS_MAX : vm->ports;
}

/* The lowest free port or slot, or -1. */
static int free_place(const struct hull_vmm *vm, const struct hull_qemu_kind *kind)
{
	uint64_t used = 0;
	for (const struct hull_qemu_device *d = vm->devices; d; d = d->next)
		if (d->kind->on_bridge == kind->on_bridge)
			used |= UINT64_C(1) << d->place;
	for (unsigned place = 0; place < places(vm, kind); place++)
		if (!(used & UINT64_C(1) << place))
			return (int)place;
	return -1;
}

static struct hull_qemu_device *device_new(struct hull_vmm *vm, const struct hull_qemu_kind *kind, const char *name, unsigned place,
					   const char *detail)
{
	struct hull_qemu_device *d = hull_new(struct hull_qemu_device, 1);
	d->kind = kind;
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->id, sizeof(d->id), "%s-%s", kind->name, name);
	d->place = place;
	d->detail = detail ? hull_strdup(detail) : NULL;
	d->next = vm->devices;
	vm->devices = d;
	return d;
}

void hull_qemu_devices_cold(struct hull_vmm *vm, const struct hull_vm_config *config)
{
	for (size_t i = 0; i < config->n_nics; i++)
		device_new(vm, &hull_qemu_nic_kind, config->nics[i].id, (unsigned)i, config->nics[i].mac)->queues = config->nics[i].queues;
}

static void undo(void *data, struct json_object *ret, const struct hull_error *err);

/* The guest let go unasked, or after whoever asked had given up: the backend goes all the same. */
static void clean_up(struct hull_vmm *vm, struct hull_qemu_device *d)
{
	struct hull_qemu_op *op = hull_qemu_op_new(vm, NULL, NULL, "clean up after %.40s", d->id);
	op->device = d;
	op->step = HULL_QEMU_STEPS;
	d->op = op;
	undo(op, NULL, NULL);
}

void hull_qemu_device_released(struct hull_vmm *vm, struct hull_qemu_device *d)
{
	d->op = NULL;
	if (d->deleted && vm->state != HULL_QEMU_GONE)
		clean_up(vm, d);
}

static bool is_wanted(const struct hull_qemu_step *step, const struct hull_qemu_device *d)
{
	return step->command && (!step->wanted || step->wanted(d));
}

/* Undoes the steps below op->step, newest first. What fails to be undone was not there, or goes with the process. */
static void undo(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qemu_op *op = data;
	while (op->step > 0) {
		const struct hull_qemu_step *step = &op->device->kind->steps[op->step - 1];
		/* The first step was done once for each descriptor. */
		if (op->step == 1 && op->device->fd_at > 0)
			op->device->fd_at--;
		if (op->step > 1 || op->device->fd_at == 0)
			op->step--;
		if (step->undo && is_wanted(step, op->device)) {
			hull_qemu_op_send(op, step->undo, step->undo_args(op->device), -1, undo);
			return;
		}
	}
	device_free(op->vm, op->device);
	op->device = NULL;
	hull_qemu_op_finish(op);
}

static void next_step(struct hull_qemu_op *op);

static void step_done(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qemu_op *op = data;
	if (op->step == 0)
		hull_closep(&op->fds[op->device->fd_at]);
	if (err) {
		op->error = *err;
		hull_error_wrap(&op->error, "%s", op->device->kind->steps[op->step].command);
		/* What the first step has handed over so far. */
		if (op->step == 0 && op->device->fd_at > 0)
			op->step = 1;
		undo(op, NULL, NULL);
		return;
	}
	if (op->step > 0 || ++op->device->fd_at == op->n_fds)
		op->step++;
	next_step(op);
}

static void next_step(struct hull_qemu_op *op)
{
	const struct hull_qemu_step *steps = op->device->kind->steps;
	while (op->step < HULL_QEMU_STEPS && !is_wanted(&steps[op->step], op->device))
		op->step++;
	if (op->step == HULL_QEMU_STEPS) {
		hull_qemu_op_finish(op);
		return;
	}
	const struct hull_qemu_step *step = &steps[op->step];
	hull_qemu_op_send(op, step->command, step->args(op->device), op->step == 0 ? op->fds[op->device->fd_at] : -1, step_done);
}

static void take_disk_options(struct hull_qemu_device *d, const struct hull_disk *disk)
{
	d->readonly = disk->readonly;
	d->direct = disk->direct;
	d->discard = disk->discard && !disk->readonly;
	d->iothread = disk->iothread;
	d->limits = disk->limits;
}

/* Starts to plug what has its descriptors in `op`. The device, when it is made, is complete but for what only its kind has. */
static struct hull_qemu_device *plug(struct hull_qemu_op *op, const struct hull_qemu_kind *kind, const char *name,
				     const char *detail)
{
	struct hull_vmm *vm = op->vm;
	int place = free_place(vm, kind);

	if (!hull_qemu_name_valid(name)) {
		hull_qemu_op_refuse(op, EINVAL, "not a device name");
	} else if (find(vm, kind, name)) {
		hull_qemu_op_refuse(op, EEXIST, "it is there already");
	} else if (place < 0) {
		hull_qemu_op_refuse(op, ENOSPC, "all %u hot-plug %s are taken", places(vm, kind), kind->on_bridge ? "slots" : "ports");
	} else {
		struct hull_qemu_device *d = device_new(vm, kind, name, (unsigned)place, detail);
		d->fdset = ++vm->serial_number;
		d->op = op;
		op->device = d;
		return d;
	}
	return NULL;
}

/*
 * A descriptor for QEMU with exactly the access that is wanted, or -errno: a read-only disk must not be writable by
 * a QEMU that its guest has taken over.
 */
static int disk_fd(const struct hull_disk *disk)
{
	char path[32];
	int flags = fcntl(disk->fd, F_GETFL);
	if (flags < 0)
		return -errno;
	int access = flags & O_ACCMODE;
	if (!disk->readonly && access != O_RDWR)
		return -EACCES;
	int fd = disk->readonly && access != O_RDONLY ?
		open(hull_fd_path(disk->fd, path), O_RDONLY | O_CLOEXEC) :
		fcntl(disk->fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

void hull_qemu_add_disk(struct hull_vmm *vm, const struct hull_disk *disk, hull_vmm_done_fn done, void *data)
{
	struct hull_qemu_op *op = hull_qemu_op_new(vm, done, data, "plug disk %.32s", disk->id);
	struct stat st;
	int fd = disk_fd(disk);
	if (fd >= 0)
		op->fds[op->n_fds++] = fd;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int code = fd < 0 ? -fd : errno;
		hull_qemu_op_refuse(op, code, "%s", strerror(code));
		return;
	}
	if (disk->serial && strlen(disk->serial) > SERIAL_MAX) {
		hull_qemu_op_refuse(op, EINVAL, "the serial is longer than 20 bytes");
		return;
	}
	struct hull_qemu_device *d = plug(op, &hull_qemu_disk_kind, disk->id, disk->serial);
	if (!d)
		return;
	take_disk_options(d, disk);
	d->is_block_device = S_ISBLK(st.st_mode);
	next_step(op);
}

/* Adds copies of `n` descriptors to the operation. */
static int copy_fds(struct hull_qemu_op *op, const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		op->fds[op->n_fds++] = fd;
	}
	return 0;
}

void hull_qemu_add_nic(struct hull_vmm *vm, const struct hull_nic *nic, hull_vmm_done_fn done, void *data)
{
	struct hull_qemu_op *op = hull_qemu_op_new(vm, done, data, "plug nic %.32s", nic->id);
	if (nic->queues == 0 || nic->queues > HULL_NIC_QUEUES_MAX) {
		hull_qemu_op_refuse(op, EINVAL, "%u queues", nic->queues);
		return;
	}
	int r = copy_fds(op, nic->tap_fds, nic->queues);
	if (r == 0 && nic->vhost_fds)
		r = copy_fds(op, nic->vhost_fds, nic->queues);
	if (r < 0) {
		hull_qemu_op_refuse(op, -r, "%s", strerror(-r));
		return;
	}
	struct hull_qemu_device *d = plug(op, &hull_qemu_nic_kind, nic->id, nic->mac);
	if (!d)
		return;
	d->queues = nic->queues;
	d->vhost = nic->vhost_fds != NULL;
	next_step(op);
}

void hull_qemu_add_share(struct hull_vmm *vm, int share_fd, const char *tag, hull_vmm_done_fn done, void *data)
{
	char name[16];
	snprintf(name, sizeof(name), "%u", ++vm->serial_number);
	struct hull_qemu_op *op = hull_qemu_op_new(vm, done, data, "plug share %s", name);
	op->fds[op->n_fds++] = share_fd;
	if (plug(op, &hull_qemu_share_kind, name, tag))
		next_step(op);
}

/* QEMU passed the request on; DEVICE_DELETED says when the guest has let go, and may have said so already. */
static void deletion_requested(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qemu_op *op = data;
	/* An earlier request that the guest has not answered yet is as good. Source: QEMU softmmu/qdev-monitor.c. */
	if (err && !strstr(err->message, "in the process of unplug")) {
		op->error = *err;
		hull_qemu_op_finish(op);
	} else if (op->device->deleted) {
		op->step = HULL_QEMU_STEPS;
		undo(op, NULL, NULL);
	} else {
		hull_qemu_op_wait(op, HULL_QEMU_UNPLUG_MS);
	}
}

static void unplug(struct hull_vmm *vm, const struct hull_qemu_kind *kind, const char *name, hull_vmm_done_fn done, void *data)
{
	struct hull_qemu_op *op = hull_qemu_op_new(vm, done, data, "unplug %s %.32s", kind->name, name);
	struct hull_qemu_device *d = find(vm, kind, name);

	if (!d) {
		hull_qemu_op_refuse(op, ENOENT, "there is none");
	} else if (d->op) {
		hull_qemu_op_refuse(op, EBUSY, "it is being plugged or unplugged");
	} else {
		d->op = op;
		op->device = d;
		hull_qemu_op_send(op, "device_del", hull_qemu_device_id_args(d), -1, deletion_requested);
	}
}

void hull_qemu_remove_disk(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	unplug(vm, &hull_qemu_disk_kind, id, done, data);
}

void hull_qemu_remove_nic(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	unplug(vm, &hull_qemu_nic_kind, id, done, data);
}

void hull_qemu_device_deleted(struct hull_vmm *vm, const char *id, bool refused)
{
	struct hull_qemu_device *d = vm->devices;
	while (d && strcmp(d->id, id) != 0)
		d = d->next;
	if (!d)
		return;
	if (refused) {
		if (d->op && d->op->waiting)
			hull_qemu_op_refuse(d->op, EBUSY, "the guest refuses to let go of it");
		return;
	}
	d->deleted = true;
	if (!d->op) {
		clean_up(vm, d);
	} else if (d->op->waiting) {
		d->op->step = HULL_QEMU_STEPS;
		undo(d->op, NULL, NULL);
	}
}
