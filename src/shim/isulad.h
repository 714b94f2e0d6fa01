/* SPDX-License-Identifier: Apache-2.0 */
/* What iSulad wants beside containerd's protocol. */
#pragma once

#include <stdint.h>

#include "shim/child.h"

/*
 * Writes a container's exit status, an int, into $EXIT_FIFO_DIR/ID/exit_fifo, where iSulad's supervisor reads it. Does nothing without
 * that variable, and never waits. Source: iSulad, shim_rt_ops.c and supervisor.c.
 */
void shim_isulad_exit(const struct shim_host *host, const char *id, uint32_t exit_status);
