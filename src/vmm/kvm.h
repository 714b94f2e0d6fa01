/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual machine of a few pages, made with the KVM ioctls and run in the calling process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How the run of the guest code went. */
struct hull_kvm_run {
	char failed[96];               /* the step that failed, for people; empty when all went well */
	int code;                      /* its positive errno; 0 when it has none */
	int64_t run_us;                /* time in the guest, exits included */
};

/* Makes the machine and runs the guest code. May take for ever on a broken host: call it in a child. */
void hull_kvm_run_guest(struct hull_kvm_run *ret);

/*
 * Whether a vCPU takes IA32_ARCH_CAPABILITIES (MSR 0x10a) with the value that KVM itself offers. Some
 * hosts refuse, and `-cpu host` ends QEMU on them.
 */
bool hull_kvm_takes_arch_capabilities(void);
