/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A booted VM with its share and its agent: where it came from is hidden here. Today that is a cold boot; nothing above
 * this header may assume it.
 */
#pragma once

#include <uv.h>

#include "pod/config.h"
#include "rpc/rpc.h"
#include "storage/share.h"
#include "vmm/vmm.h"

struct hull_vm;

/* The virtiofs tag of the share that every VM has. */
#define HULL_VM_SHARE_TAG "hull"

struct hull_vm_request {
	const struct hull_config *config;
	const struct hull_vmm_ops *vmm_ops;
	const char *root;              /* state directory: caches */
	const char *pod_dir;           /* absolute path of pods/<id> */
	uint64_t memory_bytes;         /* 0: the configured size */
	unsigned vcpus;                /* 0: the configured number */
	uint64_t memory_max_bytes;     /* what it may grow to; 0: not at all */
	unsigned vcpus_max;
	const struct hull_nic *nics;   /* there from the start; borrowed during the call */
	size_t n_nics;
};

struct hull_vm_facts {
	enum hull_accel accel;
	char accel_why[256];
	char *kernel_release, *agent_version, *guest_flavour;     /* said by the guest: for people only */
	uint64_t memory_bytes;         /* now; grows */
	unsigned vcpus;
	uint64_t memory_max_bytes;
	unsigned vcpus_max;
};

struct hull_vm_events {
	/* `err` NULL: the agent answers. Once. */
	void (*on_ready)(void *data, const struct hull_error *err);
	/* The VM is over, whoever caused it; once, after on_ready. `reason` is for people and may quote the guest's console. */
	void (*on_lost)(void *data, const char *reason);
};

/*
 * Starts to acquire a VM. The share can be filled at once; the agent's client is there at once too, and calls made on it
 * before on_ready wait in the port until the agent reads them.
 */
int hull_vm_acquire(uv_loop_t *loop, const struct hull_vm_request *request, const struct hull_vm_events *events,
		    void *data, struct hull_vm **ret, struct hull_error *err);

/* Parts of the VM, which stay its own. */
struct hull_rpc_client *hull_vm_agent(struct hull_vm *vm);
struct hull_share *hull_vm_share(struct hull_vm *vm);
const struct hull_vm_facts *hull_vm_facts(const struct hull_vm *vm);
pid_t hull_vm_vmm_pid(const struct hull_vm *vm);

/*
 * Makes the VM at least that large: what it has more stays. `done` runs once, perhaps before this returns: when the guest has the
 * memory and the CPUs are online in it, or with the reason why not.
 */
void hull_vm_grow(struct hull_vm *vm, uint64_t memory_bytes, unsigned vcpus, hull_vmm_done_fn done, void *data);
/* As the VMM's operations of that name (vmm.h). The disk's options are the caller's. */
void hull_vm_add_disk(struct hull_vm *vm, const struct hull_disk *disk, hull_vmm_done_fn done, void *data);
void hull_vm_remove_disk(struct hull_vm *vm, const char *id, hull_vmm_done_fn done, void *data);
/* Interfaces that come and go later, as vmm.h says; fails when the VM has ended. */
void hull_vm_add_nic(struct hull_vm *vm, const struct hull_nic *nic, hull_vmm_done_fn done, void *data);
void hull_vm_remove_nic(struct hull_vm *vm, const char *id, hull_vmm_done_fn done, void *data);

/* Where start-up time went: notes a moment under a literal name (the first 24 are kept). */
void hull_vm_milestone(struct hull_vm *vm, const char *name);
size_t hull_vm_milestones(const struct hull_vm *vm, const char *const **ret_names, const int64_t **ret_ns);

/*
 * Kills the VM of a pod that is lost, whatever state it is in: what flows through its agent's connection ends with it. The object
 * stays until hull_vm_free(). NULL is fine.
 */
void hull_vm_kill(struct hull_vm *vm);

/* Ends the VM at once and frees. No event runs any more. NULL is fine. */
void hull_vm_free(struct hull_vm *vm);
