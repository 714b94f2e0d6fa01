/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine monitor behind a small interface.
 *
 * Every operation is asynchronous: it returns at once and its callback runs exactly once from the
 * loop, at the latest when its deadline passed. Drivers: qemu.c, and a fake one for unit tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uv.h>

#include "base/error.h"

struct hull_vmm;

enum hull_accel { HULL_ACCEL_AUTO, HULL_ACCEL_KVM, HULL_ACCEL_TCG };

/* "auto", "kvm", "tcg" */
const char *hull_accel_name(enum hull_accel accel);
int hull_accel_parse(const char *text, enum hull_accel *ret);

#define HULL_NIC_QUEUES_MAX 8
#define HULL_NICS_MAX 30

struct hull_nic {
	const char *id;                /* [a-z0-9-]{1,32} */
	const int *tap_fds;            /* one for each queue, with a virtio-net header; borrowed during the call */
	const int *vhost_fds;          /* as many of /dev/vhost-net; NULL: the VMM carries the frames itself */
	unsigned queues;               /* 1 to HULL_NIC_QUEUES_MAX */
	const char *mac;               /* 02:00:00:12:34:56 */
};

/* What boots. Nothing in here is about one pod but its size. Strings are borrowed during start(). */
struct hull_vm_config {
	const char *vmm_path;          /* /usr/bin/qemu-system-x86_64 */
	const char *kernel_path;
	const char *initrd_path;
	const char *kernel_cmdline;
	enum hull_accel accel;         /* never AUTO: resolved by hull_accel_choose() before */
	bool kernel_rewrites_itself;   /* by static keys and the like: docs/adr/0015 */
	uint64_t memory_bytes;         /* multiple of 2 MiB */
	uint64_t memory_max_bytes;     /* for hot-plug; = memory_bytes when none is wanted */
	unsigned vcpus;
	unsigned vcpus_max;
	uid_t run_as_uid;              /* unprivileged; a fresh one per pod */
	gid_t run_as_gid;
	const char *run_dir;           /* per-pod directory where the jail's mount point may be made */
	int share_fd;                  /* connected vhost-user socket of virtiofsd, taken over; -1: none */
	const char *share_tag;
	unsigned hotplug_ports;        /* empty PCIe root ports, for disks and shares; interfaces have slots of their own */
	const struct hull_nic *nics;   /* there from the first instruction on; as if plugged later in every other respect */
	size_t n_nics;
	bool debug_console;            /* kernel messages from the first instruction on */
};

struct hull_vmm_events {
	/*
	 * The VMM process is gone; `reason` is for people. Runs at most once, not after free(), and not when the start
	 * fails: then `done` gets the reason.
	 */
	void (*on_exit)(void *data, const char *reason);
	/* The guest kernel panicked or the guest asked for reset; on_exit follows or the caller frees. */
	void (*on_guest_panic)(void *data);
	/* Bytes of the guest's console: hostile. */
	void (*on_console)(void *data, const uint8_t *bytes, size_t n);
};

typedef void (*hull_vmm_done_fn)(void *data, const struct hull_error *err);   /* err NULL: done */

/* Per second; 0: no limit. */
struct hull_io_limits {
	uint64_t read_bps, write_bps, read_iops, write_iops;
};

struct hull_disk {
	const char *id;                /* [a-z0-9-]{1,32} */
	int fd;                        /* opened by the caller with the wanted access; borrowed during the call */
	bool readonly;
	const char *serial;            /* what the guest finds it by; at most 20 bytes */
	bool direct;                   /* past the host's page cache; flushes reach the disk either way */
	bool discard;                  /* what the guest discards is given back on the host */
	bool iothread;                 /* a thread of its own in the VMM */
	struct hull_io_limits limits;
};


struct hull_vmm_ops {
	const char *name;

	/*
	 * Starts the process and the vCPUs. *ret_agent_fd is the host's end of the agent port (a non-blocking stream
	 * socket that the caller owns); it may be written to at once. `done` runs when the VMM answered its
	 * control channel and the guest runs, or with the reason (the process' own stderr included).
	 */
	int (*start)(uv_loop_t *loop, const struct hull_vm_config *config, const struct hull_vmm_events *events,
		     void *data, hull_vmm_done_fn done, int *ret_agent_fd, struct hull_vmm **ret_vm,
		     struct hull_error *err);

	/* Host pid of the VMM process, 0 when gone. */
	pid_t (*pid)(const struct hull_vmm *vm);

	void (*pause)(struct hull_vmm *vm, hull_vmm_done_fn done, void *data);
	void (*resume)(struct hull_vmm *vm, hull_vmm_done_fn done, void *data);
	void (*add_disk)(struct hull_vmm *vm, const struct hull_disk *disk, hull_vmm_done_fn done, void *data);
	void (*remove_disk)(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data);
	void (*add_nic)(struct hull_vmm *vm, const struct hull_nic *nic, hull_vmm_done_fn done, void *data);
	void (*remove_nic)(struct hull_vmm *vm, const char *id, hull_vmm_done_fn done, void *data);
	/* Hot-plugs a virtiofs share over a connected vhost-user socket (taken over). */
	void (*add_share)(struct hull_vmm *vm, int share_fd, const char *tag, hull_vmm_done_fn done, void *data);
	/*
	 * Grows or shrinks what the guest sees, within the maxima of the configuration; never below what it was started with.
	 * New CPUs are there but offline until the guest brings them online. Under TCG CPUs are added only.
	 */
	void (*resize)(struct hull_vmm *vm, uint64_t memory_bytes, unsigned vcpus, hull_vmm_done_fn done, void *data);

	/*
	 * Kills the process if it runs (SIGKILL: a VM holds nothing that a polite end would save once the agent has
	 * synced), reaps it, frees. Pending callbacks run with ECANCELED inside this call. NULL is fine. Watchers are
	 * closed on the loop; the memory goes when they are closed.
	 */
	void (*free)(struct hull_vmm *vm);
};

extern const struct hull_vmm_ops hull_vmm_qemu;

/* Versions of the VMM binary, as text ("QEMU emulator version 7.2.22 …"), bounded wait. */
int hull_vmm_version(const char *vmm_path, char *buf, size_t size, struct hull_error *err);
