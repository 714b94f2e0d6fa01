/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's process: what it may see and be. */
#pragma once

#include <uv.h>

#include "jail/child.h"
#include "vmm/qemu_args.h"

/*
 * Starts QEMU in its jail. `fds` are kept open in the child under their numbers; the caller closes its copies.
 * As hull_child_start() otherwise.
 */
int hull_qemu_jail_start(uv_loop_t *loop, const struct hull_vm_config *config, const struct hull_qemu_fds *fds,
			 hull_child_exit_fn on_exit, void *data, struct hull_child **ret, struct hull_error *err);
