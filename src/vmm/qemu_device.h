/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go while the guest runs, and what QEMU is told to make one.
 *
 * To plug one takes a few commands: hand QEMU a descriptor, make a backend of it, make the device. Each kind of
 * device is a table of these with the command that undoes each.
 */
#pragma once

#include "vmm/qemu_internal.h"

#define HULL_QEMU_STEPS 5
#define HULL_QEMU_DEVICE_NAME_MAX 32

struct hull_qemu_step {
	const char *command;           /* NULL: the end */
	struct json_object *(*args)(const struct hull_qemu_device *d);
	const char *undo;              /* NULL: nothing to undo */
	struct json_object *(*undo_args)(const struct hull_qemu_device *d);
	bool (*wanted)(const struct hull_qemu_device *d);      /* NULL: always */
};

struct hull_qemu_kind {
	const char *name;
	struct hull_qemu_step steps[HULL_QEMU_STEPS];  /* the first carries descriptors, one a time */
	bool on_bridge;                /* in a slot of the interfaces' bridge; otherwise in a root port */
};

struct hull_qemu_device {
	struct hull_qemu_device *next;
	const struct hull_qemu_kind *kind;
	struct hull_qemu_op *op;       /* that works on it, if any */
	char name[HULL_QEMU_DEVICE_NAME_MAX + 1];      /* what the caller calls it */
	char id[HULL_QEMU_DEVICE_NAME_MAX + 8];        /* what QEMU calls it, and its backend, and the descriptor */
	unsigned place, fdset;         /* the number of its root port, or of its slot less one */
	unsigned queues;               /* of an interface */
	bool vhost;
	unsigned fd_at;                /* which of its descriptors the next command is about */
	bool readonly, is_block_device, direct, discard, iothread;
	struct hull_io_limits limits;
	bool deleted;                  /* the guest has let go of it; the backend is still there */
	char *detail;                  /* serial, MAC or tag */
};

/* qemu_device.c */
extern const struct hull_qemu_kind hull_qemu_disk_kind, hull_qemu_nic_kind, hull_qemu_share_kind;
/* The arguments of device_del; the caller owns the object. */
struct json_object *hull_qemu_device_id_args(const struct hull_qemu_device *d);
