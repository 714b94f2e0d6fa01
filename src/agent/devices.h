/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices a control group may use, as a BPF program. The rules are read in order and the last one that speaks about
 * a device decides; without one, access is denied. To the specification's rules the OCI's default devices are added.
 * Source: runtime-spec config-linux.md, "Allowed Device list"; runc AllowedDevices.
 */
#pragma once

#include <stddef.h>
#include <linux/bpf.h>

#include "base/error.h"
#include "oci/spec.h"

#define HULL_DEVICE_RULES_MAX 1000

/*
 * Compiles `rules` followed by the defaults. *ret is allocated. 0, or -E2BIG for too many rules.
 * *ret_allow_all is set when the program would allow everything, and need not be attached.
 */
int hull_devices_compile(const struct hull_oci_device_rule *rules, size_t n, struct bpf_insn **ret, size_t *ret_n,
			 bool *ret_allow_all);

/* Compiles, loads and attaches to the group. */
int hull_devices_apply(int cgroup_fd, const struct hull_oci_device_rule *rules, size_t n, struct hull_error *err);
