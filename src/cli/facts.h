/* SPDX-License-Identifier: Apache-2.0 */
/* What `hull env` shows and `hull check` judges, gathered once. */
#pragma once

#include "pod/config.h"
#include "vmm/probe.h"

struct hull_facts {
	struct hull_config *config;
	char vmm_version[256], virtiofsd_version[256];
	struct hull_error vmm_err, virtiofsd_err;      /* code 0: the program answered */
	enum hull_accel accel;
	char accel_why[256];
	struct hull_error accel_err;
	struct hull_kvm_probe kvm;
	struct hull_guest guest;
	struct hull_error guest_err;
	char host_kernel[128];
	unsigned host_cpus;
	uint64_t host_memory_bytes, host_memory_available_bytes;
};

/* Fails only when the configuration cannot be read; what else is wrong is kept in the members. */
int hull_facts_gather(const char *root, struct hull_facts *ret, struct hull_error *err);
void hull_facts_clear(struct hull_facts *facts);
