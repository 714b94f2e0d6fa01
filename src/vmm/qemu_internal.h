/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the QEMU driver share: the VM, and operations on it that take more than one QMP command. */
#pragma once

#include <stdint.h>

#include <json-c/json.h>

#include "jail/child.h"
#include "vmm/qemu_args.h"
#include "vmm/qmp.h"
#include "vmm/vmm.h"

#define HULL_QEMU_COMMAND_MS 10000
#define HULL_QEMU_UNPLUG_MS 10000
#define HULL_QEMU_RESIZE_MS 20000

struct hull_qemu_op;
struct hull_qemu_device;

enum hull_qemu_state {
	HULL_QEMU_STARTING,            /* `started` has not run */
	HULL_QEMU_RUNNING,             /* the process runs and `started` has said so */
	HULL_QEMU_GONE,                /* the process has ended, or free() was called */
};

/* A socket on which the guest prints. */
struct hull_qemu_console {
	uv_poll_t poll;
	int fd;                        /* -1: not there */
};

struct hull_vmm {
	enum hull_qemu_state state;
	struct hull_vmm_events events;
	void *data;
	hull_vmm_done_fn started;
	struct hull_child *child;
	struct hull_qmp *qmp;          /* NULL once the process has ended */
	struct hull_qemu_console console, early;
	uv_timer_t timer;              /* the earliest deadline of a waiting operation, or kill_at_ms */
	unsigned open_handles;
	int64_t kill_at_ms;            /* QMP is closed: how long the process may take to end by itself; 0: not closed */
	bool panicked;                 /* reported once */
	bool freed;
	char reason[256];              /* why it ends, when that is known better than by the exit status */

	uint64_t memory_bytes, memory_max_bytes;       /* at the start; and with all that can be hot-plugged */
	unsigned vcpus, vcpus_max, ports;
	bool cpus_can_go;
	struct hull_qemu_op *ops;      /* in the order in which they were asked for */
	struct hull_qemu_device *devices;
	unsigned serial_number;        /* of fdsets and shares */
};

/* One call of the interface on its way. */
struct hull_qemu_op {
	struct hull_qemu_op *next;
	struct hull_vmm *vm;
	char what[64];                 /* "plug disk data", for messages */
	hull_vmm_done_fn done;         /* may be NULL */
	void *data;
	bool waiting;                  /* not for an answer but for an event, until deadline_ms */
	int64_t deadline_ms;
	void (*expired)(struct hull_qemu_op *op);      /* what happens then; NULL: the operation ends */
	struct hull_error error;       /* what it ends with, when set */

	struct hull_qemu_device *device;       /* plug and unplug */
	size_t step;
	int fds[2 * HULL_NIC_QUEUES_MAX];      /* that QEMU is to get; -1: it has */
	unsigned n_fds;

	bool is_resize, resize_active;
	int64_t give_up_ms;
	uint64_t memory_bytes;
	unsigned vcpus;
	char cpu[40];                  /* the device that is being unplugged */
};

/* Makes an operation and puts it at the end of the list. */
struct hull_qemu_op *hull_qemu_op_new(struct hull_vmm *vm, hull_vmm_done_fn done, void *data, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Reports the operation's error (or success when it has none) and frees it. */
void hull_qemu_op_finish(struct hull_qemu_op *op);

/* Sets the error unless one is set, and lets the loop finish the operation: for refusals inside a call. */
void hull_qemu_op_refuse(struct hull_qemu_op *op, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Fails everything that is pending, for whoever asked. */
void hull_qemu_ops_fail(struct hull_vmm *vm, int code, const char *reason);

/* Sets the timer to the earliest deadline; after a change of one. */
void hull_qemu_update_timer(struct hull_vmm *vm);

/* Lets the operation wait for an event, timeout_ms at most; then it ends with ETIMEDOUT. */
void hull_qemu_op_wait(struct hull_qemu_op *op, int timeout_ms);

/* Sends a command of the operation; `args` is taken over. `reply` gets the operation as its data. */
void hull_qemu_op_send(struct hull_qemu_op *op, const char *command, struct json_object *args, int fd,
		       hull_qmp_reply_fn reply);

/* The string member `name` of an object, or "". */
const char *hull_qemu_string(struct json_object *object, const char *name);

/* An object of string members: name, value, name, value, …, NULL. Pairs with a NULL value are left out. */
struct json_object *hull_qemu_object(const char *name, ...) __attribute__((sentinel));

/* qemu_plug.c */
void hull_qemu_add_disk(struct hull_vmm *vm, const struct hull_disk *disk, hull_vmm_done_fn done, void *data);
void hull_qemu_remove_disk(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data);
void hull_qemu_add_nic(struct hull_vmm *vm, const struct hull_nic *nic, hull_vmm_done_fn done, void *data);
void hull_qemu_remove_nic(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data);
void hull_qemu_add_share(struct hull_vmm *vm, int share_fd, const char *tag, hull_vmm_done_fn done, void *data);
/* The guest let go of the device `id`; or it refused to when `refused` is set. */
void hull_qemu_device_deleted(struct hull_vmm *vm, const char *id, bool refused);
/* The operation that worked on the device has ended. */
void hull_qemu_device_released(struct hull_vmm *vm, struct hull_qemu_device *device);
void hull_qemu_devices_free(struct hull_vmm *vm);
/* Notes the devices that the VM starts with. */
void hull_qemu_devices_cold(struct hull_vmm *vm, const struct hull_vm_config *config);

/* qemu_resize.c */
void hull_qemu_resize(struct hull_vmm *vm, uint64_t memory_bytes, unsigned vcpus, hull_vmm_done_fn done, void *data);
/* Starts the next resize that waits for its turn. */
void hull_qemu_resize_next(struct hull_vmm *vm);
/* The guest refused to let go of the CPU `id`. */
void hull_qemu_cpu_kept(struct hull_vmm *vm, const char *id);
