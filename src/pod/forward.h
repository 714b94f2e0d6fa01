/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to localhost in the pod's network namespace on the host, carried to the servers in the VM (net/loopback.h). */
#pragma once

#include <uv.h>

#include "base/error.h"
#include "rpc/rpc.h"

struct hull_forward;

/* `netns_fd` is borrowed. Nothing is accepted before hull_forward_ready(). */
int hull_forward_new(uv_loop_t *loop, int netns_fd, struct hull_forward **ret, struct hull_error *err);

/* The agent answers. */
void hull_forward_ready(struct hull_forward *forward, struct hull_rpc_client *agent);

/* Ends every connection. Before the agent's client is freed. NULL is fine. */
void hull_forward_free(struct hull_forward *forward);
