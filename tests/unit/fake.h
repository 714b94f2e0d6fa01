/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VMM driver without a VM, for unit tests of what is above. The test plays the guest on the other end of the agent
 * port, tells the driver how to behave, and reads what it was asked to do.
 */
#pragma once

#include "vmm/vmm.h"

extern const struct hull_vmm_ops hull_vmm_fake;

struct hull_fake {
	/* What is to happen. Set between hull_fake_reset() and the call it is for. */
	int refuse_start;              /* errno that start() returns at once */
	int fail_start;                /* errno that start()'s callback gets */
	int fail_ops;                  /* errno that every other callback gets */
	bool hang;                     /* no callback runs, not even start()'s, until free() cancels it */
	unsigned delay_ms;             /* before each callback */

	/* What has happened. */
	struct hull_vmm *vm;           /* the VM that was started last and not freed; NULL: none */
	int guest_fd;                  /* its guest's end of the agent port, non-blocking; the test may take it and set -1 */
	struct hull_vm_config config;  /* numbers only; the strings in it are NULL */
	char kernel_path[256], share_tag[64];
	unsigned starts, frees, pending;
	char log[4096];                /* "start 512 MiB 2 CPUs\n", "add_disk data rw\n", "remove_nic eth0\n", … in order */
};

extern struct hull_fake hull_fake;

/* Forgets everything; frees nothing but the guest's end. */
void hull_fake_reset(void);

/* What a VM does by itself. Callbacks run inside these calls. */
void hull_fake_exit(const char *reason);
void hull_fake_panic(void);
void hull_fake_console(const char *text);
