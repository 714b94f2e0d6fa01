/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP connection to the pod's own localhost, for a host that forwards a port (agent.proto, Connect). */
#pragma once

#include "rpc/rpc.h"

/* Bytes that the host may send before the connection has taken them. */
#define HULL_FORWARD_WINDOW (128u << 10)

/* `data`: the agent. */
void hull_handle_connect(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data);
