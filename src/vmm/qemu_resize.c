/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing and shrinking. Memory is one virtio-mem device whose requested size is set and which the guest then
 * follows; CPUs are devices that are plugged and unplugged one by one, asking QEMU between any two which there are.
 *
 * Under TCG a CPU that was plugged stays: after an unplug QEMU 7.2 has a corrupted heap and dies at the next plug. A CPU
 * more costs nothing there, since the control groups of the containers limit what they use.
 */
#include "vmm/qemu_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/units.h"

#define VIRTIO_MEM_PATH "/machine/peripheral/" HULL_QEMU_VIRTIO_MEM
#define CPU_PREFIX "cpu-"
#define POLL_MS 5

static void cpus_step(struct hull_qemu_op *op);

static void fail(struct hull_qemu_op *op, const struct hull_error *err, const char *context)
{
	op->error = *err;
	hull_error_wrap(&op->error, "%s", context);
	hull_qemu_op_finish(op);
}

/* Asks again in a moment. Not by events: of those that tell of sizes QEMU sends one a second at most. */
static void ask_again(struct hull_qemu_op *op, void (*ask)(struct hull_qemu_op *op))
{
	op->expired = ask;
	hull_qemu_op_wait(op, POLL_MS);
}

/* The hot-pluggable part of what the operation wants. */
static uint64_t hotplug_bytes(const struct hull_qemu_op *op)
{
	return op->memory_bytes - op->vm->memory_bytes;
}

static void read_memory_size(struct hull_qemu_op *op);

static void memory_size_known(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qemu_op *op = data;
	char got[32], wanted[32];

	if (err) {
		fail(op, err, "read the guest's memory size");
	} else if (json_object_get_uint64(ret) == hotplug_bytes(op)) {
		cpus_step(op);
	} else if (hull_now_ms() < op->give_up_ms) {
		ask_again(op, read_memory_size);
	} else {
		hull_format_size(json_object_get_uint64(ret), got);
		hull_format_size(hotplug_bytes(op), wanted);
		hull_qemu_op_refuse(op, ETIMEDOUT, "the guest did not follow: it has %s of hot-plugged memory, not %s",
				    got, wanted);
	}
}

static void read_memory_size(struct hull_qemu_op *op)
{
	hull_qemu_op_send(op, "qom-get", hull_qemu_object("path", VIRTIO_MEM_PATH, "property", "size", NULL), -1,
			  memory_size_known);
}

static void memory_requested(void *data, struct json_object *ret, const struct hull_error *err)
{
	if (err)
		fail(data, err, "request memory");
	else
		read_memory_size(data);
}

static void cpu_plugged(void *data, struct json_object *ret, const struct hull_error *err)
{
	if (err)
		fail(data, err, "plug a CPU");
	else
		cpus_step(data);
}

/* Plugs the CPU that an entry of query-hotpluggable-cpus describes. */
static void plug_cpu(struct hull_qemu_op *op, struct json_object *entry, int64_t core)
{
	struct json_object *props = NULL;
	char id[40];

	snprintf(id, sizeof(id), CPU_PREFIX "%lld", (long long)core);
	struct json_object *args = hull_qemu_object("driver", hull_qemu_string(entry, "type"), "id", id, NULL);
	if (json_object_object_get_ex(entry, "props", &props)) {
		json_object_object_foreach(props, name, value)
			json_object_object_add(args, name, json_object_get(value));
	}
	hull_qemu_op_send(op, "device_add", args, -1, cpu_plugged);
}

static void cpu_deletion_requested(void *data, struct json_object *ret, const struct hull_error *err)
{
	if (err && !strstr(err->message, "in the process of unplug"))
		fail(data, err, "unplug a CPU");
	else
		ask_again(data, cpus_step);
}

void hull_qemu_cpu_kept(struct hull_vmm *vm, const char *id)
{
	for (struct hull_qemu_op *op = vm->ops; op; op = op->next) {
		if (op->resize_active && op->waiting && strcmp(op->cpu, id) == 0) {
			hull_qemu_op_refuse(op, EBUSY, "the guest refuses to let go of a CPU");
			return;
		}
	}
}

/* What query-hotpluggable-cpus says. */
struct cpu_list {
	unsigned present;
	struct json_object *vacant;    /* the entry with the lowest core-id that is not there */
	int64_t vacant_core;
	int64_t last_core;             /* the highest core-id that we have plugged, or -1 */
};

static void scan_cpus(struct json_object *ret, struct cpu_list *list)
{
	size_t n = json_object_is_type(ret, json_type_array) ? json_object_array_length(ret) : 0;

	*list = (struct cpu_list){ .last_core = -1 };
	for (size_t i = 0; i < n; i++) {
		struct json_object *entry = json_object_array_get_idx(ret, i), *props = NULL, *core_id = NULL;
		const char *path = hull_qemu_string(entry, "qom-path");

		if (!json_object_object_get_ex(entry, "props", &props) ||
		    !json_object_object_get_ex(props, "core-id", &core_id))
			continue;
		int64_t core = json_object_get_int64(core_id);
		if (path[0] == '\0') {
			if (!list->vacant || core < list->vacant_core) {
				list->vacant = entry;
				list->vacant_core = core;
			}
			continue;
		}
		list->present++;
		/* CPUs of the start have no name, and cannot go. */
		if (strstr(path, "/" CPU_PREFIX) && core > list->last_core)
			list->last_core = core;
	}
}

/* Asks the guest to let go of the CPU, or waits when it was asked already. */
static void unplug_cpu(struct hull_qemu_op *op, int64_t core)
{
	char id[sizeof(op->cpu)];

	snprintf(id, sizeof(id), CPU_PREFIX "%lld", (long long)core);
	if (strcmp(op->cpu, id) != 0) {
		memcpy(op->cpu, id, sizeof(op->cpu));
		hull_qemu_op_send(op, "device_del", hull_qemu_object("id", id, NULL), -1, cpu_deletion_requested);
	} else if (hull_now_ms() < op->give_up_ms) {
		ask_again(op, cpus_step);
	} else {
		hull_qemu_op_refuse(op, ETIMEDOUT, "the guest does not let go of %s", id);
	}
}

static void cpus_known(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct hull_qemu_op *op = data;
	struct cpu_list list;

	if (err) {
		fail(op, err, "list the CPUs");
		return;
	}
	scan_cpus(ret, &list);
	if (list.present < op->vcpus && list.vacant && hull_now_ms() < op->give_up_ms) {
		plug_cpu(op, list.vacant, list.vacant_core);
	} else if (list.present < op->vcpus && list.vacant) {
		hull_qemu_op_refuse(op, ETIMEDOUT, "QEMU does not come to have %u CPUs", op->vcpus);
	} else if (list.present > op->vcpus && !op->vm->cpus_can_go) {
		hull_qemu_op_finish(op);
	} else if (list.present > op->vcpus && list.last_core >= 0) {
		unplug_cpu(op, list.last_core);
	} else {
		if (list.present != op->vcpus)
			hull_error_set(&op->error, EIO, "QEMU has %u CPUs where %u are wanted, and none to change",
				       list.present, op->vcpus);
		hull_qemu_op_finish(op);
	}
}

static void cpus_step(struct hull_qemu_op *op)
{
	hull_qemu_op_send(op, "query-hotpluggable-cpus", NULL, -1, cpus_known);
}

/* The operation's turn has come. */
static void begin(struct hull_qemu_op *op)
{
	op->resize_active = true;
	op->give_up_ms = hull_now_ms() + HULL_QEMU_RESIZE_MS;
	if (op->vm->memory_max_bytes == op->vm->memory_bytes) {
		cpus_step(op);
		return;
	}
	struct json_object *args = hull_qemu_object("path", VIRTIO_MEM_PATH, "property", "requested-size", NULL);
	json_object_object_add(args, "value", json_object_new_uint64(hotplug_bytes(op)));
	hull_qemu_op_send(op, "qom-set", args, -1, memory_requested);
}

void hull_qemu_resize_next(struct hull_vmm *vm)
{
	for (struct hull_qemu_op *op = vm->ops; op; op = op->next) {
		/* One that was refused waits only to say so. */
		if (op->is_resize && !op->waiting) {
			begin(op);
			return;
		}
	}
}

static bool resize_running(const struct hull_vmm *vm)
{
	for (const struct hull_qemu_op *op = vm->ops; op; op = op->next)
		if (op->resize_active)
			return true;
	return false;
}

void hull_qemu_resize(struct hull_vmm *vm, uint64_t memory_bytes, unsigned vcpus, hull_vmm_done_fn done, void *data)
{
	char size[32];
	bool busy = resize_running(vm);
	struct hull_qemu_op *op = hull_qemu_op_new(vm, done, data, "resize to %s and %u CPUs",
						   hull_format_size(memory_bytes, size), vcpus);

	op->is_resize = true;
	/* What the VM was started with cannot go. */
	op->memory_bytes = memory_bytes < vm->memory_bytes ? vm->memory_bytes : memory_bytes;
	op->memory_bytes += (HULL_QEMU_MEMORY_BLOCK - op->memory_bytes % HULL_QEMU_MEMORY_BLOCK) % HULL_QEMU_MEMORY_BLOCK;
	op->vcpus = vcpus < vm->vcpus ? vm->vcpus : vcpus;
	if (op->memory_bytes > vm->memory_max_bytes || op->vcpus > vm->vcpus_max)
		hull_qemu_op_refuse(op, EINVAL, "the VM was started for at most %s and %u CPUs",
				    hull_format_size(vm->memory_max_bytes, size), vm->vcpus_max);
	else if (!busy)
		begin(op);
}
