/* SPDX-License-Identifier: Apache-2.0 */
/* From the specification's terms, which are those of cgroup v1, to the files of cgroup v2. Pure. */
#pragma once

#include "base/error.h"
#include "oci/spec.h"

/* One file to write. `value` is owned; `field` is the specification's name, for error messages. */
struct hull_cgroup_setting {
	char file[96];
	char *value;
	char field[96];
	bool optional;         /* the kernel may lack it, or the device may be unknown in the guest: log and go on */
};

struct hull_cgroup_settings {
	struct hull_cgroup_setting *v;
	size_t n;
};

/*
 * memory.swap.max from memory+swap and memory. Returns 1 with *ret (-1: max), 0 when there is nothing to write,
 * -EINVAL with err set. Source: runc, ConvertMemorySwapToCgroupV2Value().
 */
int hull_cgroup_swap(int64_t memory_swap, int64_t memory, int64_t *ret, struct hull_error *err);

/* The files to write, in order, without pids.max and without devices. */
int hull_cgroup_convert(const struct hull_oci_resources *resources, struct hull_cgroup_settings *ret,
			struct hull_error *err);

void hull_cgroup_settings_clear(struct hull_cgroup_settings *settings);
