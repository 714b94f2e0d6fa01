/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/hull/hull.conf (or the file that HULL_CONFIG names): an INI file. Every key has a default, an unknown key or a bad value
 * is an error that names file, line and key. hull.conf(5) describes them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/vmm.h"

struct hull_config {
	char *file;                    /* which was read, or NULL when none is there */

	/* [vm] */
	enum hull_accel accelerator;
	char *vmm;                     /* QEMU's path */
	char *virtiofsd;
	char *kernel, *initrd;         /* for every accelerator; empty: the installed ones */
	char *kernel_kvm, *kernel_tcg; /* for one accelerator; win over `kernel` */
	char *kernel_params;           /* appended to the command line */
	uint64_t memory_bytes;         /* of a VM whose containers ask for nothing */
	uint64_t memory_base_bytes;    /* added to what containers ask for: kernel, agent, page tables */
	uint64_t memory_max_bytes;     /* up to which a VM grows; 0: the host's memory */
	unsigned vcpus;
	unsigned vcpus_max;            /* 0: the host's CPUs, at most 32 */
	unsigned hotplug_ports;
	unsigned boot_timeout_s;

	/* [share] */
	unsigned watch_directories;    /* of a pod's volumes, at most; 0: changes on the host wake nobody in the guest */
	struct hull_io_limits share_limits;    /* of each of the host's disks behind a share */

	/* [disk] */
	bool disk_cache_none, disk_discard, disk_iothread;
	char *disk_volumes;            /* patterns of block devices that a plain bind mount may name */
	struct hull_io_limits disk_limits;     /* of each disk */

	/* [network] */
	uint64_t ingress_bps, egress_bps;      /* of each interface, bits per second; 0: no limit */

	/* [security] */
	uint32_t uid_base;             /* a pod's VMM runs as uid_base + its supervisor's pid */
};

/* Reads the configuration; without a file the defaults. */
int hull_config_load(struct hull_config **ret, struct hull_error *err);
void hull_config_free(struct hull_config *config);

/* Whether this host has what the configuration names: files, and enough memory. An error names the key and what to do. */
int hull_config_check(const struct hull_config *config, struct hull_error *err);

/* "10M", "1.5G", "64Ki": bits per second. 0, -EINVAL, -ERANGE. Source: Kubernetes' resource quantities. */
int hull_bandwidth_parse(const char *text, uint64_t *ret_bps);

/* All of the host's memory; 0: not known. */
uint64_t hull_host_memory_bytes(void);

/* The kernel that guest/build-tuned-kernel makes. */
#define HULL_GUEST_TUNED "tuned"

/* A guest to boot: files, command line and the words of their version files. */
struct hull_guest {
	char *kernel, *initrd, *cmdline;
	char *flavour;                 /* HULL_GUEST_TUNED, "debian" or "configured" */
	char *version;
};

/* Chooses the guest for an accelerator: the configured one, else the tuned kernel if it is installed, else Debian's. */
int hull_guest_choose(const struct hull_config *config, enum hull_accel accel, struct hull_guest *ret,
		      struct hull_error *err);
void hull_guest_clear(struct hull_guest *guest);
