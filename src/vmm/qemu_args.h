/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of QEMU: a pure function of the configuration and of what the binary and the host offer. */
#pragma once

#include "base/mem.h"
#include "vmm/vmm.h"

/* Where the jail shows the two files that boot. */
#define HULL_QEMU_KERNEL "/boot/kernel"
#define HULL_QEMU_INITRD "/boot/initrd"

/* Names that the driver uses again over QMP. */
#define HULL_QEMU_AGENT_PORT "hull.agent"
#define HULL_QEMU_VIRTIO_MEM "vmem"
#define HULL_QEMU_PORT_PREFIX "hp"     /* hot-plug ports: hp0, hp1, … */
#define HULL_QEMU_NIC_BUS "nics"       /* the bridge on which interfaces sit, slots 1 to HULL_NICS_MAX */
#define HULL_QEMU_NIC_PREFIX "nic-"    /* devices and backends of interfaces: nic-<id> */

/* virtio-mem hands memory out in blocks of this size. */
#define HULL_QEMU_MEMORY_BLOCK (2ULL * 1024 * 1024)
#define HULL_QEMU_PORTS_MAX 24
#define HULL_QEMU_VCPUS_MAX 240

/* What differs between hosts. */
struct hull_qemu_host {
	const char *firmware;          /* a firmware that is faster than QEMU's default, or NULL */
	uint32_t tsc_khz;              /* of the host's time stamp counter, which an emulated guest sees; 0: not known */
	bool no_arch_capabilities;     /* KVM refuses to set that MSR: see hull_kvm_takes_arch_capabilities() */
};

/* Descriptors in the child. */
struct hull_qemu_fds {
	int qmp, agent, console;
	int serial;                    /* -1 without config->debug_console */
	int share;                     /* -1: none */
};

/* Whether `name` may be part of a device's id: [a-z0-9-]{1,32}. */
bool hull_qemu_name_valid(const char *name);


/*
 * Fills the empty `ret` with argv, argv[0] included. EINVAL with a reason when the configuration makes no sense.
 */
int hull_qemu_args(const struct hull_vm_config *config, const struct hull_qemu_host *host,
		   const struct hull_qemu_fds *fds, struct hull_strv *ret, struct hull_error *err);

/* The ending of every virtio PCI device: modern only, no option ROM. */
#define HULL_QEMU_VIRTIO "disable-legacy=on,romfile="
