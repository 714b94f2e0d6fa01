/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go while the guest runs.
 *
 * To plug one takes a few commands: hand QEMU a descriptor, make a backend of it, make the device. Each kind of
 * device is a table of these with the command that undoes each. A failure undoes the steps before it; an
 * unplug asks the guest to let go and then undoes the same steps.
 */
#include "vmm/qemu_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define STEPS 5
#define ID_MAX 32
#define FDS_MAX (2 * HULL_NIC_QUEUES_MAX)
#define SERIAL_MAX 20

struct step {
	const char *command;
	struct json_object *(*args)(const struct hull_qemu_device *d);
	const char *undo;                                               /* NULL: nothing to undo */
	struct json_object *(*undo_args)(const struct hull_qemu_device *d);
	bool (*wanted)(const struct hull_qemu_device *d);               /* NULL: always */
};

struct kind {
	const char *name;
	struct step steps[STEPS];                                       /* the first carries descriptors, one a time; no command: the end */
	bool on_bridge;                /* in a slot of the interfaces' bridge; otherwise in a root port */
};

struct hull_qemu_device {
	struct hull_qemu_device *next;
	const struct kind *kind;
	struct hull_qemu_op *op;       /* that works on it, if any */
	char name[ID_MAX + 1];         /* what the caller calls it */
	char id[ID_MAX + 8];           /* what QEMU calls it, and its backend, and the descriptor */
	unsigned place, fdset;         /* the number of its root port, or of its slot less one */
	unsigned queues;               /* of an interface */
	bool vhost;
	unsigned fd_at;                /* which of its descriptors the next command is about */
	bool readonly, is_block_device, direct, discard, iothread;
	struct hull_io_limits limits;
	bool deleted;                  /* the guest has let go of it; the backend is still there */
	char *detail;                  /* serial, MAC or tag */
};

static struct json_object *fdset_args(const struct hull_qemu_device *d)
{
	struct json_object *args = json_object_new_object();
	json_object_object_add(args, "fdset-id", json_object_new_int64(d->fdset));
	return args;
}

static struct json_object *fdname_args(const struct hull_qemu_device *d)
{
	char name[sizeof(d->id) + 8];
	snprintf(name, sizeof(name), "%s.%u", d->id, d->fd_at);
	return hull_qemu_object("fdname", name, NULL);
}

/* The names under which QEMU keeps `n` descriptors from the `first` on. */
static const char *fd_names(const struct hull_qemu_device *d, unsigned first, unsigned n, char *buf, size_t size)
{
	size_t used = 0;
	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s.%u", i ? ":" : "", d->id, first + i);
	return buf;
}

static struct json_object *id_args(const struct hull_qemu_device *d)
{
	return hull_qemu_object("id", d->id, NULL);
}

/* What all virtio devices of ours have in common, and the two members by which the kinds differ. */
static struct json_object *virtio_args(const struct hull_qemu_device *d, const char *driver, const char *backend_member,
				       const char *detail_member)
{
	char bus[16] = HULL_QEMU_NIC_BUS, addr[8];
	snprintf(addr, sizeof(addr), "0x%x", d->place + 1);
	if (!d->kind->on_bridge)
		snprintf(bus, sizeof(bus), HULL_QEMU_PORT_PREFIX "%u", d->place);
	struct json_object *args = hull_qemu_object("driver", driver, "id", d->id, "bus", bus, "disable-legacy", "on", "romfile", "",
						    backend_member, d->id, detail_member, d->detail, NULL);
	if (d->kind->on_bridge)
		json_object_object_add(args, "addr", json_object_new_string(addr));
	return args;
}

static bool wants_iothread(const struct hull_qemu_device *d)
{
	return d->iothread;
}

static bool wants_limits(const struct hull_qemu_device *d)
{
	return d->limits.read_bps || d->limits.write_bps || d->limits.read_iops || d->limits.write_iops;
}

/* Objects have a name space of their own. */
static struct json_object *iothread_args(const struct hull_qemu_device *d)
{
	return hull_qemu_object("qom-type", "iothread", "id", d->id, NULL);
}

/* Source: QEMU qapi/block-core.json, ThrottleLimits. */
static struct json_object *limits_args(const struct hull_qemu_device *d)
{
	const struct { const char *name; uint64_t value; } limits[] = {
		{ "bps-read", d->limits.read_bps }, { "bps-write", d->limits.write_bps },
		{ "iops-read", d->limits.read_iops }, { "iops-write", d->limits.write_iops },
	};
	char id[sizeof(d->id) + 8];
	snprintf(id, sizeof(id), "%s-limits", d->id);
	struct json_object *args = hull_qemu_object("qom-type", "throttle-group", "id", id, NULL);
	struct json_object *values = json_object_new_object();
	for (size_t i = 0; i < HULL_ARRAY_SIZE(limits); i++)
		if (limits[i].value)
			json_object_object_add(values, limits[i].name, json_object_new_int64((int64_t)limits[i].value));
	json_object_object_add(args, "limits", values);
	return args;
}

static struct json_object *limits_id_args(const struct hull_qemu_device *d)
{
	char id[sizeof(d->id) + 8];
	snprintf(id, sizeof(id), "%s-limits", d->id);
	return hull_qemu_object("id", id, NULL);
}

static struct json_object *blockdev_args(const struct hull_qemu_device *d)
{
	char path[32], group[sizeof(d->id) + 8];
	bool limited = wants_limits(d);

	snprintf(path, sizeof(path), "/dev/fdset/%u", d->fdset);
	snprintf(group, sizeof(group), "%s-limits", d->id);
	struct json_object *args = hull_qemu_object("driver", d->is_block_device ? "host_device" : "file",
						    "node-name", limited ? NULL : d->id, "filename", path,
						    "discard", d->discard ? "unmap" : "ignore", NULL);
	json_object_object_add(args, "read-only", json_object_new_boolean(d->readonly));
	struct json_object *cache = json_object_new_object();
	json_object_object_add(cache, "direct", json_object_new_boolean(d->direct));
	json_object_object_add(args, "cache", cache);
	if (!limited)
		return args;
	struct json_object *outer = hull_qemu_object("driver", "throttle", "node-name", d->id, "throttle-group", group, NULL);
	json_object_object_add(outer, "read-only", json_object_new_boolean(d->readonly));
	json_object_object_add(outer, "discard", json_object_new_string(d->discard ? "unmap" : "ignore"));
	json_object_object_add(outer, "file", args);
	return outer;
}

static struct json_object *node_args(const struct hull_qemu_device *d)
{
	return hull_qemu_object("node-name", d->id, NULL);
}

static struct json_object *disk_device_args(const struct hull_qemu_device *d)
{
	struct json_object *args = virtio_args(d, "virtio-blk-pci", "drive", "serial");
	if (d->iothread)
		json_object_object_add(args, "iothread", json_object_new_string(d->id));
	json_object_object_add(args, "discard", json_object_new_boolean(d->discard));
	json_object_object_add(args, "write-zeroes", json_object_new_boolean(d->discard));
	return args;
}

static struct json_object *netdev_args(const struct hull_qemu_device *d)
{
	char names[HULL_NIC_QUEUES_MAX * (sizeof(d->id) + 8)];
	const bool one = d->queues == 1;
	struct json_object *args = hull_qemu_object("type", "tap", "id", d->id, one ? "fd" : "fds",
						    fd_names(d, 0, d->queues, names, sizeof(names)), NULL);
	if (d->vhost) {
		json_object_object_add(args, "vhost", json_object_new_boolean(true));
		json_object_object_add(args, one ? "vhostfd" : "vhostfds",
				       json_object_new_string(fd_names(d, d->queues, d->queues, names, sizeof(names))));
	}
	return args;
}

static struct json_object *nic_device_args(const struct hull_qemu_device *d)
{
	struct json_object *args = virtio_args(d, "virtio-net-pci", "netdev", "mac");
	if (d->queues > 1) {
		json_object_object_add(args, "mq", json_object_new_boolean(true));
		json_object_object_add(args, "vectors", json_object_new_int((int)(2 * d->queues + 2)));
	}
	return args;
}

static struct json_object *chardev_args(const struct hull_qemu_device *d)
{
	struct json_object *addr = hull_qemu_object("type", "fd", NULL);
	char name[sizeof(d->id) + 8];
	json_object_object_add(addr, "data", hull_qemu_object("str", fd_names(d, 0, 1, name, sizeof(name)), NULL));
	struct json_object *socket = json_object_new_object();
	json_object_object_add(socket, "addr", addr);
	json_object_object_add(socket, "server", json_object_new_boolean(false));
	struct json_object *backend = hull_qemu_object("type", "socket", NULL);
	json_object_object_add(backend, "data", socket);
	struct json_object *args = id_args(d);
	json_object_object_add(args, "backend", backend);
	return args;
}

static struct json_object *share_device_args(const struct hull_qemu_device *d)
{
	struct json_object *args = virtio_args(d, "vhost-user-fs-pci", "chardev", "tag");
	/* This one is modern only and does not know the property. */
	json_object_object_del(args, "disable-legacy");
	json_object_object_add(args, "queue-size", json_object_new_int(1024));
	return args;
}

/* A backend takes the named descriptor over; closefd then only matters when the backend was never made. */
static const struct kind disk_kind = { "disk", {
	{ "add-fd", fdset_args, "remove-fd", fdset_args, NULL },
	{ "object-add", iothread_args, "object-del", id_args, wants_iothread },
	{ "object-add", limits_args, "object-del", limits_id_args, wants_limits },
	{ "blockdev-add", blockdev_args, "blockdev-del", node_args, NULL },
	{ "device_add", disk_device_args, NULL, NULL, NULL },
}, false };
static const struct kind nic_kind = { "nic", {
	{ "getfd", fdname_args, "closefd", fdname_args, NULL },
	{ "netdev_add", netdev_args, "netdev_del", id_args, NULL },
	{ "device_add", nic_device_args, NULL, NULL, NULL },
}, true };
static const struct kind share_kind = { "share", {
	{ "getfd", fdname_args, "closefd", fdname_args, NULL },
	{ "chardev-add", chardev_args, "chardev-remove", id_args, NULL },
	{ "device_add", share_device_args, NULL, NULL, NULL },
}, false };

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

static struct hull_qemu_device *find(struct hull_vmm *vm, const struct kind *kind, const char *name)
{
	for (struct hull_qemu_device *d = vm->devices; d; d = d->next)
		if (d->kind == kind && strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static unsigned places(const struct hull_vmm *vm, const struct kind *kind)
{
	return kind->on_bridge ? HULL_NICS_MAX : vm->ports;
}

/* The lowest free port or slot, or -1. */
static int free_place(const struct hull_vmm *vm, const struct kind *kind)
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

static struct hull_qemu_device *device_new(struct hull_vmm *vm, const struct kind *kind, const char *name, unsigned place,
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
		device_new(vm, &nic_kind, config->nics[i].id, (unsigned)i, config->nics[i].mac)->queues = config->nics[i].queues;
}

static void undo(void *data, struct json_object *ret, const struct hull_error *err);

/* The guest let go unasked, or after whoever asked had given up: the backend goes all the same. */
static void clean_up(struct hull_vmm *vm, struct hull_qemu_device *d)
{
	struct hull_qemu_op *op = hull_qemu_op_new(vm, NULL, NULL, "clean up after %.40s", d->id);
	op->device = d;
	op->step = STEPS;
	d->op = op;
	undo(op, NULL, NULL);
}

void hull_qemu_device_released(struct hull_vmm *vm, struct hull_qemu_device *d)
{
	d->op = NULL;
	if (d->deleted && vm->state != HULL_QEMU_GONE)
		clean_up(vm, d);
}

static bool is_wanted(const struct step *step, const struct hull_qemu_device *d)
{
	return step->command && (!step->wanted || step->wanted(d));
}

/* Undoes the steps below op->step, newest first. What fails to be undone was not there, or goes with the process. */
static void undo(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qemu_op *op = data;
	while (op->step > 0) {
		const struct step *step = &op->device->kind->steps[op->step - 1];
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
	const struct step *steps = op->device->kind->steps;
	while (op->step < STEPS && !is_wanted(&steps[op->step], op->device))
		op->step++;
	if (op->step == STEPS) {
		hull_qemu_op_finish(op);
		return;
	}
	const struct step *step = &steps[op->step];
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
static struct hull_qemu_device *plug(struct hull_qemu_op *op, const struct kind *kind, const char *name, const char *detail)
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
	struct hull_qemu_device *d = plug(op, &disk_kind, disk->id, disk->serial);
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
	struct hull_qemu_device *d = plug(op, &nic_kind, nic->id, nic->mac);
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
	if (plug(op, &share_kind, name, tag))
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
		op->step = STEPS;
		undo(op, NULL, NULL);
	} else {
		hull_qemu_op_wait(op, HULL_QEMU_UNPLUG_MS);
	}
}

static void unplug(struct hull_vmm *vm, const struct kind *kind, const char *name, hull_vmm_done_fn done, void *data)
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
		hull_qemu_op_send(op, "device_del", id_args(d), -1, deletion_requested);
	}
}

void hull_qemu_remove_disk(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	unplug(vm, &disk_kind, id, done, data);
}

void hull_qemu_remove_nic(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	unplug(vm, &nic_kind, id, done, data);
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
		d->op->step = STEPS;
		undo(d->op, NULL, NULL);
	}
}
