/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's first exec to a guest that can run containers. The same for every pod. */
#pragma once

#include <stdint.h>

#include "base/error.h"

#define HULL_RUN_DIR "/run/hull"
#define HULL_SHARE_DIR HULL_RUN_DIR "/share"   /* the virtiofs share */
#define HULL_SHM_DIR HULL_RUN_DIR "/shm"       /* the pod's /dev/shm */
#define HULL_ROOT_DIR HULL_RUN_DIR "/root"     /* where a container's root is attached before pivot_root */

/* CLOCK_BOOTTIME in ns. */
uint64_t hull_boottime_ns(void);

/* Mounts, modules, logging, sysctls, the loopback interface, the reserve for the agent. */
int hull_boot(struct hull_error *err);

/* Adapts the reserve to the memory the VM has now; called at boot and after hot-plug. */
void hull_boot_update_reserve(void);

/*
 * Finds the virtio-serial port `name` and waits until its host side is connected.
 * The port must appear within `timeout_ms`; the host may take its time, as a template VM has none yet.
 * Returns the open port or -errno with err set.
 */
int hull_boot_open_port(const char *name, int timeout_ms, struct hull_error *err);

/* Ends the VM. Does not return. */
void hull_poweroff(void) __attribute__((noreturn));
