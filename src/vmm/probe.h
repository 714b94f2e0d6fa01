/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which accelerator works here.
 *
 * A /dev/kvm that opens and creates VMs may still be unable to run an ordinary kernel. So the probe runs
 * guest code in long mode with page tables of its own under a deadline, and `auto` takes KVM only if that went at
 * native speed.
 */
#pragma once

#include "vmm/vmm.h"

struct hull_kvm_probe {
	bool usable;
	char why[256];            /* one sentence for people, also when usable */
	int64_t run_us;           /* how long the guest code took; -1 when it never finished */
	bool pvm_host;            /* /sys/module/kvm_pvm is there: wants a guest kernel with CONFIG_PVM_GUEST */
};

/* Runs the probe itself. Bounded by timeout_ms, and the process cannot be hung by it (the probe runs in a child). */
void hull_kvm_probe_run(int timeout_ms, struct hull_kvm_probe *ret);

/*
 * Resolves `wanted` to KVM or TCG. AUTO looks in the cache file (cache_dir/kvm-probe.json, keyed by the boot
 * id of the host) before it probes, and writes it afterwards. KVM asked for by name on a host where the probe fails is an error
 * that says why. `ret_why` receives the sentence.
 */
int hull_accel_choose(enum hull_accel wanted, const char *cache_dir, enum hull_accel *ret, char ret_why[static 256],
		      struct hull_error *err);
